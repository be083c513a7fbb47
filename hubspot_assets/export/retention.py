"""Removes old days of the export: whole days, and of those nothing that it did not write.

What an object's owner is, its manifests say: the day's names the tables, a table's names the
parts. What is about to go is noted below the state root, as `purging/<day>.json`, until it has
gone: a purge that dies leaves parts without manifests, and the note is how the next one knows
them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from hubspot_assets.export.complete import drop_day, is_day
from hubspot_assets.export.manifest import (
    PARQUET,
    DayManifest,
    TableManifest,
    manifest_path,
    parquet_folder,
)
from hubspot_assets.readings.reading import NOTE, READINGS
from hubspot_assets.readings.staging import DAYS
from hubspot_assets.readings.unneeded import unneeded
from hubspot_assets.storage import leases
from hubspot_assets.storage.errors import KeptError, NotFoundError
from hubspot_assets.storage.store import Entry, Kept, Store

M = TypeVar("M", DayManifest, TableManifest)

_READERS = 16
_NOTES = "purging"
#: Where the state tells of what was read for a day; the second was before days shared readings.
_STAGED = (DAYS, "staged")
_READINGS = "readings that no day needs"
_PATIENCE = 2 * leases.DURATION  # a run that was killed is over by then


@dataclass(frozen=True, slots=True)
class Purged:
    """A day of which something went, or the readings that no day needs. `bytes` are stored ones."""

    day: str
    tables: int
    objects: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.day}: {self.tables:,} tables, {self.objects:,} objects, {self.bytes:,} bytes"


@dataclass(frozen=True, slots=True)
class Report:
    """What a purge did: the days that went, and what it left in days that were to go.

    `foreign` are paths that no manifest names, by day; `unreadable` says of a day that was
    left whole why; `kept` are the versions that a bucket did not let go of. `none_complete`
    says of how many days none is complete, so that all are left. `readings` are those that went
    with the days.
    """

    days: tuple[Purged, ...]
    readings: Purged
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, tuple[Kept, ...]] = field(default_factory=dict)
    none_complete: int = 0

    @property
    def unfinished(self) -> list[str]:
        """The days of which something is there that was to go."""
        return sorted({*self.unreadable, *self.kept})

    @property
    def total(self) -> Purged:
        """The sums; `day` says of how many days."""
        return Purged(
            f"{len(self.days):,} days",
            sum(each.tables for each in self.days),
            sum(each.objects for each in (*self.days, self.readings)),
            sum(each.bytes for each in (*self.days, self.readings)),
        )


@dataclass(frozen=True, slots=True)
class _Doomed:
    """The objects of one day that are to go: what goes first, second, ... and what tells of its
    readings."""

    day: str
    tables: int
    steps: tuple[tuple[str, ...], ...]
    staged: tuple[str, ...]
    entries: tuple[Entry, ...]

    def purged(self, kept: Sequence[Kept]) -> Purged:
        """What of it went, but for versions that stayed and the deletions that hide them."""
        there = {each.entry for each in kept}
        hidden = {each.path for each in there}
        gone = [
            each
            for each in self.entries
            if each not in there and (each.bytes or each.path not in hidden)
        ]
        return Purged(self.day, self.tables, len(gone), sum(each.bytes for each in gone))


def plan(days: Mapping[str, bool], keep_days: int, keep_monthly: int = 0) -> list[str]:
    """Which days are to go, oldest first.

    `days` are ISO dates, true where the day is complete. Kept are the newest `keep_days`
    complete ones, and the last complete one of each of the newest `keep_monthly` months that
    have one. A day that is not complete may be under way: it goes once the `keep_days` are there
    and all newer. All is reckoned by the days that are there, not by today: an export that
    stands still loses nothing.
    """
    newest_first = sorted((day for day, complete in days.items() if complete), reverse=True)
    last_of_month: dict[str, str] = {}
    for day in newest_first:
        last_of_month.setdefault(day[:7], day)
    newest = newest_first[:keep_days]
    keep = {*newest, *list(last_of_month.values())[:keep_monthly]}
    oldest = newest[-1] if len(newest) == keep_days else ""
    return sorted(
        day for day, complete in days.items() if (day not in keep if complete else day < oldest)
    )


def purge(
    store: Store,
    state: Store,
    keep_days: int,
    keep_monthly: int = 0,
    *,
    versions: bool = False,
    dry_run: bool = False,
    told: Callable[[Purged], None] = lambda _: None,
) -> Report:
    """Remove the days that `plan` gives from `store`, and what was read for them alone in `state`.

    Objects that no manifest names stay, as do days with a manifest that can't be read. A
    day's manifest goes first, then those of its tables, then Parquet files and parts: no reader
    takes for complete what is not. With `versions`, all versions that a bucket keeps of those
    objects go too, and it is looked whether they have gone. `told` hears of each day that went. A
    dry run reports the same, but for versions that will not go, and touches nothing.

    A day that a run is reading or writing is left as it is. Raises `StoreError`; the day under
    way is then finished by the next purge.
    """
    there = [name for name in store.folders() if is_day(name)]
    begun = {name for name in _noted_days(state) if is_day(name)}
    unreadable: dict[str, str] = {}
    manifests = _day_manifests(store, there, unreadable)
    to_go = plan({day: bool(manifests.get(day)) for day in there}, keep_days, keep_monthly)
    days: list[Purged] = []
    foreign: dict[str, tuple[str, ...]] = {}
    kept: dict[str, tuple[Kept, ...]] = {}
    for day in sorted({*to_go, *(begun - set(there))} - unreadable.keys()):
        try:
            with nullcontext() if dry_run else _alone(store, state, day, versions=versions):
                doomed, others = _inspect(store, state, day, manifests.get(day), versions=versions)
                stayed = () if dry_run else _remove(store, state, doomed, versions=versions)
        except (ValueError, NotFoundError, leases.LeaseError) as error:
            unreadable[day] = str(error)
            continue
        if others:
            foreign[day] = others
        if stayed:
            kept[day] = stayed
        purged = doomed.purged(stayed)
        if purged.objects:
            days.append(purged)
            told(purged)
    readings = Purged(_READINGS, 0, 0, 0)
    if days:
        try:
            with nullcontext() if dry_run else leases.held(state, READINGS, patience=_PATIENCE):
                readings, stayed = _purge_readings(
                    state, {each.day for each in days}, versions=versions, dry_run=dry_run
                )
            if stayed:
                kept[_READINGS] = stayed
        except leases.LeaseError as error:
            unreadable[_READINGS] = str(error)
        if readings.objects:
            told(readings)
    unknown = unreadable or any(manifests.values())
    return Report(
        tuple(days),
        readings,
        foreign,
        dict(sorted(unreadable.items())),
        kept,
        0 if unknown else len(there),
    )


def _purge_readings(
    state: Store, days: Collection[str], *, versions: bool, dry_run: bool
) -> tuple[Purged, tuple[Kept, ...]]:
    """What of the readings goes with `days`, and versions of them that stayed."""
    entries = tuple(unneeded(state, days, versions=versions))
    stayed: tuple[Kept, ...] = ()
    if not dry_run:
        # What says that one is complete goes first: none is left that lacks a part.
        paths = sorted({entry.path for entry in entries}, key=lambda path: not path.endswith(NOTE))
        try:
            state.delete(paths, versions=versions)
        except KeptError as error:
            stayed = tuple(error.kept)
    return _Doomed(_READINGS, 0, (), (), entries).purged(stayed), stayed


@contextmanager
def _alone(store: Store, state: Store, day: str, *, versions: bool) -> Iterator[None]:
    """While no run reads, or writes the day. Raises LeaseError where one still does.

    With `versions` those of the day's lease go as well, once all else is done.
    """
    with (
        leases.held(state, READINGS, patience=_PATIENCE),
        leases.held(store, day, patience=_PATIENCE),
    ):
        yield
        if versions:
            with suppress(KeptError):  # they name a run and a host, no more
                store.delete([leases.path_of(day)], versions=True)


def left_lines(report: Report) -> Iterator[str]:
    """What was left of days that were to go, and why: a line per day."""
    if report.none_complete:
        yield f"none of {report.none_complete:,} days is complete, so all stay"
    for day, paths in report.foreign.items():
        yield f"{day}: left {len(paths):,} objects that no manifest names: {_some(paths)}"
    for day, kept in report.kept.items():
        names = _some(list(dict.fromkeys(each.entry.path for each in kept)))
        reasons = "; ".join(dict.fromkeys(each.reason for each in kept))
        yield f"{day}: {len(kept):,} versions stayed: {names}: {reasons}"
    for day, reason in report.unreadable.items():
        yield f"{day}: left as it is: {reason}"


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more


def _noted_days(state: Store) -> Iterator[str]:
    """The days whose purge has begun."""
    for entry in state.list(_NOTES):
        yield entry.path.removeprefix(f"{_NOTES}/").removesuffix(".json")


def _day_manifests(
    store: Store, days: Sequence[str], unreadable: dict[str, str]
) -> dict[str, DayManifest | None]:
    """Each day's manifest, None where it has none. Unreadable ones are put down, not given."""

    def read(day: str) -> DayManifest | ValueError | None:
        try:
            return _read(store, manifest_path(day), DayManifest.from_json, day)
        except NotFoundError:
            return None
        except ValueError as error:
            return error

    found: dict[str, DayManifest | None] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for day, manifest in zip(days, pool.map(read, days), strict=True):
            if isinstance(manifest, ValueError):
                unreadable[day] = str(manifest)
            else:
                found[day] = manifest
    return found


