"""Object types that hardly any portal serves on the CRM objects path."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Portal, PortalConfig, Sandbox, serve
from hubspot_assets.sandbox.facts import fact_rows
from hubspot_assets_tests.sandbox.conftest import NOW, PLENTY, client_of, walk

CONTRACTS, SPLITS, DEALS = "0-721", "0-72", "0-3"
RARE = {
    CONTRACTS: ("contract", "contracts"),
    "0-990001": ("partner_client", "partner_clients"),
    "0-990002": ("partner_service", "partner_services"),
    SPLITS: ("deal_split", "deal_splits"),
}
SHARES = ["hs_deal_split_amount", "hs_deal_split_percentage", "hubspot_owner_id"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    config = PortalConfig(records=800, now=NOW, generic_types=frozenset(RARE), **PLENTY)
    with serve(config) as served:
        yield served


@pytest.fixture(scope="module")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def portal(sandbox: Sandbox) -> Portal:
    return sandbox.portal


@pytest.mark.parametrize("object_type_id", RARE)
def test_records_by_every_name(http: httpx.Client, portal: Portal, object_type_id: str) -> None:
    planned = [str(each) for each in portal.live_ids(object_type_id, NOW)]
    assert len(planned) == portal.live_count(object_type_id, NOW) > 2
    for alias in (object_type_id, *RARE[object_type_id]):
        listed = walk(http, f"/crm/objects/2026-09/{alias}", limit=2)
        assert [each["id"] for each in listed] == planned == sorted(planned, key=int)
        path = f"/crm/objects/2026-03/{alias}/batch/read"
        read = http.post(path, json={"inputs": [{"id": each} for each in planned]}).json()
        assert sorted(each["id"] for each in read["results"]) == planned
        defined = {each["name"] for each in http.get(f"/properties/v2/{alias}/properties").json()}
        told = http.get(f"/crm/properties/2026-09/{alias}").json()["results"]
        assert defined == {each["name"] for each in told} > {"hs_object_id"}
    schema = http.get(f"/crm-object-schemas/2026-09/schemas/{object_type_id}").json()
    assert schema["labels"]["plural"].lower().replace(" ", "_") == RARE[object_type_id][1]


def test_contracts_are_listed_and_archived_but_not_searched(
    http: httpx.Client, portal: Portal
) -> None:
    for object_type_id in RARE:
        answer = http.post(f"/crm/objects/2026-09/{object_type_id}/search", json={"limit": 200})
        if object_type_id == CONTRACTS:
            assert answer.status_code == 404
        else:
            assert answer.json()["total"] == portal.live_count(object_type_id, NOW)
    gone = next(iter(portal.live_ids(CONTRACTS, NOW)))
    portal.archive(CONTRACTS, gone, NOW)
    archived = walk(http, "/crm/objects/2026-09/contracts", archived="true")
    assert str(gone) in [each["id"] for each in archived]


def test_splits_are_those_of_the_deal_splits_api(http: httpx.Client, portal: Portal) -> None:
    planned = {each["id"]: each for splits in portal.deal_splits(NOW).values() for each in splits}
    names = ",".join(SHARES)
    listed = walk(
        http, "/crm/v3/objects/deal_split", limit=7, properties=names, propertiesWithHistory=names
    )
    assert {each["id"] for each in listed} == planned.keys()
    lengths = set()
    for each in listed:
        split, history = planned[each["id"]], each["propertiesWithHistory"]
        told = {name: value for name, value in each["properties"].items() if value is not None}
        assert told == split["properties"]
        assert (each["createdAt"], each["updatedAt"]) == (split["createdAt"], split["updatedAt"])
        shares = history["hs_deal_split_percentage"]
        assert shares[0]["value"] == split["properties"]["hs_deal_split_percentage"]
        assert shares[-1]["timestamp"] == split["createdAt"]
        lengths.add(len(shares))
    assert lengths == {1, 2}


def test_ids_of_splits_are_not_in_the_order_of_creation() -> None:
    portal = Portal(PortalConfig(records=20_000, now=NOW, generic_types=frozenset({SPLITS})))
    life = portal.life(SPLITS)
    made = [life.created(index) for index in life.live(portal.clock.now())]
    assert made != sorted(made)
    assert len(made) == sum(map(len, portal.deal_splits(NOW).values()))


def test_the_object_library_shows_them(http: httpx.Client) -> None:
    told = http.get("/crm/object-library/2026-09/enablement").json()["enablementByObjectTypeId"]
    assert {each for each, enabled in told.items() if enabled} >= RARE.keys()
    one = http.get(f"/crm/object-library/2026-09/enablement/{CONTRACTS}").json()
    assert one == {"enablement": True}


def test_a_portal_without_them(served: Any) -> None:
    _, http = served()
    for object_type_id in RARE:
        assert http.get(f"/crm/objects/2026-09/{object_type_id}").status_code == 400
    told = http.get("/crm/object-library/2026-09/enablement").json()["enablementByObjectTypeId"]
    assert not told.keys() & RARE.keys()


def test_the_facts_that_clients_share_do_not_know_them() -> None:
    known = {row["object_type_id"] for row in fact_rows("object_types.csv")}
    assert not known & (RARE.keys() - {SPLITS})


def test_a_scope_of_their_own(served: Any) -> None:
    lacking = frozenset({"crm.objects.contracts.read"})
    _, http = served(generic_types=frozenset(RARE), without_scopes=lacking)
    assert http.get("/crm/objects/2026-09/contracts").status_code == 403
    assert http.get("/crm/objects/2026-09/partner_clients").status_code == 200


def test_properties_of_forms_in_the_oldest_version(http: httpx.Client) -> None:
    for alias in ("form", "forms"):
        names = {each["name"] for each in http.get(f"/properties/v2/{alias}/properties").json()}
        assert "hs_form_type" in names


def test_deals_are_linked_to_their_splits(served: Any) -> None:
    sandbox, http = served(records=2_000, generic_types=frozenset({SPLITS}))
    portal = sandbox.portal
    links = list(portal.links(DEALS, SPLITS, NOW))
    found: dict[int, set[int]] = defaultdict(set)
    for each in links:
        assert (each.category, each.type_id, each.label) == ("HUBSPOT_DEFINED", 313, None)
        found[each.from_id].add(each.to_id)
    # Those of a deal that is gone are gone with it.
    planned = portal.deal_splits(NOW)
    assert found == {deal: {int(e["id"]) for e in splits} for deal, splits in planned.items()}
    assert {len(each) for each in found.values()} == {2, 3}
    assert (DEALS, SPLITS) in portal.linked_pairs()
    assert (SPLITS, DEALS) not in portal.linked_pairs(), "HubSpot has no type for the way back"
    assert list(portal.links(SPLITS, DEALS, NOW)) == []
    deal = next(iter(found))
    path = "/crm/associations/2026-09/deals/deal_splits/batch/read"
    (told,) = http.post(path, json={"inputs": [{"id": str(deal)}]}).json()["results"]
    assert {each["toObjectId"] for each in told["to"]} == found[deal]
    back = path.replace("deals/deal_splits", "deal_splits/deals")
    assert http.post(back, json={"inputs": [{"id": "1"}]}).status_code == 400
    inline = http.get(f"/crm/v3/objects/deals/{deal}?associations=deal_splits").json()
    told_inline = inline["associations"]["deal_splits"]["results"]
    assert {int(each["id"]) for each in told_inline} == found[deal]
    split = min(found[deal])
    alone = http.get(f"/crm/v3/objects/deal_splits/{split}?associations=deals").json()
    assert (alone["id"], "associations" in alone) == (str(split), False)
    assert (DEALS, SPLITS) not in served()[0].portal.linked_pairs()
