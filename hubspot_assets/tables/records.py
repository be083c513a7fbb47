"""The record tables as of the end of a day, from the staged frames of one object type.

Pure functions on a batch of records: `records` (id, createdAt, updatedAt, readAt) and `values`
(id, name, value, timestamp, source columns), both ordered as staging.flatten says. All of a
record's values are in the batch that holds the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from hubspot_assets.tables.typed import PropertyType, typed_columns

#: Values per property that the share keeps, and that HubSpot's API is known to return.
HISTORY_OF_CONTACTS = 45
HISTORY_OF_OTHERS = 20

UNKNOWN_AS_OF = "cells_not_known_as_of_day"
SAME_MOMENT = "history_values_of_the_same_moment"

_GROUP = ("id", "name")


def history_cap(object_type_id: str) -> int:
    """The newest values per property that the share keeps of the type."""
    return HISTORY_OF_CONTACTS if object_type_id == "0-1" else HISTORY_OF_OTHERS


@dataclass(frozen=True, slots=True)
class AsOf:
    """A batch of records as it stood at the end of a day.

    `records` has updatedAt and `values` one row per set property as of that moment (timestamp
    null where HubSpot keeps no history); `until` all rows stamped before that moment or without
    a time stamp; `unknown` counts cells whose value at that moment can't be known.
    """

    records: pl.DataFrame
    values: pl.DataFrame
    until: pl.DataFrame
    unknown: int


def as_of(
    records: pl.DataFrame,
    values: pl.DataFrame,
    end: datetime,
    *,
    cap: int,
    modified_property: str,
) -> AsOf:
    """The batch as of `end` (naive UTC): nothing created, set or cleared since then shows.

    `cap` is the number of values HubSpot keeps per property: a property with so many, all of
    them newer than `end`, had an older value that is gone; its oldest retained value stands in
    and is counted. With fewer, its history is whole, and it was not set yet.
    """
    live = records.filter(pl.col("createdAt") < end)
    if live.height < records.height:
        values = values.join(live.select("id"), on="id", how="semi", maintain_order="left")
    lost = _lost_to_newer_values(values, end, cap)
    unknown = lost.height
    values = values.filter((pl.col("timestamp") < end) | pl.col("timestamp").is_null())
    state = _last_of_group(values)
    changed = live.filter(pl.col("updatedAt") >= end).select("id")
    if changed.height:
        live = _with_earlier_update(live, values, end)
        modified = _modified_at(live, changed, state, modified_property)
        state = state.join(modified, on=_GROUP, how="anti", maintain_order="left")
        unknown += state.join(changed, on="id", how="semi")["timestamp"].null_count()
        state = pl.concat([state, lost, modified], how="diagonal").sort(_GROUP)
    return AsOf(live, state.filter(pl.col("value") != ""), values, unknown)


def _last_of_group(values: pl.DataFrame) -> pl.DataFrame:
    """The newest row of each property; `values` is ordered by id, name and time."""
    ends = (pl.col("id") != pl.col("id").shift(-1)) | (pl.col("name") != pl.col("name").shift(-1))
    return values.filter(ends.fill_null(value=True))


def _lost_to_newer_values(values: pl.DataFrame, end: datetime, cap: int) -> pl.DataFrame:
    """The oldest retained row of each property whose `cap` retained values are all newer."""
    newer = values.filter(pl.col("timestamp") >= end)
    if not newer.height:
        return newer
    counted = newer.group_by(_GROUP).agg(pl.len().alias("newer"))
    full = counted.filter(pl.col("newer") >= cap).drop("newer")
    whole = values.join(full, on=_GROUP, how="semi", maintain_order="left")
    oldest = whole.group_by(_GROUP, maintain_order=True).first()
    return oldest.filter(pl.col("timestamp") >= end).select(values.columns)


def _with_earlier_update(live: pl.DataFrame, values: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """`live` with updatedAt of records changed since `end` set back to their last change before."""
    last_change = values.group_by("id").agg(pl.col("timestamp").max().alias("before"))
    return (
        live.join(last_change, on="id", how="left", maintain_order="left")
        .with_columns(
            updatedAt=pl.when(pl.col("updatedAt") >= end)
            .then(pl.max_horizontal("createdAt", "before"))
            .otherwise("updatedAt")
        )
        .drop("before")
    )


def _modified_at(
    live: pl.DataFrame, changed: pl.DataFrame, state: pl.DataFrame, name: str
) -> pl.DataFrame:
    """The modified-date property of `changed` records, where no history tells it.

    HubSpot keeps that property equal to updatedAt, so it follows from updatedAt.
    """
    known = state.filter((pl.col("name") == name) & pl.col("timestamp").is_not_null()).select("id")
    return (
        live.join(changed, on="id", how="semi", maintain_order="left")
        .join(known, on="id", how="anti", maintain_order="left")
        .select(
            "id",
            name=pl.lit(name),
            value=pl.col("updatedAt").dt.timestamp("ms").cast(pl.String),
            timestamp="updatedAt",
        )
    )


def objects(state: AsOf, object_type_id: str) -> pl.DataFrame:
    """Rows of OBJECTS."""
    return state.records.select(
        OBJECTTYPEID=pl.lit(object_type_id),
        OBJECTID="id",
        UPDATEDAT="updatedAt",
        INGESTEDAT="readAt",
    )


def object_properties(state: AsOf, object_type_id: str) -> pl.DataFrame:
    """Rows of OBJECT_PROPERTIES."""
    return _with_read_at(state.values, state.records).select(
        OBJECTTYPEID=pl.lit(object_type_id),
        OBJECTID="id",
        NAME="name",
        VALUE="value",
        UPDATEDAT="timestamp",
        INGESTEDAT="readAt",
    )


def object_properties_history(
    state: AsOf, object_type_id: str, *, newest: int | None, counts: Counter[str]
) -> pl.DataFrame:
    """Rows of OBJECT_PROPERTIES_HISTORY: the `newest` values per property, or all (None).

    Of values with the same time stamp, which the table's key can't tell apart, the newest stays;
    `counts` says how many did not.
    """
    rows = state.until.filter(pl.col("timestamp").is_not_null())
    same = (
        (pl.col("timestamp") == pl.col("timestamp").shift(-1))
        & (pl.col("name") == pl.col("name").shift(-1))
        & (pl.col("id") == pl.col("id").shift(-1))
    ).fill_null(value=False)
    distinct = rows.filter(~same)
    counts[SAME_MOMENT] += rows.height - distinct.height
    if newest is not None:
        # Run lengths, not a window per group: cheap, and nothing to do for nearly all batches.
        runs = distinct.select(pl.struct(_GROUP).rle().struct.field("len")).to_series()
        if (runs.max() or 0) > newest:  # type: ignore[operator]
            distinct = distinct.filter(pl.int_range(pl.len()).reverse().over(_GROUP) < newest)
    return _with_read_at(distinct, state.records).select(
        OBJECTTYPEID=pl.lit(object_type_id),
        OBJECTID="id",
        NAME="name",
        VALUE="value",
        UPDATEDAT="timestamp",
        INGESTEDAT="readAt",
        SOURCETYPE="sourceType",
        SOURCEID="sourceId",
        SOURCELABEL="sourceLabel",
        UPDATEDBYUSERID="updatedByUserId",
    )


def object_with_object_properties(state: AsOf, object_type_id: str) -> pl.DataFrame:
    """Rows of OBJECT_WITH_OBJECT_PROPERTIES."""
    # {"value":"text"} without its first nine and its last character is the text as JSON.
    text = pl.struct("value").struct.json_encode().str.slice(9).str.strip_suffix("}")
    member = pl.concat_str(pl.lit('"'), pl.col("name"), pl.lit('":'), text)
    documents = state.values.group_by("id", maintain_order=True).agg(
        member.str.join(",").alias("members")
    )
    return state.records.join(documents, on="id", how="left", maintain_order="left").select(
        OBJECTTYPEID=pl.lit(object_type_id),
        OBJECTID="id",
        PROPERTIES=pl.format("{{{}}}", pl.col("members").fill_null("")),
        UPDATEDAT="updatedAt",
        INGESTEDAT="readAt",
    )


def objects_of_type(
    state: AsOf,
    object_type_id: str,
    properties: Sequence[PropertyType],
    *,
    counts: Counter[str],
) -> pl.DataFrame:
    """Rows of OBJECTS_<type>: a typed column per property, in the order of `typed.columns`."""
    wide = state.values.pivot(
        on="name",
        on_columns=[each.name for each in properties],
        index="id",
        values="value",
        maintain_order=True,
    )
    typed = typed_columns(wide, properties, counts)
    return objects(state, object_type_id).join(
        typed.rename({"id": "OBJECTID"}), on="OBJECTID", how="left", maintain_order="left"
    )


def _with_read_at(values: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    return values.join(records.select("id", "readAt"), on="id", how="left", maintain_order="left")
