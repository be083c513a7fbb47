"""The one Parquet type of each column, as the files have it and the engines are told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from hubspot_assets.tables.spec import Column, ColumnType

ParquetType = Literal["INT64", "DECIMAL(38,10)", "TIMESTAMP", "DATE", "BOOLEAN", "STRING"]

#: Those that have one whatever the column is called.
_TYPES: dict[ColumnType, ParquetType] = {
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "JSON": "STRING",
    "VARCHAR": "STRING",
}


def parquet_type(column: Column, key: Collection[str]) -> ParquetType:
    """The type of a `column` of the table whose key is `key`.

    HubSpot's ids are INT64, so that they join with one another; any other NUMBER is a decimal of
    28 digits before the point and 10 behind it. TIMESTAMP is in microseconds, UTC, without zone.

    >>> parquet_type(Column("OWNERID", "NUMBER", ""), ())
    'INT64'
    >>> parquet_type(Column("PROPERTY_GUESTID", "NUMBER", ""), ())
    'DECIMAL(38,10)'

    In the associations of a custom object "Property" its id looks like a property, but is a key:

    >>> parquet_type(Column("PROPERTY_OBJECTID", "NUMBER", ""), ("PROPERTY_OBJECTID",))
    'INT64'
    """
    if column.type == "NUMBER":
        return "INT64" if column.name in key or _is_id(column.name) else "DECIMAL(38,10)"
    return _TYPES[column.type]


def _is_id(name: str) -> bool:
    return name == "MERGEDINTO" or (name.endswith("ID") and not name.startswith("PROPERTY_"))
