"""Records of a type of the CRM objects API, with the histories of all properties."""

from __future__ import annotations

import atexit
import gc
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial

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
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import probe_crm
from hubspot_assets.hubspot.records import Page, Record, read_records
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import records_frame, values_frame
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.nested import in_order, nested
from hubspot_assets.sources.pipelines import stage_properties, stage_property
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
from hubspot_assets.tables.counts import (
    PROPERTIES_ARCHIVED,
    RECORDS_ARCHIVED,
    RECORDS_GONE,
    RECORDS_UNREAD,
    TOLD_TWICE,
)

#: Records are flattened this many at a time, so that few JSON objects are alive at once.
FLATTENED_AT_ONCE = 500

#: The property that records of every type have.
RECORD_ID = "hs_object_id"
#: What is counted of the values of a property that HubSpot does not list, whose name follows.
SEEN = "seen/"
#: Counted while a reading is under way: chunks that hold ids which an earlier one may hold.
_NOT_IN_ORDER = "chunks_not_in_order"


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
    definitions = [each.content for each in read_items(defined)]
    unlisted = stage_properties(staging, object_type) - {each["name"] for each in definitions}
    definitions = [each for each in definitions if not each.get("archived")]
    listed = {each["name"] for each in definitions}
    names = sorted(listed | unlisted)
    plan = plan_of(client, portal, object_type.id, names)
    reading = staging.begin(source, plan)
    if RECORD_ID not in listed:
        return reading.finish(_undefined(client, object_type, defined), datetime.now(UTC))
    if reading.chunks_staged and reading.after is None:  # it ended between last chunk and end
        last = metadata.probe(client, object_type.id)
        _put_in_order(reading)
        return reading.finish(defined.availability, last)
    definitions += map(stage_property, unlisted)
    moments = {each["name"] for each in definitions if each["type"] in {"date", "datetime"}}
    chunk = _RecordChunk(reading, moments, unlisted)
    last = datetime.now(UTC)
    untold: set[str] = set()
    try:
        for page in resumed(
            reading,
            lambda after: read_records(client, object_type.id, names, after=after, workers=workers),
        ):
            chunk.add(page)
            # HubSpot tells of every property that it knows, be it null.
            untold.update(
                *(
                    listed - each["properties"].keys()
                    for each in page.records[:1]
                    if isinstance(each.get("properties"), dict)
                )
            )
            reading.counts[RECORDS_GONE] += page.missing
            reading.counts[RECORDS_UNREAD] += page.refused
            last = page.received_at
            report(source, reading.counts["records"])
            if page.whole and (chunk.full or page.after is None):
                chunk.stage(page.after)
    except (NotServed, BadRequest, Unexplained) as error:
        if reading.counts["records"]:
            raise
        return reading.finish(_refusal(client, object_type, error), last)
    reading.counts[PROPERTIES_ARCHIVED] = len(untold and untold - _live(client, object_type))
    _put_in_order(reading)
    return reading.finish(defined.availability, last)


