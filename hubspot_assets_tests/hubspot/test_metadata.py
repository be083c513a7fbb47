"""Owners, teams, pipelines and properties, against what the sandbox portal says there is."""

import httpx
import pytest

from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import discover, standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    Forbidden,
    GaveUp,
    MissingScope,
    NotEnabled,
    Unexplained,
)
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.hubspot.fakes import Script, ok


@pytest.fixture
def hubspot(shared_sandbox):
    with client(shared_sandbox) as found:
        yield found


def client(sandbox):
    return HubSpot(BearerToken(sandbox.token), sandbox.url, sleep=lambda _: None)


def lacking(*scopes):
    return serve(PortalConfig(records=10, now=READ_AT, without_scopes=frozenset(scopes)))


def contents(reads):
    return [each.content for each in reads]


def test_owners_are_all_owners_archived_ones_last(hubspot, shared_sandbox):
    found = contents(metadata.owners(hubspot))
    planned = {str(each.owner_id): each.archived for each in shared_sandbox.portal.owners()}
    assert {each["id"]: each["archived"] for each in found} == planned
    assert len(found) == len(planned)
    flags = [each["archived"] for each in found]
    assert set(flags) == {False, True}
    assert flags == sorted(flags)


def test_owners_are_read_page_by_page(sandbox, monkeypatch):
    monkeypatch.setattr(metadata, "OWNERS_PAGE", 2)
    with client(sandbox) as hubspot:
        found = [each["id"] for each in contents(metadata.owners(hubspot))]
    assert sorted(found) == sorted(str(each.owner_id) for each in sandbox.portal.owners())
    assert sandbox.requests["GET /crm/owners", 200] >= len(found) / 2


def test_teams_are_known_flat_and_with_their_parents(hubspot, shared_sandbox):
    planned = shared_sandbox.portal.teams()
    flat = contents(metadata.user_teams(hubspot))
    assert {each["id"]: each["name"] for each in flat} == {
        str(each.team_id): each.name for each in planned
    }
    tree = contents(metadata.team_tree(hubspot))
    assert {each["id"]: each.get("parentTeamId") for each in tree} == {
        str(each.team_id): each.parent_team_id and str(each.parent_team_id) for each in planned
    }
    assert any(each.parent_team_id for each in planned)


def test_teams_are_read_page_by_page(hubspot, shared_sandbox, monkeypatch):
    monkeypatch.setattr(metadata, "PAGE", 1)
    found = [each["id"] for each in contents(metadata.team_tree(hubspot))]
    assert sorted(found) == sorted(str(each.team_id) for each in shared_sandbox.portal.teams())


def test_pipelines_are_those_of_each_type_and_none_where_there_are_none(hubspot, shared_sandbox):
    portal = shared_sandbox.portal
    kinds = [
        each
        for each in portal.object_types()
        if portal.is_enabled(each) and (each.pipelines or each.custom)
    ]
    with_some = 0
    for kind in kinds:
        found = contents(metadata.pipelines(hubspot, kind.object_type_id))
        planned = portal.pipelines(kind.object_type_id)
        assert {each["id"]: [stage["id"] for stage in each["stages"]] for each in found} == {
            each.pipeline_id: [stage.stage_id for stage in each.stages] for each in planned
        }
        with_some += bool(found)
    assert 1 < with_some < len(kinds)
    with pytest.raises(NotEnabled):
        list(metadata.pipelines(hubspot, "0-1"))


def test_pipelines_that_hubspot_keeps_to_itself_are_refused_not_empty(hubspot):
    with pytest.raises(Forbidden, match="tasks"):
        list(metadata.pipelines(hubspot, "0-27"))


def test_pipelines_that_the_token_may_not_read_are_refused():
    with (
        lacking("crm.objects.deals.read", "crm.schemas.deals.read") as sandbox,
        client(sandbox) as hubspot,
        pytest.raises(MissingScope, match=r"crm\.objects\.deals\.read"),
    ):
        list(metadata.pipelines(hubspot, "0-3"))


def planned_properties(sandbox, object_type_id):
    return {
        (each.name, each.archived, each.sensitivity)
        for each in sandbox.portal.properties(object_type_id)
    }


def told(found):
    return {
        (each["name"], each["archived"], each.get("dataSensitivity", "non_sensitive"))
        for each in found
    }


@pytest.mark.parametrize("object_type_id", ["0-1", "0-3", "2-4410002"])
def test_properties_are_live_and_archived_ones_of_every_sensitivity(
    hubspot, shared_sandbox, object_type_id
):
    found = contents(metadata.properties(hubspot, object_type_id))
    planned = planned_properties(shared_sandbox, object_type_id)
    assert told(found) == planned
    assert len(found) == len(planned)
    flags = [each["archived"] for each in found]
    assert flags == sorted(flags)


