from __future__ import annotations

import gzip
import json
import logging
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import httpx
import pytest

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import LONG_SILENCE, HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import (
    BadRequest,
    DailyLimitReached,
    GaveUp,
    HubSpotError,
    Unreachable,
)
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets_tests.hubspot.fakes import (
    START,
    TOKEN,
    FakeTime,
    Script,
    client_of,
    error,
    html,
    ok,
)

#: Their time passes only when it is slept through.
pytestmark = pytest.mark.usefixtures("patient")


def test_a_call_as_hubspot_gets_it() -> None:
    script, time = Script(ok({"results": [1]})), FakeTime(START + 0.1239)
    client = client_of(script, time, base_url="https://api.hubapi.com/")
    answer = client.get(
        "objects",
        object_type="0-1",
        params={"properties": "email,firstname", "archived": False, "after": None},
    )
    assert answer.status == 200
    assert answer.body == {"results": [1]}
    assert answer.received_at == datetime(2026, 11, 23, 23, 59, 0, 123000, UTC)
    request = script.requests[0]
    assert str(request.url) == (
        "https://api.hubapi.com/crm/objects/2026-09/0-1?properties=email,firstname&archived=false"
    )
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Accept-Encoding"] == "gzip"


def test_a_batch_as_hubspot_gets_it() -> None:
    partly = httpx.Response(207, json={"results": [], "numErrors": 1, "errors": [{}]})
    script = Script(partly)
    client = client_of(script, FakeTime(), paths=Paths({"objects": "v3"}))
    asked = {"inputs": [{"id": "101"}], "properties": ["email"]}
    answer = client.post(
        "objects", "batch_read", object_type="2-7", json=asked, params={"archived": True}
    )
    assert answer.status == 207
    assert answer.body["numErrors"] == 1
    request = script.requests[0]
    assert request.method == "POST"
    assert request.url.path == "/crm/v3/objects/2-7/batch/read"
    assert request.url.query == b"archived=true"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.content) == asked


def test_packed_bodies_are_unpacked() -> None:
    packed = gzip.compress(b'{"results":[7]}')

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=packed)

    assert client_of(handler, FakeTime()).get("owners").body == {"results": [7]}


# Faults that pass


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 523, 524, 527, 530])
def test_faults_of_the_server_pass(status: int) -> None:
    script, time = Script(html(status), html(status), ok()), FakeTime()
    client = client_of(script, time)
    assert client.get("owners").status == 200
    assert time.slept == [1, 2]
    assert client.stats.by_status == {200: 1, status: 2}
    assert client.stats.retries == 2
    assert client.stats.seconds_waiting == 3


def test_backoff_is_exponential_with_full_jitter_and_bounded() -> None:
    time = FakeTime()
    jitter = iter([0.5, 0.0, 1.0, 0.25, 1.0, 1.0, 1.0, 1.0])
    client = client_of(Script(html(502)), time, uniform=lambda: next(jitter), max_attempts=8)
    with pytest.raises(GaveUp) as raised:
        client.get("objects", object_type="0-1", params={"after": "31337"})
    assert time.slept == [0.5, 0.0, 4.0, 2.0, 16.0, 30.0, 30.0]
    assert raised.value.status == 502
    assert raised.value.attempts == 8
    assert str(raised.value) == (
        "GET /crm/objects/2026-09/0-1: gave up after 8 attempts, the last with 502; try again later"
    )


def test_retrying_has_a_bound_in_time() -> None:
    time = FakeTime()
    client = client_of(Script(html(502)), time, max_attempts=100, max_seconds=20)
    with pytest.raises(GaveUp):
        client.get("owners")
    assert time.slept == [1, 2, 4, 8]


@pytest.mark.parametrize("status", [522, 525, 526])
def test_faults_for_the_support_do_not_pass(status: int) -> None:
    script, time = Script(html(status)), FakeTime()
    with pytest.raises(GaveUp, match=f"after 1 attempt, .* {status}; contact HubSpot's support"):
        client_of(script, time).get("owners")
    assert len(script.requests) == 1


def test_a_token_that_is_none_ends_in_530() -> None:
    with pytest.raises(GaveUp, match="530; check that the access token is whole"):
        client_of(Script(html(530)), FakeTime()).get("owners")


def test_locks_are_waited_for() -> None:
    time = FakeTime()
    client_of(Script(error(423), error(423), ok()), time).get("owners")
    assert time.slept == [2, 2]


def test_a_portal_that_moves_is_waited_for_if_that_is_soon() -> None:
    time = FakeTime()
    client_of(Script(error(477, {"Retry-After": "90"}), ok()), time).get("owners")
    assert time.slept == [90]


