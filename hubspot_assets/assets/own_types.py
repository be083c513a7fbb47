"""Object types outside the CRM objects API: read from it where a portal serves them there all the
same, else from their own APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from hubspot_assets.assets.extraction import extraction, read_properties, read_records
from hubspot_assets.assets.resources import HubSpotResource
from hubspot_assets.assets.types import ExportedType
from hubspot_assets.hubspot import metadata, own_apis
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Forbidden
from hubspot_assets.hubspot.lists import list_records
from hubspot_assets.hubspot.metadata import NOT_SERVED, Read
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.sources.engagements import engagement_types, stage_engagements
from hubspot_assets.sources.own_types import extract_own
from hubspot_assets.sources.source import object_source

DEALS = "0-3"


def own_type_assets(
    catalog: Catalog,
    types: Sequence[ExportedType],
    partitions: dg.PartitionsDefinition[str],
    portal: str,
) -> list[dg.AssetsDefinition]:
    """An asset for each of `types` that has an API of its own: its records and properties."""
    return [
        _OwnType(
            of, [each for each in types if each.object_type.id in _sources(of)], catalog
        ).asset(partitions, portal)
        for of in types
        if of.has_own_api
    ]


def _sources(of: ExportedType) -> tuple[str, ...]:
    """The types whose staged records a type is read by, or made of."""
    if of.object_type.api == "engagements":
        return engagement_types()
    return (DEALS,) if of.object_type.api == "deal_splits" else ()


class _OwnType:
    """A type with an API of its own; `sources` are the exported types that it needs first."""

    def __init__(self, of: ExportedType, sources: Sequence[ExportedType], catalog: Catalog) -> None:
        self._of = of
        self._sources = sources
        self._catalog = catalog

    def asset(self, partitions: dg.PartitionsDefinition[str], portal: str) -> dg.AssetsDefinition:
        def extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
            try:
                metadata.probe(client, self._of.object_type.id)
            except (Forbidden, *NOT_SERVED):
                return self._by_own_api(client, staging, hubspot)
            read_properties(self._of, client, staging)
            return read_records(self._of, client, staging, hubspot, portal=portal)

        keys = [key for each in self._sources for key in (each.records_key, each.properties_key)]
        return extraction(
            self._of.records_key,
            f"All live {self._of.label} with their properties, most of which keep no history.",
            partitions,
            extract,
            deps=keys,
            object_type_id=self._of.object_type.id,
        )

    def _by_own_api(self, client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        of = self._of
        if of.object_type.api == "engagements":
            return stage_engagements(staging, [each.object_type for each in self._sources])
        return extract_own(
            staging,
            of.object_type,
            self._reader(client, staging),
            defined=_defined(client, of),
            report=lambda _, records: hubspot.report(of.folder, records),
        )

    def _reader(self, client: HubSpot, staging: Staging) -> Callable[[], Iterator[Read]]:
        match self._of.object_type.api:
            case "lists":
                ids = [each.id for each in self._catalog.object_types]
                return lambda: list_records(client, ids)
            case "deal_splits":
                return lambda: own_apis.deal_splits(client, self._deal_ids(client, staging))
            case api:
                return lambda: own_apis.READERS[api](client)

    def _deal_ids(self, client: HubSpot, staging: Staging) -> Iterator[str]:
        """Ids of the deals that are staged; of all deals where none could be."""
        for each in self._sources:
            staged = staging.complete(object_source(each.object_type))
            if staged.availability.status == "available":
                for chunk in staged.chunks():
                    yield from map(str, chunk.read("records", ["id"])["id"])
                return
        yield from own_apis.deal_ids(client)


def _defined(client: HubSpot, of: ExportedType) -> list[Read]:
    """The type's properties as HubSpot defines them, where it does."""
    try:
        found = list(metadata.properties(client, of.object_type.id))
    except (Forbidden, *NOT_SERVED):
        return []
    return [each for each in found if not each.content.get("archived")]
