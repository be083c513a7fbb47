"""Lists and their members, from a portal of a few lines and from the sandbox."""

from itertools import chain
from typing import Any

import orjson
import pytest

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer, MissingScope, NotFound
from hubspot_assets.hubspot.lists import list_properties, list_records, lists, members, sized
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok

CONTACTS, COMPANIES, WIDGETS = "0-1", "0-2", "0-999"
UNKNOWN: dict[str, Any] = {"message": "Unable to infer object type from: 0-999"}
NO_SCOPE: dict[str, Any] = {
    "category": "MISSING_SCOPES",
    "errors": [{"context": {"requiredGranularScopes": ["crm.lists.read"]}}],
}


def a_list(number, object_type_id=CONTACTS, processing_type="DYNAMIC"):
    return {
        "listId": str(number),
        "name": f"List {number}",
        "objectTypeId": object_type_id,
        "processingType": processing_type,
        "additionalProperties": {"hs_list_size": "0"},
    }


class Portal:
    """Lists by object type, served by `all` and by a search with a ceiling of 10,000.

    A listing of no type brings those of the types `brings`, all without it, and is refused with
    `all_status` where that is none of success. The search counts `more` lists than there are.
    """

    def __init__(self, by_type, all_status=200, brings=None, more=0):
        self.by_type = by_type
        self.all_status = all_status
        self.brings = by_type.keys() if brings is None else brings
        self.more = more
        self.refusals = {}
        self.asked = []

    def __call__(self, request):
        body = orjson.loads(request.content)
        way = request.url.path.rsplit("/", 1)[1]
        self.asked.append((way, body))
        kind = body.get("objectTypeId")
        if kind in self.refusals:
            return self.refusals[kind]
        if kind is not None and kind not in self.by_type:
            return error(400, **UNKNOWN)
        if way == "all" and self.all_status != 200:
            return error(self.all_status, message="resource not found")
        kinds = [kind] if kind else self.brings if way == "all" else self.by_type
        found = [
            each
            for each in chain.from_iterable(map(self.by_type.get, kinds))
            if not body["processingTypes"] or each["processingType"] in body["processingTypes"]
        ]
        start = int(body.get("after") or body.get("offset") or 0)
        end = start + body["count"]
        if way == "all":
            paging = {"paging": {"next": {"after": str(end)}}} if end < len(found) else {}
            return ok({"results": found[start:end], "total": len(found)} | paging)
        if end > 10_000:
            return error(400, message="offset too large", category="VALIDATION_ERROR")
        more = end < len(found)
        total = len(found) + (0 if kind else self.more)
        return ok(
            {"lists": found[start:end]}
            | {"hasMore": more, "offset": min(end, len(found)), "total": total}
        )

    def listing(self, *types, versions=None):
        with client_of(self, FakeTime(), paths=Paths(versions)) as client:
            return lists(client, types, ["hs_list_size"])

    def read(self, *types, versions=None):
        return [
            int(each.content["listId"]) for each in self.listing(*types, versions=versions).lists
        ]

    def types_asked(self, way="all"):
        return list(
            dict.fromkeys(each.get("objectTypeId") for how, each in self.asked if how == way)
        )


def test_all_lists_of_all_types_come_once_by_id_in_a_few_requests():
    portal = Portal(
        {
            CONTACTS: [a_list(number) for number in range(2, 1_300, 2)],
            COMPANIES: [a_list(5, COMPANIES)],
            WIDGETS: [a_list(7, WIDGETS)],
        }
    )
    # Nobody knows of the type of list 7: it comes all the same.
    assert portal.read(CONTACTS, COMPANIES) == sorted([*range(2, 1_300, 2), 5, 7])
    assert [way for way, _ in portal.asked] == ["all", "all", "search"]
    assert [body.get("after") for _, body in portal.asked[:2]] == [None, "500"]
    assert portal.asked[0][1] == {
        "processingTypes": [],
        "additionalProperties": ["hs_list_size"],
        "count": 500,
    }


