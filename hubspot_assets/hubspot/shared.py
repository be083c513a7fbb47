"""What hosts share of an account through a Redis server, and what they do without it: budgets, the
end of the day's calls, and an OAuth app's tokens."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

import orjson
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError
from redis.lock import Lock as Lease
from redis.retry import Retry

from hubspot_assets.hubspot.auth import TokenFile, Tokens
from hubspot_assets.hubspot.budgets import (
    CAPACITY,
    DEFAULTS,
    HORIZON,
    LEAST_SHARE,
    LONG_WAIT,
    MARGIN_SECONDS,
    MARGIN_SHARE,
    Budget,
    Budgets,
    Clock,
    Exhausted,
    Sleep,
    Told,
    Window,
)

log = logging.getLogger("hubspot_assets.hubspot")

#: Seconds in which the server must connect, and answer.
PATIENCE = 1.0
#: Seconds after which a server that was away is looked for again.
LOOKED_FOR = 5.0
#: Seconds for which a host counts among those that share a budget, and for which all is kept.
COUNTS, KEPT = 3600, 24 * 3600
#: So many hosts are taken to share a budget while the server has not told how many do.
HOSTS = 4
#: Seconds for which what the server told of the day's calls is taken to hold.
TOLD = 1.0
#: Seconds that a renewal of tokens takes at most, before another host takes its turn.
RENEWAL = 60

_SCRIPT = Path(__file__).with_name("budget.lua")

T = TypeVar("T")


class BudgetServer:
    """A Redis server at `url` (redis:// or rediss://). Safe to share between threads.

    While it is away nothing waits for it: it is looked for every few seconds, by one thread.
    """

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 1),  # a connection that a restart has cut
        )
        self._script = self._redis.register_script(_SCRIPT.read_text())
        self._away_until: float | None = None
        self._lock = Lock()

    def ask(self, ask: Callable[[Redis], T]) -> T | None:
        """What `ask` gets; None where the server is away."""
        with self._lock:
            if self._away_until is not None:
                if time.monotonic() < self._away_until:
                    return None
                self._away_until = time.monotonic() + LOOKED_FOR
        try:
            answer = ask(self._redis)
        except (RedisError, OSError) as error:
            self._lose(error)
            return None
        self._find()
        return answer

    def run(self, keys: list[str], arguments: list[str | float]) -> list[str] | None:
        """What the budgets' script answers; None where the server is away."""
        return self.ask(lambda _: self._script(keys=keys, args=arguments))

    def _lose(self, error: Exception) -> None:
        with self._lock:
            known, self._away_until = self._away_until, time.monotonic() + LOOKED_FOR
        if known is None:
            log.warning(
                "BUDGET_URL: the server can't be asked (%s); until it can be, this host keeps to "
                "its share of HubSpot's limits",
                error,
            )

    def _find(self) -> None:
        with self._lock:
            known, self._away_until = self._away_until, None
        if known is not None:
            log.info("BUDGET_URL: the server answers again, and hosts share HubSpot's limits")


class _State(NamedTuple):
    """What the server answers."""

    turn: str
    wait: float
    hold: float
    limit: int
    interval: float
    hosts: int


class SharedWindow:
    """A budget `name` that the hosts which ask the same server share, as `Budget` has it.

    While the server is away the processes of this host share a part of it: that of one host of
    those that were last seen. Who counts then does not know what was sent just before, so that
    either change costs some time: until all turns that the server gave are over, and until all
    hosts have found it again.
    """

    def __init__(
        self,
        server: BudgetServer,
        name: str,
        limit: int,
        interval: float,
        *,
        path: Path | None,
        clock: Clock,
        sleep: Sleep,
        told: Told,
    ) -> None:
        self._server = server
        self._keys = [f"hubspot-assets:{{{name}}}:{each}" for each in ("state", "times", "hosts")]
        self._known = _State("", 0, 0, limit, interval, HOSTS)
        self._first = limit, interval
        self._host = socket.gethostname()
        self._clock, self._sleep, self._told = clock, sleep, told
        self._local = Window(
            max(1, limit // HOSTS), interval, path=path, clock=clock, sleep=sleep, told=told
        )
        self._alone = False
        self._lock = Lock()

    def acquire(self) -> float:
        """Wait for a turn; returns the seconds waited."""
        waited = 0.0
        while True:
            state = self._ask("take")
            if state is None:
                return waited + self._local.acquire()
            if state.wait <= 0:
                return waited
            if state.wait > LONG_WAIT:
                self._told(self._clock() + state.wait)
            self._sleep(state.wait)
            waited += state.wait
            # A turn that was taken before a hold is forfeited by it.
            now = self._ask("look")
            if now is None or now.hold <= float(state.turn):
                return waited

    def hold(self, seconds: float) -> None:
        """Let nobody send for `seconds` from now."""
        if self._ask("hold", seconds) is None:
            self._local.hold(seconds)

    def learn(self, limit: int, interval: float, remaining: int | None, sent_at: float) -> None:
        """Take over the size, and note how much of it others use."""
        if limit > CAPACITY:  # the same rate, in a window that the log can hold
            limit, interval, remaining = CAPACITY, interval * CAPACITY / limit, None
        untold = -1 if remaining is None else remaining
        if self._ask("learn", limit, interval, untold, self._clock() - sent_at) is None:
            self._known = self._known._replace(limit=limit, interval=interval)
            self._keep_to_share()

    @property
    def limit(self) -> int:
        """Calls per window of all hosts, as far as we know."""
        self._ask("look")
        return self._known.limit

    def _ask(self, operation: str, *given: float) -> _State | None:
        answer = self._run(operation, given)
        with self._lock:
            if self._alone == (answer is None):
                return answer
            self._alone = answer is None
        width = self._known.interval * (1 + MARGIN_SHARE) + MARGIN_SECONDS
        if answer is None:
            self._keep_to_share()
            self._local.hold(2 * width)
            return None
        self._run("hold", [width + LOOKED_FOR])
        return self._run(operation, given) if operation == "take" else answer

    def _run(self, operation: str, given: tuple[float, ...] | list[float]) -> _State | None:
        rules = (MARGIN_SHARE, MARGIN_SECONDS, LEAST_SHARE, CAPACITY, HORIZON, COUNTS, KEPT)
        arguments = [operation, self._host, *self._first, *rules, *given]
        answer = self._server.run(self._keys, arguments)
        if answer is None:
            return None
        turn, wait, hold, limit, interval, hosts = answer
        self._known = _State(
            turn, float(wait), float(hold), int(limit), float(interval), int(hosts)
        )
        return self._known

    def _keep_to_share(self) -> None:
        limit, hosts = self._known.limit, max(self._known.hosts, 2)
        self._local.learn(max(1, limit // hosts), self._known.interval, None, self._clock())


class _SharedExhausted(Exhausted):
    """Until when the calls of the day are used up, as this host and all others have heard."""

    def __init__(self, server: BudgetServer, account: str, path: Path | None, clock: Clock) -> None:
        super().__init__(path, clock)
        self._server = server
        self._key = f"hubspot-assets:{{{account}}}:daily"
        self._asked_at = float("-inf")

    def until(self, name: str) -> datetime | None:
        """When there will be calls again; None where there are some."""
        if time.monotonic() - self._asked_at > TOLD:
            self._asked_at = time.monotonic()
            told = self._server.ask(lambda redis: redis.hgetall(self._key)) or {}
            for each, at in told.items():
                resumes_at = datetime.fromtimestamp(float(at), UTC)
                if resumes_at != self._resumes.get(str(each)):
                    super().note(str(each), resumes_at)
        return super().until(name)

    def note(self, name: str, resumes_at: datetime) -> None:
        """Notes it, for the others too."""
        super().note(name, resumes_at)

        def put(redis: Redis) -> object:
            redis.hset(self._key, name, str(resumes_at.timestamp()))
            return redis.expire(self._key, KEPT + 3600)

        self._server.ask(put)


class SharedBudgets(Budgets):
    """All budgets of one account, which hosts share through a server; else as `Budgets`."""

    def __init__(
        self,
        server: BudgetServer,
        folder: Path | None = None,
        account: str = "account",
        *,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._server, self._account = server, account
        super().__init__(folder, account, clock=clock, sleep=sleep)

    def _new_budget(self, name: str, path: Path | None) -> Budget:
        return SharedWindow(
            self._server,
            f"{self._account}.{name}",
            *DEFAULTS[name],
            path=path and path.with_name(f"{path.name}.share"),
            **self._time(name),
        )

    def _new_exhausted(self, path: Path | None) -> Exhausted:
        return _SharedExhausted(self._server, self._account, path, self._clock)


class SharedTokens:
    """An OAuth app's tokens, for all hosts: kept by the server, and in a file of each host's."""

    def __init__(self, server: BudgetServer, account: str, path: Path) -> None:
        self._server = server
        self._file = TokenFile(path)
        self._key = f"hubspot-assets:{{{account}}}:tokens"

    @contextmanager
    def alone(self) -> Iterator[Tokens]:
        """The newest that are known here, for one process of one host at a time.

        While the server is away, for one of this host, which goes on with its own.
        """
        lock: Lease | None = None
        with self._file.alone() as tokens:
            try:
                lock = self._server.ask(self._lock)
                yield _Tokens(tokens, self._server, self._key)
            finally:
                if lock:
                    self._server.ask(lambda _: _release(lock))

    def _lock(self, redis: Redis) -> Lease:
        lock: Lease = redis.lock(f"{self._key}:lock", timeout=RENEWAL)
        lock.acquire()
        return lock


class _Tokens:
    def __init__(self, own: Tokens, server: BudgetServer, key: str) -> None:
        self._own, self._server, self._key = own, server, key

    def read(self) -> bytes:
        told = self._server.ask(lambda redis: redis.get(self._key))
        return max(self._own.read(), str(told or "").encode(), key=_renew_at)

    def write(self, tokens: bytes) -> None:
        self._own.write(tokens)
        self._server.ask(lambda redis: redis.set(self._key, tokens))


def _release(lock: Lease) -> None:
    with suppress(LockError):  # it took longer than it may, and another has it
        lock.release()


def _renew_at(tokens: bytes) -> float:
    with suppress(ValueError, KeyError, TypeError):
        return float(orjson.loads(tokens)["renew_at"])
    return 0.0
