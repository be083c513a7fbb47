"""Event types under their names in the export, and the assets that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.extraction import Extract, extraction, extractions
from hubspot_assets.assets.resources import HubSpotResource
from hubspot_assets.assets.types import ExportedType, chosen
from hubspot_assets.hubspot import email_events as email
from hubspot_assets.hubspot import events as api
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import Forbidden
from hubspot_assets.hubspot.events import EventType
from hubspot_assets.hubspot.metadata import NOT_SERVED, Read
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.settings import Settings
from hubspot_assets.sources.events import (
    events_refused,
    extract_email_events,
    extract_events,
)
from hubspot_assets.sources.items import stage_items
from hubspot_assets.sources.source import refused
from hubspot_assets.tables.names import unique_event_suffixes

EMAIL_EVENTS_KEY = dg.AssetKey(["hubspot", "email_events"])
DEFINITIONS_KEY = dg.AssetKey(["hubspot", "event_definitions"])
EVENT_TYPES_KEY = dg.AssetKey(["hubspot", "event_types"])

DEFINITIONS = "event_definitions"
EVENT_TYPES = "event_types"

CONTACTS = "0-1"


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """An event type with its name in the export: `suffix` as in EVENTS_<suffix>."""

    event_type: EventType
    suffix: str

    @property
    def table(self) -> str:
        """`EVENTS_<suffix>`."""
        return f"EVENTS_{self.suffix}"

    @property
    def by_mail(self) -> bool:
        """Whether it is a marketing e-mail event, which has an API of its own."""
        return self.event_type.api == api.EMAIL_EVENTS

    @property
    def key(self) -> dg.AssetKey:
        """The asset that reads its occurrences."""
        if self.by_mail:
            return EMAIL_EVENTS_KEY
        return dg.AssetKey(["hubspot", "events", self.suffix.lower()])

    @property
    def label(self) -> str:
        """What people call it."""
        return self.event_type.label or self.event_type.name

    @property
    def definition_id(self) -> str:
        """What stands for it in the tables of definitions: its id, or its name without one."""
        return self.event_type.id or self.event_type.name


def named_events(catalog: Catalog) -> list[ExportedEvent]:
    """All of the catalog's event types under their names in the export, by table name."""
    suffixes = unique_event_suffixes((each.name, each.id) for each in catalog.event_types)
    events = [ExportedEvent(each, suffixes[each.name]) for each in catalog.event_types]
    return sorted(events, key=lambda each: each.suffix)


def exported_events(catalog: Catalog, settings: Settings) -> tuple[ExportedEvent, ...]:
    """The event types that the settings include. Raises SettingsError for an unknown one."""
    events = named_events(catalog)
    names = {
        of.event_type.name: {
            each.lower() for each in (of.event_type.name, of.suffix, of.definition_id)
        }
        for of in events
    }
    wanted = chosen(
        names,
        ("EVENT_TYPES", settings.event_types),
        ("EXCLUDE_EVENT_TYPES", settings.exclude_event_types),
        [each.suffix.lower() for each in events],
    )
    return tuple(each for each in events if each.event_type.name in wanted)


def event_extraction_assets(
    events: Sequence[ExportedEvent],
    types: Sequence[ExportedType],
    partitions: dg.TimeWindowPartitionsDefinition,
    portal: str,
) -> list[dg.AssetsDefinition]:
    """The assets that read what the tables of `events` need."""

    def email_extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        window = Day.named(staging.day, partitions).window
        return extract_email_events(client, staging, window, portal=portal, report=hubspot.report)

    sources: list[tuple[dg.AssetSpec, Extract]] = [
        (
            dg.AssetSpec(each.key, description=f"Occurrences of the event {each.label}."),
            _occurrences(each, partitions, portal),
        )
        for each in events
        if not each.by_mail
    ]
    definitions = "Definitions of custom event types, with their properties."
    event_types = "Event types, each tried once to see if it can be read."
    return [
        extractions(
            "hubspot_events",
            [
                *sources,
                (dg.AssetSpec(DEFINITIONS_KEY, description=definitions), _definitions),
                (dg.AssetSpec(EVENT_TYPES_KEY, description=event_types), _event_types(events)),
            ],
            partitions,
        ),
        extraction(
            EMAIL_EVENTS_KEY,
            "Marketing e-mail events of all types, with the contacts that they were sent to.",
            partitions,
            email_extract,
            deps=[of.records_key for of in types if of.object_type.id == CONTACTS],
        ),
    ]


def _occurrences(
    of: ExportedEvent, partitions: dg.TimeWindowPartitionsDefinition, portal: str
) -> Extract:
    def extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        return extract_events(
            client,
            staging,
            of.event_type.name,
            Day.named(staging.day, partitions).window,
            portal=portal,
            report=hubspot.report,
        )

    return extract


def _definitions(client: HubSpot, staging: Staging, _: HubSpotResource) -> Staged:
    reading = staging.begin(DEFINITIONS, "items", resume=False)
    try:
        definitions = list(api.event_definitions(client, properties=True))
    except (Forbidden, *NOT_SERVED) as error:
        return reading.finish(events_refused(error), datetime.now(UTC))
    return stage_items(reading, definitions)


def _event_types(events: Sequence[ExportedEvent]) -> Extract:
    def extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        def read(of: ExportedEvent) -> Read:
            status = "available"
            try:
                asked = email.probe(client) if of.by_mail else api.probe(client, of.event_type.name)
            except (Forbidden, *NOT_SERVED) as error:
                why = refused(error) if of.by_mail else events_refused(error)
                asked, status = datetime.now(UTC), why.status
            entry = {"id": of.definition_id, "table": of.table, "availability": status}
            return Read(asdict(of.event_type) | entry, asked)

        reading = staging.begin(EVENT_TYPES, "items", resume=False)
        return stage_items(reading, in_order(read, events, hubspot.workers))

    return extract
