"""Which types have linked records, seen from a look at a few records of each.

That no link is seen proves nothing: readings of all records tell the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hubspot_assets.hubspot.catalog import Catalog, ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import HubSpotError

#: Records of a type that are looked at, the oldest ones: the most that HubSpot lists at a time.
LOOKED_AT = "100"
_WORKERS = 16
_APART = re.compile(r"[^a-z0-9-]+")


def with_links_seen(client: HubSpot, catalog: Catalog, former: Catalog | None) -> Catalog:
    """The catalog, with those pairs of types as linked of which a few records show it.

    Looked at are pairs that the `former` catalog did not have yet; of the others readings have
    told. Two requests for each type of the CRM objects API that has records, one for any other:
    to ask for the links to a type that the token may not read would spoil the whole answer.
    """
    known = set(former.associations) if former and former.linked else set()
    pairs = [pair for pair in catalog.associations if pair not in known]
    ends = {each for pair in pairs for each in pair}
    types = [each for each in catalog.object_types if each.id in ends and each.api == "crm"]
    found = in_order(lambda each: _records(client, each.id), types, _WORKERS)
    there = {each.id: each for each, records in zip(types, found, strict=True) if records}
    partners: dict[str, list[ObjectType]] = {}
    for near, far in pairs:
        if near in there and far in there:
            partners.setdefault(near, []).append(there[far])
    seen = in_order(lambda near: set(_linked(client, near, partners[near])), partners, _WORKERS)
    return catalog.with_linked(
        (near, far) for near, linked in zip(partners, seen, strict=True) for far in linked
    )


def _records(client: HubSpot, type_id: str, **more: str) -> list[dict[str, object]]:
    """The first records of a type; none where HubSpot does not tell them."""
    params = {"limit": "1", "properties": "hs_object_id"} | more
    try:
        return list(client.get("objects", params=params, object_type=type_id).items())
    except HubSpotError:  # whoever reads the type hears of it
        return []


def _linked(client: HubSpot, near: str, partners: Sequence[ObjectType]) -> Iterator[str]:
    """The ids of those types that some of the first records of another are linked to."""
    names = {
        _plain(name): each.id
        for each in partners
        for name in (each.id, each.name, each.plural_name, each.fully_qualified_name, each.label)
    }
    asked = ",".join(each.id for each in partners)
    for record in _records(client, near, limit=LOOKED_AT, associations=asked):
        told = record.get("associations")
        for name in told if isinstance(told, dict) else ():
            if type_id := names.get(_plain(name)):
                yield type_id


def _plain(name: str) -> str:
    """A type's name however HubSpot spells it where: `line items`, `line_items`, `LINE_ITEM`."""
    return _APART.sub("_", name.lower())
