r"""PostgreSQL: tables that take a day of the export, for psql, whose \copy unpacks the parts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import (
    Engine,
    Format,
    Place,
    column_lines,
    comment,
    quoted,
    shortened,
    text,
    too_wide,
)
from hubspot_assets.tables.parquet_types import ParquetType

_TYPES: dict[ParquetType, str] = {
    "INT64": "BIGINT",
    "DECIMAL(38,10)": "NUMERIC",  # takes every digit that the CSV has
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "STRING": "TEXT",
}
_MOST_COLUMNS, _LONGEST_NAME = 1_600, 63


def _statements(tables: Sequence[DeliveredTable], place: Place, _: Format) -> Iterator[str]:
    unpacked = "aws and gzip" if "://" in place.url else "gzip"
    yield comment(
        f"PostgreSQL, by psql on a machine that has {unpacked}. The tables are those of one day; "
        "run it again to replace them by another, or give each day a schema. Names are in lower "
        f"case; those of more than {_LONGEST_NAME} bytes are cut, and end with a digest."
    )
    yield r"\set ON_ERROR_STOP on"
    yield f"CREATE SCHEMA IF NOT EXISTS {quoted(place.schema)}"
    for table in tables:
        if len(table.columns) > _MOST_COLUMNS:
            yield too_wide(table, "PostgreSQL", _MOST_COLUMNS)
            continue
        name = f"{quoted(place.schema)}.{_name(table.name)}"
        columns = column_lines(table.columns, _TYPES, _column)
        key = ", ".join(_name(each) for each in table.key)
        yield "BEGIN"
        yield f"DROP TABLE IF EXISTS {name}"
        yield f"CREATE TABLE {name} (\n{columns},\n  PRIMARY KEY ({key})\n)"
        for path in table.csv:
            program = text(_unpacked(place.url_of(path)))
            yield f"\\copy {name} FROM PROGRAM {program} WITH (FORMAT csv, HEADER true, NULL '')"
        yield "COMMIT"


def _unpacked(url: str) -> str:
    """The shell's command that writes a part's text."""
    if "://" in url:
        return f"aws s3 cp --only-show-errors {shlex.quote(url)} - | gzip -dc"
    return f"gzip -dc {shlex.quote(url)}"


def _column(column: TypedColumn) -> str:
    return _name(column.name)


def _name(name: str) -> str:
    return quoted(shortened(name.lower(), _LONGEST_NAME))


POSTGRES = Engine("postgres", ("csv",), (), _statements)
