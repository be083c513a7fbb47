"""The Glue catalog: the same tables as Athena's, as its API takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hubspot_assets.ddl.athena import TYPES, column_comment, projection
from hubspot_assets.ddl.delivered import DeliveredTable
from hubspot_assets.ddl.sql import Engine, Format, Place

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import TableInputTypeDef

#: The parameter of our tables that says whose they are.
PORTAL_ID = "hubspot_assets.portal_id"
_HIVE = "org.apache.hadoop.hive.ql.io.parquet"


def table_input(table: DeliveredTable, place: Place) -> TableInputTypeDef:
    """What glue:CreateTable and glue:UpdateTable take."""
    return {
        "Name": table.name.lower(),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            **projection(table, place),
            PORTAL_ID: str(table.portal_id or ""),
        },
        "PartitionKeys": [{"Name": "day", "Type": TYPES["DATE"]}],
        "StorageDescriptor": {
            "Columns": [
                {
                    "Name": each.name.lower(),
                    "Type": TYPES[each.type],
                    "Comment": column_comment(each),
                }
                for each in table.columns
            ],
            "Location": place.url_of(table.parquet_root) + "/",
            "InputFormat": f"{_HIVE}.MapredParquetInputFormat",
            "OutputFormat": f"{_HIVE}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{_HIVE}.serde.ParquetHiveSerDe"},
        },
    }


def _statements(tables: Sequence[DeliveredTable], place: Place, _: Format) -> Iterator[str]:
    inputs = [table_input(table, place) for table in tables]
    yield json.dumps({"DatabaseName": place.schema, "TableInputs": inputs}, indent=2)


GLUE = Engine("glue", ("parquet",), ("s3://",), _statements, "".join)