def test_a_list_that_is_told_twice_is_one_as_told_last():
    renamed = a_list(2) | {"name": "Renamed meanwhile"}
    portal = Portal({CONTACTS: [a_list(1), a_list(2), a_list(2)], COMPANIES: [renamed]})
    listing = portal.listing(CONTACTS, COMPANIES)
    assert [each.content["name"] for each in listing.lists] == ["List 1", "Renamed meanwhile"]
    assert (listing.repeated, listing.untold) == (1, 2)  # by a count of what is told twice


@pytest.mark.parametrize("brings", [[CONTACTS], [], [CONTACTS, COMPANIES]])
def test_a_listing_that_does_not_bring_every_type_loses_none(brings):
    portal = Portal(
        {
            CONTACTS: [a_list(1), a_list(2)],
            COMPANIES: [a_list(3, COMPANIES)],
            "0-3": [a_list(4, "0-3")],
        },
        brings=brings,
    )
    listing = portal.listing(CONTACTS, COMPANIES, "0-3")
    assert [each.content["listId"] for each in listing.lists] == ["1", "2", "3", "4"]
    # What the answers of several requests have in common is not HubSpot's telling it twice.
    assert (listing.repeated, listing.untold, listing.refused) == (0, 0, {})
    assert portal.types_asked() == [None, CONTACTS, COMPANIES, "0-3"]


def test_a_portal_with_lists_of_one_type_is_asked_for_those_of_others():
    portal = Portal({CONTACTS: [a_list(1)], COMPANIES: []})
    assert portal.read(CONTACTS, COMPANIES, WIDGETS) == [1]
    assert portal.types_asked() == [None, CONTACTS, COMPANIES, WIDGETS]


def test_lists_that_are_counted_and_nowhere_listed_are_told():
    portal = Portal({CONTACTS: [a_list(1)], COMPANIES: [a_list(2, COMPANIES)]}, more=3)
    listing = portal.listing(CONTACTS, COMPANIES)
    assert (len(listing.lists), listing.untold) == (2, 3)
    assert portal.types_asked() == [None, CONTACTS, COMPANIES]


def test_a_count_that_is_refused_is_no_reason_to_fail():
    def portal(request):
        if request.url.path.endswith("/search"):
            return error(400, message="no")
        return ok({"results": [a_list(1), a_list(2, COMPANIES)]})

    with client_of(portal, FakeTime()) as client:
        listing = lists(client, [CONTACTS], [])
    assert (len(listing.lists), listing.untold) == (2, 0)


def test_a_listing_of_no_type_that_is_refused_is_made_type_by_type():
    portal = Portal({CONTACTS: [a_list(1)], COMPANIES: [a_list(2, COMPANIES)]})
    portal.refusals[None] = error(400, message="Some required fields were not set: [objectTypeId]")
    assert portal.read(CONTACTS, WIDGETS, COMPANIES) == [1, 2]
    assert portal.types_asked() == [None, CONTACTS, WIDGETS, COMPANIES]


@pytest.mark.parametrize("status", [404, 405])
def test_where_all_is_not_served_they_are_searched_for(status):
    portal = Portal({CONTACTS: [a_list(number) for number in range(1, 1_102)]}, status)
    portal.by_type[COMPANIES] = [a_list(7_000, COMPANIES)]
    assert portal.read(COMPANIES, CONTACTS) == [*range(1, 1_102), 7_000]
    # It is asked for a few times, and then no more.
    assert [way for way, _ in portal.asked] == ["all"] * 3 + ["search"] * 5
    searches = [body for way, body in portal.asked if way == "search"][1:]
    assert [body["offset"] for body in searches] == [0, 0, 500, 1000]
    assert searches[1] == {
        "query": "",
        "count": 500,
        "offset": 0,
        "listIds": [],
        "processingTypes": [],
        "additionalProperties": ["hs_list_size"],
        "objectTypeId": CONTACTS,
        "sort": "HS_LIST_ID",
    }


