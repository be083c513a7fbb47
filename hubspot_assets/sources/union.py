"""What HubSpot tells of records now, and what was known of them before, as one."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from hubspot_assets.sources.earlier import of_records
from hubspot_assets.sources.flatten import (
    EVER,
    MOMENT,
    RECORDS_SCHEMA,
    VALUES_SCHEMA,
    with_columns_of,
)

_GROUP = ["id", "name"]


def united(
    records: pl.DataFrame,
    values: pl.DataFrame,
    old_records: pl.DataFrame,
    old_values: pl.DataFrame,
    *,
    cap: int,
    asked: Collection[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both frames of `records`, as told now of the properties `asked` for, with what the old add.

    Of a record that is told nothing of (it has no readAt: it was erased, or merged away) the old
    values are the last that are known. Of others the new ones count, and before them old ones that
    HubSpot tells no longer; where it tells `cap` values of a property, all newer than the old ones,
    there may have been more between. A record that was gone and is told of again was away.
    """
    old_records = of_records(old_records, records)
    if old_records.is_empty():
        return records, values
    old_values = of_records(old_values, records)
    new = records.join(old_records, on="id", how="anti", maintain_order="left")
    both = records.join(old_records, on="id", suffix="_old", maintain_order="left").with_columns(
        untold=pl.col("readAt").is_null(),
        back=pl.col("gone_old").is_not_null() & pl.col("goneAt").ne_missing(pl.col("goneAt_old")),
    )
    told = both.filter(~pl.col("untold"))["id"]
    known = old_values.filter(pl.col("id").is_in(told.implode()))
    merged = _values(
        pl.concat([values, _cleared(records, values, known, asked)]),
        known,
        old_records.select("id", knownAt="readAt"),
        cap,
    )
    last_known = old_values.filter(~pl.col("id").is_in(told.implode()))
    whole = pl.concat([merged, last_known]).sort("id", maintain_order=True)
    return pl.concat([new, _records(both, values)]).sort("id"), whole


def _records(both: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    kept = ("createdAt", "updatedAt", "readAt")
    away = both.filter("back").select("id", "goneAt_old")
    # Nobody writes to an archived record: the first value since then is from its return at most.
    returned = (
        values.join(away, on="id")
        .filter(pl.col("timestamp") > pl.col("goneAt_old"))
        .group_by("id")
        .agg(returned=pl.col("timestamp").min())
    )
    return (
        both.join(returned, on="id", how="left", maintain_order="left")
        .with_columns(
            *(pl.when("untold").then(f"{name}_old").otherwise(name).alias(name) for name in kept),
            bornAt=pl.when(pl.col("readAt_old").is_not_null())
            .then("bornAt_old")
            .otherwise("bornAt"),
            awayFrom=pl.when("back").then("goneAt_old").otherwise("awayFrom_old"),
            awayUntil=pl.when("back")
            .then(pl.col("returned").fill_null(pl.col("updatedAt")))
            .otherwise("awayUntil_old"),
        )
        .with_columns(
            pl.when(pl.col("updatedAt").ne_missing(pl.col("updatedAt_old")))
            .then(f"{now}_old")
            .otherwise(f"{was}_old")
            .alias(was)
            for was, now in (("wasUpdatedAt", "updatedAt"), ("wasReadAt", "readAt"))
        )
        .select(RECORDS_SCHEMA.keys())
    )


def _cleared(
    records: pl.DataFrame, values: pl.DataFrame, old: pl.DataFrame, asked: Collection[str]
) -> pl.DataFrame:
    """Rows of properties without a history that had a value and were told without one."""
    undated = old.filter(
        pl.col("timestamp").is_null()
        & pl.col("name").is_in(list(asked))
        & pl.col("seenSince").ne_missing(pl.lit(EVER, MOMENT))
    )
    had_one = undated.unique(_GROUP, keep="last").filter(pl.col("value") != "")
    cleared = had_one.join(values, on=_GROUP, how="anti").select(_GROUP, value=pl.lit(""))
    seen = cleared.join(records.select("id", seenSince="readAt"), on="id")
    return with_columns_of(seen, VALUES_SCHEMA)


def _values(
    values: pl.DataFrame, old: pl.DataFrame, known_at: pl.DataFrame, cap: int
) -> pl.DataFrame:
    told = values.group_by(_GROUP).agg(
        first=pl.col("timestamp").min(), dated=pl.col("timestamp").count()
    )
    before = old.join(told, on=_GROUP, how="inner", maintain_order="left").join(
        known_at, on="id", how="left", maintain_order="left"
    )
    older = before.filter(pl.col("timestamp") < pl.col("first"))
    newest = before.group_by(_GROUP).agg(newest=pl.col("timestamp").max())
    older = older.join(newest, on=_GROUP, how="left", maintain_order="left").with_columns(
        heldUntil=pl.when((pl.col("dated") >= cap) & (pl.col("timestamp") == pl.col("newest")))
        .then("knownAt")
        .otherwise("heldUntil")
    )
    last = before.filter(pl.col("timestamp").is_null()).unique(
        _GROUP, keep="last", maintain_order=True
    )
    undated = last.select(*_GROUP, "value", since=pl.col("seenSince").fill_null(pl.col("knownAt")))
    # What an undated value was stays before it: that it is another now is a change. A running one
    # is another at each call.
    changed = last.filter(pl.col("seenSince").ne_missing(pl.lit(EVER, MOMENT))).join(
        values, on=[*_GROUP, "value"], how="anti", maintain_order="left"
    )
    older = pl.concat([older, changed.with_columns(heldUntil="knownAt")], how="diagonal")
    now = (
        values.join(undated, on=[*_GROUP, "value"], how="left", maintain_order="left")
        .with_columns(
            seenSince=pl.when(pl.col("timestamp").is_null())
            .then(pl.col("since").fill_null(pl.col("seenSince")))
            .otherwise("seenSince")
        )
        .select(VALUES_SCHEMA.keys())
    )
    if older.is_empty():
        return now
    return pl.concat([older.select(VALUES_SCHEMA.keys()), now]).sort(
        *_GROUP, "timestamp", maintain_order=True
    )
