"""Databricks: Delta tables that take a day of the export by COPY INTO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import (
    Engine,
    Format,
    Place,
    backquoted,
    column_lines,
    comment,
    escaped_text,
    options,
)
from hubspot_assets.tables.parquet_types import ParquetType

_TYPES: dict[ParquetType, str] = {
    "INT64": "BIGINT",
    "DECIMAL(38,10)": "DECIMAL(38, 10)",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "STRING": "STRING",
}
_READING: dict[Format, dict[str, str]] = {
    "csv": {
        "header": "true",
        "multiLine": "true",
        "quote": '"',
        "escape": '"',
        "lineSep": "\n",
        "emptyValue": "",
        # No text has it: so nothing but an empty field is NULL.
        "nullValue": "\x01",
        "maxCharsPerColumn": "-1",
        "maxColumns": "30000",
        "recursiveFileLookup": "true",
        "pathGlobFilter": "*.csv.gz",
    },
    "parquet": {"datetimeRebaseMode": "CORRECTED"},
}


def _statements(tables: Sequence[DeliveredTable], place: Place, form: Format) -> Iterator[str]:
    yield comment(
        "Databricks. The tables are those of one day; run it again to replace them by another, or "
        "give each day a schema. Where the bucket is no external location yet, make it one first."
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {backquoted(place.schema)}"
    for table in tables:
        name = f"{backquoted(place.schema)}.{backquoted(table.name.lower())}"
        columns = column_lines(table.columns, _TYPES, _name, _described)
        yield f"CREATE OR REPLACE TABLE {name} (\n{columns}\n)"
        # A file that was loaded once is not loaded again, also where it has changed since.
        yield (
            f"COPY INTO {name}\nFROM {_source(table, place, form)}\nFILEFORMAT = {form.upper()}\n"
            f"FORMAT_OPTIONS ({_listed(_READING[form])})\n"
            f"COPY_OPTIONS ({_listed({'force': 'true'})})"
        )


def _source(table: DeliveredTable, place: Place, form: Format) -> str:
    if form == "parquet":
        return escaped_text(place.url_of(table.parquet_folder) + "/")
    columns = ",\n".join(
        f"  CAST({_name(each)} AS {_TYPES[each.type]}) AS {_name(each)}" for each in table.columns
    )
    folder = escaped_text(place.url_of(f"{table.day}/{table.name}/"))
    return f"(SELECT\n{columns}\nFROM {folder})"


def _listed(of: dict[str, str]) -> str:
    pairs = {escaped_text(name): escaped_text(value) for name, value in of.items()}
    return options(pairs, separator=", ")


def _name(column: TypedColumn) -> str:
    return backquoted(column.name)


def _described(column: TypedColumn) -> str:
    return f" COMMENT {escaped_text(column.description)}" if column.description else ""


DATABRICKS = Engine("databricks", ("parquet", "csv"), ("s3://", "abfss://", "gs://"), _statements)
