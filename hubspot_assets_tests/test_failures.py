"""A source that can't be read costs the tables that need it, and no other."""

import json
import re
from pathlib import Path

import dagster as dg
import pytest

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, place
from hubspot_assets_tests.test_commands import run

TYPES = "contacts,companies,deals"
#: A fault, what is to blame for it, one of the tables that need it and some that don't.
CASES = {
    "an event type": (
        "/events/event-occurrences/[^/]*$",
        "hubspot/events/visited_page: ",
        {"EVENTS_VISITED_PAGE"},
        {"OBJECTS", "ASSOCIATIONS", "EVENTS_OPENED_EMAIL_V2", "LISTS", "OWNERS"},
    ),
    "a pair of types": (
        "/associations/.*/0-3/0-2/batch|/associations/.*/0-2/0-3/batch",
        "hubspot/associations/companies_and_deals: ",
        {"ASSOCIATIONS_COMPANIES_TO_DEALS", "ASSOCIATIONS_DEALS_TO_COMPANIES", "ASSOCIATIONS"},
        {"OBJECTS", "ASSOCIATIONS_CONTACTS_TO_DEALS", "LIST_MEMBERSHIPS", "EVENTS_VISITED_PAGE"},
    ),
    "a type": (
        "/crm/objects/.*/0-3",
        "hubspot/deals: ",
        {"OBJECTS_DEALS", "OBJECTS", "ASSOCIATIONS", "ASSOCIATIONS_DEALS_TO_CONTACTS"},
        {"OBJECTS_CONTACTS", "ASSOCIATIONS_CONTACTS_TO_COMPANIES", "OWNERS", "LISTS"},
    ),
    "a type's properties": (
        "/crm/properties/.*/0-3",
        "hubspot/deals: deals (properties/0-3) can't be read: ",
        {"OBJECTS_DEALS", "OBJECTS", "PROPERTY_DEFINITIONS", "ASSOCIATIONS_DEALS_TO_CONTACTS"},
        {"OBJECTS_CONTACTS", "ASSOCIATIONS_CONTACTS_TO_COMPANIES", "PIPELINES"},
    ),
}


@pytest.fixture
def discovered(sandbox, reach):
    """The export folder of a portal that has been discovered."""
    folder = reach(sandbox, OBJECT_TYPES=TYPES)
    assert run("discover")[0] == 0
    return folder / DAY


def complete(folder):
    return {path.parent.name for path in folder.glob("*/_manifest.json")}


@pytest.mark.samples("a type")
@pytest.mark.parametrize("case", CASES)
def test_a_source_that_fails_costs_what_needs_it(sandbox, discovered, case):
    path, blame, lost, kept = CASES[case]
    sandbox.faults.add("bad_gateway", times=10_000, path=path)
    status, output = run("export", "--day", DAY)
    assert status == 1
    errors = [line for line in output.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    others = "hubspot/(event|object)_types"  # which ask for a record of each type
    source, colon, _ = blame.partition(": ")
    named = rf"({others}, )?{re.escape(source)}(, {others})?"
    assert re.match(f"error: {named}{colon}", errors[0]), output
    assert "gave up after" in errors[0]
    cost = errors[0].partition("; without it there is no ")[2]
    assert min(lost) in cost
    assert kept <= complete(discovered)
    assert not lost & complete(discovered)
    assert not (discovered / "_manifest.json").exists()
    sandbox.faults.clear()
    whole = case == "a type"  # it costs a whole export, and of the others what was lost will do
    assert run("export", "--day", DAY, *([] if whole else ["--select", ",".join(lost)]))[0] == 0
    assert lost | kept <= complete(discovered)
    assert (discovered / "_manifest.json").exists() or not whole


@pytest.mark.slow
def test_pairs_without_links_fail_one_by_one_and_are_named(sandbox, discovered, monkeypatch):
    """Tickets are linked with companies; of no pair is it known here."""
    monkeypatch.setenv("OBJECT_TYPES", f"{TYPES},tickets")
    path = Path(place().url)
    known = json.loads(path.read_text())
    assert ["0-2", "0-5"] in known["linked"]
    known["linked"] = [pair for pair in known["linked"] if pair != ["0-2", "0-5"]]
    path.write_text(json.dumps(known))
    sandbox.faults.add(
        "bad_gateway", times=10_000, path="/associations/.*/0-5/0-2/batch|/0-2/0-5/batch"
    )
    status, output = run("export", "--day", DAY)
    assert status == 1
    assert "error: ASSOCIATIONS: companies_and_tickets (associations/0-2_0-5) can't be read: " in (
        output
    )
    assert f"; materialize hubspot/associations/other_pairs for {DAY} once that is" in output
    assert {"ASSOCIATIONS_CONTACTS_TO_DEALS", "OBJECTS", "LISTS"} <= complete(discovered)
    assert "ASSOCIATIONS" not in complete(discovered)


def test_an_asset_alone_fails_where_one_of_its_sources_does(sandbox, discovered):
    sandbox.faults.add("bad_gateway", times=10_000, path="/crm/properties/.*/0-3")
    defs = build_defs(place().load(), load_settings())
    result = defs.resolve_job_def(JOB).execute_in_process(
        partition_key=DAY,
        asset_selection=[dg.AssetKey(["hubspot", "properties"])],
        raise_on_error=False,
    )
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    told = failure.step_failure_data.user_failure_data.description
    assert told.startswith("deals (properties/0-3) can't be read: GET ")


def test_a_run_whose_reading_takes_long_says_how_far_it_is(sandbox, discovered, monkeypatch):
    monkeypatch.setattr("hubspot_assets.assets.sources._SILENT", 0.0)
    sandbox.faults.add("slow", times=10_000, path="/crm/objects/.*/0-1$", seconds=0.6)
    defs = build_defs(place().load(), load_settings())
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(JOB).execute_in_process(
            partition_key=DAY,
            asset_selection=[dg.AssetKey(["hubspot", each]) for each in ("properties", "contacts")],
            instance=instance,
        )
        told = [each.user_message for each in instance.all_logs(result.run_id)]
    said = [each for each in told if each.startswith("still reading from HubSpot")]
    assert any(re.search(r"; so far contacts \d", each) for each in said), said


@pytest.mark.slow
def test_the_first_links_of_a_pair_are_remembered_and_delivered(sandbox, discovered):
    path = Path(place().url)
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"linked": [["0-1", "0-2"]]}))
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    theirs = {name for name in complete(discovered) if "_TO_" in name}
    assert {"ASSOCIATIONS_CONTACTS_TO_DEALS", "ASSOCIATIONS_DEALS_TO_CONTACTS"} <= theirs
    seen = json.loads(path.read_text())["linked"]
    assert len(seen) > 1
    assert all(pair in known["linked"] for pair in seen)
    tables = json.loads((discovered / "_manifest.json").read_text())["tables"]
    assert {each["table"] for each in tables} == complete(discovered)
    for name in theirs:
        assert f"  {name}" in output
