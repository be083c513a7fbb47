"""Extractions: from the HubSpot client to the staged day."""

from __future__ import annotations

import atexit
import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import polars as pl

from hubspot_assets.export import Availability
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType, changed_types
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Forbidden, MissingScope, Refused
from hubspot_assets.hubspot.metadata import NOT_SERVED, Read
from hubspot_assets.hubspot.own_apis import probe
from hubspot_assets.hubspot.records import Page, Record, read_records
from hubspot_assets.staging.flatten import MOMENT, records_frame, values_frame
from hubspot_assets.staging.stage import Reading, Staged, Staging

#: A chunk is staged once it holds so many values, or so many characters in them: what a table
#: holds in memory at a time.
CHUNK_VALUES = 200_000
CHUNK_CHARACTERS = 24_000_000
#: Records are flattened this many at a time, so that few JSON objects are alive at once.
FLATTENED_AT_ONCE = 500

#: What a record extraction counts: the records with links to the type whose id follows, and
#: whether it could not be told.
LINKED, LINKED_UNKNOWN = "linked/", "linked_unknown"

AVAILABLE = Availability("available", "")
ITEMS_SCHEMA = {"item": pl.String(), "readAt": MOMENT}

Report = Callable[[str, int], None]
"""Told the source and how many records of it have been read so far."""


def quiet(source: str, records: int) -> None:
    """Reports nothing."""


def object_source(object_type: ObjectType) -> str:
    """The source that holds a type's records."""
    return f"objects/{object_type.id}"


def properties_source(object_type: ObjectType) -> str:
    """The source that holds a type's property definitions."""
    return f"properties/{object_type.id}"


def unavailable(object_type: ObjectType, error: Refused) -> Availability:
    """Why a type's records can't be had, from what HubSpot answered to a plain request."""
    if isinstance(error, MissingScope):
        return Availability("missing_scope", str(error))
    if object_type.api == "none":
        return Availability("no_public_api", str(error))
    return Availability("not_enabled", str(error))


def refused(error: Refused) -> Availability:
    """Why something that is no type's own can't be had, from what HubSpot answered."""
    forbidden = isinstance(error, Forbidden)
    return Availability("missing_scope" if forbidden else "not_enabled", str(error))


def extract_records(
    client: HubSpot,
    staging: Staging,
    object_type: ObjectType,
    *,
    portal: str,
    workers: int,
    linked_types: Sequence[ObjectType] = (),
    report: Report = quiet,
) -> Staged:
    """Stages all live records of a type: chunks of the frames `records` and `values`.

    The property definitions must be staged. How many records have links to each of `linked_types`
    is counted along the way, as `linked/<type id>`; `linked_unknown` if HubSpot would not tell.
    A type that can't be read is staged empty with its availability. Goes on from the checkpoint
    of a reading of the same `portal`, properties and types. Raises HubSpotError and StoreError.
    """
    _spare_the_collector()
    source = object_source(object_type)
    definitions = [
        each
        for each in read_items(staging.complete(properties_source(object_type)))
        if not each.content.get("archived")
    ]
    names = sorted(each.content["name"] for each in definitions)
    path_names = {_path_name(each): each.id for each in linked_types}
    asked = [portal, object_type.id, names, sorted(path_names)]
    plan = hashlib.sha256(orjson.dumps(asked)).hexdigest()
    reading = staging.begin(source, plan)
    if reading.chunks_staged and reading.after is None:  # it ended between last chunk and end
        return reading.finish(AVAILABLE, metadata.probe(client, object_type.id))
    moments = {
        each.content["name"] for each in definitions if each.content["type"] in {"date", "datetime"}
    }
    chunk = _RecordChunk(moments)
    last = datetime.now(UTC)
    try:
        for page in read_records(
            client,
            object_type.id,
            names,
            associations=list(path_names),
            after=reading.after,
            workers=workers,
        ):
            chunk.add(page)
            reading.counts["records"] += len(page.records)
            reading.counts["records_gone_while_reading"] += page.missing
            if page.linked is None:
                reading.counts[LINKED_UNKNOWN] = 1
            for name, number in (page.linked or {}).items():
                reading.counts[f"{LINKED}{path_names[name]}"] += number
            last = page.received_at
            report(source, reading.counts["records"])
            if page.whole and (chunk.full or page.after is None):
                chunk.stage(reading, page.after)
    except (Forbidden, *NOT_SERVED) as error:
        if reading.counts["records"]:
            raise
        return reading.finish(_refusal(client, object_type, error), last)
    return reading.finish(AVAILABLE, last)


