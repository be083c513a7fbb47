"""Publishes a whole day, once each of its tables is there."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from hubspot_assets.export.manifest import DayManifest, DayTable, manifest_path
from hubspot_assets.export.reader import read_manifest
from hubspot_assets.export.writer import metadata_of
from hubspot_assets.storage.errors import NotFoundError
from hubspot_assets.storage.store import Entry, Store

_READERS = 16


def complete_day(
    store: Store,
    day: str,
    expected: Iterable[str],
    as_of: datetime,
    run_id: str,
    code_version: str,
    known: MutableMapping[Entry, DayTable] | None = None,
) -> DayManifest | list[str]:
    """Write the manifest of the day `day` (ISO date) if all `expected` tables are complete.

    It tells of every complete table in the day's folder, also of those that are no longer
    expected. Otherwise nothing is written, and the names of the missing tables are the
    answer. `known` keeps what manifests said from call to call, so that each is read once.
    Raises `StoreError`.
    """
    entries = {}
    for entry in store.list(day):
        table = entry.path.split("/")[1]
        if entry.path == manifest_path(day, table):
            entries[table] = entry
    if missing := sorted(set(expected) - entries.keys()):
        return missing
    known = {} if known is None else known
    unread = [entry for entry in entries.values() if entry not in known]
    with ThreadPoolExecutor(_READERS) as pool:
        said = pool.map(lambda entry: _read(store, entry), unread)
        for entry, one in zip(unread, said, strict=True):
            if one is None:
                return [entry.path.split("/")[1]]
            known[entry] = one
    tables = tuple(known[entries[table]] for table in sorted(entries))
    manifest = DayManifest(
        day=day,
        as_of=as_of,
        tables=tables,
        rows=sum(table.rows for table in tables),
        bytes=sum(table.bytes for table in tables),
        run_id=run_id,
        code_version=code_version,
    )
    store.put(manifest_path(day), manifest.to_json(), metadata=metadata_of(run_id, code_version))
    return manifest


def _read(store: Store, entry: Entry) -> DayTable | None:
    """What a manifest says; None where its table is being rewritten since it was listed."""
    day, table, name = entry.path.split("/")
    try:
        manifest = read_manifest(store, day, table)
    except NotFoundError:
        return None
    return DayTable(
        table=table,
        rows=manifest.rows,
        bytes=manifest.bytes,
        parts=len(manifest.parts),
        manifest=f"{table}/{name}",
        point_in_time=manifest.point_in_time,
        availability=manifest.availability,
    )
