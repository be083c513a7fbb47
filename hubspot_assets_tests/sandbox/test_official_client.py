"""HubSpot's own client reads the whole portal and finds what the plan says."""

from datetime import datetime
from typing import Any

import httpx
import pytest
from hubspot.crm.objects import BatchReadInputSimplePublicObjectId, PublicObjectSearchRequest
from hubspot.crm.objects.deal_splits import BatchInputPublicObjectId
from hubspot.crm.objects.exceptions import ApiException
from hubspot.crm.properties import BatchReadInputPropertyName

from hubspot_assets.sandbox import HistoryEntry, Portal, PortalConfig, PortalRecord
from hubspot_assets_tests.sandbox.conftest import NOW, every_page, walk

KINDS = [k for k in Portal(PortalConfig()).object_types() if "enterprise" in k.plans]
IDS = [kind.object_type_id for kind in KINDS]


def everything(official: Any, object_type: str, **settings: Any) -> list[Any]:
    return every_page(official.crm.objects.basic_api.get_page, object_type, **settings)


def told(entries: list[Any]) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            e.value,
            e.timestamp,
            e.source_type,
            e.source_id,
            e.source_label,
            e.updated_by_user_id,
        )
        for e in entries
    ]


def assert_same(record: Any, truth: PortalRecord, names: list[str]) -> None:
    assert record.id == str(truth.record_id)
    assert record.created_at == truth.created_at
    assert record.updated_at == truth.updated_at
    assert record.archived == (truth.archived_at is not None)
    assert record.properties == {name: truth.properties.get(name) for name in names}
    if record.properties_with_history is not None:
        found = {name: told(e) for name, e in record.properties_with_history.items()}
        assert found == {name: truth.histories.get(name, []) for name in names}


@pytest.mark.samples(10)
@pytest.mark.parametrize("object_type_id", IDS)
def test_every_record_with_every_property_and_history(
    official: Any, portal: Portal, object_type_id: str
) -> None:
    names = [p.name for p in portal.properties(object_type_id) if not p.archived]
    listed = everything(official, object_type_id, limit=100)
    ids = [int(record.id) for record in listed]
    assert ids == list(portal.live_ids(object_type_id, NOW))
    assert len(ids) == portal.live_count(object_type_id, NOW)
    # All names never fit a URL, so values and histories come by batch; some of them suffice.
    for start in range(0, min(len(ids), 100), 50):
        asked = BatchReadInputSimplePublicObjectId(
            inputs=[{"id": str(record)} for record in ids[start : start + 50]],
            properties=names,
            properties_with_history=names,
        )
        batch = official.crm.objects.batch_api.read(object_type_id, asked)
        assert batch.status == "COMPLETE"
        for record in batch.results:
            truth = portal.record(object_type_id, int(record.id), NOW)
            assert truth is not None
            assert_same(record, truth, names)


def test_values_and_histories_come_with_the_list_as_well(official: Any, portal: Portal) -> None:
    names = ["dealname", "dealstage", "amount", "data_region", "num_associated_contacts"]
    listed = everything(
        official, "deals", limit=50, properties=names, properties_with_history=names
    )
    always = ["createdate", "hs_lastmodifieddate", "hs_object_id"]
    for record in listed:
        truth = portal.record("0-3", int(record.id), NOW)
        assert truth is not None
        assert record.properties == {n: truth.properties.get(n) for n in names + always}
        found = {name: told(e) for name, e in record.properties_with_history.items()}
        assert found == {name: truth.histories.get(name, []) for name in names}


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm/objects/{objectType}",
    "POST /crm/objects/{objectType}/batch/read",
)
def test_archived_records_are_a_list_of_their_own(official: Any, portal: Portal) -> None:
    seen = 0
    for object_type_id in IDS:
        found = everything(official, object_type_id, archived=True, limit=100)
        assert [int(each.id) for each in found] == list(portal.archived_ids(object_type_id, NOW))
        for each in found:
            truth = portal.record(object_type_id, int(each.id), NOW)
            assert truth is not None
            assert each.archived
            assert each.archived_at == truth.archived_at
        if found:
            asked = BatchReadInputSimplePublicObjectId(
                inputs=[{"id": each.id} for each in found],
                properties=[],
                properties_with_history=[],
            )
            batch = official.crm.objects.batch_api.read(object_type_id, asked, archived=True)
            assert {each.id for each in batch.results} == {each.id for each in found}
        seen += len(found)
    assert seen > 3


@pytest.mark.asks("hubspot-api-client", "GET /crm/objects/{objectType}/{objectId}")
def test_one_record(official: Any, portal: Portal) -> None:
    record_id = next(iter(portal.live_ids("0-2", NOW)))
    names = [p.name for p in portal.properties("0-2") if not p.archived][:40]
    record = official.crm.objects.basic_api.get_by_id(
        "company", str(record_id), properties=names, properties_with_history=names
    )
    truth = portal.record("0-2", record_id, NOW)
    assert truth is not None
    assert record.created_at == truth.created_at
    assert record.properties["hs_object_id"] == str(record_id)
    with pytest.raises(ApiException) as failure:
        official.crm.objects.basic_api.get_by_id("company", "1")
    assert failure.value.status == 404


