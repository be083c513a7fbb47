"""Runs of one instance that read HubSpot: one at a time, however they are launched."""

import time
from itertools import pairwise
from unittest.mock import ANY

import dagster as dg
import pytest
from dagster._core.instance.config import dagster_instance_config
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator import SubmitRunContext

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.operating import ROOT, operated

DAYS = ["2026-11-19", "2026-11-20"]
SELECTIONS = [["hubspot/owners", "OWNERS"], ["hubspot/teams", "TEAMS"]]


@pytest.fixture
def ui(sandbox, reach, tmp_path, monkeypatch):
    reach(sandbox, OBJECT_TYPES="companies", EXPORT_HEAL_DAYS="0")
    text = (ROOT / "dagster.yaml").read_text()
    with operated(tmp_path, monkeypatch, text, daemon=True) as client:
        yield client


@pytest.mark.slow
def test_runs_that_are_launched_at_once_read_one_after_another(ui, sandbox):
    sandbox.faults.add("slow", times=1_000, seconds=0.5)
    runs = [launch(ui, *each) for each in zip(DAYS, SELECTIONS, strict=True)]
    finish(ui, runs)
    with dg.DagsterInstance.get() as instance:
        records = instance.get_run_records(dg.RunsFilter(run_ids=runs))
    times = sorted((each.start_time, each.end_time) for each in records)
    for (_, ended), (begun, _) in pairwise(times):
        assert ended <= begun


def launch(ui, day, names):
    keys = [dg.AssetKey(name.split("/")) for name in names]
    return ui.submit_job_execution(JOB, tags={"dagster/partition": day}, asset_selection=keys)


def finish(ui, runs):
    deadline = time.monotonic() + 300
    while {ui.get_run_status(each) for each in runs} != {dg.DagsterRunStatus.SUCCESS}:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_what_asks_hubspot_is_in_the_pool_of_its_portal_and_nothing_else(reach, shared_sandbox):
    reach(shared_sandbox)
    defs = build_defs(standard_catalog(), load_settings())
    for each in defs.resolve_asset_graph().assets_defs:
        reads = all(key.path[0] == "hubspot" for key in each.keys)
        assert each.op.pool == ("hubspot_portal" if reads else None)


def test_one_run_at_a_time_has_a_pool():
    """And one waits for the whole of another."""
    settings, _ = dagster_instance_config(str(ROOT))
    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}
    assert settings["run_coordinator"]["class"] == "PooledRunCoordinator"


@dg.op(pool="hubspot_portal")
def in_a_pool() -> None:
    """Asks HubSpot for nothing."""


@dg.op
def in_none() -> None:
    """Asks nobody for anything."""


#: Of which code location a run is, which a queue must know.
FROM = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("hubspot_assets"), "__repository__"),
    "queued",
)


@pytest.fixture
def queued(tmp_path, monkeypatch):
    """Queues a run of an operation; gives the limits of pools by then."""
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:

        def queue(operation, *, limit=None):
            if limit:
                instance.event_log_storage.set_concurrency_slots("hubspot_portal", limit)
            job = dg.GraphDefinition("queued", node_defs=[operation]).to_job()
            run = instance.create_run_for_job(job, remote_job_origin=FROM)
            found = instance.run_coordinator.submit_run(SubmitRunContext(run, workspace=ANY))
            assert found.status is dg.DagsterRunStatus.QUEUED
            limits = instance.event_log_storage.get_pool_limits()
            return {each.name: each.limit for each in limits}

        yield queue


def test_a_pool_has_its_limit_before_the_first_run_of_it_starts(queued):
    assert queued(in_none) == {}
    assert queued(in_a_pool) == {"hubspot_portal": 1}


def test_a_limit_that_somebody_has_set_stays(queued):
    assert queued(in_a_pool, limit=2) == {"hubspot_portal": 2}
    assert queued(in_a_pool) == {"hubspot_portal": 2}
