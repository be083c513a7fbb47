"""DuckDB: views over the files of a day, and over those of all days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable
from hubspot_assets.ddl.sql import Engine, Format, Place, comment, options, quoted, text
from hubspot_assets.tables.parquet_types import ParquetType

_TYPES: dict[ParquetType, str] = {
    "INT64": "BIGINT",
    "DECIMAL(38,10)": "DECIMAL(38, 10)",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "STRING": "VARCHAR",
}
#: NULL is an empty field, "" the empty string; values have line breaks, and web pages are long.
_CSV = {
    "header": "true",
    "delim": "','",
    "quote": "'\"'",
    "escape": "'\"'",
    "new_line": r"'\n'",
    "allow_quoted_nulls": "false",
    "parallel": "false",
    "compression": "'gzip'",
    "max_line_size": "64000000",
    "buffer_size": "64000000",
}
_DAY = "????-??-??"


def _statements(tables: Sequence[DeliveredTable], place: Place, form: Format) -> Iterator[str]:
    newest, all_days = quoted(place.schema), quoted(f"{place.schema}_days")
    yield comment(
        f"DuckDB. The views of {newest} are those of one day; run it again for another. Those of "
        f"{all_days} have all days, with `day`: also one that a run is at, and columns that "
        "a day did not have are NULL in it."
    )
    if "://" in place.url:
        yield comment("CREATE SECRET (TYPE s3, PROVIDER credential_chain);  as the bucket needs it")
    yield f"CREATE SCHEMA IF NOT EXISTS {newest}"
    yield f"CREATE SCHEMA IF NOT EXISTS {all_days}"
    views = _of_csv if form == "csv" else _of_parquet
    for table in tables:
        one, several = views(table, place)
        yield f"CREATE OR REPLACE VIEW {newest}.{quoted(table.name)} AS\n{one}"
        yield f"CREATE OR REPLACE VIEW {all_days}.{quoted(table.name)} AS\n{several}"


def _of_parquet(table: DeliveredTable, place: Place) -> tuple[str, str]:
    by_day = {
        "hive_partitioning": "true",
        "hive_types": "{'day': DATE}",
        "union_by_name": "true",
    }
    every = text(place.url_of(f"{table.parquet_root}/day=*/*.parquet"))
    return (
        _selected("*", "parquet", _files(table.parquet, place), {"hive_partitioning": "false"}),
        _selected("*", "parquet", every, by_day),
    )


def _of_csv(table: DeliveredTable, place: Place) -> tuple[str, str]:
    columns = ", ".join(f"{text(each.name)}: {text(_TYPES[each.type])}" for each in table.columns)
    one = {"columns": f"{{{columns}}}", "auto_detect": "false", **_CSV}
    # Each day has columns of its own: read as text, by name, and made what they are today.
    several = {"all_varchar": "true", "union_by_name": "true", "filename": "true", **_CSV}
    every = text(place.url_of(f"{_DAY}/{table.name}/**/part-*.csv.gz"))
    day = f"regexp_extract(filename, '/(\\d{{4}}-\\d\\d-\\d\\d)/{table.name}/', 1)"
    typed = ",\n".join(
        f"  CAST({quoted(each.name)} AS {_TYPES[each.type]}) AS {quoted(each.name)}"
        for each in table.columns
        if each.type != "STRING"
    )
    replaced = f" REPLACE (\n{typed}\n)" if typed else ""
    what = f"CAST({day} AS DATE) AS day, * EXCLUDE (filename){replaced}"
    return (
        _selected("*", "csv", _files(table.csv, place), one),
        _selected(what, "csv", every, several),
    )


def _selected(what: str, form: Format, files: str, reading: Mapping[str, str]) -> str:
    told = options(reading, separator=", ")
    return f"SELECT {what}\nFROM read_{form}({files}, {told})"


def _files(paths: Sequence[str], place: Place) -> str:
    return f"[{', '.join(text(place.url_of(path)) for path in paths)}]"


DUCKDB = Engine("duckdb", ("parquet", "csv"), (), _statements)
