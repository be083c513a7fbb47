"""Athena: external tables over Parquet, a partition per day that Athena works out by itself.

There is nothing for the CSV: none of Athena's SerDes reads line breaks in values, and none tells
NULL and "" apart. Trino and Redshift Spectrum read Parquet alone for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import Engine, Format, Place, backquoted, comment, escaped_text
from hubspot_assets.tables.parquet_types import ParquetType

TYPES: dict[ParquetType, str] = {
    "INT64": "bigint",
    "DECIMAL(38,10)": "decimal(38,10)",
    "TIMESTAMP": "timestamp",
    "DATE": "date",
    "BOOLEAN": "boolean",
    "STRING": "string",
}
#: Of a statement, in bytes, and of a column's comment in the Glue catalog, in which it ends up.
_LONGEST, _LONGEST_COMMENT = 262_144, 255


def projection(table: DeliveredTable, place: Place) -> dict[str, str]:
    """The table's properties by which Athena knows the days without a catalog of partitions.

    They end a day after Athena's today, which is in UTC: a day may be over sooner elsewhere.
    """
    return {
        "projection.enabled": "true",
        "projection.day.type": "date",
        "projection.day.format": "yyyy-MM-dd",
        "projection.day.range": f"{place.first_day},NOW+1DAY",
        "storage.location.template": f"{place.url_of(table.parquet_root)}/day=${{day}}/",
    }


def column_comment(column: TypedColumn) -> str:
    """The column's description on one line, as long as the catalog takes."""
    line = " ".join(column.description.split())
    return line.encode()[:_LONGEST_COMMENT].decode(errors="ignore")


def _statements(tables: Sequence[DeliveredTable], place: Place, _: Format) -> Iterator[str]:
    yield comment(
        "Athena, and what else reads its catalog. Columns are found by their names, in lower case; "
        "days that are not there yet, or not any more, have no rows. A query without `day` reads "
        "all of them."
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {backquoted(place.schema)}"
    for table in tables:
        with_comments = _table(table, place, comments=True)
        fits = len(with_comments.encode()) <= _LONGEST
        yield with_comments if fits else _table(table, place, comments=False)


def _table(table: DeliveredTable, place: Place, *, comments: bool) -> str:
    columns = ",\n".join(
        f"  {backquoted(each.name.lower())} {TYPES[each.type]}"
        + (
            f" COMMENT {escaped_text(column_comment(each))}"
            if comments and each.description
            else ""
        )
        for each in table.columns
    )
    properties = ",\n".join(
        f"  {escaped_text(name)} = {escaped_text(value)}"
        for name, value in projection(table, place).items()
    )
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {backquoted(place.schema)}."
        f"{backquoted(table.name.lower())} (\n{columns}\n)\n"
        "PARTITIONED BY (`day` date)\n"
        "STORED AS PARQUET\n"
        f"LOCATION {escaped_text(place.url_of(table.parquet_root) + '/')}\n"
        f"TBLPROPERTIES (\n{properties}\n)"
    )


ATHENA = Engine("athena", ("parquet",), ("s3://",), _statements)
