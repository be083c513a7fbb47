"""HubSpot's newest client, `hubspot_sdk`, pages through all that it can read, by 2026-03.

It takes no answer that is otherwise than its models, but where portals have been seen to differ
from them: null for properties without a value, numbers for ids of linked records.
"""

from collections import Counter
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


@pytest.mark.slow
@pytest.mark.asks(
    "hubspot-sdk",
    "GET /crm/objects/{objectType}",
    "POST /crm/objects/{objectType}/batch/read",
    "GET /crm/objects/{objectType}/{objectId}",
)
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
        for record_id in planned[-1:]:
            one = objects.generic_objects.get(record_id, object_type=kind.object_type_id)
            assert one.id == record_id


def test_records_with_every_value_are_as_its_models_say(strict: HubSpot) -> None:
    page = strict.crm.objects.generic_objects.list("deals", limit=50, properties=["createdate"])
    assert page.results[0].properties["createdate"]
    assert page.results[0].url


@pytest.mark.asks("hubspot-sdk", "POST /crm/objects/{objectType}/search")
def test_the_search_finds_every_deal(lenient: HubSpot, portal: Portal) -> None:
    found: list[str] = []
    after = "0"
    while after:
        page = lenient.crm.objects.generic_objects.search(
            "deals", after=after, filter_groups=[], limit=6, properties=[], sorts=["hs_object_id"]
        )
        found += ids(page.results)
        after = page.paging.next.after if page.paging else ""
    assert found == list(map(str, portal.live_ids("0-3", NOW)))
    assert len(found) > 12


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


@pytest.mark.asks(
    "hubspot-sdk",
    "GET /account-info/details",
    "GET /account-info/api-usage/daily/private-apps",
    "GET /crm/object-library/enablement",
    "GET /crm/object-library/enablement/{objectTypeId}",
    "GET /crm/properties/{objectType}",
    "GET /crm-object-schemas/schemas",
    "GET /crm-object-schemas/schemas/{objectType}",
    "GET /crm/pipelines/{objectType}",
    "GET /crm/pipelines/{objectType}/{pipelineId}",
    "GET /crm/pipelines/{objectType}/{pipelineId}/stages",
    "GET /crm/pipelines/{objectType}/{pipelineId}/stages/{stageId}",
    "GET /crm/limits/associations/labels",
    "GET /crm/limits/records",
)
def test_what_a_portal_says_of_itself(strict: HubSpot, portal: Portal) -> None:
    assert strict.account.get().portal_id == portal.config.portal_id
    assert strict.account.get_daily_private_apps_usage().results[0].usage_limit
    enabled = strict.crm.object_library.enablement.get_all().enablement_by_object_type_id
    assert enabled["0-721"]
    assert enabled == {
        each: strict.crm.object_library.enablement.get_by_object_type_id(each).enablement
        for each in enabled
    }
    custom = {each.object_type_id for each in portal.object_types() if each.custom}
    assert {each.object_type_id for each in strict.crm.object_schemas.list().results} == custom
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
            for each in pipelines:
                of = {"object_type": kind.object_type_id, "pipeline_id": each.id}
                assert strict.crm.pipelines.get(each.id, object_type=kind.object_type_id) == each
                stages = strict.crm.pipelines.list_stages(**of).results
                assert stages == each.stages
                assert strict.crm.pipelines.get_stage(stages[-1].id, **of) == stages[-1]
    limits = strict.crm.limits.get_record_limits().hubspot_defined_object_types
    usage = {each.object_type_id: each.usage for each in limits}
    assert usage["0-1"] == portal.live_count("0-1", NOW)
    for each in strict.crm.limits.get_association_label_limits().results:
        pair = each.from_object_type.object_type_id, each.to_object_type.object_type_id
        own = [of for of in portal.association_definitions(*pair) if of.category == "USER_DEFINED"]
        assert each.all_labels == [of.label for of in own if of.label]
        assert each.usage == len(each.all_labels) > 0


@pytest.mark.asks(
    "hubspot-sdk",
    "GET /crm/properties/{objectType}/{propertyName}",
    "POST /crm/properties/{objectType}/batch/read",
    "GET /crm/properties/{objectType}/groups",
    "GET /crm/properties/{objectType}/groups/{groupName}",
)
def test_properties_and_groups_one_by_one(strict: HubSpot) -> None:
    properties = strict.crm.properties
    listed = properties.list("contacts").results[:100]
    assert properties.get(listed[-1].name, object_type="contacts") == listed[-1]
    asked: Any = [{"name": each.name} for each in listed]
    batch = properties.batch.get(
        "contacts", archived=False, data_sensitivity="non_sensitive", inputs=asked
    )
    assert batch.results == listed
    groups = properties.groups.list("contacts").results
    assert {each.group_name for each in listed} <= {each.name for each in groups}
    for each in groups:
        assert properties.groups.get(each.name, object_type="contacts") == each


