"""HubSpot's newest client, `hubspot_sdk`, pages through all that it can read, by 2026-03.

It takes no answer that is otherwise than its models, but where portals have been seen to differ
from them: null for properties without a value, numbers for ids of linked records.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hubspot_sdk import HubSpot

from hubspot_assets.sandbox import Portal, PortalConfig, Sandbox, serve
from hubspot_assets_tests.sandbox.conftest import NOW, PLENTY

RARE = {"0-721": "contracts", "0-990001": "partner_clients", "0-990002": "partner_services"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    config = PortalConfig(records=200, now=NOW, generic_types=frozenset(RARE), **PLENTY)
    with serve(config) as served:
        yield served


@pytest.fixture(scope="module")
def portal(sandbox: Sandbox) -> Portal:
    return sandbox.portal


@pytest.fixture(scope="module")
def strict(sandbox: Sandbox) -> HubSpot:
    return HubSpot(
        access_token=sandbox.token,
        base_url=sandbox.url,
        max_retries=0,
        _strict_response_validation=True,
    )


@pytest.fixture(scope="module")
def lenient(sandbox: Sandbox) -> HubSpot:
    return HubSpot(access_token=sandbox.token, base_url=sandbox.url, max_retries=0)


def ids(found: Any) -> list[str]:
    return [each.id for each in found]


def test_records_of_every_type(lenient: HubSpot, portal: Portal) -> None:
    objects = lenient.crm.objects
    for kind in portal.object_types():
        if not portal.is_enabled(kind):
            continue
        planned = list(map(str, portal.live_ids(kind.object_type_id, NOW)))
        found = objects.generic_objects.list(kind.object_type_id, limit=7)
        assert ids(found) == planned
        asked: Any = [{"id": each} for each in planned[:50]]
        names = [each.name for each in portal.readable_properties(kind).values()]
        batch = objects.generic_objects.batch.get(
            kind.object_type_id, inputs=asked, properties=names, properties_with_history=names
        )
        assert ids(batch.results) == planned[:50]
        assert all(each.properties_with_history.keys() == set(names) for each in batch.results)


def test_records_with_every_value_are_as_its_models_say(strict: HubSpot) -> None:
    page = strict.crm.objects.generic_objects.list("deals", limit=50, properties=["createdate"])
    assert page.results[0].properties["createdate"]
    assert page.results[0].url


def test_rare_types_have_resources_of_their_own(lenient: HubSpot, portal: Portal) -> None:
    objects = lenient.crm.objects
    for resource in (objects.contracts, objects.partner_clients):
        name = resource.__class__.__name__.removesuffix("Resource").lower()
        [type_id] = [key for key, each in RARE.items() if each.replace("_", "") == name]
        assert ids(resource.list(limit=2)) == list(map(str, portal.live_ids(type_id, NOW)))
    services = objects.partner_services.search(
        after="0", filter_groups=[], limit=100, properties=[], sorts=[]
    )
    assert services.total == portal.live_count("0-990002", NOW) == len(services.results)


def test_what_a_portal_says_of_itself(strict: HubSpot, portal: Portal) -> None:
    assert strict.account.get().portal_id == portal.config.portal_id
    assert strict.account.get_daily_private_apps_usage().results[0].usage_limit
    enabled = strict.crm.object_library.enablement.get_all().enablement_by_object_type_id
    assert enabled["0-721"]
    for kind in portal.object_types():
        if not portal.is_enabled(kind):
            continue
        found = strict.crm.properties.list(kind.object_type_id).results
        assert {each.name for each in found} == {
            each.name
            for each in portal.properties(kind.object_type_id)
            if not each.archived and each.sensitivity == "non_sensitive"
        }
        assert strict.crm.object_schemas.get(kind.object_type_id).name == kind.name
        if kind.pipelines:
            pipelines = strict.crm.pipelines.list(kind.object_type_id).results
            assert ids(pipelines) == [
                each.pipeline_id for each in portal.pipelines(kind.object_type_id)
            ]
    limits = strict.crm.limits.get_record_limits().hubspot_defined_object_types
    usage = {each.object_type_id: each.usage for each in limits}
    assert usage["0-1"] == portal.live_count("0-1", NOW)


def test_people(strict: HubSpot, portal: Portal) -> None:
    for archived in (False, True):
        found = list(strict.crm.owners.list(limit=2, archived=archived))
        planned = [str(o.owner_id) for o in portal.owners() if o.archived == archived]
        assert ids(found) == planned
        assert all((each.user_id is None) >= archived for each in found)
    users = ids(strict.settings.users.list(limit=2))
    assert users == [str(o.user_id) for o in portal.owners() if o.user_id and not o.archived]
    assert len(strict.settings.users.list_teams().results) == len(portal.teams())


def test_lists_and_members(strict: HubSpot, portal: Portal) -> None:
    found = strict.crm.lists.list_by_search(count=500, offset=0, list_ids=[], processing_types=[],
        extra_body={"additionalProperties": []})  # fmt: skip
    planned = portal.lists(NOW)
    assert [each.list_id for each in found.lists] == [str(each.facts.list_id) for each in planned]
    for each in planned:
        list_id = str(each.facts.list_id)
        truth = [str(record_id) for record_id, _ in portal.members(each.facts.list_id, NOW)]
        members = strict.crm.lists.list_memberships(list_id, limit=50)
        assert [member.record_id for member in members] == truth
        joined = strict.crm.lists.get_memberships_join_order(list_id, limit=50)
        assert sorted(member.record_id for member in joined) == sorted(truth)


def test_links(lenient: HubSpot, portal: Portal) -> None:
    contacts: Any = [{"id": str(each)} for each in portal.live_ids("0-1", NOW)]
    batch = lenient.crm.associations.batch.get(
        from_object_type="contacts", to_object_type="companies", inputs=contacts
    )
    found = {
        (int(each.from_.id), int(to.to_object_id), kind.type_id)
        for each in batch.results
        for to in each.to
        for kind in to.association_types
    }
    links = portal.links("0-1", "0-2", NOW)
    assert found == {(each.from_id, each.to_id, each.type_id) for each in links}


def test_deal_splits(strict: HubSpot, portal: Portal) -> None:
    deals: Any = [{"id": str(each)} for each in portal.live_ids("0-3", NOW)]
    batch = strict.crm.deal_splits.batch.read(inputs=deals)
    found = {int(each.id): ids(each.splits) for each in batch.results if each.splits}
    assert found == {
        deal: [each["id"] for each in splits] for deal, splits in portal.deal_splits(NOW).items()
    }


def test_marketing_and_content(strict: HubSpot, portal: Portal) -> None:
    for archived in (False, True):
        emails = list(strict.marketing.emails.list(limit=4, archived=archived))
        truth = {e.asset_id: e.told for e in portal.marketing_emails() if e.archived == archived}
        assert set(ids(emails)) == truth.keys()
        assert all(each.is_ab == (each.type == "AB_EMAIL") for each in emails)
        assert {each.id: each.workflow_names for each in emails} == {
            key: told.get("workflowNames") for key, told in truth.items()
        }
    campaigns = strict.marketing.campaigns.list(limit=2, properties=["hs_name"])
    assert set(ids(campaigns)) == {each.asset_id for each in portal.campaigns()}
    for pages, kind in (
        (strict.cms.pages.landing_pages, "landing-page"),
        (strict.cms.pages.site_pages, "site-page"),
    ):
        found = list(pages.list(limit=3))
        assert set(ids(found)) == {each["id"] for each in portal.pages(kind, NOW)}
        sections = [each.layout_sections for each in found]
        assert any("dnd_area" in each for each in sections)
    assert ids(strict.files.file_assets.search(limit=50)) == [e["id"] for e in portal.files(NOW)]
    users = [str(o.user_id) for o in portal.owners() if o.user_id and not o.archived]
    sequences = {
        each for user in users for each in ids(strict.automation.sequences.list(user_id=user))
    }
    assert sequences == {each["id"] for each in portal.sequences(NOW)}


def test_events(strict: HubSpot, portal: Portal) -> None:
    assert strict.events.occurrences.list_event_types().event_types == portal.event_types()
    definitions = strict.events.definitions.list(limit=2)
    found = {each.fully_qualified_name for each in definitions}
    assert found == {each.name for each in portal.event_definitions()}
    since = NOW - timedelta(days=9)
    occurrences = strict.events.occurrences.list(
        event_type="e_visited_page", occurred_after=since, limit=20
    )
    planned = [each.id for each in portal.events("e_visited_page", since, NOW)]
    assert sorted(ids(occurrences)) == sorted(planned)
    assert len(planned) > 20
