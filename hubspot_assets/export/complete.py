"""Which days are complete, in one object at the root: who wants the newest has it in one GET.

The days' own manifests are the truth. A day is taken out here before its manifest goes, and put in
after it has come: what stands here is complete, whenever it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import orjson

from hubspot_assets.export.manifest import manifest_path
from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.formats import NAME, check_format
from hubspot_assets.storage.store import Store

INDEX = "_days.json"
FORMAT = 1

_READERS = 16
_TRIES = 20  # of a change, while other days are published or purged


@dataclass(frozen=True, slots=True)
class CompleteDays:
    """The complete `days` (ISO dates, oldest first) of a portal; None where it is not known whose
    they are."""

    portal_id: int | None
    days: tuple[str, ...]

    @property
    def newest(self) -> str | None:
        """The newest of them."""
        return self.days[-1] if self.days else None

    def to_json(self) -> bytes:
        """Indented JSON, always in the same order."""
        told = {
            NAME: FORMAT,
            "portal_id": self.portal_id,
            "newest": self.newest,
            "days": self.days,
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, text: bytes) -> CompleteDays:
        """Raises `ValueError` where `text` is no such list, and `NewerFormatError`."""
        try:
            said = orjson.loads(text)
            check_format(said, FORMAT, INDEX)
            portal_id, days = said["portal_id"], tuple(said["days"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a list of days: {error!r}") from error
        if not all(isinstance(day, str) and is_day(day) for day in days):
            raise ValueError("not a list of days")
        return cls(portal_id, tuple(sorted(set(days))))


def complete_days(store: Store) -> CompleteDays:
    """The complete days, as the root tells; looked for, where it doesn't. Raises `StoreError`."""
    found = store.versioned(INDEX)
    return (_told(found.content) if found else None) or listed_days(store)


def listed_days(store: Store, portal_id: int | None = None) -> CompleteDays:
    """The days that have a manifest. Raises `StoreError`."""
    days = [name for name in store.folders() if is_day(name)]
    with ThreadPoolExecutor(_READERS) as pool:
        there = pool.map(lambda day: store.exists(manifest_path(day)), days)
        complete = tuple(day for day, is_there in zip(days, there, strict=True) if is_there)
    return CompleteDays(portal_id, tuple(sorted(complete)))


def add_day(store: Store, day: str, portal_id: int | None) -> None:
    """The manifest of the day has just been written. Raises `StoreError`."""

    def with_day(known: CompleteDays) -> CompleteDays:
        days = tuple(sorted({*known.days, day}))
        return CompleteDays(known.portal_id if portal_id is None else portal_id, days)

    _change(store, with_day)


def drop_day(store: Store, day: str) -> None:
    """The manifest of the day is about to go. Raises `StoreError`."""
    _change(
        store,
        lambda known: CompleteDays(
            known.portal_id, tuple(each for each in known.days if each != day)
        ),
    )


def list_days_anew(store: Store) -> CompleteDays:
    """Put down the days that have a manifest, whatever was told before. Raises `StoreError`."""
    return _change(store, lambda known: listed_days(store, known.portal_id))


def is_day(name: str) -> bool:
    """Whether this is an ISO date, as a day's folder has for a name.

    >>> is_day("2026-11-22"), is_day("20261122"), is_day("parquet")
    (True, False, False)
    """
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def _change(store: Store, change: Callable[[CompleteDays], CompleteDays]) -> CompleteDays:
    """Nobody else's change is lost; a list that is absent or damaged is made anew."""
    for _ in range(_TRIES):
        found = store.versioned(INDEX)
        known = (_told(found.content) if found else None) or listed_days(store)
        content = (wanted := change(known)).to_json()
        if found and found.content == content:
            return wanted
        if store.swap(INDEX, content, found.version if found else None) is not None:
            return wanted
    raise StoreError(
        f"{store.url_of(INDEX)} could not be written: others change it all the time; run again",
        passing=True,
    )


def _told(content: bytes) -> CompleteDays | None:
    try:
        return CompleteDays.from_json(content)
    except ValueError:
        return None
