"""Pipelines of all object types, with their stages.

An item is a pipeline (`objectTypeId`, `pipeline`), or says of a type that has none why not
(`objectTypeId`, `name`, `status` and `detail` as in Availability).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

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
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import probe_crm, unsure_of
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import NotStagedError, Staging
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
        return stage_items(reading, items, max(refusals, key=lambda each: each.lacking))
    return stage_items(reading, items, key=_key)


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


def _key(item: Mapping[str, Any]) -> tuple[str, object]:
    return item["objectTypeId"], (item.get("pipeline") or {}).get("id")


def stage_properties(staging: Staging, object_type: ObjectType) -> set[str]:
    """The names of the properties that HubSpot may keep of each stage of a type's pipelines.

    A portal's list of properties leaves some of them out. None are known where the pipelines are
    not.
    """
    if not object_type.pipelines:
        return set()
    try:
        items = list(read_items(staging.complete(PIPELINES)))
    except NotStagedError:
        return set()
    return {
        f"{prefix}{stage['id']}"
        for item, _ in items
        if item["objectTypeId"] == object_type.id and "pipeline" in item
        for stage in item["pipeline"].get("stages") or ()
        for prefix in _stage_families()
    }


def stage_property(name: str) -> dict[str, str]:
    """The definition of such a property, of which HubSpot tells no more than its values."""
    prefix, (label, kind) = next(
        each for each in _stage_families().items() if name.startswith(each[0])
    )
    return {"name": name, "label": f"{label} {name.removeprefix(prefix)}", "type": kind}


@cache
def _stage_families() -> Mapping[str, tuple[str, str]]:
    """By prefix of the names, label and type."""
    rows = facts("stage_properties.csv")
    return {row["prefix"]: (row["label"], row["type"]) for row in rows}
