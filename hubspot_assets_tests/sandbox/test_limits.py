"""Budgets, and OAuth tokens that run out, by a clock that the tests turn."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Clock
from hubspot_assets_tests.sandbox.conftest import NOW

LIST = "/crm/objects/2026-09/contacts"


class TurnedClock(Clock):
    """Stands still until it is turned."""

    def __init__(self, now: datetime = NOW) -> None:
        self.seconds = 1000.0
        super().__init__(now, monotonic=lambda: self.seconds)

    def turn(self, seconds: float) -> None:
        self.seconds += seconds
        self.set(self.datetime() + timedelta(seconds=seconds))


def refused(answer: httpx.Response, policy: str) -> None:
    assert answer.status_code == 429
    body = answer.json()
    assert body["policyName"] == policy
    assert body["errorType"] == "RATE_LIMIT"
    assert body["message"] == f"You have reached your {policy.lower()} limit."
    assert "Retry-After" not in answer.headers


def test_a_burst_is_counted_over_ten_rolling_seconds(served: Any) -> None:
    clock = TurnedClock()
    _, http = served(clock=clock, burst=5)
    left = []
    for _ in range(5):
        answer = http.get(LIST)
        assert answer.status_code == 200
        left.append(int(answer.headers["X-HubSpot-RateLimit-Remaining"]))
        clock.turn(1)
    assert left == [4, 3, 2, 1, 0]
    assert answer.headers["X-HubSpot-RateLimit-Max"] == "5"
    assert answer.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    over = http.get(LIST)
    refused(over, "TEN_SECONDLY_ROLLING")
    assert over.headers["X-HubSpot-RateLimit-Remaining"] == "0"
    clock.turn(5)
    assert http.get(LIST).status_code == 200
    refused(http.get(LIST), "TEN_SECONDLY_ROLLING")
    clock.turn(1)
    assert http.get(LIST).status_code == 200


def test_errors_count_and_tell_the_limits_too(served: Any) -> None:
    _, http = served(clock=TurnedClock(), burst=2)
    assert http.get("/crm/objects/2026-09/widgets").headers["X-HubSpot-RateLimit-Remaining"] == "1"
    assert http.get("/crm/v3/nothing").headers["X-HubSpot-RateLimit-Remaining"] == "0"
    refused(http.get(LIST), "TEN_SECONDLY_ROLLING")


def test_search_has_a_budget_of_its_own_and_no_headers(served: Any) -> None:
    clock = TurnedClock()
    _, http = served(clock=clock, burst=3, search_per_second=5)
    for _ in range(5):
        answer = http.post(f"{LIST}/search", json={})
        assert answer.status_code == 200
        assert not [name for name in answer.headers if "ratelimit" in name.lower()]
    over = http.post("/crm/objects/2026-09/deals/search", json={})
    refused(over, "SECONDLY")
    assert not [name for name in over.headers if "ratelimit" in name.lower()]
    assert http.get(LIST).headers["X-HubSpot-RateLimit-Remaining"] == "2"
    clock.turn(1)
    assert http.post(f"{LIST}/search", json={}).status_code == 200


def test_the_day_ends_at_midnight_of_the_portal(served: Any) -> None:
    clock = TurnedClock(datetime(2026, 11, 23, 4, 59, 50, tzinfo=UTC))
    _, http = served(clock=clock, daily=3, time_zone="America/New_York")
    usage = "/account-info/2026-09/api-usage/daily/private-apps"
    assert http.get(LIST).headers["X-HubSpot-RateLimit-Daily-Remaining"] == "2"
    assert http.post(f"{LIST}/search", json={}).status_code == 200
    told = http.get(usage).json()["results"][0]
    assert (told["usageLimit"], told["currentUsage"]) == (3, 3)
    assert told["resetsAt"] == "2026-11-23T05:00:00.000Z"
    refused(http.get(LIST), "DAILY")
    refused(http.post(f"{LIST}/search", json={}), "DAILY")
    clock.turn(20)
    assert http.get(LIST).headers["X-HubSpot-RateLimit-Daily-Remaining"] == "2"


@pytest.mark.slow
def test_plans_have_different_budgets(served: Any) -> None:
    for plan, burst, daily in [("free", "100", "250000"), ("enterprise", "190", "1000000")]:
        _, http = served(plan=plan, burst=None, records=1)
        headers = http.get(LIST).headers
        assert headers["X-HubSpot-RateLimit-Max"] == burst
        assert headers["X-HubSpot-RateLimit-Daily"] == daily


def test_access_tokens_run_out(served: Any) -> None:
    clock = TurnedClock()
    sandbox, _ = served(clock=clock, burst=None)
    form = {
        "grant_type": "refresh_token",
        "client_id": sandbox.portal.config.client_id,
        "client_secret": sandbox.portal.config.client_secret,
        "refresh_token": sandbox.portal.config.refresh_token,
    }
    for path in ("/oauth/2026-09/token", "/oauth/v1/token", "/oauth/v3/token"):
        issued = httpx.post(sandbox.url + path, data=form).json()
        assert issued["token_type"] == "bearer"
        assert "oauth" in issued["scopes"]
        headers = {"Authorization": f"Bearer {issued['access_token']}"}
        answer = httpx.get(sandbox.url + LIST, headers=headers)
        assert answer.status_code == 200
        # An app authorized with OAuth has a burst of its own, and no quota per day.
        assert answer.headers["X-HubSpot-RateLimit-Max"] == "110"
        assert "X-HubSpot-RateLimit-Daily" not in answer.headers
    clock.turn(issued["expires_in"] + 2)
    late = httpx.get(sandbox.url + LIST, headers=headers)
    assert late.status_code == 401
    assert late.json()["category"] == "EXPIRED_AUTHENTICATION"
    assert "expired 2 second(s) ago" in late.json()["message"]
    for wrong in ("client_id", "client_secret", "refresh_token", "grant_type"):
        answer = httpx.post(sandbox.url + "/oauth/v1/token", data=form | {wrong: "x"})
        assert answer.status_code == 400
