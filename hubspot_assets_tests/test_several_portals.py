"""Several portals in one deployment: each is its own, and none gets in another's way."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import dagster as dg
import pytest
import time_machine
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer

from hubspot_assets.assets import healing
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, FEW_EVENTS, READ_AT, set_environment
from hubspot_assets_tests.operating import ROOT, operated
from hubspot_assets_tests.test_alerts import webhook  # noqa: F401
from hubspot_assets_tests.test_commands import SCRIPT, fails, run
from hubspot_assets_tests.test_two_at_once import rows_of

BEFORE = "2026-11-21"
IDS = {"acme": 1111111, "globex-eu": 2222222}
FEW = ("OWNERS", "TEAMS", "OBJECTS_COMPANIES", "PIPELINES")


def config(name, **more):
    number = list(IDS).index(name)
    return PortalConfig(
        **{
            "records": 60,
            "seed": 7 + number,
            "now": READ_AT,
            "burst": 100_000,
            "portal_id": IDS[name],
            "token": f"pat-na1-{number}a2d0b0c-0000-4000-8000-5a4d0b0c5a4d",
        }
        | more
    )


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


def test_two_locations_of_one_instance_deliver_at_once(deploy, sandboxes, alone):
    folders = deploy(sandboxes, EXPORT_START="2026-11-20", GLUE_DATABASE="")
    for name in folders:
        assert run("--portal", name, "discover")[0] == 0
    locations = {name: location(name) for name in folders}
    keys = {name: set(each.asset_graph.get_all_asset_keys()) for name, each in locations.items()}
    for name, of in keys.items():
        assert {key.path[0] for key in of} == {name}
        assert dg.AssetKey([name, "hubspot", "companies"]) in of
        assert dg.AssetKey([name, "OBJECTS_COMPANIES"]) in of
    with dg.DagsterInstance.local_temp() as instance:

        def deliver(name):
            job = locations[name].get_job(JOB)
            return job.execute_in_process(instance=instance, partition_key=DAY).dagster_run

        with ThreadPoolExecutor(2) as pool:
            runs = list(pool.map(deliver, folders))
        assert {each.tags["hubspot/portal_name"] for each in runs} == set(folders)
        for name, folder in folders.items():
            assert rows_of(folder) == alone[name]
            found = instance.get_materialized_partitions(dg.AssetKey([name, "OWNERS"]))
            assert found == {DAY}
    pools = {name: {each.op.pool for each in found.asset_graph.assets_defs} - {None}
             for name, found in locations.items()}
    assert pools == {name: {f"hubspot_{portal_id}"} for name, portal_id in IDS.items()}


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


def test_each_is_told_of_what_fails_it(deploy, sandboxes, webhook):
    deploy(sandboxes, ALERT_WEBHOOK_URL=webhook.url)
    with dg.DagsterInstance.ephemeral() as instance:

        @dg.op
        def breaks():
            raise dg.Failure("HubSpot is down")

        @dg.job
        def export_day():
            breaks()

        for name in IDS:
            result = export_day.execute_in_process(instance=instance, raise_on_error=False)
            sensor = build_defs(standard_catalog(), load_settings(name)).resolve_sensor_def("alert")
            event = result.get_run_failure_event()
            sensor(dg.build_run_status_sensor_context("alert", event, instance, result.dagster_run))
    assert webhook.taken == [f"{name}: export_day failed: HubSpot is down" for name in IDS]


def test_a_portal_without_its_token_fails_alone(deploy, sandboxes, monkeypatch):
    folders = deploy(sandboxes)
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN_ACME")
    for name in folders:
        assert JOB in location(name).job_names
    fails(2, "HUBSPOT_ACCESS_TOKEN: found nothing for acme, expected", "--portal", "acme", "discover")
    assert run("--portal", "globex-eu", "discover")[0] == 0


def test_two_exports_at_once_keep_their_own_limits(deploy, alone):
    """One's limit is smaller, and its day's calls are used up; the other one knows nothing of it."""
    with (
        serve(config("acme", burst=60, daily=90)) as acme,
        serve(config("globex-eu", burst=190)) as globex,
    ):
        folders = deploy({"acme": acme, "globex-eu": globex})
        environment = {**os.environ, "TMPDIR": os.getcwd()}
        processes = [
            subprocess.Popen(
                [SCRIPT, "--portal", name, "export", "--day", DAY],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for name in folders
        ]
        told = [each.communicate()[0] for each in processes]
        print(acme.requests, globex.requests)
    assert [each.returncode for each in processes] == [1, 0], told
    assert "daily" in told[0]
    assert rows_of(folders["globex-eu"]) == alone["globex-eu"]
    assert not {status for _, status in globex.requests} & {429}
    assert sum(n for (_, status), n in acme.requests.items() if status == 429) == 1


def test_they_are_listed_with_their_state(deploy, sandboxes, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    folders = deploy(sandboxes, DAGSTER_HOME=str(home))
    assert run("--portal", "acme", "export", "--day", DAY)[0] == 0
    with (tmp_path / "portals.toml").open("a") as file:
        file.write("[initech]\nEXPORT_TIMEZONE = 'Mars'\n")
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN_GLOB")
    assert run("--portal", "globex-eu", "export", "--day", DAY)[0] == 2
    for sandbox in sandboxes.values():
        sandbox.requests.clear()
    with time_machine.travel(datetime(2026, 11, 25, 6, tzinfo=UTC)):
        status, output = run("portals")
        told = json.loads(run("portals", "--json")[1])
    assert status == 1
    print(output)
    assert not any(sandbox.requests for sandbox in sandboxes.values())
