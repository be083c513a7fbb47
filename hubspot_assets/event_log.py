"""Dagster's event log in SQLite, with connections that stay open; for `dagster.yaml`.

Dagster's own opens the database anew for each event, and has it written to the disk by the time it
closes it: that took longer than all tables of a small portal. The files are the same, and where
they are, so that either can be put in the other's place.

A step asks for what each asset that it needs is by now. Such answers hold until somebody writes to
the database, which SQLite tells.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import dagster as dg
import sqlalchemy as db
from dagster._config import UserConfigSchema
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

#: Databases that stay open: the index of all runs, and those of the latest ones.
_OPEN = 8
#: Answers that are kept.
_ANSWERS = 1_000


class SqliteEventLog(SqliteEventLogStorage):
    """`base_dir` is the folder of the databases, where Dagster has its own unless it is told."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._connections: OrderedDict[str, db.Connection] = OrderedDict()
        self._schema: set[tuple[str, str]] = set()
        self._answers: dict[tuple[dg.AssetKey, Hashable], Any] = {}
        self._answered_at = 0, 0
        self._answering = threading.RLock()
        super().__init__(base_dir, inst_data)

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
        with self._answering:
            before = self._own_changes()
            super().store_event(event)
            told = event.dagster_event
            if told and told.asset_key:
                for each in [each for each in self._answers if each[0] == told.asset_key]:
                    del self._answers[each]
            by_others, own = self._answered_at
            self._answered_at = by_others, own + self._own_changes() - before

    def get_asset_records(
        self, asset_keys: Sequence[dg.AssetKey] | None = None
    ) -> Sequence[AssetRecord]:
        """What is known of these assets, or of all; of those of which nothing is, none."""
        if asset_keys is None:
            return super().get_asset_records()
        with self._answering:
            self._forget_old_answers()
            if new := [each for each in asset_keys if (each, "record") not in self._answers]:
                found = {
                    each.asset_entry.asset_key: each for each in super().get_asset_records(new)
                }
                self._answers |= {(each, "record"): found.get(each) for each in new}
            records = [self._answers[each, "record"] for each in dict.fromkeys(asset_keys)]
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
        partitions = None if asset_partitions is None else tuple(asset_partitions)
        asked = event_type, tuple(tag_keys), partitions, before_cursor, after_cursor
        with self._answering:
            self._forget_old_answers()
            if (asset_key, asked) not in self._answers:
                self._answers[asset_key, asked] = super().get_latest_tags_by_partition(
                    asset_key, event_type, tag_keys, partitions, before_cursor, after_cursor
                )
            return cast("Mapping[str, Mapping[str, str]]", self._answers[asset_key, asked])

    # What the schema has it does not lose; Dagster asks for each event.

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table."""
        return self._is_there("table", table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        """Whether data was brought into such a form."""
        return self._is_there("index", name, super().has_secondary_index)

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        look = partial(super()._has_asset_key_col_on_connection, conn)
        return self._is_there("column", column_name, look)

    def dispose(self) -> None:
        """Closes what is open."""
        super().dispose()
        with self._answering, self._db_lock:
            self._answers.clear()
            while self._connections:
                _close(self._connections.popitem()[1])

    def _is_there(self, kind: str, name: str, look: Callable[[str], bool]) -> bool:
        if (kind, name) not in self._schema and look(name):
            self._schema.add((kind, name))
        return (kind, name) in self._schema

    def _forget_old_answers(self) -> None:
        changes = self._changes()
        if changes != self._answered_at or len(self._answers) > _ANSWERS:
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
        with self._db_lock, (connection := self._initialized(shard)).begin():
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
            connection.commit()
            self._connections[shard] = connection
        self._connections.move_to_end(shard)
        # It counts changes by itself: one that is opened anew would begin again.
        if INDEX_SHARD_NAME in self._connections:
            self._connections.move_to_end(INDEX_SHARD_NAME)
        while len(self._connections) > _OPEN:
            _close(self._connections.popitem(last=False)[1])
        return self._connections[shard]


def _close(connection: db.Connection) -> None:
    connection.close()
    connection.engine.dispose()
