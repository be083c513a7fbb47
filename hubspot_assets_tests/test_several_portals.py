"""Several portals in one deployment: each is its own, and none gets in another's way."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
import time_machine
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer
from dagster._core.workspace.load import location_origins_from_yaml_paths

from hubspot_assets.assets import healing
from hubspot_assets.assets.resources import ReadingOptions, StagingResource, s3_resource
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.deliver import deliver
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, FEW_EVENTS, READ_AT, set_environment
from hubspot_assets_tests.operating import ROOT, operated
from hubspot_assets_tests.test_commands import fails, run
from hubspot_assets_tests.test_queue import finish
from hubspot_assets_tests.test_two_at_once import rows_of

BEFORE = "2026-11-21"
IDS = {"acme": 1111111, "globex-eu": 2222222}
FEW = ("OWNERS", "TEAMS", "OBJECTS_COMPANIES", "PIPELINES")


def config(name, **more):
    number = list(IDS).index(name)
    common = PortalConfig(
        records=60,
        seed=7 + number,
        now=READ_AT,
        burst=100_000,
        portal_id=IDS[name],
        token=f"pat-na1-{number}a2d0b0c-0000-4000-8000-5a4d0b0c5a4d",
    )
    return replace(common, **more)


@pytest.fixture(scope="module")
def sandboxes():
    """The two portals, by name."""
    with serve(config("acme")) as acme, serve(config("globex-eu")) as globex:
        yield {"acme": acme, "globex-eu": globex}


@pytest.fixture
def deploy(monkeypatch, tmp_path, reach):
    """Describes portals in a file, with tokens in the environment; gives where they export to."""

    def set_up(sandboxes, **more):
        reach(
            next(iter(sandboxes.values())),
            OBJECT_TYPES="companies",
            EXPORT_URL="",
            HUBSPOT_ACCESS_TOKEN="",
            HUBSPOT_BASE_URL="",
            PORTALS_FILE=str(tmp_path / "portals.toml"),
            **more,
        )
        text = ""
        for name, sandbox in sandboxes.items():
            variable = f"HUBSPOT_ACCESS_TOKEN_{name[:4].upper()}"
            monkeypatch.setenv(variable, sandbox.token)
            text += (
                f'[{name}]\nHUBSPOT_ACCESS_TOKEN = {{ env = "{variable}" }}\n'
                f'HUBSPOT_BASE_URL = "{sandbox.url}"\nEXPORT_URL = "{tmp_path / name}"\n'
            )
        (tmp_path / "portals.toml").write_text(text)
        return {name: tmp_path / name for name in sandboxes}

    return set_up


@pytest.fixture(scope="module")
def alone(sandboxes, tmp_path_factory):
    """The rows of each portal's day where it is the only one."""
    found = {}
    for name, sandbox in sandboxes.items():
        with pytest.MonkeyPatch.context() as patch:
            few = {"OBJECT_TYPES": "companies", "EVENT_TYPES": FEW_EVENTS}
            folder = set_environment(patch, sandbox, tmp_path_factory.mktemp("alone"), **few)
            status, output = run("export", "--day", DAY)
            assert status == 0, output
            found[name] = rows_of(folder)
    return found


@pytest.mark.slow
def test_each_is_delivered_by_its_name(deploy, sandboxes, alone):
    folders = deploy(sandboxes)
    for name, folder in folders.items():
        status, output = run("--portal", name, "export", "--day", DAY)
        assert status == 0, output
        assert f"\n{name}/OBJECTS_COMPANIES: " in output
        assert json.loads((folder / "_portal.json").read_text())["portal_id"] == IDS[name]
        assert rows_of(folder) == alone[name]
    assert alone["acme"]["OBJECTS_COMPANIES"] != alone["globex-eu"]["OBJECTS_COMPANIES"]
    assert "PORTAL_NAME" not in os.environ


def location(name):
    """A portal's code location, as its code server and the processes of its runs load it."""
    pointer = CodePointer.from_module("hubspot_assets.locations", f"portal_{name}", None)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        return initialize_repository_def_from_pointer(pointer)


@pytest.mark.slow
def test_two_locations_of_one_instance_are_apart(deploy, sandboxes, alone):
    folders = deploy(sandboxes, EXPORT_START="2026-11-20", GLUE_DATABASE="")
    for name in folders:
        assert run("--portal", name, "discover")[0] == 0
    locations = {name: location(name) for name in folders}
    keys = {name: set(each.asset_graph.get_all_asset_keys()) for name, each in locations.items()}
    for name, of in keys.items():
        assert {key.path[0] for key in of} == {name}
        assert dg.AssetKey([name, "hubspot", "companies"]) in of
        assert dg.AssetKey([name, "OBJECTS_COMPANIES"]) in of
    with dg.DagsterInstance.ephemeral() as instance:
        for name, folder in folders.items():
            job = locations[name].get_job(JOB)
            result = job.execute_in_process(instance=instance, partition_key=DAY)
            assert result.dagster_run.tags["hubspot/portal_name"] == name
            assert rows_of(folder) == alone[name]
            found = instance.get_materialized_partitions(dg.AssetKey([name, "OWNERS"]))
            assert found == {DAY}
    pools = {
        name: {each.op.pool for each in found.asset_graph.assets_defs} - {None}
        for name, found in locations.items()
    }
    assert pools == {name: {f"hubspot_{portal_id}"} for name, portal_id in IDS.items()}


