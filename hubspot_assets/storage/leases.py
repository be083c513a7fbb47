"""Leases: one writer at a time, across threads, processes and hosts.

A lease is an object, `_leases/<name>.json`, that is written under the condition that nobody else
has done so meanwhile (`Store.swap`). Who has it writes it again several times in `DURATION`; who
wants it, and sees it unchanged for `DURATION` on a clock of their own, takes it over. So no clocks
are compared, and a holder that was killed costs those who come next a minute; on the same machine,
where its process is seen to be gone, nothing. What it left half-written below the name is swept.

A name is a day, and a holder is a run: what is written of one day is one run's at a time, its
readings in the state root and its tables in the export. A lease per table would cost a day of 500
tables 1,000 calls, and another run could still replace a reading while tables are made of it. The
processes of a run, each of which writes other tables, share its lease: they are its members, and
the last that leaves it removes it. Within a process a run's lease is taken once, however often it
is asked for.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, Self

import orjson

from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.process import is_gone, mark
from hubspot_assets.storage.store import Store

#: Seconds after which a lease that does not change is no one's.
DURATION = 60.0
#: Seconds for which another's lease is waited for.
PATIENCE = 3600.0

_FIRST_LOOK, _LOOK = 0.005, 1.0  # seconds between two looks at another's lease, growing
_TRIES = 10  # of a change, while other members of the run make theirs

Told = Callable[[str], object]
"""Hears, in a line, who is waited for."""

_log = logging.getLogger(__name__)


class LeaseError(StoreError):
    """Another has the lease: for longer than was waited, or since ours was lost."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What a lease says. `members` are the marks of the processes that share it, by their ids."""

    by: str
    since: str
    host: str
    process: int
    members: Mapping[str, str]
    change: str  # another with each writing, so that no two are alike

    @classmethod
    def new(cls, by: str) -> Self:
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(by, since, socket.gethostname(), os.getpid(), {}, "")

    @classmethod
    def of(cls, content: bytes) -> Self:
        with suppress(orjson.JSONDecodeError, TypeError):
            note = cls(**orjson.loads(content))
            if isinstance(note.members, dict):
                return note
        return cls("", "some time ago", "an unknown host", 0, {}, "")

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(replace(self, change=uuid.uuid4().hex)))

    def with_member(self, member: str) -> Self:
        alive = {name: each for name, each in self.members.items() if not is_gone(each)}
        return replace(self, members=alive | {member: mark()})

    def without(self, member: str) -> Self:
        return replace(self, members={k: v for k, v in self.members.items() if k != member})

    @property
    def is_left(self) -> bool:
        """Whether all who shared it are seen to be gone."""
        return bool(self.members) and all(map(is_gone, self.members.values()))

    def __str__(self) -> str:
        run = f"run {self.by} on " if _is_run(self.by) else ""
        return f"{run}{self.host}, process {self.process}, since {self.since}"


class _Moment(NamedTuple):
    """Now, by clocks of which at least one goes on while the machine sleeps."""

    up: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        up = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(time.clock_gettime(up), time.time())

    @property
    def seconds_ago(self) -> float:
        now = _Moment.now()
        return max(now.up - self.up, now.wall - self.wall)


class Lease:
    """What one process has of a run's lease. Made by `take`; safe to share between threads."""

    def __init__(self, store: Store, name: str, by: str) -> None:
        self.name = name
        self._store = store
        self._path = path_of(name)
        self._by = by
        self._member = uuid.uuid4().hex[:12]
        self._confirmed: _Moment | None = None
        self._lost: LeaseError | None = None
        self._lock = threading.RLock()
        self.users = 0

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not lost since as far as is known."""
        return self._confirmed is not None and self._lost is None

    def check(self) -> None:
        """Make sure, before something is published, that it still is ours.

        Asks the store only where it has not been renewed lately, as after a long pause. Raises
        LeaseError where another has it by now, StoreError where that can't be told.
        """
        with self._lock:
            if self._lost:
                raise self._lost
            if self._age > DURATION / 2:
                self._renew()

    def renew_if_due(self) -> None:
        """Write it again if that was not done lately. Raises as `check`."""
        if self.is_held and self._age > DURATION / 4:
            with self._lock:
                self._renew()

    def release(self) -> None:
        """One user less; the last one gives it up."""
        with _registry:
            self.users -= 1
            if self.users:
                return
            _held.pop((self._store.url_of(self._path), self._by), None)
            _wake.set()
        with self._lock:
            if not self.is_held:
                return
            try:
                self._renew(lambda note: note.without(self._member))
            except LeaseError:
                pass
            except StoreError as error:  # it ends by itself
                _log.warning("the lease on %s could not be given up: %s", self.name, error)

    def acquire(self, patience: float, told: Told) -> None:
        """Wait until it is ours. Raises LeaseError once `patience` seconds have passed."""
        with self._lock:
            if self.is_held:
                return
            watch = _Watch()
            began, pause = time.monotonic(), _FIRST_LOOK
            while not self._try(watch):
                if watch.note is not None:
                    if time.monotonic() - began > patience:
                        raise LeaseError(
                            f"{self._what} is being written by {watch.note}; waited "
                            f"{patience / 60:,.0f} minutes: run again when that has ended"
                        )
                    if not watch.told:
                        watch.told = True
                        told(f"waiting: {self._what} is being written by {watch.note}")
                time.sleep(pause)
                pause = min(pause * 1.5, _LOOK)

    @property
    def _age(self) -> float:
        """Seconds since the store last had it as ours."""
        return self._confirmed.seconds_ago if self._confirmed else math.inf

    @property
    def _what(self) -> str:
        root = self._store.url_of(self._path).removesuffix(f"/{self._path}")
        return f"{self.name} in {root}"

    def _try(self, watch: _Watch) -> bool:
        """Take it if it is free, or the run's already; `watch` notes what is in the way."""
        started = _Moment.now()
        found = self._store.versioned(self._path)
        note = _Note.of(found.content) if found else None
        shared = note is not None and note.by == self._by and not note.is_left
        watch.note = None
        if note and found and not shared and not watch.is_over(note, found.version):
            watch.note = note
            return False
        base = note if note and shared else _Note.new(self._by)
        content = base.with_member(self._member).to_json()
        if self._store.swap(self._path, content, found.version if found else None) is None:
            return False
        # A store that ignores conditions lets everybody write: the last one has it.
        if self._mine() is None:
            return False
        self._confirmed, self._lost = started, None
        if base is not note:  # nobody of this run writes there yet
            self._store.sweep(self.name)
        return True

    def _write(self, change: Callable[[_Note], _Note]) -> bool:
        """Change what it says; False if another member did so meanwhile. Raises LeaseError."""
        started = _Moment.now()
        mine = self._mine()
        if mine is None:
            found = self._store.versioned(self._path)
            by = f"was taken over by {_Note.of(found.content)}" if found else "is gone"
            self._lost = LeaseError(
                f"{self._what}: the lease {by} while this process stood still; what it was "
                "writing is not published: run again",
                passing=True,
            )
            raise self._lost
        note, version = mine
        note = change(note)
        content = note.to_json() if note.members else None
        if self._store.swap(self._path, content, version) is None:
            return False
        self._confirmed = started
        return True

    def _mine(self) -> tuple[_Note, str] | None:
        """What the lease says and its version, if this process is among its members."""
        found = self._store.versioned(self._path)
        note = _Note.of(found.content) if found else None
        return (note, found.version) if found and note and self._member in note.members else None

    def _renew(self, change: Callable[[_Note], _Note] = lambda note: note) -> None:
        for _ in range(_TRIES):
            if self._write(change):
                return
        raise StoreError(f"{self._what}: the lease could not be renewed; run again", passing=True)


