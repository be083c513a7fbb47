"""Engagements: the records of all types of activities as one type, from what is staged of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import EVER, MOMENT, RECORDS_SCHEMA, VALUES_SCHEMA
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.source import (
    CHUNK_CHARACTERS,
    CHUNK_VALUES,
    object_source,
    properties_source,
)
from hubspot_assets.tables.counts import (
    ENGAGEMENTS_TWICE,
    RECORDS_GONE,
    RECORDS_UNREAD,
    UNLIKE_HISTORY,
)

ENGAGEMENTS = "0-4"
SOURCE, PROPERTIES = f"objects/{ENGAGEMENTS}", f"properties/{ENGAGEMENTS}"
#: The property that tells what kind of activity a record is.
ENGAGEMENT_TYPE = "hs_engagement_type"

#: What the readings of the types count that is true of engagements, too.
_COUNTED = (RECORDS_GONE, RECORDS_UNREAD, UNLIKE_HISTORY)

_DEFINITION = {
    "name": ENGAGEMENT_TYPE,
    "label": "Engagement type",
    "description": "The kind of activity",
    "type": "enumeration",
    "fieldType": "select",
    "hubspotDefined": True,
}


def engagement_types() -> tuple[str, ...]:
    """The object types whose records are engagements, by id."""
    return tuple(_kinds())


def stage_engagements(staging: Staging, present: Sequence[ObjectType]) -> Staged:
    """Stages the records of the types of activities among `present` as records of engagements.

    Their records and properties must be staged. The frames are those of any type's records, by
    id; each record has its values and ENGAGEMENT_TYPE. Types that HubSpot refuses are left out:
    the availability names them, and is theirs where there is no other. Of records of one id the
    first type's stays; the others are counted. Raises NotStagedError and StoreError.
    """
    kinds = [each for each in present if each.id in _kinds()]
    _stage_properties(staging, kinds)
    sources = {each.id: staging.complete(object_source(each)) for each in kinds}
    served = {of: each for of, each in sources.items() if each.availability.status == "available"}
    reading = staging.begin(SOURCE, "engagements", resume=False)
    for name in _COUNTED:
        reading.counts[name] = sum(each.counts.get(name, 0) for each in served.values())
    chunk = _Chunk(reading)
    for records, values in _merged([_Head(of, each) for of, each in served.items()], reading):
        chunk.add(records, values)
    chunk.stage()
    return reading.finish(_availability(sources), _observed_at(sources.values()))


def _availability(sources: Mapping[str, Staged]) -> Availability:
    """That of the first type if all are refused; else available, with word of the refused."""
    told = [each.availability for each in sources.values()]
    refused = [each for each in told if each.status != "available"]
    if not sources:
        return Availability("not_enabled", "no type of activity is exported")
    if len(refused) == len(sources):
        return refused[0]
    return Availability("available", "; ".join(each.detail for each in refused))


def _observed_at(sources: Iterable[Staged]) -> datetime:
    return max((each.observed_at for each in sources), default=datetime.now(UTC))


def _stage_properties(staging: Staging, kinds: Sequence[ObjectType]) -> Staged:
    """Stages the definitions of all types' properties, by name, and of ENGAGEMENT_TYPE."""
    sources = [staging.complete(properties_source(each)) for each in kinds]
    reading = staging.begin(PROPERTIES, "items", resume=False)
    if all(each.availability.status != "available" for each in sources):
        none = Availability("not_enabled", "no type of activity is exported")
        refused = sources[0].availability if sources else none
        return reading.finish(refused, _observed_at(sources))
    found: dict[str, Read] = {}
    for content, read_at in (item for each in sources for item in read_items(each)):
        read = Read(content, read_at.replace(tzinfo=UTC))
        known = found.setdefault(content["name"], read)
        found[content["name"]] = _either(known, read)
    observed_at = _observed_at(sources)
    found.setdefault(ENGAGEMENT_TYPE, Read(dict(_DEFINITION), observed_at))
    return stage_items(reading, (found[name] for name in sorted(found)))


def _either(known: Read, other: Read) -> Read:
    """One definition for both: a live one rather than an archived one, else the first.

    What two types define differently is text.
    """
    archived = bool(known.content.get("archived")), bool(other.content.get("archived"))
    if archived == (True, False):
        return other
    if archived == (False, True) or known.content.get("type") == other.content.get("type"):
        return known
    return Read(known.content | {"type": "string"}, known.received_at)


