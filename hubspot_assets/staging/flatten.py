"""Records as HubSpot's API gives them, to flat frames.

Two frames hold a batch of records:

* `records`: id Int64, createdAt, updatedAt, readAt Datetime(ms). One row per record, by id.
* `values`: id Int64, name, value String, timestamp Datetime(ms), sourceType, sourceId,
  sourceLabel String, updatedByUserId Int64. One row per value that a property has or had, by
  id, name and time, oldest first. A property that keeps no history has one row, without a
  timestamp, for its present value.

Values are in the share's raw form: datetimes and dates are epoch milliseconds as text. What
does not read as one stays as HubSpot gave it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

Record = Mapping[str, Any]

MOMENT = pl.Datetime("ms")
_ISO = "%Y-%m-%dT%H:%M:%S%.fZ"

VALUES_SCHEMA = {
    "id": pl.Int64(),
    "name": pl.String(),
    "value": pl.String(),
    "timestamp": MOMENT,
    "sourceType": pl.String(),
    "sourceId": pl.String(),
    "sourceLabel": pl.String(),
    "updatedByUserId": pl.Int64(),
}
RECORDS_SCHEMA = {
    "id": pl.Int64(),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
    "readAt": MOMENT,
}
_ENTRY_SCHEMA = {
    "value": pl.String(),
    "timestamp": pl.String(),
    "sourceType": pl.String(),
    "sourceId": pl.String(),
    "sourceLabel": pl.String(),
    "updatedByUserId": pl.Int64(),
}


def moment(column: str) -> pl.Expr:
    """An API time stamp (ISO text) as Datetime(ms), UTC. Raises where the text is none."""
    return pl.col(column).str.to_datetime(_ISO, time_unit="ms")


def records_frame(records: Sequence[Record], read_at: Sequence[datetime]) -> pl.DataFrame:
    """The `records` frame; `read_at` holds the moment of reading of each record."""
    return (
        pl.DataFrame(
            {
                "id": [int(record["id"]) for record in records],
                "createdAt": [record["createdAt"] for record in records],
                "updatedAt": [record["updatedAt"] for record in records],
                "readAt": [when.replace(tzinfo=None) for when in read_at],
            },
            schema={
                "id": pl.Int64,
                "createdAt": pl.String,
                "updatedAt": pl.String,
                "readAt": MOMENT,
            },
        )
        .with_columns(moment("createdAt"), moment("updatedAt"))
        .sort("id")
    )


def values_frame(records: Sequence[Record], moments: Collection[str]) -> tuple[pl.DataFrame, int]:
    """The `values` frame, and how many present values differ from their newest history value.

    `moments` names the properties of the types date and datetime.
    """
    entries: list[dict[str, Any]] = []
    entry_ids: list[int] = []
    entry_names: list[str] = []
    rest_ids: list[int] = []
    rest_names: list[str] = []
    rest_values: list[str] = []
    differing = 0
    for record in records:
        record_id = int(record["id"])
        present = record["properties"]
        histories = record.get("propertiesWithHistory") or {}
        before = len(entries)
        for name, history in histories.items():
            if not history:
                continue
            if (history[0]["value"] or "") != (present.get(name) or ""):
                differing += 1
            if len(history) == 1:
                entries += history
                entry_names.append(name)
            else:
                # Oldest first: of values stamped alike the newest then stays last in a stable sort.
                entries += history[::-1]
                entry_names += [name] * len(history)
        entry_ids += [record_id] * (len(entries) - before)
        for name, value in present.items():
            if value and not histories.get(name):
                rest_ids.append(record_id)
                rest_names.append(name)
                rest_values.append(value)
    with_history = pl.from_dicts(entries, schema=_ENTRY_SCHEMA).select(
        pl.Series("id", entry_ids, dtype=pl.Int64),
        pl.Series("name", entry_names, dtype=pl.String),
        # HubSpot gives a cleared value as "" or as null; both mean that it was cleared.
        pl.col("value").fill_null(""),
        moment("timestamp"),
        "sourceType",
        "sourceId",
        "sourceLabel",
        "updatedByUserId",
    )
    without_history = pl.DataFrame(
        {"id": rest_ids, "name": rest_names, "value": rest_values},
        schema={"id": pl.Int64, "name": pl.String, "value": pl.String},
    )
    values = pl.concat([with_history, without_history], how="diagonal")
    return _raw_moments(values, moments).sort(
        "id", "name", "timestamp", maintain_order=True
    ), differing


def _raw_moments(values: pl.DataFrame, moments: Collection[str]) -> pl.DataFrame:
    """`values` with those of date and datetime properties as epoch milliseconds."""
    is_moment = pl.col("name").is_in(list(moments))
    text = pl.col("value")
    epoch = pl.coalesce(
        text.str.to_datetime(_ISO, time_unit="ms", strict=False),
        text.str.to_datetime("%Y-%m-%d", time_unit="ms", strict=False),
    ).dt.timestamp("ms")
    converted = values.filter(is_moment).with_columns(
        pl.coalesce(epoch.cast(pl.String), text).alias("value")
    )
    return pl.concat([values.filter(~is_moment), converted])
