"""What a reading knows of the properties of a type: what is asked for, and how values behave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import itemgetter
from typing import Any

from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.records import fits_url
from hubspot_assets.sources.fates import MERGED_IDS
from hubspot_assets.sources.pipelines import stage_property

Definition = Mapping[str, Any]

#: The field type of what HubSpot works out at each call, whatever its name.
_AT_EACH_CALL = "calculation_read_time"


@dataclass(frozen=True)  # without slots, as what is asked for with each page is kept
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

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All that is asked for."""
        return tuple(sorted(each["name"] for each in self.definitions))

    @cached_property
    def listed(self) -> frozenset[str]:
        """Those of which HubSpot tells for every record, be it null."""
        return frozenset(self.names) - self.unlisted

    @cached_property
    def moments(self) -> frozenset[str]:
        """Those whose values are dates and times."""
        return frozenset(
            each["name"] for each in self.definitions if each["type"] in {"date", "datetime"}
        )

    @cached_property
    def running(self) -> frozenset[str]:
        """Those that are another at each call, though nothing has changed."""
        return frozenset(
            each["name"]
            for each in self.definitions
            if each.get("fieldType") == _AT_EACH_CALL or each["name"].startswith(_running())
        )

    @cached_property
    def calculated(self) -> frozenset[str]:
        """Those that HubSpot calculates: their changes need not move a record's modified date."""
        calculated = (each["name"] for each in self.definitions if each.get("calculated"))
        return frozenset(calculated) - self.running

    @cached_property
    def swept(self) -> tuple[str, ...]:
        """What must be looked at to see that a record is as it was, beside its modified date: what
        HubSpot writes by itself, calculated or not, as far as all of it fits a URL."""
        least = self.calculated | ({MERGED_IDS} & self.listed)
        own = {
            each["name"]
            for each in self.definitions
            if (each.get("modificationMetadata") or {}).get("readOnlyValue")
        }
        most = tuple(sorted(least | own - self.running))
        return most if fits_url(most) else tuple(sorted(least))

    def identity(self) -> Sequence[object]:
        """What makes values of one reading comparable with another's."""
        by_name = sorted(self.definitions, key=itemgetter("name"))
        return [(each["name"], each["type"], each.get("createdAt")) for each in by_name]


@cache
def _running() -> tuple[str, ...]:
    return tuple(row["prefix"] for row in facts("running_values.csv"))
