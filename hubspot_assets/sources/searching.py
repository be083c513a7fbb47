"""A look at a type's records by search, which costs little however many there are.

The search's index tells the ids of what was modified since the earlier reading, less an overlap. Of
all other records it tells how many there are in a range of ids: where that is not what is known,
the range is halved, and at last listed. Whoever is known and not in the index is perhaps gone.

That is no proof of anything. The ids that differ are read as those that a sweep misses, and those
that make no difference are taken as they were until the next sweep: what HubSpot changes without
moving the modified date, too. Numbers that contradict one another are a reason to sweep at once.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import GaveUp, IncompleteAnswer, Refused
from hubspot_assets.hubspot.search import PAGE, Search
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.fates import MERGED_IDS
from hubspot_assets.sources.look import (
    Look,
    archived_lately,
    archived_records,
    known_records,
    most_changed,
    newly_archived,
    seen_since,
)

log = logging.getLogger(__name__)

#: A range of so many known records is listed: to halve it once more would cost as much.
LISTED = 2 * PAGE
#: One of so many that has gone unseen takes as many requests to find as a sweep, or half of them.
ONE_OF = 2_000
#: The archived records are listed where they are no more than one to so many live ones. Those that
#: a longer list would tell of beside the ones that are missed wait for the next sweep.
ARCHIVED_TO_LIVE = 20


class _DontAddUpError(Exception):
    """What the index counts contradicts itself, or differs too much from what is known."""


def search(asked: Asked, base: Staged, counts: Counter[str]) -> Look | None:
    """Asks the index what has changed since `base`; None, and a line in the log, where that does
    not tell. Raises HubSpotError."""
    modified = asked.object_type.modified_property
    if modified not in asked.known.moments:
        log.warning("%s: has no property %s to search by; all are listed", asked.source, modified)
        return None
    try:
        return _look(asked, base, modified, counts)
    except (Refused, IncompleteAnswer, GaveUp, _DontAddUpError) as error:
        log.warning("%s: the search does not tell what has changed, so all are listed: %s",
                    asked.source, error)  # fmt: skip
        return None


def _look(asked: Asked, base: Staged, modified: str, counts: Counter[str]) -> Look:
    client, type_id, since = asked.client, asked.object_type.id, seen_since(base)
    before = known_records(base)
    known = before.filter(pl.col("gone").is_null())["id"].sort()
    most = most_changed(len(known))
    found = _modified(asked, Search(client, type_id, modified, since=since), most)
    if len(found.ids) > most:
        return Look(before, known, found.ids, _ids(), _ids(), found.last)
    merged = known.filter(known.is_in(found.merged.implode()) & ~known.is_in(found.ids.implode()))
    rest = known.filter(~known.is_in(found.ids.implode()) & ~known.is_in(merged.implode()))
    unmodified = Search(client, type_id, modified, before=since)
    missing, strangers = Counting(unmodified, rest, asked.workers).differing()
    binned = _ids()
    archived = archived_lately(before, base)
    if len(archived) * ARCHIVED_TO_LIVE <= len(known):
        binned = newly_archived(archived_records(asked, archived, counts), before)["id"]
    changed = pl.concat([found.ids, strangers]).unique()
    missing = pl.concat([merged, missing])
    return Look(
        before,
        pl.concat([rest.filter(~rest.is_in(missing.implode())), changed]),
        changed.filter(~changed.is_in(binned.implode())).sort(),
        missing.sort(),
        binned.sort(),
        found.last,
    )


@dataclass(frozen=True, slots=True)
class _Modified:
    """The `ids` of records that were modified, those that they name as `merged` into them, and the
    moment at which the last was found."""

    ids: pl.Series
    merged: pl.Series
    last: datetime


def _modified(asked: Asked, modified: Search, most: int) -> _Modified:
    """What was found; only a part, where that is more than `most` already.

    A record that is modified meanwhile stays in what is searched: whichever was at the beginning is
    found, and others may be.
    """
    ids: list[int] = []
    merged: list[int] = []
    last = datetime.now(UTC)
    names = (MERGED_IDS,) if MERGED_IDS in asked.known.listed else ()
    for page in modified.pages(names=names):
        ids += page.ids
        for each in page.results:
            told = (each.get("properties") or {}).get(MERGED_IDS) or ""
            merged += (int(digits) for digits in re.findall(r"\b[0-9]{1,18}\b", str(told)))
        last = page.received_at
        asked.report(asked.source, len(ids))
        if len(ids) > most:
            break
    return _Modified(_ids(ids), _ids(merged), last)


@dataclass(frozen=True, slots=True)
class _Range:
    """Ids from `first` until before `end`, of which the known ones are a slice of all; the index
    has `lacking` fewer than these."""

    first: int | None
    end: int | None
    start: int
    stop: int
    lacking: int = 0

    @property
    def known(self) -> int:
        """How many are known."""
        return self.stop - self.start


class Counting:
    """Finds where the index of `search` has other ids than the `known` ones, by counting."""

    def __init__(self, search: Search, known: pl.Series, workers: int) -> None:
        self._search = search
        self._known = known
        self._workers = workers
        self._most = len(known) // ONE_OF

    def differing(self) -> tuple[pl.Series, pl.Series]:
        """Known ids that the index does not have, and ids of the index that are not known.

        The first count, of all, is what proves the property that is searched by: by another one
        than HubSpot writes to, the index finds nothing, without a word.
        """
        few: list[_Range] = []
        level = self._counted([_Range(None, None, 0, len(self._known))])
        while level:
            few += (each for each in level if each.lacking and each.known <= LISTED)
            large = [each for each in level if each.lacking and each.known > LISTED]
            level = self._counted([half for each in large for half in self._halves(each)])
            for each, low, high in zip(large, level[::2], level[1::2], strict=True):
                # Meanwhile more may have gone; none has come that was not modified for so long.
                if low.lacking + high.lacking < each.lacking:
                    raise _DontAddUpError("it counts more in both halves of a range than in it")
        listed = list(in_order(self._listed, few, self._workers))
        missing, strangers = zip((_ids(), _ids()), *listed, strict=True)
        return pl.concat(missing), pl.concat(strangers)

    def _counted(self, ranges: list[_Range]) -> list[_Range]:
        def count(each: _Range) -> _Range:
            return replace(each, lacking=each.known - self._search.count(each.first, each.end))

        counted = list(in_order(count, ranges, self._workers))
        differences = sum(abs(each.lacking) for each in counted)
        if differences > self._most:
            raise _DontAddUpError(
                f"it counts {differences:,} more or fewer than the {len(self._known):,} that are "
                "known and unmodified"
            )
        return counted

    def _halves(self, of: _Range) -> tuple[_Range, _Range]:
        middle = (of.start + of.stop) // 2
        cut = int(self._known[middle])
        return _Range(of.first, cut, of.start, middle), _Range(cut, of.end, middle, of.stop)

    def _listed(self, of: _Range) -> tuple[pl.Series, pl.Series]:
        known = self._known[of.start : of.stop]
        told = [each for page in self._search.pages(of.first or 0, of.end) for each in page.ids]
        there = _ids(told)
        missing = known.filter(~known.is_in(there.implode()))
        strangers = there.filter(~there.is_in(known.implode()))
        if len(missing) - len(strangers) < of.lacking:
            raise _DontAddUpError("it counts fewer in a range than it finds there")
        return missing, strangers


def _ids(of: Sequence[int] = ()) -> pl.Series:
    return pl.Series("id", of, dtype=pl.Int64)
