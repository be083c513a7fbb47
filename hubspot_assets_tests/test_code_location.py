"""The code location: what Dagster loads, schedules and runs."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer

from hubspot_assets.assets.resources import connect, s3_resource
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.discovery import refresh_catalog
from hubspot_assets.export import read_manifest
from hubspot_assets.hubspot.catalog import discover, standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets.tables.counts import UNPARSED
from hubspot_assets_tests.conftest import DAY, READ_AT, place, set_environment

ROOT = Path(__file__).parents[1]
SNAPSHOT = Path(__file__).with_name("asset_graph.txt")


@pytest.fixture(scope="module")
def standard(shared_sandbox, tmp_path_factory):
    """The graph of a portal whose contacts, companies and deals have been seen linked."""
    linked = [("0-1", "0-2"), ("0-1", "0-3"), ("0-2", "0-2")]
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, shared_sandbox, tmp_path_factory.mktemp("standard"))
        return build_defs(standard_catalog().with_linked(linked), load_settings())


def graph_of(defs):
    """A line per asset: its group, key and what it is made of."""
    lines = [
        f"{spec.group_name}: {spec.key.to_user_string()} <- "
        + ", ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps))
        for spec in defs.resolve_all_asset_specs()
    ]
    return "\n".join(sorted(line.removesuffix(" <- ") for line in lines)) + "\n"


def test_the_asset_graph_is_the_one_that_was_reviewed(standard):
    """To accept a change: UPDATE_SNAPSHOT=1 pytest hubspot_assets_tests/test_code_location.py"""
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(graph_of(standard))
    assert graph_of(standard).splitlines() == SNAPSHOT.read_text().splitlines()


def test_every_asset_says_what_it_is(standard):
    for spec in standard.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.kinds, spec.key
        assert spec.owners, spec.key
        assert (spec.group_name or "").removeprefix("hubspot_") in {
            *("records", "events", "lists", "associations", "organisation", "definitions"),
        }
        assert ("hubspot/api" in spec.tags) == spec.group_name.startswith("hubspot_")
        assert spec.partitions_def is not None


def test_all_that_runs_says_what_it_does(standard):
    repository = standard.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    for each in (*jobs, *repository.schedule_defs, *repository.sensor_defs):
        assert each.description, each.name


def refuse(*_):
    raise AssertionError("a connection was made")


def test_definitions_are_made_without_the_network(reach, shared_sandbox, monkeypatch):
    reach(shared_sandbox, OBJECT_TYPES="", EXPORT_URL="s3://a-bucket/prefix")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    dg.Definitions.validate_loadable(build_defs(standard_catalog(), load_settings()))


def test_the_code_location_is_loaded_without_the_network(
    reach, shared_sandbox, monkeypatch, tmp_path
):
    path = tmp_path / "catalog.json"
    reach(shared_sandbox, OBJECT_TYPES="", EXPORT_URL="s3://a-bucket/x", CATALOG_FILE=str(path))
    with connect(load_settings()) as client:
        place().save(discover(client))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pointer = CodePointer.from_module("hubspot_assets.definitions", "defs", working_directory=None)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        repository = initialize_repository_def_from_pointer(pointer)
    assert {JOB, "discover", "check", "purge_export", "forget"} <= set(repository.job_names)
    assert "OBJECTS_POP_TART___WAFFLE_LEADS" in repository.get_job(JOB).graph.node_dict
    assert len(repository.schedule_defs) == 5


def test_custom_types_have_tables_by_their_labels(reach, shared_sandbox):
    reach(shared_sandbox, OBJECT_TYPES="")
    with connect(load_settings()) as client:
        catalog = discover(client)
    defs = build_defs(catalog, load_settings())
    tables = {spec.key.path[0] for spec in defs.resolve_all_asset_specs()}
    assert {
        "OBJECTS_POP_TART___WAFFLE_LEADS",  # Pop-Tart & Waffle Leads
        "OBJECTS_INVENTORYS",  # Inventory, which has no plural label
        "OBJECTS_ASSETS",
        "OBJECTS_ASSETS_2_4410012",  # a second type of the label Assets
    } <= tables


@pytest.mark.parametrize(
    ("zone", "tick", "partition", "hours"),
    [
        ("UTC", "2026-11-23T01:30", "2026-11-22", 24),
        ("Europe/Warsaw", "2026-03-30T01:30", "2026-03-29", 23),
        ("Europe/Warsaw", "2026-10-26T01:30", "2026-10-25", 25),
        ("America/New_York", "2026-11-23T01:30", "2026-11-22", 24),
        ("America/New_York", "2026-11-02T01:30", "2026-11-01", 25),
        ("Asia/Tokyo", "2026-11-02T01:30", "2026-11-01", 24),
        # There the clock is set at midnight, forward over it or back to it.
        ("America/Havana", "2026-03-08T01:30", "2026-03-07", 24),
        ("America/Havana", "2026-03-09T01:30", "2026-03-08", 23),
        ("America/Havana", "2026-11-01T01:30", "2026-10-31", 24),
        ("America/Havana", "2026-11-02T01:30", "2026-11-01", 25),
    ],
)
def test_the_schedule_asks_for_the_day_that_has_ended(
    reach, shared_sandbox, zone, tick, partition, hours
):
    reach(shared_sandbox, EXPORT_TIMEZONE=zone)
    defs = build_defs(standard_catalog(), load_settings())
    schedule = defs.resolve_schedule_def("daily_export")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    at = datetime.fromisoformat(tick).replace(tzinfo=ZoneInfo(zone))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.partition_key == partition
    partitions: Any = defs.resolve_job_def(JOB).partitions_def
    window = partitions.time_window_for_partition_key(partition)
    assert (window.end.timestamp() - window.start.timestamp()) / 3600 == hours


def test_the_workspace_loads(reach, shared_sandbox):
    reach(shared_sandbox)
    done = subprocess.run(
        [Path(sys.executable).with_name("dagster"), "definitions", "validate"],
        cwd=ROOT,
        env=os.environ | {"EXPORT_URL": os.environ["EXPORT_URL"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_steps_run_in_processes_of_their_own_by_a_setting(reach, shared_sandbox, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    folder = reach(
        shared_sandbox,
        OBJECT_TYPES="deals",
        EXPORT_EXECUTOR="multiprocess",
        DAGSTER_HOME=str(home),
    )
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize"]
    done = subprocess.run(
        [
            *command,
            *("--select", "OWNERS,OWNER_TEAM,hubspot/owners"),
            *("--partition", DAY, "-m", "hubspot_assets.definitions"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    processes = set(re.findall(r"- (\d+) - (?:hubspot__owners|OWNERS) - STEP_START", done.stderr))
    assert len(processes) == 2, done.stderr
    manifest = json.loads((folder / DAY / "OWNERS" / "_manifest.json").read_text())
    assert manifest["rows"] == len(shared_sandbox.portal.owners())


def test_a_run_tells_numbers_and_never_a_customers_values(reach, shared_sandbox):
    folder = reach(shared_sandbox, OBJECT_TYPES="contacts")
    defs = build_defs(standard_catalog(), load_settings())
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(JOB).execute_in_process(instance=instance, partition_key=DAY)
        told = "\n".join(str(entry.to_json()) for entry in instance.all_logs(result.run_id))
    for record_id in shared_sandbox.portal.live_ids("0-1", READ_AT):
        record = shared_sandbox.portal.record("0-1", record_id, READ_AT)
        for name in ("email", "lastname", "phone", "address"):
            value = record.properties.get(name) or ""
            assert len(value) < 6 or value not in told
        assert str(record_id) not in told
    metadata: dict[str, Any] = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    table = metadata["OBJECTS_CONTACTS"]
    assert table["dagster/row_count"].value > 0
    assert table["dagster/size_bytes"].value > 0
    assert table["parts"].value == 1
    assert "OBJECTS_CONTACTS" in str(table["dagster/uri"].value)
    counts = read_manifest(open_store(folder), DAY, "OBJECTS_CONTACTS").counts
    shown = {name: table[name].value for name in counts if name in table}
    assert shown == {name: n for name, n in counts.items() if n or name == UNPARSED}
    assert shown != counts
    assert metadata["hubspot/contacts"]["requests"].value > 1
    assert metadata["hubspot/contacts"]["http_429"].value == 0


@pytest.fixture(scope="module")
def discovered(shared_sandbox, tmp_path_factory):
    """The code location of the portal, which has been discovered; all types are exported."""
    with pytest.MonkeyPatch.context() as patch:
        root, owners = tmp_path_factory.mktemp("discovered"), "team:crm,ann@example.com"
        set_environment(patch, shared_sandbox, root, EXPORT_OWNERS=owners)
        settings = load_settings()
        catalog = refresh_catalog(settings, s3_resource(settings).get_client).catalog
        return build_defs(catalog, settings)


def test_the_assets_are_those_that_tell_something(discovered, shared_sandbox):
    keys = discovered.resolve_asset_graph().get_all_asset_keys()
    assert 200 < len(keys) < 300
    titles = [key.path[-1] for key in keys]
    assert len(set(titles)) == len(titles)
    assert dg.AssetKey(["hubspot", "properties"]) in keys
    portal = shared_sandbox.portal
    ids = {each.object_type_id for each in portal.object_types()}
    linked = {(a, b) for a in ids for b in ids if any(True for _ in portal.links(a, b, READ_AT))}
    pairs = {key for key in keys if "_TO_" in key.path[0]}
    readings = {key for key in keys if key.path[:2] == ["hubspot", "associations"]}
    assert len(pairs) == len(linked) > 40
    said = [discovered.resolve_asset_graph().get(key).description for key in pairs]
    assert len(set(said)) == len(said)
    assert len(readings) == len({frozenset(pair) for pair in linked}) + 1


def test_assets_are_found_by_portal_type_and_owner(discovered, shared_sandbox):
    specs = {spec.key.to_user_string(): spec for spec in discovered.resolve_all_asset_specs()}
    portal = str(shared_sandbox.portal.config.portal_id)
    assert {spec.tags["hubspot/portal"] for spec in specs.values()} == {portal}
    assert {tuple(spec.owners) for spec in specs.values()} == {("team:crm", "ann@example.com")}
    for name in ("OBJECTS_DEALS", "hubspot/deals"):
        assert specs[name].tags["hubspot/object_type"] == "0-3"
    tags = specs["ASSOCIATIONS_DEALS_TO_CONTACTS"].tags
    assert (tags["hubspot/object_type"], tags["hubspot/to_object_type"]) == ("0-3", "0-1")
    assert specs["hubspot/deals"].tags["hubspot/api"] == "objects"


def test_columns_are_declared_once_by_the_contracts_names(standard):
    for spec in standard.resolve_all_asset_specs():
        if len(spec.key.path) == 1:
            schema = spec.metadata["dagster/column_schema"]
            assert all(each.name == each.name.upper() for each in schema.columns)
            assert all(each.description for each in schema.columns)
            wide = spec.key.path[0].startswith(("OBJECTS_", "EVENTS_"))
            assert ("property_columns_described_in" in spec.metadata) == wide


def test_a_launchpad_holds_no_list_of_tables(standard):
    schema = dg.serialize_value(standard.resolve_job_def(JOB).get_config_schema_snapshot())
    defaults = re.findall(r'"default_value_as_json_str": "((?:[^"\\]|\\.)*)"', schema)
    assert any("export" in each for each in defaults)
    assert not [each for each in defaults if '"OBJECT_PROPERTIES\\",' in each]


@pytest.mark.parametrize(
    ("found", "start", "first"),
    [
        ("2026-11-23T00:30:00+00:00", "", "2026-11-22"),
        ("2026-11-23T00:30:00+00:00", "2026-01-31", "2026-01-31"),
        (None, "", "2024-01-01"),
    ],
)
def test_the_first_partition_is_the_first_that_could_be_read(
    reach, shared_sandbox, found, start, first
):
    reach(shared_sandbox, EXPORT_START=start)
    catalog = replace(standard_catalog(), portal_id=1, discovered_at=found)
    partitions: Any = build_defs(catalog, load_settings()).resolve_job_def(JOB).partitions_def
    assert partitions.get_first_partition_key() == first
