"""What can go wrong in a store, in words for the person who has to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubspot_assets.storage.store import Kept


class StoreError(Exception):
    """The object store could not do what was asked: one line on what, where and what to do.

    `passing` is true where the same call may well succeed later (network, overload).
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class OtherPortalError(StoreError):
    """The store is another portal's: nothing is read there, nor written."""


class NewerFormatError(StoreError):
    """A newer version wrote it, as this one can't read it: nothing is done about it."""


class NotFoundError(StoreError, FileNotFoundError):
    """There is no such object."""


class KeptError(StoreError):
    """Versions that were to be deleted are there still: `kept`, each with the reason."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        first = kept[0]
        super().__init__(f"{len(kept):,} versions stayed, as {first.entry.path}: {first.reason}")
        self.kept = tuple(kept)
