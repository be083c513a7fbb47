"""Lists and their members: HubSpot's own client, and what the portal says is true."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hubspot.crm.lists import ListSearchRequest

from hubspot_assets.sandbox import Portal, PortalConfig
from hubspot_assets_tests.sandbox.conftest import NOW, walk

LISTS = "/crm/lists/2026-09"
NAMES = ["hs_classic_list_id", "hs_list_id", "hs_list_name", "hs_lastmodifieddate", "hs_is_public"]
#: What HubSpot's newest list of lists requires.
NO_MORE: dict[str, Any] = {"processingTypes": [], "additionalProperties": []}
#: Lists of the portal by what they are good for.
BUSY, SNAPSHOT, BIG, EMPTY, DELETED, CARS = 7, 19, 31, 38, 44, 81
ADHOC, UNFINISHED = 93, 97


def moments(entries: list[Any]) -> list[tuple[int, datetime]]:
    return [(int(e.record_id), e.membership_timestamp) for e in entries]


def members(official: Any, list_id: int, method: str = "get_page", **settings: Any) -> list[Any]:
    found, after = [], None
    while True:
        call = getattr(official.crm.lists.memberships_api, method)
        page = call(str(list_id), after=after, **settings)
        found += moments(page.results)
        if page.paging is None or page.paging.next is None:
            return found
        after = page.paging.next.after


def ms(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


# Lists


@pytest.mark.asks("hubspot-api-client", "POST /crm/lists/search")
def test_the_official_client_finds_every_list(official: Any, portal: Portal) -> None:
    found = official.crm.lists.lists_api.do_search(
        ListSearchRequest(count=500, additional_properties=NAMES)
    )
    truth = portal.lists(NOW)
    assert found.total == len(truth) == len(found.lists)
    assert not found.has_more
    for told, true in zip(found.lists, truth, strict=True):
        facts = true.facts
        assert told.list_id == str(facts.list_id)
        assert (told.name, told.object_type_id) == (facts.name, facts.object_type_id)
        assert told.processing_type == facts.processing_type
        assert ms(told.created_at) == str(facts.created)
        assert told.additional_properties["hs_list_size"] == str(true.size)
        assert true.size == len(portal.members(facts.list_id, NOW))
        assert told.additional_properties["hs_list_name"] == facts.name
        assert ("hs_classic_list_id" in told.additional_properties) == bool(facts.classic_list_id)
        added = told.additional_properties.get("hs_last_record_added_at")
        joined = [at for _, at in portal.members(facts.list_id, NOW)]
        assert added is None or not joined or int(added) >= int(ms(max(joined)))


def test_lists_of_several_types_and_kinds(portal: Portal) -> None:
    truth = portal.lists(NOW)
    assert {each.facts.object_type_id for each in truth} == {
        "0-1", "0-2", "0-3", "0-5", "2-4410002",
    }  # fmt: skip
    assert {each.facts.processing_type for each in truth} == {"MANUAL", "DYNAMIC", "SNAPSHOT"}
    assert [each.facts.list_id for each in truth if not each.size] == [EMPTY]
    assert DELETED not in [each.facts.list_id for each in truth]


@pytest.mark.asks("hubspot-api-client", "GET /crm/lists/{listId}", "GET /crm/lists")
def test_one_list_and_its_filters(official: Any, portal: Portal) -> None:
    told = official.crm.lists.lists_api.get_by_id(str(BUSY), include_filters=True).list
    true = next(each for each in portal.lists(NOW) if each.facts.list_id == BUSY)
    assert (told.name, told.size, told.list_version) == (true.facts.name, true.size, true.version)
    assert told.filter_branch.filter_branch_type == "OR"
    [branch] = told.filter_branch.filter_branches
    assert branch.filters[0].to_dict()["_property"] == "lifecyclestage"
    assert official.crm.lists.lists_api.get_by_id(str(BUSY)).list.filter_branch is None
    several = official.crm.lists.lists_api.get_all(list_ids=["7", "19", "44", "999"])
    assert [each.list_id for each in several.lists] == ["7", "19"]


def test_all_lists_of_a_type_by_cursor(http: httpx.Client, portal: Portal) -> None:
    truth = [each for each in portal.lists(NOW) if each.facts.object_type_id == "0-1"]
    found: list[str] = []
    asked: dict[str, Any] = {"objectTypeId": "0-1", "count": 2, **NO_MORE}
    while True:
        page = http.post(f"{LISTS}/all", json=asked).json()
        assert page["total"] == len(truth)
        found += [each["listId"] for each in page["results"]]
        if "paging" not in page:
            break
        asked["after"] = page["paging"]["next"]["after"]
    assert found == [str(each.facts.list_id) for each in truth]
    dynamic = {"objectTypeId": "0-1", "processingTypes": ["DYNAMIC"], "additionalProperties": NAMES}
    page = http.post(f"{LISTS}/all", json=dynamic).json()
    assert [each["processingType"] for each in page["results"]] == ["DYNAMIC"] * page["total"]
    assert page["results"][0]["additionalProperties"]["hs_is_public"] == "true"


@pytest.mark.parametrize(
    ("asked", "sub_category"),
    [
        ({"objectTypeId": "0-1", "processingTypes": []}, None),
        ({"objectTypeId": "0-1", "additionalProperties": []}, None),
        ({**NO_MORE, "after": "?"}, "INVALID_CURSOR"),
        ({**NO_MORE, "processingTypes": ["ODD"]}, "INVALID_PROCESSING_TYPE"),
        ({**NO_MORE, "count": 501}, None),
    ],
)
def test_what_all_lists_refuses(
    http: httpx.Client, asked: dict[str, Any], sub_category: str | None
) -> None:
    answer = http.post(f"{LISTS}/all", json=asked)
    assert answer.status_code == 400
    assert answer.json().get("subCategory") == sub_category


def test_without_a_type_all_lists_are_told(http: httpx.Client, portal: Portal) -> None:
    page = http.post(f"{LISTS}/all", json={**NO_MORE, "count": 500}).json()
    assert [int(each["listId"]) for each in page["results"]] == [
        each.facts.list_id for each in portal.lists(NOW)
    ]
    assert len({each["objectTypeId"] for each in page["results"]}) == 5


def test_all_lists_is_of_the_newest_version_alone(http: httpx.Client) -> None:
    for version in ("v3/lists", "lists/2026-03"):
        answer = http.post(f"/crm/{version}/all", json={"objectTypeId": "0-1"})
        assert answer.status_code == 404


def test_search_by_offset_text_and_order(http: httpx.Client, portal: Portal) -> None:
    found: list[str] = []
    asked: dict[str, Any] = {"count": 5, "offset": 0, "sort": "-HS_UPDATED_AT"}
    while True:
        page = http.post("/crm/v3/lists/search", json=asked).json()
        found += [each["listId"] for each in page["lists"]]
        asked["offset"] = page["offset"]
        if not page["hasMore"]:
            break
    truth = sorted(portal.lists(NOW), key=lambda e: (e.updated, e.facts.list_id), reverse=True)
    assert found == [str(each.facts.list_id) for each in truth]
    page = http.post("/crm/v3/lists/search", json={"query": "TICKETS"}).json()
    assert [each["listId"] for each in page["lists"]] == ["75"]
    page = http.post("/crm/v3/lists/search", json={"objectTypeId": "0-2"}).json()
    assert [each["listId"] for each in page["lists"]] == ["52", "57"]


def test_members_that_the_newest_search_requires(http: httpx.Client) -> None:
    asked = {"listIds": [], "processingTypes": [], "additionalProperties": [], "offset": 0}
    assert http.post(f"{LISTS}/search", json=asked).status_code == 200
    for name in asked:
        rest = {key: value for key, value in asked.items() if key != name}
        answer = http.post(f"{LISTS}/search", json=rest)
        assert answer.status_code == 400
        assert name in answer.json()["message"]
    beyond = http.post(f"{LISTS}/search", json={**asked, "offset": 9_990, "count": 11})
    assert beyond.status_code == 400
    assert http.post(f"{LISTS}/search", json={**asked, "count": 501}).status_code == 400


def test_properties_of_lists_are_told_though_lists_are_no_records(http: httpx.Client) -> None:
    found = http.get("/crm/properties/2026-09/0-45").json()["results"]
    types = {each["name"]: each["type"] for each in found}
    assert types["hs_list_size"] == "number"
    assert types["hs_last_record_added_at"] == "datetime"
    assert set(NAMES) <= set(types)
    assert http.get("/crm/objects/2026-09/0-45").status_code == 400


# Members


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm/lists/{listId}/memberships",
    "GET /crm/lists/{listId}/memberships/join-order",
)
@pytest.mark.parametrize("list_id", [BUSY, SNAPSHOT, BIG, EMPTY, CARS])
def test_members_by_record_and_by_joining(official: Any, portal: Portal, list_id: int) -> None:
    truth = portal.members(list_id, NOW)
    assert members(official, list_id, limit=7) == truth
    by_joining = members(official, list_id, "get_page_ordered_by_added_to_list_date", limit=7)
    assert by_joining == sorted(truth, key=lambda each: (each[1], each[0]))


def test_members_are_live_and_joined_after_they_were_made(portal: Portal) -> None:
    for each in portal.lists(NOW):
        kind = each.facts.object_type_id
        live = set(portal.live_ids(kind, NOW))
        for record_id, joined in portal.members(each.facts.list_id, NOW):
            assert record_id in live
            record = portal.record(kind, record_id, NOW)
            assert record is not None
            assert record.created_at <= joined <= NOW


def test_members_come_and_go(portal: Portal) -> None:
    before, after = (dict(portal.members(BUSY, at)) for at in (NOW - timedelta(days=60), NOW))
    came, went = after.keys() - before.keys(), before.keys() - after.keys()
    assert came
    assert went
    assert went & set(portal.live_ids("0-1", NOW)), "some leave without having ended"
    assert all(after[each] > NOW - timedelta(days=60) for each in came)
    assert all(after[each] == before[each] for each in before.keys() & after.keys())


def test_a_snapshot_keeps_what_it_was_taken_of(portal: Portal) -> None:
    taken = datetime(2024, 3, 8, 18, 0, 1, tzinfo=UTC)
    first, now = (set(portal.members(SNAPSHOT, at)) for at in (taken, NOW))
    assert now < first
    joined = [at for _, at in first]
    assert len(set(joined)) < len(joined), "some join in the same millisecond"


def test_pages_back_and_their_limits(http: httpx.Client, portal: Portal) -> None:
    path = f"{LISTS}/{BUSY}/memberships"
    truth = [str(record_id) for record_id, _ in portal.members(BUSY, NOW)]
    first = http.get(path, params={"limit": 5}).json()
    assert "prev" not in first["paging"]
    after = first["paging"]["next"]["after"]
    second = http.get(path, params={"limit": 5, "after": after}).json()
    assert [each["recordId"] for each in second["results"]] == truth[5:10]
    assert second["total"] == len(truth)
    before = second["paging"]["prev"]["before"]
    back = http.get(path, params={"limit": 5, "before": before}).json()
    assert [each["recordId"] for each in back["results"]] == truth[4::-1]
    both = http.get(path, params={"limit": 5, "before": before, "after": after}).json()
    assert both["results"] == second["results"]
    linked = http.get(first["paging"]["next"]["link"]).json()
    assert linked["results"] == second["results"]
    assert http.get(path, params={"limit": 251}).status_code == 400
    assert http.get(path, params={"after": "odd"}).json()["subCategory"] == "INVALID_CURSOR"


def test_the_newest_may_come_first(served: Any) -> None:
    sandbox, http = served(records=200, newest_joined_first=True)
    found = walk(http, f"{LISTS}/{BUSY}/memberships/join-order", limit=20)
    truth = sandbox.portal.members(BUSY, NOW)
    truth.sort(key=lambda each: (each[1], each[0]), reverse=True)
    assert [int(each["recordId"]) for each in found] == [record_id for record_id, _ in truth]


def test_lists_without_all_their_members(served: Any) -> None:
    sandbox, http = served(records=200, odd_lists=True)
    found = http.post(f"{LISTS}/all", json={**NO_MORE, "count": 500}).json()["results"]
    told = {int(each["listId"]): each for each in found}
    assert told[ADHOC]["processingType"] == "ADHOC"
    for path in ("memberships", "memberships/join-order"):
        answer = http.get(f"{LISTS}/{ADHOC}/{path}")
        assert answer.status_code == 400
        assert answer.json()["subCategory"] == "INVALID_PROCESSING_TYPE"
    unfinished = told[UNFINISHED]
    assert unfinished["processingStatus"] == "IN_PROGRESS"
    members = walk(http, f"{LISTS}/{UNFINISHED}/memberships", limit=250)
    size = int(unfinished["additionalProperties"]["hs_list_size"])
    assert 5 < len(members) < size - 5
    assert [int(each["recordId"]) for each in members] == [
        record_id for record_id, _ in sandbox.portal.members(UNFINISHED, NOW)
    ]


def test_a_list_of_a_size_one_asks_for() -> None:
    portal = Portal(PortalConfig(records=3_000, now=NOW, big_list=2_500))
    for at in (NOW - timedelta(days=1), NOW):
        assert len(portal.members(BIG, at)) == 2_500


def test_records_that_end_leave_at_once(served: Any) -> None:
    sandbox, http = served(records=200)
    portal = sandbox.portal
    truth = portal.members(BUSY, NOW)
    gone, merged, into = (record_id for record_id, _ in truth[:3])
    portal.archive("0-1", gone, NOW)
    portal.merge("0-1", merged, into, NOW)
    found = walk(http, f"{LISTS}/{BUSY}/memberships", limit=250)
    survivor = portal.fate("0-1", into, NOW).merged_into
    left = [survivor, *(record_id for record_id, _ in truth[3:])]
    assert [int(each["recordId"]) for each in found] == left


def test_lists_of_records(http: httpx.Client, portal: Portal) -> None:
    record_id, joined = portal.members(BUSY, NOW)[0]
    inputs = [
        {"objectTypeId": "0-1", "recordId": str(record_id)},
        {"objectTypeId": "0-1", "recordId": "5"},
    ]
    answer = http.post(f"{LISTS}/records/memberships/batch/read", json={"inputs": inputs}).json()
    mine, nobody = answer["results"]
    assert nobody["recordListMemberships"] == []
    told = {each["listId"]: each for each in mine["recordListMemberships"]}
    assert ms(datetime.fromisoformat(told[str(BUSY)]["firstAddedTimestamp"])) == ms(joined)
    assert list(told) == lists_of(portal, record_id)
    assert http.get(f"{LISTS}/records/0-1/5/memberships").status_code == 404


@pytest.mark.asks(
    "hubspot-api-client", "GET /crm/lists/records/{objectTypeId}/{recordId}/memberships"
)
def test_lists_of_one_record(official: Any, portal: Portal) -> None:
    record_id, _ = portal.members(BUSY, NOW)[0]
    found = official.crm.lists.memberships_api.get_lists("0-1", str(record_id))
    assert [each.list_id for each in found.results] == lists_of(portal, record_id)


def lists_of(portal: Portal, contact_id: int) -> list[str]:
    return [
        str(each.facts.list_id)
        for each in portal.lists(NOW)
        if each.facts.object_type_id == "0-1"
        and contact_id in dict(portal.members(each.facts.list_id, NOW))
    ]


# Ends


def test_a_list_vanishes_while_its_members_are_read(served: Any) -> None:
    sandbox, http = served(records=300)
    path = f"{LISTS}/{BUSY}/memberships"
    sandbox.faults.add("delete_list", path=rf"/{BUSY}/memberships", skip=1)
    first = http.get(path, params={"limit": 10})
    assert first.status_code == 200
    after = first.json()["paging"]["next"]["after"]
    answer = http.get(path, params={"limit": 10, "after": after})
    assert answer.status_code == 404
    assert answer.json()["category"] == "OBJECT_NOT_FOUND"
    assert BUSY not in [each.facts.list_id for each in sandbox.portal.lists(NOW)]
    assert sandbox.portal.members(BUSY, NOW) == []
    assert http.get(f"{LISTS}/{BUSY}").status_code == 404


def test_unknown_and_deleted_lists_are_not_found(http: httpx.Client, portal: Portal) -> None:
    for list_id in (DELETED, 999_999, "odd"):
        assert http.get(f"{LISTS}/{list_id}").status_code == 404
        assert http.get(f"{LISTS}/{list_id}/memberships").status_code == 404
        assert http.get(f"{LISTS}/{list_id}/memberships/join-order").status_code == 404
    lived = datetime(2025, 3, 1, tzinfo=UTC)
    assert DELETED in [each.facts.list_id for each in portal.lists(lived)]
    assert portal.members(DELETED, lived)


def test_lists_need_their_scope(served: Any) -> None:
    _, http = served(without_scopes=frozenset({"crm.lists.read"}))
    for answer in (
        http.post("/crm/v3/lists/search", json={}),
        http.post(f"{LISTS}/all", json={"objectTypeId": "0-1"}),
        http.get(f"{LISTS}/{BUSY}/memberships"),
        http.get("/crm/properties/2026-09/0-45"),
    ):
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["context"]["requiredGranularScopes"] == ["crm.lists.read"]


def test_a_portal_without_a_type_has_no_lists_of_it(served: Any) -> None:
    _, http = served(plan="starter")
    found = http.post("/crm/v3/lists/search", json={"count": 500}).json()["lists"]
    assert "2-4410002" not in {each["objectTypeId"] for each in found}
