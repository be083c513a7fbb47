"""What the tests of the HTTP layer share: a time that passes only when it is slept through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import httpx

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot

#: 2026-11-23T23:59:00Z: a minute before midnight in UTC.
START = 1_795_478_340.0
TOKEN = "pat-eu1-5ec2e7aa-0000-4000-8000-000000000000"


class FakeTime:
    """A clock and a sleep that moves it; remembers how long was slept."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.slept: list[float] = []
        self._lock = Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


class Script:
    """A HubSpot that gives the answers of a list, one after another; the last one for ever.

    An answer is a response, an exception to raise, or a function of the request.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self._lock = Lock()
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(request)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        # A response is read once; the last answer may be given many times.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ok(body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(200, json={"results": []} if body is None else body, headers=headers)


def error(status: int, headers: dict[str, str] | None = None, **envelope: Any) -> httpx.Response:
    return httpx.Response(status, json={"status": "error", **envelope}, headers=headers)


def html(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    page = f"<html><head><title>{status}</title></head><body>cloudflare</body></html>"
    return httpx.Response(status, text=page, headers=headers)


def client_of(
    handler: Callable[[httpx.Request], httpx.Response], time: FakeTime, **options: Any
) -> HubSpot:
    """A client of `handler` on fake time, whose jitter always takes the whole backoff."""
    options = {"auth": BearerToken(TOKEN), "uniform": lambda: 1.0, **options}
    return HubSpot(
        transport=httpx.MockTransport(handler), clock=time.clock, sleep=time.sleep, **options
    )


def chain(raised: BaseException) -> Iterator[BaseException]:
    """An exception and all that stand behind it, as a traceback would show them."""
    current: BaseException | None = raised
    while current is not None:
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
