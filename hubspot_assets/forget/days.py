"""Takes people out of the tables of a delivered day, as the export contract rewrites tables.

The manifests of the day and of the table are gone before the first part is replaced, and come back
after the last. Until a day is done, the state has what they said:

    <state root>/forgetting/<day>/<table>.json, _day.json

so that who goes on after an interruption can publish what was published before. A part is found by
what it begins with where rows are in the order of records, and is read as a whole otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from hubspot_assets.export.manifest import (
    DayManifest,
    Forgotten,
    Part,
    TableManifest,
    manifest_path,
)
from hubspot_assets.export.writer import metadata_of
from hubspot_assets.forget.csv_parts import CsvParts
from hubspot_assets.forget.people import People
from hubspot_assets.storage import NotFoundError, Store, StoreError
from hubspot_assets.storage.leases import Lease
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.people import Standing, standing

M = TypeVar("M", DayManifest, TableManifest)

FORGETTING = "forgetting"
FORMAT = CsvParts()
_DAY = "_day"
_UNKNOWN = -1  # rows of a part of which no manifest tells
#: Parts that are worked on at a time; each is in memory as a whole.
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
    """What was taken out of a day: rows by table, and how many parts were rewritten for it."""

    day: str
    rows: Mapping[str, int]
    parts: int

    def __str__(self) -> str:
        return (
            f"{self.day}: {sum(self.rows.values()):,} rows of {len(self.rows):,} tables, "
            f"{self.parts:,} parts"
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a day as it is found: what its manifest says, or said before it was taken away.

    Without one it was not published. It is to be `resumed` where it was taken away.
    """

    name: str
    manifest: TableManifest | None
    parts: tuple[Part, ...]
    published: bool
    resumed: bool


@dataclass(frozen=True, slots=True)
class _Changed:
    """A part as it is to be; in a local `file` if it is not so yet."""

    part: Part
    file: Path | None
    rows_out: int


