"""Where the portal's catalog is kept: in the state root, for all hosts, or in a local file."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hubspot_assets.hubspot.catalog import Catalog, CatalogError, standard_catalog
from hubspot_assets.settings import Settings
from hubspot_assets.storage import Store, StoreError, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAME = "catalog.json"
#: Where earlier versions kept the catalog of a state root that is in a bucket.
_FORMER = Path(".hubspot-assets") / _NAME
_TRIES = 20  # of a change, while others make theirs
_PAUSE = 0.05  # seconds between two, at most, growing

Pair = tuple[str, str]
"""Two object type ids whose records are linked, in whichever order."""


class CatalogPlace:
    """The catalog at one place of a store. Safe to share between threads and hosts.

    All methods raise StoreError where the store can't be reached, read or written, CatalogError for
    what is no catalog, and NewerFormatError for one that a newer version keeps otherwise.
    """

    def __init__(self, store: Store, name: str = _NAME, former: Path | None = None) -> None:
        self._store, self._name, self._former = store, name, former
        self._linked: frozenset[Pair] = frozenset()

    @property
    def url(self) -> str:
        """Where that is."""
        return self._store.url_of(self._name)

    def load(self) -> Catalog:
        """The discovered catalog, or the standard one where nothing has been discovered yet."""
        found = self._store.versioned(self._name)
        return self._of(found.content if found else None)

    def save(self, catalog: Catalog) -> Catalog:
        """Keeps it, whole or not at all, and gives what is kept.

        Others may write at the same time: what they have seen linked is kept.
        """

        def with_theirs(content: bytes | None) -> Catalog:
            with suppress(CatalogError):  # what is there is of no use, and is replaced
                there = self._of(content)
                if there.portal_id == catalog.portal_id:
                    return catalog.with_linked(there.linked)
            return catalog

        return self._change(with_theirs) or catalog

    def note_linked(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Notes that records of these pairs of types are linked; gives those not known to be.

        Nothing is noted where no portal was discovered yet. The store is asked for pairs alone
        that were not seen in it before, as what is linked once is so for good.
        """
        unsure = [pair for pair in pairs if not {pair, pair[::-1]} & self._linked]
        new: list[Pair] = []

        def with_new(content: bytes | None) -> Catalog | None:
            catalog = self._of(content)
            self._linked = frozenset(catalog.linked)
            new[:] = [pair for pair in unsure if not catalog.has_linked(*pair)]
            return catalog.with_linked(new) if new and catalog.portal_id is not None else None

        if unsure:
            self._change(with_new)
        return new

    def _change(self, changed: Callable[[bytes | None], Catalog | None]) -> Catalog | None:
        """Writes what `changed` makes of what is there; nothing where it makes nothing."""
        for attempt in range(_TRIES):
            found = self._store.versioned(self._name)
            catalog = changed(found.content if found else None)
            if catalog is None:
                return None
            version = found.version if found else None
            if self._store.swap(self._name, catalog.to_json(), version) is not None:
                return catalog
            time.sleep(random.uniform(0, _PAUSE * (attempt + 1)))
        raise StoreError(f"{self.url} is being written by others; run again", passing=True)

    def _of(self, content: bytes | None) -> Catalog:
        """The catalog of this content, with what the former place knows besides."""
        if content is None:
            return self._taken_over() or standard_catalog()
        catalog = _read(content, self.url)
        with suppress(CatalogError):  # what is there is of use without it
            former = self._taken_over()
            if former and former.portal_id == catalog.portal_id:
                return catalog.with_linked(former.linked)
        return catalog

    def _taken_over(self) -> Catalog | None:
        if self._former is None or not self._former.is_file():
            return None
        try:
            return _read(self._former.read_bytes(), str(self._former))
        except OSError as error:
            raise CatalogError(f"cannot read {self._former}: {error.strerror}") from error


def catalog_place(settings: Settings, s3: Callable[[], S3Client]) -> CatalogPlace:
    """Where the settings say that the catalog is; opening it touches nothing.

    A catalog that an earlier version kept on this machine, for a state root in a bucket, is taken
    over from there; it stays, for that version to go on with.
    """
    if settings.catalog_file:
        return CatalogPlace(open_store(settings.catalog_file.parent), settings.catalog_file.name)
    # Which knew of one portal alone.
    former = _FORMER if settings.state.startswith("s3://") and not settings.portal_name else None
    return CatalogPlace(open_store(settings.state, s3), former=former)


def _read(content: bytes, where: str) -> Catalog:
    try:
        return Catalog.from_json(content, where)
    except CatalogError as error:
        raise CatalogError(f"{where}: {error}; run: hubspot-assets discover") from error
