"""A look at a type's records by sweep: all of them are listed, 100 a page.

Each is listed with its modified date and the properties that HubSpot calculates, whose changes need
not move that date. A record that had changed shortly before it was read is read again, since
HubSpot stores values some minutes after their moment. Nothing depends on the search's index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import polars as pl

from hubspot_assets.day import SETTLING
from hubspot_assets.hubspot.records import fits_url, list_records
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, Record, present_values, records_frame
from hubspot_assets.sources.look import (
    Look,
    archived_lately,
    archived_records,
    known_records,
    newly_archived,
    parted_at,
    prints,
    seen_since,
)
from hubspot_assets.sources.record_chunks import flattened_at_once


def can_sweep(asked: Asked) -> bool:
    """Whether the names to look at fit a URL."""
    return fits_url([*asked.known.swept, "hs_object_id"])


def sweep(asked: Asked, base: Staged, counts: Counter[str]) -> Look:
    """Reads the lists of live and of archived records, and what the base holds."""
    before = known_records(base, asked.known.swept)
    live = before.filter(pl.col("gone").is_null())
    listed, last = _listed(asked, live["id"].sort())
    archived = archived_records(asked, archived_lately(before, base), counts)
    binned = newly_archived(archived, before)
    joined = listed.join(before, on="id", how="left", suffix="_before")
    changed = joined.filter(
        pl.col("was_known").is_null()
        | pl.col("gone").is_not_null()
        | pl.col("updatedAt").ne_missing(pl.col("updatedAt_before"))
        | (pl.col("updatedAt") >= pl.col("readAt") - SETTLING)
        | pl.col("print").ne_missing(pl.col("print_before")),
        ~pl.col("id").is_in(binned["id"].implode()),
    )
    missing = live.join(listed, on="id", how="anti")["id"]
    since = pl.lit(seen_since(base).replace(tzinfo=None))
    unseen = (
        changed.filter(pl.col("updatedAt") < since),
        binned.filter(pl.col("gone").is_null() & (pl.col("archivedAt") < since)),
    )
    return Look(
        before,
        listed["id"],
        changed["id"].sort(),
        missing.sort(),
        binned["id"].sort(),
        last,
        sum(each.height for each in unseen),
    )


def _listed(asked: Asked, known: pl.Series) -> tuple[pl.DataFrame, datetime]:
    """The live records: id, updatedAt and print of each, and the moment of reading; `known` ids,
    in order, tell where the list may be parted."""
    empty = pl.DataFrame(
        schema={"id": pl.Int64, "updatedAt": RECORDS_SCHEMA["updatedAt"], "print": pl.UInt64}
    )
    found, told, listed = [empty], list[Record](), 0
    last = datetime.now(UTC)
    names, moments = asked.known.swept, asked.known.moments
    for page in list_records(
        asked.client,
        asked.object_type.id,
        names or ["hs_object_id"],
        cuts=parted_at(known),
        workers=asked.workers,
    ):
        last = page.received_at
        live = [each for each in page.records if not each.get("archived")]
        for each in live:
            properties = each.get("properties") or {}
            each["properties"] = {name: properties.get(name) for name in names}
        told += live
        listed += len(live)
        asked.report(asked.source, listed)
        if len(told) >= flattened_at_once(len(names)) or page.after is None:
            found.append(_printed(told, moments, last))
            told = []
    return pl.concat(found).unique("id", keep="last", maintain_order=True), last


def _printed(told: Sequence[Record], moments: Collection[str], read_at: datetime) -> pl.DataFrame:
    counts: Counter[str] = Counter()
    records = records_frame(told, [read_at] * len(told), counts).select("id", "updatedAt")
    values = prints(present_values(told, moments, counts))
    return records.join(values, on="id", how="left", maintain_order="left")
