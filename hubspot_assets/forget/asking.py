"""Whether HubSpot still serves records that are to be forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from hubspot_assets.forget.people import People
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import BadRequest, NotServed
from hubspot_assets.hubspot.records import BATCH, batch_read


def still_served(client: HubSpot, catalog: Catalog, people: People) -> People:
    """Those of the records that HubSpot tells of, be they live or archived.

    It can be asked for records of the CRM objects API; of others nothing is known. Raises
    HubSpotError.
    """
    asked = {each.id for each in catalog.object_types if each.api == "crm"} & people.ids.keys()
    found = [
        (type_id, each)
        for type_id in sorted(asked)
        for each in _served(client, type_id, sorted(people.ids[type_id]))
    ]
    return People.told(found, (), people.type_names)


def _served(client: HubSpot, type_id: str, ids: Sequence[int]) -> Iterator[int]:
    yield from _told(client, type_id, ids, archived=False)
    with suppress(NotServed, BadRequest):  # of some types it tells of no bin
        yield from _told(client, type_id, ids, archived=True)


def _told(client: HubSpot, type_id: str, ids: Sequence[int], *, archived: bool) -> Iterator[int]:
    for start in range(0, len(ids), BATCH):
        some = [str(each) for each in ids[start : start + BATCH]]
        page = batch_read(client, type_id, some, [], served=True, archived=archived, silent=True)
        yield from (int(each["id"]) for each in page.records)
        yield from map(int, page.refused)
