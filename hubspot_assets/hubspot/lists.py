"""Reading lists (segments), of all object types, and their members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    IncompleteAnswer,
    MissingScope,
    NotFound,
    NotServed,
    Refused,
    Unexplained,
    UnknownObjectType,
)
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read, Tell, ignore
from hubspot_assets.hubspot.paging import by_offset, pages

PAGE = 500
MEMBERS_PAGE = 250
#: The search serves no list beyond the first so many of a query.
CEILING = 10_000
PROCESSING_TYPES = ("MANUAL", "DYNAMIC", "SNAPSHOT")
#: Not found, or not allowed: a version of the API that can only search.
NO_SUCH_CALL = (404, 405)
#: The property that tells how many members a list has.
SIZE = "hs_list_size"
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
    of_type = _searched
    if client.has("lists", "all"):
        try:
            found.take(None, _all(client, None, extra))
            of_type = _all
        except Unexplained as error:
            if error.status not in NO_SUCH_CALL:
                raise
        if isinstance(refusal := found.refused.get(None), MissingScope):
            raise refusal
    counted = _counted(client)
    if found.types < 2 or len(found.lists) < counted:
        for object_type_id in object_type_ids:
            found.take(object_type_id, of_type(client, object_type_id, extra))
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
        """Takes the lists of a type in, or all. Of a list that is told twice, the later counts."""
        seen: set[int] = set()
        try:
            for read in told:
                list_id = int(read.content["listId"])
                if list_id in seen:
                    self.repeated.add(list_id)
                seen.add(list_id)
                self.lists[list_id] = read
        except (NotServed, BadRequest) as error:
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


def list_records(
    client: HubSpot, object_type_ids: Iterable[str], refused: Tell = ignore
) -> Iterator[Read]:
    """All lists as records of their own object type: property name to value.

    The properties are those that HubSpot defines for the type, else those of the facts. `refused`
    is told of each type whose lists HubSpot would not tell.
    """
    names = sorted(_property_names(client))
    listing = lists(client, object_type_ids, names)
    for error in listing.refused.values():
        refused(error)
    for read in listing.lists:
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


def sized(client: HubSpot, read: Read) -> Read:
    """A list of a listing with its size: asked for by itself where the listing tells none."""
    extra = read.content.get("additionalProperties") or {}
    if extra.get(SIZE):
        return read
    try:
        answer = client.get("lists", "one", list_id=str(read.content["listId"]))
    except (NotServed, BadRequest, NotFound):
        return read
    told = answer.content.get("list")
    size = told.get("size") if isinstance(told, dict) else None
    more = _set({SIZE: None if size is None else str(size)})
    return Read(read.content | {"additionalProperties": extra | more}, read.received_at)


def members(client: HubSpot, list_id: str) -> Iterator[MembersPage]:
    """All members of a list, page by page, in HubSpot's order.

    Raises NotFound for a list that is gone, IncompleteAnswer for pages that do not end.
    """
    ask = metadata.lister(client, "lists", {"limit": MEMBERS_PAGE}, "memberships", list_id=list_id)
    for answer, _ in pages(ask):
        yield MembersPage(answer.items(), answer.received_at)


def _all(client: HubSpot, object_type_id: str | None, extra: Sequence[str]) -> Iterator[Read]:
    body: dict[str, Any] = {"processingTypes": [], "additionalProperties": list(extra)}
    if object_type_id:
        body["objectTypeId"] = object_type_id
    body["count"] = PAGE
    for answer, _ in pages(
        lambda after: client.post("lists", "all", json=body | ({"after": after} if after else {}))
    ):
        for content in answer.items():
            yield Read(content, answer.received_at)


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
    total = 0
    body = _search_body(object_type_id, 0, PAGE)
    body |= {"processingTypes": list(processing_types), "additionalProperties": list(extra)}
    for answer, offset in pages(
        lambda offset: client.post("lists", "search", json=body | {"offset": int(offset or 0)}),
        following=by_offset,
    ):
        found += (Read(content, answer.received_at) for content in answer.items("lists"))
        total = _total(answer)
        if offset is not None and max(total, int(offset) + PAGE) > CEILING:
            return _Searched(found, total, whole=False)
    return _Searched(found, total, whole=True)


def _total(answer: Answer) -> int:
    total = answer.content.get("total")
    return total if isinstance(total, int) else 0


def _counted(client: HubSpot) -> int:
    """How many lists of all types there are, as the search tells; 0 where it does not."""
    try:
        return _total(client.post("lists", "search", json=_search_body(None, 0, 1)))
    except (NotServed, BadRequest):
        return 0
    except Unexplained as error:
        if error.status not in NO_SUCH_CALL:
            raise
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
    except (NotServed, Unexplained):
        yield from _fields()


@cache
def _fields() -> dict[str, str]:
    """By property of lists, the field of the lists API that holds it; empty for none."""
    return {row["name"]: row["field"] for row in facts("list_properties.csv")}


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
