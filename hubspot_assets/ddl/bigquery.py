"""BigQuery: load jobs that replace tables by those of a day."""

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
    "INT64": "INT64",
    "DECIMAL(38,10)": "BIGNUMERIC",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "BOOLEAN": "BOOL",
    "STRING": "STRING",
}
_LOADING: dict[Format, dict[str, str]] = {
    "csv": {
        "format": "'CSV'",
        "skip_leading_rows": "1",
        "allow_quoted_newlines": "true",
        "max_bad_records": "0",
        "source_column_match": "'NAME'",
    },
    # NUMERIC alone, the default, has less digits than the files.
    "parquet": {"format": "'PARQUET'", "decimal_target_types": "['NUMERIC', 'BIGNUMERIC']"},
}
_HINTS: dict[Format, str] = {
    "csv": "Whether the empty string stays apart from NULL in CSV is not documented: deliver "
    "Parquet (EXPORT_FORMATS=csv,parquet) for values that are exact.",
    "parquet": "Time stamps, which are UTC without a zone in the files, may come as DATETIME.",
}


def _statements(tables: Sequence[DeliveredTable], place: Place, form: Format) -> Iterator[str]:
    yield comment(
        "BigQuery, which loads from Cloud Storage alone: bring the export there first, by Storage "
        "Transfer or the like. The tables are those of one day; run it again to replace them by "
        f"another, or give each day a dataset. {_HINTS[form]}"
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {backquoted(place.schema)}"
    for table in tables:
        name = f"{backquoted(place.schema)}.{backquoted(table.name.lower())}"
        if form == "csv":
            columns = column_lines(table.columns, _TYPES, _name, _described)
            name = f"{name} (\n{columns}\n)"
        files = table.csv if form == "csv" else table.parquet
        uris = ", ".join(escaped_text(place.url_of(path)) for path in files)
        loading = {"uris": f"[{uris}]", **_LOADING[form]}
        yield f"LOAD DATA OVERWRITE {name}\nFROM FILES ({options(loading, separator=', ')})"


def _name(column: TypedColumn) -> str:
    return backquoted(column.name)


def _described(column: TypedColumn) -> str:
    if not column.description:
        return ""
    return f" OPTIONS (description = {escaped_text(column.description)})"


BIGQUERY = Engine("bigquery", ("parquet", "csv"), ("gs://",), _statements)