def test_an_older_version_of_the_api_is_searched_at_once():
    portal = Portal({CONTACTS: [a_list(1)], WIDGETS: [a_list(2)]})
    listing = portal.listing(CONTACTS, versions={"lists": "v3"})
    assert [each.content["listId"] for each in listing.lists] == ["1"]
    assert listing.untold == 1
    assert [way for way, _ in portal.asked] == ["search", "search"]


def test_more_lists_than_a_search_serves_are_searched_by_processing_type():
    kinds = ["MANUAL"] * 9_000 + ["DYNAMIC"] * 800 + ["SNAPSHOT"] * 700
    found = [a_list(number, CONTACTS, each) for number, each in enumerate(kinds, 1)]
    portal = Portal({CONTACTS: found}, 404)
    assert portal.read(CONTACTS) == list(range(1, 10_501))


@pytest.mark.parametrize("rest", ["MANUAL", "A_NEW_ONE"])
def test_what_no_search_serves_is_never_cut_off_in_silence(rest):
    kinds = ["MANUAL"] * 9_500 + [rest] * 600
    found = [a_list(number, CONTACTS, each) for number, each in enumerate(kinds, 1)]
    with pytest.raises(IncompleteAnswer, match="no more than 10,000 of a processing type"):
        Portal({CONTACTS: found}, 404).read(CONTACTS)


def test_a_refused_type_is_told_of_and_the_others_are_read():
    portal = Portal({CONTACTS: [a_list(1)]})
    portal.refusals[COMPANIES] = error(400, message="no lists of these")
    listing = portal.listing(COMPANIES, WIDGETS, CONTACTS)
    assert [each.content["listId"] for each in listing.lists] == ["1"]
    assert {kind: type(why) for kind, why in listing.refused.items()} == {COMPANIES: BadRequest}


def test_without_the_scope_nothing_can_be_read():
    portal = Portal({})
    portal.refusals = dict.fromkeys([None, CONTACTS, COMPANIES], error(403, **NO_SCOPE))
    with pytest.raises(MissingScope, match=r"lacks crm\.lists\.read"):
        portal.read(WIDGETS, CONTACTS, COMPANIES)
    with pytest.raises(MissingScope, match=r"lacks crm\.lists\.read"):
        portal.read(WIDGETS, CONTACTS, COMPANIES, versions={"lists": "v3"})


def test_a_refusal_in_the_middle_is_no_end():
    page = {"results": [a_list(1)], "paging": {"next": {"after": "1"}}}
    script = Script(ok(page), error(400, message="INVALID_CURSOR"))
    with client_of(script, FakeTime()) as client, pytest.raises(IncompleteAnswer):
        lists(client, [CONTACTS], [])


@pytest.mark.parametrize(
    ("versions", "page"),
    [
        (None, {"results": [a_list(1)], "paging": {"next": {"after": "1"}}}),
        ({"lists": "v3"}, {"lists": [a_list(1)], "hasMore": True, "offset": 0, "total": 2}),
    ],
)
def test_pages_that_name_themselves_as_the_next_are_an_error(versions, page):
    with (
        client_of(Script(ok(page)), FakeTime(), paths=Paths(versions)) as client,
        pytest.raises(IncompleteAnswer, match="names itself"),
    ):
        lists(client, [CONTACTS], [])


def member(number):
    return {"recordId": str(number), "membershipTimestamp": "2026-10-01T09:30:00.123Z"}


def test_members_are_read_to_the_end():
    script = Script(
        ok({"results": [member(1), member(2)], "paging": {"next": {"after": "x,y", "link": "…"}}}),
        ok({"results": [member(3)], "total": 3}),
    )
    with client_of(script, FakeTime()) as client:
        pages = list(members(client, "7"))
    assert [[each["recordId"] for each in page.members] for page in pages] == [["1", "2"], ["3"]]
    first, second = script.requests
    assert first.url.path == "/crm/lists/2026-09/7/memberships"
    assert dict(first.url.params) == {"limit": "250"}
    assert dict(second.url.params) == {"limit": "250", "after": "x,y"}