def defined_properties(properties: Staged, records: Staged | None) -> Iterator[Read]:
    """The definitions of a type's properties: those HubSpot lists, then others that have values.

    Only the `records` of a type with pipelines have others.
    """
    yield from read_items(properties)
    if records is None:
        return
    for count in records.counts:
        if count.startswith(SEEN):
            definition = stage_property(count.removeprefix(SEEN))
            yield Read(definition, records.observed_at.replace(tzinfo=None))


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
    """Pages of records on their way into one chunk of `reading`: of each record, the last told."""

    def __init__(
        self, reading: Reading, moments: Collection[str], unlisted: Collection[str]
    ) -> None:
        self._reading = reading
        self._moments = moments
        self._unlisted = unlisted
        self._highest: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._told: dict[str, tuple[Record, datetime]] = {}
        self._pieces: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._counts: Counter[str] = Counter()
        self._characters = 0

    @property
    def full(self) -> bool:
        """Whether it is large enough to be staged."""
        rows = sum(values.height for _, values in self._pieces)
        return rows >= CHUNK_VALUES or self._characters >= CHUNK_CHARACTERS

    def add(self, page: Page) -> None:
        """Takes a page in, without records that are archived by what they say."""
        before = len(self._told)
        live = [record for record in page.records if not record.get("archived")]
        self._told.update((record["id"], (record, page.received_at)) for record in live)
        new = len(self._told) - before
        self._reading.counts["records"] += new
        self._counts[TOLD_TWICE] += len(live) - new
        self._counts[RECORDS_ARCHIVED] += len(page.records) - len(live)
        if len(self._told) >= FLATTENED_AT_ONCE:
            self._flatten()

    def stage(self, after: str | None) -> None:
        """Stages what was taken in; `after` is the cursor behind it."""
        self._flatten()
        records, values = _each_once(self._pieces)
        again = sum(each.height for each, _ in self._pieces) - records.height
        self._reading.counts["records"] -= again
        self._counts[TOLD_TWICE] += again
        if records.height:
            before = self._highest if self._highest is not None else _highest(self._reading)
            self._counts[_NOT_IN_ORDER] += int(records["id"][0]) <= before
            self._highest = int(records["id"][-1])
        if self._unlisted:
            seen = values["name"].filter(values["name"].is_in(list(self._unlisted)))
            self._counts.update(f"{SEEN}{name}" for name in seen)
        self._reading.counts.update(self._counts)
        self._clear()
        self._reading.add({"records": records, "values": values}, after=after)

    def _flatten(self) -> None:
        told, read_at = (
            [each for each, _ in self._told.values()],
            [at for _, at in self._told.values()],
        )
        values = values_frame(told, self._moments, self._counts)
        self._pieces.append((records_frame(told, read_at, self._counts), values))
        self._characters += int(values["value"].str.len_bytes().sum())
        self._told = {}


def _each_once(
    pieces: Sequence[tuple[pl.DataFrame, pl.DataFrame]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records and values of all pieces, by id; of a record in several, those of the last."""
    records = pl.concat(each for each, _ in pieces)
    values = pl.concat(each for _, each in pieces)
    if (records["id"].diff() > 0).all():
        return records, values
    last = pl.concat(
        each.select("id", piece=pl.lit(number)) for number, (each, _) in enumerate(pieces)
    ).unique("id", keep="last", maintain_order=True)

    def of_last(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
        numbered = (each.with_columns(piece=pl.lit(n)) for n, each in enumerate(frames))
        kept = pl.concat(numbered).join(last, on=["id", "piece"], how="semi", maintain_order="left")
        return kept.drop("piece").sort("id", maintain_order=True)

    return of_last(each for each, _ in pieces), of_last(each for _, each in pieces)


def _highest(reading: Reading) -> int:
    """The highest id of the chunk that was staged last, by whoever began; -1 if there is none."""
    last = reading.last_chunk()
    ids = last.read("records", ["id"])["id"] if last else pl.Series(dtype=pl.Int64)
    return int(ids[-1]) if len(ids) else -1


def _put_in_order(reading: Reading) -> None:
    """Stages the chunks of a reading again, in order of ids, each record as it was told last.

    Nothing is to be done unless HubSpot listed some out of order or twice.
    """
    if not reading.counts.pop(_NOT_IN_ORDER, 0):
        return
    told = reading.counts.pop("records")
    readers = [partial(_nested, chunk) for chunk in reading.staged_again()]
    for records, values in in_order(reversed(readers)):
        reading.counts["records"] += records.height
        reading.add({"records": records, "values": values}, after=None)
    reading.counts[TOLD_TWICE] += told - reading.counts["records"]


def _nested(chunk: Chunk) -> pl.DataFrame:
    return nested(chunk.read("records"), chunk.read("values"))
