"""What becomes of records: gone for good or for a while, and born by a merge.

In the frame `records` (`flatten`):

* `gone` is "archived", "merged" or "erased", `goneAt` when: what HubSpot tells, and of an erased
  record when a reading last found it. Its values are the last that were known. A record that was
  merged away before any reading found it has no readAt, no values, and no more than its id.
* `mergedInto` is the record that a merged one lives on in, null where a chain hides it.
* A merge makes a new record of its two: `bornAt` tells when. Before, its id was nobody's.
* `awayFrom` and `awayUntil` tell of a record that was restored when it was gone last.

HubSpot tells of merges in a property of the record that they made, `hs_merged_object_ids`, and of
their moments in its history, which is that of both records that were merged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import polars as pl

from hubspot_assets.readings.merging import Chunk
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, with_columns_of

ARCHIVED, MERGED, ERASED = "archived", "merged", "erased"
MERGED_IDS = "hs_merged_object_ids"


@dataclass(frozen=True, slots=True)
class Merge:
    """A record that was merged away. `into` is where it lives on, one of the `candidates` if it is
    not known."""

    record_id: int
    at: datetime | None
    into: int | None
    candidates: tuple[int, ...] = ()


def live_ids(chunk: Chunk) -> pl.Series:
    """The ids of a chunk's records that are not gone."""
    return chunk.read("records", ["id", "gone"]).filter(pl.col("gone").is_null())["id"]


def erased_before(moment: datetime) -> pl.Expr:
    """Which of the frame `records` were erased before a moment."""
    limit = pl.lit(moment.replace(tzinfo=None), RECORDS_SCHEMA["goneAt"])
    return ((pl.col("gone") == ERASED) & (pl.col("goneAt") < limit)).fill_null(value=False)


def erased_since(records: pl.DataFrame, began: datetime) -> int:
    """How many records are known to be erased since the reading that `began` then found them."""
    last_seen = pl.lit(began.replace(tzinfo=None), RECORDS_SCHEMA["goneAt"])
    return records.filter((pl.col("gone") == ERASED) & (pl.col("goneAt") == last_seen)).height


def with_births(records: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """`records` with bornAt of those that a merge made, as their values tell.

    Such a merge names both records that went into it, one that left a record its id the other one
    alone.
    """
    born = {
        record_id: entries[-1][0]
        for record_id, entries in _entries(values)
        if _made_a_new_one(entries)
    }
    if not born:
        return records
    births = pl.DataFrame(
        {"id": list(born), "born": list(born.values())},
        schema={"id": pl.Int64, "born": RECORDS_SCHEMA["bornAt"]},
    )
    return (
        records.join(births, on="id", how="left", maintain_order="left")
        .with_columns(bornAt=pl.col("born").fill_null(pl.col("bornAt")))
        .drop("born")
    )


def merges_in(values: pl.DataFrame) -> Iterator[Merge]:
    """Every merge that led to the records whose `values` these are, each record once."""
    for survivor, entries in _entries(values):
        new = _made_a_new_one(entries)
        seen: set[int] = {survivor}
        for number, (at, ids) in enumerate(entries):
            following = entries[number + 1 :]
            into = None if following and new else survivor
            candidates = tuple(following[0][1]) if following and new else ()
            for each in ids:
                if each not in seen:
                    seen.add(each)
                    yield Merge(each, at, into, candidates)


def unseen(merges: Collection[Merge], known: Collection[int]) -> pl.DataFrame:
    """The `records` frame of those that were merged away and are not `known`, by id."""
    hidden = {each.record_id: each for each in merges if each.record_id not in known}
    survivors = {each.record_id: survivor_of(each, known) for each in merges}
    born = {survivors[each.record_id]: each.at for each in merges if each.into is None}
    columns = ("id", "gone", "goneAt", "mergedInto", "bornAt")
    frame = pl.DataFrame(
        [(i, MERGED, hidden[i].at, survivors[i], born.get(i)) for i in sorted(hidden)],
        schema={name: RECORDS_SCHEMA[name] for name in columns},
        orient="row",
    )
    return with_columns_of(frame, RECORDS_SCHEMA)


def survivor_of(merge: Merge, known: Collection[int]) -> int | None:
    """Where a merged record lives on. Of a chain it is the link that no reading found, if there is
    one alone: one that was found told of the merge itself."""
    if merge.into is not None:
        return merge.into
    hidden = [each for each in merge.candidates if each not in known]
    return hidden[0] if len(hidden) == 1 else None


def _entries(
    values: pl.DataFrame,
) -> Iterator[tuple[int, list[tuple[datetime | None, list[int]]]]]:
    """What each record tells of merges: when, and the ids, oldest first."""
    told = values.filter((pl.col("name") == MERGED_IDS) & (pl.col("value") != ""))
    rows = told.select("id", "timestamp", pl.col("value").str.extract_all("[0-9]+")).iter_rows()
    for record_id, of in groupby(rows, itemgetter(0)):
        yield record_id, [(at, [int(each) for each in ids if len(each) < 19]) for _, at, ids in of]


def _made_a_new_one(entries: list[tuple[datetime | None, list[int]]]) -> bool:
    *before, (_, newest) = entries
    return len(set(newest) - {each for _, ids in before for each in ids}) > 1