@pytest.mark.slow
def test_two_are_delivered_at_once_as_alone(deploy, sandboxes, alone):
    folders = deploy(sandboxes)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: deliver(load_settings(name), DAY, [], Display()), folders))
    assert {name: rows_of(folder) for name, folder in folders.items()} == alone


def test_what_a_run_finds_linked_is_noted_in_its_own_catalog(deploy, sandboxes):
    folders = deploy(sandboxes)
    for name, folder in folders.items():
        settings = load_settings(name)
        staging = StagingResource(
            url=settings.state,
            s3=s3_resource(settings),
            portal_name=name,
            options=ReadingOptions(),
        )
        assert staging.catalog.url == str(folder / "_state" / "catalog.json")


def at(monkeypatch, moment):
    """Lets the sensor that heals days see this moment."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment.astimezone(tz)

    monkeypatch.setattr(healing, "datetime", Clock)


def due(instance, defs):
    """The runs that the sensor that heals days asks for, or why it asks for none."""
    context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
    tick = defs.resolve_sensor_def("heal_days").evaluate_tick(context)
    return [each.partition_key for each in tick.run_requests] or tick.skip_message


def test_a_day_is_healed_whatever_became_of_the_others(deploy, sandboxes, monkeypatch):
    deploy(sandboxes, EXPORT_START="2026-11-20", EXPORT_HEAL_DAYS="1")
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN_ACME")
    at(monkeypatch, READ_AT)
    acme, globex = (build_defs(standard_catalog(), load_settings(name)) for name in IDS)
    with dg.DagsterInstance.ephemeral() as instance:
        run_of = acme.resolve_job_def(JOB).execute_in_process
        assert not run_of(instance=instance, partition_key=DAY, raise_on_error=False).success
        assert due(instance, acme) == f"{DAY}: its run failed for what a person must mend"
        assert due(instance, globex) == [DAY]


def test_a_portal_without_its_token_fails_alone(deploy, sandboxes, monkeypatch):
    folders = deploy(sandboxes)
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN_ACME")
    for name in folders:
        assert JOB in location(name).job_names
    fails(
        2,
        "error: acme: HUBSPOT_ACCESS_TOKEN: found nothing, expected",
        "--portal",
        "acme",
        "discover",
    )
    assert run("--portal", "globex-eu", "discover")[0] == 0


@pytest.mark.slow
def test_where_one_has_used_up_its_day_the_other_is_delivered(deploy, alone):
    with (
        serve(config("acme", daily=60)) as acme,
        serve(config("globex-eu", burst=190)) as globex,
    ):
        folders = deploy({"acme": acme, "globex-eu": globex})
        fails(
            1,
            "the account's calls of the day are used up",
            "--portal",
            "acme",
            "export",
            "--day",
            DAY,
        )
        status, output = run("--portal", "globex-eu", "export", "--day", DAY)
    assert status == 0, output
    assert rows_of(folders["globex-eu"]) == alone["globex-eu"]
    assert not refused(globex)


def refused(sandbox):
    """How many requests were too many."""
    return sum(number for (_, status), number in sandbox.requests.items() if status == 429)


@pytest.mark.slow
def test_two_locations_of_a_workspace_run_at_once_within_their_own_limits(
    deploy, alone, tmp_path, monkeypatch
):
    """One has a fifth of the other's limit, and more calls to make than that in ten seconds."""
    with (
        serve(config("acme", burst=40)) as acme,
        serve(config("globex-eu", burst=190)) as globex,
    ):
        folders = deploy(
            {"acme": acme, "globex-eu": globex}, EXPORT_START="2026-11-20", EXPORT_HEAL_DAYS="0"
        )
        workspace = tmp_path / "workspace.yaml"
        workspace.write_text(run("portals", "--workspace")[1])
        instance = (ROOT / "dagster.yaml").read_text()
        with operated(
            tmp_path, monkeypatch, instance, daemon=True, workspace=workspace, portals=folders
        ) as ui:
            for each in (acme, globex):  # else one is done before the other is launched
                each.faults.add("slow", times=1_000, seconds=0.5)
            runs = {
                name: ui.submit_job_execution(
                    JOB,
                    repository_location_name=name,
                    repository_name="__repository__",
                    tags={"dagster/partition": DAY},
                )
                for name in folders
            }
            finish(ui, list(runs.values()))
        with dg.DagsterInstance.get() as home:
            times = {
                name: (record.start_time, record.end_time)
                for name, run_id in runs.items()
                for record in home.get_run_records(dg.RunsFilter(run_ids=[run_id]))
            }
        assert not refused(acme)
        assert not refused(globex)
    assert max(begun for begun, _ in times.values()) < min(ended for _, ended in times.values())
    assert {name: rows_of(folder) for name, folder in folders.items()} == alone