class _Watch:
    """How long another's lease has been the same."""

    def __init__(self) -> None:
        self.note: _Note | None = None
        self.told = False
        self._version = ""
        self._since = 0.0

    def is_over(self, note: _Note, version: str) -> bool:
        """Whether its holder is gone, or has not been heard of for too long."""
        if version != self._version:
            self._version, self._since = version, time.monotonic()
        return note.is_left or time.monotonic() - self._since > DURATION


_registry = threading.RLock()  # again and again, as a garbage collection may release a lease
_held: dict[tuple[str, str], Lease] = {}
_gave_up: set[tuple[str, str]] = set()
_wake = threading.Event()
_keeper: threading.Thread | None = None


def take(
    store: Store,
    name: str,
    run: str | None = None,
    *,
    patience: float | None = None,
    told: Told = _log.warning,
) -> Lease:
    """The lease `name` of `store` for `run`, once nobody else has it; to be released.

    Without a run it is the calling thread's. Raises LeaseError where another still has it after
    `patience` seconds, by default PATIENCE; a run waits so long once, not in each of its steps.
    Raises StoreError.
    """
    by = run or f"thread {threading.get_ident()} of {mark()}"
    key = (store.url_of(path_of(name)), by)
    with _registry:
        lease = _held.setdefault(key, Lease(store, name, by))
        lease.users += 1
    try:
        lease.acquire(0 if key in _gave_up else PATIENCE if patience is None else patience, told)
    except BaseException as error:
        lease.release()
        if isinstance(error, LeaseError) and run:
            _gave_up.add(key)
        raise
    _keep()
    return lease


@contextmanager
def held(
    store: Store,
    name: str,
    run: str | None = None,
    *,
    patience: float | None = None,
    told: Told = _log.warning,
) -> Iterator[Lease]:
    """`take`, and release at the end of the block."""
    lease = take(store, name, run, patience=patience, told=told)
    try:
        yield lease
    finally:
        lease.release()


class Leases:
    """What one process of a run holds: each lease from its first use to the end of the run."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._taken: dict[tuple[str, str], Lease] = {}
        self._lock = threading.Lock()

    def of(self, store: Store, name: str, told: Told = _log.warning) -> Lease:
        """The run's lease `name` of `store`. Waits and raises as `take`."""
        key = (store.url_of(path_of(name)), name)
        with self._lock:
            if key not in self._taken:
                self._taken[key] = take(store, name, self._run, told=told)
            return self._taken[key]

    def release(self) -> None:
        """The end of the run, or of its part in this process."""
        with self._lock:
            while self._taken:
                self._taken.popitem()[1].release()


def path_of(name: str) -> str:
    """Where in a store a lease lies."""
    return f"_leases/{name}.json"


def _is_run(by: str) -> bool:
    return not by.startswith("thread ") and bool(by)


def _keep() -> None:
    """Let a thread of this process renew its leases for as long as it has some."""
    global _keeper  # noqa: PLW0603  (one thread for all)
    with _registry:
        _wake.set()
        if _keeper is None:
            _keeper = threading.Thread(target=_renew_all, name="leases", daemon=True)
            _keeper.start()


def _renew_all() -> None:
    global _keeper  # noqa: PLW0603
    while True:
        _wake.wait(DURATION / 3)
        _wake.clear()
        with _registry:
            leases = list(_held.values())
            if not leases:
                _keeper = None
                return
        for lease in leases:
            with suppress(StoreError):  # whoever is about to publish will ask, and hear of it
                lease.renew_if_due()
