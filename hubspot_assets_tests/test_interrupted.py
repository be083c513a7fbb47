"""Exports that are told to stop: they end at once, and the next one goes on from there."""

import os
import signal
import subprocess
import time
from pathlib import Path

import dagster as dg
import pytest

from hubspot_assets.definitions import JOB
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import interruptible
from hubspot_assets.hubspot.stopping import Stopped
from hubspot_assets.readings.reading import READINGS
from hubspot_assets.storage import open_store
from hubspot_assets.storage.leases import held
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.operating import operated, until
from hubspot_assets_tests.test_commands import SCRIPT, run
from hubspot_assets_tests.test_two_at_once import leftovers, rows_of

#: An instance that launches runs without a daemon.
AT_ONCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
#: Seconds in which a run ends that is told to stop. No answer that it waits for comes so soon.
PROMPT = 5.0


def in_time(begun, told):
    """Whether what was begun and `told` to stop at these moments ends promptly, by now. A busy
    machine gets as long besides as it took to come that far, which is seconds on an idle one."""
    return time.monotonic() - told < PROMPT + (told - begun)


def start(*arguments):
    """A command in a process of its own, and when it was begun."""
    return time.monotonic(), subprocess.Popen(
        [SCRIPT, *arguments],
        env={**os.environ, "TMPDIR": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stopped(begun, process, by):
    """Stops a process; gives what it printed, and sees that it ended at once."""
    process.send_signal(by)
    told = time.monotonic()
    output, errors = process.communicate(timeout=120)
    assert in_time(begun, told)
    assert process.returncode == 128 + by
    assert errors.splitlines()[-1] == f"stopped by {by.name}: the same command goes on from here"
    return output


def test_an_export_ends_amid_requests_and_the_next_goes_on(sandbox, reach, tmp_path):
    folder = reach(sandbox, OBJECT_TYPES="companies", EXPORT_URL=str(tmp_path / "alone"))
    assert run("export", "--day", DAY)[0] == 0
    undisturbed = rows_of(tmp_path / "alone")
    folder = reach(sandbox, OBJECT_TYPES="companies")
    begun, process = start("export", "--day", DAY)
    until(process, lambda: list(folder.glob("_state/readings/objects/0-2/*/_reading.json")))
    sandbox.faults.add("slow", times=1_000, seconds=60)
    until(process, lambda: sandbox.faults.pending()[0].times < 1_000)
    stopped(begun, process, signal.SIGTERM)
    assert not leftovers(tmp_path)
    assert not (folder / DAY / "_manifest.json").exists()
    sandbox.faults.clear()
    sandbox.requests.clear()
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    assert "waiting" not in output
    assert rows_of(folder) == undisturbed
    assert not [each for each, _ in sandbox.requests if each.startswith("POST /crm/objects")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "kind", "more"),
    [
        pytest.param(signal.SIGINT, "slow", {"seconds": 60}, marks=pytest.mark.slow),
        (signal.SIGTERM, "rate_limited", {"retry_after": 60}),
    ],
)
def test_discovery_ends_amid_requests(by, kind, more, sandbox, reach):
    reach(sandbox)
    sandbox.faults.add(kind, times=1_000, path="/schemas|/properties", **more)
    begun, process = start("export", "--day", DAY)
    until(process, lambda: len(sandbox.requests) > 1 or not sandbox.faults.pending())
    time.sleep(1)
    stopped(begun, process, by)


@pytest.mark.slow
def test_who_waits_for_another_run_ends(sandbox, reach, tmp_path):
    reach(sandbox)
    with held(open_store(tmp_path / "export/_state"), READINGS, "a-run"):
        begun, process = start("export", "--day", DAY)
        next(line for line in process.stdout if "waiting: " in line)
        stopped(begun, process, signal.SIGTERM)


@pytest.mark.slow
def test_a_demo_ends_with_its_portal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun, process = start("demo", "--records", "300")
    until(process, lambda: list(tmp_path.glob("demo/export/_state/readings/**/*.parquet")))
    portal = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert portal
    stopped(begun, process, signal.SIGINT)
    assert not any(Path(f"/proc/{each}").exists() for each in portal)


def test_a_client_that_is_stopped_ends_what_is_under_way(sandbox):
    sandbox.faults.add("slow", seconds=60)
    client = HubSpot(BearerToken(sandbox.token), sandbox.url)
    told = []

    def interrupt(*_):
        told.append(time.monotonic())
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            interruptible(lambda: client.get("account", "details"), client.stop)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert in_time(begun, *told)
    with pytest.raises(Stopped):
        client.get("account", "details")


@pytest.fixture
def ui(sandbox, reach, tmp_path, monkeypatch):
    reach(sandbox, OBJECT_TYPES="companies")
    with operated(tmp_path, monkeypatch, AT_ONCE) as client:
        yield client


@pytest.mark.slow
def test_a_run_is_terminated_from_the_ui(ui, sandbox, tmp_path):
    sandbox.faults.add("slow", times=1_000, seconds=60)
    begun = time.monotonic()
    run_id = ui.submit_job_execution(JOB, tags={"dagster/partition": DAY})
    deadline = begun + 240
    while sandbox.faults.pending()[0].times == 1_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    told = time.monotonic()
    ui.terminate_run(run_id)
    while ui.get_run_status(run_id) is not dg.DagsterRunStatus.CANCELED:
        assert in_time(begun, told)
        time.sleep(0.05)
    sandbox.faults.clear()
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    assert "waiting" not in output
    assert not leftovers(tmp_path / "export")
