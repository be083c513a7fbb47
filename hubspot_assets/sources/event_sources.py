"""What is read of events: occurrences per type, e-mail events in one sweep, definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from operator import itemgetter

from hubspot_assets.exported import Exported, ExportedEvent
from hubspot_assets.hubspot import email_events as email
from hubspot_assets.hubspot import events as api
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.email_contents import EMAIL_CONTENTS
from hubspot_assets.sources.events import (
    EMAIL_CONTACTS,
    EMAIL_EVENTS,
    event_source,
    extract_email_events,
    extract_events,
)
from hubspot_assets.sources.items import extract_items, stage_items
from hubspot_assets.sources.source import Ask, Source, unavailable

DEFINITIONS = "event_definitions"
EVENT_TYPES = "event_types"

CONTACTS, MARKETING_EMAILS = "0-1", "0-29"


def event_sources(exported: Exported) -> Iterator[Source]:
    """The sources of all event tables."""
    for of in exported.events:
        if not of.by_mail:
            yield Source(
                event_source(of.event_type.name),
                ("events", of.suffix.lower()),
                f"Occurrences of the event {of.label}.",
                _occurrences(of, exported.portal),
                group="events",
                api="events",
            )
    yield Source(
        DEFINITIONS,
        ("event_definitions",),
        "Definitions of custom event types, with their properties.",
        _definitions,
        group="definitions",
        api="event_definitions",
    )
    yield Source(
        EVENT_TYPES,
        ("event_types",),
        "Event types, each tried once to see if it can be read.",
        _event_types(exported.events),
        group="definitions",
        api="events",
    )
    yield Source(
        EMAIL_EVENTS,
        ("email_events",),
        "Marketing e-mail events of all types, with the contacts and e-mails that they are about.",
        lambda ask: extract_email_events(
            ask.client, ask.staging, ask.day.window, portal=exported.portal, report=ask.report
        ),
        group="events",
        api="email_events",
        needs=tuple(
            of.records for of in exported.types if of.object_type.id in (CONTACTS, MARKETING_EMAILS)
        ),
        also=(EMAIL_CONTACTS, EMAIL_CONTENTS),
    )


def _occurrences(of: ExportedEvent, portal: str) -> Callable[[Ask], Staged]:
    return lambda ask: extract_events(
        ask.client,
        ask.staging,
        of.event_type.name,
        ask.day.window,
        portal=portal,
        report=ask.report,
    )


def _definitions(ask: Ask) -> Staged:
    return extract_items(
        ask.staging,
        DEFINITIONS,
        lambda: api.event_definitions(ask.client, properties=True),
        key=itemgetter("fullyQualifiedName"),
    )


def _event_types(events: Sequence[ExportedEvent]) -> Callable[[Ask], Staged]:
    def extract(ask: Ask) -> Staged:
        def read(of: ExportedEvent) -> Read:
            status = "available"
            try:
                if of.by_mail:
                    asked = email.probe(ask.client)
                else:
                    asked = api.probe(ask.client, of.event_type.name)
            except NotServed as error:
                asked, status = datetime.now(UTC), unavailable(error).status
            entry = {"id": of.definition_id, "table": of.table, "availability": status}
            return Read(asdict(of.event_type) | entry, asked)

        reading = ask.staging.begin(EVENT_TYPES, "items", resume=False)
        return stage_items(reading, in_order(read, events, ask.workers))

    return extract
