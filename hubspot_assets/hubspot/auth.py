"""Ways to prove who we are: a token that stays, or one that is renewed.

Neither ever shows a secret: not in its repr, not in an error.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

from hubspot_assets.hubspot.errors import AuthenticationError, Refused

_BEARER = re.compile(r"bearer\b", re.IGNORECASE)

#: Posts a form to HubSpot's token endpoint and returns the parsed answer.
Exchange = Callable[[Mapping[str, str]], Any]


class Auth(Protocol):
    """What the client needs to know of a way to authenticate."""

    @property
    def account(self) -> str:
        """A name for whose budgets are used: a hash, safe to show and to use in file names."""

    def token(self, exchange: Exchange) -> str:
        """The access token to send now."""

    def renew(self, stale: str, exchange: Exchange) -> bool:
        """Whether there is another token to try, now that HubSpot called `stale` expired."""


class BearerToken:
    """A service key, or the token of a private app. Raises AuthenticationError if malformed."""

    def __init__(self, token: str) -> None:
        self._token = _clean(token, "the access token")
        self.account = _fingerprint(self._token)

    def token(self, exchange: Exchange) -> str:  # noqa: ARG002
        """The token as it was given."""
        return self._token

    def renew(self, stale: str, exchange: Exchange) -> bool:  # noqa: ARG002
        """Never: such a token is renewed by a person."""
        return False

    def __repr__(self) -> str:
        return f"BearerToken(account={self.account!r})"


class RefreshToken:
    """An OAuth app's lasting right to fetch access tokens, which live half an hour.

    The access token is renewed shortly before it expires, and when HubSpot calls it expired;
    threads that find it stale at once cause one renewal. If HubSpot hands out another refresh
    token, that one is used from then on, in this process.
    Raises AuthenticationError if HubSpot refuses to renew.
    """

    #: Renew this long before the end, in seconds: a request may wait for its turn.
    MARGIN = 120.0

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client_id = _clean(client_id, "the OAuth client id")
        self._client_secret = _clean(client_secret, "the OAuth client secret")
        self._refresh_token = _clean(refresh_token, "the refresh token")
        self._clock = clock
        self._lock = Lock()
        self._access_token = ""
        self._renew_at = 0.0
        self.account = _fingerprint(f"{self._client_id} {self._refresh_token}")

    def token(self, exchange: Exchange) -> str:
        """The access token, renewed if it is about to expire."""
        with self._lock:
            if not self._access_token or self._clock() >= self._renew_at:
                self._fetch(exchange)
            return self._access_token

    def renew(self, stale: str, exchange: Exchange) -> bool:
        """Always true: another thread has renewed the token already, or this call does."""
        with self._lock:
            if self._access_token == stale:
                self._fetch(exchange)
            return True

    def _fetch(self, exchange: Exchange) -> None:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "refresh_token": self._refresh_token,
        }
        try:
            answer = exchange(form)
        except Refused as error:
            # HubSpot's own words are left out: they may repeat what was sent.
            raise AuthenticationError(
                f"HubSpot refused to renew the access token ({error.category or error.status}); "
                "check client id and secret, or install the app again for a new refresh token",
                status=error.status,
                where=error.where,
                category=error.category,
                correlation_id=error.correlation_id,
            ) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise AuthenticationError(
                "HubSpot's answer to the renewal holds no access_token; check the base URL"
            )
        lifetime = float(answer.get("expires_in") or 1800)
        self._access_token = _clean(answer["access_token"], "the access token from HubSpot")
        self._refresh_token = answer.get("refresh_token") or self._refresh_token
        self._renew_at = self._clock() + lifetime - min(self.MARGIN, lifetime / 10)

    def __repr__(self) -> str:
        return f"RefreshToken(account={self.account!r})"


def flaw(secret: str) -> str | None:
    """What about a text is not as in any token, in words that show none of it; None for nothing.

    Blanks around it, which copying adds, are no flaw.
    """
    secret = secret.strip()
    if not secret:
        return "nothing but blanks"
    if _BEARER.match(secret):
        return "Bearer in front of it"
    if set("\"'`") & {secret[0], secret[-1]}:
        return "quotes around it"
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "blanks or characters that no token has"
    return None


def _clean(secret: str, what: str) -> str:
    """The secret without surrounding blanks; it must fit into a header."""
    if found := flaw(secret):
        raise AuthenticationError(f"{what}: found {found}; copy it again")
    return secret.strip()


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
