"""Dagster's queue of runs, with the limits of pools from the first run on; for `dagster.yaml`."""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext


class PooledRunCoordinator(QueuedRunCoordinator):
    """As Dagster's own, but a pool's default limit holds before a run of it is launched.

    Dagster gives a pool that is new its limit while it looks at what waits, and minds it at the
    next look: so in a new instance all runs that wait at the first one start at once.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Queues a run, once the pools that it needs have limits: theirs, or the default one."""
        storage = self._instance.event_log_storage
        needed = context.dagster_run.run_op_concurrency
        pools = needed.all_pools or set() if needed else set()
        for pool in pools - storage.get_concurrency_keys():
            storage.initialize_concurrency_limit_to_default(pool)
        return super().submit_run(context)
