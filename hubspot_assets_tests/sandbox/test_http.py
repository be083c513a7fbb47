"""The HTTP face: paths, parameters, caps and errors."""

from itertools import islice
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Portal, Sandbox
from hubspot_assets_tests.sandbox.conftest import NOW, walk

LIST = "/crm/objects/2026-09"


def failed(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == "error"
    assert body["correlationId"] == answer.headers["X-HubSpot-Correlation-Id"]
    assert body["correlationId"][14] == "7"
    return body


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v3/objects/contacts",
        "/crm/objects/v3/contacts",
        "/crm/objects/2026-03/contact",
        "/crm/objects/2026-09/0-1",
        "/crm/2026-09/objects/contacts",
        "/crm/objects/2026-09/CONTACTS/",
    ],
)
def test_every_version_and_alias_reads_the_same(http: httpx.Client, path: str) -> None:
    assert http.get(path).json()["results"] == http.get(f"{LIST}/0-1").json()["results"]


@pytest.mark.parametrize(
    "path",
    [
        "/account-info/{v}/details",
        "/account-info/{v}/api-usage/daily/private-apps",
        "/crm/object-library/{v}/enablement",
        "/crm/object-library/{v}/enablement/0-421",
        "/crm-object-schemas/{v}/schemas",
        "/crm/properties/{v}/contacts",
        "/crm/properties/{v}/contacts/email",
        "/crm/properties/{v}/contacts/groups",
        "/crm/pipelines/{v}/deals",
        "/crm/pipelines/{v}/deals/default",
        "/crm/pipelines/{v}/deals/default/stages/closedwon",
        "/crm/owners/{v}",
        "/settings/users/{v}",
        "/settings/users/{v}/9586504",
        "/settings/users/{v}/teams",
    ],
)
def test_every_endpoint_has_a_dated_form(http: httpx.Client, path: str) -> None:
    first, *rest = [http.get(path.format(v=v)) for v in ("2026-09", "2026-03", "v3")]
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/json;charset=utf-8"
    if "api-usage" not in path:
        assert all(each.json() == first.json() for each in rest)
    failed(http.get(path.format(v="2031-09")), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v3/objects/deals/batch/read/nothing",
        "/crm/v3/schemas/nothing",
        "/settings/v3/users/1",
        "/crm/v3/owners/1",
        "/nothing",
        "/settings/v3/teams",
    ],
)
def test_nothing_there(http: httpx.Client, path: str) -> None:
    failed(http.get(path), 404)


def test_legacy_numbered_paths(http: httpx.Client, portal: Portal) -> None:
    bare = http.get("/properties/v2/contact/properties").json()
    listed = http.get("/crm/v3/properties/contacts").json()["results"]
    assert bare == listed
    assert http.get("/crm/v3/schemas").json() == http.get("/crm-object-schemas/v3/schemas").json()
    assert http.get("/settings/v3/users/").status_code == 200


def test_schemas_do_not_tell_what_only_their_updates_have(http: httpx.Client) -> None:
    schemas = http.get("/crm-object-schemas/2026-09/schemas").json()["results"]
    schemas.append(http.get("/crm-object-schemas/2026-09/schemas/deals").json())
    assert len(schemas) > 1
    assert all("restorable" not in each for each in schemas)


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("widgets", "Unable to infer object type from: widgets"),
        ("0-9999", "Invalid object or event type id: 0-9999"),
        ("0-30", "Invalid object or event type id: 0-30"),
        ("ads", "Unable to infer object type from: ads"),
        ("sales_documents", "Unable to infer object type from: sales_documents"),
        ("cars", "Unable to infer object type from: cars"),
        ("2-1", "Invalid object or event type id: 2-1"),
    ],
)
def test_unknown_types(http: httpx.Client, alias: str, message: str) -> None:
    for path in (f"{LIST}/{alias}", f"/crm/properties/2026-09/{alias}"):
        body = failed(http.get(path), 400)
        assert body["message"] == message
        assert "category" not in body


