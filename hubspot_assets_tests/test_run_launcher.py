"""Runs on Celery's workers: whether somebody is at them is known."""

import dagster as dg
import pytest
from celery import states
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from hubspot_assets.run_launcher import MISSED, WatchedCeleryRunLauncher
from hubspot_assets_tests.hubspot.test_shared import redis  # noqa: F401

TASK = "a-task"
RUN = dg.DagsterRun("export_day", tags={DAGSTER_CELERY_TASK_ID_TAG: TASK})


@pytest.fixture
def launcher(redis, monkeypatch):  # noqa: F811
    """The launcher, over a broker to which no worker has come."""
    monkeypatch.setattr("hubspot_assets.run_launcher.PATIENCE", 0.1)
    return WatchedCeleryRunLauncher("runs", broker=redis.url, backend=redis.url)


def told(launcher, state):
    """What is known of the run, asked as often as it may be missed."""
    launcher.celery.backend.store_result(TASK, {"hostname": "celery@gone"}, state)
    return [launcher.check_run_worker_health(RUN).status for _ in range(MISSED)]


def test_a_run_whose_worker_is_gone_is_not_under_way(launcher):
    patient = [WorkerStatus.RUNNING] * (MISSED - 1)
    assert told(launcher, states.STARTED) == [*patient, WorkerStatus.FAILED]


def test_a_run_that_has_ended_meanwhile_has(launcher):
    assert told(launcher, states.SUCCESS) == [WorkerStatus.SUCCESS] * MISSED


def test_a_run_that_waits_for_a_worker_may_wait(launcher):
    assert told(launcher, states.PENDING) == [WorkerStatus.UNKNOWN] * MISSED
