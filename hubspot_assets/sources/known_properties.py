"""What a reading knows of the properties of a type: what is asked for, and how values behave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.records import fits_url
from hubspot_assets.sources.fates import MERGED_IDS
from hubspot_assets.sources.pipelines import stage_property

Definition = Mapping[str, Any]

#: The field type of what HubSpot works out at each call, whatever its name.
_AT_EACH_CALL = "calculation_read_time"


@dataclass(frozen=True, slots=True)
class KnownProperties:
    """The live properties of a type: those HubSpot lists, and `unlisted` ones that it may keep."""

    definitions: tuple[Definition, ...]
    unlisted: frozenset[str]

    @classmethod
    def of(cls, told: Sequence[Definition], unlisted: set[str]) -> KnownProperties:
        """Of the definitions that HubSpot `told`, and the names of others."""
        live = [each for each in told if not each.get("archived")]
        others = unlisted - {each["name"] for each in told}
        return cls((*live, *map(stage_property, sorted(others))), frozenset(others))

    @property
    def names(self) -> list[str]:
        """All that is asked for."""
        return sorted(each["name"] for each in self.definitions)

    @property
    def listed(self) -> set[str]:
        """Those of which HubSpot tells for every record, be it null."""
        return set(self.names) - self.unlisted

    @property
    def moments(self) -> set[str]:
        """Those whose values are dates and times."""
        return {each["name"] for each in self.definitions if each["type"] in {"date", "datetime"}}

    @property
    def running(self) -> set[str]:
        """Those that are another at each call, though nothing has changed."""
        return {
            each["name"]
            for each in self.definitions
            if each.get("fieldType") == _AT_EACH_CALL or each["name"].startswith(_running())
        }

    @property
    def calculated(self) -> set[str]:
        """Those that HubSpot calculates: their changes need not move a record's modified date."""
        return {each["name"] for each in self.definitions if each.get("calculated")} - self.running

    @property
    def swept(self) -> list[str]:
        """What must be looked at to see that a record is as it was, beside its modified date: what
        HubSpot writes by itself, calculated or not, as far as all of it fits a URL."""
        least = self.calculated | ({MERGED_IDS} & self.listed)
        own = {
            each["name"]
            for each in self.definitions
            if (each.get("modificationMetadata") or {}).get("readOnlyValue")
        }
        most = sorted(least | own - self.running)
        return most if fits_url(most) else sorted(least)

    def identity(self) -> Sequence[object]:
        """What makes values of one reading comparable with another's."""
        by_name = sorted(self.definitions, key=itemgetter("name"))
        return [(each["name"], each["type"], each.get("createdAt")) for each in by_name]


@cache
def _running() -> tuple[str, ...]:
    return tuple(row["prefix"] for row in facts("running_values.csv"))