def test_contacts_have_an_api_of_their_own(official: Any, portal: Portal) -> None:
    page = official.crm.contacts.basic_api.get_page(limit=10)
    assert [int(each.id) for each in page.results] == list(portal.live_ids("0-1", NOW))[:10]
    email = page.results[0].properties["email"]
    found = official.crm.contacts.basic_api.get_by_id(email, id_property="email")
    assert found.id == page.results[0].id


@pytest.mark.asks("hubspot-api-client", "POST /crm/objects/{objectType}/search")
def test_search_finds_what_was_modified_in_a_window(official: Any, portal: Portal) -> None:
    since = datetime(2026, 11, 1, tzinfo=NOW.tzinfo)
    expected = []
    for record_id in portal.live_ids("0-3", NOW):
        truth = portal.record("0-3", record_id, NOW)
        if truth is not None and truth.updated_at >= since:
            expected.append(str(record_id))
    found: list[str] = []
    after = None
    while True:
        page = official.crm.objects.search_api.do_search(
            "deals",
            PublicObjectSearchRequest(
                filter_groups=[{
                    "filters": [{
                        "propertyName": "hs_lastmodifieddate",
                        "operator": "GTE",
                        "value": str(int(since.timestamp() * 1000)),
                    }]
                }],
                sorts=[{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                properties=["dealname"],
                limit=5,
                after=after,
            ),
        )  # fmt: skip
        assert page.total == len(expected)
        found += [each.id for each in page.results]
        if page.paging is None:
            break
        after = page.paging.next.after
    assert found == expected
    assert expected


def test_properties_and_groups(official: Any, portal: Portal, http: httpx.Client) -> None:
    for kind in KINDS:
        defined = portal.properties(kind.object_type_id)
        names: set[str] = set()
        for archived in (False, True):
            page = official.crm.properties.core_api.get_all(kind.object_type_id, archived=archived)
            names |= {each.name for each in page.results}
            # The client lacks the parameter for sensitive ones.
            for sensitivity in ("sensitive", "highly_sensitive"):
                params = {"archived": str(archived).lower(), "dataSensitivity": sensitivity}
                path = f"/crm/properties/2026-09/{kind.object_type_id}"
                names |= {p["name"] for p in http.get(path, params=params).json()["results"]}
        assert names == {each.name for each in defined}
        groups = official.crm.properties.groups_api.get_all(kind.object_type_id).results
        assert {each.group for each in defined} == {group.name for group in groups}


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm/properties/{objectType}",
    "GET /crm/properties/{objectType}/{propertyName}",
    "POST /crm/properties/{objectType}/batch/read",
    "GET /crm/properties/{objectType}/groups",
    "GET /crm/properties/{objectType}/groups/{groupName}",
)
def test_properties_and_groups_one_by_one(official: Any) -> None:
    api = official.crm.properties
    listed = {each.name: each for each in api.core_api.get_all("contacts").results}
    one = api.core_api.get_by_name("contacts", "lifecyclestage")
    assert one == listed["lifecyclestage"]
    assert one.type == "enumeration"
    assert [option.value for option in one.options][:2] == ["subscriber", "lead"]
    names = [*listed][:100]
    asked = BatchReadInputPropertyName(archived=False, inputs=[{"name": each} for each in names])
    assert api.batch_api.read("contacts", asked).results == [listed[each] for each in names]
    for group in api.groups_api.get_all("contacts").results:
        assert api.groups_api.get_by_name("contacts", group.name) == group


def test_a_bare_portal_has_hundreds_of_contact_properties(portal: Portal) -> None:
    contacts = portal.properties("0-1")
    assert len(contacts) >= 399
    types = {each.type for each in contacts}
    assert types == {
        "string", "number", "date", "datetime", "enumeration", "bool", "phone_number", "json",
        "object_coordinates",
    }  # fmt: skip


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm-object-schemas/schemas",
    "GET /crm-object-schemas/schemas/{objectType}",
)
def test_schemas_are_those_of_custom_types(official: Any, portal: Portal) -> None:
    schemas = official.crm.schemas.core_api.get_all(archived=False).results
    custom = [kind for kind in KINDS if kind.custom]
    assert {s.object_type_id for s in schemas} == {kind.object_type_id for kind in custom}
    labels = [(schema.labels.singular, schema.labels.plural) for schema in schemas]
    assert ("Pop-Tart & Waffle Lead", "Pop-Tart & Waffle Leads") in labels
    assert ("Inventory", None) in labels
    assert labels.count(("Asset", "Assets")) == 2
    for kind in custom:
        assert kind.fully_qualified_name is not None
        one = official.crm.schemas.core_api.get_by_id(kind.fully_qualified_name)
        assert one.object_type_id == kind.object_type_id
        defined = [p for p in portal.properties(kind.object_type_id) if not p.archived]
        plain = {p.name for p in defined if p.sensitivity == "non_sensitive"}
        assert {each.name for each in one.properties} == plain
    deal = official.crm.schemas.core_api.get_by_id("deals")
    assert deal.object_type_id == "0-3"


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm/pipelines/{objectType}",
    "GET /crm/pipelines/{objectType}/{pipelineId}",
    "GET /crm/pipelines/{objectType}/{pipelineId}/stages",
    "GET /crm/pipelines/{objectType}/{pipelineId}/stages/{stageId}",
)
def test_pipelines(official: Any, portal: Portal) -> None:
    for kind in KINDS:
        # Subscriptions are asked for pipelines, and have none.
        if not kind.pipelines or kind.object_type_id == "0-69":
            continue
        found = official.crm.pipelines.pipelines_api.get_all(kind.object_type_id).results
        assert [(p.id, p.label) for p in found] == [
            (p.pipeline_id, p.label) for p in portal.pipelines(kind.object_type_id)
        ]
        # Whether subscriptions have any is documented nowhere.
        assert bool(found) == (kind.object_type_id != "0-69")
        for pipeline in found:
            stages = official.crm.pipelines.pipeline_stages_api.get_all(
                kind.object_type_id, pipeline.id
            ).results
            assert [s.id for s in stages] == [s.id for s in pipeline.stages]
            one = official.crm.pipelines.pipelines_api.get_by_id(kind.object_type_id, pipeline.id)
            assert one == pipeline
            last = official.crm.pipelines.pipeline_stages_api.get_by_id(
                kind.object_type_id, pipeline.id, stages[-1].id
            )
            assert last == stages[-1]
    assert len(official.crm.pipelines.pipelines_api.get_all("deals").results) >= 2


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /crm/owners",
    "GET /crm/owners/{ownerId}",
    "GET /settings/users",
    "GET /settings/users/{userId}",
    "GET /settings/users/teams",
)
def test_owners_users_and_teams(official: Any, portal: Portal) -> None:
    found = []
    for archived in (False, True):
        owners = every_page(official.crm.owners.owners_api.get_page, limit=3, archived=archived)
        assert all(each.archived == archived for each in owners)
        found += owners
    truth = {owner.owner_id: owner for owner in portal.owners()}
    assert {int(each.id) for each in found} == set(truth)
    for each in found:
        owner = truth[int(each.id)]
        assert each.type == owner.type
        assert each.email == owner.email
        assert each.user_id == (None if owner.archived else owner.user_id)
        assert each.user_id_including_inactive == owner.user_id
        teams = [(int(team.id), team.primary) for team in each.teams or []]
        assert teams == [(team, team == owner.primary_team) for team in owner.teams]
    assert {"QUEUE", "PERSON"} == {each.type for each in found}
    assert any(each.email is None for each in found)

    users = every_page(official.settings.users.users_api.get_page, limit=3)
    active = {o.user_id for o in portal.owners() if o.user_id and not o.archived}
    assert {int(user.id) for user in users} == active
    assert official.settings.users.users_api.get_by_id(users[-1].id) == users[-1]
    teams = official.settings.users.teams_api.get_all().results
    assert {int(team.id): team.name for team in teams} == {
        team.team_id: team.name for team in portal.teams()
    }
    assert official.crm.owners.owners_api.get_by_id(int(found[0].id)).email == found[0].email


@pytest.mark.parametrize("archived", ["false", "true"])
def test_an_owner_without_a_user_has_no_user_id(http: httpx.Client, archived: str) -> None:
    told = walk(http, "/crm/owners/2026-09", archived=archived)
    assert all(each.get("userId", 0) is not None for each in told)
    assert any("userId" not in each for each in told)


@pytest.mark.asks("hubspot-api-client", "POST /crm/objects/deals/splits/batch/read")
def test_splits_of_every_deal(official: Any, portal: Portal) -> None:
    deals = [{"id": str(each)} for each in portal.live_ids("0-3", NOW)]
    found = official.crm.objects.deal_splits.batch_api.read(BatchInputPublicObjectId(inputs=deals))
    assert {
        int(each.id): [split.id for split in each.splits] for each in found.results if each.splits
    } == {key: [each["id"] for each in told] for key, told in portal.deal_splits(NOW).items()}


def test_oauth_tokens(official: Any, portal: Portal) -> None:
    config = portal.config
    issued = official.oauth.tokens_api.create(
        grant_type="refresh_token",
        client_id=config.client_id,
        client_secret=config.client_secret,
        refresh_token=config.refresh_token,
    )
    assert issued.expires_in == 1800
    assert issued.access_token
