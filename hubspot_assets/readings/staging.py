"""Which reading serves a day, and how one is made where there is none.

    <state root>/days/<day>/<source>/<reading>       the reading that serves a source on a day

Readings are shared: a day is served by the earliest complete one that began when all that HubSpot
stamped on the day was stored, half an hour after its end. One that began before serves until there
is such a one. Those of a window of time, as events are, serve the day of that window alone. That a
pointer's name tells all makes one listing of a day do for all its sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
import polars as pl

from hubspot_assets.day import SETTLING, Day
from hubspot_assets.readings.forgotten import Forgotten
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.listing import Listing
from hubspot_assets.readings.reading import (
    CHECKPOINT,
    NOTE,
    READING_FORMAT,
    READINGS,
    Base,
    Name,
    Reading,
    Staged,
    Window,
)
from hubspot_assets.storage import NotFoundError, Store
from hubspot_assets.storage.formats import check_format
from hubspot_assets.storage.leases import Lease, take

DAYS = "days"

#: Bytes of what tables make of frames, and of frames of readings: most of what a small portal has.
_MADE, _READ = 20_000_000, 8_000_000


class NotStagedError(Exception):
    """Nothing complete serves a day of a source."""

    def __init__(self, source: str, day: str) -> None:
        super().__init__(f"{source} is not staged for {day}")
        self.source = source
        self.day = day


class Staging:
    """What was read for one day, which the run that has the readings' `lease` may write.

    Without one, each reading waits for it. With `read_again` each source is to be read once more,
    whatever is there. What it has found it does not look for again: while a run has the lease
    nobody else changes what serves the day, nor its files. Safe to share between threads.
    """

    def __init__(
        self, store: Store, day: Day, lease: Lease | None = None, *, read_again: bool = False
    ) -> None:
        self.day = day
        self.read_again = read_again
        self._store = store
        self._lease = lease
        self._serving: dict[str, Staged] = {}
        self._listing = Listing(store)
        self._notes: dict[str, Staged] = {}
        self._listed: Forgotten | None = None
        self.kept = Kept(_MADE)
        self._files = Kept(_READ if lease else 0)

    def serving(self, source: str) -> Staged | None:
        """The reading that serves the day for good, of whichever day's run; else None.

        One that began too early does while the day is too young for another. Raises StoreError.
        """
        staged = self._serving.get(source) or self._pointed(source)
        if staged is None or not (self.day.settled(staged.began) or self._is_young):
            staged = self._earliest(source)
            if staged:
                self._point(staged)
        if staged:
            self._serving[source] = staged
        return staged

    def complete(self, source: str) -> Staged:
        """The reading that serves the day, be it for now. Raises NotStagedError, StoreError."""
        staged = self.serving(source) or self._pointed(source)
        if staged is None:
            raise NotStagedError(source, self.day.name)
        return staged

    def newest(self, source: str) -> Staged | None:
        """The complete reading of `source` that began last. Raises StoreError."""
        for name in reversed(self._finished_ones(source)):
            if staged := self._staged(source, name):
                return staged
        return None

    def sources(self, family: str) -> list[str]:
        """The sources of which there are readings, as objects/0-1 of `family` objects."""
        return self._look.sources(family)

    def begin(
        self, source: str, plan: str, *, resume: bool = True, window: Window | None = None
    ) -> Reading:
        """A new reading of `source`, or the unfinished one of the same `plan`.

        `plan` says what is asked for and of whom: a checkpoint of another plan can't be gone on
        from, nor one that began too early for the day. `window` is the time that it is of, where
        it is of one. Raises StoreError, also where another has the lease for too long.
        """
        return self._begin(source, plan, resume=resume, window=window)

    def begin_changes(self, of: Staged, plan: str) -> Reading:
        """A new reading, of what has changed since the one given, which has the same source."""
        base = of.base or Base(of.folder, of.chunks_staged)
        return self._begin(of.source, plan, resume=False, base=base)

    def compacted(self, staged: Staged, left_out: pl.Expr) -> Staged:
        """The same reading without a base, so that it is read at once, and without the `records`
        that are to be `left_out`, with their values. Raises StoreError."""
        began = staged.began + timedelta(microseconds=1)
        reading = self._begin(staged.source, staged.plan, resume=False, began=began)
        reading.counts.update(staged.counts)
        reading.swept_at = staged.swept_at
        for chunk in staged.chunks():
            records, values = chunk.read("records"), chunk.read("values")
            gone = records.filter(left_out).select("id")
            if gone.height:
                records, values = (
                    each.join(gone, on="id", how="anti", maintain_order="left")
                    for each in (records, values)
                )
            reading.add({"records": records, "values": values}, after=None)
        return reading.finish(staged.availability, staged.observed_at)

    def _begin(
        self,
        source: str,
        plan: str,
        *,
        resume: bool,
        window: Window | None = None,
        base: Base | None = None,
        began: datetime | None = None,
    ) -> Reading:
        lease = self._lease or take(self._store, READINGS)
        try:
            reading = self._unfinished(source, plan if resume else None, lease)
            self._listing.forget(source)
            if reading is None:
                began = began or datetime.now(UTC)
                reading = self._new(source, plan, lease, began, window, base, resume=resume)
            reading.forgotten = self._forgotten()
        except BaseException:
            if lease is not self._lease:
                lease.release()
            raise
        reading.finished = self._finished
        reading.kept = self._files
        return reading if lease is self._lease else reading.closed_by(lease.release)

    def _new(
        self,
        source: str,
        plan: str,
        lease: Lease,
        began: datetime,
        window: Window | None,
        base: Base | None,
        *,
        resume: bool,
    ) -> Reading:
        on = base and Name.told(base.folder.rpartition("/")[2])
        name = Name.new(began, on.mark if on else "", self.day.name if window else "")
        folder = f"{READINGS}/{source}/{name}"
        return Reading(
            self._store, source, folder, began, plan, window, lease, resumable=resume, base=base
        )

    def _unfinished(self, source: str, plan: str | None, lease: Lease) -> Reading | None:
        """The reading to go on with; what is left of others of the same time is removed."""
        found = None
        left: list[str] = []
        for name, files in self._look.of(source).items():
            if NOTE in files or name.of not in ("", self.day.name):
                continue
            folder = f"{READINGS}/{source}/{name}"
            note = self._note(f"{folder}/{CHECKPOINT}") if CHECKPOINT in files else None
            if (
                note
                and note.get("plan") == plan
                and (self.day.settled(name.began) or self._is_young)
            ):
                found = Reading.going_on(self._store, source, folder, note, lease)
            else:
                left += (f"{folder}/{file}" for file in files)
        self._store.delete(left)
        return found

    def _forgotten(self) -> Forgotten:
        """Who must not come back; looked up once while nobody else can forget."""
        if self._listed is None or self._lease is None:
            self._listed = Forgotten.of(self._store)
        return self._listed

    @property
    def _look(self) -> Listing:
        """What there is of readings; without the lease others may have changed it since."""
        return self._listing if self._lease else Listing(self._store)

    @property
    def _is_young(self) -> bool:
        return not self.day.settled(datetime.now(UTC))

    def _finished(self, staged: Staged) -> None:
        self._point(staged)
        self._serving[staged.source] = staged

    def _pointed(self, source: str) -> Staged | None:
        name = self._pointers.get(source)
        staged = self._staged(source, name) if name else None
        return staged if staged and staged.window in (None, self.day.window) else None

    def _earliest(self, source: str) -> Staged | None:
        """The earliest complete reading that may serve the day for good."""
        for name in self._finished_ones(source):
            if (
                not name.of
                and self.day.settled(name.began)
                and (staged := self._staged(source, name))
            ):
                return staged
        return None

    def _finished_ones(self, source: str) -> list[Name]:
        """The complete readings, in order; none that began by a clock that ran far ahead."""
        latest = datetime.now(UTC) + SETTLING
        found = self._look.of(source).items()
        return [name for name, files in found if NOTE in files and name.began <= latest]

    @cached_property
    def _pointers(self) -> dict[str, Name]:
        """The names of the readings that serve the day; of several of a source, the newest."""
        root = f"{DAYS}/{self.day.name}/"
        found: dict[str, Name] = {}
        for entry in self._store.list(root.removesuffix("/")):
            source, _, text = entry.path.removeprefix(root).rpartition("/")
            name = Name.told(text)
            if name and (source not in found or found[source] < name):
                found[source] = name
        return found

    def _point(self, staged: Staged) -> None:
        name = Name.told(staged.name)
        if name and name != self._pointers.get(staged.source):
            folder = f"{DAYS}/{self.day.name}/{staged.source}"
            self._store.sweep(folder)
            self._store.put(f"{folder}/{name}", b"{}")
            self._pointers[staged.source] = name

    def _staged(self, source: str, name: Name) -> Staged | None:
        folder = f"{READINGS}/{source}/{name}"
        if folder not in self._notes:
            note = self._note(f"{folder}/{NOTE}") or {}
            with suppress(KeyError, TypeError, ValueError):
                staged = Staged.of(self._store, source, folder, note, self._files)
                if self._is_based(staged):
                    if self._lease is None:
                        return staged
                    self._notes[folder] = staged
        return self._notes.get(folder)

    def _is_based(self, staged: Staged) -> bool:
        """Whether the base is there, where it has one."""
        if staged.base_folder == staged.folder:
            return True
        base = Name.told(staged.base_folder.rpartition("/")[2])
        return base is not None and NOTE in self._look.of(staged.source).get(base, ())

    def _note(self, path: str) -> Mapping[str, Any] | None:
        # Nothing there, or half-written, as a machine that lost power leaves it.
        with suppress(NotFoundError, orjson.JSONDecodeError):
            note = orjson.loads(self._store.get(path))
            if isinstance(note, dict):
                check_format(note, READING_FORMAT, self._store.url_of(path))
                return note
        return None
