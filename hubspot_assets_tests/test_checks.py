"""Checks of tables, seen failing by portals and files that deserve it; and when tables are due."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.tables.all import all_tables
from hubspot_assets_tests.conftest import DAY, READ_AT

DAY_BEFORE = "2026-11-21"
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture
def checked(reach, shared_sandbox):
    """Materializes tables with what they need, and gives what became of their checks."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(*tables, sandbox=shared_sandbox, day=DAY, **more):
            folder = reach(sandbox, **more)
            linked = [("0-1", "0-2"), ("0-2", "0-3")]
            defs = build_defs(standard_catalog().with_linked(linked), load_settings())
            wanted = dg.AssetSelection.assets(*tables).upstream()
            result = defs.resolve_job_def(JOB).execute_in_process(
                instance=instance,
                partition_key=day,
                asset_selection=sorted(wanted.resolve(defs.resolve_asset_graph())),
            )
            assert result.success

            return Checked(instance, folder, day)

        yield run


@dataclass
class Checked:
    """What became of the checks of a day."""

    instance: dg.DagsterInstance
    folder: Path
    day: str

    def __call__(self, table: str, name: str = "published") -> Any:
        key = dg.AssetCheckKey(dg.AssetKey(table), name)
        found = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
        event = found[key].event
        assert event
        return event.get_dagster_event().asset_check_evaluation_data

    def manifest(self, table: str) -> Any:
        return json.loads((self.folder / self.day / table / "_manifest.json").read_text())


def flawed(found, severity, words):
    """Whether a check failed as it was to."""
    assert not found.passed
    assert found.severity is severity
    assert words in found.description, found.description
    return True


TABLES = (
    "OBJECTS",
    "OBJECTS_DEALS",
    "OBJECT_PROPERTIES",
    "OBJECT_PROPERTIES_HISTORY",
    "ASSOCIATIONS_COMPANIES_TO_DEALS",
    "LIST_MEMBERSHIPS",
    "EVENTS_VISITED_PAGE",
    "OBJECTS_FORMS",
)


def test_a_portal_in_order_passes_every_check(checked, shared_sandbox):
    of = checked(*TABLES, OBJECT_TYPES="deals,companies,forms")
    for table in TABLES:
        assert of(table).passed, of(table).description
    live = shared_sandbox.portal.live_count("0-3", READ_AT)
    counted = of("OBJECTS_DEALS", "hubspots_count")
    assert counted.passed
    assert {name: each.value for name, each in counted.metadata.items()} == {
        "records_read": live,
        "records_by_hubspots_count": live,
    }
    assert of("OBJECT_PROPERTIES_HISTORY", "newest_values").passed
    assert of("LIST_MEMBERSHIPS", "sizes").passed


def test_a_check_of_a_day_is_told_once_and_of_that_day(checked):
    checked("OWNERS", day=DAY_BEFORE)
    of = checked("OWNERS")
    key = dg.AssetCheckKey(dg.AssetKey("OWNERS"), "published")
    found = of.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert [(each.partition, each.status.value) for each in found] == [
        (DAY, "SUCCEEDED"),
        (DAY_BEFORE, "SUCCEEDED"),
    ]


def write_day_before(folder, rows):
    """The manifest of the day before, where tables had these rows."""
    lines = [
        {"table": name, "rows": number, "bytes": 1, "parts": 1, "manifest": "-"}
        | {"point_in_time": True, "availability": {"status": "available"}}
        for name, number in rows.items()
    ]
    told = {"portal_id": None, "day": DAY_BEFORE, "as_of": "2026-11-22T00:00:00.000Z"}
    path = folder / DAY_BEFORE / "_manifest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told | {"tables": lines, "rows": 1, "bytes": 1}))