def test_custom_types_by_qualified_name(http: httpx.Client) -> None:
    by_id = http.get(f"{LIST}/2-4410002").json()["results"]
    assert by_id
    assert http.get(f"{LIST}/p1234567_cars").json()["results"] == by_id
    assert http.get(f"{LIST}/p_cars").json()["results"] == by_id


def test_a_type_that_is_switched_off(http: httpx.Client) -> None:
    enabled = http.get("/crm/object-library/2026-09/enablement").json()
    assert enabled == {
        "enablementByObjectTypeId": {"0-162": True, "0-410": False, "0-420": True, "0-421": True}
    }
    one = http.get("/crm/object-library/2026-09/enablement/0-410").json()
    assert one == {"enablement": False}
    assert "not enabled" in failed(http.get(f"{LIST}/courses"), 400)["message"]


def test_pages_link_to_the_next_with_every_parameter(http: httpx.Client, portal: Portal) -> None:
    query = "limit=7&properties=email&properties=firstname,lastname&archived=false&x=%26+y"
    page = http.get(f"{LIST}/contacts?{query}").json()
    following = page["paging"]["next"]
    assert int(following["after"]) == int(page["results"][-1]["id"]) + 1
    link = httpx.URL(following["link"])
    assert str(link).startswith(str(http.base_url))
    assert link.path == f"{LIST}/contacts"
    assert link.params.get_list("properties") == ["email", "firstname,lastname"]
    assert link.params["x"] == "& y"
    found = page["results"]
    while "paging" in page:
        page = http.get(page["paging"]["next"]["link"]).json()
        found += page["results"]
    assert [int(each["id"]) for each in found] == list(portal.live_ids("0-1", NOW))
    assert all({"email", "firstname", "lastname"} < set(each["properties"]) for each in found)


def test_known_properties_are_null_and_unknown_ones_ignored(http: httpx.Client) -> None:
    asked = "twitterhandle,no_such_property,legacy_reference"
    one = http.get(f"{LIST}/contacts?limit=1&properties={asked}").json()["results"][0]
    assert set(one["properties"]) == {
        "twitterhandle",
        "createdate",
        "hs_object_id",
        "lastmodifieddate",
    }
    assert one["properties"]["twitterhandle"] is None
    assert one["properties"]["hs_object_id"] == one["id"]
    assert one["updatedAt"] == one["properties"]["lastmodifieddate"]
    assert one["url"].endswith(f"/1234567/record/0-1/{one['id']}")


@pytest.mark.parametrize("archived", ["false", "true"])
@pytest.mark.parametrize("kind", ["contacts", "line_items"])
def test_ids_alone_are_the_same_records(http: httpx.Client, kind: str, archived: str) -> None:
    def listed(**params: str) -> list[dict[str, Any]]:
        return walk(http, f"{LIST}/{kind}", limit=100, archived=archived, **params)

    bare, full = listed(properties="hs_object_id"), listed()
    assert bare or archived == "true"
    for one, other in zip(bare, full, strict=True):
        assert len(one["properties"]) == 3
        assert one["properties"].items() <= other["properties"].items()
        assert one | {"properties": {}} == other | {"properties": {}}


def test_default_properties(http: httpx.Client) -> None:
    one = http.get(f"{LIST}/deals?limit=1").json()["results"][0]
    assert set(one["properties"]) == {
        "amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate",
        "hs_object_id", "pipeline",
    }  # fmt: skip
    assert "propertiesWithHistory" not in one
    assert all(v is None or isinstance(v, str) for v in one["properties"].values())