def _path_name(of: ObjectType) -> str:
    """What a type is called in a request: custom ones by the name that no other portal has."""
    return of.fully_qualified_name if of.custom else of.plural_name


def _refusal(client: HubSpot, object_type: ObjectType, error: Refused) -> Availability:
    """Why HubSpot refuses a type's records; raises `error` if it refused our way of asking."""
    try:
        metadata.probe(client, object_type.id)
    except (Forbidden, *NOT_SERVED) as refused:
        return unavailable(object_type, refused)
    raise error


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
        reading.counts["values_unlike_newest_history"] += self._differing
        self._clear()
        reading.add({"records": records, "values": values}, after=after)

    def _flatten(self) -> None:
        self._records.append(records_frame(self._raw, self._read_at))
        values, differing = values_frame(self._raw, self._moments)
        self._values.append(values)
        self._characters += int(values["value"].str.len_bytes().sum())
        self._differing += differing
        self._raw, self._read_at = [], []


def extract_items(
    staging: Staging,
    source: str,
    read: Callable[[], Iterator[Read]],
    *,
    object_type: ObjectType | None = None,
) -> Staged:
    """Stages a short list, whole, as one chunk: frame `items` of JSON text and moment of reading.

    What the token or the portal does not give is staged empty with its availability. Raises
    HubSpotError and StoreError.
    """
    reading = staging.begin(source, "items", resume=False)
    try:
        items = list(read())
    except (Forbidden, *NOT_SERVED) as error:
        if object_type:
            return reading.finish(unavailable(object_type, error), datetime.now(UTC))
        return reading.finish(refused(error), datetime.now(UTC))
    return stage_items(reading, items)


def stage_items(reading: Reading, items: Iterable[Read]) -> Staged:
    """Stages `items` as the only chunk of a reading."""
    items = list(items)
    frame = pl.DataFrame(
        {
            "item": [orjson.dumps(each.content).decode() for each in items],
            "readAt": [each.received_at.replace(tzinfo=None) for each in items],
        },
        schema=ITEMS_SCHEMA,
    )
    reading.counts["items"] = len(items)
    reading.add({"items": frame}, after=None)
    last = max((each.received_at for each in items), default=datetime.now(UTC))
    return reading.finish(AVAILABLE, last)


def read_items(staged: Staged) -> Iterator[Read]:
    """The items of a staged list; their moments are naive UTC."""
    for chunk in staged.chunks():
        for item, read_at in chunk.read("items").iter_rows():
            yield Read(orjson.loads(item), read_at)


def extract_object_types(
    client: HubSpot,
    staging: Staging,
    object_types: Sequence[tuple[ObjectType, str]],
    discovered: Sequence[ObjectType],
) -> Staged:
    """Stages the (object type, table name) pairs, each with the availability found by asking.

    An item with a `warning` tells what has changed of the custom types since all types were
    `discovered`.
    """

    def read() -> Iterator[Read]:
        for object_type, table in object_types:
            try:
                asked, status = probe(client, object_type), "available"
            except (Forbidden, *NOT_SERVED) as error:
                asked, status = datetime.now(UTC), unavailable(object_type, error).status
            entry: dict[str, Any] = {"table": table, "availability": status}
            yield Read(asdict(object_type) | entry, asked)
        for warning in changed_types(client, discovered):
            yield Read({"warning": warning}, datetime.now(UTC))

    return stage_items(staging.begin("object_types", "items", resume=False), read())
