"""Pipelines and their stages, of every type that has some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Forbidden
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.staging import Staged
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.source import Ask

PIPELINES = "pipelines"


def extract_pipelines(ask: Ask, object_types: Sequence[ObjectType]) -> Staged:
    """Stages each pipeline with its objectTypeId, and why a type's are `refused`."""
    return extract_items(ask.staging, PIPELINES, lambda: _pipelines(ask.client, object_types))


def _pipelines(client: HubSpot, object_types: Sequence[ObjectType]) -> Iterator[Read]:
    """Raises Forbidden if no type's may be read."""
    refused: Forbidden | None = None
    read = 0
    for each in object_types:
        if not each.pipelines:
            continue
        try:
            for content, when in metadata.pipelines(client, each.id):
                yield Read({"objectTypeId": each.id, "pipeline": content}, when)
                read += 1
        except Forbidden as error:
            refused = error
            told = {"objectTypeId": each.id, "refused": str(error)}
            yield Read(told, datetime.now(UTC))
    if refused and not read:
        raise refused