class _Head:
    """A type's staged chunks, of which one is held: what of it has not been taken yet."""

    def __init__(self, object_type_id: str, staged: Staged) -> None:
        self._kind, self._told_by = _kinds()[object_type_id]
        self._chunks: Iterator[Chunk] = staged.chunks()
        self._records = pl.DataFrame(schema=RECORDS_SCHEMA)
        self._values = pl.DataFrame(schema=VALUES_SCHEMA)

    def last(self) -> int | None:
        """The highest id at hand; None at the end."""
        while not self._records.height:
            chunk = next(self._chunks, None)
            if chunk is None:
                return None
            self._records, self._values = chunk.read("records"), chunk.read("values")
        return int(self._records["id"][-1])

    def take(self, until: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Records, and values with ENGAGEMENT_TYPE, of the ids up to `until`; not sorted."""
        here = int(self._records["id"].search_sorted(until, side="right"))
        there = int(self._values["id"].search_sorted(until, side="right"))
        records, self._records = self._records[:here], self._records[here:]
        values, self._values = self._values[:there], self._values[there:]
        return records, pl.concat([values, self._types(records, values)], how="diagonal")

    def _types(self, records: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
        """A value without a time stamp for each record, but those that HubSpot gave one."""
        own = values.filter(pl.col("name") == ENGAGEMENT_TYPE)
        told = values.filter(pl.col("name") == self._told_by, pl.col("value") != "")
        return (
            records.select("id")
            .join(own, on="id", how="anti")
            .join(told.group_by("id").agg(pl.col("value").last()), on="id", how="left")
            .select(
                "id",
                pl.lit(ENGAGEMENT_TYPE).alias("name"),
                pl.col("value").fill_null(self._kind),
                pl.lit(EVER, MOMENT).alias("seenSince"),
            )
        )


def _merged(
    heads: Sequence[_Head], reading: Reading
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Records and values of all types, each id once; ids ascend from pair to pair only."""
    while ends := {head: last for head in heads if (last := head.last()) is not None}:
        until = min(ends.values())
        pieces = [head.take(until) for head in ends]
        records = pl.concat([records for records, _ in pieces])
        values = [values for _, values in pieces]
        if records["id"].is_duplicated().any():
            values = [_without(mine, pieces[:number]) for number, mine in enumerate(values)]
            once = records.unique("id", keep="first", maintain_order=True)
            reading.counts[ENGAGEMENTS_TWICE] += records.height - once.height
            records = once
        yield records, pl.concat(values)


def _without(
    values: pl.DataFrame, earlier: Sequence[tuple[pl.DataFrame, pl.DataFrame]]
) -> pl.DataFrame:
    """`values` of records that none of the `earlier` types has."""
    if not earlier:
        return values
    taken = pl.concat([records.select("id") for records, _ in earlier])
    return values.join(taken, on="id", how="anti", maintain_order="left")


class _Chunk:
    """Records and their values on their way into chunks of bounded size."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._records = pl.DataFrame(schema=RECORDS_SCHEMA)
        self._values = pl.DataFrame(schema=VALUES_SCHEMA)

    def add(self, records: pl.DataFrame, values: pl.DataFrame) -> None:
        """Takes records in, of ids above all that came before; stages what is a chunk by now."""
        self._records = pl.concat([self._records, records.sort("id")])
        self._values = pl.concat([self._values, values.sort("id", "name", maintain_order=True)])
        while (end := self._end()) is not None:
            here = int(self._records["id"].search_sorted(end, side="right"))
            there = int(self._values["id"].search_sorted(end, side="right"))
            self._put(self._records[:here], self._values[:there])
            self._records, self._values = self._records[here:], self._values[there:]

    def stage(self) -> None:
        """Stages what is left."""
        if self._records.height:
            self._put(self._records, self._values)

    def _end(self) -> int | None:
        """The id with which a chunk is full; None while there is less. Every id has a value."""
        characters = self._values["value"].str.len_bytes().cum_sum()
        full = min(CHUNK_VALUES, int(characters.search_sorted(CHUNK_CHARACTERS, side="left")) + 1)
        return int(self._values["id"][full - 1]) if full <= self._values.height else None

    def _put(self, records: pl.DataFrame, values: pl.DataFrame) -> None:
        self._reading.counts["records"] += records.height
        self._reading.add({"records": records, "values": values}, after=None)


@cache
def _kinds() -> dict[str, tuple[str, str]]:
    """By object type id, its engagement type and the property that tells a record's own."""
    return {
        row["object_type_id"]: (row["engagement_type"], row["told_by"])
        for row in facts("engagement_types.csv")
    }