def _inspect(
    store: Store, state: Store, day: str, manifest: DayManifest | None, *, versions: bool
) -> tuple[_Doomed, tuple[str, ...]]:
    """What of a day is to go, and the paths of what is not the export's.

    Raises `ValueError` or `NotFoundError` where a manifest can't be read.
    """
    current = [entry.path for entry in store.list(day)]
    tables = _table_manifests(store, day, manifest, current)
    whole = {manifest_path(day)} if manifest else set()
    published = {manifest_path(day, table.table) for table in tables}
    parts = {f"{day}/{part.path}" for table in tables for part in table.parts}
    files = {file.path for table in tables for file in table.files}
    for path in _noted(state, day) - whole - published:
        (parts if path.startswith(f"{day}/") else files).add(path)
    owned = whole | published | files | parts
    beside = _beside(store, day, current, files)
    current += [entry.path for entry in _listed(store, beside, versions=False)]
    found = _listed(store, (day, *beside), versions=versions)
    entries = [entry for entry in found if entry.path in owned]
    staged = [entry for root in _STAGED for entry in state.list(f"{root}/{day}", versions=versions)]
    there = {entry.path for entry in entries}
    doomed = _Doomed(
        day,
        len(tables),
        tuple(tuple(sorted(step & there)) for step in (whole, published, files, parts)),
        tuple(sorted({entry.path for entry in staged})),
        (*entries, *staged),
    )
    return doomed, tuple(path for path in current if path not in owned)


