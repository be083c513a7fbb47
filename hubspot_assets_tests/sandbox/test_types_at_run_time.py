"""Object and event types that are made, called otherwise and deleted while the portal is served."""

import json
from typing import Any

import pytest
from hubspot.crm.objects.exceptions import ApiException

from hubspot_assets.sandbox import Portal
from hubspot_assets_tests.sandbox.conftest import NOW, official_of

CARS, CONTACTS = "2-4410002", "0-1"


@pytest.fixture
def own(served: Any) -> tuple[Portal, Any]:
    """A portal of the test's own and HubSpot's client of it."""
    sandbox, _ = served()
    return sandbox.portal, official_of(sandbox)


def labels(official: Any) -> dict[str, tuple[str, str | None]]:
    schemas = official.crm.schemas.core_api.get_all(archived=False).results
    return {each.object_type_id: (each.labels.singular, each.labels.plural) for each in schemas}


def refusal(official: Any, object_type: str) -> str:
    with pytest.raises(ApiException) as refused:
        official.crm.objects.basic_api.get_page(object_type)
    assert refused.value.status == 400
    return str(json.loads(refused.value.body)["message"])


def test_a_new_type_is_there_with_records_properties_and_links(own: tuple[Portal, Any]) -> None:
    portal, official = own
    before = labels(official)
    made = portal.define_type("boats", "Boat", "Boats", records=9)
    assert labels(official) == before | {made: ("Boat", "Boats")}
    name = f"p{portal.config.portal_id}_boats"
    for alias in (made, name):
        page = official.crm.objects.basic_api.get_page(alias, limit=100, properties=["label_text"])
        assert [int(each.id) for each in page.results] == list(portal.live_ids(made, NOW))
    assert 0 < len(page.results) < 10
    defined = official.crm.properties.core_api.get_all(made).results
    assert "label_text" in {each.name for each in defined}
    schema = official.crm.schemas.core_api.get_by_id(name)
    assert {(each.from_object_type_id, each.to_object_type_id) for each in schema.associations} == {
        (made, CONTACTS),
        (CONTACTS, made),
    }


def test_links_of_a_new_type_are_seen_from_both_sides(own: tuple[Portal, Any]) -> None:
    portal, official = own
    made = portal.define_type("boats", "Boat", "Boats", records=30)
    read = official.crm.associations.v4.basic_api.get_page
    told = {(link.from_id, link.to_id, link.type_id) for link in portal.links(made, CONTACTS, NOW)}
    found = {
        (boat, int(to.to_object_id), kind.type_id)
        for boat in portal.live_ids(made, NOW)
        for to in read(made, str(boat), CONTACTS).results
        for kind in to.association_types
    }
    assert found == told != set()
    back = {(link.to_id, link.from_id) for link in portal.links(CONTACTS, made, NOW)}
    assert back == {link[:2] for link in told}


def test_new_types_differ_in_everything_but_what_was_asked_for(own: tuple[Portal, Any]) -> None:
    portal, official = own
    boats = portal.define_type("boats", "Boat", records=5)
    ships = portal.define_type("ships", "Boat", records=0)
    assert boats != ships
    assert labels(official)[boats] == labels(official)[ships] == ("Boat", None)
    assert list(portal.live_ids(ships, NOW)) == []
    kinds = {
        (each.category, each.type_id)
        for pair in ((boats, CONTACTS), (CONTACTS, boats), (ships, CONTACTS), (CONTACTS, ships))
        for each in portal.association_definitions(*pair)
    }
    assert len(kinds) == 4


def test_another_label_leaves_name_and_records(own: tuple[Portal, Any]) -> None:
    portal, official = own
    ids = list(portal.live_ids(CARS, NOW))
    portal.relabel_type(CARS, "Vehicle", "Vehicles")
    schema = official.crm.schemas.core_api.get_by_id(CARS)
    assert (schema.name, schema.labels.singular, schema.labels.plural) == (
        "cars",
        "Vehicle",
        "Vehicles",
    )
    page = official.crm.objects.basic_api.get_page("p_cars", limit=100)
    assert [int(each.id) for each in page.results] == ids


def test_a_deleted_type_is_unknown_and_what_was_linked_to_it_is_not(
    own: tuple[Portal, Any],
) -> None:
    portal, official = own
    unknown = refusal(official, "2-4499999")
    portal.remove_type(CARS)
    assert CARS not in labels(official)
    assert refusal(official, CARS) == unknown.replace("2-4499999", CARS)
    assert "Unable to infer object type" in refusal(official, "p_cars")
    assert official.crm.objects.basic_api.get_page(CONTACTS).results
    page = official.crm.objects.basic_api.get_page(CONTACTS, associations=["p_cars"])
    assert not any(each.associations for each in page.results)
    assert CARS not in {type_id for pair in portal.link_counts(NOW) for type_id in pair}
    assert CARS not in {each.facts.object_type_id for each in portal.lists(NOW)}
    schemas = official.crm.schemas.core_api.get_all(archived=False).results
    pairs = [each for schema in schemas for each in schema.associations]
    assert CARS not in {each.to_object_type_id for each in pairs}
    # Its id is not given to another.
    last = portal.define_type("boats", "Boat")
    portal.remove_type(last)
    assert portal.define_type("boats", "Boat") != last


def test_a_deleted_event_type_is_unknown(own: tuple[Portal, Any]) -> None:
    portal, official = own
    name = portal.define_event("docked", "Docked", per_day=2.0)
    get_page = official.events.events_api.get_page
    assert get_page(event_type=name, limit=1).results
    portal.remove_event(name)
    assert name not in portal.event_types()
    with pytest.raises(Exception, match="Unknown event type"):
        get_page(event_type=name, limit=1)
    assert get_page(event_type="e_visited_page", limit=1).results
