"""Removes old days of the export: whole days, and of those nothing that it did not write.

What an object's owner is, its manifests say: the day's names the tables, a table's names the
parts. What is about to go is noted below the state root, as `purging/<day>.json`, until it has
gone: a purge that dies leaves parts without manifests, and the note is how the next one knows
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

import orjson

from hubspot_assets.export.manifest import DayManifest, TableManifest, manifest_path
from hubspot_assets.storage.errors import NotFoundError
from hubspot_assets.storage.store import Store

M = TypeVar("M", DayManifest, TableManifest)

_READERS = 16
_NOTES = "purging"


@dataclass(frozen=True, slots=True)
class Purged:
    """A day of which something went. `bytes` are stored ones, staged data's among them."""

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
    left whole why.
    """

    days: tuple[Purged, ...]
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Purged:
        """The sums; `day` says of how many days."""
        return Purged(
            f"{len(self.days):,} days",
            sum(each.tables for each in self.days),
            sum(each.objects for each in self.days),
            sum(each.bytes for each in self.days),
        )


@dataclass(frozen=True, slots=True)
class _Doomed:
    """The objects of one day that are to go: what goes first, second, ... and what is staged."""

    day: str
    tables: int
    steps: tuple[tuple[str, ...], ...]
    staged: tuple[str, ...]
    objects: int
    bytes: int


def plan(days: Mapping[str, bool], keep_days: int, keep_monthly: int = 0) -> list[str]:
    """Which days are to go, oldest first.

    `days` are ISO dates, true where the day is complete. Kept are the newest `keep_days` of
    them, the newest complete one, and the last complete one of each of the newest
    `keep_monthly` months that have a complete day. All is reckoned by the days that are
    there, not by today: an export that stands still loses nothing.
    """
    newest_first = sorted(days, reverse=True)
    complete = [day for day in newest_first if days[day]]
    last_of_month: dict[str, str] = {}
    for day in complete:
        last_of_month.setdefault(day[:7], day)
    monthly = list(last_of_month.values())[:keep_monthly]
    keep = {*newest_first[:keep_days], *complete[:1], *monthly}
    return sorted(days.keys() - keep)


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
    """Remove the days that `plan` gives from `store`, and what of them is staged in `state`.

    Objects that no manifest names stay, as do days with a manifest that can't be read. A
    day's manifest goes first, then those of its tables, then the parts: no reader takes for
    complete what is not. With `versions`, all versions that a bucket keeps of those objects
    go too. `told` hears of each day that went. A dry run reports the same and touches nothing.

    Raises `StoreError`; the day under way is then finished by the next purge.
    """
    there = [name for name in store.folders() if _is_day(name)]
    begun = {name for name in _noted_days(state) if _is_day(name)}
    unreadable: dict[str, str] = {}
    manifests = _day_manifests(store, there, unreadable)
    to_go = plan({day: bool(manifests.get(day)) for day in there}, keep_days, keep_monthly)
    days: list[Purged] = []
    foreign: dict[str, tuple[str, ...]] = {}
    for day in sorted({*to_go, *(begun - set(there))} - unreadable.keys()):
        try:
            doomed, others = _inspect(store, state, day, manifests.get(day), versions=versions)
        except (ValueError, NotFoundError) as error:
            unreadable[day] = str(error)
            continue
        if others:
            foreign[day] = others
        if not dry_run:
            _remove(store, state, doomed, versions=versions)
        if doomed.objects:
            days.append(Purged(day, doomed.tables, doomed.objects, doomed.bytes))
            told(days[-1])
    return Report(tuple(days), foreign, dict(sorted(unreadable.items())))


def left_lines(report: Report) -> Iterator[str]:
    """What was left of days that were to go, and why: a line per day."""
    for day, paths in report.foreign.items():
        more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
        names = ", ".join(paths[:3])
        yield f"{day}: left {len(paths):,} objects that no manifest names: {names}{more}"
    for day, reason in report.unreadable.items():
        yield f"{day}: left as it is: {reason}"


def _noted_days(state: Store) -> Iterator[str]:
    """The days whose purge has begun."""
    for entry in state.list(_NOTES):
        yield entry.path.removeprefix(f"{_NOTES}/").removesuffix(".json")


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


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
    parts |= _noted(state, day) - whole - published
    owned = whole | published | parts
    entries = [entry for entry in store.list(day, versions=versions) if entry.path in owned]
    staged = list(state.list(f"staged/{day}", versions=versions))
    there = {entry.path for entry in entries}
    doomed = _Doomed(
        day,
        len(tables),
        tuple(tuple(sorted(step & there)) for step in (whole, published, parts)),
        tuple(sorted({entry.path for entry in staged})),
        len(entries) + len(staged),
        sum(entry.bytes for entry in [*entries, *staged]),
    )
    return doomed, tuple(path for path in current if path not in owned)


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
        if found.table != table or any(not p.path.startswith(f"{table}/") for p in found.parts):
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


def _remove(store: Store, state: Store, doomed: _Doomed, *, versions: bool) -> None:
    day = doomed.day
    if doomed.objects:
        paths = [path for step in doomed.steps for path in step]
        state.put(_note_path(day), orjson.dumps(paths))
        store.sweep(day)
        for step in doomed.steps:
            store.delete(step, versions=versions)
        state.sweep(f"staged/{day}")
        state.delete(doomed.staged, versions=versions)
    state.delete([_note_path(day)], versions=versions)
