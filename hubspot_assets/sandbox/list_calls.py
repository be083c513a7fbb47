"""The lists API: lists and their members."""

from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.cursors import cursor, cursor_numbers
from hubspot_assets.sandbox.errors import invalid, not_found, object_not_found
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.lists import PROCESSING_TYPES, Member, Memberships, PortalList
from hubspot_assets.sandbox.metadata import sensitivity_of
from hubspot_assets.sandbox.properties import definition, unvalued_properties
from hubspot_assets.sandbox.scopes import LISTS
from hubspot_assets.sandbox.stamps import iso, moment

PAGE = 500
MEMBERS = 250
CEILING = 10_000
_ALWAYS = (
    "hs_list_size",
    "hs_last_record_added_at",
    "hs_last_record_removed_at",
    "hs_folder_name",
    "hs_list_reference_count",
)


# Lists


def all_lists(call: Call) -> Answer:
    """`POST /crm/lists/all`: the lists by id, page by page, of a type or of all."""
    call.need(LISTS)
    asked = _asked(call, "processingTypes", "additionalProperties")
    count, start = _count(asked), 0
    if asked.get("after"):
        (start,) = cursor_numbers(str(asked["after"]), 1)
    found = _chosen(call, asked)
    page = [each for each in found if each.facts.list_id > start]
    extra = _extra(asked)
    body: dict[str, Any] = {
        "results": [_list_told(each, extra) for each in page[:count]],
        "total": len(found),
    }
    if len(page) > count:
        body["paging"] = {"next": {"after": cursor(page[count - 1].facts.list_id)}}
    return told(body)


def search_lists(call: Call) -> Answer:
    """`POST /crm/lists/search`: the lists that match, by offset."""
    call.need(LISTS)
    return _search(call, call.json())


def search_lists_strictly(call: Call) -> Answer:
    """`POST /crm/lists/search` of the versions in which members of the body are required."""
    call.need(LISTS)
    return _search(
        call, _asked(call, "listIds", "processingTypes", "additionalProperties", "offset")
    )


def _asked(call: Call, *required: str) -> dict[str, Any]:
    """The body; 400 if one of the members is missing."""
    asked = call.json()
    absent = [name for name in required if asked.get(name) is None]
    if absent:
        raise invalid(f"Some required fields were not set: [{', '.join(absent)}]")
    return asked


def _search(call: Call, asked: dict[str, Any]) -> Answer:
    count, offset = _count(asked), _whole(asked, "offset", 0)
    if offset < 0 or offset + count > CEILING:
        raise invalid(
            f"A search gives at most {CEILING} lists; offset is {offset}, count is {count}"
        )
    wanted = {str(each) for each in asked.get("listIds") or ()}
    text = str(asked.get("query") or "").lower()
    found = [
        each
        for each in _chosen(call, asked)
        if text in each.facts.name.lower() and (not wanted or str(each.facts.list_id) in wanted)
    ]
    sort = str(asked.get("sort") or "HS_LIST_ID")
    name = sort.removeprefix("-")
    if name not in _SORTS:
        raise invalid(f"Invalid value for sort: {sort}")
    found.sort(key=_SORTS[name], reverse=sort.startswith("-"))
    page = found[offset : offset + count]
    extra = _extra(asked)
    return told({
        "lists": [_list_told(each, extra) for each in page],
        "hasMore": offset + count < len(found),
        "offset": offset + len(page),
        "total": len(found),
    })  # fmt: skip


_SORTS = {
    "HS_LIST_ID": lambda each: each.facts.list_id,
    "HS_LIST_NAME": lambda each: each.facts.name,
    "HS_LIST_SIZE": lambda each: (each.size, each.facts.list_id),
    "HS_CREATED_AT": lambda each: each.facts.created,
    "HS_UPDATED_AT": lambda each: (each.updated, each.facts.list_id),
}


def read_list(call: Call) -> Answer:
    """`GET /crm/lists/{listId}`: one list, with its size and on request its filters."""
    call.need(LISTS)
    return told({"list": _whole_list(call, _list(call))})


def read_lists(call: Call) -> Answer:
    """`GET /crm/lists?listIds=1&listIds=2`: unknown and deleted ones are left out."""
    call.need(LISTS)
    wanted = {int(each) for each in call.many("listIds") if each.isdecimal()}
    found = [each for each in call.portal.lists_at(call.now) if each.facts.list_id in wanted]
    return told({"lists": [_whole_list(call, each) for each in found]})


