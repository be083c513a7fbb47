"""Takes people out of the tables of a delivered day, as the export contract rewrites tables.

The manifests of the day and of the table are gone before the first part is replaced, and come back
after the last. Until a day is done, the state has what they said:

    <state root>/forgetting/<day>/<table>.json, _day.json

so that who goes on after an interruption can publish what was published before. A part is found by
what it begins with where rows are in the order of records, and is read as a whole otherwise. As
Parquet files hold the same rows in the same order, those are read that hold rows of changed parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from hubspot_assets.export.complete import add_day, drop_day
from hubspot_assets.export.days import line_of
from hubspot_assets.export.manifest import (
    DayManifest,
    File,
    Forgotten,
    Part,
    TableManifest,
    manifest_path,
    parquet_folder,
)
from hubspot_assets.export.parquet import WRITER
from hubspot_assets.export.writer import metadata_of
from hubspot_assets.forget.csv_parts import CsvParts
from hubspot_assets.forget.files import (
    FORMATS,
    UNKNOWN,
    Changed,
    between,
    most_of,
    parts_as_files,
    unknown_files,
    with_rows_of,
)
from hubspot_assets.forget.people import People
from hubspot_assets.forget.references import References
from hubspot_assets.storage import NotFoundError, Store, StoreError
from hubspot_assets.storage.leases import Lease
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.people import Standing, standing

M = TypeVar("M", DayManifest, TableManifest)

FORGETTING = "forgetting"
_CSV = CsvParts()
_DAY = "_day"
#: Files that are worked on at a time; each is in memory as a whole.
_WORKERS = 2
_READERS = 16
#: So much of a part shows, whatever its columns are, with which row it begins.
_BEGINNING = 65_536


@dataclass(frozen=True, slots=True)
class Run:
    """Who forgets, and since when; each run once, however often it is broken off."""

    run: str
    at: str
    code_version: str

    def forgotten(self, rows: int) -> Forgotten:
        """What a manifest says of it."""
        return Forgotten(rows, self.at, self.run)


@dataclass(frozen=True, slots=True)
class TakenOut:
    """What was taken out of a day: rows, and cells of others, by table; and how many parts, and
    files beside them, were rewritten for it."""

    day: str
    rows: Mapping[str, int]
    cells: Mapping[str, int]
    parts: int

    def __bool__(self) -> bool:
        return bool(self.rows or self.cells)

    def __str__(self) -> str:
        rows = f"{sum(self.rows.values()):,} rows of {len(self.rows):,} tables"
        cells = f", {sum(self.cells.values()):,} cells of others" if self.cells else ""
        return f"{self.day}: {rows}{cells}, {self.parts:,} parts"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a day as it is found: what its manifest says, or said before it was taken away.

    Without one it was not published. It is to be `resumed` where it was taken away. `files` are its
    CSV parts, too, all with paths from the export's root.
    """

    name: str
    manifest: TableManifest | None
    files: tuple[File, ...]
    published: bool
    resumed: bool


