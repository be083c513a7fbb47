"""Dagster's instance, as our commands have it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster import _check as check
from dagster._core.instance import InstanceType
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.run_coordinator import DefaultRunCoordinator
from dagster._core.storage.event_log import AssetRecord, InMemoryEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.root import TemporaryLocalArtifactStorage
from dagster._core.storage.runs import InMemoryRunStorage

from hubspot_assets.settings import SettingsError

_LOCK = ".hubspot-assets.lock"
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


def instance() -> dg.DagsterInstance:
    """The deployment's instance where DAGSTER_HOME names one, else one for this process alone.

    One command at a time opens it: several that make its databases at once would break them for
    good. Raises SettingsError.
    """
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return _ephemeral()
    if not Path(home).is_absolute() or not Path(home).is_dir():
        raise SettingsError(f"DAGSTER_HOME: found {home!r}, expected the absolute path of a folder")
    try:
        with _alone(Path(home) / _LOCK):
            return dg.DagsterInstance.get()
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        expected = "expected a folder that may be written"
        raise SettingsError(f"DAGSTER_HOME: found {home!r}, {expected}") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock, but where none can be had: what is in such a folder is read, as in an image
    whose Dagster keeps its data elsewhere."""
    try:
        lock = path.open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Materializations(InMemoryEventLogStorage):
    """Keeps of all events what steps materialized last, and tells nothing of the versions of their
    data.

    Nobody sees the log of an instance that ends with its process: all of it in a database, which
    Dagster makes in memory, took as much time as the tables of a small portal.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[dg.AssetKey, dg.EventLogRecord] = {}

    def store_event(self, event: dg.EventLogEntry) -> None:
        if event.dagster_event and event.dagster_event.is_step_materialization:
            key = check.not_none(event.dagster_event.asset_key)
            self._last[key] = dg.EventLogRecord(len(self._last), event)

    def fetch_materializations(
        self, records_filter: dg.AssetKey | dg.AssetRecordsFilter, *_: object, **__: object
    ) -> dg.EventRecordsResult:
        wanted = records_filter
        if isinstance(wanted, dg.AssetKey):
            wanted = dg.AssetRecordsFilter(wanted)
        last = self._last.get(wanted.asset_key)
        days = wanted.asset_partitions
        there = [last] if last and (days is None or last.partition_key in days) else []
        return dg.EventRecordsResult(there, cursor="", has_more=False)

    def get_asset_records(self, *_: object, **__: object) -> Sequence[AssetRecord]:
        return ()

    @property
    def asset_records_have_last_observation(self) -> bool:
        return True  # else Dagster looks for observations apart


def _ephemeral() -> dg.DagsterInstance:
    """As `DagsterInstance.ephemeral` makes it, but for the event log."""
    return dg.DagsterInstance(
        instance_type=InstanceType.EPHEMERAL,
        local_artifact_storage=TemporaryLocalArtifactStorage(),  # type: ignore[no-untyped-call]
        run_storage=InMemoryRunStorage(),
        event_storage=_Materializations(),
        compute_log_manager=NoOpComputeLogManager(),
        run_coordinator=DefaultRunCoordinator(),
        run_launcher=SyncInMemoryRunLauncher(),
    )
