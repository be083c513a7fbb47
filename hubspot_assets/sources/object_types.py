"""Which object types the portal serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from hubspot_assets.hubspot.catalog import ObjectType, changed_types
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import probe
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.items import stage_items
from hubspot_assets.sources.source import unavailable

OBJECT_TYPES = "object_types"


def extract_object_types(
    client: HubSpot,
    staging: Staging,
    object_types: Sequence[tuple[ObjectType, str]],
    discovered: Sequence[ObjectType],
    workers: int = 8,
) -> Staged:
    """Stages the (object type, table name) pairs, each with the availability found by asking.

    An item with a `warning` tells what has changed of the custom types since all types were
    `discovered`.
    """

    def tried(of: tuple[ObjectType, str]) -> Read:
        object_type, table = of
        try:
            asked, status = probe(client, object_type), "available"
        except NotServed as error:
            asked, status = datetime.now(UTC), unavailable(error, object_type).status
        entry: dict[str, Any] = {"table": table, "availability": status}
        return Read(asdict(object_type) | entry, asked)

    def read() -> Iterator[Read]:
        yield from in_order(tried, object_types, workers)
        for warning in changed_types(client, discovered):
            yield Read({"warning": warning}, datetime.now(UTC))

    return stage_items(staging.begin(OBJECT_TYPES, "items", resume=False), read())
