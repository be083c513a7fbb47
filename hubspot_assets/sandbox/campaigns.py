"""Campaigns: records of type 0-35 that have an API of their own."""

from datetime import datetime
from typing import Any

import orjson

from hubspot_assets.sandbox.assets import Asset, stamp
from hubspot_assets.sandbox.facts import ObjectType, generic_types, rows
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.properties import properties_of
from hubspot_assets.sandbox.stamps import milliseconds, moment

CAMPAIGN = "0-35"


def campaign_type() -> ObjectType:
    """The object type of campaigns, whether or not the CRM objects API serves it."""
    return generic_types()[CAMPAIGN]


def campaign_properties() -> frozenset[str]:
    """Names of the properties that the campaigns API knows."""
    return frozenset(row["name"] for row in rows("properties/campaigns.csv"))


class Campaigns:
    """The campaigns of a portal. `life` is that of their records."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._names = [each.name for each in properties_of(campaign_type(), None)]

    def at(self, at: datetime) -> list[Asset]:
        """Campaigns that are live at a moment, in order of creation."""
        now = milliseconds(at)
        return [self._campaign(index, now) for index in self._life.live(now)]

    def newest(self, then: datetime, at: datetime) -> tuple[str, str] | None:
        """Id of the campaign that was the newest at a moment `then`, and its name as of `at`."""
        count = self._life.created_count(milliseconds(then))
        if not count:
            return None
        found = self._campaign(count - 1, milliseconds(at))
        return found.asset_id, found.told["properties"]["hs_name"]

    def _campaign(self, index: int, now: int) -> Asset:
        record = self._life.record(index, now, traced=False)
        values = {
            self._names[number]: orjson.loads(value) for number, value in record.values.items()
        }
        created, updated = moment(record.created), moment(record.updated)
        told: dict[str, Any] = {
            "id": self._life.unique_value("campaign_id", index),
            "properties": {name: values.get(name) for name in sorted(campaign_properties())},
            "businessUnits": [{"id": 0}],
            "createdAt": stamp(created),
            "updatedAt": stamp(updated),
        }
        return Asset(told["id"], created, updated, None, told)
