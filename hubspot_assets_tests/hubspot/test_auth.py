from __future__ import annotations

import logging
from pathlib import Path
from threading import Barrier, Lock
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from hubspot_assets.hubspot.auth import BearerToken, RefreshToken, TokenFile
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import AuthenticationError, GaveUp
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets_tests.hubspot.fakes import (
    TOKEN,
    FakeTime,
    chain,
    client_of,
    error,
    html,
    ok,
)

#: Their time passes only when it is slept through.
pytestmark = pytest.mark.usefixtures("patient")

CLIENT_SECRET, REFRESH_TOKEN = "5ec2e7-of-the-app", "5ec2e7-to-refresh"


class App:
    """HubSpot with an OAuth app: hands out access tokens and serves only the latest."""

    def __init__(self, *, rotates: bool = False) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.paths: list[str] = []
        self.served = 0
        self.current = ""
        self.faults: list[httpx.Response] = []
        self.rotates = rotates
        self.expires_in: object = 1800
        self._lock = Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            if request.url.path.startswith("/oauth/"):
                return self._hand_out(request)
            if request.headers["Authorization"] != f"Bearer {self.current}":
                return error(401, category="EXPIRED_AUTHENTICATION", message="expired 0 s ago.")
            self.served += 1
            return ok()

    def _hand_out(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        if self.faults:
            return self.faults.pop(0)
        self.paths.append(request.url.path)
        self.forms.append(parse_qs(request.content.decode()))
        self.current = f"access-{len(self.forms)}"
        refresh_token = f"{REFRESH_TOKEN}-{len(self.forms)}" if self.rotates else REFRESH_TOKEN
        return httpx.Response(
            200,
            json={
                "access_token": self.current,
                "refresh_token": refresh_token,
                "expires_in": self.expires_in,
                "token_type": "bearer",
            },
        )


def refresh_token(time: FakeTime, **more: Any) -> RefreshToken:
    return RefreshToken("the-app", CLIENT_SECRET, REFRESH_TOKEN, clock=time.clock, **more)


def test_the_access_token_is_fetched_once_and_used_until_it_is_about_to_expire() -> None:
    app, time = App(), FakeTime()
    client = client_of(app, time, auth=refresh_token(time))
    for _ in range(3):
        client.get("owners")
    assert app.paths == ["/oauth/2026-09/token"]
    assert app.forms == [
        {
            "grant_type": ["refresh_token"],
            "client_id": ["the-app"],
            "client_secret": [CLIENT_SECRET],
            "refresh_token": [REFRESH_TOKEN],
        }
    ]
    time.now += 1800 - 130
    client.get("owners")
    assert len(app.forms) == 1
    time.now += 20
    client.get("owners")
    assert len(app.forms) == 2
    assert app.served == 5


def test_the_token_endpoint_has_versions_too() -> None:
    app, time = App(), FakeTime()
    client_of(app, time, auth=refresh_token(time), paths=Paths({"oauth": "v1"})).get("owners")
    assert app.paths == ["/oauth/v1/token"]


def test_a_token_that_hubspot_calls_expired_is_renewed_and_the_call_sent_again() -> None:
    app, time = App(), FakeTime()
    client = client_of(app, time, auth=refresh_token(time))
    client.get("owners")
    app.current = "revoked"
    client.get("owners")
    assert len(app.forms) == 2
    assert client.stats.by_status == {200: 4, 401: 1}
    assert time.slept == []


def test_a_new_token_that_is_expired_as_well_ends_the_call() -> None:
    time = FakeTime()
    app = App()

    def never_content(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/oauth/"):
            return app(request)
        return error(401, category="EXPIRED_AUTHENTICATION")

    with pytest.raises(AuthenticationError, match="expired"):
        client_of(never_content, time, auth=refresh_token(time)).get("owners")
    assert len(app.forms) == 2


def test_a_rotated_refresh_token_is_kept() -> None:
    app, time = App(rotates=True), FakeTime()
    auth = refresh_token(time)
    client = client_of(app, time, auth=auth)
    account = auth.account
    for _ in range(3):
        client.get("owners")
        app.current = "revoked"
    tokens = [form["refresh_token"][0] for form in app.forms]
    assert tokens == [REFRESH_TOKEN, f"{REFRESH_TOKEN}-1", f"{REFRESH_TOKEN}-2"]
    assert auth.account == account


def test_processes_share_their_tokens(tmp_path: Path) -> None:
    app, time = App(rotates=True), FakeTime()

    def process() -> RefreshToken:
        return refresh_token(time, kept=lambda account: TokenFile(tmp_path / account))

    first, second = (client_of(app, time, auth=process()) for _ in range(2))
    first.get("owners")
    second.get("owners")
    assert len(app.forms) == 1
    app.current = "revoked"
    second.get("owners")
    first.get("owners")
    client_of(app, time, auth=process()).get("owners")
    tokens = [form["refresh_token"][0] for form in app.forms]
    assert tokens == [REFRESH_TOKEN, f"{REFRESH_TOKEN}-1"]
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"refresh_token": ""}'])
def test_tokens_that_can_not_be_read_are_fetched_anew(tmp_path: Path, left: bytes) -> None:
    app, time = App(), FakeTime()
    (tmp_path / "tokens").write_bytes(left)
    auth = refresh_token(time, kept=lambda _: TokenFile(tmp_path / "tokens"))
    client_of(app, time, auth=auth).get("owners")
    assert [form["refresh_token"][0] for form in app.forms] == [REFRESH_TOKEN]


def test_many_threads_renew_once() -> None:
    app, time = App(), FakeTime()
    client = client_of(app, time, auth=refresh_token(time))
    client.get("owners")
    app.current = "revoked"
    together = Barrier(8, timeout=5)

    def work(number: int) -> int:
        if number < 8:
            together.wait()
        return client.get("owners").status

    assert set(in_order(work, range(40), workers=8)) == {200}
    assert len(app.forms) == 2


def test_faults_of_the_token_endpoint_pass() -> None:
    app, time = App(), FakeTime()
    app.faults = [html(502), error(429, policyName="TEN_SECONDLY_ROLLING")]
    client_of(app, time, auth=refresh_token(time)).get("owners")
    assert time.slept == [1, 20]
    app.faults = [html(502)] * 10
    app.current = "revoked"
    with pytest.raises(GaveUp, match=r"^POST /oauth/2026-09/token: gave up after 6 attempts"):
        client_of(app, time, auth=refresh_token(time)).get("owners")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            httpx.Response(
                400,
                json={"status": "BAD_REFRESH_TOKEN", "message": f"unknown: {REFRESH_TOKEN}"},
            ),
            "BAD_REFRESH_TOKEN",
        ),
        (httpx.Response(401, json={"error": "invalid_client"}), "invalid_client"),
        (error(400, message=f"who is {REFRESH_TOKEN}?"), "400"),
    ],
)
def test_a_refusal_to_renew_says_what_to_do_and_nothing_secret(
    answer: httpx.Response, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app, time = App(), FakeTime()
    app.faults = [answer, answer]  # what is refused is asked twice
    auth = refresh_token(time)
    with pytest.raises(
        AuthenticationError, match=rf"renew the access token \({reason}\)"
    ) as raised:
        client_of(app, time, auth=auth).get("owners")
    shown = [caplog.text, repr(auth), *(str(error) for error in chain(raised.value))]
    for secret in (CLIENT_SECRET, REFRESH_TOKEN):
        assert secret not in " ".join(shown)


@pytest.mark.parametrize("body", [[], {}, {"access_token": None}, {"access_token": "a b"}])
def test_an_answer_without_a_token_is_refused(body: object) -> None:
    app, time = App(), FakeTime()
    app.faults = [httpx.Response(200, json=body)]
    with pytest.raises(AuthenticationError):
        client_of(app, time, auth=refresh_token(time)).get("owners")


def test_a_lifetime_that_is_missing_is_half_an_hour() -> None:
    app, time = App(), FakeTime()
    app.expires_in = None
    client = client_of(app, time, auth=refresh_token(time))
    client.get("owners")
    time.now += 1600
    client.get("owners")
    assert len(app.forms) == 1


def test_tokens_are_cleaned_checked_and_never_shown() -> None:
    assert BearerToken(f" {TOKEN}\n").token(lambda _: None) == TOKEN
    assert BearerToken(TOKEN).account == BearerToken(f"{TOKEN}\n").account
    assert BearerToken(TOKEN).account != BearerToken(f"{TOKEN}1").account
    assert TOKEN[:12] not in repr(BearerToken(TOKEN))
    for wrong in ("", " ", "two tokens", "tökèn", "line\nbreak"):
        with pytest.raises(AuthenticationError) as raised:
            BearerToken(wrong)
        assert not wrong.strip() or wrong not in str(raised.value)
