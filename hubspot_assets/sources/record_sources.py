"""What is read of the types of the CRM objects API: property definitions, then records."""

from __future__ import annotations

from collections.abc import Iterator

from hubspot_assets.exported import Exported, ExportedType
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.pipelines import PIPELINES
from hubspot_assets.sources.properties import extract_properties
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import Ask, Source


def record_sources(exported: Exported) -> Iterator[Source]:
    """Two for each type."""
    for of in exported.types:
        if not of.has_own_api:
            yield _properties(of)
            yield _records(of, exported.portal)


def _properties(of: ExportedType) -> Source:
    return Source(
        of.properties,
        ("properties",),
        "Property definitions of all object types that the CRM objects API serves.",
        lambda ask: read_properties(ask, of),
        group="definitions",
        api="properties",
        member=of.folder,
        object_type_id=of.object_type.id,
    )


def _records(of: ExportedType, portal: str) -> Source:
    return Source(
        of.records,
        of.path,
        f"All live records of the type {of.label}, with the histories of all properties.",
        lambda ask: read_records(ask, of, portal),
        group="records",
        api="objects",
        needs=(of.properties, *([PIPELINES] if of.object_type.pipelines else [])),
        object_type_id=of.object_type.id,
    )


def read_properties(ask: Ask, of: ExportedType) -> Staged:
    """Stages a type's property definitions from the properties API."""
    return extract_properties(ask.client, ask.staging, of.object_type)


def read_records(ask: Ask, of: ExportedType, portal: str) -> Staged:
    """Stages a type's records from the CRM objects API; its properties must be staged."""
    return extract_records(
        ask.client,
        ask.staging,
        of.object_type,
        portal=portal,
        workers=ask.workers,
        report=lambda _, records: ask.report(of.folder, records),
        incremental=ask.incremental,
        sweep_days=ask.sweep_days,
        own_counts=ask.own_counts,
        keep_erased_days=ask.keep_erased_days,
    )