def test_a_portal_that_moves_for_hours_ends_the_call_and_says_when_it_is_back() -> None:
    script, time = Script(error(477, {"Retry-After": "7200"})), FakeTime()
    with pytest.raises(GaveUp, match=r"is moving .* come back at 2026-11-24T01:59:00") as raised:
        client_of(script, time).get("owners")
    assert raised.value.resumes_at == datetime(2026, 11, 24, 1, 59, tzinfo=UTC)
    assert len(script.requests) == 1
    assert time.slept == []


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [("7", 7), ("Mon, 23 Nov 2026 23:59:09 GMT", 9), ("soon", 1), ("nan", 1), ("-5", 0)],
)
def test_hubspots_wish_to_be_left_alone_is_heeded(retry_after: str, waited: float) -> None:
    time = FakeTime()
    client_of(Script(html(503, {"Retry-After": retry_after}), ok()), time).get("owners")
    assert time.slept == [waited]


@pytest.mark.parametrize("body", [b"", b'{"results":[{"id":"1', b"<html>maintenance</html>"])
def test_answers_that_are_not_json_are_asked_for_again(body: bytes) -> None:
    broken = httpx.Response(200, content=body)
    assert client_of(Script(broken, ok({})), FakeTime()).get("owners").body == {}
    with pytest.raises(GaveUp, match="the last with 200 with a body that is not JSON"):
        client_of(Script(broken), FakeTime()).get("owners")


@pytest.mark.parametrize(
    "fault",
    [httpx.ReadTimeout("slow"), httpx.WriteError("cut"), httpx.RemoteProtocolError("cut")],
)
def test_faults_of_the_connection_pass(fault: Exception) -> None:
    client = client_of(Script(fault, ok()), FakeTime())
    assert client.get("owners").status == 200
    assert client.stats.requests == 2
    assert client.stats.by_status == {200: 1}
    with pytest.raises(GaveUp, match=type(fault).__name__) as raised:
        client_of(Script(fault), FakeTime()).get("owners")
    assert raised.value.status is None


# 429


def too_fast(policy: str, headers: dict[str, str] | None = None) -> httpx.Response:
    message = f"You have reached your {policy.lower()} limit."
    return error(429, headers, message=message, errorType="RATE_LIMIT", policyName=policy)


@pytest.mark.parametrize(
    ("answer", "unit"),
    [
        (too_fast("TEN_SECONDLY_ROLLING"), 10),
        (too_fast("SECONDLY"), 1),
        (error(429, message="You have reached your secondly limit."), 1),
        (error(429, message="You have reached your ten_secondly_rolling limit."), 10),
        (html(429), 10),
    ],
)
def test_too_fast_holds_the_budget_longer_each_time(answer: httpx.Response, unit: int) -> None:
    time = FakeTime()
    client = client_of(Script(answer, answer, answer, ok()), time)
    client.get("owners")
    assert time.slept == pytest.approx([unit, 2 * unit, 3 * unit])
    assert client.stats.http_429 == 3
    assert client.stats.seconds_waiting == pytest.approx(6 * unit)


@pytest.mark.parametrize(
    "answer",
    [
        too_fast("TEN_SECONDLY_ROLLING", {"Retry-After": "3"}),
        httpx.Response(429, json={"error_code": 1015, "retry_after": 3}),
    ],
)
def test_too_fast_with_a_time_to_come_back(answer: httpx.Response) -> None:
    time = FakeTime()
    client_of(Script(answer, ok()), time).get("owners")
    assert time.slept == pytest.approx([3])


def test_too_fast_holds_all_calls_on_the_budget_and_no_others() -> None:
    time = FakeTime()
    client = client_of(Script(too_fast("TEN_SECONDLY_ROLLING"), ok()), time, max_attempts=1)
    with pytest.raises(GaveUp, match="429 TEN_SECONDLY_ROLLING; HubSpot asks to come back"):
        client.get("owners")
    client.post("objects", "search", object_type="0-1", json={})
    client.post("associations", "batch_read", object_type="0-1", to_object_type="0-2", json={})
    assert time.slept == []
    client.get("objects", object_type="0-1")
    assert time.slept == pytest.approx([10])


def test_a_pause_that_is_too_long_ends_the_call_and_holds_nobody() -> None:
    time = FakeTime()
    answer = too_fast("TEN_SECONDLY_ROLLING", {"Retry-After": "700"})
    client = client_of(Script(answer, ok()), time)
    with pytest.raises(GaveUp, match="asks to come back at 2026-11-24T00:10:40") as raised:
        client.get("owners")
    assert raised.value.resumes_at == datetime(2026, 11, 24, 0, 10, 40, tzinfo=UTC)
    client.get("owners")
    assert time.slept == []


def test_a_long_pause_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    answer = too_fast("TEN_SECONDLY_ROLLING", {"Retry-After": "120"})
    client = client_of(Script(answer, ok()), time)
    client.get("owners")
    client.get("owners")
    told = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert told == ["HubSpot asks for a pause: no calls on the budget general until 00:01:00 UTC"]
    assert time.slept == pytest.approx([120])