@dataclass
class DayOfPeople:
    """A day of the export, from which `people` go, and of others what is to be `redacted`. `pairs`
    has the two types that a table of links is of, by its name, and `type_names` the ids of types by
    their names in columns. `beside` names the tables that have Parquet files of the day."""

    store: Store
    state: Store
    day: str
    people: People
    redacted: References
    run: Run
    pairs: Mapping[str, Sequence[str]]
    type_names: Mapping[str, Sequence[str]]
    beside: Collection[str] = ()

    def take_out(self, lease: Lease | None) -> TakenOut:
        """Rewrites what holds them. Raises StoreError, ValueError for a manifest that is none."""
        if lease:
            self._sweep()
        noted = self._noted()
        day = self._manifest(None, DayManifest)
        before = day or (DayManifest.from_json(noted[_DAY]) if _DAY in noted else None)
        rows: Counter[str] = Counter()
        cells: Counter[str] = Counter()
        parts = 0
        rewritten: set[str] = set()
        withdrawn = day is None
        now: dict[str, TableManifest] = {}
        with temporary_folder() as folder, ThreadPoolExecutor(_WORKERS) as pool:
            for table in self._tables(noted):
                changed = self._changed(table, pool, folder)
                manifest = table.manifest if table.published else None
                if changed or (table.resumed and not table.published):
                    manifest = self._rewrite(table, changed, None if withdrawn else day, lease)
                    withdrawn = True
                    parts += sum(each.local is not None for each in changed.values())
                    rewritten.add(table.name)
                    rows[table.name] = most_of(changed.values(), "rows_out")
                    cells[table.name] = most_of(changed.values(), "cells")
                if manifest:
                    now[table.name] = manifest
                    taken = [each.rows for each in manifest.forgotten if each.run == self.run.run]
                    rows[table.name] = sum(taken)
        if before and withdrawn and {each.table for each in before.tables} <= now.keys():
            self._publish(before, now, lease)
        elif day and _DAY in noted:  # broken off when it was published again
            add_day(self.store, self.day, day.portal_id)
        if noted or rewritten:
            self.state.delete(self._note(name) for name in {*noted, *rewritten, _DAY})
        return TakenOut(self.day, +rows, +cells, parts)

    def _sweep(self) -> None:
        """Removes what was broken off in the middle of a file, which may hold them."""
        for folder in (self.day, *(parquet_folder(self.day, table) for table in self.beside)):
            self.store.sweep(folder)

    def _noted(self) -> dict[str, bytes]:
        """What an earlier attempt noted of the manifests that it took away."""
        paths = [entry.path for entry in self.state.list(f"{FORGETTING}/{self.day}")]
        return {Path(path).stem: self.state.get(path) for path in paths}

    def _note(self, name: str) -> str:
        return f"{FORGETTING}/{self.day}/{name}.json"

    def _manifest(self, table: str | None, kind: type[M]) -> M | None:
        path = manifest_path(self.day, table)
        try:
            return kind.from_json(self.store.get(path))
        except NotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"{self.store.url_of(path)} cannot be read: {error}") from error

    def _tables(self, noted: Mapping[str, bytes]) -> Iterator[_Table]:
        entries = [entry for entry in self.store.list(self.day) if entry.path.count("/") > 1]
        there = {
            name: [entry.path for entry in of]
            for name, of in groupby(entries, lambda entry: entry.path.split("/")[1])
        }
        names = sorted({*there, *self.beside})
        with ThreadPoolExecutor(_READERS) as pool:
            published = list(pool.map(lambda name: self._manifest(name, TableManifest), names))
        for name, manifest in zip(names, published, strict=True):
            said = manifest or (TableManifest.from_json(noted[name]) if name in noted else None)
            paths = there.get(name, [])
            if said and {f"{self.day}/{part.path}" for part in said.parts} <= set(paths):
                files = (*parts_as_files(said), *said.files)
                yield _Table(name, said, files, manifest is not None, name in noted)
            else:  # an export was broken off
                paths += [each.path for each in self.store.list(parquet_folder(self.day, name))]
                unknown = tuple(unknown_files(paths))
                yield _Table(name, None, unknown, published=False, resumed=False)

    def _changed(self, table: _Table, pool: ThreadPoolExecutor, folder: Path) -> dict[str, Changed]:
        """The files that are to be others, or are by now, by path."""
        at = self._standing(table)

        def without(of: tuple[File, People]) -> Changed | None:
            file, people = of
            return self._without(file, people, folder / file.path.replace("/", "_"), at)

        def changed(some: Iterable[tuple[File, People]]) -> dict[str, Changed]:
            return {each.now.path: each for each in pool.map(without, some) if each}

        found = changed(self._narrowed(table, at))
        if table.published:
            found |= changed((file, self.people) for file in with_rows_of(table.files, found))
        return found

    def _standing(self, table: _Table) -> Standing:
        columns: Sequence[str] = ()
        key: Sequence[str] = ()
        if table.manifest:
            columns = [column.name for column in table.manifest.columns]
            key = table.manifest.key
        elif table.files:
            first = table.files[0]
            columns = FORMATS[first.format].columns(self.store.get(first.path))
        return standing(columns, key, self.type_names, self.pairs.get(table.name, ()))

    def _narrowed(self, table: _Table, at: Standing) -> list[tuple[File, People]]:
        """The files that may hold some of them, and whom; of a published table its parts alone."""
        types = {of for column in at.records for of in column.object_type_ids}
        nobody = not at.records and not at.addresses
        nobody |= bool(types) and not types & self.people.ids.keys()
        if nobody and not self.redacted:
            return []
        filled = [file for file in table.files if file.rows]
        if not table.published:
            return [(file, self.people) for file in filled]
        filled = [file for file in filled if file.format == "csv"]
        if self.redacted or not at.leading:
            return [(file, self.people) for file in filled]
        firsts = [self._first_record(file) for file in filled]
        found = []
        for number, (file, first) in enumerate(zip(filled, firsts, strict=True)):
            following = filled[number + 1 : number + 2]
            same = following and Path(following[0].path).parent == Path(file.path).parent
            people = between(self.people, first, firsts[number + 1] if same else None)
            if people:
                found.append((file, people))
        return found

    def _first_record(self, file: File) -> tuple[str, int] | None:
        with suppress(ValueError):  # whoever reads it as a whole will say so
            return _CSV.first_record(self.store.beginning(file.path, _BEGINNING))
        return None

    def _without(self, file: File, people: People, local: Path, at: Standing) -> Changed | None:
        """The file without them; None where they are not in it, and its manifest knows it so.

        Raises ValueError for one that is gone.
        """
        of = FORMATS[file.format]
        url = self.store.url_of(file.path)
        try:
            data = self.store.get(file.path)
        except NotFoundError as error:
            raise ValueError(f"{url} is not there; export the day again") from error
        known = file.rows != UNKNOWN and hashlib.sha256(data).hexdigest() == file.sha256
        try:
            left = of.without(data, at, people, self.redacted)
        except ValueError as error:
            raise StoreError(f"{url} is damaged: {error}; export the day again") from error
        if left is None and (known or file.rows == UNKNOWN):
            return None
        new, out, cells = left or (data, 0, 0)
        rows = file.rows - out if known else of.rows(new)
        if left:
            local.write_bytes(new)
        sha256 = hashlib.sha256(new).hexdigest()
        now = replace(file, rows=rows, bytes=len(new), sha256=sha256)
        return Changed(now, local if left else None, out, cells)

    def _rewrite(
        self,
        table: _Table,
        changed: Mapping[str, Changed],
        day: DayManifest | None,
        lease: Lease | None,
    ) -> TableManifest | None:
        """Replaces files of a table; gives its new manifest, if it had one. The manifest of the
        `day` is taken away with the first."""
        for name, said in ((_DAY, day), (table.name, table.manifest)):
            if said:
                self.state.put(self._note(name), said.to_json())
        if day:
            drop_day(self.store, self.day)
        self.store.delete([manifest_path(self.day), manifest_path(self.day, table.name)])
        for path, each in changed.items():
            if each.local:
                written_by = metadata_of(self.run.run, self.run.code_version)
                sha256 = each.now.sha256
                self.store.put(path, each.local, sha256=sha256, metadata=written_by)
                each.local.unlink()
        if table.manifest is None:
            return None
        now = [changed[each.path].now if each.path in changed else each for each in table.files]
        parts = tuple(
            Part(each.path.removeprefix(f"{self.day}/"), each.rows, each.bytes, each.sha256)
            for each in now
            if each.format == "csv"
        )
        rows = sum(part.rows for part in parts)
        taken = self.run.forgotten(table.manifest.rows - rows)
        manifest = replace(
            table.manifest,
            rows=rows,
            bytes=sum(part.bytes for part in parts),
            parts=parts,
            files=tuple(each for each in now if each.format != "csv"),
            written_with=WRITER,
            forgotten=(*table.manifest.forgotten, taken),
        )
        self._put(manifest_path(self.day, table.name), manifest, lease)
        return manifest

    def _publish(
        self, day: DayManifest, now: Mapping[str, TableManifest], lease: Lease | None
    ) -> None:
        """Puts the day's manifest back, with what the tables say now."""
        tables = tuple(line_of(now[each.table]) for each in day.tables)
        rows = sum(each.rows for each in tables)
        manifest = replace(
            day,
            tables=tables,
            rows=rows,
            bytes=sum(each.bytes for each in tables),
            forgotten=(*day.forgotten, self.run.forgotten(day.rows - rows)),
        )
        self._put(manifest_path(self.day), manifest, lease)
        add_day(self.store, self.day, day.portal_id)

    def _put(self, path: str, manifest: DayManifest | TableManifest, lease: Lease | None) -> None:
        if lease:
            lease.check()
        written_by = metadata_of(self.run.run, self.run.code_version)
        self.store.put(path, manifest.to_json(), metadata=written_by)
