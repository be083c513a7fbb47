"""Records as HubSpot's API gives them, to flat frames.

Two frames hold a batch of records:

* `records`: id Int64, createdAt, updatedAt, readAt Datetime(ms); and what became of the record
  (see `fates`): bornAt Datetime(ms), gone String, goneAt Datetime(ms), mergedInto Int64, awayFrom,
  awayUntil Datetime(ms). An earlier reading, at wasReadAt, found another updatedAt: wasUpdatedAt.
  One row per record, by id.
* `values`: id Int64, name, value String, timestamp Datetime(ms), sourceType, sourceId,
  sourceLabel String, updatedByUserId Int64, unread Boolean, seenSince, heldUntil Datetime(ms). One
  row per value that a property has or had, by id, name and time, oldest first. A property that
  keeps no history has one row, without a timestamp, for its present value. A cleared value is "".
  Other moments than its own tell how well a value is known: one without a timestamp has been seen
  in each reading since seenSince; after heldUntil there were others that HubSpot tells no longer.
  Where that is another than an earlier reading found, the earlier one's stands before it.

Values are in the share's raw form: datetimes and dates are epoch milliseconds as text. What
does not read as one stays as HubSpot gave it, and is `unread`, which is null elsewhere: digits
that are no milliseconds look as if they were. What is not in HubSpot's form but clear is read all
the same; what is not clear is null, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from hubspot_assets import json_text
from hubspot_assets.moments import milliseconds
from hubspot_assets.tables.counts import (
    ENTRIES_UNREAD,
    MOMENTS_UNREAD,
    UNLIKE_HISTORY,
    VALUES_UNTOLD,
)

Record = Mapping[str, Any]

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

MOMENT = pl.Datetime("ms")
#: A moment before any reading: a value that was seen since then is known whenever it is asked for.
EVER = datetime(1970, 1, 1)  # noqa: DTZ001  (frames are naive UTC)
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
    "unread": pl.Boolean(),
    "seenSince": MOMENT,
    "heldUntil": MOMENT,
}
RECORDS_SCHEMA = {
    "id": pl.Int64(),
    "createdAt": MOMENT,
    "updatedAt": MOMENT,
    "readAt": MOMENT,
    "bornAt": MOMENT,
    "gone": pl.String(),
    "goneAt": MOMENT,
    "mergedInto": pl.Int64(),
    "awayFrom": MOMENT,
    "awayUntil": MOMENT,
    "wasUpdatedAt": MOMENT,
    "wasReadAt": MOMENT,
}
_ENTRY_SCHEMA = {
    "value": pl.String(),
    "timestamp": pl.String(),
    "sourceType": pl.String(),
    "sourceId": pl.String(),
    "sourceLabel": pl.String(),
    "updatedByUserId": pl.Int64(),
}
#: Where records tell their dates: in a field of their own, or else in one of these properties.
_CREATED = ("createdAt", "hs_createdate", "createdate")
_UPDATED = ("updatedAt", "hs_lastmodifieddate", "lastmodifieddate")


def with_moments(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """`frame` with `columns` of told moments as Datetime(ms), UTC; null where one is none."""
    # Nearly all are in HubSpot's one form, which polars reads much faster.
    read = frame.with_columns(
        pl.col(column).str.to_datetime(_ISO, time_unit="ms", strict=False) for column in columns
    )
    for column in columns:
        if read[column].null_count() > frame[column].null_count():
            odd = frame[column].filter(read[column].is_null() & frame[column].is_not_null())
            known = {text: milliseconds(text) for text in odd.unique()}
            rest = frame[column].replace_strict(known, default=None, return_dtype=pl.Int64)
            read = read.with_columns(pl.col(column).fill_null(rest.cast(MOMENT)))
    return read


def records_frame(
    records: Sequence[Record], read_at: Sequence[datetime], counts: Counter[str]
) -> pl.DataFrame:
    """The `records` frame; `read_at` holds the moment of reading of each record."""
    text = pl.String()
    frame = with_moments(
        pl.DataFrame(
            {
                "id": [int(record["id"]) for record in records],
                "createdAt": [_date(record, _CREATED) for record in records],
                "updatedAt": [_date(record, _UPDATED) for record in records],
                "readAt": [when.replace(tzinfo=None) for when in read_at],
            },
            schema={"id": pl.Int64(), "createdAt": text, "updatedAt": text, "readAt": MOMENT},
        ),
        "createdAt",
        "updatedAt",
    )
    counts[MOMENTS_UNREAD] += frame["createdAt"].null_count() + frame["updatedAt"].null_count()
    return with_columns_of(frame.sort("id"), RECORDS_SCHEMA)


def with_columns_of(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """`frame` with the columns of a schema in their order, those that it lacks being null."""
    lacking = {name: pl.lit(None, of) for name, of in schema.items() if name not in frame.columns}
    return frame.with_columns(**lacking).select(schema.keys())


def values_frame(
    records: Sequence[Record], moments: Collection[str], counts: Counter[str]
) -> pl.DataFrame:
    """The `values` frame; `moments` names the properties of the types date and datetime.

    `counts` gets, too, how many present values differ from their newest history value.
    """
    entries: list[dict[str, Any]] = []
    ids: list[int] = []
    names: list[str] = []
    unread: list[int] = []
    differing = without = 0
    # The rows are made in their order, so that nothing has to be sorted afterwards.
    for record in sorted(records, key=_record_id):
        present = _object(record, "properties", counts)
        histories = _object(record, "propertiesWithHistory", counts)
        for name in [name for name, history in histories.items() if _is_odd(history)]:
            histories[name] = _entries(histories[name], counts)
        given = {
            name for name, value in present.items() if value or (value is not None and value != "")
        }
        given.update(name for name, history in histories.items() if history)
        before = len(entries)
        for name in sorted(given):
            value = present.get(name)
            if value is None:
                value = ""
            history = histories.get(name)
            if not history:
                history = ({"value": value},)
                without += 1
            elif (history[0].get("value") or "") != value:
                if "value" in history[0]:
                    differing += 1
                else:
                    history[0]["value"] = value
            # Oldest first: of values stamped alike the newest then stays last.
            history = history[::-1]
            if name in moments:
                for row, entry in enumerate(history, len(entries)):
                    moment = milliseconds(entry.get("value"))
                    if moment is not None:
                        entry["value"] = str(moment)
                    elif entry.get("value"):
                        unread.append(row)
            entries += history
            names += [name] * len(history)
        ids += [_record_id(record)] * (len(entries) - before)
    values = with_moments(_entries_frame(entries), "timestamp").select(
        pl.Series("id", ids, dtype=pl.Int64),
        pl.Series("name", names, dtype=pl.String),
        pl.all(),
        unread=pl.when(pl.int_range(pl.len()).is_in(unread)).then(pl.lit(value=True)),
    )
    values = with_columns_of(values, VALUES_SCHEMA)
    counts[UNLIKE_HISTORY] += differing
    counts[MOMENTS_UNREAD] += values["timestamp"].null_count() - without
    return _oldest_first(_with_cleared(values, entries, counts))


def present_values(
    records: Sequence[Record], moments: Collection[str], counts: Counter[str]
) -> pl.DataFrame:
    """The id, name and value of what records show now: what the newest rows of `values_frame` have,
    for a fraction of its time."""
    ids: list[int] = []
    names: list[str] = []
    texts: list[str] = []
    for record in records:
        of = _record_id(record)
        for name, value in _object(record, "properties", counts).items():
            if value is None or value == "":
                continue
            moment = epoch_milliseconds(value) if name in moments else None
            ids.append(of)
            names.append(name)
            texts.append(moment or text_of(value))
    schema = {name: VALUES_SCHEMA[name] for name in ("id", "name", "value")}
    return pl.DataFrame({"id": ids, "name": names, "value": texts}, schema=schema)


def epoch_milliseconds(value: object) -> str | None:
    """A date or datetime of the API as epoch milliseconds; None for what is none.

    >>> epoch_milliseconds("2024-02-21T03:12:56.388Z"), epoch_milliseconds("2024-02-21")
    ('1708485176388', '1708473600000')
    """
    moment = milliseconds(value)
    return None if moment is None else str(moment)


def text_of(value: object) -> str:
    """A field of an API as a property's value: text as it is, what is no text as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json_text.told(value)


