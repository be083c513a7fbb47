"""What has changed of a type's records since an earlier reading, and what becomes of it.

A look at them (`look`) shows which are new, changed, restored or gone; these alone are read, whole.
HubSpot tells of those that are archived, and which were merged into others; the rest was erased.

What HubSpot tells of a record takes the place of what was known of it, but for values so old that
HubSpot has dropped them: those stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

import polars as pl

from hubspot_assets.readings.ordering import Reader
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.earlier import Earlier
from hubspot_assets.sources.fates import (
    ERASED,
    Merge,
    erased_before,
    erased_since,
    merges_in,
    unseen,
)
from hubspot_assets.sources.flatten import (
    MOMENT,
    RECORDS_SCHEMA,
    VALUES_SCHEMA,
    with_columns_of,
)
from hubspot_assets.sources.gone import with_merges
from hubspot_assets.sources.look import FEW, Look
from hubspot_assets.sources.nested import in_order, nested, nested_chunk
from hubspot_assets.sources.record_chunks import SEEN, of_page
from hubspot_assets.sources.searching import search
from hubspot_assets.sources.sweeping import can_sweep, sweep
from hubspot_assets.sources.union import united
from hubspot_assets.tables.counts import (
    ARCHIVED_UNTOLD,
    MOMENTS_UNREAD,
    RECORDS_ERASED,
    RECORDS_GONE,
    RECORDS_MISSED,
    RECORDS_UNREAD,
    UNLIKE_HISTORY,
    VALUES_UNTOLD,
    VALUES_UNWRITABLE,
)
from hubspot_assets.tables.records import history_cap

log = logging.getLogger(__name__)

#: Changes of so many in a hundred of a base are written together with it.
MOST_APART = 25

#: Counts of what was done to values, which unchanged records keep.
_KEPT = (MOMENTS_UNREAD, UNLIKE_HISTORY, VALUES_UNTOLD, VALUES_UNWRITABLE)


def read_changes(
    asked: Asked, staging: Staging, base: Staged, *, by_search: bool = False
) -> Staged | None:
    """Stages what has changed since `base`, whose plan must be that of today.

    `by_search`, unless the search does not tell. None where a full reading is better: the names to
    look at don't fit a URL, or too much has changed. Raises HubSpotError and StoreError.
    """
    reading = staging.begin_changes(base, base.plan)
    look = search(asked, base, reading.counts) if by_search else None
    if look:
        reading.swept_at = base.swept_at
    elif can_sweep(asked):
        look = sweep(asked, base, reading.counts)
        reading.counts["drift"] = look.drift
        reading.counts[RECORDS_MISSED] = look.drift if base.swept_at < base.began else 0
    else:
        log.warning("%s: too many calculated properties to look for changes", asked.source)
        return None
    if look.too_much:
        log.warning(
            "%s: at least %s of %s records have changed: all are read",
            asked.source, f"{len(look.touched):,}", f"{len(look.live):,}",
        )  # fmt: skip
        return None
    reading.counts.update({name: base.counts.get(name, 0) for name in _KEPT})
    reading.counts.update({name: n for name, n in base.counts.items() if name.startswith(SEEN)})
    reading.counts["records"] = len(look.live)
    reading.counts["changed"] = len(look.touched)
    fresh = _Fresh(asked, look, base.began, reading)
    touched = Earlier(base, look.touched)
    former = (partial(nested_chunk, chunk) for chunk in base.changes)
    cap = history_cap(asked.object_type.id)
    apart = 0
    for records, values in in_order(chain(fresh.readers(), former)):
        told = with_merges(records, fresh.merges, fresh.known)
        reading.counts[RECORDS_ERASED] += erased_since(told, base.began)
        known = touched.until(int(records["id"][-1]))
        whole, all_values = united(told, values, *known, cap=cap, asked=asked.known.names)
        reading.add({"records": whole, "values": all_values}, after=None)
        apart += records.height
    asked.note_own_count(reading.counts)
    staged = reading.finish(base.availability, fresh.last)
    no_longer_kept = erased_before(asked.kept_since)
    many = apart > max(FEW, look.before.height * MOST_APART // 100)
    if many or look.before.filter(no_longer_kept).height:
        return staging.compacted(staged, no_longer_kept)
    return staged


class _Fresh:
    """What HubSpot tells of the ids of a look; `merges`, `known` ids and `last` fill meanwhile."""

    def __init__(self, asked: Asked, look: Look, base_began: datetime, reading: Reading) -> None:
        self.asked = asked
        self.look = look
        self.merges: list[Merge] = []
        self.known: set[int] = set()
        self.last = look.last
        self._base_began = base_began
        self._began = reading.began
        self._counts = reading.counts

    def readers(self) -> Iterator[Reader]:
        """Nested frames: of records that were found, then of those that are gone without more."""
        look = self.look
        lost, vanished, erased = list[int](), list[int](), list[int]()
        yield from self._read(look.gone, lost, archived=True)
        yield from self._read(look.changed, vanished)
        yield from self._read(lost, erased, silent=True)
        self._counts["records"] += len(lost) - len(erased) - len(vanished)
        yield from self._read(vanished, erased, archived=True)
        self.merges += self._untold_merges(erased)
        self.known = self._known()
        yield partial(nested, self._erased(erased), pl.DataFrame(schema=VALUES_SCHEMA))
        hidden = unseen(self.merges, self.known)
        yield partial(nested, hidden, pl.DataFrame(schema=VALUES_SCHEMA))

    def _read(
        self,
        ids: Sequence[int] | pl.Series,
        lost: list[int],
        *,
        archived: bool = False,
        silent: bool = False,
    ) -> Iterator[Reader]:
        if archived and self._counts[ARCHIVED_UNTOLD]:
            lost.extend(ids)
            return
        for part, page in self.asked.batches(
            sorted(ids), archived=archived, silent=silent or archived
        ):
            self._counts[RECORDS_UNREAD] += len(page.refused)
            found = {each["id"] for each in page.records}
            # A live one that is refused stays as it was known; it is not among the archived ones.
            left = found if archived else found | page.refused
            lost += (int(each) for each in part if each not in left)
            self.last = max(self.last, page.received_at)
            records, values = of_page(page, self.asked.known, self._counts, archived=archived)
            self.merges += merges_in(values)
            for name in self.asked.known.unlisted & set(values["name"].unique()):
                self._counts[f"{SEEN}{name}"] += 1
            yield partial(nested, records, values)

    def _untold_merges(self, lost: Sequence[int]) -> list[Merge]:
        """Those that only HubSpot's answer for a merged record tells of, not its survivor."""
        told = {each.record_id for each in self.merges}
        answers = self.asked.answering([each for each in lost if each not in told])
        return [Merge(each, None, int(into)) for each, into in answers if into]

    def _known(self) -> set[int]:
        """The ids of what merges tell of that a reading has found, or this one lists."""
        ids = {i for each in self.merges for i in (each.record_id, *each.candidates)}
        known = pl.concat([self.look.before["id"], self.look.live, self.look.binned])
        return set(known.filter(known.is_in(pl.Series(list(ids), dtype=pl.Int64).implode())))

    def _erased(self, ids: Sequence[int]) -> pl.DataFrame:
        """The `records` frame of those that are neither live nor archived, and were known.

        One that this reading has listed was there when it began.
        """
        wanted = pl.Series(ids, dtype=pl.Int64).implode()
        known = self.look.before.filter(pl.col("id").is_in(wanted) & pl.col("gone").is_null())
        listed = pl.col("id").is_in(self.look.live.implode())
        frame = known.select(
            "id",
            gone=pl.lit(ERASED),
            goneAt=pl.when(listed)
            .then(pl.lit(self._began.replace(tzinfo=None), MOMENT))
            .otherwise(pl.lit(self._base_began.replace(tzinfo=None), MOMENT)),
        )
        self._counts[RECORDS_GONE] += len(set(ids)) - known.height
        return with_columns_of(frame, RECORDS_SCHEMA)
