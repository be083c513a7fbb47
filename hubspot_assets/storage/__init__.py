"""Folders and S3 behind one `Store`."""

from hubspot_assets.storage.errors import KeptError, NotFoundError, OtherPortalError, StoreError
from hubspot_assets.storage.store import Entry, Kept, Store, open_store

__all__ = [
    "Entry",
    "Kept",
    "KeptError",
    "NotFoundError",
    "OtherPortalError",
    "Store",
    "StoreError",
    "open_store",
]
