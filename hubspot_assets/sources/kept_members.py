"""Which lists keep the members that an earlier reading found, and these members.

HubSpot tells of each list when a record was added and when one was removed, how many there are, and
when the list was changed. Where none of that has moved since a reading found as many members as
HubSpot counted, they are who they were. Where it does not tell when the last one was added it is no
proof, and soon after a move not all may have been there yet: such lists are read.

None of that need move when a member is merged with another record and so gets another id. So what
has become of the members' records is looked up in a later reading of these; without one the list is
read, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets import json_text
from hubspot_assets.hubspot.lists import SIZE
from hubspot_assets.moments import milliseconds
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.fates import live_ids
from hubspot_assets.sources.look import seen_since

_ADDED = "hs_last_record_added_at"
#: What a list is to tell of its changes beyond its own fields.
ADDITIONAL = (_ADDED, "hs_last_record_removed_at")
_CHANGED = ("updatedAt", "filtersUpdatedAt")
#: The column of the frame `lists` in which a reading keeps what a list told.
SIGNALS = "signals"


class Signals(NamedTuple):
    """What a list tells of its changes, as text, and when the last of them was, in epoch
    milliseconds."""

    text: str
    moved: int


def signals_of(content: Mapping[str, Any]) -> Signals | None:
    """What HubSpot tells of a list's changes; None where that does not tell of all of them."""
    extra = content.get("additionalProperties") or {}
    told = {name: extra.get(name) for name in ADDITIONAL}
    told |= {name: content.get(name) for name in _CHANGED}
    moments = [milliseconds(each) for each in told.values() if each not in (None, "")]
    known = [each for each in moments if each is not None]
    if milliseconds(told[_ADDED]) is None or len(known) < len(moments):
        return None
    return Signals(json_text.told(told | {SIZE: extra.get(SIZE)}), max(known))


class Told(NamedTuple):
    """A list as HubSpot tells of it now; `signals` are None where its members are to be read."""

    list_id: int
    signals: Signals | None


def kept_lists(staging: Staging, base: Staged, told: Sequence[Told]) -> Mapping[int, int]:
    """How many members each list has that keeps those of `base`, by list id.

    Raises StoreError.
    """
    since = int(seen_since(base).timestamp() * 1000)
    before = _read_whole(base)
    kept = {
        each.list_id: before[each.list_id, each.signals.text]
        for each in told
        if each.signals
        and each.signals.moved < since
        and (each.list_id, each.signals.text) in before
    }
    changed = set(_changed(base, list(kept), _live_records(staging, base)))
    return {list_id: members for list_id, members in kept.items() if list_id not in changed}


def _read_whole(base: Staged) -> dict[tuple[int, str], int]:
    """The members of lists of which a reading found as many as HubSpot told, by what each told."""
    found: dict[tuple[int, str], int] = {}
    for chunk in base.chunks():
        lists = chunk.read("lists").filter(
            pl.col("refused").is_null(),
            pl.col("status").is_null(),
            pl.col("members") == pl.col("size"),
            pl.col(SIGNALS).is_not_null(),
        )
        for list_id, signals, members in lists.select("listId", SIGNALS, "members").iter_rows():
            found[list_id, signals] = members
    return found


def _live_records(staging: Staging, base: Staged) -> Callable[[str], pl.Series | None]:
    """Gives the ids of the live records of a type; None where no reading tells of the time since
    `base`."""

    @cache
    def live(type_id: str) -> pl.Series | None:
        records = staging.newest(f"objects/{type_id}")
        if records is None or not records.availability.served or records.began < base.began:
            return None
        ids = [live_ids(chunk) for chunk in records.chunks()]
        return pl.concat([pl.Series("id", dtype=pl.Int64), *ids])

    return live


def _changed(
    base: Staged, lists: Sequence[int], live: Callable[[str], pl.Series | None]
) -> Iterator[int]:
    """Those of the `lists` that have a member in `base` who is no live record, or may be none."""
    of_those = pl.col("listId").is_in(lists)
    for chunk in base.chunks():
        members = chunk.read("members", ["listId", "recordId", "objectTypeId"]).filter(of_those)
        for (type_id,), of_type in members.group_by("objectTypeId"):
            ids = live(str(type_id))
            known = pl.lit(value=False) if ids is None else pl.col("recordId").is_in(ids.implode())
            yield from of_type.filter(~known)["listId"].unique()


class MembersBefore:
    """The members that an earlier reading holds, taken out by list in their order."""

    def __init__(self, base: Staged) -> None:
        self._chunks = base.chunks()
        self._held: Mapping[int, pl.DataFrame] = {}
        self._read_to = -1

    def of(self, list_id: int) -> Iterator[pl.DataFrame]:
        """The members of a list, in the frames in which they are staged; none of an earlier one
        can be had any more."""
        while True:
            if list_id in self._held:
                yield self._held[list_id]
            if self._read_to > list_id or (chunk := next(self._chunks, None)) is None:
                return
            by_list = chunk.read("members").partition_by("listId", as_dict=True)
            self._held = {int(key[0]): frame for key, frame in by_list.items()}
            self._read_to = max(self._held, default=self._read_to)