@dataclass
class DayOfPeople:
    """A day of the export, from which `people` go. `pairs` has the two types that a table of links
    is of, by its name, and `type_names` the ids of types by their names in columns."""

    store: Store
    state: Store
    day: str
    people: People
    run: Run
    pairs: Mapping[str, Sequence[str]]
    type_names: Mapping[str, Sequence[str]]

    def take_out(self, lease: Lease | None) -> TakenOut:
        """Rewrites what holds them. Raises StoreError, ValueError for a manifest that is none."""
        noted = self._noted()
        day = self._manifest(None, DayManifest)
        before = day or (DayManifest.from_json(noted[_DAY]) if _DAY in noted else None)
        rows: dict[str, int] = {}
        parts = 0
        withdrawn = day is None
        now: dict[str, TableManifest] = {}
        with temporary_folder() as folder, ThreadPoolExecutor(_WORKERS) as pool:
            for table in self._tables(noted):
                changed = self._changed(table, pool, folder)
                manifest = table.manifest if table.published else None
                if changed or (table.resumed and not table.published):
                    manifest = self._rewrite(table, changed, None if withdrawn else day, lease)
                    withdrawn = True
                    parts += sum(each.file is not None for each in changed.values())
                    rows[table.name] = sum(each.rows_out for each in changed.values())
                if manifest:
                    now[table.name] = manifest
                    taken = [each.rows for each in manifest.forgotten if each.run == self.run.run]
                    rows |= {table.name: sum(taken)} if taken else {}
        if before and withdrawn and {each.table for each in before.tables} <= now.keys():
            self._publish(before, now, lease)
        if noted or rows:
            self.state.delete(self._note(name) for name in {*noted, *rows, _DAY})
        return TakenOut(self.day, rows, parts)

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
        files = {
            name: list(of) for name, of in groupby(entries, lambda entry: entry.path.split("/")[1])
        }
        with ThreadPoolExecutor(_READERS) as pool:
            published = list(pool.map(lambda name: self._manifest(name, TableManifest), files))
        for (name, of), manifest in zip(files.items(), published, strict=True):
            said = manifest or (TableManifest.from_json(noted[name]) if name in noted else None)
            there = [entry.path.removeprefix(f"{self.day}/") for entry in of]
            if said and {part.path for part in said.parts} <= set(there):
                yield _Table(name, said, said.parts, manifest is not None, name in noted)
            else:  # an export was broken off
                paths = [path for path in there if path.endswith(FORMAT.suffix)]
                parts = tuple(Part(path, _UNKNOWN, 0, "") for path in paths)
                yield _Table(name, None, parts, published=False, resumed=False)

    def _changed(
        self, table: _Table, pool: ThreadPoolExecutor, folder: Path
    ) -> dict[str, _Changed]:
        """The parts that are to be others, or are by now, by path."""
        at = self._standing(table)
        work = enumerate(self._narrowed(table, at))

        def without(of: tuple[int, tuple[Part, People]]) -> _Changed | None:
            number, (part, people) = of
            return self._without(part, people, folder / f"{table.name}-{number}", at)

        return {each.part.path: each for each in pool.map(without, work) if each}

    def _standing(self, table: _Table) -> Standing:
        columns: Sequence[str] = ()
        key: Sequence[str] = ()
        if table.manifest:
            columns = [column.name for column in table.manifest.columns]
            key = table.manifest.key
        elif table.parts:
            columns = FORMAT.columns(self.store.get(f"{self.day}/{table.parts[0].path}"))
        return standing(columns, key, self.type_names, self.pairs.get(table.name, ()))

    def _narrowed(self, table: _Table, at: Standing) -> list[tuple[Part, People]]:
        """The parts that may hold some of them, and whom."""
        types = {of for column in at.records for of in column.object_type_ids}
        nobody = not at.records and not at.addresses
        if nobody or (types and not types & self.people.ids.keys()):
            return []
        filled = [part for part in table.parts if part.rows]
        if not at.leading or (table.resumed and not table.published):
            return [(part, self.people) for part in filled]
        firsts = [self._first_record(part) for part in filled]
        found = []
        for number, (part, first) in enumerate(zip(filled, firsts, strict=True)):
            following = filled[number + 1 : number + 2]
            same = following and Path(following[0].path).parent == Path(part.path).parent
            people = _between(self.people, first, firsts[number + 1] if same else None)
            if people:
                found.append((part, people))
        return found

    def _first_record(self, part: Part) -> tuple[str, int] | None:
        with suppress(ValueError):  # whoever reads it as a whole will say so
            return FORMAT.first_record(self.store.beginning(f"{self.day}/{part.path}", _BEGINNING))
        return None

    def _without(self, part: Part, people: People, file: Path, at: Standing) -> _Changed | None:
        """The part without them; None where they are not in it, and its manifest knows it so."""
        path = f"{self.day}/{part.path}"
        data = self.store.get(path)
        known = part.rows != _UNKNOWN and hashlib.sha256(data).hexdigest() == part.sha256
        try:
            left = FORMAT.without(data, at, people)
        except ValueError as error:
            raise StoreError(
                f"{self.store.url_of(path)} is damaged: {error}; export the day again"
            ) from error
        if left is None and (known or part.rows == _UNKNOWN):
            return None
        new, out = left or (data, 0)
        rows = part.rows - out if known else FORMAT.rows(new)
        if left:
            file.write_bytes(new)
        now = Part(part.path, rows, len(new), hashlib.sha256(new).hexdigest())
        return _Changed(now, file if left else None, out)

    def _rewrite(
        self,
        table: _Table,
        changed: Mapping[str, _Changed],
        day: DayManifest | None,
        lease: Lease | None,
    ) -> TableManifest | None:
        """Replaces parts of a table; gives its new manifest, if it had one. The manifest of the
        `day` is taken away with the first."""
        for name, said in ((_DAY, day), (table.name, table.manifest)):
            if said:
                self.state.put(self._note(name), said.to_json())
        self.store.delete([manifest_path(self.day), manifest_path(self.day, table.name)])
        for path, each in changed.items():
            if each.file:
                written_by = metadata_of(self.run.run, self.run.code_version)
                sha256 = each.part.sha256
                self.store.put(f"{self.day}/{path}", each.file, sha256=sha256, metadata=written_by)
                each.file.unlink()
        if table.manifest is None:
            return None
        parts = tuple(changed[p.path].part if p.path in changed else p for p in table.parts)
        rows = sum(part.rows for part in parts)
        taken = self.run.forgotten(table.manifest.rows - rows)
        manifest = replace(
            table.manifest,
            rows=rows,
            bytes=sum(part.bytes for part in parts),
            parts=parts,
            forgotten=(*table.manifest.forgotten, taken),
        )
        self._put(manifest_path(self.day, table.name), manifest, lease)
        return manifest

    def _publish(
        self, day: DayManifest, now: Mapping[str, TableManifest], lease: Lease | None
    ) -> None:
        """Puts the day's manifest back, with what the tables say now."""
        tables = tuple(
            replace(
                each,
                rows=now[each.table].rows,
                bytes=now[each.table].bytes,
                parts=len(now[each.table].parts),
                point_in_time=now[each.table].point_in_time,
                availability=now[each.table].availability,
            )
            for each in day.tables
        )
        rows = sum(each.rows for each in tables)
        manifest = replace(
            day,
            tables=tables,
            rows=rows,
            bytes=sum(each.bytes for each in tables),
            forgotten=(*day.forgotten, self.run.forgotten(day.rows - rows)),
        )
        self._put(manifest_path(self.day), manifest, lease)

    def _put(self, path: str, manifest: DayManifest | TableManifest, lease: Lease | None) -> None:
        if lease:
            lease.check()
        written_by = metadata_of(self.run.run, self.run.code_version)
        self.store.put(path, manifest.to_json(), metadata=written_by)


def _between(people: People, first: tuple[str, int] | None, last: tuple[str, int] | None) -> People:
    """Those who may stand in a part, from its first record to that of the next part.

    All parts of a folder are of one type.
    """
    if first is None:
        return people
    type_id, least = first
    most = last[1] if last else None
    ids = {
        each
        for each in people.ids.get(type_id, ())
        if least <= each and (most is None or each <= most)
    }
    return People({type_id: frozenset(ids)} if ids else {})