def test_histories_come_newest_first_and_are_empty_for_what_was_never_set(
    http: httpx.Client,
) -> None:
    asked = ["lifecyclestage,twitterhandle", "phone"]
    for one in walk(http, f"{LIST}/contacts", limit=50, propertiesWithHistory=asked):
        histories = one["propertiesWithHistory"]
        assert set(histories) == {"lifecyclestage", "twitterhandle", "phone"}
        assert histories["twitterhandle"] == []
        for name, entries in histories.items():
            stamps = [entry["timestamp"] for entry in entries]
            assert stamps == sorted(stamps, reverse=True)
            if entries:
                assert entries[0]["value"] == one["properties"][name]
                assert {"value", "timestamp", "sourceType"} <= set(entries[0])


@pytest.mark.parametrize(
    ("query", "most"), [("", 100), ("&propertiesWithHistory=email", 50), ("&archived=true", 100)]
)
def test_page_sizes_are_capped(http: httpx.Client, query: str, most: int) -> None:
    assert http.get(f"{LIST}/contacts?limit={most}{query}").status_code == 200
    body = failed(http.get(f"{LIST}/contacts?limit={most + 1}{query}"), 400)
    assert body["category"] == "VALIDATION_ERROR"
    failed(http.get(f"{LIST}/contacts?limit=0{query}"), 400)
    failed(http.get(f"{LIST}/contacts?after=abc{query}"), 400)
    failed(http.get(f"{LIST}/contacts?archived=perhaps"), 400)


def test_owners_pages_are_capped_at_500(http: httpx.Client) -> None:
    assert http.get("/crm/owners/2026-09?limit=500").status_code == 200
    failed(http.get("/crm/owners/2026-09?limit=501"), 400)


def batch(http: httpx.Client, ids: list[Any], query: str = "", **members: Any) -> httpx.Response:
    body = {"inputs": [{"id": each} for each in ids], **members}
    return http.post(f"{LIST}/contacts/batch/read{query}", json=body)


def test_batches_are_capped(http: httpx.Client, portal: Portal) -> None:
    ids = [str(each) for each in islice(portal.live_ids("0-1", NOW), 101)]
    assert batch(http, ids[:100]).status_code == 200
    failed(batch(http, ids), 400)
    assert batch(http, ids[:50], propertiesWithHistory=["email"]).status_code == 200
    body = failed(batch(http, ids[:51], propertiesWithHistory=["email"]), 400)
    assert "property histories is 50" in body["message"]
    failed(http.post(f"{LIST}/contacts/batch/read", json={}), 400)
    failed(http.post(f"{LIST}/contacts/batch/read", content=b"{"), 400)


def test_a_batch_with_missing_ids_is_207_with_one_error(http: httpx.Client, portal: Portal) -> None:
    there = [str(each) for each in islice(portal.live_ids("0-1", NOW), 2)]
    gone = str(next(portal.archived_ids("0-1", NOW)))
    answer = batch(http, [*there, "999", gone, "x"], properties=["email"])
    assert answer.status_code == 207
    body = answer.json()
    assert [each["id"] for each in body["results"]] == there
    assert body["numErrors"] == 1
    assert body["errors"][0]["context"] == {"ids": ["999", gone, "x"]}
    assert body["errors"][0]["message"].startswith("Could not get some CONTACT objects")
    archived = batch(http, [*there, gone], "?archived=true")
    assert [each["id"] for each in archived.json()["results"]] == [gone]
    assert archived.json()["errors"][0]["context"] == {"ids": there}


def test_records_by_a_unique_property(http: httpx.Client) -> None:
    first = http.get(f"{LIST}/contacts?limit=1&properties=email,external_key").json()["results"][0]
    email = first["properties"]["email"].upper()
    key = first["properties"]["external_key"]
    assert http.get(f"{LIST}/contacts/{email}?idProperty=email").json()["id"] == first["id"]
    found = batch(http, [key], idProperty="external_key").json()["results"]
    assert [each["id"] for each in found] == [first["id"]]
    failed(http.get(f"{LIST}/contacts/x?idProperty=firstname"), 400)
    failed(http.get(f"{LIST}/contacts/nobody@example.com?idProperty=email"), 404)


