"""Object types outside the CRM objects API: read from it where a portal serves them there all the
same, else from their own APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from hubspot_assets.assets.extraction import extraction, read_properties, read_records
from hubspot_assets.assets.resources import HubSpotResource
from hubspot_assets.assets.types import ExportedType
from hubspot_assets.hubspot import metadata, own_apis
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Forbidden
from hubspot_assets.hubspot.metadata import NOT_SERVED, Read
from hubspot_assets.staging.extract import object_source
from hubspot_assets.staging.own import extract_own
from hubspot_assets.staging.stage import Staged, Staging

#: Types whose own API is asked by the records of another type.
ASKED_BY = {"deal_splits": "0-3"}


def own_type_assets(
    types: Sequence[ExportedType], partitions: dg.PartitionsDefinition[str], portal: str
) -> list[dg.AssetsDefinition]:
    """An asset for each of `types` that has an API of its own: its records and properties."""
    by_id = {of.object_type.id: of for of in types}
    return [
        _asset(of, by_id.get(ASKED_BY.get(of.object_type.api, "")), partitions, portal)
        for of in types
        if of.has_own_api
    ]


def _asset(
    of: ExportedType,
    asked_by: ExportedType | None,
    partitions: dg.PartitionsDefinition[str],
    portal: str,
) -> dg.AssetsDefinition:
    def extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        try:
            metadata.probe(client, of.object_type.id)
        except (Forbidden, *NOT_SERVED):
            return extract_own(
                staging,
                of.object_type,
                _reader(client, staging, of, asked_by),
                report=lambda _, records: hubspot.report(of.folder, records),
            )
        read_properties(of, client, staging)
        return read_records(of, client, staging, hubspot, portal=portal)

    return extraction(
        of.records_key,
        f"All live {of.label} with their properties, which keep no history.",
        partitions,
        extract,
        deps=[asked_by.records_key] if asked_by else [],
        object_type_id=of.object_type.id,
    )


def _reader(
    client: HubSpot, staging: Staging, of: ExportedType, asked_by: ExportedType | None
) -> Callable[[], Iterator[Read]]:
    api = of.object_type.api
    if api not in ASKED_BY:
        return lambda: own_apis.READERS[api](client)
    ids = _staged_ids(staging, asked_by) if asked_by else iter(())
    return lambda: own_apis.deal_splits(client, ids)


def _staged_ids(staging: Staging, of: ExportedType) -> Iterator[str]:
    for chunk in staging.complete(object_source(of.object_type)).chunks():
        yield from map(str, chunk.read("records", ["id"])["id"])