@pytest.mark.asks(
    "hubspot-sdk",
    "GET /crm/owners",
    "GET /crm/owners/{ownerId}",
    "GET /settings/users",
    "GET /settings/users/{userId}",
    "GET /settings/users/teams",
)
def test_people(strict: HubSpot, portal: Portal) -> None:
    for archived in (False, True):
        found = list(strict.crm.owners.list(limit=2, archived=archived))
        planned = [str(o.owner_id) for o in portal.owners() if o.archived == archived]
        assert ids(found) == planned
        assert all((each.user_id is None) >= archived for each in found)
    owner = next(o for o in portal.owners() if o.email and not o.archived)
    assert strict.crm.owners.get(owner.owner_id).email == owner.email
    users = list(strict.settings.users.list(limit=2))
    assert strict.settings.users.get(users[-1].id) == users[-1]
    assert ids(users) == [str(o.user_id) for o in portal.owners() if o.user_id and not o.archived]
    assert len(strict.settings.users.list_teams().results) == len(portal.teams())


@pytest.mark.asks(
    "hubspot-sdk",
    "POST /crm/lists/search",
    "GET /crm/lists",
    "GET /crm/lists/{listId}",
    "GET /crm/lists/{listId}/memberships",
    "GET /crm/lists/{listId}/memberships/join-order",
    "GET /crm/lists/records/{objectTypeId}/{recordId}/memberships",
    "POST /crm/lists/records/memberships/batch/read",
)
def test_lists_and_members(strict: HubSpot, portal: Portal) -> None:
    lists, offset = [], 0
    while len(lists) == offset:
        page = strict.crm.lists.list_by_search(count=3, offset=offset, list_ids=[],
            processing_types=[], extra_body={"additionalProperties": []})  # fmt: skip
        lists += page.lists
        offset += 3
    planned = portal.lists(NOW)
    list_ids = [str(each.facts.list_id) for each in planned]
    assert [each.list_id for each in lists] == list_ids
    named = strict.crm.lists.list(list_ids=list_ids).lists
    assert [(each.list_id, each.name) for each in named] == [(e.list_id, e.name) for e in lists]
    for each in planned:
        list_id = str(each.facts.list_id)
        truth = [str(record_id) for record_id, _ in portal.members(each.facts.list_id, NOW)]
        members = strict.crm.lists.list_memberships(list_id, limit=50)
        assert [member.record_id for member in members] == truth
        joined = strict.crm.lists.get_memberships_join_order(list_id, limit=50)
        assert sorted(member.record_id for member in joined) == sorted(truth)
        assert strict.crm.lists.get(list_id).list.name == each.facts.name
        for record_id in truth[:1]:
            object_type_id = each.facts.object_type_id
            of_one = strict.crm.lists.get_record_memberships(
                record_id, object_type_id=object_type_id
            ).results
            assert list_id in {membership.list_id for membership in of_one}
            asked: Any = [{"objectTypeId": object_type_id, "recordId": record_id}]
            [batch] = strict.crm.lists.batch_read_memberships(inputs=asked).results
            assert batch.record_list_memberships == of_one


@pytest.mark.asks(
    "hubspot-sdk",
    "POST /crm/associations/{objectType}/{toObjectType}/batch/read",
    "GET /crm/objects/{objectType}/{objectId}/associations/{toObjectType}",
    "GET /crm/associations/{objectType}/{toObjectType}/labels",
)
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
    linked = Counter(each.from_id for each in portal.links("0-2", "0-1", NOW))
    [(company, count)] = linked.most_common(1)
    assert count > 10
    contacts_of = lenient.crm.associations.list(
        "contacts", object_type="companies", object_id=str(company), limit=5
    )
    assert [int(each.to_object_id) for each in contacts_of] == sorted(
        {each.to_id for each in portal.links("0-2", "0-1", NOW) if each.from_id == company}
    )
    labels = lenient.crm.associations_schema.labels.list_labels(
        "companies", from_object_type="contacts"
    )
    assert {(each.type_id, each.label) for each in labels.results} == {
        (each.type_id, each.label) for each in portal.association_definitions("0-1", "0-2")
    }


@pytest.mark.asks("hubspot-sdk", "POST /deal-splits/batch/read")
def test_deal_splits(strict: HubSpot, portal: Portal) -> None:
    deals: Any = [{"id": str(each)} for each in portal.live_ids("0-3", NOW)]
    batch = strict.crm.deal_splits.batch.read(inputs=deals)
    found = {int(each.id): ids(each.splits) for each in batch.results if each.splits}
    assert found == {
        deal: [each["id"] for each in splits] for deal, splits in portal.deal_splits(NOW).items()
    }


@pytest.mark.asks(
    "hubspot-sdk",
    "GET /marketing/emails",
    "GET /marketing/campaigns",
    "GET /cms/pages/landing-pages",
    "GET /cms/pages/site-pages",
    "GET /files/files/search",
    "GET /automation/sequences",
)
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


@pytest.mark.asks(
    "hubspot-sdk",
    "GET /events/event-occurrences",
    "GET /events/event-occurrences/event-types",
    "GET /events/event-definitions",
    "GET /events/event-definitions/{eventName}",
)
def test_events(strict: HubSpot, portal: Portal) -> None:
    assert strict.events.occurrences.list_event_types().event_types == portal.event_types()
    definitions = strict.events.definitions.list(limit=2)
    found = {each.fully_qualified_name for each in definitions}
    assert found == {each.name for each in portal.event_definitions()}
    for name in found:
        assert strict.events.definitions.get(name).fully_qualified_name == name
    since = NOW - timedelta(days=9)
    occurrences = strict.events.occurrences.list(
        event_type="e_visited_page", occurred_after=since, limit=20
    )
    planned = [each.id for each in portal.events("e_visited_page", since, NOW)]
    assert sorted(ids(occurrences)) == sorted(planned)
    assert len(planned) > 20
