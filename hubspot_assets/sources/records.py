"""Records of a type of the CRM objects API, with the histories of all properties."""

from __future__ import annotations

import atexit
import gc
from datetime import UTC, datetime
from functools import cache

import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    HubSpotError,
    IncompleteAnswer,
    NotServed,
    Unexplained,
)
from hubspot_assets.hubspot.own_apis import probe_crm
from hubspot_assets.hubspot.records import Page, Record, read_records
from hubspot_assets.readings.staging import Reading, Staged, Staging
from hubspot_assets.sources.flatten import records_frame, values_frame
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.resuming import plan_of, resumed
from hubspot_assets.sources.source import (
    CHUNK_CHARACTERS,
    CHUNK_VALUES,
    Report,
    object_source,
    properties_source,
    quiet,
    unavailable,
)
from hubspot_assets.tables.counts import PROPERTIES_ARCHIVED, RECORDS_GONE, UNLIKE_HISTORY

#: Records are flattened this many at a time, so that few JSON objects are alive at once.
FLATTENED_AT_ONCE = 500

#: The property that records of every type have.
RECORD_ID = "hs_object_id"


def extract_records(
    client: HubSpot,
    staging: Staging,
    object_type: ObjectType,
    *,
    portal: str,
    workers: int,
    report: Report = quiet,
) -> Staged:
    """Stages all live records of a type: chunks of the frames `records` and `values`.

    The property definitions must be staged. A type that can't be read, or whose properties can't,
    is staged empty with its availability. Goes on from the checkpoint of a reading of the same
    `portal` and properties. Raises HubSpotError and StoreError.
    """
    _spare_the_collector()
    source = object_source(object_type)
    defined = staging.complete(properties_source(object_type))
    definitions = [each for each in read_items(defined) if not each.content.get("archived")]
    names = sorted(each.content["name"] for each in definitions)
    plan = plan_of(client, portal, object_type.id, names)
    reading = staging.begin(source, plan)
    if RECORD_ID not in names:
        return reading.finish(_undefined(client, object_type, defined), datetime.now(UTC))
    if reading.chunks_staged and reading.after is None:  # it ended between last chunk and end
        return reading.finish(defined.availability, metadata.probe(client, object_type.id))
    moments = {
        each.content["name"] for each in definitions if each.content["type"] in {"date", "datetime"}
    }
    chunk = _RecordChunk(moments)
    last = datetime.now(UTC)
    untold: set[str] = set()
    try:
        for page in resumed(
            reading,
            lambda after: read_records(client, object_type.id, names, after=after, workers=workers),
        ):
            chunk.add(page)
            # HubSpot tells of every property that it knows, be it null.
            untold.update(*(set(names) - each["properties"].keys() for each in page.records[:1]))
            reading.counts["records"] += len(page.records)
            reading.counts[RECORDS_GONE] += page.missing
            last = page.received_at
            report(source, reading.counts["records"])
            if page.whole and (chunk.full or page.after is None):
                chunk.stage(reading, page.after)
    except (NotServed, BadRequest, Unexplained) as error:
        if reading.counts["records"]:
            raise
        return reading.finish(_refusal(client, object_type, error), last)
    reading.counts[PROPERTIES_ARCHIVED] = len(untold and untold - _live(client, object_type))
    return reading.finish(defined.availability, last)


def _refusal(client: HubSpot, object_type: ObjectType, error: HubSpotError) -> Availability:
    """Why HubSpot refuses a type's records; raises `error` if it refused our way of asking."""
    try:
        probe_crm(client, object_type)
    except NotServed as refused:
        return unavailable(refused, object_type)
    raise error


def _live(client: HubSpot, object_type: ObjectType) -> set[str]:
    """The names of a type's properties as of now."""
    return {
        each.content["name"]
        for each in metadata.properties(client, object_type.id)
        if not each.content.get("archived")
    }


def _undefined(client: HubSpot, object_type: ObjectType, defined: Staged) -> Availability:
    """Why a type without property definitions has no records to be read.

    Raises IncompleteAnswer where HubSpot has some, and nothing to say against their properties.
    """
    if defined.availability.lacking:
        return defined.availability
    try:
        probe_crm(client, object_type)
    except NotServed as error:
        return unavailable(error, object_type)
    raise IncompleteAnswer(
        f"properties of {object_type.plural_name}: HubSpot tells of none, not even {RECORD_ID}, "
        f"but serves the records ({defined.availability.detail or 'an empty list'}); nothing of "
        "this type is delivered, try again"
    )


@cache
def _spare_the_collector() -> None:
    """Takes what the process holds by now out of garbage collection, once.

    Pages make objects fast enough for full collections, each of which would walk all of
    Dagster's: that took twice the time of fetching and parsing.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


class _RecordChunk:
    """Pages of records on their way into one chunk."""

    def __init__(self, moments: set[str]) -> None:
        self._moments = moments
        self._clear()

    def _clear(self) -> None:
        self._raw: list[Record] = []
        self._read_at: list[datetime] = []
        self._records: list[pl.DataFrame] = []
        self._values: list[pl.DataFrame] = []
        self._characters = 0
        self._differing = 0

    @property
    def full(self) -> bool:
        """Whether it is large enough to be staged."""
        rows = sum(frame.height for frame in self._values)
        return rows >= CHUNK_VALUES or self._characters >= CHUNK_CHARACTERS

    def add(self, page: Page) -> None:
        """Takes a page in."""
        self._raw += page.records
        self._read_at += [page.received_at] * len(page.records)
        if len(self._raw) >= FLATTENED_AT_ONCE:
            self._flatten()

    def stage(self, reading: Reading, after: str | None) -> None:
        """Stages what was taken in; `after` is the cursor behind it."""
        self._flatten()
        records = pl.concat(self._records)
        values = pl.concat(self._values)
        reading.counts[UNLIKE_HISTORY] += self._differing
        self._clear()
        reading.add({"records": records, "values": values}, after=after)

    def _flatten(self) -> None:
        self._records.append(records_frame(self._raw, self._read_at))
        values, differing = values_frame(self._raw, self._moments)
        self._values.append(values)
        self._characters += int(values["value"].str.len_bytes().sum())
        self._differing += differing
        self._raw, self._read_at = [], []
