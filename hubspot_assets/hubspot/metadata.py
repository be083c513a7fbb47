"""Reading owners, teams, pipelines, properties and which types the portal serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple

from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.errors import (
    IncompleteAnswer,
    NotEnabled,
    NotServed,
    Refused,
    Unexplained,
    UnknownObjectType,
    no_refusals,
)
from hubspot_assets.hubspot.paging import pages
from hubspot_assets.hubspot.paths import Params

OWNERS_PAGE = 500
PAGE = 100
NOT_THERE = 404

SENSITIVITIES = ("non_sensitive", "sensitive", "highly_sensitive")


Tell = Callable[[Refused], None]
"""Told what HubSpot says to each part that it does not give."""


def ignore(error: Refused) -> None:
    """Tells nobody."""


class Read(NamedTuple):
    """One JSON object of HubSpot's and when it was read."""

    content: dict[str, Any]
    received_at: datetime


def owners(client: HubSpot) -> Iterator[Read]:
    """Owners, then archived owners."""
    live, archived = (
        paged(client, "owners", {"limit": str(OWNERS_PAGE), "archived": each})
        for each in ("false", "true")
    )
    yield from live
    with no_refusals():
        yield from archived


def user_teams(client: HubSpot) -> Iterator[Read]:
    """The flat list of teams, with the ids of their users."""
    yield from _whole(client, "user_teams")


def team_tree(client: HubSpot) -> Iterator[Read]:
    """Teams with their parents.

    HubSpot documents this call as a beta alone: where it is not there, the portal does not have it.
    """
    try:
        yield from paged(client, "teams", {"limit": str(PAGE)})
    except Unexplained as error:
        if error.status != NOT_THERE:
            raise
        raise NotEnabled(str(error), status=NOT_THERE, where=error.where) from error


def pipelines(client: HubSpot, object_type_id: str) -> Iterator[Read]:
    """The pipelines of a type with their stages. Raises NotEnabled for a type that has none."""
    yield from _whole(client, "pipelines", object_type=object_type_id)


def properties(client: HubSpot, object_type_id: str, refused: Tell = ignore) -> Iterator[Read]:
    """All properties of a type: live and archived, of every sensitivity the token may see.

    Live ones come first. Six requests. Raises NotServed where the type's are not to be had at all;
    `refused` is told of a sensitivity that the portal or the token does not have.
    """
    seen: set[tuple[str, str]] = set()
    for archived in ("false", "true"):
        for sensitivity in SENSITIVITIES:
            params = {"archived": archived, "dataSensitivity": sensitivity}
            plain = sensitivity == SENSITIVITIES[0]
            try:
                with no_refusals() if plain and archived == "true" else nullcontext():
                    found = list(_whole(client, "properties", params, object_type=object_type_id))
            except NotServed as error:
                if plain:
                    raise
                if error.status == NOT_THERE or isinstance(error, UnknownObjectType):
                    # It is of the type, which was there a moment ago.
                    raise IncompleteAnswer(f"{error}, but it has properties") from error
                refused(error)
                continue
            for read in found:
                key = read.content["name"], archived
                if key not in seen:
                    seen.add(key)
                    yield read


def probe(client: HubSpot, object_type_id: str) -> datetime:
    """Reads one record of a type. Raises what HubSpot answers where that can't be done."""
    params = {"limit": "1", "properties": "hs_object_id"}
    return client.get("objects", params=params, object_type=object_type_id).received_at


def _whole(
    client: HubSpot, api: str, params: dict[str, str] | None = None, **path: str
) -> Iterator[Read]:
    """The results of a list that HubSpot does not page."""
    answer = client.get(api, params=params, **path)
    for content in answer.items():
        yield Read(content, answer.received_at)


def paged(client: HubSpot, api: str, params: Params, **path: str) -> Iterator[Read]:
    """The results of a list that HubSpot pages by a cursor. Raises IncompleteAnswer for a loop."""
    for answer, _ in pages(lister(client, api, params, **path)):
        for content in answer.items():
            yield Read(content, answer.received_at)


def lister(
    client: HubSpot, api: str, params: Params, endpoint: str = "list", **path: str
) -> Callable[[str | None], Answer]:
    """What asks for the page of a list behind a cursor."""
    return lambda after: client.get(api, endpoint, params={**params, "after": after}, **path)
