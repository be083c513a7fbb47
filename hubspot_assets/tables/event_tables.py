"""A table per event type: the events of the day, and the properties that they can have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial

import polars as pl

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedEvent
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.hubspot.email_events import email_event_types, email_fields
from hubspot_assets.hubspot.events import standard_event_properties
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.ordering import in_key_order
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.email_contents import CONTENTS_SCHEMA, EMAIL_CONTENTS
from hubspot_assets.sources.event_sources import DEFINITIONS
from hubspot_assets.sources.events import (
    CONTACTS_SCHEMA,
    EMAIL_CONTACTS,
    EMAIL_EVENTS,
    RECIPIENT,
    address,
    event_source,
    with_epoch_moments,
)
from hubspot_assets.sources.items import read_items
from hubspot_assets.tables import events as tables
from hubspot_assets.tables import specs, typed
from hubspot_assets.tables.content import Findings, TableContent
from hubspot_assets.tables.counts import EVENTS_REPEATED, counted
from hubspot_assets.tables.definitions import Item
from hubspot_assets.tables.table import Table
from hubspot_assets.tables.typed import PropertyType

Content = Callable[[Staging, Day], TableContent]
Frames = Callable[[pl.DataFrame, pl.DataFrame, Counter[str]], tuple[pl.DataFrame, pl.DataFrame]]
"""Events and values, and what is known of them besides."""


def event_tables(events: Sequence[ExportedEvent], catalog: Catalog) -> Iterator[Table]:
    """The tables of all `events`."""
    object_types = _object_types(catalog)
    for of in events:
        spec = specs.events_of_type(of.table, of.label)
        if of.by_mail:
            sources: tuple[str, ...] = (EMAIL_EVENTS, EMAIL_CONTACTS, EMAIL_CONTENTS)
            yield Table(spec, sources, _email_table(of, object_types))
        else:
            sources = (event_source(of.event_type.name),)
            if of.event_type.custom:
                sources = (*sources, DEFINITIONS)
            yield Table(spec, sources, _plain_table(of, object_types))


def _object_types(catalog: Catalog) -> Mapping[str, str]:
    """Object type ids by the names that the events API may give to the types."""
    return {
        name.upper(): each.id
        for each in catalog.object_types
        for name in (each.id, each.name, each.fully_qualified_name)
    }


def _plain_table(of: ExportedEvent, object_types: Mapping[str, str]) -> Content:
    def content(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(event_source(of.event_type.name))
        known = known_properties(of, staging)
        seen = {name for chunk in staged.chunks() for name in chunk.read("names")["name"]}
        return _content(of, day, staged, tables.all_properties(known, seen), object_types)

    return content


def _email_table(of: ExportedEvent, object_types: Mapping[str, str]) -> Content:
    mine = pl.col("eventType") == _email_event_type(of)

    def content(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(EMAIL_EVENTS)
        addressees, emails = staging.complete(EMAIL_CONTACTS), staging.complete(EMAIL_CONTENTS)
        contacts = _lookup(addressees, "contacts", CONTACTS_SCHEMA)
        contents = _lookup(emails, "contents", CONTENTS_SCHEMA)

        def known(
            events: pl.DataFrame, values: pl.DataFrame, counts: Counter[str]
        ) -> tuple[pl.DataFrame, pl.DataFrame]:
            recipients = values.filter(pl.col("name") == RECIPIENT).select(
                "event", recipient=address("value")
            )
            return (
                tables.with_contacts(events, recipients, contacts, counts),
                tables.with_contents(values, contents, events.height, counts),
            )

        names = (chunk.read("names").filter(mine)["name"] for chunk in staged.chunks())
        properties = tables.all_properties(
            known_properties(of, staging), {name for each in names for name in each}
        )
        lacking = {"OBJECTID": addressees, "PROPERTY_HS_EMAIL_META_CONTENT_ID": emails}
        warnings = [
            f"no {column} is known here: {each.availability.detail}"
            for column, each in lacking.items()
            if not each.availability.served
        ]
        return _content(
            of, day, staged, properties, object_types, mine=mine, known=known, warnings=warnings
        )

    return content


def _lookup(staged: Staged, frame: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *(each.read(frame) for each in staged.chunks())])


def _all_known(
    events: pl.DataFrame, values: pl.DataFrame, _: Counter[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return events, values


def _content(
    of: ExportedEvent,
    day: Day,
    staged: Staged,
    properties: Sequence[PropertyType],
    object_types: Mapping[str, str],
    *,
    mine: pl.Expr | bool = True,
    known: Frames = _all_known,
    warnings: Iterable[str] = (),
) -> TableContent:
    """The table of the staged events that are `mine`, with what else is `known` of them."""
    counts = counted([staged.counts])
    findings = Findings(
        observed_at=staged.observed_at,
        counts=counts,
        warnings=[*warnings, *typed.renamed(properties)],
    )
    moments = {each.name for each in properties if each.type in {"date", "datetime"}}

    def rows(chunk: Chunk) -> pl.DataFrame:
        told = chunk.read("events").filter(mine)
        counts[EVENTS_REPEATED] += told.height
        once = told.unique(["id", "occurredAt"], keep="last", maintain_order=True)
        belonging = chunk.read("values").join(once, on="event", how="semi")
        events, values = known(once, belonging, counts)
        return tables.events_of_type(
            events,
            with_epoch_moments(values, moments),
            properties,
            event_type_id=of.event_type.id,
            object_types=object_types,
            counts=counts,
        )

    def filled() -> Iterator[pl.DataFrame]:
        key = specs.events_of_type(of.table, of.label).key
        for frame in in_key_order((partial(rows, chunk) for chunk in staged.chunks()), key):
            counts[EVENTS_REPEATED] -= frame.height
            yield frame

    return TableContent(
        spec=specs.events_of_type(of.table, of.label).with_columns(typed.columns(properties)),
        folders=[("", filled())],
        as_of=day.end,
        point_in_time=True,
        availability=staged.availability,
        findings=findings,
        settled=day.settled(staged.began),
    )


def known_properties(of: ExportedEvent, staging: Staging) -> list[PropertyType]:
    """The properties of an event type by its definition, or by what is known of HubSpot's own."""
    if not of.event_type.custom:
        return _standard_properties(of)
    return [
        PropertyType(each["name"], each["type"], each.get("label") or each["name"])
        for definition, _ in read_items(staging.complete(DEFINITIONS))
        if definition["fullyQualifiedName"] == of.event_type.name
        for each in definition.get("properties") or ()
        if not each.get("archived")
    ]


