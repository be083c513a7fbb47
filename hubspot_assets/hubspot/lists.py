"""Reading lists (segments), of all object types, and their members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    MissingScope,
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


@dataclass(frozen=True, slots=True)
class Listing:
    """The lists of a portal, each once, by list id.

    `repeated` of them were told more than once, `untold` are only counted by HubSpot; `refused`
    are the object types whose lists it would not tell, and why.
    """

    lists: Sequence[Read]
    repeated: int
    untold: int
    refused: Mapping[str, Refused]


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Some members of a list, read at one moment: `{"recordId", "membershipTimestamp"}` each."""

    members: Sequence[Mapping[str, Any]]
    received_at: datetime


def lists(client: HubSpot, object_type_ids: Iterable[str], extra: Sequence[str]) -> Listing:
    """All lists, of records of whatever type: by one listing, else type by type.

    `extra` names the additional properties they are to have. HubSpot does not say what a listing
    of no type brings: it is believed to be all if it has lists of two types, and as many as HubSpot
    counts. Else those of each of `object_type_ids` are asked for, too. Raises what HubSpot answered
    if it refused everything, and IncompleteAnswer where it can't be made to give every list.
    """
    found = _Found()
    if client.has("lists", "all"):
        found.take(None, _all(client, None, extra))
        if isinstance(refusal := found.refused.get(None), MissingScope):
            raise refusal
    counted = _counted(client)
    if found.types < 2 or len(found.lists) < counted:
        for object_type_id in object_type_ids:
            found.take(object_type_id, _lists_of(client, object_type_id, extra))
    if found.refused and not found.answered:
        # That a type is not known says less than any other refusal.
        raise min(found.refused.values(), key=lambda each: isinstance(each, UnknownObjectType))
    return found.listing(counted)


class _Found:
    """Lists as several answers tell them."""

    def __init__(self) -> None:
        self.lists: dict[int, Read] = {}
        self.repeated: set[int] = set()
        self.refused: dict[str | None, Refused] = {}
        self.answered = False

    @property
    def types(self) -> int:
        """Of how many object types there are lists."""
        return len({each.content.get("objectTypeId") for each in self.lists.values()})

    def take(self, object_type_id: str | None, told: Iterable[Read]) -> None:
        """Takes the lists of a type in, or those of all. Of a list that is told twice, the later.

        Raises IncompleteAnswer where HubSpot refuses to go on with them.
        """
        seen: set[int] = set()
        try:
            for read in told:
                list_id = int(read.content["listId"])
                if list_id in seen:
                    self.repeated.add(list_id)
                seen.add(list_id)
                self.lists[list_id] = read
        except (Forbidden, *NOT_SERVED) as error:
            if seen:
                raise IncompleteAnswer(f"{_named(object_type_id)}: {error}") from error
            self.refused[object_type_id] = error
        else:
            self.answered = True

    def listing(self, counted: int) -> Listing:
        """All that was taken in, of `counted` that there are by HubSpot's count."""
        return Listing(
            lists=[self.lists[each] for each in sorted(self.lists)],
            repeated=len(self.repeated),
            untold=max(0, counted - len(self.lists)),
            refused={
                type_id: error
                for type_id, error in self.refused.items()
                if type_id is not None and not isinstance(error, UnknownObjectType)
            },
        )


def _named(object_type_id: str | None) -> str:
    return f"lists of {object_type_id}" if object_type_id else "lists"


def list_records(client: HubSpot, object_type_ids: Iterable[str]) -> Iterator[Read]:
    """All lists as records of their own object type: property name to value.

    The properties are those that HubSpot defines for the type, else those of the facts.
    """
    names = sorted(_property_names(client))
    for read in lists(client, object_type_ids, names).lists:
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


def _all(client: HubSpot, object_type_id: str | None, extra: Sequence[str]) -> Iterator[Read]:
    body: dict[str, Any] = {"processingTypes": [], "additionalProperties": list(extra)}
    if object_type_id:
        body["objectTypeId"] = object_type_id
    seen: set[str | None] = {None}
    while True:
        answer = client.post("lists", "all", json=body | {"count": PAGE})
        for content in answer.body["results"]:
            yield Read(content, answer.received_at)
        if (after := _following(answer.body, seen, _named(object_type_id))) is None:
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


class _Searched(NamedTuple):
    """What a search gave; `whole` is False where the ceiling cut it off. `total` is its count."""

    lists: list[Read]
    total: int
    whole: bool


def _search(
    client: HubSpot, object_type_id: str, extra: Sequence[str], processing_types: Sequence[str]
) -> _Searched:
    found: list[Read] = []
    offset = 0
    while True:
        body = _search_body(object_type_id, offset, PAGE)
        body |= {"processingTypes": list(processing_types), "additionalProperties": list(extra)}
        answer = client.post("lists", "search", json=body)
        found += (Read(content, answer.received_at) for content in answer.body["lists"])
        total = int(answer.body.get("total") or 0)
        if not answer.body.get("hasMore"):
            return _Searched(found, total, whole=True)
        following = int(answer.body["offset"])
        if following <= offset:
            raise IncompleteAnswer(f"lists of {object_type_id}: a page names itself as the next")
        offset = following
        if max(total, offset + PAGE) > CEILING:
            return _Searched(found, total, whole=False)


def _counted(client: HubSpot) -> int:
    """How many lists of all types there are, as the search tells; 0 where it does not."""
    try:
        return int(client.post("lists", "search", json=_search_body(None, 0, 1)).body["total"] or 0)
    except (Forbidden, *NOT_SERVED, KeyError):
        return 0


def _search_body(object_type_id: str | None, offset: int, count: int) -> dict[str, Any]:
    # HubSpot wants every one of these members, be they empty, but for the object type.
    body: dict[str, Any] = {
        "query": "",
        "count": count,
        "offset": offset,
        "listIds": [],
        "processingTypes": [],
        "additionalProperties": [],
        "sort": "HS_LIST_ID",
    }
    return body | ({"objectTypeId": object_type_id} if object_type_id else {})


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
