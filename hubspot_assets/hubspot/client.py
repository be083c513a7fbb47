"""The one place that talks to HubSpot: auth, budgets, retries and decoding.

A call waits for its budget, is sent, and comes back as an `Answer` or as one of `errors`. Faults
that pass are tried again, with exponential backoff and full jitter, within a bound of attempts
and of time. Which faults pass, and how long HubSpot wants to be left alone, is HubSpot's
documentation of its errors; the waits after a 429 are those of its own SDK for Node.
"""

from __future__ import annotations

import copy
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from threading import Lock, Semaphore
from typing import Any, Self, cast
from urllib.parse import urlencode

import httpx
import orjson
from isal import isal_zlib

from hubspot_assets.hubspot.auth import Auth
from hubspot_assets.hubspot.budgets import DEFAULTS, Budgets, Clock, Sleep
from hubspot_assets.hubspot.errors import (
    AuthenticationError,
    DailyLimitReached,
    Envelope,
    Forbidden,
    GaveUp,
    HubSpotError,
    IncompleteAnswer,
    Refused,
    Unexplained,
    Unreachable,
    UriTooLong,
    refusal,
)
from hubspot_assets.hubspot.paths import Endpoint, Params, Paths, host_of
from hubspot_assets.hubspot.stopping import Stop
from hubspot_assets.json_text import parsed

log = logging.getLogger("hubspot_assets.hubspot")

GzipError = cast("type[Exception]", isal_zlib.error)  # its type stub makes it an instance

#: The first backoff and the longest one, in seconds.
BACKOFF, LONGEST_BACKOFF = 1.0, 30.0

#: The most seconds to wait for a connection: four tries of TCP.
CONNECT = 20.0

#: Seconds to wait while HubSpot has a record locked for a large sync (423).
LOCKED_PAUSE = 2.0

#: Statuses of HubSpot's edge that do not pass: HubSpot says to contact its support.
PERMANENT = frozenset({522, 525, 526})

#: Statuses below 500 that pass: a 403 or 451 by which nobody says what is wrong, conflicts,
#: requests that came too early, too often or to the wrong machine, locks, and portals that move to
#: another data centre (477) or are not known there yet (488).
PASSING = frozenset({403, 408, 409, 421, 423, 425, 429, 451, 477, 488})
MOVING = frozenset({477, 488})

#: Params that name something by its id, as the arguments of a path do.
NAMING = frozenset({"userId"})

#: Attempts for all others, which hardly pass: a redirect, a path that is not there.
FEW_ATTEMPTS = 3

#: Seconds without any connection after which a host is taken for gone: what is asked then is tried
#: once, so that hundreds of calls do not each find out by six attempts.
LONG_SILENCE = 180.0

_NO_CONNECTION = httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of HubSpot's: 200, or 207 if a batch was served in part.

    `body` is the parsed JSON (None for an empty 204), as `json_text` reads it, `received_at` is in
    UTC, to the millisecond, `where` the method and path that were asked. What reads the body raises
    IncompleteAnswer where it is not of the shape that is due.
    """

    status: int
    body: Any
    received_at: datetime
    where: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """The body, an object."""
        if not isinstance(self.body, dict):
            raise self._misshapen("no object")
        return self.body

    def items(self, name: str = "results") -> list[dict[str, Any]]:
        """The objects of the list `name`."""
        items = self.content.get(name)
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise self._misshapen(f"no list of objects in {name}")
        return items

    def identified(self) -> list[dict[str, Any]]:
        """The results, each of which has an id."""
        if not all(each.get("id") for each in self.items()):
            raise self._misshapen("a result without an id")
        return self.items()

    @property
    def following(self) -> str | None:
        """The cursor of the next page; None at the end, however that is said."""
        return cursor_of(self.content)

    def _misshapen(self, what: str) -> IncompleteAnswer:
        return IncompleteAnswer(f"{self.where}: HubSpot's answer of {self.status} has {what}")


def cursor_of(paged: Mapping[str, Any]) -> str | None:
    """The cursor behind what has a `paging`; None if nothing follows, however that is said."""
    following = paged.get("paging")
    for name in ("next", "after"):
        following = following.get(name) if isinstance(following, dict) else None
    return None if following in (None, "") else str(following)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a client since its birth; of a stretch of work, as the difference of two.

    `requests` were sent, of which those that brought a whole answer are in `by_status`;
    `retries` of them were repetitions. `seconds_waiting` adds up over all threads.
    """

    requests: int
    by_status: Mapping[int, int]
    retries: int
    seconds_waiting: float

    @property
    def http_429(self) -> int:
        """Times that HubSpot said we were too fast."""
        return self.by_status.get(429, 0)

    def __sub__(self, earlier: Stats) -> Stats:
        differences = {s: n - earlier.by_status.get(s, 0) for s, n in self.by_status.items()}
        return Stats(
            self.requests - earlier.requests,
            {status: number for status, number in differences.items() if number},
            self.retries - earlier.retries,
            self.seconds_waiting - earlier.seconds_waiting,
        )


