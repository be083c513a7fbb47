"""Publishes a whole day, once each of its tables is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime

from hubspot_assets.export.complete import add_day, drop_day
from hubspot_assets.export.manifest import (
    DayManifest,
    DayTable,
    TableManifest,
    manifest_path,
    missing,
    missing_parts,
    parquet_folder,
)
from hubspot_assets.export.reader import read_manifest
from hubspot_assets.export.writer import metadata_of
from hubspot_assets.storage.errors import NotFoundError
from hubspot_assets.storage.leases import Lease, held
from hubspot_assets.storage.store import Entry, Store

_READERS = 16


def complete_day(
    store: Store,
    day: str,
    expected: Iterable[str],
    as_of: datetime,
    run_id: str,
    code_version: str,
    lease: Lease | None = None,
    *,
    portal_id: int | None = None,
    written: Collection[TableManifest] = (),
) -> DayManifest | list[str]:
    """Write the manifest of the day `day` (ISO date) if all `expected` tables are complete.

    Complete is a table whose manifest is there, and each part that it names. The day's manifest
    tells of every such table in the day's folder, also of those that are no longer expected.
    Otherwise nothing is written, and the names of the missing tables are the answer. The run has
    the day's `lease`, or it is waited for; the manifests that it has `written` itself are not read
    again. Raises `StoreError`.
    """
    wanted = set(expected)
    with nullcontext(lease) if lease else held(store, day) as day_lease:
        entries = {entry.path: entry for entry in store.list(day)}
        if missing := sorted(wanted - _published(day, entries)):
            return missing
        tables = _complete(store, day, entries, written)
        if missing := sorted(wanted - tables.keys()):
            return missing
        manifest = DayManifest(
            portal_id=portal_id,
            day=day,
            as_of=as_of,
            tables=tuple(tables[name] for name in sorted(tables)),
            rows=sum(table.rows for table in tables.values()),
            bytes=sum(table.bytes for table in tables.values()),
            run_id=run_id,
            code_version=code_version,
        )
        day_lease.check()
        told_by = metadata_of(run_id, code_version)
        store.put(manifest_path(day), manifest.to_json(), metadata=told_by)
        add_day(store, day, portal_id)
        # Another process of the run may have begun in this moment to write a table again.
        now = {entry.path for entry in store.list(day)}
        if missing := sorted(wanted - _published(day, now)):
            drop_day(store, day)
            store.delete([manifest_path(day)])
            return missing
    return manifest


def _published(day: str, paths: Iterable[str]) -> set[str]:
    """The tables whose manifests are among `paths`."""
    tables = {path: path.split("/")[1] for path in paths}
    return {table for path, table in tables.items() if path == manifest_path(day, table)}


def _complete(
    store: Store, day: str, entries: Mapping[str, Entry], written: Collection[TableManifest]
) -> dict[str, DayTable]:
    """The complete tables of a day, by name."""
    published = _published(day, entries)
    told = {each.table: each for each in written if each.table in published}
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda table: _read(store, day, table), published - told.keys())
        told |= {each.table: each for each in read if each}
    parts = [part for each in told.values() for part in each.parts]
    torn = {path.split("/")[1] for path in missing_parts(day, parts, entries.values())}
    return {table: line_of(each) for table, each in told.items() if table not in torn}


def _read(store: Store, day: str, table: str) -> TableManifest | None:
    """What a manifest says; None where its table is being rewritten since it was listed, or
    lacks a file beside its parts."""
    try:
        manifest = read_manifest(store, day, table)
    except NotFoundError:
        return None
    files = {file.path: file.bytes for file in manifest.files}
    if files and missing(files, store.list(parquet_folder(day, table))):
        return None
    return manifest


def line_of(manifest: TableManifest) -> DayTable:
    """The line of a table in the manifest of its day."""
    formats = dict.fromkeys(file.format for file in manifest.files)
    return DayTable(
        table=manifest.table,
        rows=manifest.rows,
        bytes=manifest.bytes,
        parts=len(manifest.parts),
        manifest=manifest_path(manifest.day, manifest.table).partition("/")[2],
        formats=("csv", *formats),
        point_in_time=manifest.point_in_time,
        availability=manifest.availability,
    )
