"""Property definitions of an object type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Forbidden, NotServed, Refused
from hubspot_assets.hubspot.own_apis import unsure_of
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.items import stage_items
from hubspot_assets.sources.source import properties_source, unavailable


def extract_properties(client: HubSpot, staging: Staging, object_type: ObjectType) -> Staged:
    """Stages the definitions of a type's properties, of every sensitivity the token may see.

    Where the token may not see one of them, the availability has its `detail`. What the token or
    the portal does not give at all is staged empty with its availability. Raises HubSpotError and
    StoreError.
    """
    refused: list[str] = []

    def note(error: Refused) -> None:
        if isinstance(error, Forbidden):
            refused.append(f"sensitive properties are missing: {error}")

    reading = staging.begin(properties_source(object_type), "items", resume=False)
    try:
        with unsure_of(object_type):
            items = list(metadata.properties(client, object_type.id, note))
    except NotServed as error:
        return reading.finish(unavailable(error, object_type), datetime.now(UTC))
    told = "; ".join(dict.fromkeys(refused))
    return stage_items(reading, items, Availability("available", told), key=_name_and_life)


def _name_and_life(definition: Mapping[str, Any]) -> tuple[str, bool]:
    """A live property and an archived one may have the same name."""
    return definition["name"], bool(definition.get("archived"))
