"""What happened to records on a day: the rows of RECORD_CHANGES.

From the frames of `records`: creations, ends and returns as they are told there; and updates, by
comparing the values at the day's end with those at its beginning. What has a history tells when it
changed. Of what has none it is known where the reading that serves the day found another value than
the one before it, and so shows on the newest day that it serves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from hubspot_assets.sources.flatten import EVER
from hubspot_assets.tables.batches import Batch
from hubspot_assets.tables.records import AsOf, literal

_GROUP = ["id", "name"]
#: What records tell of when something happened to them.
_MOMENTS = "createdAt", "bornAt", "awayFrom", "awayUntil", "goneAt", "updatedAt"
_SCHEMA = {
    "id": pl.Int64(),
    "change": pl.String(),
    "at": pl.Datetime("ms"),
    "into": pl.Int64(),
    "properties": pl.Int64(),
}
_ROWS = {
    "OBJECTTYPEID": pl.String(),
    "OBJECTID": pl.Int64(),
    "CHANGE": pl.String(),
    "CHANGEDAT": pl.Datetime("ms"),
    "MERGEDINTO": pl.Int64(),
    "PROPERTIES": pl.Int64(),
    "INGESTEDAT": pl.Datetime("ms"),
}


def record_changes(batch: Batch, began: datetime | None) -> pl.DataFrame:
    """Rows of RECORD_CHANGES for a batch of records.

    `began` is when the reading began, where the day is the newest that it serves.
    """
    records = batch.records
    window = batch.day.start_naive, batch.day.end_naive
    if _is_quiet(batch, began):
        return pl.DataFrame(schema=_ROWS)
    now = batch.at_end()
    lasting = now.values.filter(pl.col("seenSince").ne_missing(pl.lit(EVER, pl.Datetime("ms"))))
    present = lasting.group_by("id").agg(properties=pl.len().cast(pl.Int64))
    created = _moments(records, pl.max_horizontal("createdAt", "bornAt"), "created", window)
    rows = pl.concat(
        [
            created.join(present, on="id", how="left").with_columns(
                properties=pl.col("properties").fill_null(0)
            ),
            *_ends(records, window),
            _updates(batch, now, window, began),
        ],
        how="diagonal",
    )
    read_at = records.select("id", "readAt")
    return (
        pl.concat([pl.DataFrame(schema=_SCHEMA), rows.select(_SCHEMA.keys())])
        .unique(["id", "change"], keep="last")
        .join(read_at, on="id", how="left")
        .sort("id", "change")
        .select(
            OBJECTTYPEID=pl.lit(batch.of.object_type.id),
            OBJECTID="id",
            CHANGE="change",
            CHANGEDAT="at",
            MERGEDINTO="into",
            PROPERTIES="properties",
            INGESTEDAT="readAt",
        )
    )


def _is_quiet(batch: Batch, began: datetime | None) -> bool:
    """Whether nothing in a batch is of the day or later, as most of it is on most nights; then
    there is nothing to compare."""
    start, values = batch.day.start_naive, batch.values
    if began and values["heldUntil"].count():
        return False
    moments = (*(batch.records[name] for name in _MOMENTS), values["timestamp"])
    latest = (each.max() for each in moments)
    return not any(isinstance(each, datetime) and each >= start for each in latest)


def _moments(
    records: pl.DataFrame, moment: pl.Expr, change: str, window: tuple[datetime, datetime]
) -> pl.DataFrame:
    """The records to which something happened within the window."""
    start, end = map(literal, window)
    return records.filter((moment >= start) & (moment < end)).select(
        "id", change=pl.lit(change), at=moment
    )


def _ends(records: pl.DataFrame, window: tuple[datetime, datetime]) -> list[pl.DataFrame]:
    away = _moments(records, pl.col("awayFrom"), "archived", window)
    restored = _moments(records, pl.col("awayUntil"), "restored", window)
    gone = [
        _moments(records.filter(pl.col("gone") == why), pl.col("goneAt"), why, window)
        for why in ("archived", "merged", "erased")
    ]
    into = records.select("id", into="mergedInto")
    merged = gone[1].join(into, on="id", how="left")
    # When they came back, and when they were erased, HubSpot does not tell.
    untold = [each.with_columns(at=pl.lit(None, pl.Datetime("ms"))) for each in (restored, gone[2])]
    return [away, gone[0], merged, *untold]


def _updates(
    batch: Batch, now: AsOf, window: tuple[datetime, datetime], began: datetime | None
) -> pl.DataFrame:
    values = batch.values
    both = (
        batch.records_at_start()
        .select("id", before="updatedAt")
        .join(now.records.select("id", "updatedAt"), on="id")
    )
    names = [_changed(values, window), *_seen_changed(batch, values, both, began)]
    once = pl.concat(names, how="diagonal").unique(_GROUP, keep="first", maintain_order=True)
    return (
        once.join(both, on="id", how="semi")
        .group_by("id")
        .agg(
            change=pl.lit("updated"),
            at=pl.col("since").max(),
            into=pl.lit(None, pl.Int64),
            properties=pl.len().cast(pl.Int64),
        )
    )


def _seen_changed(
    batch: Batch, values: pl.DataFrame, both: pl.DataFrame, began: datetime | None
) -> Iterator[pl.DataFrame]:
    """The properties without a history whose value is another now: id and name.

    The modified date is among them where it is `before` not `updatedAt`; of others the reading that
    `began` then found another value than the one before it.
    """
    undated = values.filter(pl.col("timestamp").is_null())
    modified = pl.col("name") == batch.of.object_type.modified_property
    moved = both.filter(pl.col("before").ne_missing(pl.col("updatedAt")))
    yield undated.filter(modified).join(moved, on="id", how="semi").select(_GROUP)
    if began:
        fresh = batch.records.filter(pl.col("readAt") >= literal(began))
        found = undated.filter(~modified & pl.col("heldUntil").is_not_null())
        yield found.join(fresh, on="id", how="semi").select(_GROUP)


def _changed(values: pl.DataFrame, window: tuple[datetime, datetime]) -> pl.DataFrame:
    """The properties with histories whose value is another than it was: id, name and since when."""
    start, end = map(literal, window)
    stamped = values.filter(pl.col("timestamp") < end).select(*_GROUP, "value", "timestamp")
    touched = stamped.filter(pl.col("timestamp") >= start).select(_GROUP).unique()
    told = stamped.join(touched, on=_GROUP, how="semi", maintain_order="left")
    is_before = pl.col("timestamp") < start
    ends = told.group_by(_GROUP, maintain_order=True).agg(
        was=pl.col("value").filter(is_before).last().fill_null(""),
        current=pl.col("value").last(),
    )
    changed = told.join(ends.filter(pl.col("was") != pl.col("current")), on=_GROUP)
    other = pl.col("timestamp").filter(pl.col("value") != pl.col("current")).max()
    same = (pl.col("timestamp") > other).fill_null(value=True)
    return changed.group_by(_GROUP, maintain_order=True).agg(
        since=pl.col("timestamp").filter(same).min()
    )