def test_rows_are_held_against_the_day_before(checked):
    of = checked("OBJECTS_DEALS")
    rows = of.manifest("OBJECTS_DEALS")["rows"]
    assert of("OBJECTS_DEALS").description == f"{rows} rows"
    write_day_before(of.folder, {"OBJECTS_DEALS": rows + 1})
    of = checked("OBJECTS_DEALS")
    assert of("OBJECTS_DEALS").description == f"{rows} rows, {rows + 1} the day before"
    write_day_before(of.folder, {"OBJECTS_DEALS": 2 * rows})
    of = checked("OBJECTS_DEALS")
    assert flawed(of("OBJECTS_DEALS"), WARN, f"{rows} rows; the day before had {2 * rows}")
    (of.folder / DAY_BEFORE / "_manifest.json").write_text("{")
    assert checked("OBJECTS_DEALS")("OBJECTS_DEALS").passed


def test_a_portal_that_hides_its_deals_is_an_error(checked, change, shared_sandbox):
    def hide(path, asked, body):
        if "/objects/" in path and path.endswith("/0-3"):
            body["results"] = []
            body.pop("paging", None)

    change(hide)
    of = checked("OBJECTS_DEALS")
    live = shared_sandbox.portal.live_count("0-3", READ_AT)
    told = f"0 live records were read, and HubSpot counts {live}"
    assert flawed(of("OBJECTS_DEALS", "hubspots_count"), WARN, told)
    write_day_before(of.folder, {"OBJECTS_DEALS": live})
    of = checked("OBJECTS_DEALS")
    assert flawed(of("OBJECTS_DEALS"), ERROR, f"0 rows; the day before had {live}")


def test_records_that_ended_explain_why_there_are_fewer(checked):
    with serve(PortalConfig(records=300, now=READ_AT, burst=100_000)) as sandbox:
        of = checked("OBJECTS", sandbox=sandbox, day="2026-11-11", OBJECT_TYPES="tasks")
        before, after = (
            set(sandbox.portal.live_ids("0-27", READ_AT.replace(day=day, hour=0)))
            for day in (11, 12)
        )
    counts = of.manifest("OBJECTS")["counts"]
    assert counts["records_live"] == len(after) == of.manifest("OBJECTS")["rows"]
    assert counts["records_ended_on_day"] == len(before - after) == 1


def test_a_scope_that_is_missing_is_a_warning_and_what_a_portal_does_not_have_is_none(checked):
    config = PortalConfig(
        records=30,
        now=READ_AT,
        burst=100_000,
        without_scopes=frozenset({"crm.objects.deals.read"}),
    )
    with serve(config) as sandbox:
        of = checked(
            "OBJECTS",
            "OBJECTS_DEALS",
            "OBJECTS_COMPANIES",
            "OBJECTS_SALES_DOCUMENTS",
            sandbox=sandbox,
            OBJECT_TYPES="deals,companies,0-83",
        )
    for table in ("OBJECTS", "OBJECTS_DEALS"):
        assert flawed(of(table), WARN, "crm.objects.deals.read")
    assert of("OBJECTS_COMPANIES").passed
    assert of("OBJECTS_SALES_DOCUMENTS").passed
    assert "no rows: " in of("OBJECTS_SALES_DOCUMENTS").description


def test_hubspots_own_count_is_asked_for_once_for_all_types(checked, sandbox, change):
    def lie(path, asked, body):
        if path.endswith("/records") and "/limits/" in path:
            for each in body["hubspotDefinedObjectTypes"]:
                each["usage"] += 20 * (each["objectTypeId"] == "0-3")

    change(lie)
    of = checked("OBJECTS_DEALS", "OBJECTS_COMPANIES", sandbox=sandbox)
    live = sandbox.portal.live_count("0-3", READ_AT)
    told = f"{live} live records were read, and HubSpot counts {live + 20}"
    assert flawed(of("OBJECTS_DEALS", "hubspots_count"), WARN, told)
    assert of("OBJECTS_COMPANIES", "hubspots_count").passed
    asked = [number for (path, _), number in sandbox.requests.items() if "limits" in path]
    assert asked == [1]


def test_where_hubspot_does_not_tell_its_count_the_records_are_delivered_all_the_same(
    checked, sandbox
):
    refusal = {"status": 403, "form": "envelope", "category": "MISSING_SCOPES"}
    sandbox.faults.add("status", times=100, path="/limits/", **refusal)
    of = checked("OBJECTS_DEALS", sandbox=sandbox)
    found = of("OBJECTS_DEALS", "hubspots_count")
    assert found.passed
    assert found.description == "HubSpot does not tell how many records there are"
    assert of("OBJECTS_DEALS").passed


