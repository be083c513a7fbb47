"""Reading lists (segments), of all object types, and their members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    Forbidden,
    IncompleteAnswer,
    NotFound,
    Refused,
    UnknownObjectType,
)
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import NOT_SERVED, Read

PAGE = 500
MEMBERS_PAGE = 250
#: The search serves no list beyond the first so many of a query.
CEILING = 10_000
PROCESSING_TYPES = ("MANUAL", "DYNAMIC", "SNAPSHOT")
METHOD_NOT_ALLOWED = 405
#: The object type of lists themselves.
LISTS_TYPE = "0-45"

Tell = Callable[[str, Refused], None]
"""Told an object type whose lists HubSpot refuses, and what it said."""


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Some members of a list, read at one moment: `{"recordId", "membershipTimestamp"}` each."""

    members: Sequence[Mapping[str, Any]]
    received_at: datetime


def _ignore(object_type_id: str, error: Refused) -> None:
    """Tells nobody."""


def lists(
    client: HubSpot,
    object_type_ids: Iterable[str],
    extra: Sequence[str],
    refused: Tell = _ignore,
) -> Iterator[Read]:
    """All lists of records of these types, each once, by list id.

    `extra` names the additional properties they are to have. Types that HubSpot does not know have
    no lists; `refused` is told of those that it refuses. Raises what it answered if it refused
    all of them, and IncompleteAnswer where it can't be made to give every list.
    """
    found: dict[int, Read] = {}
    refusal: Refused | None = None
    answered = False
    for object_type_id in object_type_ids:
        before = len(found)
        try:
            for read in _lists_of(client, object_type_id, extra):
                found[int(read.content["listId"])] = read
            answered = True
        except (Forbidden, *NOT_SERVED) as error:
            if len(found) > before:
                raise IncompleteAnswer(f"lists of {object_type_id}: {error}") from error
            # That a type is not known says less than any other refusal.
            if refusal is None or isinstance(refusal, UnknownObjectType):
                refusal = error
            if not isinstance(error, UnknownObjectType):
                refused(object_type_id, error)
    if refusal and not answered:
        raise refusal
    for list_id in sorted(found):
        yield found[list_id]


def list_records(client: HubSpot, object_type_ids: Iterable[str]) -> Iterator[Read]:
    """All lists as records of their own object type: property name to value.

    The properties are those that HubSpot defines for the type, else those of the facts.
    """
    names = sorted(_property_names(client))
    for read in lists(client, object_type_ids, names):
        yield Read(list_properties(read.content), read.received_at)


def list_properties(item: Mapping[str, Any]) -> dict[str, str]:
    """A list's properties as a record, from the list as the lists API gives it.

    >>> item = {"listId": "7", "name": "VIPs", "additionalProperties": {"hs_list_size": "3"}}
    >>> sorted(list_properties(item))
    ['hs_list_id', 'hs_list_name', 'hs_list_size', 'hs_object_id']
    """
    own = {name: item.get(field) for name, field in _fields().items() if field}
    extra = item.get("additionalProperties") or {}
    return {name: _text(value) for name, value in (extra | _set(own)).items() if value is not None}


def members(client: HubSpot, list_id: str) -> Iterator[MembersPage]:
    """All members of a list, page by page, in HubSpot's order.

    Raises NotFound for a list that is gone, IncompleteAnswer for pages that do not end.
    """
    after: str | None = None
    seen: set[str | None] = {None}
    while True:
        params = {"limit": MEMBERS_PAGE, "after": after}
        answer = client.get("lists", "memberships", params=params, list_id=list_id)
        yield MembersPage(answer.body["results"], answer.received_at)
        if (after := _following(answer.body, seen, "members of a list")) is None:
            return


def _lists_of(client: HubSpot, object_type_id: str, extra: Sequence[str]) -> Iterator[Read]:
    if client.has("lists", "all"):
        try:
            yield from _all(client, object_type_id, extra)
        except NotFound:
            pass
        except BadRequest as error:
            if error.status != METHOD_NOT_ALLOWED:
                raise
        else:
            return
    yield from _searched(client, object_type_id, extra)


def _all(client: HubSpot, object_type_id: str, extra: Sequence[str]) -> Iterator[Read]:
    body: dict[str, Any] = {
        "objectTypeId": object_type_id,
        "processingTypes": [],
        "additionalProperties": list(extra),
        "count": PAGE,
    }
    seen: set[str | None] = {None}
    while True:
        answer = client.post("lists", "all", json=body)
        for content in answer.body["results"]:
            yield Read(content, answer.received_at)
        if (after := _following(answer.body, seen, f"lists of {object_type_id}")) is None:
            return
        body["after"] = after


def _following(body: Mapping[str, Any], seen: set[str | None], what: str) -> str | None:
    """The cursor of the next page, None at the end. Raises IncompleteAnswer for one in `seen`."""
    paging = body.get("paging") or {}
    after: str | None = (paging.get("next") or {}).get("after")
    if after is not None and after in seen:
        raise IncompleteAnswer(f"{what}: a page names itself as the next")
    seen.add(after)
    return after


def _searched(client: HubSpot, object_type_id: str, extra: Sequence[str]) -> Iterator[Read]:
    """The lists by search: of all processing types at once, else of each by itself."""
    found = _search(client, object_type_id, extra, ())
    if found.whole:
        yield from found.lists
        return
    parts = [_search(client, object_type_id, extra, (each,)) for each in PROCESSING_TYPES]
    if (
        not all(part.whole for part in parts)
        or sum(len(part.lists) for part in parts) < found.total
    ):
        raise IncompleteAnswer(
            f"lists of {object_type_id}: HubSpot's search serves no more than {CEILING:,} of a "
            f"processing type, and there are more; use an API version that can list them all"
        )
    for part in parts:
        yield from part.lists


class _Found(NamedTuple):
    """What a search gave; `whole` is False where the ceiling cut it off. `total` is its count."""

    lists: list[Read]
    total: int
    whole: bool


def _search(
    client: HubSpot, object_type_id: str, extra: Sequence[str], processing_types: Sequence[str]
) -> _Found:
    found: list[Read] = []
    offset = 0
    while True:
        # HubSpot wants every one of these members, be they empty.
        body = {
            "query": "",
            "count": PAGE,
            "offset": offset,
            "listIds": [],
            "processingTypes": list(processing_types),
            "additionalProperties": list(extra),
            "objectTypeId": object_type_id,
            "sort": "HS_LIST_ID",
        }
        answer = client.post("lists", "search", json=body)
        found += (Read(content, answer.received_at) for content in answer.body["lists"])
        total = int(answer.body.get("total") or 0)
        if not answer.body.get("hasMore"):
            return _Found(found, total, whole=True)
        following = int(answer.body["offset"])
        if following <= offset:
            raise IncompleteAnswer(f"lists of {object_type_id}: a page names itself as the next")
        offset = following
        if max(total, offset + PAGE) > CEILING:
            return _Found(found, total, whole=False)


def _property_names(client: HubSpot) -> Iterator[str]:
    """What the properties of lists are called."""
    try:
        for each in metadata.properties(client, LISTS_TYPE):
            if not each.content.get("archived"):
                yield each.content["name"]
    except (Forbidden, *NOT_SERVED):
        yield from _fields()


@cache
def _fields() -> dict[str, str]:
    """By property of lists, the field of the lists API that holds it; empty for none."""
    return {row["name"]: row["field"] for row in facts("list_properties.csv")}


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
