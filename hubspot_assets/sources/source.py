"""What all sources have in common: how large a chunk is, who is told, what a refusal means."""

from __future__ import annotations

from collections.abc import Callable

from hubspot_assets.availability import Availability
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.errors import Forbidden, MissingScope, Refused

#: A chunk is staged once it holds so many values, or so many characters in them: what a table
#: holds in memory at a time.
CHUNK_VALUES = 200_000
CHUNK_CHARACTERS = 24_000_000

Report = Callable[[str, int], None]
"""Told the source and how many records of it have been read so far."""


def quiet(source: str, records: int) -> None:
    """Reports nothing."""


def object_source(object_type: ObjectType) -> str:
    """The source that holds a type's records."""
    return f"objects/{object_type.id}"


def properties_source(object_type: ObjectType) -> str:
    """The source that holds a type's property definitions."""
    return f"properties/{object_type.id}"


def unavailable(object_type: ObjectType, error: Refused) -> Availability:
    """Why a type's records can't be had, from what HubSpot answered to a plain request."""
    if isinstance(error, MissingScope):
        return Availability("missing_scope", str(error))
    if object_type.api == "none":
        return Availability("no_public_api", str(error))
    return Availability("not_enabled", str(error))


def refused(error: Refused) -> Availability:
    """Why something that is no type's own can't be had, from what HubSpot answered."""
    forbidden = isinstance(error, Forbidden)
    return Availability("missing_scope" if forbidden else "not_enabled", str(error))