@pytest.mark.slow
def test_the_portals_are_listed_with_their_state(deploy, sandboxes, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    deploy(sandboxes)
    for day in (DAY, "2026-11-19"):
        assert run("--portal", "acme", "export", "--day", day)[0] == 0
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    sandboxes["globex-eu"].faults.add("internal_error", times=1_000, path="/owners")
    assert run("--portal", "globex-eu", "export", "--day", DAY, "--select", "OWNERS")[0] == 1
    sandboxes["globex-eu"].faults.clear()
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN_ACME")
    with (tmp_path / "portals.toml").open("a") as file:
        file.write(f"[initech]\nEXPORT_URL = '{tmp_path / 'initech'}'\nEXPORT_TIMEZONE = 'Mars'\n")
    for sandbox in sandboxes.values():
        sandbox.requests.clear()
    with time_machine.travel(datetime(2026, 11, 25, 6, tzinfo=UTC)):
        status, output = run("portals")
        told = json.loads(run("portals", "--json")[1])
    assert status == 1
    assert not any(sandbox.requests for sandbox in sandboxes.values())
    failure = told[1].pop("failure")
    assert told == [
        {
            "name": "acme",
            "portal_id": IDS["acme"],
            "begins": "01:30 UTC",
            "newest": DAY,
            "missing": ["2026-11-20", "2026-11-21", "2026-11-23", "2026-11-24"],
            "failure": None,
            "error": "HUBSPOT_ACCESS_TOKEN: found nothing",
        },
        {
            "name": "globex-eu",
            "portal_id": IDS["globex-eu"],
            "begins": "03:00 UTC",
            "newest": None,
            "missing": [],
            "error": None,
        },
        {
            "name": "initech",
            "portal_id": None,
            "begins": None,
            "newest": None,
            "missing": [],
            "failure": None,
            "error": f"{tmp_path}/portals.toml, initech: EXPORT_TIMEZONE: found 'Mars', expected a "
            "time zone, as Europe/Warsaw",
        },
    ]
    assert failure["day"] == DAY
    assert "GET /crm/owners" in failure["why"]
    missing = "2026-11-24, 2026-11-23, 2026-11-21, ..."
    assert output.splitlines() == [
        "portal             id  newest      begins     missing",
        f"acme          1111111  {DAY}  01:30 UTC        4  {missing}",
        "  error: HUBSPOT_ACCESS_TOKEN: found nothing",
        "globex-eu     2222222  none        03:00 UTC        0",
        f"  failed at {failure['at']} UTC of {DAY}: {failure['why']}",
        "initech             -  none        -                0",
        f"  error: {told[2]['error']}",
    ]


def test_two_names_of_one_account_are_told(deploy, sandboxes):
    """Each has a token of its own, so that only the account tells."""
    other = config("globex-eu", portal_id=IDS["acme"])
    with serve(other) as again:
        deploy({"acme": sandboxes["acme"], "globex-eu": again})
        for name in IDS:
            assert run("--portal", name, "discover")[0] == 0
    status, output = run("portals")
    assert status == 0
    assert f"warning: acme and globex-eu are one account, {IDS['acme']}: " in output


def test_the_workspace_has_a_location_per_portal(deploy, sandboxes, tmp_path):
    deploy(sandboxes)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(run("portals", "--workspace")[1])
    origins = location_origins_from_yaml_paths([str(workspace)])
    assert [each.location_name for each in origins] == list(IDS)
    for name, origin in zip(IDS, origins, strict=True):
        assert origin.loadable_target_origin.module_name == "hubspot_assets.locations"
        assert origin.loadable_target_origin.attribute == f"portal_{name}"


def test_what_begins_each_night_is_spread_and_can_be_pinned(deploy, sandboxes, tmp_path):
    deploy(sandboxes)
    more = "".join(f"[n{n}]\nEXPORT_URL = '{tmp_path}/n{n}'\n" for n in range(4))
    with (tmp_path / "portals.toml").open("a") as file:
        file.write(f"{more}EXPORT_AT = '00:30'\n")
    crons = {}
    for name in (*IDS, "n0", "n1", "n2", "n3"):
        defs = build_defs(standard_catalog(), load_settings(name))
        schedules = defs.get_repository_def().schedule_defs
        crons[name] = {each.name: each.cron_schedule for each in schedules}
    assert {name: each["daily_export"] for name, each in crons.items()} == {
        "acme": "30 1 * * *",
        "globex-eu": "0 3 * * *",
        "n0": "15 2 * * *",
        "n1": "45 3 * * *",
        "n2": "52 1 * * *",
        "n3": "30 0 * * *",
    }
    assert crons["globex-eu"]["check_before_export"] == "0 2 * * *"
    assert crons["n3"]["check_before_export"] == "30 23 * * *"
    assert crons["globex-eu"]["daily_discovery"] == "30 23 * * *"