def test_a_merged_away_id_gives_the_survivor(http: httpx.Client, portal: Portal) -> None:
    life, now = portal.life("0-1"), portal.clock.now()
    index = next(
        index
        for index in range(life.created_count(now))
        if (fate := life.fate(index)) and fate.kind == "merged" and fate.at <= now
    )
    survivor = life.survivor(index, now)
    merged = life.record_id(index, now)
    one = http.get(f"{LIST}/contacts/{merged}?propertiesWithHistory=hs_merged_object_ids")
    assert one.json()["id"] == str(life.record_id(survivor, now))
    told = one.json()["propertiesWithHistory"]["hs_merged_object_ids"]
    assert str(merged) in ";".join(each["value"] for each in told).split(";")


def test_inline_associations_with_unknown_names(http: httpx.Client, served: Any) -> None:
    """HubSpot's documents say that they are ignored; portals have been seen to refuse them."""
    path = f"{LIST}/contacts?limit=100&associations="
    plain = http.get(f"{path}companies").json()["results"]
    assert any("associations" in each for each in plain)
    # One that is no type, and one that the portal has switched off.
    assert http.get(f"{path}gadgets,companies,courses").json()["results"] == plain
    _, strict = served(strict_associations=True)
    assert strict.get(f"{path}companies,0-3").status_code == 200
    body = failed(strict.get(f"{path}companies,gadgets"), 400)
    assert body["message"] == "Unable to infer object type from: gadgets"


def test_batches_may_not_tell_that_parts_failed(served: Any) -> None:
    """The documents of 2026-09 know no 207."""
    _, http = served(multi_status=False)
    unknown = {"inputs": [{"id": "5"}]}
    paths = (
        "/crm/objects/{}/contacts/batch/read",
        "/crm/associations/{}/contacts/companies/batch/read",
        "/deal-splits/{}/batch/read",
    )
    for path in paths:
        newest = http.post(path.format("2026-09"), json=unknown)
        older = http.post(path.format("2026-03"), json=unknown)
        assert (newest.status_code, older.status_code) == (200, 207)
        assert newest.json()["errors"] == older.json()["errors"]


def test_tokens(http: httpx.Client, sandbox: Sandbox) -> None:
    url = f"{sandbox.url}{LIST}/contacts"
    for headers in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic x"}):
        body = failed(httpx.get(url, headers=headers), 401)
        assert body["category"] == "INVALID_AUTHENTICATION"
    assert httpx.get(url, headers={"Authorization": 'Bearer "x'}).status_code == 530


def test_scopes(served: Any) -> None:
    missing = {"crm.objects.deals.read", "crm.schemas.deals.read", "crm.objects.owners.read"}
    _, http = served(without_scopes=frozenset(missing))
    assert http.get(f"{LIST}/contacts").status_code == 200
    body = failed(http.get(f"{LIST}/deals"), 403)
    assert body["category"] == "MISSING_SCOPES"
    assert body["errors"][0]["context"] == {"requiredGranularScopes": ["crm.objects.deals.read"]}
    assert http.post(f"{LIST}/deals/search", json={}).status_code == 403
    assert http.post(f"{LIST}/deals/batch/read", json={"inputs": []}).status_code == 403
    assert http.get("/crm/owners/2026-09").status_code == 403
    assert http.get("/crm/properties/2026-09/deals").status_code == 403
    assert http.get("/crm/pipelines/2026-09/deals").status_code == 403


def test_sensitive_values_need_their_own_scopes(served: Any) -> None:
    asked = f"{LIST}/contacts?properties=passport_number,diagnosis&limit=1"
    _, http = served(without_scopes=frozenset({"crm.objects.contacts.highly_sensitive.read.v2"}))
    told = http.get(asked).json()["results"][0]["properties"]
    assert "passport_number" in told
    assert "diagnosis" not in told


