"""Associations: HubSpot's own client reads them and finds what the plan says."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest
from hubspot.crm.associations.v4 import (
    BatchInputPublicFetchAssociationsBatchRequest,
    PublicFetchAssociationsBatchRequest,
)

from hubspot_assets.sandbox import Link, Portal, PortalConfig
from hubspot_assets_tests.sandbox.conftest import NOW, every_page, official_of, walk
from hubspot_assets_tests.sandbox.test_http import failed

CONTACTS, COMPANIES, DEALS, TICKETS = "0-1", "0-2", "0-3", "0-5"
CARS, ZEPPELINS = "2-4410002", "2-4410020"
PAIRS = Portal(PortalConfig()).linked_pairs()
BATCH = "/crm/associations/2026-09/{}/{}/batch/read"


def batch(official: Any, near: str, far: str, asked: list[tuple[int, str | None]]) -> Any:
    inputs = [PublicFetchAssociationsBatchRequest(id=str(i), after=after) for i, after in asked]
    return official.crm.associations.v4.batch_api.get_page(
        near, far, BatchInputPublicFetchAssociationsBatchRequest(inputs=inputs)
    )


def read(official: Any, near: str, far: str, ids: list[int]) -> list[Link]:
    """All links of the records with these ids, through the official client."""
    asked: list[tuple[int, str | None]] = [(each, None) for each in ids]
    found: list[Link] = []
    while asked:
        page, asked = batch(official, near, far, asked), []
        for result in page.results:
            found += [
                Link(int(result._from.id), int(to.to_object_id), t.category, t.type_id, t.label)
                for to in result.to
                for t in to.association_types
            ]
            if result.paging is not None:
                asked.append((int(result._from.id), result.paging.next.after))
    return sorted(found, key=lambda link: (link.from_id, link.to_id))


def post(http: httpx.Client, near: str, far: str, *inputs: Any) -> httpx.Response:
    return http.post(BATCH.format(near, far), json={"inputs": list(inputs)})


MOMENTS = [NOW - timedelta(days=days) for days in (0, 1, 40, 500, -800)]


# The plan itself


@pytest.mark.parametrize("at", MOMENTS)
def test_both_directions_tell_the_same_links(portal: Portal, at: datetime) -> None:
    for near, far in portal.linked_pairs():
        there = list(portal.links(near, far, at))
        assert there == sorted(there, key=lambda link: link[:2])
        assert len(there) == len(set(there))
        inverse = {
            (each.category, each.type_id): each.inverse_id
            for each in portal.association_definitions(near, far)
        }
        back = set(portal.links(far, near, at))
        labels = {
            (each.category, each.type_id): each.label
            for each in portal.association_definitions(far, near)
        }
        for link in there:
            type_id = inverse[link.category, link.type_id]
            if type_id is not None:
                label = labels[link.category, type_id]
                assert Link(link.to_id, link.from_id, link.category, type_id, label) in back
        assert {(link.from_id, link.to_id) for link in there} == {
            (link.to_id, link.from_id) for link in back
        }


@pytest.mark.parametrize("at", MOMENTS)
def test_links_are_between_live_records_and_all_have_the_unlabelled_type(
    portal: Portal, at: datetime
) -> None:
    for near, far in portal.linked_pairs():
        ids = [set(portal.live_ids(each, at)) for each in (near, far)]
        types: dict[tuple[int, int], list[str | None]] = defaultdict(list)
        for link in portal.links(near, far, at):
            assert link.from_id in ids[0]
            assert link.to_id in ids[1]
            assert (near, link.from_id) != (far, link.to_id)
            types[link.from_id, link.to_id].append(link.label)
        assert all(labels[0] is None and None not in labels[1:] for labels in types.values())


def test_a_contact_has_up_to_three_companies_and_one_primary(portal: Portal) -> None:
    companies: Counter[int] = Counter()
    primaries: Counter[int] = Counter()
    for link in portal.links(CONTACTS, COMPANIES, NOW):
        companies[link.from_id] += link.label is None
        primaries[link.from_id] += link.label == "Primary"
    assert set(companies.values()) == {1, 2, 3}
    assert set(primaries.values()) == {1}
    assert len(companies) < portal.live_count(CONTACTS, NOW)


def test_labels_of_links(portal: Portal) -> None:
    def labels(near: str, far: str) -> set[str | None]:
        return {link.label for link in portal.links(near, far, NOW)}

    assert labels(CONTACTS, COMPANIES) == {
        None, "Primary", "Billing Contact", "Decision maker", "Employer"
    }  # fmt: skip
    assert labels(COMPANIES, CONTACTS) == {
        None, "Primary", "Billing Contact", "Decision maker", "Employee"
    }  # fmt: skip
    assert labels(TICKETS, CONTACTS) == {None, "Reporter", "Approver"}
    assert labels(CONTACTS, TICKETS) == {None, "Reported by", "Approves"}
    assert labels(CONTACTS, CONTACTS) == {None, "Manager", "Report", "Friend"}
    assert labels(COMPANIES, COMPANIES) == {None, "Parent Company", "Child Company"}
    assert labels(DEALS, CONTACTS) == {None, "Sourced by"}
    several = Counter(link[:2] for link in portal.links(TICKETS, CONTACTS, NOW))
    assert max(several.values()) == 3


def test_links_come_and_go_while_their_records_live(portal: Portal) -> None:
    came = went = 0
    past = NOW - timedelta(days=90)
    for near, far in portal.linked_pairs():
        then = {link[:2] for link in portal.links(near, far, past)}
        now = {link[:2] for link in portal.links(near, far, NOW)}
        living = [
            set(portal.live_ids(each, past)) & set(portal.live_ids(each, NOW))
            for each in (near, far)
        ]
        came += sum(a in living[0] and b in living[1] for a, b in now - then)
        went += sum(a in living[0] and b in living[1] for a, b in then - now)
    assert came > 5
    assert went > 5


def test_a_link_begins_after_both_its_records(portal: Portal) -> None:
    for near_id, far_id in {link[:2] for link in portal.links(TICKETS, CONTACTS, NOW)}:
        near, far = portal.record(TICKETS, near_id, NOW), portal.record(CONTACTS, far_id, NOW)
        assert near is not None
        assert far is not None
        at = max(near.created_at, far.created_at) - timedelta(milliseconds=1)
        assert (near_id, far_id) not in {link[:2] for link in portal.links(TICKETS, CONTACTS, at)}


def test_the_same_settings_give_the_same_links() -> None:
    def told(seed: int) -> list[Link]:
        portal = Portal(PortalConfig(records=60, seed=seed))
        return [link for pair in portal.linked_pairs() for link in portal.links(*pair, NOW)]

    assert told(7) == told(7)
    assert told(7) != told(8)


@pytest.mark.parametrize("records", [0, 1, 2, 3, 7, 65])
def test_portals_of_any_size(records: int) -> None:
    portal, total = Portal(PortalConfig(records=records)), 0
    for at in (NOW, NOW + timedelta(days=400)):
        for near, far in portal.linked_pairs():
            there = {link[:2] for link in portal.links(near, far, at)}
            assert there == {link[1::-1] for link in portal.links(far, near, at)}
            assert all(near != far or a != b for a, b in there)
            total += len(there)
    assert total


def test_links_of_a_record_that_ends_are_not_told(served: Any) -> None:
    sandbox, http = served()
    portal = sandbox.portal
    by_company: dict[int, set[int]] = defaultdict(set)
    for link in portal.links(COMPANIES, CONTACTS, NOW):
        by_company[link.from_id].add(link.to_id)
    merged, survivor, archived = sorted(by_company)[:3]
    portal.merge(COMPANIES, merged, survivor)
    portal.archive(COMPANIES, archived)
    now = defaultdict(set)
    for link in portal.links(COMPANIES, CONTACTS, NOW):
        now[link.from_id].add(link.to_id)
    # The survivor does not take over the links of what was merged into it.
    new_id = portal.fate(COMPANIES, survivor, NOW).merged_into
    by_company[new_id] = by_company.pop(survivor)
    assert now == {k: v for k, v in by_company.items() if k not in (merged, archived)}
    answer = post(http, COMPANIES, CONTACTS, {"id": str(merged)}, {"id": str(archived)})
    assert answer.json()["numErrors"] == 2
    primaries = Counter(
        link.from_id for link in portal.links(CONTACTS, COMPANIES, NOW) if link.label == "Primary"
    )
    linked = {link.from_id for link in portal.links(CONTACTS, COMPANIES, NOW)}
    assert primaries == dict.fromkeys(linked, 1)


def test_a_test_can_end_a_link(served: Any) -> None:
    sandbox, _ = served()
    portal = sandbox.portal
    link = next(portal.links(COMPANIES, CONTACTS, NOW))
    portal.unlink(COMPANIES, link.from_id, CONTACTS, link.to_id)
    assert link[:2] not in {each[:2] for each in portal.links(COMPANIES, CONTACTS, NOW)}
    assert link[1::-1] not in {each[:2] for each in portal.links(CONTACTS, COMPANIES, NOW)}
    with pytest.raises(ValueError, match="have no links"):
        portal.unlink(CONTACTS, 1, "0-7", 2)
    with pytest.raises(ValueError, match="no records"):
        portal.unlink(CONTACTS, 1, COMPANIES, 2)


# Batch read


@pytest.mark.asks(
    "hubspot-api-client", "POST /crm/associations/{objectType}/{toObjectType}/batch/read"
)
@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_the_official_client_reads_every_link(
    official: Any, portal: Portal, near: str, far: str
) -> None:
    ids = list(portal.live_ids(near, NOW))
    assert read(official, near, far, ids) == list(portal.links(near, far, NOW))


def hub(portal: Portal, near: str, far: str) -> int:
    """The record of the first type with the most links, among the earliest."""
    ids = set(islice(portal.live_ids(near, NOW), 32))
    back = islice(portal.links(far, near, NOW), 5_000)
    return max(
        Counter(link.to_id for link in back if link.to_id in ids).items(), key=lambda n: n[1]
    )[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("near", "far", "least"), [(CONTACTS, DEALS, 1_200), (COMPANIES, CONTACTS, 12_000)]
)
def test_a_record_with_thousands_of_links(served: Any, near: str, far: str, least: int) -> None:
    sandbox, http = served(records=60_000)
    record_id = hub(sandbox.portal, near, far)
    found = read(official_of(sandbox), near, far, [record_id])
    truth = [link for link in sandbox.portal.links(far, near, NOW) if link.to_id == record_id]
    assert Counter((link.to_id, link.from_id) for link in truth) == Counter(
        link[:2] for link in found
    )
    ids = {link.to_id for link in found}
    assert least <= len(ids) < least * 1.2
    one = walk(http, f"/crm/objects/2026-09/{near}/{record_id}/associations/{far}", limit=500)
    assert [each["toObjectId"] for each in one] == sorted(ids)
    named = walk(http, f"/crm/v3/objects/{near}/{record_id}/associations/{far}")
    assert {int(each["id"]) for each in named} == ids
    assert len(named) == len(found)


def test_the_shape_of_a_batch(http: httpx.Client, portal: Portal) -> None:
    links = list(portal.links(CONTACTS, COMPANIES, NOW))
    linked = sorted({link.from_id for link in links})
    lonely = next(each for each in portal.live_ids(CONTACTS, NOW) if each not in linked)
    inputs = [{"id": str(linked[5])}, {"id": str(lonely)}, {"id": linked[2]}, {"id": "1"}]
    answer = post(http, "contacts", "companies", *inputs)
    assert answer.status_code == 207
    body = answer.json()
    assert body["status"] == "COMPLETE"
    assert body["startedAt"] <= body["completedAt"]
    assert [each["from"] for each in body["results"]] == [
        {"id": str(linked[2])}, {"id": str(linked[5])}
    ]  # fmt: skip
    to = body["results"][0]["to"][0]
    truth = [link for link in links if link.from_id == linked[2] and link.to_id == to["toObjectId"]]
    assert to["associationTypes"] == [
        {"category": link.category, "typeId": link.type_id, "label": link.label} for link in truth
    ]
    assert to["associationTypes"][0]["label"] is None
    assert body["numErrors"] == 2
    assert body["errors"][1] == {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No company is associated with contact {lonely}.",
        "context": {
            "fromObjectId": [str(lonely)],
            "fromObjectType": ["contact"],
            "toObjectType": ["company"],
        },
    }
    whole = post(http, "contact", "0-2", {"id": str(linked[0])})
    assert whole.status_code == 200
    assert not {"errors", "numErrors"} & set(whole.json())


def test_batches_that_are_refused(http: httpx.Client) -> None:
    too_many = [{"id": str(each)} for each in range(1, 1_002)]
    assert "1000" in failed(post(http, CONTACTS, COMPANIES, *too_many), 400)["message"]
    assert post(http, CONTACTS, COMPANIES, *too_many[:1_000]).status_code == 207
    assert (
        "abc" in failed(post(http, CONTACTS, COMPANIES, {"id": "1"}, {"id": "abc"}), 400)["message"]
    )
    failed(post(http, CONTACTS, COMPANIES, {"id": "1", "after": "?"}), 400)
    failed(http.post(BATCH.format(CONTACTS, COMPANIES), json={}), 400)
    for near, far in (("0-7", "0-7"), (CONTACTS, "0-7"), ("2-4410007", "0-14")):
        assert "cannot be associated" in failed(post(http, near, far, {"id": "1"}), 400)["message"]
        failed(http.get(f"/crm/associations/2026-09/{near}/{far}/labels"), 400)
    failed(post(http, CONTACTS, "widgets", {"id": "1"}), 400)


def test_pairs_without_links_answer_so(http: httpx.Client, portal: Portal) -> None:
    record_id = next(iter(portal.live_ids(CONTACTS, NOW)))
    for far in ("0-18", "0-14", ZEPPELINS):
        answer = post(http, CONTACTS, far, {"id": str(record_id)})
        assert answer.status_code == 207
        assert answer.json()["numErrors"] == 1
        one = http.get(f"/crm/objects/2026-09/{CONTACTS}/{record_id}/associations/{far}")
        assert one.json() == {"results": []}


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v4/associations/contacts/companies",
        "/crm/associations/v4/0-1/0-2",
        "/crm/associations/2026-03/contact/company",
        "/crm/2026-09/associations/contacts/companies",
    ],
)
def test_every_version_reads_the_same(http: httpx.Client, portal: Portal, path: str) -> None:
    link = next(portal.links(CONTACTS, COMPANIES, NOW))
    asked = {"inputs": [{"id": str(link.from_id)}]}
    expected = http.post(BATCH.format(CONTACTS, COMPANIES), json=asked).json()["results"]
    assert http.post(f"{path}/batch/read", json=asked).json()["results"] == expected
    assert http.get(f"{path}/labels").json()["results"]


# One record


@pytest.mark.asks(
    "hubspot-api-client", "GET /crm/objects/{objectType}/{objectId}/associations/{toObjectType}"
)
def test_the_links_of_one_record(official: Any, portal: Portal) -> None:
    record_id, truth = most_linked_company(portal)
    api = official.crm.associations.v4.basic_api
    found = every_page(api.get_page, "company", str(record_id), "contact", limit=7)
    assert [
        Link(record_id, int(to.to_object_id), t.category, t.type_id, t.label)
        for to in found
        for t in to.association_types
    ] == truth


def test_the_links_of_one_record_in_every_version(http: httpx.Client, portal: Portal) -> None:
    record_id, truth = most_linked_company(portal)
    for version in ("objects/2026-09", "objects/2026-03", "v4/objects"):
        path = f"/crm/{version}/companies/{record_id}/associations/contacts"
        assert len(walk(http, path, limit=50)) == len({link.to_id for link in truth})
        failed(http.get(path, params={"limit": 501}), 400)
    failed(http.get(f"/crm/v4/objects/companies/{record_id}/associations/0-7"), 400)
    failed(http.get("/crm/v4/objects/companies/1/associations/contacts"), 404)


def most_linked_company(portal: Portal) -> tuple[int, list[Link]]:
    """The company with the most links to contacts, and these."""
    links = list(portal.links(COMPANIES, CONTACTS, NOW))
    record_id = Counter(link.from_id for link in links).most_common(1)[0][0]
    return record_id, [link for link in links if link.from_id == record_id]


# Definitions


@pytest.mark.asks("hubspot-api-client", "GET /crm/associations/{objectType}/{toObjectType}/labels")
def test_labels_of_every_pair(official: Any, portal: Portal) -> None:
    api = official.crm.associations.v4.schema.definitions_api
    pairs = [*PAIRS, (CONTACTS, "0-18"), (ZEPPELINS, COMPANIES), ("0-14", "0-86")]
    for near, far in pairs:
        told = {(t.category, t.type_id, t.label) for t in api.get_all(near, far).results}
        truth = portal.association_definitions(near, far)
        assert told == {(t.category, t.type_id, t.label) for t in truth}
        assert truth[0].label is None


def test_well_known_types(http: httpx.Client) -> None:
    def told(near: str, far: str) -> dict[int, tuple[str, str | None]]:
        results = http.get(f"/crm/associations/2026-09/{near}/{far}/labels").json()["results"]
        return {each["typeId"]: (each["category"], each["label"]) for each in results}

    contacts = told("contacts", "companies")
    assert contacts[279] == ("HUBSPOT_DEFINED", None)
    assert contacts[1] == ("HUBSPOT_DEFINED", "Primary")
    assert contacts[931] == ("HUBSPOT_DEFINED", "Billing Contact")
    assert contacts[101] == ("USER_DEFINED", "Decision maker")
    assert told("companies", "contacts")[102] == ("USER_DEFINED", "Decision maker")
    assert told("deals", "contacts")[901][0] == "INTEGRATOR_DEFINED"
    assert set(told("companies", "companies")) == {450, 13, 14}
    assert told(CARS, "contacts")[27] == ("USER_DEFINED", None)


def test_schemas_name_the_types_of_custom_objects(http: httpx.Client, portal: Portal) -> None:
    schemas = http.get("/crm-object-schemas/2026-09/schemas").json()["results"]
    told = {each["objectTypeId"]: each["associations"] for each in schemas}
    assert {(each["fromObjectTypeId"], each["toObjectTypeId"]) for each in told[ZEPPELINS]} == {
        (ZEPPELINS, CONTACTS), (CONTACTS, ZEPPELINS), (ZEPPELINS, COMPANIES), (COMPANIES, ZEPPELINS)
    }  # fmt: skip
    for each in told[CARS]:
        pair = each["fromObjectTypeId"], each["toObjectTypeId"]
        defined = {str(t.type_id): t.name for t in portal.association_definitions(*pair)}
        assert defined[each["id"]] == each["name"]
        assert {"createdAt", "updatedAt"} <= set(each)
    assert told["2-4410007"] == []
    bare = http.get("/crm-object-schemas/2026-09/schemas?includeAssociationDefinitions=false")
    assert not any(each["associations"] for each in bare.json()["results"])


# Inline


def test_links_come_inline_with_records(official: Any, portal: Portal) -> None:
    truth: dict[str, dict[int, set[int]]] = {}
    for alias, far in (("companies", COMPANIES), ("0-3", DEALS), ("contact", CONTACTS)):
        truth[alias] = defaultdict(set)
        for link in portal.links(CONTACTS, far, NOW):
            truth[alias][link.from_id].add(link.to_id)
    after, absent = None, 0
    while True:
        page = official.crm.objects.basic_api.get_page(
            "contacts", limit=100, after=after, associations=["companies", "0-3", "contact", "0-7"]
        )
        for record in page.results:
            told = record.associations or {}
            absent += record.associations is None
            for alias, linked in truth.items():
                found = {int(each.id) for each in told[alias].results} if alias in told else set()
                assert len(found) == min(100, len(linked.get(int(record.id), ())))
                assert found <= linked.get(int(record.id), set())
            assert "0-7" not in told
        if page.paging is None:
            break
        after = page.paging.next.after
    assert absent


def test_the_same_id_comes_once_for_each_type(http: httpx.Client, portal: Portal) -> None:
    links = [link for link in portal.links(CONTACTS, COMPANIES, NOW) if link.label == "Primary"]
    path = f"/crm/objects/2026-09/contacts/{links[0].from_id}"
    told = http.get(path, params={"associations": "companies"}).json()["associations"]["companies"]
    of_one = [each["type"] for each in told["results"] if each["id"] == str(links[0].to_id)]
    assert of_one[:1] == ["contact_to_company"]
    assert of_one[-1] == "contact_to_company_unlabeled"
    deal = next(portal.links(DEALS, CONTACTS, NOW))
    told = http.get(f"/crm/v3/objects/deals/{deal.from_id}?associations=contacts").json()
    assert "deal_to_contact" in {e["type"] for e in told["associations"]["contacts"]["results"]}


def test_more_than_a_hundred_inline_links_have_a_page_to_follow(served: Any) -> None:
    sandbox, http = served(records=800)
    record_id = hub(sandbox.portal, COMPANIES, CONTACTS)
    path = f"/crm/objects/2026-09/companies/{record_id}"
    told = http.get(path, params={"associations": "contacts"}).json()["associations"]["contacts"]
    found = {int(each["id"]) for each in told["results"]}
    assert len(found) == 100
    link = told["paging"]["next"]["link"]
    assert link.startswith(f"{sandbox.url}/crm/v3/objects/0-2/{record_id}/associations/contacts?")
    rest = {int(each["id"]) for each in http.get(link).json()["results"]}
    truth = sandbox.portal.links(COMPANIES, CONTACTS, NOW)
    assert not found & rest
    assert found | rest == {each.to_id for each in truth if each.from_id == record_id}


# Scopes, budgets, counts, faults


def test_both_types_must_be_readable(served: Any) -> None:
    missing = "crm.objects.companies.read"
    _, http = served(without_scopes=frozenset({missing, "tickets"}), records=5)
    for near, far, scopes in (
        ("contacts", "companies", [missing]),
        ("companies", "contacts", [missing]),
        ("companies", "tickets", [missing, "tickets"]),
    ):
        for answer in (
            post(http, near, far, {"id": "1"}),
            http.get(f"/crm/associations/2026-09/{near}/{far}/labels"),
            http.get(f"/crm/v4/objects/{near}/1/associations/{far}"),
        ):
            body = failed(answer, 403)
            assert body["category"] == "MISSING_SCOPES"
            assert body["errors"][0]["context"]["requiredGranularScopes"] == scopes
    failed(http.get("/crm/v3/objects/contacts?associations=companies"), 403)
    assert http.get("/crm/v3/objects/contacts?associations=deals").status_code == 200


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"plan": "starter", "burst": None}, 100),
        ({"plan": "enterprise", "burst": None}, 150),
        ({"burst": 300}, 300),
        ({"burst": 2}, 150),
        ({"burst": 300, "associations_burst": 3}, 3),
    ],
)
def test_associations_have_a_budget_of_their_own(
    served: Any, settings: dict[str, Any], limit: int
) -> None:
    _, http = served(records=1, **settings)
    labels = "/crm/associations/2026-09/contacts/companies/labels"
    told = http.get(labels).headers
    assert told["X-HubSpot-RateLimit-Max"] == str(limit)
    assert told["X-HubSpot-RateLimit-Remaining"] == str(limit - 1)
    first = int(http.get("/crm/objects/2026-09/contacts").headers["X-HubSpot-RateLimit-Remaining"])
    http.get(labels)
    second = http.get("/crm/objects/2026-09/contacts").headers["X-HubSpot-RateLimit-Remaining"]
    assert int(second) == first - 1
    if limit == 3:
        http.get(labels)
        over = http.get(labels)
        assert over.status_code == 429
        assert over.json()["policyName"] == "TEN_SECONDLY_ROLLING"
        assert http.get("/crm/objects/2026-09/contacts").status_code == 200


def test_record_limits_tell_how_many_records_there_are(served: Any) -> None:
    sandbox, http = served(without_scopes=frozenset({"tickets"}))
    for version in ("limits/2026-09", "limits/2026-03", "v3/limits"):
        body = http.get(f"/crm/{version}/records").json()
        custom = body["customObjectTypes"]
        usage = {
            each["objectTypeId"]: each["usage"]
            for each in (*body["hubspotDefinedObjectTypes"], *custom["byObjectType"])
        }
        kinds = [k for k in sandbox.portal.object_types() if sandbox.portal.is_enabled(k)]
        assert usage == {
            kind.object_type_id: sandbox.portal.live_count(kind.object_type_id, NOW)
            for kind in kinds
            if kind.object_type_id != TICKETS
        }
        assert custom["overallUsage"] == sum(each["usage"] for each in custom["byObjectType"])


def test_the_plan_counts_links(http: httpx.Client, portal: Portal) -> None:
    told = http.get("/_sandbox/plan").json()["links"]
    assert told == {
        f"{near}>{far}": len(list(portal.links(near, far, NOW)))
        for near, far in portal.linked_pairs()
    }
    assert "links" not in http.get("/_sandbox/plan?links=false").json()


def test_one_id_spoils_every_batch_it_is_in(served: Any) -> None:
    sandbox, http = served()
    ids = [str(each) for each in islice(sandbox.portal.live_ids(CONTACTS, NOW), 4)]
    sandbox.faults.add("poisoned_id", record_id=ids[2], times=3, path="/associations/")

    def status(*asked: str) -> int:
        return post(http, CONTACTS, DEALS, *({"id": each} for each in asked)).status_code

    assert status(*ids) == 400
    assert status(*ids[:2]) == 207
    assert status(*ids[2:]) == 400
    assert status(ids[3]) in (200, 207)
    objects = {"inputs": [{"id": each} for each in ids]}
    assert http.post("/crm/objects/2026-09/contacts/batch/read", json=objects).status_code == 200
    assert status(ids[2]) == 400
    assert status(*ids) == 207
    with pytest.raises(ValueError, match="record_id"):
        sandbox.faults.add("poisoned_id")
