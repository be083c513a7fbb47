"""The types that links can have, staged."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot import associations
from hubspot_assets.hubspot.associations import Definition
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import unsure_of
from hubspot_assets.readings.merging import DamagedError
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.resuming import plan_of
from hubspot_assets.sources.source import unavailable
from hubspot_assets.sources.turns import base_of
from hubspot_assets.storage import NotFoundError

log = logging.getLogger(__name__)

DEFINITIONS = "association_definitions"

Pair = tuple[ObjectType, ObjectType]


def extract_definitions(
    client: HubSpot,
    staging: Staging,
    pairs: Iterable[Pair],
    workers: int,
    *,
    portal: str = "",
    incremental: str = "auto",
    sweep_days: int = 7,
) -> Staged:
    """Stages the association types of every pair, both directions: one request each.

    Where HubSpot tells of the same labels as at an earlier reading of the same `portal`, in one
    request, what it defined then for a pair stays, unless `incremental` is "off" or `sweep_days`
    days have passed; pairs that are new, or were refused, are asked for.

    An item tells `fromObjectTypeId`, `toObjectTypeId` and either `definitions` or, for a pair
    that HubSpot refuses, why: `status` and `detail` as in Availability.
    """
    began = datetime.now(UTC)
    labels = associations.own_labels(client)
    plan = plan_of(client, portal, DEFINITIONS, labels)
    base = base_of(staging, DEFINITIONS, plan, incremental, sweep_days)
    known = _defined_before(base) if base and labels is not None else {}

    def ask(types: Pair) -> Read:
        first, second = types
        if kept := known.get((first.id, second.id)):
            return kept
        told: dict[str, Any] = {"fromObjectTypeId": first.id, "toObjectTypeId": second.id}
        try:
            with unsure_of(first, second):
                found = list(associations.definitions(client, first.id, second.id))
        except NotServed as error:
            return Read(told | asdict(unavailable(error)), datetime.now(UTC))
        read_at = max((each.received_at for each in found), default=datetime.now(UTC))
        return Read(told | {"definitions": [each.content for each in found]}, read_at)

    directed = [direction for pair in pairs for direction in directions(pair)]
    reading = staging.begin(DEFINITIONS, plan, resume=False)
    kept = sum((first.id, second.id) in known for first, second in directed)
    reading.counts |= Counter(pairs_read=len(directed) - kept, pairs_kept=kept)
    if base and kept:
        reading.swept_at = base.swept_at
    return stage_items(reading, in_order(ask, directed, workers), observed_at=began)


def _defined_before(base: Staged) -> dict[tuple[str, str], Read]:
    """What an earlier reading holds of directions that HubSpot did not refuse, by type ids."""
    try:
        told = [Read(content, read_at.replace(tzinfo=UTC)) for content, read_at in read_items(base)]
    except (NotFoundError, DamagedError) as error:
        log.warning("%s are all read: %s", DEFINITIONS, error)
        return {}
    return {
        (each.content["fromObjectTypeId"], each.content["toObjectTypeId"]): each
        for each in told
        if "definitions" in each.content
    }


def directions(pair: Pair) -> list[Pair]:
    """A pair both ways; a type with itself has one."""
    first, second = pair
    return [pair] if first.id == second.id else [pair, (second, first)]


class Definitions:
    """The staged association types, by ordered pair of object type ids."""

    _latest: ClassVar[tuple[str, Definitions] | None] = None

    @classmethod
    def of_day(cls, staging: Staging) -> Definitions:
        """Those of a staged day, read once for the hundreds of tables that ask for them."""
        staged = staging.complete(DEFINITIONS)
        reading = staged.store.url_of(staged.folder)  # no other reading has this folder
        if cls._latest is None or cls._latest[0] != reading:
            cls._latest = reading, cls(staged)
        return cls._latest[1]

    def __init__(self, staged: Staged) -> None:
        self._told = {
            (told["fromObjectTypeId"], told["toObjectTypeId"]): told
            for told, _ in read_items(staged)
        }

    def of(self, from_type: str, to_type: str) -> tuple[Definition, ...]:
        """The association types of a direction; none where it was refused."""
        told = self._told.get((from_type, to_type), {})
        return tuple(
            Definition(str(each["category"]), int(each["typeId"]), each.get("label") or None)
            for each in told.get("definitions", ())
        )

    def refusal(self, from_type: str, to_type: str) -> Availability | None:
        """Why a direction can't be read, if it was refused."""
        told = self._told.get((from_type, to_type), {})
        return Availability(told["status"], told["detail"]) if "status" in told else None
