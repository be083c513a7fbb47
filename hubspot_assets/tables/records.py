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
from functools import lru_cache

import orjson
import polars as pl

from hubspot_assets.sources.fates import ARCHIVED, MERGED_IDS
from hubspot_assets.tables.counts import SAME_MOMENT, UNPARSED
from hubspot_assets.tables.typed import PropertyType, typed_columns

#: Values per property that the share keeps, and that HubSpot's API is known to return.
HISTORY_OF_CONTACTS = 45
HISTORY_OF_OTHERS = 20

_GROUP = ("id", "name")
#: Bytes that polars takes of a cell besides what it shares with others.
_CELL = 16


def history_cap(object_type_id: str) -> int:
    """The newest values per property that the share keeps of the type."""
    return HISTORY_OF_CONTACTS if object_type_id == "0-1" else HISTORY_OF_OTHERS


@lru_cache
def literal(moment: datetime) -> pl.Expr:
    """A moment as polars compares with it; to make one takes it as long as to filter a frame."""
    return pl.lit(moment)


@dataclass(frozen=True, slots=True)
class AsOf:
    """A batch of records as it stood at the end of a day.

    `records` has updatedAt and `values` one row per set property as of that moment (timestamp
    null where HubSpot keeps no history); `until` all rows stamped before that moment or without
    a time stamp; `unknown` has id and name of cells whose value at that moment can't be known,
    `unseen` counts records that were there and of which no reading tells, `earlier` ones of which
    only a reading before that moment does.
    """

    records: pl.DataFrame
    values: pl.DataFrame
    until: pl.DataFrame
    unknown: pl.DataFrame
    unseen: int = 0
    earlier: int = 0

    def bytes(self) -> int:
        """What its frames take in memory, about: `values` shares its texts with `until`."""
        cells = self.values.height * self.values.width
        frames = (self.records, self.until, self.unknown)
        return sum(int(each.estimated_size()) for each in frames) + cells * _CELL


def as_of(
    records: pl.DataFrame,
    values: pl.DataFrame,
    end: datetime,
    *,
    cap: int,
    modified_property: str,
) -> AsOf:
    """The batch as of `end` (naive UTC): nothing created, gone, set or cleared since then shows.

    A record that does not tell when it was created is there; one that does not tell when it was
    updated may have changed since `end`.
    `cap` is the number of values HubSpot keeps per property: a property with so many, all of
    them newer than `end`, had an older value that is gone; its oldest retained value stands in
    and is counted. With fewer, its history is whole, and it was not set yet. A value without a
    time stamp is known if it was seen before `end`, or its record has not changed since. Of a
    record that was merged away since, no value is known if it was last read before `end`, nor of
    one that took another in and kept its id.
    """
    live, moment = there_at(records, end), literal(end)
    if live.height < records.height:
        values = values.join(live.select("id"), on="id", how="semi", maintain_order="left")
    unseen = records.filter(
        (pl.col("goneAt") >= moment)
        & (pl.col("bornAt") < moment).fill_null(value=True)
        & (
            pl.col("readAt").is_null()
            | ((pl.col("awayFrom") < moment) & (pl.col("awayUntil") == pl.col("goneAt")))
        )
    ).height
    until = values.filter(_until(end))
    changed = live.filter((pl.col("updatedAt") >= moment).fill_null(value=True))
    seen_since = values["seenSince"].max()
    seen_late = isinstance(seen_since, datetime) and seen_since >= end
    # HubSpot tells no more of who was merged away: what a reading found before the end of the day.
    untold = live.filter((pl.col("gone") != ARCHIVED) & (pl.col("readAt") < moment))
    unknown = (pl.col("heldUntil") < moment) | _of(untold)
    if not (changed.height or seen_late) and until.height == values.height:
        state = _last_of_group(until)
    else:
        live = _with_earlier_update(live, until, end)
        state = _last_of_group(_with_lost_values(values, until, end, cap, modified_property))
        newer = pl.col("timestamp") >= moment
        is_modified_date = pl.col("name") == modified_property
        undated = ~is_modified_date & pl.col("timestamp").is_null()
        # Who took another in since and kept its id has that one's history besides its own.
        mixed = values.filter((pl.col("name") == MERGED_IDS) & newer)
        unknown |= (
            (~is_modified_date & newer)
            | (_undated_modified_date(modified_property, end) & _of(live.filter("guessed")))
            | (undated & (pl.col("seenSince") >= moment))
            | (undated & pl.col("seenSince").is_null() & _of(changed))
            | _of(mixed)
        )
        live = live.drop("guessed")
    cells = state.filter(unknown).select(_GROUP)
    if changed.height:
        replaced = _undated_modified_date(modified_property, end)
        state = _with_modified_dates(
            state, live.join(changed.select("id"), on="id", how="semi"), replaced
        )
    return AsOf(live, state.filter(pl.col("value") != ""), until, cells, unseen, untold.height)


