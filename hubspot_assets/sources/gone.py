"""Records that are gone: archived ones, and those that were merged away before they were read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import polars as pl

from hubspot_assets.hubspot.errors import BadRequest, NotServed, Unexplained
from hubspot_assets.hubspot.records import read_records
from hubspot_assets.readings.ordering import Reader
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.earlier import not_found
from hubspot_assets.sources.fates import (
    ARCHIVED,
    MERGED,
    Merge,
    erased_since,
    merges_in,
    survivor_of,
    unseen,
)
from hubspot_assets.sources.flatten import MOMENT, VALUES_SCHEMA
from hubspot_assets.sources.nested import in_order, nested
from hubspot_assets.sources.record_chunks import of_page
from hubspot_assets.tables.counts import ARCHIVED_UNTOLD, RECORDS_ERASED, RECORDS_UNREAD


def read_gone(
    asked: Asked,
    reading: Reading,
    merges: Sequence[Merge],
    earlier: Staged | None,
    unread: Collection[int] = (),
) -> datetime:
    """Stages them as changes of what is staged by now; gives the moment of reading.

    `merges` are those that the live records tell of. Of those that are nowhere any more an
    `earlier` reading tells, if there is one, and of those `unread`, which HubSpot refused. It tells
    of archived records for some three months, with their histories; that it does not of a type's
    is counted. Raises HubSpotError and StoreError.
    """
    reading.resumable = False
    told = list(merges)
    known: set[int] = set()
    refused = set(unread)
    last = [datetime.now(UTC)]

    def readers() -> Iterator[Reader]:
        pages = read_records(
            asked.client,
            asked.object_type.id,
            asked.known.names,
            workers=asked.workers,
            archived=True,
        )
        try:
            for page in pages:
                last.append(page.received_at)
                reading.counts[RECORDS_UNREAD] += len(page.refused)
                refused.update(map(int, page.refused))
                records, values = of_page(page, asked.known, reading.counts, archived=True)
                told.extend(merges_in(values))
                known.update(records["id"])
                yield partial(nested, records, values)
        except (NotServed, BadRequest, Unexplained):
            if known:
                raise
            reading.counts[ARCHIVED_UNTOLD] = 1
        if earlier:
            live = [chunk.read("records", ["id"])["id"] for chunk in reading.staged()]
            found = pl.concat([*live, pl.Series("id", list(known), dtype=pl.Int64)])
            for records, values in not_found(earlier, found, refused, asked.kept_since):
                known.update(records["id"])
                yield partial(nested, records, values)
        known.update(_among_staged(reading, told))
        yield partial(nested, unseen(told, known), pl.DataFrame(schema=VALUES_SCHEMA))

    base = reading.chunks_staged
    for records, values in in_order(readers()):
        if reading.base is None:
            reading.changes_from_here()
        whole = with_merges(records, told, known)
        if earlier:
            reading.counts[RECORDS_ERASED] += erased_since(whole, earlier.began)
        reading.add({"records": whole, "values": values}, after=None)
    reading.counts[ARCHIVED] = len(known) if reading.chunks_staged > base else 0
    return last[-1]


def with_merges(records: pl.DataFrame, merges: Sequence[Merge], known: set[int]) -> pl.DataFrame:
    """`records` in which those that are gone, and by `merges` merged away, say so.

    One that was archived had come back before, nobody knows when: it was away until it was merged.
    """
    by_id = {each.record_id: each for each in reversed(merges)}
    found = [
        (each, by_id[each].at, survivor_of(by_id[each], known))
        for each in records.filter(pl.col("gone").is_not_null() & (pl.col("gone") != MERGED))["id"]
        if each in by_id
    ]
    if not found:
        return records
    schema = {"id": pl.Int64(), "at": MOMENT, "into": pl.Int64()}
    merged = pl.DataFrame(found, schema=schema, orient="row").with_columns(is_merged=True)
    was_archived = (pl.col("gone") == ARCHIVED) & (pl.col("goneAt") < pl.col("at"))
    return (
        records.join(merged, on="id", how="left", maintain_order="left")
        .with_columns(
            awayFrom=pl.when(was_archived).then("goneAt").otherwise("awayFrom"),
            awayUntil=pl.when(was_archived).then("at").otherwise("awayUntil"),
            gone=pl.when("is_merged").then(pl.lit(MERGED)).otherwise("gone"),
            goneAt=pl.when("is_merged")
            .then(pl.col("at").fill_null(pl.col("goneAt")))
            .otherwise("goneAt"),
            mergedInto=pl.when("is_merged").then("into").otherwise("mergedInto"),
        )
        .drop("at", "into", "is_merged")
    )


def _among_staged(reading: Reading, merges: Sequence[Merge]) -> set[int]:
    """The ids of what `merges` tell of that are staged."""
    wanted = {each.record_id for each in merges} | {i for each in merges for i in each.candidates}
    if not wanted:
        return set()
    ids = pl.Series("id", sorted(wanted), dtype=pl.Int64)
    staged = (chunk.read("records", ["id"])["id"] for chunk in reading.staged())
    return {each for of in staged for each in of.filter(of.is_in(ids.implode()))}
