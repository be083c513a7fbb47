"""Snowflake: a stage over the export, and tables that take a day of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import (
    Engine,
    Format,
    Place,
    column_lines,
    comment,
    options,
    quoted,
    text,
)
from hubspot_assets.tables.parquet_types import ParquetType

_TYPES: dict[ParquetType, str] = {
    "INT64": "NUMBER(38, 0)",
    "DECIMAL(38,10)": "NUMBER(38, 10)",
    "TIMESTAMP": "TIMESTAMP_NTZ(6)",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "STRING": "VARCHAR(134217728)",  # without a length 16 MB
}
_FORMATS: dict[Format, dict[str, str]] = {
    "csv": {
        "TYPE": "CSV",
        "COMPRESSION": "GZIP",
        "FIELD_OPTIONALLY_ENCLOSED_BY": "'\"'",
        "PARSE_HEADER": "TRUE",
        "EMPTY_FIELD_AS_NULL": "TRUE",
        # Else a text of \N would be NULL, and a backslash at the end of a line eat the next one.
        "NULL_IF": "()",
        "ESCAPE": "NONE",
        "ESCAPE_UNENCLOSED_FIELD": "NONE",
        "MULTI_LINE": "TRUE",
        "TRIM_SPACE": "FALSE",
        "TIMESTAMP_FORMAT": "'YYYY-MM-DD HH24:MI:SS.FF3'",
        "DATE_FORMAT": "'YYYY-MM-DD'",
        "ENCODING": "'UTF8'",
    },
    "parquet": {
        "TYPE": "PARQUET",
        # Else our time stamps would be numbers.
        "USE_LOGICAL_TYPE": "TRUE",
        "USE_VECTORIZED_SCANNER": "TRUE",
        "NULL_IF": "()",
    },
}
_PATTERNS: dict[Format, str] = {"csv": ".*[.]csv[.]gz", "parquet": ".*[.]parquet"}
_HINTS: dict[Format, str] = {
    "csv": 'NULL is an empty field and stays apart from the empty string, "". Numbers with more '
    "than 10 digits behind the point may be rounded: OBJECT_PROPERTIES has them as they are.",
    "parquet": "By Snowflake's documents an empty string may be an error where columns are matched "
    "by name in Parquet; the CSV has no such limit.",
}


def _statements(tables: Sequence[DeliveredTable], place: Place, form: Format) -> Iterator[str]:
    schema, file_format = quoted(place.schema.upper()), f"HUBSPOT_{form.upper()}"
    yield comment(
        "Snowflake. The tables are those of one day; run it again to replace them by another, or "
        f"give each day a schema. {_HINTS[form]}"
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {schema}"
    yield comment(
        "Fill in a role that may read the bucket. DESC INTEGRATION HUBSPOT then tells "
        "STORAGE_AWS_IAM_USER_ARN and STORAGE_AWS_EXTERNAL_ID, which go into its trust policy."
    )
    integration = {
        "TYPE": "EXTERNAL_STAGE",
        "STORAGE_PROVIDER": "'S3'",
        "ENABLED": "TRUE",
        "STORAGE_AWS_ROLE_ARN": "'arn:aws:iam::<account>:role/<reader>'",
        "STORAGE_ALLOWED_LOCATIONS": f"({text(place.url + '/')})",
    }
    yield f"CREATE STORAGE INTEGRATION IF NOT EXISTS HUBSPOT {options(integration)}"
    yield f"CREATE OR REPLACE FILE FORMAT {schema}.{file_format} {options(_FORMATS[form])}"
    stage = {"URL": text(place.url + "/"), "STORAGE_INTEGRATION": "HUBSPOT"}
    yield f"CREATE STAGE IF NOT EXISTS {schema}.HUBSPOT {options(stage)}"
    for table in tables:
        name = f"{schema}.{quoted(table.name)}"
        columns = column_lines(table.columns, _TYPES, lambda each: quoted(each.name), _commented)
        yield f"CREATE OR REPLACE TABLE {name} (\n{columns}\n)"
        folder = f"{table.day}/{table.name}" if form == "csv" else table.parquet_folder
        loading = {
            "PATTERN": text(_PATTERNS[form]),
            "FILE_FORMAT": f"(FORMAT_NAME = '{place.schema.upper()}.{file_format}')",
            "MATCH_BY_COLUMN_NAME": "CASE_INSENSITIVE",
            "ON_ERROR": "ABORT_STATEMENT",
        }
        source = text(f"@{place.schema.upper()}.HUBSPOT/{folder}/")
        yield f"COPY INTO {name} FROM {source} {options(loading)}"


def _commented(column: TypedColumn) -> str:
    described = column.description.replace("\\", "\\\\")
    return f" COMMENT {text(described)}" if described else ""


SNOWFLAKE = Engine("snowflake", ("csv", "parquet"), ("s3://",), _statements)
