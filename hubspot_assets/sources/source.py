"""What a source is: data, from which its asset follows; and what all sources have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hubspot_assets.availability import Availability
from hubspot_assets.day import Day
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.record_counts import RecordCounts
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging

#: A chunk is staged once it holds so many values, or so many characters in them: what a table
#: holds in memory at a time.
CHUNK_VALUES = 60_000
CHUNK_CHARACTERS = 12_000_000

Report = Callable[[str, int], None]
"""Told what is read, in people's words, and how many records of it have been read so far."""


def quiet(source: str, records: int) -> None:
    """Reports nothing."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a reading is given: whom it asks, where it puts what it reads, and for which day; and
    HubSpot's own counts, where they are asked for."""

    client: HubSpot
    staging: Staging
    day: Day
    workers: int = 8
    report: Report = quiet
    incremental: str = "auto"
    sweep_days: int = 7
    own_counts: RecordCounts | None = None
    keep_erased_days: int = 30


@dataclass(frozen=True, slots=True)
class Source:
    """Something that is read from HubSpot.

    `name` is what its reading is called, as objects/0-1, and `also` names others that it fills
    along the way. `path` is how people find it, as ("contacts",): sources of one path are found
    together, and then each says which `member` it is. `group` is what people look for, and `api`
    the one of HubSpot's that tells it. What it `needs` must be read before it. `pair` are the two
    object types whose links it holds.
    """

    name: str
    path: tuple[str, ...]
    description: str
    extract: Callable[[Ask], Staged]
    group: str = field(kw_only=True)
    api: str = field(kw_only=True)
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    member: str = ""
    object_type_id: str | None = None
    pair: tuple[str, str] | None = None

    @property
    def fills(self) -> tuple[str, ...]:
        """All readings that it fills."""
        return self.name, *self.also

    def read(self, ask: Ask) -> Staged:
        """The reading that serves the day, made where there is none, or one is asked for again.

        Raises HubSpotError and StoreError.
        """
        served = None if ask.staging.read_again else ask.staging.serving(self.name)
        if served and all(map(ask.staging.serving, self.also)):
            return served
        return self.extract(ask)


def object_source(object_type: ObjectType) -> str:
    """The source that holds a type's records."""
    return f"objects/{object_type.id}"


def properties_source(object_type: ObjectType) -> str:
    """The source that holds a type's property definitions."""
    return f"properties/{object_type.id}"


def unavailable(error: NotServed, object_type: ObjectType | None = None) -> Availability:
    """Why something, or the records of a type, can't be had, from what HubSpot answered."""
    if object_type and object_type.api == "none" and error.availability == "not_enabled":
        return Availability("no_public_api", str(error))
    return Availability(error.availability, str(error))
