"""Whether a place keeps two exports of one day apart."""

from __future__ import annotations

from collections.abc import Iterator

from hubspot_assets.check.finding import Finding
from hubspot_assets.storage import Store, StoreError

_TRIED = "one writer at a time"
_NOT_KEPT = "two exports of one day that begin in the same second may not see each other"


def check_conditions(url: str, store: Store, path: str) -> Iterator[Finding]:
    """A row where that is in doubt; `path` is of an object of no meaning that is there."""
    try:
        kept = store.keeps_conditions(path)
    except StoreError as error:
        yield Finding(url, _TRIED, "warning", f"not known: {error}")
        return
    if not kept:
        lacks = "If-None-Match" if url.startswith("s3://") else "locks on files"
        yield Finding(url, _TRIED, "warning", f"the store does not know {lacks}: {_NOT_KEPT}")