class HubSpot:
    """HubSpot's public API, for many threads at once.

    `budgets` default to ones of this client alone; others sleep by `stop`, if it is to end their
    waits too. `in_flight` is how many calls there may be at once on each budget; `timeout` is for
    each read and write, in seconds, and up to CONNECT for each connect. A call is tried
    `max_attempts` times and for `max_seconds` at most, not counting the wait for its first turn;
    once where the host has been gone for LONG_SILENCE. `time_zone` is the portal's: its midnight
    ends the day of the daily limit.
    """

    def __init__(
        self,
        auth: Auth,
        base_url: str = "https://api.hubapi.com",
        *,
        paths: Paths | None = None,
        budgets: Budgets | None = None,
        transport: httpx.BaseTransport | None = None,
        in_flight: int = 32,
        timeout: float = 60.0,
        max_attempts: int = 6,
        max_seconds: float = 600.0,
        time_zone: tzinfo = UTC,
        clock: Clock = time.time,
        stop: Stop | None = None,
        sleep: Sleep | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._host = host_of(base_url)
        self._base_url = base_url.rstrip("/")
        self._auth = auth
        self._paths = paths or Paths()
        self._stop = stop or Stop()
        self._sleep = sleep or self._stop.sleep
        self.budgets = budgets or Budgets(clock=clock, sleep=self._sleep)
        self.time_zone = time_zone
        self._max_attempts, self._max_seconds = max_attempts, max_seconds
        self._clock = clock
        self._uniform = uniform
        self._tally = _Tally()
        self._moved: dict[tuple[str, str], Endpoint] = {}
        self._silence = _Silence()
        # Taken before its turn: a call that had to wait behind others with a turn of its own would
        # arrive out of turn.
        self._slots = {name: Semaphore(in_flight) for name in DEFAULTS}
        self._extensions = {
            "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT), pool=None).as_dict(),
            "trace": self._stop.watch,
        }
        # A connection outlives the pauses between the bursts of a budget of 10 seconds.
        limits = httpx.Limits(max_connections=None, keepalive_expiry=30.0)
        self._http = httpx.Client(transport=transport, limits=limits, verify=_certificates())
        for name in ("httpx", "httpcore"):  # they log URLs, cursors and all
            logging.getLogger(name).setLevel(logging.WARNING)

    def get(
        self, api: str, endpoint: str = "list", *, params: Params | None = None, **path: str
    ) -> Answer:
        """GET an endpoint of `paths.csv`, with the arguments of its path by name.

        Params that are None are left out; lists are joined with commas by the caller. Raises
        HubSpotError, and ValueError for an endpoint or path argument that does not fit.
        """
        return self._run(_Call.to(self._endpoint(api, endpoint), path, params))

    def post(
        self,
        api: str,
        endpoint: str = "list",
        *,
        json: object,
        params: Params | None = None,
        **path: str,
    ) -> Answer:
        """POST `json`, which must only ask, not change: a fault may have it sent twice."""
        where = self._endpoint(api, endpoint)
        return self._run(_Call.to(where, path, params, orjson.dumps(json)))

    def has(self, api: str, endpoint: str = "list") -> bool:
        """Whether there is such an endpoint in the API's version that was chosen."""
        return self._paths.has(api, endpoint)

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of each API that is asked."""
        return self._paths.versions

    @property
    def stats(self) -> Stats:
        """A snapshot of the counts; subtract an earlier one for those of a stretch of work."""
        return self._tally.snapshot()

    def counted_apart(self) -> HubSpot:
        """This client over the same connections and budgets, with `stats` of its own from zero."""
        twin = copy.copy(self)
        twin._tally = _Tally()  # noqa: SLF001 - its own kind
        return twin

    def rest(self, seconds: float) -> None:
        """Wait for so long. Raises Stopped."""
        self._sleep(seconds)

    def stop(self) -> None:
        """End all calls, those under way too, with `Stopped`; for any thread to call."""
        self._stop.ask()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HubSpot({self._auth!r}, {self._host!r})"

    def _exchange(self, form: Mapping[str, str]) -> object:
        where = self._endpoint("oauth", "token")
        call = _Call.to(where, {}, None, urlencode(form).encode(), form=True)
        return self._run(call).body

    def _endpoint(self, api: str, name: str) -> Endpoint:
        return self._moved.get((api, name)) or self._paths.endpoint(api, name)

    def _run(self, call: _Call) -> Answer:
        """Send a call until it is answered, refused twice, or not worth another attempt.

        A path that is not there twice is tried in the API's older versions; the one that is there
        is remembered.
        """
        attempt, renewed, refused, asked = 0, False, False, call
        deadline: float | None = None
        while True:
            attempt += 1
            try:
                with self._turn(call.endpoint.budget):
                    deadline = deadline or self._clock() + self._max_seconds
                    token = "" if call.form else self._auth.token(self._exchange)
                    outcome = self._attempt(call, token, attempt)
            except AuthenticationError as error:
                if renewed or not error.expired or not self._auth.renew(token, self._exchange):
                    raise
                renewed = True
                continue
            if isinstance(outcome, Answer):
                if call is not asked:
                    self._move(call.endpoint)
                return outcome
            if isinstance(outcome, Refused):
                if refused:
                    raise outcome
                refused = True
                self._doubt(call, outcome)
                continue
            older = self._paths.older(call.endpoint) if outcome.status == 404 else None
            if older and attempt > 1:
                call = call.at(older)
                continue
            self._pause(asked, outcome, attempt, deadline)

    @contextmanager
    def _turn(self, budget: str | None) -> Iterator[None]:
        """Waits for the turn of a call on a budget, where it has one. Raises Stopped."""
        with self._slots[budget] if budget else nullcontext():
            self._stop.check()
            if budget:
                self._tally.waited(self.budgets.acquire(budget))
            yield

    def _move(self, to: Endpoint) -> None:
        """Notes where an endpoint is, which is not in the version that was chosen."""
        log.warning("HubSpot serves %s %s under %s alone", to.api, to.name, to.template)
        self._moved[to.api, to.name] = to

    def _doubt(self, call: _Call, refused: Refused) -> None:
        """Waits before a refusal is asked for again: a moment where it is about what is allowed,
        since those who judge that fail at times; not at all where it is about what there is."""
        if isinstance(refused, Forbidden):
            log.info("%s: refused with %d; asking again", call.where, refused.status)
            self._sleep(pause := self._uniform() * BACKOFF)
            self._tally.waited(pause)

    def _attempt(self, call: _Call, token: str, attempt: int) -> Answer | Refused | _Fault:
        """Send a call once. Raises the error for what no further attempt would better."""
        request = httpx.Request(
            call.method,
            self._base_url + call.url,
            headers=call.headers(token),
            content=call.content,
            extensions=self._extensions,
        )
        sent_at = self._clock()
        try:
            response = self._http.send(request, stream=True)
            headers = {name.lower(): value for name, value in response.headers.raw}
            content = _content(response, headers)
        except (httpx.RequestError, GzipError) as error:
            self._stop.check()
            self._tally.attempted(None, again=attempt > 1)
            fault = _Fault(None, type(error).__name__, cause=error)
            self._silence.since = (self._silence.since or sent_at) if fault.unconnected else None
            return fault
        self._silence.since = None
        self._tally.attempted(response.status_code, again=attempt > 1)
        if call.endpoint.budget:
            self.budgets.learn(call.endpoint.budget, headers, sent_at)
        if response.is_success:
            return self._decode(call, response.status_code, content)
        envelope = Envelope.of(content, headers, self._clock())
        return self._judge(call, response.status_code, envelope, attempt)

    def _decode(self, call: _Call, status: int, content: bytes) -> Answer | _Fault:
        received_at = datetime.fromtimestamp(int(self._clock() * 1000) / 1000, UTC)
        if not content and status == 204:
            return Answer(status, None, received_at, call.where)
        try:
            return Answer(status, parsed(content), received_at, call.where)
        except ValueError:
            # Cut off on the way, or a page of something between HubSpot and us.
            return _Fault(status, f"{status} with a body that is not JSON")

    def _judge(
        self, call: _Call, status: int, envelope: Envelope, attempt: int
    ) -> Refused | _Fault:
        """What to make of an error: a refusal, if HubSpot says no, else a fault that may pass.

        Raises what no further attempt would better.
        """
        error = refusal(status, call.where, envelope, call.names)
        if isinstance(error, AuthenticationError | UriTooLong):
            raise error
        if error:
            return error
        pause, held = envelope.retry_after, False
        if status == 429:
            pause, held = self._too_fast(call, envelope, attempt), True
        elif status == 423:
            pause = pause or LOCKED_PAUSE
        reason = " ".join(filter(None, (str(status), envelope.policy)))
        return _Fault(status, reason, pause, held, envelope.correlation_id)

    def _too_fast(self, call: _Call, envelope: Envelope, attempt: int) -> float:
        """Seconds to send nothing on this budget; raises DailyLimitReached."""
        policy = envelope.policy or envelope.message.upper()
        if "DAILY" in policy:
            now = datetime.fromtimestamp(self._clock(), self.time_zone)
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            self.budgets.exhaust(call.endpoint.budget, midnight)
            raise DailyLimitReached(
                f"{call.where}: the account's calls of the day are used up; "
                f"they resume at {midnight.isoformat(timespec='minutes')}",
                resumes_at=midnight,
                correlation_id=envelope.correlation_id,
            )
        secondly = "SECONDLY" in policy and "TEN_SECONDLY" not in policy
        return envelope.retry_after or (1.0 if secondly else 10.0) * attempt

    def _pause(self, call: _Call, fault: _Fault, attempt: int, deadline: float) -> None:
        """Wait until it is time for another attempt, or raise if there is to be none."""
        pause = fault.pause
        if pause is None:
            ceiling = min(LONGEST_BACKOFF, BACKOFF * 2 ** (attempt - 1))
            pause = self._uniform() * ceiling
        most = min(self._max_attempts, FEW_ATTEMPTS if fault.odd else self._max_attempts)
        too_long = self._clock() + pause > deadline
        if fault.held and call.endpoint.budget and not too_long:  # nobody waits for what we don't
            self.budgets.hold(call.endpoint.budget, pause)
        gone = fault.unconnected and self._silence.seconds(self._clock()) > LONG_SILENCE
        if too_long or gone or attempt >= most or fault.status in PERMANENT:
            raise self._end(call, fault, attempt) from fault.cause
        log.info(
            "%s: %s; attempt %d of %d failed, the next comes in %.1f s",
            call.where, fault.reason, attempt, most, pause,
        )  # fmt: skip
        if not (fault.held and call.endpoint.budget):
            self._sleep(pause)
            self._tally.waited(pause)

    def _end(self, call: _Call, fault: _Fault, attempts: int) -> HubSpotError:
        """The error for a fault that did not pass."""
        if fault.unconnected:
            return Unreachable(
                f"cannot connect to {self._host}: {str(fault.cause) or fault.reason}; "
                "check the base URL and the network",
                host=self._host,
            )
        resumes_at, kind, advice = None, GaveUp, "try again later"
        if fault.status in PERMANENT:
            advice = "contact HubSpot's support"
        elif fault.status == 530:  # seen for tokens that are no tokens
            advice = "check that the access token is whole"
        elif fault.pause is not None:
            resumes_at = datetime.fromtimestamp(self._clock() + fault.pause, UTC)
            advice = f"HubSpot asks to come back at {resumes_at.isoformat(timespec='seconds')}"
            if fault.status in MOVING:
                advice = f"the portal is moving to another data centre; {advice}"
        elif fault.unexplained:
            kind = Unexplained
            advice = "HubSpot does not say why; check the base URL, or try again later"
            if fault.status == 404:
                advice = "there is no such path, in no version of this API; check the base URL"
            elif fault.odd:
                advice = "HubSpot has no such answer to this; check the base URL"
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        return kind(
            f"{call.where}: gave up after {tries}, the last with {fault.reason}; {advice}",
            status=fault.status,
            where=call.where,
            attempts=attempts,
            resumes_at=resumes_at,
            correlation_id=fault.correlation_id,
        )


def _content(response: httpx.Response, headers: Mapping[bytes, bytes]) -> bytes:
    """The body, unpacked by isal: in less than half the time that httpx's zlib takes."""
    try:
        body = b"".join(cast("httpx.SyncByteStream", response.stream))
    finally:
        response.close()
    packed = body and headers.get(b"content-encoding") == b"gzip"
    return isal_zlib.decompress(body, 31) if packed else body


@cache
def _certificates() -> ssl.SSLContext:
    """What TLS trusts: loaded once a process, since that takes longer than many a request."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class _Call:
    """A request to be sent, as often as it takes: a POST if it has a `content`.

    `url` begins at the path. `names` are the arguments by which it names something.
    """

    endpoint: Endpoint
    url: str
    arguments: Mapping[str, str]
    params: Params | None
    content: bytes | None = None
    form: bool = False

    @classmethod
    def to(
        cls,
        endpoint: Endpoint,
        arguments: Mapping[str, str],
        params: Params | None = None,
        content: bytes | None = None,
        *,
        form: bool = False,
    ) -> _Call:
        """Raises ValueError for an argument that does not fit the endpoint."""
        url = endpoint.url(arguments, params)
        return cls(endpoint, url, arguments, params, content, form)

    def at(self, endpoint: Endpoint) -> _Call:
        """The same, asked of another version of the API."""
        return replace(self, endpoint=endpoint, url=endpoint.url(self.arguments, self.params))

    @property
    def method(self) -> str:
        return "GET" if self.content is None else "POST"

    @property
    def names(self) -> list[str]:
        return [*self.arguments, *NAMING.intersection(self.params or ())]

    @property
    def where(self) -> str:
        """Method and path for people to read, with the object types filled in, but no ids."""
        path = self.endpoint.template
        for name, value in self.arguments.items():
            if name.endswith("object_type"):
                path = path.replace(f"{{{name}}}", value)
        return f"{self.method} {path}"

    def headers(self, token: str) -> list[tuple[str, str]]:
        headers = [("Accept", "application/json"), ("Accept-Encoding", "gzip")]
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        if self.content is not None:
            kind = "application/x-www-form-urlencoded" if self.form else "application/json"
            headers.append(("Content-Type", kind))
        return headers


@dataclass(frozen=True, slots=True)
class _Fault:
    """An attempt that failed in a way that may pass.

    `pause`: seconds that HubSpot wants us to wait; None if it does not say. `held`: the wait
    is for everyone on the budget, not for this call alone.
    """

    status: int | None
    reason: str
    pause: float | None = None
    held: bool = False
    correlation_id: str | None = None
    cause: Exception | None = None

    @property
    def unconnected(self) -> bool:
        """Whether no connection to the host came about."""
        return isinstance(self.cause, _NO_CONNECTION)

    @property
    def unexplained(self) -> bool:
        """Whether it is an answer in which HubSpot says nothing that we know."""
        return self.status is not None and 300 <= self.status < 500

    @property
    def odd(self) -> bool:
        """Whether it is one that hardly passes."""
        return self.unexplained and self.status not in PASSING


@dataclass(slots=True)
class _Silence:
    """Since when, by the client's clock, no connection has come about; None while they do."""

    since: float | None = None

    def seconds(self, now: float) -> float:
        since = self.since  # which another thread may change
        return 0.0 if since is None else now - since


class _Tally:
    """The counts behind `Stats`, for many threads to add to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests = 0
        self._retries = 0
        self._by_status: dict[int, int] = {}
        self._seconds_waiting = 0.0

    def attempted(self, status: int | None, *, again: bool) -> None:
        with self._lock:
            self._requests += 1
            self._retries += again
            if status is not None:
                self._by_status[status] = self._by_status.get(status, 0) + 1

    def waited(self, seconds: float) -> None:
        if seconds:
            with self._lock:
                self._seconds_waiting += seconds

    def snapshot(self) -> Stats:
        with self._lock:
            by_status = dict(sorted(self._by_status.items()))
            return Stats(self._requests, by_status, self._retries, self._seconds_waiting)
