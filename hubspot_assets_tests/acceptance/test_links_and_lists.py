"""Associations, lists and the types with APIs of their own, against the portal's plan."""

import hashlib
import json
from collections import Counter

import pytest

from hubspot_assets_tests.acceptance.plan import naive
from hubspot_assets_tests.acceptance.reader import manifest
from hubspot_assets_tests.conftest import END, READ_AT, START

CATEGORIES = {"HUBSPOT_DEFINED": 0, "USER_DEFINED": 1, "INTEGRATOR_DEFINED": 2, "WORK": 3}


def combined(category, type_id):
    return f"{CATEGORIES[category]}-{type_id}"


def test_all_associations_are_the_portals_links(ask, plan):
    rows = ask(
        "SELECT FROMOBJECTTYPEID, TOOBJECTTYPEID, FROMOBJECTID, TOOBJECTID, "
        "COMBINEDASSOCIATIONTYPEID, ASSOCIATIONCATEGORY, ASSOCIATIONTYPEID FROM ASSOCIATIONS"
    )
    planned = Counter(
        (*pair, each.from_id, each.to_id, combined(each.category, each.type_id),
         each.category, each.type_id)
        for pair in plan.portal.linked_pairs()
        for each in plan.links(*pair)
    )  # fmt: skip
    assert Counter(rows) == planned
    assert {row[5] for row in rows} >= {"HUBSPOT_DEFINED", "USER_DEFINED"}


def test_each_ordered_pair_has_a_table_of_its_links(day, warehouse, ask, plan):
    suffixes = {
        type_id: table.removeprefix("OBJECTS_")
        for type_id, table in ask(
            "SELECT OBJECTTYPEID, TABLENAME FROM OBJECT_AND_EVENT_TYPE_DEFINITIONS "
            "WHERE KIND = 'OBJECT'"
        )
    }
    for pair in plan.portal.linked_pairs():
        table = f"ASSOCIATIONS_{suffixes[pair[0]]}_TO_{suffixes[pair[1]]}"
        near, far = (each["name"] for each in manifest(day / table)["columns"][:2])
        assert (near, far) == id_columns(plan, *pair)
        main = main_of(plan.portal.association_definitions(*pair))
        rows = warehouse.execute(
            f"SELECT {near}, {far}, COMBINEDASSOCIATIONTYPEID, ASSOCIATIONCATEGORY, "
            f"ASSOCIATIONTYPEID, LABEL, ISMAINASSOCIATIONDEFINITION FROM {table}"
        ).fetchall()
        assert Counter(rows) == Counter(
            (each.from_id, each.to_id, combined(each.category, each.type_id), each.category,
             each.type_id, each.label, (each.category, each.type_id) == main)
            for each in plan.links(*pair)
        ), table  # fmt: skip
    assert len(plan.portal.linked_pairs()) > 40


def id_columns(plan, near, far):
    names = {each.object_type_id: each.name.upper() for each in plan.portal.object_types()}
    if near == far:
        return f"FROM_{names[near]}_OBJECTID", f"TO_{names[far]}_OBJECTID"
    return f"{names[near]}_OBJECTID", f"{names[far]}_OBJECTID"


def main_of(types):
    """(category, type id) of a pair's main type: the primary one, else the one without label."""
    primary = [each for each in types if each.primary]
    plain = [each for each in types if each.label is None]
    return next(((each.category, each.type_id) for each in primary + plain), None)


def test_association_definitions_are_the_portals(ask, plan):
    rows = ask(
        "SELECT FROMOBJECTTYPEID, TOOBJECTTYPEID, COMBINEDASSOCIATIONTYPEID, ASSOCIATIONCATEGORY, "
        "ASSOCIATIONTYPEID, LABEL, ISMAINASSOCIATIONDEFINITION FROM ASSOCIATION_DEFINITIONS"
    )
    enabled = [
        each.object_type_id for each in plan.portal.object_types() if plan.portal.is_enabled(each)
    ]
    planned = {
        (near, far, combined(each.category, each.type_id), each.category, each.type_id,
         each.label, (each.category, each.type_id) == main_of(types))
        for near in enabled
        for far in enabled
        for types in [plan.portal.association_definitions(near, far)]
        for each in types
    }  # fmt: skip
    assert Counter(rows) == Counter(planned)


def test_memberships_are_the_portals(ask, plan):
    rows = ask("SELECT OBJECTTYPEID, LISTID, OBJECTID, UPDATEDAT FROM LIST_MEMBERSHIPS")
    assert Counter(rows) == Counter(
        (each.facts.object_type_id, each.facts.list_id, record_id, naive(joined))
        for each in plan.portal.lists(READ_AT)
        for record_id, joined in plan.members(each.facts.list_id, each.facts.object_type_id)
    )


def hashed(type_id, source_id):
    return int.from_bytes(hashlib.sha256(f"{type_id}:{source_id}".encode()).digest()[:8]) >> 2


@pytest.mark.parametrize("name", ["landing-page", "site-page", "blog-post"])
def test_pages_are_the_portals(ask, plan, name):
    table = f"OBJECTS_{name.replace('-', '_').upper()}S"
    rows = ask(f"SELECT OBJECTID, PROPERTY_HS_NAME, PROPERTY_HS_CREATEDATE FROM {table}")
    assert set(rows) == {
        (int(each["id"]), each["name"], naive(each.get("createdAt") or each["created"]))
        for each in plan.portal.pages(name, READ_AT)
    }


