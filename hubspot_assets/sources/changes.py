"""What has changed of a type's records since an earlier reading, found by looking at all of them.

A sweep lists every record, 100 a page, with its modified date and the properties that HubSpot
calculates, whose changes need not move that date. A record that had changed shortly before it was
read is read again, since HubSpot stores values some minutes after their moment. Compared with the
earlier reading it shows which are new, changed, restored or gone; these alone are read, whole.
HubSpot tells of those that are archived, and which were merged into others; the rest was erased.

What HubSpot tells of a record takes the place of what was known of it, but for values so old that
HubSpot has dropped them: those stay.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import polars as pl

from hubspot_assets.day import SETTLING
from hubspot_assets.hubspot.errors import BadRequest, NotServed, Unexplained
from hubspot_assets.hubspot.records import (
    Page,
    Record,
    answering_for,
    fits_url,
    list_records,
)
from hubspot_assets.readings.ordering import Reader
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.earlier import Earlier
from hubspot_assets.sources.fates import ERASED, MERGED, Merge, merges_in, unseen
from hubspot_assets.sources.flatten import (
    MOMENT,
    RECORDS_SCHEMA,
    VALUES_SCHEMA,
    records_frame,
    values_frame,
    with_columns_of,
)
from hubspot_assets.sources.gone import with_merges
from hubspot_assets.sources.nested import in_order, nested, nested_chunk
from hubspot_assets.sources.record_chunks import SEEN, flattened
from hubspot_assets.sources.union import united
from hubspot_assets.tables.counts import (
    ARCHIVED_UNTOLD,
    MOMENTS_UNREAD,
    RECORDS_GONE,
    RECORDS_UNREAD,
    UNLIKE_HISTORY,
    VALUES_UNTOLD,
    VALUES_UNWRITABLE,
)
from hubspot_assets.tables.records import history_cap

log = logging.getLogger(__name__)

#: Of so many in a hundred a full reading is cheaper than to look what has changed.
MOST_CHANGED = 30
#: Changes of so many in a hundred of a base are written together with it.
MOST_APART = 25
_FEW = 1_000

_LOOKED_AT = ("id", "updatedAt", "readAt", "gone", "goneAt")

#: Counts of what was done to values, which unchanged records keep.
_KEPT = (MOMENTS_UNREAD, UNLIKE_HISTORY, VALUES_UNTOLD, VALUES_UNWRITABLE)


def read_changes(asked: Asked, staging: Staging, base: Staged) -> Staged | None:
    """Stages what has changed since `base`, whose plan must be that of today.

    None where a full reading is better: the names to look at don't fit a URL, or too much has
    changed. Raises HubSpotError and StoreError.
    """
    if not fits_url([*asked.known.swept, "hs_object_id"]):
        log.warning("%s: too many calculated properties to look for changes", asked.source)
        return None
    reading = staging.begin_changes(base, base.plan)
    look = _Look.at(asked, base, reading.counts)
    if look.to_read > max(_FEW, look.listed.height * MOST_CHANGED // 100):
        log.warning(
            "%s: %s of %s records have changed: all are read",
            asked.source, f"{look.to_read:,}", f"{look.listed.height:,}",
        )  # fmt: skip
        return None
    reading.counts.update({name: base.counts.get(name, 0) for name in _KEPT})
    reading.counts.update({name: n for name, n in base.counts.items() if name.startswith(SEEN)})
    reading.counts["records"] = look.listed.height
    reading.counts["changed"] = look.to_read
    fresh = _Fresh(asked, look, base, reading.counts)
    touched = Earlier(base, look.touched)
    former = (partial(nested_chunk, chunk) for chunk in base.changes)
    apart = 0
    for records, values in in_order(chain(fresh.readers(), former)):
        told = with_merges(records, fresh.merges, fresh.known)
        whole = united(told, values, *touched.until(int(records["id"][-1])), cap=fresh.cap)
        reading.add(dict(zip(("records", "values"), whole, strict=True)), after=None)
        apart += records.height
    staged = reading.finish(base.availability, fresh.last)
    if apart > max(_FEW, look.before.height * MOST_APART // 100):
        return staging.compacted(staged)
    return staged


@dataclass(frozen=True, slots=True)
class _Look:
    """What a sweep sees. `before` are the records that were known, `listed` those that are live;
    `changed` ids are to be read as live ones, `missing` ones wherever they are, `binned` ones as
    archived."""

    before: pl.DataFrame
    listed: pl.DataFrame
    changed: pl.Series
    missing: pl.Series
    binned: pl.Series
    last: datetime

    @classmethod
    def at(cls, asked: Asked, base: Staged, counts: Counter[str]) -> _Look:
        """Reads the lists of live and of archived records, and what the base holds."""
        before = _before(base, asked.known.swept)
        listed, last = _sweep(asked)
        archived = _archived(asked, counts)
        joined = listed.join(before, on="id", how="left", suffix="_before")
        changed = joined.filter(
            pl.col("was_known").is_null()
            | pl.col("gone").is_not_null()
            | pl.col("updatedAt").ne_missing(pl.col("updatedAt_before"))
            | (pl.col("updatedAt") >= pl.col("readAt") - SETTLING)
            | pl.col("print").ne_missing(pl.col("print_before"))
        )["id"]
        missing = before.filter(pl.col("gone").is_null()).join(listed, on="id", how="anti")["id"]
        binned = archived.join(before, on="id", how="left").filter(
            pl.col("gone").is_null()
            | ((pl.col("gone") != MERGED) & pl.col("goneAt").ne_missing(pl.col("archivedAt")))
        )["id"]
        changed = changed.filter(~changed.is_in(binned.implode()))
        return cls(before, listed, changed.sort(), missing.sort(), binned.sort(), last)

    @property
    def touched(self) -> pl.Series:
        """All ids that are looked at again."""
        return pl.concat([self.changed, self.missing, self.binned]).unique().sort()

    @property
    def to_read(self) -> int:
        """How many those are."""
        return len(self.touched)


class _Fresh:
    """What HubSpot tells of the ids of a look; `merges`, `known` ids and `last` fill meanwhile."""

    def __init__(self, asked: Asked, look: _Look, base: Staged, counts: Counter[str]) -> None:
        self.asked = asked
        self.look = look
        self.cap = history_cap(asked.object_type.id)
        self.merges: list[Merge] = []
        self.known: set[int] = set()
        self.last = look.last
        self._base = base
        self._counts = counts

    def readers(self) -> Iterator[Reader]:
        """Nested frames: of records that were found, then of those that are gone without more."""
        look = self.look
        gone = pl.concat([look.missing, look.binned]).unique().sort()
        lost: list[int] = []
        yield from self._read(gone, lost, archived=True)
        vanished: list[int] = []
        yield from self._read(sorted({*look.changed, *lost}), vanished)
        erased: list[int] = [each for each in vanished if each in set(lost)]
        late = sorted(set(vanished) - set(lost))
        yield from self._read(late, erased, archived=True)
        self.merges += self._untold_merges(erased)
        self.known = self._known()
        yield partial(nested, self._erased(erased), pl.DataFrame(schema=VALUES_SCHEMA))
        hidden = unseen(self.merges, self.known)
        yield partial(nested, hidden, pl.DataFrame(schema=VALUES_SCHEMA))

    def _read(
        self, ids: Sequence[int] | pl.Series, lost: list[int], *, archived: bool = False
    ) -> Iterator[Reader]:
        for part, page in self.asked.batches(list(ids), archived=archived):
            self._counts[RECORDS_UNREAD] += len(page.refused)
            found = {each["id"] for each in page.records}
            lost += (int(each) for each in part if each not in found | page.refused)
            self.last = max(self.last, page.received_at)
            yield partial(nested, *self._flattened(page, archived=archived))

    def _flattened(self, page: Page, *, archived: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
        told: list[Record] = [{**each, "archived": archived} for each in page.records]
        moments = [page.received_at] * len(told)
        records, values = flattened(told, moments, self.asked.known, self._counts)
        self.merges += merges_in(values)
        for name in self.asked.known.unlisted & set(values["name"].unique()):
            self._counts[f"{SEEN}{name}"] += 1
        return records, values

    def _untold_merges(self, lost: Sequence[int]) -> list[Merge]:
        """Those that only HubSpot's answer for a merged record tells of, not its survivor."""
        told = {each.record_id for each in self.merges}
        client, type_id = self.asked.client, self.asked.object_type.id
        unknown = [each for each in lost if each not in told]
        answers = [(each, answering_for(client, type_id, str(each))) for each in unknown]
        return [Merge(each, None, int(into)) for each, into in answers if into]

    def _known(self) -> set[int]:
        """The ids of what merges tell of that a reading has found, or this one lists."""
        ids = {i for each in self.merges for i in (each.record_id, *each.candidates)}
        known = pl.concat([self.look.before["id"], self.look.listed["id"], self.look.binned])
        return set(known.filter(known.is_in(pl.Series(list(ids), dtype=pl.Int64).implode())))

    def _erased(self, ids: Sequence[int]) -> pl.DataFrame:
        """The `records` frame of those that are neither live nor archived, and were known."""
        before = self.look.before
        found = before.filter(
            pl.col("id").is_in(pl.Series(list(ids), dtype=pl.Int64).implode())
            & pl.col("gone").is_null()
        )["id"]
        self._counts[RECORDS_GONE] += len(ids) - len(found)
        last_seen = self._base.began.replace(tzinfo=None)
        frame = pl.DataFrame({"id": found}).with_columns(
            gone=pl.lit(ERASED), goneAt=pl.lit(last_seen, MOMENT)
        )
        return with_columns_of(frame, RECORDS_SCHEMA)