def _chosen(call: Call, asked: dict[str, Any]) -> list[PortalList]:
    types = asked.get("processingTypes") or []
    strange = [each for each in types if each not in PROCESSING_TYPES]
    if strange:
        raise invalid(
            f"Invalid processing type: {strange[0]}", subCategory="INVALID_PROCESSING_TYPE"
        )
    object_type_id = asked.get("objectTypeId")
    return [
        each
        for each in call.portal.lists_at(call.now)
        if (not object_type_id or each.facts.object_type_id == object_type_id)
        and (not types or each.facts.processing_type in types)
    ]


def _count(asked: dict[str, Any]) -> int:
    count = _whole(asked, "count", 20)
    if not 0 < count <= PAGE:
        raise invalid(f"count must be at least 1 and at most {PAGE}, but is {count}")
    return count


def _whole(asked: dict[str, Any], name: str, default: int) -> int:
    value = asked.get(name)
    if value is None:
        return default
    if not isinstance(value, int):
        raise invalid(f"Invalid value for {name}: {value}")
    return value


def _extra(asked: dict[str, Any]) -> tuple[str, ...]:
    names = asked.get("additionalProperties") or []
    if not isinstance(names, list):
        raise invalid(f"Invalid value for additionalProperties: {names}")
    return (*_ALWAYS, *names)


def _list(call: Call) -> PortalList:
    """The list of the path; 404 if there is none."""
    text = call.params["listId"]
    list_id = int(text) if text.isdecimal() else 0
    if call.fault is not None and call.fault.kind == "delete_list":
        call.portal.delete_list(list_id, moment(call.now))
    found = call.portal.list_at(list_id, call.now)
    if found is None:
        raise object_not_found(f"List {text}")
    return found


# On the wire


def _base_told(each: PortalList) -> dict[str, Any]:
    facts = each.facts
    body: dict[str, Any] = {
        "listId": str(facts.list_id),
        "listVersion": each.version,
        "name": facts.name,
        "objectTypeId": facts.object_type_id,
        "processingType": facts.processing_type,
        "processingStatus": facts.processing_status,
        "createdAt": iso(facts.created),
        "updatedAt": iso(each.updated),
        "createdById": facts.created_by,
        "updatedById": facts.updated_by,
    }
    if each.filters_updated is not None:
        body["filtersUpdatedAt"] = iso(each.filters_updated)
    return body


def _list_told(each: PortalList, names: tuple[str, ...]) -> dict[str, Any]:
    values = _properties(each)
    chosen = {name: values[name] for name in names if values.get(name) is not None}
    return {**_base_told(each), "additionalProperties": chosen}


def _properties(each: PortalList) -> dict[str, str | None]:
    """Values by property name; None for what the list has no value of."""
    facts = each.facts
    return {
        "hs_classic_list_id": _text(facts.classic_list_id),
        "hs_created_by_user_id": facts.created_by,
        "hs_folder_name": facts.folder,
        "hs_is_public": str(facts.public).lower(),
        "hs_is_read_only": str(facts.read_only).lower(),
        "hs_last_record_added_at": _text(each.added),
        "hs_last_record_removed_at": _text(each.removed),
        "hs_lastmodifieddate": str(each.updated),
        "hs_list_id": str(facts.list_id),
        "hs_list_name": facts.name,
        "hs_list_reference_count": str(facts.references),
        "hs_list_size": str(each.size),
        "hs_object_type_id": facts.object_type_id,
        "hs_processing_type": facts.processing_type,
    }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _whole_list(call: Call, each: PortalList) -> dict[str, Any]:
    body = {**_base_told(each), "size": each.size}
    if call.flag("includeFilters") and each.facts.condition is not None:
        body["filterBranch"] = _filter_branch(*each.facts.condition)
    return body


