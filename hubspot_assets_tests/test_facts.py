"""The facts, which client and sandbox share, against a copy of the documents of its own."""

import csv
from importlib.resources import files

import pytest

from hubspot_assets.exported import named_events, named_types
from hubspot_assets.hubspot.associations import standard_types
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.email_events import email_event_types
from hubspot_assets.hubspot.events import standard_event_properties
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.tables import typed
from hubspot_assets.tables.typed import PropertyType

ACTIVITIES = {"0-18", "0-27", "0-46", "0-47", "0-48", "0-49", "0-116"}


def reference(name):
    text = files("hubspot_assets_tests").joinpath("reference", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


TYPES = {row["object_type_id"]: row for row in reference("object_types.csv")}


@pytest.fixture(scope="module")
def types():
    """The standard types under their names in the export, by id."""
    return {of.object_type.id: of for of in named_types(standard_catalog())}


def test_every_standard_type_is_known(types):
    assert types.keys() == TYPES.keys()
    assert len(list(facts("object_types.csv"))) == len(TYPES)


@pytest.mark.parametrize("type_id", TYPES)
def test_a_type_is_what_the_documents_say(types, type_id):
    row, of = TYPES[type_id], types[type_id]
    told = of.object_type
    assert of.table == row["table"]
    assert told.fully_qualified_name == (row["name"] or told.name.upper())
    assert told.plural_name == (row["path"] or told.plural_name)
    assert told.read_scope in (row["scopes"].split() or [told.read_scope])
    # Whether subscriptions have pipelines is not sure, so that they are asked for some.
    assert told.pipelines == (row["pipelines"] != "")
    served_by = told.api if told.api in ("crm", "none") else "own"
    assert served_by == row["served_by"]
    modified = "lastmodifieddate" if type_id == "0-1" else "hs_lastmodifieddate"
    assert told.modified_property == modified
    assert told.label.upper().replace(" ", "_") == row["table"].removeprefix("OBJECTS_")


def test_association_types_are_the_documented_ones():
    documented = {
        (int(row["type_id"]), row["from_object_type_id"], row["to_object_type_id"], row["role"])
        for row in reference("association_types.csv")
    }
    known = [(each.type_id, each.from_type, each.to_type, each.role) for each in standard_types()]
    assert set(known) == {row for row in documented if row[1] and row[2]}
    assert len(known) == len(set(known)) > 300


def test_an_association_type_and_its_inverse_are_each_others():
    """The sandbox portal relies on it."""
    by_id = {each["type_id"]: each for each in facts("association_types.csv")}
    documented = {
        row["type_id"]: row["inverse_type_id"] for row in reference("association_types.csv")
    }
    assert {key: each["inverse_type_id"] for key, each in by_id.items()} == documented
    for key, each in by_id.items():
        if each["inverse_type_id"]:
            inverse = by_id[each["inverse_type_id"]]
            assert inverse["inverse_type_id"] == key
            assert inverse["from_object_type_id"] == each["to_object_type_id"]
            assert inverse["to_object_type_id"] == each["from_object_type_id"]


def test_the_association_types_that_everybody_uses():
    ids = {each.type_id: (each.from_type, each.to_type) for each in standard_types()}
    pairs = {
        ("0-1", "0-2"): (279, 1, 931),
        ("0-2", "0-1"): (280, 2, 930),
        ("0-3", "0-1"): (3,),
        ("0-1", "0-3"): (4,),
        ("0-3", "0-2"): (341, 5),
        ("0-2", "0-3"): (342, 6),
        ("0-5", "0-1"): (16,),
        ("0-1", "0-5"): (15,),
        ("0-5", "0-2"): (339, 26),
        ("0-2", "0-5"): (340, 25),
        ("0-3", "0-5"): (27,),
        ("0-5", "0-3"): (28,),
        ("0-3", "0-8"): (19,),
        ("0-8", "0-3"): (20,),
        ("0-2", "0-2"): (13, 14),
        ("0-48", "0-1"): (194,),
        ("0-49", "0-1"): (198,),
        ("0-47", "0-1"): (200,),
        ("0-46", "0-1"): (202,),
        ("0-27", "0-1"): (204,),
        ("0-3", "0-72"): (313,),
    }
    for pair, type_ids in pairs.items():
        assert [ids[each] for each in type_ids] == [pair] * len(type_ids)


def test_event_types_are_those_that_were_seen():
    known = {of.table: of.event_type for of in named_events(standard_catalog())}
    rows = {row["table"]: row for row in reference("event_types.csv")}
    assert known.keys() == rows.keys()
    by_mail = {event: kind for kind, event in email_event_types().items()}
    for table, row in rows.items():
        assert known[table].name == f"e_{table.removeprefix('EVENTS_').lower()}"
        assert known[table].id == (row["event_type_id"] or None)
        assert by_mail.get(known[table].name, "") == row["email_event"]
        assert known[table].api == ("email_events" if row["email_event"] else "events")


def test_columns_of_events_are_those_that_were_seen():
    seen = {(row["table"], row["column"]) for row in reference("event_properties.csv")}
    known = {
        (of.table, column.name)
        for of in named_events(standard_catalog())
        for column in typed.columns(
            [
                PropertyType(each["name"], each["type"], each["name"])
                for each in standard_event_properties().get(of.event_type.name, ())
            ]
        )
        if not column.name.startswith("PROPERTY_UNPARSED_")
    }
    assert known == seen


def test_properties_of_lists_are_those_of_the_lists_api():
    fields = {row["name"] for row in reference("list_properties.csv") if row["kind"] == "field"}
    seen = {row["name"] for row in reference("list_properties.csv") if row["kind"] == "property"}
    known = {row["name"]: row["field"] for row in facts("list_properties.csv")}
    assert known.keys() >= seen
    assert set(filter(None, known.values())) == fields
    typed_as = {
        row["property"]
        for row in facts("own_api_properties.csv")
        if row["object_type_id"] == "0-45"
    }
    assert typed_as == known.keys()


def test_activities_are_engagements():
    assert {row["object_type_id"] for row in facts("engagement_types.csv")} == ACTIVITIES
