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

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl

Record = Mapping[str, Any]

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

MOMENT = pl.Datetime("ms")
_ISO = "%Y-%m-%dT%H:%M:%S%.fZ"
_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)

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
    text = pl.String()
    schema = {"id": pl.Int64(), "createdAt": text, "updatedAt": text, "readAt": MOMENT}
    return (
        pl.DataFrame(
            {
                "id": [int(record["id"]) for record in records],
                "createdAt": [record["createdAt"] for record in records],
                "updatedAt": [record["updatedAt"] for record in records],
                "readAt": [when.replace(tzinfo=None) for when in read_at],
            },
            schema=schema,
        )
        .with_columns(moment("createdAt"), moment("updatedAt"))
        .sort("id")
    )


def values_frame(records: Sequence[Record], moments: Collection[str]) -> tuple[pl.DataFrame, int]:
    """The `values` frame, and how many present values differ from their newest history value.

    `moments` names the properties of the types date and datetime.
    """
    entries: list[dict[str, Any]] = []
    ids: list[int] = []
    names: list[str] = []
    differing = 0
    # The rows are made in their order, so that nothing has to be sorted afterwards.
    for record in sorted(records, key=_record_id):
        present = record["properties"]
        histories = record.get("propertiesWithHistory") or {}
        given = {name for name, value in present.items() if value}
        given.update(name for name, history in histories.items() if history)
        before = len(entries)
        for name in sorted(given):
            value = present.get(name) or ""
            history = histories.get(name) or ({"value": value},)
            if (history[0]["value"] or "") != value:
                differing += 1
            if name in moments:
                for entry in history:
                    entry["value"] = epoch_milliseconds(entry["value"])
            # Oldest first: of values stamped alike the newest then stays last.
            entries += history[::-1]
            names += [name] * len(history)
        ids += [_record_id(record)] * (len(entries) - before)
    values = pl.from_dicts(entries, schema=_ENTRY_SCHEMA).select(
        pl.Series("id", ids, dtype=pl.Int64),
        pl.Series("name", names, dtype=pl.String),
        # HubSpot gives a cleared value as "" or as null; both mean that it was cleared.
        pl.col("value").fill_null(""),
        moment("timestamp"),
        "sourceType",
        "sourceId",
        "sourceLabel",
        "updatedByUserId",
    )
    return _oldest_first(values), differing


def epoch_milliseconds(value: str | None) -> str | None:
    """A date or datetime of the API as epoch milliseconds; what is none as it is.

    >>> epoch_milliseconds("2024-02-21T03:12:56.388Z"), epoch_milliseconds("2024-02-21")
    ('1708485176388', '1708473600000')
    """
    if not value or value[4:5] != "-":
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return str(((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND)


def text_of(value: object) -> str:
    """A field of an API as a property's value: text as it is, what is no text as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def snake_case(name: str) -> str:
    """A field's name as properties are named.

    >>> snake_case("latestMessageTimestamp")
    'latest_message_timestamp'
    """
    return _WORD_START.sub("_", name).lower()


def _record_id(record: Record) -> int:
    return int(record["id"])


def _oldest_first(values: pl.DataFrame) -> pl.DataFrame:
    """`values`, sorted by time within a property should HubSpot not have listed it newest first."""
    before = pl.col("timestamp").shift(1) > pl.col("timestamp")
    same = (pl.col("name") == pl.col("name").shift(1)) & (pl.col("id") == pl.col("id").shift(1))
    if values.select((before & same).any()).item():
        return values.sort("id", "name", "timestamp", maintain_order=True)
    return values