def _beside(
    store: Store, day: str, current: Iterable[str], files: Iterable[str]
) -> tuple[str, ...]:
    """The folders of a day's Parquet files: of tables that are there, and of known `files`."""
    if not any(store.list(PARQUET)):
        return ()
    tables = {path.split("/")[1] for path in current if path.count("/") > 1}
    folders = {parquet_folder(day, table) for table in tables}
    return tuple(sorted(folders | {path.rpartition("/")[0] for path in files}))


def _listed(store: Store, folders: Iterable[str], *, versions: bool) -> Iterator[Entry]:
    with ThreadPoolExecutor(_READERS) as pool:
        for found in pool.map(lambda each: list(store.list(each, versions=versions)), folders):
            yield from found


def _table_manifests(
    store: Store, day: str, manifest: DayManifest | None, current: Sequence[str]
) -> list[TableManifest]:
    """Those that the day's manifest names; without one, all that are there."""
    if manifest:
        names = [table.table for table in manifest.tables]
    else:
        folders = sorted({path.split("/")[1] for path in current})
        there = set(current)
        names = [each for each in folders if manifest_path(day, each) in there]

    def read(table: str) -> TableManifest:
        found = _read(store, manifest_path(day, table), TableManifest.from_json, day)
        beside = f"{parquet_folder(day, table)}/"
        if (
            found.table != table
            or any(not part.path.startswith(f"{table}/") for part in found.parts)
            or any(not file.path.startswith(beside) for file in found.files)
        ):
            raise ValueError(f"{store.url_of(manifest_path(day, table))} names another table")
        return found

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read, names))


def _read(store: Store, path: str, parse: Callable[[bytes], M], day: str) -> M:
    """The manifest at `path`. Raises `NotFoundError`, or `ValueError` for no manifest of `day`."""
    try:
        manifest = parse(store.get(path))
    except ValueError as error:
        raise ValueError(f"{store.url_of(path)} cannot be read: {error}") from error
    if manifest.day != day:
        raise ValueError(f"{store.url_of(path)} cannot be read: it is of {manifest.day}")
    return manifest


def _note_path(day: str) -> str:
    return f"{_NOTES}/{day}.json"


def _noted(state: Store, day: str) -> set[str]:
    """What an earlier purge of the day set out to remove."""
    try:
        return set(orjson.loads(state.get(_note_path(day))))
    except NotFoundError:
        return set()
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{state.url_of(_note_path(day))} cannot be read: {error}") from error


def _remove(store: Store, state: Store, doomed: _Doomed, *, versions: bool) -> tuple[Kept, ...]:
    """Removes what is doomed; gives the versions that stayed, for which the note does as well."""
    day = doomed.day
    kept: list[Kept] = []

    def delete(where: Store, paths: Sequence[str]) -> None:
        try:
            where.delete(paths, versions=versions)
        except KeptError as error:
            kept.extend(error.kept)

    if doomed.entries:
        paths = [path for step in doomed.steps for path in step]
        if _noted(state, day) != set(paths):
            state.put(_note_path(day), orjson.dumps(paths))
        drop_day(store, day)
        for folder in {day, *(path.rpartition("/")[0] for path in paths)}:
            store.sweep(folder)
        for step in doomed.steps:
            delete(store, step)
        for root in _STAGED:
            state.sweep(f"{root}/{day}")
        delete(state, doomed.staged)
    if not kept:
        with suppress(KeptError):  # of the note itself, which names paths and nothing else
            state.delete([_note_path(day)], versions=versions)
    return tuple(kept)
