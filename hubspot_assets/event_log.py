"""Dagster's event log in SQLite, with connections that stay open; for `dagster.yaml`.

Dagster's own opens the database anew for each event, and has it written to the disk by the time it
closes it: that took longer than all tables of a small portal. The files are the same, and where
they are, so that either can be put in the other's place.

A step asks for what each asset that it needs is by now. Such answers hold until somebody writes to
the database, which SQLite tells.

Dagster makes a statement anew for each event, with its values in it, which took twice the time of
what it does: here statements stay, and values are their parameters.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, cast

import dagster as dg
import sqlalchemy as db
from dagster._config import UserConfigSchema
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.event_api import EventLogCursor
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.dialects import sqlite

T = TypeVar("T")

#: Databases that stay open: the index of all runs, and those of the latest ones.
_OPEN = 8
#: Assets of which answers are kept, and answers of each.
_ASSETS, _EACH = 1_000, 10
#: Pages of a WAL, of 4 KiB, before it is brought into its database, for which SQLite waits for the
#: disk: more than a small day writes.
_PAGES = 5_000
#: Events that Dagster gives to be stored at once, where it knows many: what a run is to make.
_BATCH = "DAGSTER_EVENT_BATCH_SIZE", "1000"

#: What a step asks for, of each asset that it needs: its record, and these tags; of its own asset
#: for the newest materialization.
_RECORD, _NEWEST = "record", "newest"
_ASKED = (DATA_VERSION_TAG,)

_STORE = SqlEventLogStorageTable.insert()
_ASSET = AssetKeyTable.select().where(AssetKeyTable.c.asset_key == db.bindparam("key"))
#: Events that the index of all runs has as well.
_OF_ALL_RUNS = ASSET_EVENTS | ASSET_CHECK_EVENTS | EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()


class SqliteEventLog(SqliteEventLogStorage):
    """`base_dir` is the folder of the databases, where Dagster has its own unless it is told."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections: OrderedDict[str, db.Connection] = OrderedDict()
        self._schema: set[tuple[str, str]] = set()
        self._answers: defaultdict[dg.AssetKey, dict[Hashable, Any]] = defaultdict(dict)
        self._answered_at = 0, 0
        self._answering = threading.RLock()
        os.environ.setdefault(*_BATCH)
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """What `config` in dagster.yaml may say."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SqliteEventLog:
        """The log as dagster.yaml describes it."""
        home = Path(os.environ.get("DAGSTER_HOME", ""), "history", "runs")
        return cls(config_value.get("base_dir", str(home)), inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Stores it; answers about other assets than its own stay."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Stores them, in one transaction of each database."""
        with self._answering:
            before = self._own_changes()
            self._store(events)
            by_others, own = self._answered_at
            self._answered_at = by_others, own + self._own_changes() - before

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        rows = [(each, self._event_to_row(each)) for each in events]
        for run, of_run in groupby(rows, lambda each: each[0].run_id):
            with self.run_connection(run) as connection:
                connection.execute(_STORE, [row for _, row in of_run])
        of_all_runs = [each for each in rows if each[0].dagster_event_type in _OF_ALL_RUNS]
        if not of_all_runs:
            return
        with self.index_connection() as index:
            for event, row in of_all_runs:
                number = cast("Any", index.execute(_STORE, row)).inserted_primary_key.id
                if event.dagster_event_type in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, number)
                elif event.dagster_event_type in ASSET_EVENTS:
                    self._store_asset_event_tags(index, [event], [number])
                    self._store_asset_event(index, event, number)

    def _store_asset_event(self, conn: db.Connection, event: EventLogEntry, event_id: int) -> None:
        """Stores what an event tells of its asset, and keeps what steps will ask of it."""
        told = event.get_dagster_event()
        if (key := told.asset_key) is None:
            return
        self._answers.pop(key, None)
        values = self._get_asset_entry_values(event, event_id, has_asset_key_index_cols=True)
        if values:
            conn.execute(_upsert(*values), {"asset_key": key.to_string(), **values})
        if told.is_step_materialization:
            row = conn.execute(_ASSET, {"key": key.to_string()}).mappings().one()
            self._answers[key] = self._known_by(dg.EventLogRecord(event_id, event), row)

    def _known_by(
        self, last: dg.EventLogRecord, asset: Mapping[str, Any]
    ) -> dict[Hashable, object]:
        """What is known of an asset by its last materialization, and its row."""
        event = last.event_log_entry.get_dagster_event()
        tags = event.step_materialization_data.materialization.tags or {}
        version = {each: tags[each] for each in _ASKED if each in tags}
        cursor = EventLogCursor.from_storage_id(last.storage_id).to_string()
        return {
            _RECORD: self._construct_asset_record_from_row(
                asset, last, can_read_asset_status_cache=True
            ),
            _asked(event.event_type, _ASKED, [event.partition]): (
                {event.partition: version} if version else {}
            ),
            (_NEWEST, event.partition): dg.EventRecordsResult([last], cursor, has_more=True),
        }

    def get_asset_records(
        self, asset_keys: Sequence[dg.AssetKey] | None = None
    ) -> Sequence[AssetRecord]:
        """What is known of these assets, or of all; of those of which nothing is, none."""
        if asset_keys is None:
            return super().get_asset_records()
        with self._answering:
            self._forget_old_answers()
            if new := [each for each in asset_keys if _RECORD not in self._answers[each]]:
                found = {
                    each.asset_entry.asset_key: each for each in super().get_asset_records(new)
                }
                for each in new:
                    self._answers[each][_RECORD] = found.get(each)
            records = [self._answers[each][_RECORD] for each in dict.fromkeys(asset_keys)]
        return [each for each in records if each]

    def get_latest_tags_by_partition(
        self,
        asset_key: dg.AssetKey,
        event_type: dg.DagsterEventType,
        tag_keys: Sequence[str],
        asset_partitions: Sequence[str] | None = None,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> Mapping[str, Mapping[str, str]]:
        """The tags of the latest events, by partition."""
        asked = _asked(event_type, tag_keys, asset_partitions, before_cursor, after_cursor)
        ask = partial(
            super().get_latest_tags_by_partition,
            *(asset_key, event_type, tag_keys, asset_partitions, before_cursor, after_cursor),
        )
        return self._answer(asset_key, asked, ask)

    def fetch_materializations(
        self,
        records_filter: dg.AssetKey | dg.AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002  (Dagster's)
    ) -> dg.EventRecordsResult:
        """The newest, or oldest, materializations of an asset; a check asks for the last of all of
        its day."""
        ask = partial(super().fetch_materializations, records_filter, limit, cursor, ascending)
        if isinstance(records_filter, dg.AssetRecordsFilter):
            key, days, *others = records_filter
            if days and (limit, len(days)) == (1, 1) and not any((*others, cursor, ascending)):
                return self._answer(key, (_NEWEST, *days), ask)
        return ask()

    # What the schema has it does not lose; Dagster asks for each event.

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table."""
        return self._is_there("table", table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        """Whether data was brought into such a form."""
        return self._is_there("index", name, super().has_secondary_index)

    def dispose(self) -> None:
        """Closes what is open."""
        super().dispose()
        with self._answering, self._db_lock:
            self._answers.clear()
            while self._connections:
                _close(self._connections.popitem()[1])

    def _answer(self, key: dg.AssetKey, asked: Hashable, ask: Callable[[], T]) -> T:
        with self._answering:
            self._forget_old_answers()
            answers = self._answers[key]
            if asked not in answers:
                if len(answers) >= _EACH:
                    answers.clear()
                answers[asked] = ask()
            return cast("T", answers[asked])

    def _is_there(self, kind: str, name: str, look: Callable[[str], bool]) -> bool:
        if (kind, name) not in self._schema and look(name):
            self._schema.add((kind, name))
        return (kind, name) in self._schema

    def _forget_old_answers(self) -> None:
        changes = self._changes()
        if changes != self._answered_at or len(self._answers) > _ASSETS:
            self._answers.clear()
        self._answered_at = changes

    def _changes(self) -> tuple[int, int]:
        """What changes with each change of the index: by others, and by this connection."""
        with self._db_lock:
            index = self._index()
            return index.execute("PRAGMA data_version").fetchone()[0], index.total_changes

    def _own_changes(self) -> int:
        with self._db_lock:
            return self._index().total_changes

    def _index(self) -> sqlite3.Connection:
        index = self._initialized(INDEX_SHARD_NAME)
        return cast("sqlite3.Connection", index.connection.driver_connection)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            connection = self._initialized(shard)
            # What is done to store an event is part of that.
            with nullcontext() if connection.in_transaction() else connection.begin():
                yield connection

    def _initialized(self, shard: str) -> db.Connection:
        connection = self._connection(shard)
        if shard not in self._initialized_dbs:
            self._initdb(connection.engine)
            self._initialized_dbs.add(shard)
        return connection

    def _connection(self, shard: str) -> db.Connection:
        if shard not in self._connections:
            url = self.conn_string_for_shard(shard)
            options = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
            connection = db.create_engine(url, connect_args=options).connect()
            # Of what a machine without power forgets, the database stays whole, which is a WAL.
            connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
            connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={_PAGES}")
            connection.commit()
            self._connections[shard] = connection
        self._connections.move_to_end(shard)
        # It counts changes by itself: one that is opened anew would begin again.
        if INDEX_SHARD_NAME in self._connections:
            self._connections.move_to_end(INDEX_SHARD_NAME)
        while len(self._connections) > _OPEN:
            _close(self._connections.popitem(last=False)[1])
        return self._connections[shard]


@cache
def _upsert(*columns: str) -> db.Insert:
    """What stores these columns of an asset, whether it is new or not."""
    insert = sqlite.insert(AssetKeyTable)
    values = {each: insert.excluded[each] for each in columns}
    return insert.on_conflict_do_update(index_elements=["asset_key"], set_=values)


def _asked(
    event_type: dg.DagsterEventType,
    tags: Iterable[str],
    partitions: Sequence[str | None] | None,
    before: int | None = None,
    after: int | None = None,
) -> Hashable:
    """What tells a question about an asset's tags from others."""
    days = None if partitions is None else tuple(partitions)
    return event_type, tuple(tags), days, before, after


def _close(connection: db.Connection) -> None:
    connection.close()
    connection.engine.dispose()