def test_long_addresses_are_refused_by_the_edge(http: httpx.Client) -> None:
    assert http.get(f"{LIST}/contacts?properties={'x' * 15_900}").status_code == 200
    for length in (16_001, 60_000):
        answer = http.get(f"{LIST}/contacts?properties={'x' * length}")
        assert answer.status_code == 414
        assert answer.headers["content-type"].startswith("text/html")
        assert "nginx" in answer.text


def test_property_definitions(http: httpx.Client) -> None:
    path = "/crm/properties/2026-09/contacts"
    defined = {p["name"]: p for p in http.get(path).json()["results"]}
    owner = defined["hubspot_owner_id"]
    assert (owner["type"], owner["fieldType"], owner["options"]) == ("enumeration", "select", [])
    assert owner["referencedObjectType"] == "OWNER"
    assert defined["email"]["hasUniqueValue"]
    assert "archivedAt" not in defined["email"]
    archived = http.get(path, params={"archived": "true"}).json()["results"]
    assert {"legacy_reference", "old_priority"} <= {p["name"] for p in archived}
    assert all(p["archived"] and p["archivedAt"] for p in archived)
    sensitive = http.get(path, params={"dataSensitivity": "sensitive"}).json()["results"]
    assert {p["dataSensitivity"] for p in sensitive} == {"sensitive"}
    some = http.get(path, params={"properties": "email,phone"}).json()["results"]
    assert [p["name"] for p in some] == ["email", "phone"]
    body = failed(http.get(f"{path}/nothing"), 404)
    assert body["category"] == "OBJECT_NOT_FOUND"


def test_teams_form_a_tree(http: httpx.Client, portal: Portal) -> None:
    teams = walk(http, "/settings/teams/2026-09", limit=2)
    assert [(int(t["id"]), t["name"], t.get("parentTeamId")) for t in teams] == [
        (t.team_id, t.name, None if t.parent_team_id is None else str(t.parent_team_id))
        for t in portal.teams()
    ]
    members = walk(http, "/settings/teams/2026-09/1102/members", limit=1)
    assert {(m["userId"], m["type"]) for m in members} == {
        ("9586504", "EXTRA"),
        ("9586505", "DEFAULT"),
        ("9586506", "DEFAULT"),
    }


def test_types_without_pipelines(http: httpx.Client) -> None:
    failed(http.get("/crm/pipelines/2026-09/products"), 404)
    failed(http.get("/crm/pipelines/2026-09/notes"), 403)
    assert http.get("/crm/pipelines/2026-09/2-4410001").json() == {"results": []}


def test_account(http: httpx.Client) -> None:
    told = http.get("/account-info/2026-09/details").json()
    assert (told["portalId"], told["timeZone"]) == (1234567, "Europe/Dublin")


def test_two_portals_of_one_seed_answer_with_the_same_bytes(served: Any) -> None:
    _, one = served(records=30)
    _, two = served(records=30)
    for path in (f"{LIST}/contacts?limit=50&propertiesWithHistory=email,phone", f"{LIST}/deals",
                 "/crm/properties/2026-09/0-1", "/crm-object-schemas/2026-09/schemas"):  # fmt: skip
        first, second = one.get(path).text, two.get(path).text
        assert first.replace(str(one.base_url), "") == second.replace(str(two.base_url), "")


def test_a_sensitivity_that_there_is_not_is_refused_everywhere(http: httpx.Client) -> None:
    path, asked = "/crm/properties/2026-09/contacts", {"dataSensitivity": "secret"}
    failed(http.get(path, params=asked), 400)
    failed(http.get(f"{path}/email", params=asked), 400)
    failed(http.get("/crm/properties/2026-09/0-45", params=asked), 400)
    body = {"inputs": [{"name": "email"}], **asked}
    failed(http.post(f"{path}/batch/read", json=body), 400)
