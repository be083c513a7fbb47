"""Reads a day of an export knowing nothing but its files and manifests, as any consumer could."""

import json
from pathlib import Path

import duckdb

#: Longer than any row of a part can be.
LONGEST_LINE = 64_000_000
TYPES = {"NUMBER": "BIGINT", "JSON": "JSON"} | {
    each: each for each in ("BOOLEAN", "TIMESTAMP", "DATE", "VARCHAR")
}


def manifest(folder):
    """The manifest of a day or of a table."""
    return json.loads((Path(folder) / "_manifest.json").read_text(encoding="utf-8"))


def column_type(column):
    """A type in which every value is exact: the share's own numbers are whole; those of people
    have fractions, and more digits than a 64-bit integer."""
    if column["type"] == "NUMBER" and column["name"].startswith("PROPERTY_"):
        return "DECIMAL(38, 10)"
    return TYPES[column["type"]]


def open_day(folder, schema="main", connection=None):
    """A DuckDB connection with a view in `schema` for each table of the day in `folder`."""
    connection = connection or duckdb.connect()
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for table in manifest(folder)["tables"]:
        told = manifest(Path(folder) / table["table"])
        columns = ", ".join(
            f"{_quoted(each['name'])}: {_quoted(column_type(each))}" for each in told["columns"]
        )
        parts = ", ".join(_quoted(str(Path(folder) / each["path"])) for each in told["parts"])
        connection.execute(
            f'CREATE VIEW {schema}."{told["table"]}" AS FROM read_csv([{parts}], '
            f"columns={{{columns}}}, header=true, auto_detect=false, delim=',', quote='\"', "
            "escape='\"', new_line='\\n', allow_quoted_nulls=false, parallel=false, "
            f"compression='gzip', max_line_size={LONGEST_LINE})"
        )
    return connection


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"