def test_values_of_another_type_than_declared_are_a_warning(checked, change):
    def declare(path, asked, body):
        if "/properties/" in path and path.endswith("/0-3"):
            for each in body["results"]:
                if each["name"] in ("dealname", "dealstage", "pipeline"):
                    each["type"] = "number"

    change(declare)
    of = checked("OBJECTS_DEALS", "OBJECT_PROPERTIES")
    assert flawed(of("OBJECTS_DEALS"), WARN, "values that don't read as their property's type")
    assert of("OBJECT_PROPERTIES").passed


def test_cells_that_nobody_can_know_are_a_warning(checked):
    of = checked("OBJECTS_CONTACTS", "OBJECTS", day="2026-03-01", OBJECT_TYPES="contacts")
    assert flawed(of("OBJECTS_CONTACTS"), WARN, "cells whose value at the end of the day can't be")
    assert of("OBJECTS").passed


def test_current_values_unlike_the_newest_of_their_histories_are_a_warning(checked, change):
    def differ(path, asked, body):
        if "propertiesWithHistory" in (asked or {}):
            for each in body["results"]:
                written = [name for name, past in each["propertiesWithHistory"].items() if past]
                each["properties"] |= dict.fromkeys(written[:9], "of another hand")

    change(differ, "POST")
    of = checked("OBJECT_PROPERTIES_HISTORY", OBJECT_TYPES="contacts")
    told = "values differ from the newest of their history"
    assert flawed(of("OBJECT_PROPERTIES_HISTORY", "newest_values"), WARN, told)


def test_links_that_end_nowhere_are_a_warning(checked, change):
    def link(path, asked, body):
        if path.endswith(("/0-2/0-1/batch/read", "/0-1/0-2/batch/read")):
            for each in body["results"]:
                each["to"] += [each["to"][0] | {"toObjectId": nobody} for nobody in range(7, 17)]

    change(link, "POST")
    tables = "ASSOCIATIONS_CONTACTS_TO_COMPANIES", "ASSOCIATIONS"
    with time_machine.travel(READ_AT):
        of = checked(*tables, OBJECT_TYPES="contacts,companies")
    for table in tables:
        assert flawed(of(table), WARN, "links are left out")


def test_lists_of_another_size_are_a_warning(checked, change):
    def grow(path, asked, body):
        for each in body.get("results", ()) if path.endswith("/lists/2026-09/all") else ():
            each["additionalProperties"]["hs_list_size"] = "99999"

    change(grow, "POST")
    of = checked("LIST_MEMBERSHIPS")
    lists = of.manifest("LIST_MEMBERSHIPS")["counts"]["lists_read"]
    told = f"of {lists} lists have other members than their SIZE"
    assert flawed(of("LIST_MEMBERSHIPS", "sizes"), WARN, told)


def test_a_table_that_is_not_as_declared_is_an_error(checked, monkeypatch):
    """A file that deserves it: its columns are others than the asset shows."""

    def misdeclared(*arguments, **more):
        tables = all_tables(*arguments, **more)
        return [
            replace(each, spec=replace(each.spec, columns=each.spec.columns[1:])) for each in tables
        ]

    monkeypatch.setattr("hubspot_assets.definitions.all_tables", misdeclared)
    assert flawed(checked("OWNERS")("OWNERS"), ERROR, "the columns are not those")


def test_every_table_is_due_by_a_time_of_the_morning(reach, shared_sandbox):
    reach(shared_sandbox, EXPORT_TIMEZONE="Europe/Warsaw", EXPORT_FRESH_BY="05:30")
    due = dg.FreshnessPolicy.cron(
        deadline_cron="30 5 * * *",
        lower_bound_delta=timedelta(hours=5, minutes=30),
        timezone="Europe/Warsaw",
    )
    specs = build_defs(standard_catalog(), load_settings()).resolve_all_asset_specs()
    for spec in specs:
        assert spec.freshness_policy == (due if len(spec.key.path) == 1 else None)