def snake_case(name: str) -> str:
    """A field's name as properties are named.

    >>> snake_case("latestMessageTimestamp")
    'latest_message_timestamp'
    """
    return _WORD_START.sub("_", name).lower()


def _record_id(record: Record) -> int:
    return int(record["id"])


def _object(record: Record, name: str, counts: Counter[str]) -> dict[str, Any]:
    """A field of a record that holds an object; an empty one for what is none."""
    told = record.get(name) or {}
    if isinstance(told, dict):
        return told
    counts[ENTRIES_UNREAD] += 1
    return {}


def _is_odd(history: object) -> bool:
    """Whether a history is no list of objects."""
    return bool(history) and (type(history) is not list or set(map(type, history)) != {dict})


def _entries(history: object, counts: Counter[str]) -> list[dict[str, Any]]:
    """What of a history are entries: objects in a list."""
    told = history if isinstance(history, list) else [None]
    entries = [each for each in told if isinstance(each, dict)]
    counts[ENTRIES_UNREAD] += len(told) - len(entries)
    return entries


def _date(record: Record, names: Sequence[str]) -> str | None:
    """A record's date as text, from its field or the first of the properties that has one."""
    field, *properties = names
    told = record.get(field)
    if told is None:
        of = record.get("properties")
        of = of if isinstance(of, dict) else {}
        told = next((of[name] for name in properties if of.get(name)), None)
    return told if told is None or isinstance(told, str) else text_of(told)


def _entries_frame(entries: Sequence[dict[str, Any]]) -> pl.DataFrame:
    try:
        return pl.from_dicts(entries, schema=_ENTRY_SCHEMA)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        texts = [
            {name: None if each is None else text_of(each) for name, each in entry.items()}
            for entry in entries
        ]
        told = pl.from_dicts(texts, schema=dict.fromkeys(_ENTRY_SCHEMA, pl.String()))
        user = pl.col("updatedByUserId").cast(pl.Int64, strict=False)
        return told.with_columns(user)


def _with_cleared(
    values: pl.DataFrame, entries: Sequence[Mapping[str, Any]], counts: Counter[str]
) -> pl.DataFrame:
    """`values` with "" for those that HubSpot told as null: both mean that it was cleared."""
    nulls = values["value"].is_null()
    untold = [row for row in nulls.arg_true() if "value" not in entries[row]]
    if not untold:
        return values.with_columns(pl.col("value").fill_null(""))
    counts[VALUES_UNTOLD] += len(untold)
    rows = values.with_row_index("row")
    kept = pl.col("row").is_in(untold)
    return rows.with_columns(
        value=pl.when(kept).then("value").otherwise(pl.col("value").fill_null(""))
    ).drop("row")


def _oldest_first(values: pl.DataFrame) -> pl.DataFrame:
    """`values`, sorted by time within a property should HubSpot not have listed it newest first."""
    before = pl.col("timestamp").shift(1) > pl.col("timestamp")
    same = (pl.col("name") == pl.col("name").shift(1)) & (pl.col("id") == pl.col("id").shift(1))
    if values.select((before & same).any()).item():
        return values.sort("id", "name", "timestamp", maintain_order=True)
    return values
