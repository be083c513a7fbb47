"""Pipelines of all object types, with their stages.

An item is a pipeline (`objectTypeId`, `pipeline`), or says of a type that has none why not
(`objectTypeId`, `name`, `status` and `detail` as in Availability).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    IncompleteAnswer,
    NotEnabled,
    NotServed,
    UnknownObjectType,
)
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import probe_crm, unsure_of
from hubspot_assets.readings.staging import Staged
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.source import Ask, unavailable

PIPELINES = "pipelines"


def extract_pipelines(ask: Ask, types: Iterable[ObjectType]) -> Staged:
    """Stages the pipelines of these types, those that HubSpot gives.

    It is unavailable only where those of every type are refused. Raises HubSpotError and
    StoreError.
    """
    reading = ask.staging.begin(PIPELINES, "items", resume=False)
    items: list[Read] = []
    refusals: list[Availability] = []
    asked = [each for each in types if each.pipelines]
    for each in asked:
        told = {"objectTypeId": each.id}
        try:
            found = _pipelines(ask.client, each)
        except NotServed as error:
            refusals.append(unavailable(error, each))
            why = told | {"name": each.plural_name} | asdict(refusals[-1])
            items.append(Read(why, datetime.now(UTC)))
        else:
            items += [Read(told | {"pipeline": one.content}, one.received_at) for one in found]
    if refusals and len(refusals) == len(asked):
        return stage_items(reading, items, max(refusals, key=lambda why: why.lacking))
    return stage_items(reading, items)


def _pipelines(client: HubSpot, object_type: ObjectType) -> list[Read]:
    try:
        with unsure_of(object_type):
            return list(metadata.pipelines(client, object_type.id))
    except UnknownObjectType:
        raise
    except NotEnabled as error:
        # Other types may have none; the standard ones that are asked are known to have some.
        if not object_type.standard or not _served(client, object_type):
            raise
        raise IncompleteAnswer(f"{error}, but its records, which have pipelines") from error


def _served(client: HubSpot, object_type: ObjectType) -> bool:
    try:
        probe_crm(client, object_type)
    except NotServed:
        return False
    return True


def refused_pipelines(staged: Staged) -> Mapping[str, Availability]:
    """Why there are no pipelines of a type, by the types' names."""
    return {
        content["name"]: Availability(content["status"], content["detail"])
        for content, _ in read_items(staged)
        if "status" in content
    }