@pytest.mark.parametrize(
    "answer", [too_fast("DAILY"), error(429, message="You have reached your daily limit.")]
)
def test_the_daily_limit_stops_all_calls_until_the_portals_midnight(answer: httpx.Response) -> None:
    script, time = Script(answer, ok()), FakeTime()
    client = client_of(script, time, time_zone=ZoneInfo("America/New_York"))
    with pytest.raises(DailyLimitReached, match=r"resume at 2026-11-24T00:00-05:00$") as raised:
        client.get("owners")
    new_york = timezone(timedelta(hours=-5))
    assert raised.value.resumes_at == datetime(2026, 11, 24, tzinfo=new_york)
    with pytest.raises(DailyLimitReached):
        client.get("users")
    assert len(script.requests) == 1
    time.sleep(5 * 3600 + 60)
    assert client.get("owners").status == 200


def test_a_base_url_that_is_none() -> None:
    with pytest.raises(HubSpotError, match="'localhost:8070' is not one; expected https://"):
        HubSpot(BearerToken(TOKEN), "localhost:8070")


# Budgets and counts


def test_each_call_draws_on_its_own_budget_of_the_size_that_hubspot_tells() -> None:
    headers = {
        "X-HubSpot-RateLimit-Max": "190",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
        "X-HubSpot-RateLimit-Remaining": "189",
        "X-HubSpot-RateLimit-Daily": "625000",
        "X-HubSpot-RateLimit-Daily-Remaining": "624999",
    }
    time = FakeTime()
    client = client_of(Script(ok(headers=headers)), time)
    for _ in range(190):
        client.get("objects", object_type="0-1")
    for _ in range(5):
        client.post("objects", "search", object_type="0-1", json={})
    assert time.slept == []
    client.post("objects", "search", object_type="0-1", json={})
    assert time.slept == pytest.approx([1.08])
    client.get("objects", object_type="0-1")
    assert time.now - START == pytest.approx(10.35)
    assert client.budgets.daily is not None
    assert client.budgets.daily.remaining == 624_999


def test_counts_of_a_stretch_of_work() -> None:
    refused = error(400, message="Invalid value for limit", category="VALIDATION_ERROR")
    client = client_of(Script(ok(), html(502), refused, refused, ok()), FakeTime())
    client.get("owners")
    before = client.stats
    with pytest.raises(BadRequest):
        client.get("owners")
    spent = client.stats - before
    assert spent.requests == 3
    assert spent.by_status == {400: 2, 502: 1}
    assert spent.retries == 2
    assert spent.http_429 == 0
    assert spent.seconds_waiting == 1
    assert client.stats.requests == 4


def test_counts_of_many_threads_add_up() -> None:
    with client_of(Script(ok()), FakeTime()) as client:
        for _ in in_order(lambda _: client.get("owners"), range(200), workers=8):
            pass
        assert client.stats.requests == 200


# Secrets


def test_nothing_secret_and_no_cursor_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of(Script(html(502), too_fast("SECONDLY"), html(502)), FakeTime())
    with pytest.raises(GaveUp) as raised:
        client.get("objects", object_type="0-1", params={"after": "31337"})
    shown = f"{caplog.text} {client!r} {raised.value!r}"
    assert "attempt 2 of 6 failed" in shown
    for secret in (TOKEN, TOKEN[8:20], "31337"):
        assert secret not in shown


class Host:
    """One that is there or gone."""

    def __init__(self) -> None:
        self.fault: Exception | None = httpx.ConnectError("Connection refused")

    def __call__(self, _: httpx.Request) -> httpx.Response:
        if self.fault:
            raise self.fault
        return ok()


def attempts(client: HubSpot, error: type[Exception] = Unreachable) -> int:
    """Those of a call that fails."""
    before = client.stats.requests
    with pytest.raises(error):
        client.get("owners")
    return client.stats.requests - before


def test_a_host_that_is_gone_for_minutes_is_tried_once_by_each_call():
    time, host = FakeTime(), Host()
    with client_of(host, time) as client:
        began, tried = time.now, []
        while time.now - began <= LONG_SILENCE:
            tried.append(attempts(client))
        assert len(tried) > 2
        assert set(tried[:-1]) == {6}
        assert [attempts(each) for each in (client, client.counted_apart(), client)] == [1, 1, 1]
        host.fault = None
        client.get("owners")
        host.fault = httpx.ConnectTimeout("timed out")
        assert attempts(client) == 6


def test_a_host_that_is_reached_but_fails_is_not_gone():
    time, host = FakeTime(), Host()
    with client_of(host, time) as client:
        attempts(client)
        host.fault = httpx.ReadError("cut off")
        attempts(client, GaveUp)
        time.sleep(2 * LONG_SILENCE)
        host.fault = httpx.ConnectError("Connection refused")
        assert attempts(client) == 6