def _before(base: Staged, names: Sequence[str]) -> pl.DataFrame:
    """What a reading holds of each record: what is looked at, and the print of its values."""
    found = []
    for chunk in base.chunks():
        records = chunk.read("records", list(_LOOKED_AT))
        values = chunk.read("values", ["id", "name", "value"])
        prints = _prints(values.filter(pl.col("name").is_in(list(names))))
        found.append(records.join(prints, on="id", how="left", maintain_order="left"))
    schema = {name: RECORDS_SCHEMA[name] for name in _LOOKED_AT}
    empty = pl.DataFrame(schema={**schema, "print": pl.UInt64})
    return pl.concat([empty, *found]).with_columns(was_known=True)


def _sweep(asked: Asked) -> tuple[pl.DataFrame, datetime]:
    """The live records: id, updatedAt and print of each, and the moment of reading."""
    found: list[pl.DataFrame] = []
    last = datetime.now(UTC)
    names = asked.known.swept or ["hs_object_id"]
    for page in list_records(asked.client, asked.object_type.id, names):
        last = page.received_at
        live = [each for each in page.records if not each.get("archived")]
        for each in live:
            properties = each.get("properties") or {}
            each["properties"] = {name: properties.get(name) for name in asked.known.swept}
        counts: Counter[str] = Counter()
        records = records_frame(live, [last] * len(live), counts).select("id", "updatedAt")
        values = values_frame(live, asked.known.moments, counts)
        found.append(records.join(_prints(values), on="id", how="left"))
        asked.report(asked.source, sum(each.height for each in found))
    empty = pl.DataFrame(
        schema={"id": pl.Int64, "updatedAt": RECORDS_SCHEMA["updatedAt"], "print": pl.UInt64}
    )
    return pl.concat([empty, *found]).unique("id", keep="last"), last


def _archived(asked: Asked, counts: Counter[str]) -> pl.DataFrame:
    """The archived records: id and archivedAt."""
    found = [pl.DataFrame(schema={"id": pl.Int64, "archivedAt": MOMENT})]
    try:
        for page in list_records(
            asked.client, asked.object_type.id, ["hs_object_id"], archived=True
        ):
            told = [{**each, "archived": True} for each in page.records]
            moments = [page.received_at] * len(told)
            records, _ = flattened(told, moments, asked.known, Counter())
            found.append(records.select("id", archivedAt="goneAt"))
    except (NotServed, BadRequest, Unexplained):
        if len(found) > 1:
            raise
        counts[ARCHIVED_UNTOLD] = 1
    return pl.concat(found).unique("id", keep="last")


def _prints(values: pl.DataFrame) -> pl.DataFrame:
    """A number per record, another for other present values; `values` is in order of time."""
    last = (pl.col("id") != pl.col("id").shift(-1)) | (pl.col("name") != pl.col("name").shift(-1))
    present = values.filter(last.fill_null(value=True)).filter(pl.col("value") != "")
    return present.group_by("id").agg(print=pl.struct("name", "value").hash().sum())
