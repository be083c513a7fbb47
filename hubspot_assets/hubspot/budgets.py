"""Budgets, not sleeps: every call waits for its turn, so that 429s stay the exception.

HubSpot meters an account by rolling windows ("100 calls per 10 seconds"), each policy apart:

* `general`: every call that has no budget of its own; 100 to 250 per 10 s by subscription;
* `search`: 5 per second over all object types; its answers tell nothing of it;
* `associations`: 100 to 200 per 10 s.

Those are the sizes in HubSpot's usage guidelines. We start from the smallest and learn the true
ones from the headers of the answers. A budget is a log of the latest send times; a call takes
the first moment at which the window has room for it, and sleeps until then. The log lives in
memory, or in a small file that all processes of this host share, so that together they stay
within what the account allows. `shared` has what several hosts do.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Protocol, TypedDict
from uuid import uuid4

import orjson

from hubspot_assets.hubspot.errors import DailyLimitReached

log = logging.getLogger("hubspot_assets.hubspot")

GENERAL, SEARCH, ASSOCIATIONS = "general", "search", "associations"

#: Calls and seconds of each budget before HubSpot has told us more: those of the free plan.
DEFAULTS = {GENERAL: (100, 10.0), SEARCH: (5, 1.0), ASSOCIATIONS: (100, 10.0)}

#: An account's associations budget by the size of its general one, for HubSpot does not say
#: which of the two the headers of an associations answer describe. (110: public OAuth apps.)
ASSOCIATIONS_BY_GENERAL = {100: 100, 110: 100, 190: 150, 250: 200}

#: Calls arrive at HubSpot at other distances than we send them. A window longer than HubSpot's
#: by this share and these seconds keeps us within it, for 3 % of the allowance (search 7 %).
MARGIN_SHARE, MARGIN_SECONDS = 0.03, 0.05

#: However much other users of the account take, we claim this share of a budget.
LEAST_SHARE = 0.1

#: Send times that a log holds: more than the largest allowance of a window.
CAPACITY = 500

#: No honest entry of a log lies further ahead than this, in seconds; one that does means that
#: the log is broken, or that the clock was set back.
HORIZON = 900.0

#: A wait of more seconds than this is worth a word.
LONG_WAIT = 20.0

#: The calls of a day can be used up for no longer than it lasts, in seconds.
LONGEST_DAY = 25 * 3600.0

Clock = Callable[[], float]
Sleep = Callable[[float], None]
Told = Callable[[float], None]
"""Told until when, by the wall clock, a call has to wait."""


class Time(TypedDict):
    """Whose time it is that budgets take, and who hears of it."""

    clock: Clock
    sleep: Sleep
    told: Told


def _nobody(until: float) -> None:
    """Tells nobody."""


class Budget(Protocol):
    """One policy of HubSpot's, however many threads, processes or hosts share it.

    Times are those of the wall clock, in seconds: what processes have in common.
    """

    def acquire(self) -> float:
        """Wait until a call may be sent; returns the seconds waited."""

    def hold(self, seconds: float) -> None:
        """Let nobody send for `seconds` from now: HubSpot answered 429."""

    def learn(self, limit: int, interval: float, remaining: int | None, sent_at: float) -> None:
        """HubSpot allows `limit` calls in any `interval` seconds.

        `remaining` of them were left when the call that we sent at `sent_at` arrived. If that is
        fewer than our own calls account for, others use the account: leave them room.
        """

    @property
    def limit(self) -> int:
        """Calls per window, as far as we know."""


# The state of a budget is one flat array of doubles, the same in memory and in a file: these
# fields, then send times as a ring. Send times never decrease; those that lie ahead belong to
# calls that are sleeping until then.
_MAGIC, _HEAD, _LIMIT, _INTERVAL, _HOLD, _OTHERS, _OTHERS_AT, _RING = range(8)
_FORMAT = 2026.1
_LENGTH = _RING + CAPACITY

State = array  # of doubles; the alias spares the reader "array[float]" where "state" is meant


class Window:
    """A budget as a log of send times: no more than `limit` in any `interval` seconds.

    With `path` the log is a file, shared by all who name it, else it is this object's own. `told`
    hears when a call has to wait for long, and until when.
    """

    def __init__(
        self,
        limit: int,
        interval: float,
        *,
        path: Path | None = None,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
        told: Told = _nobody,
    ) -> None:
        self._told = told
        self._fresh = _fresh(limit, interval)
        self._log: _Memory | _File = _File(path) if path else _Memory()
        self._clock = clock
        self._sleep = sleep

    def acquire(self) -> float:
        """Wait for a turn; returns the seconds waited."""
        waited = 0.0
        while True:
            with self._state() as state:
                now = self._clock()
                turn = _take_turn(state, now)
            if turn <= now:
                return waited
            if turn - now > LONG_WAIT:
                self._told(turn)
            self._sleep(turn - now)
            waited += turn - now
            # A turn that was taken before a hold is forfeited by it.
            with self._state() as state:
                if state[_HOLD] <= turn:
                    return waited

    def hold(self, seconds: float) -> None:
        """Let nobody send for `seconds` from now."""
        with self._state() as state:
            state[_HOLD] = max(state[_HOLD], self._clock() + min(seconds, HORIZON))

    def learn(self, limit: int, interval: float, remaining: int | None, sent_at: float) -> None:
        """Take over the size, and note how much of it others use.

        That is the most seen within the last interval. Our own calls are counted generously,
        with those that were sent after this one, lest we take them for another's.
        """
        if limit > CAPACITY:  # the same rate, in a window that the log can hold
            limit, interval, remaining = CAPACITY, interval * CAPACITY / limit, None
        with self._state() as state:
            now = self._clock()
            state[_LIMIT] = max(1, limit)
            state[_INTERVAL] = interval
            if remaining is None:
                return
            times = _in_order(state)
            since = bisect_right(times, sent_at - interval - MARGIN_SECONDS)
            ours = bisect_right(times, sent_at + MARGIN_SECONDS) - since
            others = max(0, limit - remaining - ours)
            if others >= state[_OTHERS] or now - state[_OTHERS_AT] > interval:
                state[_OTHERS], state[_OTHERS_AT] = others, now

    @property
    def limit(self) -> int:
        """Calls per window, as far as we know."""
        with self._state() as state:
            return int(state[_LIMIT])

    @contextmanager
    def _state(self) -> Iterator[State[float]]:
        with self._log.locked(self._fresh) as state:
            if not _plausible(state, self._clock()):
                state[:] = self._fresh
            yield state


def _fresh(limit: int, interval: float) -> State[float]:
    state = array("d", bytes(8 * _LENGTH))
    state[_MAGIC], state[_LIMIT], state[_INTERVAL] = _FORMAT, limit, interval
    return state


def _plausible(state: State[float], now: float) -> bool:
    """Whether a log makes sense; written so that NaN does not."""
    if not (len(state) == _LENGTH and state[_MAGIC] == _FORMAT and 0 <= state[_HEAD] < CAPACITY):
        return False
    latest = state[_RING + int(state[_HEAD] - 1) % CAPACITY]
    return (
        latest <= now + HORIZON
        and state[_HOLD] <= now + HORIZON
        and 1 <= state[_LIMIT] <= CAPACITY
        and 0 < state[_INTERVAL] <= HORIZON
        and 0 <= state[_OTHERS] < HORIZON
    )


def _width(state: State[float]) -> float:
    return state[_INTERVAL] * (1 + MARGIN_SHARE) + MARGIN_SECONDS


def _take_turn(state: State[float], now: float) -> float:
    """Enter the next call into the log; returns when it may be sent, `now` at the earliest.

    It may be sent when the call that came `allowed` before it has left the window.
    """
    limit = state[_LIMIT]
    others = state[_OTHERS] if now - state[_OTHERS_AT] <= state[_INTERVAL] else 0
    allowed = int(max(limit - others, limit * LEAST_SHARE, 1))
    head = int(state[_HEAD])
    latest = state[_RING + (head - 1) % CAPACITY]
    leaves = state[_RING + (head - allowed) % CAPACITY] + _width(state)
    turn = max(now, latest, leaves, state[_HOLD])
    state[_RING + head] = turn
    state[_HEAD] = (head + 1) % CAPACITY
    return turn


def _in_order(state: State[float]) -> State[float]:
    """The send times, oldest first."""
    oldest = _RING + int(state[_HEAD])
    return state[oldest:] + state[_RING:oldest]


class _Memory:
    """A log for the threads of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: State[float] | None = None

    @contextmanager
    def locked(self, fresh: State[float]) -> Iterator[State[float]]:
        with self._lock:
            if self._state is None:
                self._state = fresh[:]
            yield self._state


