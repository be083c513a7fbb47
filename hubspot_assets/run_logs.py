"""The job that removes old runs' logs from Dagster's storage, so that it stays bounded.

Dagster's own `retention` is of ticks alone, and deleting a run takes away what it materialized.
Here a run stays, as do its materializations and observations, from which Dagster knows the
partitions that are there; its other events go, and what its processes printed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)

_JOB = "purge_runs"
_HOUR, _MINUTE = 13, 0  # long after the day's export has begun
_KEPT = [dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION]
#: So many runs are purged in one transaction.
_BATCH = 100

_events, _checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c


def purge_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Removes the logs of runs that ended before a moment; gives of how many.

    Of what their checks found the newest stays of each check. Raises TypeError where the storage
    is no SQL database.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no SQL database")
    purged = 0
    for runs in _ended(instance, storage, before):
        with storage.index_connection() as connection:
            connection.execute(
                sa.delete(SqlEventLogStorageTable).where(_events.run_id.in_(runs), _goes())
            )
            newest = sa.select(sa.func.max(_checks.id)).group_by(
                _checks.asset_key, _checks.check_name
            )
            connection.execute(
                sa.delete(AssetCheckExecutionsTable).where(
                    _checks.run_id.in_(runs), _checks.id.not_in(newest)
                )
            )
        for run in runs:
            if isinstance(storage, SqliteEventLogStorage):
                _shrink(storage, run)
            instance.compute_log_manager.delete_logs(prefix=[run])
        purged += len(runs)
    return purged


def purge_runs_job(keep_days: int) -> dg.JobDefinition:
    """Keeps the logs of the runs that ended within the last `keep_days` days."""

    @dg.op(description="Removes the logs of old runs, and keeps what they materialized.")
    def purge_logs(context: dg.OpExecutionContext) -> dg.Output[None]:
        before = datetime.now(UTC) - timedelta(days=keep_days)
        return dg.Output(None, metadata={"runs": purge_runs(context.instance, before)})

    @dg.job(
        name=_JOB,
        description="Removes the logs of runs older than KEEP_RUNS_DAYS from Dagster's storage.",
        executor_def=dg.in_process_executor,
    )
    def purge() -> None:
        purge_logs()

    return purge


def purge_runs_schedule(job: dg.JobDefinition, time_zone: str) -> dg.ScheduleDefinition:
    """Every day."""
    return dg.ScheduleDefinition(
        name="daily_runs_purge",
        job=job,
        description="Keeps the logs of the runs of KEEP_RUNS_DAYS days.",
        cron_schedule=f"{_MINUTE} {_HOUR} * * *",
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _shrink(storage: SqliteEventLogStorage, run: str) -> None:
    """Empties a run's own file, which processes that have read it expect to be there.

    What the run materialized is in the file of all runs, too.
    """
    with storage.run_connection(run) as connection:
        connection.execute(sa.delete(SqlEventLogStorageTable))
    with closing(sqlite3.connect(storage.path_for_shard(run))) as file:
        file.execute("VACUUM")


def _goes() -> sa.ColumnElement[bool]:
    kept = [each.value for each in _KEPT]
    kind = _events.dagster_event_type
    return sa.or_(kind.is_(None), kind.not_in(kept))  # what a step has logged is of no type


def _ended(
    instance: dg.DagsterInstance, storage: SqlEventLogStorage, before: datetime
) -> Iterator[list[str]]:
    """The runs that ended before a moment and have something that goes, some at a time."""
    until = before.astimezone(UTC).replace(tzinfo=None)  # as the storage has times
    query = sa.select(_events.run_id).distinct().where(_events.timestamp < until, _goes())
    with storage.index_connection() as connection:
        found = sorted(filter(None, connection.execute(query).scalars()))
    for number in range(0, len(found), _BATCH):
        some = dg.RunsFilter(
            run_ids=found[number : number + _BATCH],
            statuses=FINISHED_STATUSES,
            updated_before=before,
        )
        if runs := [each.dagster_run.run_id for each in instance.get_run_records(some)]:
            yield runs
