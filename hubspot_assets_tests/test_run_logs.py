"""The logs of old runs go from Dagster's storage, and what they materialized stays."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.run_logs import purge_runs
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.servers import POSTGRES, postgres_server

DAYS = ["2026-11-20", "2026-11-21"]
KEYS = [dg.AssetKey(["hubspot", "owners"]), dg.AssetKey(["OWNERS"])]


@contextmanager
def sqlite():
    yield ""


@contextmanager
def as_deployed():
    yield "event_log_storage: {module: hubspot_assets.event_log, class: SqliteEventLog}"


@contextmanager
def postgres():
    with postgres_server() as port:
        yield POSTGRES.format(port=port)


@pytest.fixture(params=[sqlite, as_deployed, pytest.param(postgres, marks=pytest.mark.slow)])
def instance(request, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with request.param() as storage:
        (home / "dagster.yaml").write_text(f"telemetry:\n  enabled: false\n{storage}")
        with dg.DagsterInstance.get() as found:
            yield found


@pytest.mark.slow
def test_partitions_are_still_materialized_when_the_logs_of_their_runs_are_gone(
    instance, reach, sandbox
):
    reach(sandbox)
    defs = build_defs(standard_catalog(), load_settings())
    old = [deliver(defs, instance, day) for day in DAYS]
    between = datetime.now(UTC)
    new = deliver(defs, instance, DAYS[-1])
    under_way = instance.create_run_for_job(defs.resolve_job_def(JOB), tags={})
    instance.report_engine_event("begun", under_way)
    before = told(instance)
    size, log = stored(instance), len(instance.all_logs(new))

    assert purge_runs(instance, between) == 2
    assert told(instance) == before
    assert stored(instance) < 0.7 * size
    assert len(instance.all_logs(new)) == log
    for run in old:
        assert instance.get_run_by_id(run).is_success
        kept = {each.dagster_event_type for each in instance.all_logs(run)}
        assert kept <= {dg.DagsterEventType.ASSET_MATERIALIZATION}
    assert purge_runs(instance, between) == 0, "it is done once"
    assert purge_runs(instance, datetime.now(UTC) + timedelta(days=1)) == 1
    assert told(instance) == before
    assert instance.all_logs(under_way.run_id)


def test_a_setting_has_it_done_every_day(reach, sandbox):
    reach(sandbox)
    without = build_defs(standard_catalog(), load_settings())
    assert "purge_runs" not in {job.name for job in without.resolve_all_job_defs()}
    reach(sandbox, KEEP_RUNS_DAYS="30")
    defs = build_defs(standard_catalog(), load_settings())
    schedule = defs.resolve_schedule_def("daily_runs_purge")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    with dg.DagsterInstance.local_temp() as instance:
        assert defs.resolve_job_def(schedule.job_name).execute_in_process(instance=instance).success


def deliver(defs, instance, day):
    result = defs.resolve_job_def(JOB).execute_in_process(
        instance=instance, partition_key=day, asset_selection=KEYS
    )
    assert result.success
    return result.run_id


def told(instance):
    """What Dagster knows of the assets, and of their checks."""
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(KEYS[1], "published")]
    )
    return [
        *(instance.get_materialized_partitions(key) for key in KEYS),
        *(
            event.dagster_event.partition
            for key in KEYS
            for event in [instance.get_latest_materialization_event(key)]
        ),
        *(each.status for each in checks.values()),
        *(len(instance.fetch_materializations(key, limit=100).records) for key in KEYS),
    ]


def stored(instance):
    """The characters that the events of all runs take."""
    storage = instance.event_log_storage
    connect = [storage.index_connection]
    if isinstance(storage, SqliteEventLogStorage):
        connect += [partial(storage.run_connection, run) for run in storage.get_all_run_ids()]
    total = 0
    for each in connect:
        with each() as connection:
            query = sa.text("SELECT sum(length(event)) FROM event_logs")
            total += connection.execute(query).scalar() or 0
    return total
