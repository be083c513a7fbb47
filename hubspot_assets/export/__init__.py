"""Tables as gzip CSV parts with manifests, in a store, and as Parquet files on request.

The IO manager (`io_manager`) is Dagster's; the rest does without. Old days are removed by
`retention`.
"""

from hubspot_assets.export.complete import CompleteDays, complete_days
from hubspot_assets.export.days import complete_day
from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import (
    DayManifest,
    DayTable,
    Part,
    TableManifest,
    manifest_path,
)
from hubspot_assets.export.parts import PART_BYTES
from hubspot_assets.export.reader import read_day, read_manifest, read_table
from hubspot_assets.export.writer import write_table

__all__ = [
    "PART_BYTES",
    "CompleteDays",
    "DayManifest",
    "DayTable",
    "Part",
    "TableError",
    "TableManifest",
    "complete_day",
    "complete_days",
    "manifest_path",
    "read_day",
    "read_manifest",
    "read_table",
    "write_table",
]