def _filter_branch(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    rule = {
        "filterType": "PROPERTY",
        "property": name,
        "operation": {
            "operationType": "ENUMERATION",
            "operator": "IS_ANY_OF",
            "values": list(values),
            "includeObjectsWithNoValueSet": False,
        },
    }
    both = {
        "filterBranchType": "AND",
        "filterBranchOperator": "AND",
        "filterBranches": [],
        "filters": [rule],
    }
    return {
        "filterBranchType": "OR",
        "filterBranchOperator": "OR",
        "filterBranches": [both],
        "filters": [],
    }


def properties_of_lists(call: Call) -> Answer:
    """`GET /crm/properties/0-45`: the properties that lists have."""
    call.need(LISTS)
    sensitivity, archived = sensitivity_of(call.one("dataSensitivity")), call.flag("archived")
    return told({
        "results": [
            definition(each)
            for each in unvalued_properties("lists")
            if each.archived == archived and each.sensitivity == sensitivity
        ]
    })  # fmt: skip


# Members


def memberships(call: Call) -> Answer:
    """`GET /crm/lists/{listId}/memberships`: members by record id."""
    call.need(LISTS)
    members, life = _members(call)
    limit = call.limit(100, MEMBERS)
    bound, backward = _bound(call, life)
    index = None if bound is None else bound.index
    walk = members.by_record(call.now, index, descending=backward)
    page = list(islice(walk, limit + 1))
    return _members_told(call, members, life, page, limit, backward=backward)


def memberships_by_joining(call: Call) -> Answer:
    """`GET /crm/lists/{listId}/memberships/join-order`: members in the order they joined."""
    call.need(LISTS)
    members, life = _members(call)
    limit = call.limit(100, MEMBERS)
    bound, backward = _bound(call, life)
    descending = backward != call.portal.config.newest_joined_first
    walk = members.by_joining(call.now, bound, descending=descending)
    page = list(islice(walk, limit + 1))
    return _members_told(call, members, life, page, limit, backward=backward)


def _members(call: Call) -> tuple[Memberships, Life]:
    found = _list(call)
    if found.facts.processing_type == "ADHOC":
        raise invalid(
            f"Memberships of list {found.facts.list_id} cannot be read: it is an ADHOC list",
            subCategory="INVALID_PROCESSING_TYPE",
        )
    members = call.portal.memberships_at(found, call.now)
    return members, call.portal.life(found.facts.object_type_id)


def _bound(call: Call, life: Life) -> tuple[Member | None, bool]:
    """The member that the page lies beyond, and whether it goes back from there."""
    after, before = call.one("after"), call.one("before")
    if not (after or before):
        return None, False
    joined, record_id = cursor_numbers(after or before, 2)
    return Member(life.index_at(record_id, call.now), joined), not after


def _members_told(
    call: Call, members: Memberships, life: Life, page: list[Member], limit: int, *, backward: bool
) -> Answer:
    shown = page[:limit]
    body: dict[str, Any] = {
        "results": [
            {
                "recordId": str(life.record_id(each.index, call.now)),
                "membershipTimestamp": iso(each.joined),
            }
            for each in shown
        ],
        "total": members.size(call.now),
    }
    beyond = len(page) > limit
    paging = {}
    if shown and (call.one("after") or backward) and (beyond or not backward):
        edge = shown[-1] if backward else shown[0]
        paging["prev"] = _link(call, "before", life, edge)
    if shown and not backward and beyond:
        paging["next"] = _link(call, "after", life, shown[-1])
    return told({**body, **({"paging": paging} if paging else {})})


def _link(call: Call, way: str, life: Life, edge: Member) -> dict[str, str]:
    kept = [(key, value) for key, value in call.query if key not in ("after", "before")]
    at = cursor(edge.joined, life.record_id(edge.index, call.now))
    return {way: at, "link": f"{call.url}?{urlencode([*kept, (way, at)], quote_via=quote)}"}


# Lists of a record


def lists_of_record(call: Call) -> Answer:
    """`GET /crm/lists/records/{objectTypeId}/{recordId}/memberships`."""
    call.need(LISTS)
    found = _lists_of(call, call.params["objectTypeId"], call.params["recordId"])
    if found is None:
        raise not_found()
    return told({"results": found, "total": len(found)})


def batch_read_memberships(call: Call) -> Answer:
    """`POST /crm/lists/records/memberships/batch/read`: the lists of up to a hundred records."""
    call.need(LISTS)
    inputs = call.json().get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(each, dict) for each in inputs):
        raise invalid("Some required fields were not set: [inputs]")
    if len(inputs) > 100:
        raise invalid("The maximum number of inputs supported in a batch request is 100")
    results = []
    for each in inputs:
        object_type_id, record_id = str(each.get("objectTypeId")), str(each.get("recordId"))
        found = _lists_of(call, object_type_id, record_id)
        results.append({
            "objectTypeId": object_type_id,
            "recordId": record_id,
            "recordListMemberships": found or [],
        })  # fmt: skip
    return call.batch([orjson.dumps(each) for each in results])


def _lists_of(call: Call, object_type_id: str, record_id: str) -> list[dict[str, Any]] | None:
    """The memberships of a record; None if there is no such record."""
    kind = call.object_type(object_type_id)
    life = call.portal.life(kind.object_type_id)
    index = life.holder(int(record_id), call.now) if record_id.isdecimal() else None
    if index is None:
        return None
    found = []
    for each in call.portal.lists_at(call.now):
        if each.facts.object_type_id != kind.object_type_id:
            continue
        member = call.portal.memberships_at(each, call.now).find(index, call.now)
        if member is not None:
            found.append({
                "listId": str(each.facts.list_id),
                "listVersion": each.version,
                "isPublicList": each.facts.public,
                "firstAddedTimestamp": iso(member.joined),
                "lastAddedTimestamp": iso(member.joined),
            })  # fmt: skip
    return found