def records_at(records: pl.DataFrame, values: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """The records alone of `as_of`."""
    until = values.filter(_until(end))
    return _with_earlier_update(there_at(records, end), until, end).drop("guessed")


def there_at(records: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """The records that a day delivers whose end is `end`; those of an unknown date among them."""
    return records.filter(_there(end))


def ended(records: pl.DataFrame, start: datetime, end: datetime) -> int:
    """How many of the records that were there at `start` were so no longer at `end`."""
    return records.filter(_there(start) & ~_there(end)).height


def _there(end: datetime) -> pl.Expr:
    column, moment = pl.col, literal(end)
    return (
        (column("createdAt") < moment).fill_null(value=True)
        & (column("bornAt") < moment).fill_null(value=True)
        & (column("gone").is_null() | (column("goneAt") >= moment).fill_null(value=False))
        & ~((column("awayFrom") < moment) & (column("awayUntil") >= moment)).fill_null(value=False)
        & column("readAt").is_not_null()
    )


def _until(end: datetime) -> pl.Expr:
    return (pl.col("timestamp") < literal(end)) | pl.col("timestamp").is_null()


#: The columns that this is told by, beside the id.
LIFE = ("createdAt", "bornAt", "gone", "goneAt", "awayFrom", "awayUntil", "readAt")


def _of(records: pl.DataFrame) -> pl.Expr:
    """Whether a row is of one of these."""
    return pl.col("id").is_in(records["id"].implode())


def _undated_modified_date(modified_property: str, end: datetime) -> pl.Expr:
    """Whether a row is the modified date of a record, with no time stamp before `end`."""
    told = pl.col("timestamp") < literal(end)
    return (pl.col("name") == modified_property) & ~told.fill_null(value=False)


def _last_of_group(values: pl.DataFrame) -> pl.DataFrame:
    """The newest row of each property; `values` is ordered by id, name and time."""
    ends = (pl.col("id") != pl.col("id").shift(-1)) | (pl.col("name") != pl.col("name").shift(-1))
    return values.filter(ends.fill_null(value=True))


def _with_lost_values(
    values: pl.DataFrame, until: pl.DataFrame, end: datetime, cap: int, modified_property: str
) -> pl.DataFrame:
    """`until`, the rows before `end`, with the oldest row of properties that have only newer ones
    but had a value before.

    That is so where all `cap` values that HubSpot retains are newer, and for the modified date,
    which a record always has.
    """
    if until.height == values.height:
        return until
    moment = literal(end)
    first = (pl.col("id") != pl.col("id").shift(1)) | (pl.col("name") != pl.col("name").shift(1))
    rows = values.with_row_index("row")
    oldest = rows.filter(first.fill_null(value=True) & (pl.col("timestamp") >= moment))
    newer = rows.filter(pl.col("timestamp") >= moment).group_by(_GROUP).agg(pl.len().alias("newer"))
    had_one = oldest.join(newer, on=_GROUP).filter(
        (pl.col("newer") >= cap) | (pl.col("name") == modified_property)
    )
    kept = _until(end) | pl.col("row").is_in(had_one["row"].implode())
    return rows.filter(kept).drop("row")


def _with_earlier_update(live: pl.DataFrame, until: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """`live` with updatedAt of records changed since `end` set back to their last change before.

    That is as an earlier reading found it, unless a value was set since. The last value that was
    set is a guess, which `guessed` says: some set it later, or not at all.
    """
    moment = literal(end)
    changed = (pl.col("updatedAt") >= moment).fill_null(value=False)
    if not live.filter(changed).height:
        return live.with_columns(guessed=pl.lit(value=False))
    last_change = until.group_by("id").agg(pl.col("timestamp").max().alias("before"))
    seen = (pl.col("wasReadAt") < moment) & (pl.col("before") <= pl.col("wasReadAt")).fill_null(
        value=True
    )
    was_seen = seen.fill_null(value=False)
    return (
        live.join(last_change, on="id", how="left", maintain_order="left")
        .with_columns(
            guessed=changed & ~was_seen,
            updatedAt=pl.when(changed & was_seen)
            .then("wasUpdatedAt")
            .when(changed)
            .then(pl.max_horizontal("createdAt", "before"))
            .otherwise("updatedAt"),
        )
        .drop("before")
    )


def _with_modified_dates(
    state: pl.DataFrame, changed: pl.DataFrame, modified: pl.Expr
) -> pl.DataFrame:
    """`state` with the modified date of `changed` records, where no history tells it.

    HubSpot keeps that property equal to updatedAt, so it follows from updatedAt.
    """
    moments = changed.select("id", "updatedAt")
    replaced = modified & pl.col("updatedAt").is_not_null()
    return (
        state.join(moments, on="id", how="left", maintain_order="left")
        .with_columns(
            value=pl.when(replaced)
            .then(pl.col("updatedAt").dt.timestamp("ms").cast(pl.String))
            .otherwise("value"),
            timestamp=pl.when(replaced).then("updatedAt").otherwise("timestamp"),
        )
        .drop("updatedAt")
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
    return _value_rows(state.values, state.records, object_type_id)


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
        # What has so many newer ones behind it; a window per property costs a hundred times that.
        older = (pl.col("name") == pl.col("name").shift(-newest)) & (
            pl.col("id") == pl.col("id").shift(-newest)
        )
        distinct = distinct.filter(~older.fill_null(value=False))
    return _value_rows(
        distinct,
        state.records,
        object_type_id,
        SOURCETYPE="sourceType",
        SOURCEID="sourceId",
        SOURCELABEL="sourceLabel",
        UPDATEDBYUSERID="updatedByUserId",
    )


def object_with_object_properties(state: AsOf, object_type_id: str) -> pl.DataFrame:
    """Rows of OBJECT_WITH_OBJECT_PROPERTIES."""
    # {"value":"text"} without its first nine and its last character is the text as JSON.
    text = pl.struct("value").struct.json_encode().str.slice(9).str.strip_suffix("}")
    member = pl.concat_str(pl.lit('"'), _escaped_names(state.values), pl.lit('":'), text)
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


def _escaped_names(values: pl.DataFrame) -> pl.Expr:
    """The names as they stand between quotes in JSON."""
    names = {name: orjson.dumps(name).decode()[1:-1] for name in values["name"].unique()}
    escaped = {name: text for name, text in names.items() if text != name}
    return pl.col("name").replace(escaped) if escaped else pl.col("name")


def objects_of_type(
    state: AsOf,
    object_type_id: str,
    properties: Sequence[PropertyType],
    *,
    counts: Counter[str],
) -> pl.DataFrame:
    """Rows of OBJECTS_<type>: a typed column per property, in the order of `typed.columns`.

    Values that are `unread` are NULL, and counted.
    """
    readable = state.values.filter(pl.col("unread").is_null())
    counts[UNPARSED] += state.values.height - readable.height
    values = readable.select(OBJECTID="id", name="name", value="value")
    typed = typed_columns(values, "OBJECTID", properties, counts)
    return objects(state, object_type_id).join(
        typed, on="OBJECTID", how="left", maintain_order="left"
    )


def _value_rows(
    values: pl.DataFrame, records: pl.DataFrame, object_type_id: str, **more: str
) -> pl.DataFrame:
    """A row per value, in the columns that both tables of values have, then `more`."""
    read_at = records.select("id", "readAt")
    return values.join(read_at, on="id", how="left", maintain_order="left").select(
        OBJECTTYPEID=pl.lit(object_type_id),
        OBJECTID="id",
        NAME="name",
        VALUE="value",
        UPDATEDAT="timestamp",
        INGESTEDAT="readAt",
        **more,
    )