def test_files_sequences_and_threads_are_the_portals(ask, plan):
    files = ask("SELECT OBJECTID, PROPERTY_HS_NAME FROM OBJECTS_MEDIA")
    assert set(files) == {
        (int(each["id"]), each.get("name")) for each in plan.portal.files(READ_AT)
    }
    sequences = ask("SELECT OBJECTID, PROPERTY_HS_NAME FROM OBJECTS_SEQUENCES")
    assert set(sequences) == {
        (int(each["id"]), each["name"]) for each in plan.portal.sequences(READ_AT)
    }
    threads = ask("SELECT OBJECTID, PROPERTY_STATUS FROM OBJECTS_CONVERSATIONS")
    assert set(threads) == {
        (int(each["id"]), each["status"]) for each in plan.portal.threads(READ_AT)
    }


def test_deal_splits_are_the_portals(ask, plan):
    rows = ask(
        "SELECT OBJECTID, PROPERTY_DEAL_ID, PROPERTY_HUBSPOT_OWNER_ID FROM OBJECTS_DEAL_SPLITS"
    )
    assert set(rows) == {
        (int(each["id"]), str(deal), each["properties"]["hubspot_owner_id"])
        for deal, splits in plan.portal.deal_splits(READ_AT).items()
        for each in splits
    }


def test_lists_are_records_too(ask, plan):
    rows = ask("SELECT OBJECTID, PROPERTY_HS_LIST_NAME, PROPERTY_HS_LIST_SIZE FROM OBJECTS_LISTS")
    assert set(rows) == {
        (each.facts.list_id, each.facts.name, each.size) for each in plan.portal.lists(READ_AT)
    }


def test_forms_and_their_submissions_are_the_portals(ask, plan):
    """Archived forms are absent, but what was entered in them is not."""
    forms = plan.portal.forms(READ_AT)
    assert any(each.archived for each in forms)
    rows = ask("SELECT OBJECTID, PROPERTY_SOURCE_ID, PROPERTY_HS_NAME FROM OBJECTS_FORMS")
    assert set(rows) == {
        (hashed("0-28", each.asset_id), each.asset_id, each.told["name"])
        for each in forms
        if not each.archived
    }
    submissions = ask(
        "SELECT PROPERTY_FORM_ID, PROPERTY_HS_CREATEDATE, PROPERTY_VALUES "
        "FROM OBJECTS_FORM_SUBMISSIONS"
    )
    planned = Counter(
        (form.asset_id, naive(each.submitted_at),
         json.dumps(each.told()["values"], sort_keys=True))
        for form in forms
        if form.told["formType"] != "blog_comment"
        for each in plan.portal.submissions(form.asset_id, START.replace(year=2020), END)
    )  # fmt: skip
    found = Counter(
        (form, moment, json.dumps(json.loads(values), sort_keys=True))
        for form, moment, values in submissions
    )
    assert found == planned
    assert max(planned.values()) > 1  # copies are submissions of their own


def test_marketing_emails_and_campaigns_are_the_portals(ask, plan):
    emails = ask(
        "SELECT OBJECTID, PROPERTY_HS_NAME, PROPERTY_SUBJECT FROM OBJECTS_MARKETING_EMAILS"
    )
    assert set(emails) == {
        (int(each.asset_id), each.told["name"], each.told.get("subject") or None)
        for each in plan.portal.marketing_emails(READ_AT)
        if not each.archived
    }
    campaigns = ask(
        "SELECT OBJECTID, PROPERTY_HS_ORIGIN_ASSET_ID, PROPERTY_HS_NAME FROM OBJECTS_CAMPAIGNS"
    )
    assert set(campaigns) == {
        (int(each.told["properties"]["hs_object_id"]), each.asset_id,
         each.told["properties"]["hs_name"])
        for each in plan.portal.campaigns(READ_AT)
    }  # fmt: skip


def test_engagements_are_the_activities_of_all_types(ask, plan):
    rows = ask("SELECT OBJECTID, PROPERTY_HS_ENGAGEMENT_TYPE FROM OBJECTS_ENGAGEMENTS")
    kinds = {
        "0-48": "CALL",
        "0-47": "MEETING",
        "0-46": "NOTE",
        "0-27": "TASK",
        "0-116": "POSTAL_MAIL",
    }
    told_by = {"0-49": "hs_email_direction", "0-18": "hs_communication_channel_type"}
    planned = {each: kind for type_id, kind in kinds.items() for each in plan.rows(type_id)}
    for type_id, name in told_by.items():
        planned |= {each: row[name] for each, row in plan.rows(type_id).items()}
    assert {key for key, _ in rows} == planned.keys()
    assert {(key, kind) for key, kind in rows if planned[key]} == {
        (key, kind) for key, kind in planned.items() if kind
    }


def test_events_of_the_events_api_are_the_portals(ask, warehouse, plan):
    rows = ask(
        "SELECT FULLYQUALIFIEDNAME, TABLENAME FROM OBJECT_AND_EVENT_TYPE_DEFINITIONS "
        "WHERE KIND = 'EVENT'"
    )
    tables = dict(rows)
    counts = plan.portal.event_counts(START, END)
    for name in counts:
        found = warehouse.execute(
            f'SELECT ID, OBJECTTYPEID, OBJECTID, OCCURREDAT FROM "{tables[name]}"'
        ).fetchall()
        assert Counter(found) == Counter(
            (each.id, each.object_type_id, each.object_id, naive(each.occurred_at))
            for each in plan.events(name)
        ), name
    assert sum(counts.values()) > 1000
