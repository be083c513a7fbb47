"""Tables as gzip CSV parts with manifests, in S3 or a folder.

The IO manager (`io_manager`) and its S3 (`s3_resource`) are Dagster's; the rest does without.
Old days are removed by `retention`.
"""

from hubspot_assets.export.days import complete_day
from hubspot_assets.export.errors import NotFoundError, StoreError, TableError
from hubspot_assets.export.manifest import (
    Availability,
    DayManifest,
    DayTable,
    Part,
    TableManifest,
    manifest_path,
)
from hubspot_assets.export.parts import PART_BYTES
from hubspot_assets.export.reader import read_manifest, read_table
from hubspot_assets.export.store import Entry, Store, open_store
from hubspot_assets.export.writer import Findings, TableContent, write_table

__all__ = [
    "PART_BYTES",
    "Availability",
    "DayManifest",
    "DayTable",
    "Entry",
    "Findings",
    "NotFoundError",
    "Part",
    "Store",
    "StoreError",
    "TableContent",
    "TableError",
    "TableManifest",
    "complete_day",
    "manifest_path",
    "open_store",
    "read_manifest",
    "read_table",
    "write_table",
]