def event_property_items(
    events: Sequence[ExportedEvent], definitions: Staged
) -> Iterator[tuple[str, Item]]:
    """(definition id, property) of all events, for PROPERTY_DEFINITIONS."""
    by_name = {each.event_type.name: each for each in events}
    for definition, read_at in read_items(definitions):
        of = by_name.get(definition["fullyQualifiedName"])
        type_id = of.definition_id if of else definition["objectTypeId"]
        for each in definition.get("properties") or ():
            yield type_id, Item(each, read_at)
    known_at = definitions.observed_at.replace(tzinfo=None)
    for of in events:
        for known in _standard_properties(of):
            yield of.definition_id, Item(asdict(known) | {"hubspotDefined": True}, known_at)


def _standard_properties(of: ExportedEvent) -> list[PropertyType]:
    if of.by_mail:
        fields = email_fields(_email_event_type(of))
        return [PropertyType(each.name, each.type, each.label) for each in fields]
    rows = standard_event_properties().get(of.event_type.name, ())
    return [
        PropertyType(each["name"], each["type"], each["label"] or each["name"]) for each in rows
    ]


def _email_event_type(of: ExportedEvent) -> str:
    """The name that the e-mail events API gives the type."""
    names = {event: kind for kind, event in email_event_types().items()}
    return names[of.event_type.name]