def test_members_whose_pages_go_in_circles_are_an_error():
    page = {"results": [member(1)], "paging": {"next": {"after": "1"}}}
    with client_of(Script(ok(page)), FakeTime()) as client, pytest.raises(IncompleteAnswer):
        list(members(client, "7"))


def test_a_deleted_list_has_no_members():
    script = Script(error(404, message="resource not found"))
    with client_of(script, FakeTime()) as client, pytest.raises(NotFound):
        list(members(client, "7"))


def test_a_list_as_a_record_has_its_fields_and_its_additional_properties():
    told = a_list(7) | {
        "createdAt": "2026-10-01T09:30:00.123Z",
        "createdById": 42,
        "additionalProperties": {
            "hs_list_size": "3",
            "hs_folder_name": None,
            "hs_is_public": True,
            "something_new": "x",
        },
    }
    assert list_properties(told) == {
        "hs_list_id": "7",
        "hs_object_id": "7",
        "hs_list_name": "List 7",
        "hs_object_type_id": CONTACTS,
        "hs_processing_type": "DYNAMIC",
        "hs_createdate": "2026-10-01T09:30:00.123Z",
        "hs_created_by_user_id": "42",
        "hs_list_size": "3",
        "hs_is_public": "true",
        "something_new": "x",
    }


@pytest.mark.parametrize("served", [True, False])
def test_lists_as_records_are_asked_for_every_property_that_hubspot_defines(served):
    asked = []

    def portal(request):
        if request.method == "GET" and not served:
            return error(403, message="no")
        if request.method == "GET":
            archived = request.url.params["archived"] == "true"
            return ok({"results": [{"name": "old" if archived else "new", "archived": archived}]})
        if request.url.path.endswith("/search"):
            return ok({"lists": [], "total": 1})
        asked.append(orjson.loads(request.content)["additionalProperties"])
        return ok({"results": [a_list(7)]})

    with client_of(portal, FakeTime()) as client:
        (record,) = list_records(client, [CONTACTS])
    assert record.content["hs_list_name"] == "List 7"
    if served:
        assert asked == [["new"], ["new"]]
    else:
        assert {"hs_list_size", "hs_folder_name", "hs_lastmodifieddate"} < set(asked[0])


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3"])
def test_the_sandbox_gives_all_it_has_in_every_version(shared_sandbox, version):
    portal = shared_sandbox.portal
    types = [each.object_type_id for each in portal.object_types()]
    paths = Paths({"lists": version})
    with HubSpot(BearerToken(shared_sandbox.token), shared_sandbox.url, paths=paths) as client:
        found = lists(client, [*types, WIDGETS], ["hs_list_size"]).lists
        sizes = {}
        for each in found:
            pages = list(members(client, each.content["listId"]))
            sizes[each.content["listId"]] = str(sum(len(page.members) for page in pages))
    expected = [each.facts.list_id for each in portal.lists(READ_AT)]
    assert [int(each.content["listId"]) for each in found] == expected
    assert expected
    told = {
        each.content["listId"]: each.content["additionalProperties"]["hs_list_size"]
        for each in found
    }
    assert sizes == told


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (ok({"list": {"listId": "7", "size": 0}}), "0"),
        (ok({"list": {"listId": "7"}}), None),
        (ok({}), None),
        (error(404, message="resource not found"), None),
    ],
)
def test_a_list_whose_listing_tells_no_size_is_asked_for_it(answer, size):
    portal = Script(answer)
    with client_of(portal, FakeTime()) as client:
        told = sized(client, Read(a_list(7), READ_AT))
        assert told.content == a_list(7)
        assert not portal.requests
        without = a_list(7) | {"additionalProperties": {"hs_classic_list_id": "3"}}
        told = sized(client, Read(without, READ_AT))
    assert portal.requests[0].url.path.endswith("/lists/2026-09/7")
    assert told.received_at == READ_AT
    size_told = {} if size is None else {"hs_list_size": size}
    assert told.content["additionalProperties"] == {"hs_classic_list_id": "3"} | size_told
