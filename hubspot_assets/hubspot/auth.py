"""Ways to prove who we are: a token that stays, or one that is renewed.

Neither ever shows a secret: not in its repr, not in an error.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Protocol

import orjson

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


class Tokens(Protocol):
    """Tokens that are kept, as one has them who has them alone."""

    def read(self) -> bytes:
        """What was written last; nothing at first."""

    def write(self, tokens: bytes) -> None:
        """Keeps these from now on."""


class TokenPlace(Protocol):
    """Where those who use an app's tokens keep them."""

    def alone(self) -> AbstractContextManager[Tokens]:
        """What is there, for one at a time."""


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
    token, that one is used from then on. All who keep their tokens at one place (`kept`, by
    account) share one access token, and know the latest refresh token.
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
        kept: Callable[[str], TokenPlace] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client_id = _clean(client_id, "the OAuth client id")
        self._client_secret = _clean(client_secret, "the OAuth client secret")
        self._given = _clean(refresh_token, "the refresh token")
        self._tokens = _Tokens(self._given)
        self._clock = clock
        self._lock = Lock()
        self.account = _fingerprint(f"{self._client_id} {self._given}")
        self._kept = kept(self.account) if kept else None

    def token(self, exchange: Exchange) -> str:
        """The access token, renewed if it is about to expire."""
        with self._lock:
            if not self._tokens.serve_at(self._clock()):
                self._renew("", exchange)
            return self._tokens.access_token

    def renew(self, stale: str, exchange: Exchange) -> bool:
        """Always true: another thread has renewed the token already, or this call does."""
        with self._lock:
            if self._tokens.access_token == stale:
                self._renew(stale, exchange)
            return True

    def _renew(self, stale: str, exchange: Exchange) -> None:
        """Takes over the tokens that another has fetched meanwhile, else fetches some."""
        if self._kept is None:
            self._tokens = self._fetch(self._tokens.refresh_token, exchange)
            return
        with self._kept.alone() as tokens:
            kept = _Tokens.of(tokens.read(), self._given)
            if not kept.serve_at(self._clock()) or kept.access_token == stale:
                try:
                    kept = self._fetch(kept.refresh_token, exchange)
                except AuthenticationError:
                    if kept.refresh_token == self._given:
                        raise
                    kept = self._fetch(self._given, exchange)  # the app was installed again
                tokens.write(orjson.dumps(kept))
            self._tokens = kept

    def _fetch(self, refresh_token: str, exchange: Exchange) -> _Tokens:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "refresh_token": refresh_token,
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
        return _Tokens(
            str(answer.get("refresh_token") or refresh_token),
            _clean(answer["access_token"], "the access token from HubSpot"),
            self._clock() + lifetime - min(self.MARGIN, lifetime / 10),
        )

    def __repr__(self) -> str:
        return f"RefreshToken(account={self.account!r})"


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What HubSpot handed out last. Its repr shows nothing of it."""

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    renew_at: float = 0.0

    @classmethod
    def of(cls, text: bytes, given: str) -> _Tokens:
        """Those that were kept; what can't be read is none."""
        with suppress(ValueError, TypeError):
            kept = cls(**orjson.loads(text))
            if kept.refresh_token and isinstance(kept.renew_at, float):
                return kept
        return cls(given)

    def serve_at(self, moment: float) -> bool:
        """Whether the access token is in force for a while yet."""
        return bool(self.access_token) and moment < self.renew_at


class TokenFile:
    """A file for the processes of a host, made if need be, that none but its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[Tokens]:
        """What is in it, for one process at a time."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield _Locked(file)


class _Locked:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def write(self, tokens: bytes) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(tokens)


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
