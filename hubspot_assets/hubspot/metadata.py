"""Reading owners, teams, pipelines, properties and which types the portal serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import BadRequest, Forbidden, IncompleteAnswer, NotFound
from hubspot_assets.hubspot.paths import Params

OWNERS_PAGE = 500
PAGE = 100

#: One of HubSpot's answers to a type without pipelines, a portal without an API, ...
NOT_SERVED = (BadRequest, NotFound)


class Read(NamedTuple):
    """One JSON object of HubSpot's and when it was read."""

    content: dict[str, Any]
    received_at: datetime


def owners(client: HubSpot) -> Iterator[Read]:
    """Owners, then archived owners."""
    for archived in ("false", "true"):
        yield from paged(client, "owners", {"limit": str(OWNERS_PAGE), "archived": archived})


def user_teams(client: HubSpot) -> Iterator[Read]:
    """The flat list of teams, with the ids of their users."""
    yield from _whole(client, "user_teams")


def team_tree(client: HubSpot) -> Iterator[Read]:
    """Teams with their parents."""
    yield from paged(client, "teams", {"limit": str(PAGE)})


def pipelines(client: HubSpot, object_type_id: str) -> Iterator[Read]:
    """The pipelines of a type with their stages; nothing for a type that has none."""
    try:
        yield from _whole(client, "pipelines", object_type=object_type_id)
    except NOT_SERVED:
        return


def properties(client: HubSpot, object_type_id: str) -> Iterator[Read]:
    """All properties of a type: live and archived, of every sensitivity the token may see.

    Live ones come first. Six requests. Raises what the plain list raises (Forbidden,
    BadRequest, ...); a sensitivity that the portal or the token does not have is left out.
    """
    seen: set[tuple[str, str]] = set()
    for archived in ("false", "true"):
        for sensitivity in ("non_sensitive", "sensitive", "highly_sensitive"):
            params = {"archived": archived, "dataSensitivity": sensitivity}
            try:
                for read in _whole(client, "properties", params, object_type=object_type_id):
                    key = read.content["name"], archived
                    if key not in seen:
                        seen.add(key)
                        yield read
            except (Forbidden, BadRequest):
                if sensitivity == "non_sensitive" and archived == "false":
                    raise


def probe(client: HubSpot, object_type_id: str) -> datetime:
    """Reads one record of a type. Raises what HubSpot answers where that can't be done."""
    params = {"limit": "1", "properties": "hs_object_id"}
    return client.get("objects", params=params, object_type=object_type_id).received_at


def _whole(
    client: HubSpot, api: str, params: dict[str, str] | None = None, **path: str
) -> Iterator[Read]:
    """The results of a list that HubSpot does not page."""
    answer = client.get(api, params=params, **path)
    for content in answer.body["results"]:
        yield Read(content, answer.received_at)


def paged(client: HubSpot, api: str, params: Params, **path: str) -> Iterator[Read]:
    """The results of a list that HubSpot pages by a cursor. Raises IncompleteAnswer for a loop."""
    for body, received_at, _ in pages(client, api, params, **path):
        for content in body["results"]:
            yield Read(content, received_at)


def pages(
    client: HubSpot, api: str, params: Params, after: str | None = None, **path: str
) -> Iterator[tuple[Any, datetime, str | None]]:
    """The pages of a list, from the cursor `after` on: body, moment of reading, next cursor.

    Raises IncompleteAnswer for a page that names one that has been read.
    """
    seen = {after}
    while True:
        cursor = {"after": after} if after else {}
        answer = client.get(api, params={**params, **cursor}, **path)
        after = ((answer.body.get("paging") or {}).get("next") or {}).get("after")
        if after is not None and after in seen:
            raise IncompleteAnswer(f"list of {api}: a page names itself as the next")
        seen.add(after)
        yield answer.body, answer.received_at, after
        if after is None:
            return
