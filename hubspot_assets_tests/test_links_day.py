"""Links and members of a day, delivered from answers that were changed on the wire."""

import json
from collections import Counter
from datetime import UTC, datetime

import duckdb
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, END, READ_AT

CONTACTS, COMPANIES, DEALS = "0-1", "0-2", "0-3"
TYPES = {CONTACTS: "contacts", COMPANIES: "companies", DEALS: "deals"}
PAIRS = [(near, far) for near in TYPES for far in TYPES]
#: Months before the portal is read: much has come since.
EARLIER, ITS_END = "2026-06-30", datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def delivered(reach, shared_sandbox):
    """Delivers tables of a day; gives a function for rows and manifest of one."""

    def run(*tables, day=DAY, types="contacts,companies,deals"):
        folder = reach(shared_sandbox, OBJECT_TYPES=types, EXPORT_START="2026-01-01") / day
        deliver(load_settings(), day, tables, Display())

        def table(name):
            rows = duckdb.sql(
                f"FROM read_csv('{folder}/{name}/**/*.csv.gz', header=true, all_varchar=true)"
            )
            manifest = json.loads((folder / name / "_manifest.json").read_text())
            return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()], manifest

        return table

    return run


def rows_of(rows):
    """(from type, to type, from id, to id, type id) of rows of ASSOCIATIONS."""
    names = ("FROMOBJECTTYPEID", "TOOBJECTTYPEID", "FROMOBJECTID", "TOOBJECTID")
    return Counter((*(row[name] for name in names), int(row["ASSOCIATIONTYPEID"])) for row in rows)


def planned(portal, end):
    """The same of the portal's links between records that were there at `end`."""
    live = {each: set(portal.live_ids(each, end)) for each in TYPES}
    return Counter(
        (near, far, str(each.from_id), str(each.to_id), each.type_id)
        for near, far in PAIRS
        for each in portal.links(near, far, READ_AT)
        if each.from_id in live[near] and each.to_id in live[far]
    )


def test_links_that_answers_leave_out_fail_to_tell_or_tell_twice_are_all_there_once(
    delivered, change, shared_sandbox
):
    done = Counter()

    def edit(path, asked, body):
        if not (path.endswith("/batch/read") and "/associations/" in path):
            return
        told = body["results"]
        if len(told) > 3 and path not in done:
            done[path] = 1
            failed = told.pop()["from"]["id"]
            told.pop()
            told.append(told[0])
            body.setdefault("errors", []).append(
                {"category": "INTERNAL_ERROR", "context": {"fromObjectId": [failed]}}
            )

    change(edit, "POST")
    rows, manifest = delivered("ASSOCIATIONS")("ASSOCIATIONS")
    assert rows_of(rows) == planned(shared_sandbox.portal, END)
    assert len(done) >= 4
    assert manifest["counts"]["links_repeated"] > 0
    assert any("told twice" in each for each in manifest["warnings"])
    assert manifest["availability"]["status"] == "available"


def assert_all_but_of_deals(rows, portal, without):
    """Contacts and deals are linked as planned, but for these deals."""
    expected = {
        (contact, deal)
        for *pair, contact, deal, _ in planned(portal, END)
        if pair == [CONTACTS, DEALS] and deal not in without
    }
    assert {(row["CONTACT_OBJECTID"], row["DEAL_OBJECTID"]) for row in rows} == expected != set()


ODD_LINKS = [
    None,
    "151000000001",
    {},
    {"toObjectId": "x", "associationTypes": []},
    {"toObjectId": 7, "associationTypes": [{"category": None, "typeId": 3, "label": None}]},
    {"toObjectId": 7, "associationTypes": None},
]


@pytest.mark.slow
def test_a_link_that_is_none_costs_itself_alone(delivered, change, shared_sandbox):
    odd = set()

    def edit(path, asked, body):
        if path.endswith("/0-3/0-1/batch/read"):
            first, second = body["results"][:2]
            first["to"] += ODD_LINKS
            second["to"] = "151000000001"
            odd.add(second["from"]["id"])

    change(edit, "POST")
    table = delivered("ASSOCIATIONS_CONTACTS_TO_DEALS", types="contacts,deals")
    rows, manifest = table("ASSOCIATIONS_CONTACTS_TO_DEALS")
    assert_all_but_of_deals(rows, shared_sandbox.portal, odd)
    assert manifest["counts"]["links_unread"] == len(ODD_LINKS) + 1
    assert any(each.startswith("7 links were told in no form") for each in manifest["warnings"])


def test_links_that_hubspot_refuses_to_tell_are_counted_by_record(
    delivered, change, shared_sandbox
):
    refused = set()

    def edit(path, asked, body):
        if path.endswith("/0-3/0-1/batch/read"):
            for result in [each for each in body["results"] if each["from"]["id"].endswith("7")]:
                body["results"].remove(result)
                refused.add(result["from"]["id"])
                error = {"message": "no", "context": {"fromObjectId": [result["from"]["id"]]}}
                body.setdefault("errors", []).append(error)

    change(edit, "POST")
    table = delivered("ASSOCIATIONS_CONTACTS_TO_DEALS", types="contacts,deals")
    rows, manifest = table("ASSOCIATIONS_CONTACTS_TO_DEALS")
    assert_all_but_of_deals(rows, shared_sandbox.portal, refused)
    assert manifest["counts"]["records_refused"] == len(refused) > 0
    for each in refused:
        assert any(f"record {each} are missing: no" in text for text in manifest["warnings"])


def test_links_and_members_of_an_earlier_day_end_at_its_records(delivered, shared_sandbox):
    portal = shared_sandbox.portal
    table = delivered("ASSOCIATIONS", "OBJECTS", "LIST_MEMBERSHIPS", day=EARLIER)
    objects = {(row["OBJECTTYPEID"], row["OBJECTID"]) for row in table("OBJECTS")[0]}
    rows, manifest = table("ASSOCIATIONS")
    assert rows_of(rows) == planned(portal, ITS_END)
    for row in rows:
        assert (row["FROMOBJECTTYPEID"], row["FROMOBJECTID"]) in objects
        assert (row["TOOBJECTTYPEID"], row["TOOBJECTID"]) in objects
    others = planned(portal, READ_AT).total() - len(rows)
    assert manifest["counts"]["links_of_records_left_out"] == others > 0
    assert manifest["counts"]["links_repeated"] == 0
    assert any("links are left out" in each for each in manifest["warnings"])

    rows, manifest = table("LIST_MEMBERSHIPS")
    joined = [
        (each.facts, str(record_id), moment)
        for each in portal.lists(READ_AT)
        for record_id, moment in portal.members(each.facts.list_id, READ_AT)
    ]
    then = [each for each in joined if each[2] < ITS_END]
    assert Counter((row["LISTID"], row["OBJECTID"]) for row in rows) == Counter(
        (str(facts.list_id), record_id)
        for facts, record_id, _ in then
        if (facts.object_type_id, record_id) in objects or facts.object_type_id not in TYPES
    )
    assert {row["OBJECTTYPEID"] for row in rows} > TYPES.keys(), "no list of a type left out"
    counts = manifest["counts"]
    assert counts["members_who_joined_since"] == len(joined) - len(then) > 0
    assert counts["members_left_out"] == len(then) - len(rows)
    assert any("joined after the day" in each for each in manifest["warnings"])