class _File:
    """A log for all processes of this host; a file that is no log (yet) is made one.

    Read and written as a whole under a lock rather than mapped into memory: mapping would turn
    a truncated file or a full disk into a crash of the process.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = Lock()  # flock keeps processes apart, not the threads that share a file

    @contextmanager
    def locked(self, fresh: State[float]) -> Iterator[State[float]]:
        with self._lock:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                before = os.pread(self._descriptor, 8 * _LENGTH, 0)
                state = array("d", before) if len(before) == 8 * _LENGTH else fresh[:]
                yield state
                after = state.tobytes()
                if after != before:
                    os.pwrite(self._descriptor, after, 0)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Daily:
    """The calls of a day: how many the account may make, and how many are left."""

    limit: int
    remaining: int


class Budgets:
    """All budgets of one account.

    `folder`: where the logs lie that the processes of this host share (a file per budget and
    account; OSError if it cannot be written); without one each object has budgets of its own.
    `account`: whose budgets they are, as `Auth.account` has it.
    """

    def __init__(
        self,
        folder: Path | None = None,
        account: str = "account",
        *,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._exhausted = self._new_exhausted(folder / f"{account}.daily" if folder else None)
        self._said: dict[str, float] = {}
        self._daily: Daily | None = None
        self._budgets: dict[str, Budget] = {
            name: self._new_budget(name, folder / f"{account}.{name}" if folder else None)
            for name in DEFAULTS
        }

    def _new_budget(self, name: str, path: Path | None) -> Budget:
        return Window(*DEFAULTS[name], path=path, **self._time(name))

    def _new_exhausted(self, path: Path | None) -> Exhausted:
        return Exhausted(path, self._clock)

    def _time(self, name: str) -> Time:
        """What the budget `name` takes for time, and tells of it."""
        return {"clock": self._clock, "sleep": self._sleep, "told": partial(self._say, name)}

    @property
    def daily(self) -> Daily | None:
        """The calls of the day as the latest answer told; None before it, or where untold."""
        return self._daily

    def limit(self, name: str) -> int:
        """Calls per window of the budget `name`, as far as we know."""
        return self._budgets[name].limit

    def acquire(self, name: str) -> float:
        """Wait until a call on the budget `name` may be sent; returns the seconds waited.

        Raises DailyLimitReached, without waiting, while the day's calls are used up.
        """
        if resumes_at := self._exhausted.until(name):
            raise DailyLimitReached(
                "the account's calls of the day are used up; "
                f"they resume at {resumes_at.isoformat(timespec='minutes')}",
                resumes_at=resumes_at,
            )
        return self._budgets[name].acquire()

    def hold(self, name: str, seconds: float) -> None:
        """Let no thread or process send on the budget `name` for `seconds`."""
        self._budgets[name].hold(seconds)

    def exhaust(self, name: str, resumes_at: datetime) -> None:
        """HubSpot said that the day's calls are used up; there will be others at `resumes_at`.

        All processes that share `folder` know it from then on, and ask no more.
        """
        self._exhausted.note(name, resumes_at)

    def learn(self, name: str, headers: Mapping[bytes, bytes], sent_at: float) -> None:
        """Take over what the headers (names in lower case) of an answer tell.

        `X-HubSpot-RateLimit-Max` per `-Interval-Milliseconds`, of which `-Remaining` are left,
        and `-Daily`, `-Daily-Remaining`. Any may be missing or unreadable.
        """
        daily, left = _number(headers, b"daily"), _number(headers, b"daily-remaining")
        if daily is not None and left is not None:
            self._daily = Daily(daily, left)
        limit, interval = _number(headers, b"max"), _number(headers, b"interval-milliseconds")
        remaining = _number(headers, b"remaining")
        if not limit or not interval or name == SEARCH:
            return
        if name == ASSOCIATIONS and limit in ASSOCIATIONS_BY_GENERAL:
            limit, remaining = ASSOCIATIONS_BY_GENERAL[limit], None
        self._budgets[name].learn(limit, interval / 1000, remaining, sent_at)

    def _say(self, name: str, until: float) -> None:
        """Says once what is waited for, though many calls wait for it."""
        if until > self._said.get(name, 0.0) + LONG_WAIT:
            self._said[name] = until
            log.warning(
                "HubSpot asks for a pause: no calls on the budget %s until %s",
                name,
                datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S UTC"),
            )


class Exhausted:
    """Until when the calls of the day are used up, by budget: in a file for all processes of the
    account on this host, if `path` names one."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._resumes: dict[str, datetime] = {}
        self._read_at = 0  # the file's own time stamp

    def until(self, name: str) -> datetime | None:
        """When there will be calls again; None where there are some."""
        self._look()
        resumes_at = self._resumes.get(name)
        if resumes_at and 0 < resumes_at.timestamp() - self._clock() <= LONGEST_DAY:
            return resumes_at
        return None

    def note(self, name: str, resumes_at: datetime) -> None:
        """Notes it, for the others too."""
        self._look()
        self._resumes[name] = resumes_at
        if self._path:
            draft = self._path.with_name(f"{self._path.name}-{uuid4().hex}")
            noted = {each: at.isoformat() for each, at in self._resumes.items()}
            draft.write_bytes(orjson.dumps(noted))
            draft.replace(self._path)

    def _look(self) -> None:
        """Takes over what another process has noted since."""
        if self._path is None:
            return
        with suppress(OSError, ValueError, AttributeError, TypeError):
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._read_at = changed_at
                noted = orjson.loads(self._path.read_bytes())
                self._resumes = {each: datetime.fromisoformat(at) for each, at in noted.items()}


def _number(headers: Mapping[bytes, bytes], name: bytes) -> int | None:
    try:
        return int(headers[b"x-hubspot-ratelimit-" + name])
    except (KeyError, ValueError):
        return None