def test_contacts_have_properties_of_every_kind_to_find(shared_sandbox):
    planned = planned_properties(shared_sandbox, "0-1")
    assert {sensitivity for _, _, sensitivity in planned} == {
        "non_sensitive",
        "sensitive",
        "highly_sensitive",
    }
    assert {archived for _, archived, _ in planned} == {False, True}


def test_a_portal_without_sensitive_data_gives_its_other_properties(sandbox):
    everything = planned_properties(sandbox, "0-3")
    refused = httpx.Response(400, json={"status": "error", "message": "not enabled here"})

    def answer(request):
        if request.url.params["dataSensitivity"] != "non_sensitive":
            return refused
        found = httpx.get(f"{sandbox.url}{request.url.raw_path.decode()}", headers=request.headers)
        return httpx.Response(found.status_code, content=found.content)

    transport = httpx.MockTransport(answer)
    with HubSpot(BearerToken(sandbox.token), transport=transport) as hubspot:
        found = contents(metadata.properties(hubspot, "0-3"))
    assert told(found) == {each for each in everything if each[2] == "non_sensitive"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequest), (403, Unexplained), (404, Unexplained), (500, GaveUp)],
)
def test_properties_that_can_not_be_read_at_all_are_an_error(status, kind):
    transport = httpx.MockTransport(Script(httpx.Response(status, json={"message": "no"})))
    hubspot = HubSpot(BearerToken("a-token"), transport=transport, sleep=lambda _: None)
    with pytest.raises(kind):
        list(metadata.properties(hubspot, "0-1"))


def test_faults_of_a_single_answer_lose_no_property():
    """An answer that keeps failing is an error, never a shorter list."""
    some = ok({"results": [{"name": "a"}]})
    transport = httpx.MockTransport(Script(some, httpx.Response(500, json={})))
    hubspot = HubSpot(BearerToken("a-token"), transport=transport, sleep=lambda _: None)
    with pytest.raises(GaveUp):
        list(metadata.properties(hubspot, "0-1"))


def test_a_probe_tells_whether_a_type_can_be_read(hubspot, shared_sandbox):
    portal = shared_sandbox.portal
    closed = [each.object_type_id for each in portal.object_types() if not portal.is_enabled(each)]
    assert closed
    for object_type_id in closed:
        with pytest.raises(NotEnabled):
            metadata.probe(hubspot, object_type_id)
    assert metadata.probe(hubspot, "0-1").tzinfo is not None
    with (
        lacking("tickets") as sandbox,
        client(sandbox) as other,
        pytest.raises(MissingScope, match="tickets"),
    ):
        metadata.probe(other, "0-5")


def test_discovery_finds_the_portal_and_its_custom_types(hubspot, shared_sandbox):
    portal = shared_sandbox.portal
    catalog = discover(hubspot)
    planned = {each.object_type_id: each for each in portal.object_types() if each.custom}
    custom = {each.id: each for each in catalog.object_types if each.id.startswith("2-")}
    assert catalog.portal_id == portal.config.portal_id
    assert catalog.time_zone == portal.config.time_zone
    assert catalog.warnings == ()
    assert custom.keys() == planned.keys()
    for object_type_id, kind in planned.items():
        found = custom[object_type_id]
        assert (found.name, found.singular_label, found.plural_label, found.primary_property) == (
            kind.name,
            kind.singular_label,
            kind.plural_label,
            kind.primary_property,
        )
    assert any(each.plural_label is None for each in custom.values())
    standard = catalog.object_types[: -len(custom)]
    assert [each.id for each in standard] == [each.id for each in standard_catalog().object_types]
    enabled = {each.object_type_id: portal.is_enabled(each) for each in portal.object_types()}
    assert {each.id: each.enabled for each in standard} == {
        each.id: enabled.get(each.id, True) for each in standard
    }
    assert not all(each.enabled for each in standard)


def test_discovery_without_the_scope_for_schemas_warns_and_goes_on():
    scopes = "crm.schemas.custom.read", "crm.objects.custom.read"
    with lacking(*scopes) as sandbox, client(sandbox) as hubspot:
        catalog = discover(hubspot)
    standard = standard_catalog().object_types
    assert [each.id for each in catalog.object_types] == [each.id for each in standard]
    (warning,) = catalog.warnings
    assert "crm.schemas.custom.read" in warning
