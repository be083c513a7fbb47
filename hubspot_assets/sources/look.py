"""What a look at a type's records shows, beside what an earlier reading knew of them.

There are two ways to look: `sweeping` and `searching`. What is seen is only where to look again:
whatever has changed is read, whole, by its id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from hubspot_assets.hubspot.errors import BadRequest, NotServed, Unexplained
from hubspot_assets.hubspot.ranges import Cuts
from hubspot_assets.hubspot.records import list_records
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.fates import ARCHIVED, MERGED
from hubspot_assets.sources.flatten import MOMENT, RECORDS_SCHEMA
from hubspot_assets.sources.record_chunks import of_page
from hubspot_assets.tables.counts import ARCHIVED_UNTOLD

#: Of so many in a hundred a full reading is cheaper than to look what has changed.
MOST_CHANGED = 30
#: So many are never too many.
FEW = 1_000
#: Before the earlier reading began, so much of what had happened may not have been seen yet: dates
#: are stored up to a minute after their moment, values up to five, and the search's index, which
#: follows within seconds, is given the margin that others leave it.
OVERLAP = timedelta(hours=1)
#: How long HubSpot lists a record that was archived.
_LISTS_ARCHIVED = timedelta(days=90)

_KNOWN = ("id", "updatedAt", "readAt", "gone", "goneAt")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. `before` are the records that were known, `live` the ids of those that are
    there now; `changed` ids are to be read as live ones, `missing` ones wherever they are, `binned`
    ones as archived. `drift` is how many of these a search would not have found."""

    before: pl.DataFrame
    live: pl.Series
    changed: pl.Series
    missing: pl.Series
    binned: pl.Series
    last: datetime
    drift: int = 0

    @property
    def gone(self) -> pl.Series:
        """The ids that are perhaps no live ones any more."""
        return pl.concat([self.missing, self.binned]).unique().sort()

    @property
    def touched(self) -> pl.Series:
        """All ids that are looked at again."""
        return pl.concat([self.changed, self.gone]).unique().sort()

    @property
    def too_much(self) -> bool:
        """Whether so much has changed that reading all is better."""
        return len(self.touched) > most_changed(len(self.live))


def most_changed(live: int) -> int:
    """Of how many changes that number of records is better read whole."""
    return max(FEW, live * MOST_CHANGED // 100)


def seen_since(base: Staged) -> datetime:
    """Whatever was modified before that, a reading has seen."""
    return base.began - OVERLAP


def known_records(base: Staged, values: Sequence[str] | None = None) -> pl.DataFrame:
    """What a reading holds of each record: what is looked at, and the print of its `values`."""
    found = []
    for chunk in base.chunks():
        records = chunk.read("records", list(_KNOWN))
        if values is not None:
            told = chunk.read("values", ["id", "name", "value"])
            of_those = prints(told.filter(pl.col("name").is_in(list(values))))
            records = records.join(of_those, on="id", how="left", maintain_order="left")
        found.append(records)
    schema = {name: RECORDS_SCHEMA[name] for name in _KNOWN}
    if values is not None:
        schema |= {"print": pl.UInt64()}
    return pl.concat([pl.DataFrame(schema=schema), *found]).with_columns(was_known=True)


def prints(values: pl.DataFrame) -> pl.DataFrame:
    """A number per record, another for other present values; `values` is in order of time."""
    last = (pl.col("id") != pl.col("id").shift(-1)) | (pl.col("name") != pl.col("name").shift(-1))
    present = values.filter(last.fill_null(value=True)).filter(pl.col("value") != "")
    return present.group_by("id").agg(print=pl.struct("name", "value").hash().sum())


def archived_lately(before: pl.DataFrame, base: Staged) -> pl.Series:
    """The ids of what was known to be archived, as far as HubSpot lists it still; in order."""
    since = pl.lit((seen_since(base) - _LISTS_ARCHIVED).replace(tzinfo=None))
    return before.filter(pl.col("gone") == ARCHIVED, pl.col("goneAt") >= since)["id"].sort()


def parted_at(known: pl.Series) -> Cuts:
    """Parts a list by ids that are `known` of it, in order."""

    def cuts(above: int, apart: int) -> pl.Series:
        return known.filter(known > above).gather_every(apart, apart)

    return cuts


def archived_records(asked: Asked, known: pl.Series, counts: Counter[str]) -> pl.DataFrame:
    """The archived records: id and archivedAt. Where their list may be parted, ids that are `known`
    of them tell, in order."""
    found = [pl.DataFrame(schema={"id": pl.Int64, "archivedAt": MOMENT})]
    try:
        for page in list_records(
            asked.client,
            asked.object_type.id,
            ["hs_object_id"],
            archived=True,
            cuts=parted_at(known),
            workers=asked.workers,
        ):
            records, _ = of_page(page, asked.known, Counter(), archived=True)
            found.append(records.select("id", archivedAt="goneAt"))
    except (NotServed, BadRequest, Unexplained):
        if len(found) > 1:
            raise
        counts[ARCHIVED_UNTOLD] = 1
    return pl.concat(found).unique("id", keep="last")


def newly_archived(archived: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Those of the `archived` records that were live before, unknown, or archived another time."""
    return archived.join(before, on="id", how="left").filter(
        pl.col("gone").is_null()
        | ((pl.col("gone") != MERGED) & pl.col("goneAt").ne_missing(pl.col("archivedAt")))
    )
