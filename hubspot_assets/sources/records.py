"""Records of a type of the CRM objects API, with the histories of all properties."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from hubspot_assets.availability import Availability
from hubspot_assets.garbage import spare_the_collector
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
from hubspot_assets.hubspot.record_counts import RecordCounts
from hubspot_assets.hubspot.records import read_records
from hubspot_assets.readings.merging import DamagedError
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.changes import read_changes
from hubspot_assets.sources.earlier import Earlier
from hubspot_assets.sources.fates import Merge, merges_in
from hubspot_assets.sources.gone import read_gone
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.pipelines import stage_properties, stage_property
from hubspot_assets.sources.record_chunks import SEEN, RecordChunk, put_in_order
from hubspot_assets.sources.resuming import plan_of, resumed
from hubspot_assets.sources.source import Report, properties_source, quiet, unavailable
from hubspot_assets.sources.ways import searches
from hubspot_assets.storage import NotFoundError
from hubspot_assets.tables.counts import PROPERTIES_ARCHIVED, RECORDS_GONE, RECORDS_UNREAD
from hubspot_assets.tables.records import history_cap

log = logging.getLogger(__name__)

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
    incremental: str = "auto",
    sweep_days: int = 7,
    own_counts: RecordCounts | None = None,
    keep_erased_days: int = 30,
) -> Staged:
    """Stages the records of a type, gone ones too: chunks of the frames `records` and `values`.

    Where there is an earlier reading of the same `portal` and properties, only what has changed
    since is asked for, unless `incremental` is "off" or nearly all has; it is looked for as `ways`
    has it, by sweep every `sweep_days` days at least. HubSpot's `own_counts` are noted beside. Of
    erased ones the earlier reading is kept for `keep_erased_days`. The property definitions must be
    staged. A type that can't be read, or whose properties can't, is staged empty with its
    availability. Goes on from the checkpoint of such a reading. Raises HubSpotError, StoreError.
    """
    spare_the_collector()
    defined = staging.complete(properties_source(object_type))
    told = [each.content for each in read_items(defined)]
    known = KnownProperties.of(told, stage_properties(staging, object_type))
    plan = plan_of(client, portal, object_type.id, known.identity())
    asked = Asked(client, object_type, known, workers, report, own_counts, keep_erased_days)
    if RECORD_ID not in known.listed:
        reading = staging.begin(asked.source, plan, resume=False)
        return reading.finish(_undefined(client, object_type, defined), datetime.now(UTC))
    base = None if staging.read_again or incremental == "off" else staging.newest(asked.source)
    if base and base.availability.served:
        try:
            changed = None
            if base.plan == plan:
                by_search = searches(asked, staging, base, incremental, sweep_days)
                changed = read_changes(asked, staging, base, by_search=by_search)
            return changed or _read_all(asked, staging, plan, defined.availability, base)
        except (NotFoundError, DamagedError) as error:
            log.warning("%s is read as if for the first time: %s", asked.source, error)
    return _read_all(asked, staging, plan, defined.availability, None)


def _read_all(
    asked: Asked, staging: Staging, plan: str, availability: Availability, earlier: Staged | None
) -> Staged:
    """Stages every record, those that are gone behind the live ones, as changes of these.

    What an `earlier` reading knows beyond that stays known.
    """
    client, type_id, known = asked.client, asked.object_type.id, asked.known
    reading = staging.begin(asked.source, plan)
    merges: list[Merge] = []
    unread: set[int] = set()
    for of_before in reading.staged():
        columns = ["id", "name", "value", "timestamp"]
        merges += merges_in(of_before.read("values", columns))
    if not reading.chunks_staged or reading.after is not None:
        last = datetime.now(UTC)
        untold: set[str] = set()
        cap = history_cap(type_id)
        chunk = RecordChunk(reading, known, Earlier(earlier) if earlier else None, cap)
        try:
            for page in resumed(
                reading,
                lambda after: read_records(
                    client, type_id, known.names, after=after, workers=asked.workers
                ),
            ):
                chunk.add(page)
                # HubSpot tells of every property that it knows, be it null.
                untold.update(
                    *(
                        known.listed - each["properties"].keys()
                        for each in page.records[:1]
                        if isinstance(each.get("properties"), dict)
                    )
                )
                reading.counts[RECORDS_GONE] += page.missing
                reading.counts[RECORDS_UNREAD] += len(page.refused)
                unread.update(map(int, page.refused))
                last = page.received_at
                asked.report(asked.source, reading.counts["records"])
                if page.whole and (chunk.full or page.after is None):
                    chunk.stage(page.after)
        except (NotServed, BadRequest, Unexplained) as error:
            if reading.counts["records"]:
                raise
            return reading.finish(_refusal(client, asked.object_type, error), last)
        finally:
            chunk.close()
        merges += chunk.merges
        live = untold and _live(client, asked.object_type)
        reading.counts[PROPERTIES_ARCHIVED] = len(untold and untold - live)
    put_in_order(reading)
    last = read_gone(asked, reading, merges, earlier, unread)
    asked.note_own_count(reading.counts)
    return reading.finish(availability, last)


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
