"""Dagster's event log in SQLite, with connections that stay open; for `dagster.yaml`.

Dagster's own opens the database anew for each event, and has it written to the disk by the time it
closes it: that took longer than all tables of a small portal. The files are the same, and where
they are, so that either can be put in the other's place.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._config import UserConfigSchema
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData

#: Databases that stay open: the index of all runs, and those of the latest ones.
_OPEN = 8


class SqliteEventLog(SqliteEventLogStorage):
    """`base_dir` is the folder of the databases, where Dagster has its own unless it is told."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, db.Engine] = OrderedDict()
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

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> db.Engine:
        if shard not in self._engines:
            url = self.conn_string_for_shard(shard)
            engine = db.create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
            # Of what a machine without power forgets, the database stays whole, which is a WAL.
            db.event.listen(
                engine, "connect", lambda each, _: each.execute("PRAGMA synchronous=NORMAL")
            )
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > _OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def dispose(self) -> None:
        """Closes what is open."""
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
