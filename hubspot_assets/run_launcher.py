"""Runs as tasks of Celery's workers, for `dagster.yaml`."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

#: Seconds in which a worker must answer, and how many times on end it may not.
PATIENCE, MISSED = 5.0, 3


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """As Dagster's own, but a run is not taken to be under way while nobody is at it.

    Celery says of a task that it has started until it ends, which it never does where its worker
    is gone with its machine. Dagster's run monitoring asks, ends the run and has it tried again.
    """

    @cached_property
    def _missed(self) -> Counter[str]:
        """How many times on end nobody was found at a task."""
        return Counter()

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING while a worker says that it is at the run, FAILED where again and again none
        does."""
        task = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        worker = self._worker_at(task)
        found = super().check_run_worker_health(run)  # after it: it may have ended meanwhile
        if worker or found.status is not WorkerStatus.RUNNING:
            self._missed.pop(task, None)
            return found
        self._missed[task] += 1
        if self._missed[task] < MISSED:
            return found
        return CheckRunHealthResult(WorkerStatus.FAILED, "The worker that was at it is gone.")

    def _worker_at(self, task: str) -> str | None:
        """Which worker says that it is at a task."""
        active = self.celery.control.inspect(timeout=PATIENCE).active() or {}
        return next(
            (name for name, tasks in active.items() if task in {each["id"] for each in tasks}), None
        )
