"""Folders and S3 behind one `Store`."""

from hubspot_assets.storage.errors import NotFoundError, StoreError
from hubspot_assets.storage.store import Entry, Store, open_store

__all__ = ["Entry", "NotFoundError", "Store", "StoreError", "open_store"]
