"""What can go wrong between us and HubSpot, one line each.

A message names what was wrong, where, and what to do. It never holds a secret, a cursor, a
record's id or a customer's value: `where` is a method and a path of which only the object
types are filled in.

    HubSpotError
      Refused               HubSpot answered, and said no
        AuthenticationError   401
        Forbidden             403
          MissingScope          403 that names scopes
        BadRequest            400 and every other 4xx
          UnknownObjectType     400 for a type that the portal does not have
          UriTooLong            414
        NotFound              404
      DailyLimitReached     no more calls before midnight of the portal
      Unreachable           no connection to the host
      IncompleteAnswer      an answer that is whole in form, but can't be all there is
      GaveUp                a fault that did not pass within the bounds of retrying
"""

# ruff: noqa: N818 - the names say what happened; the base class says that it is an error

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import orjson

#: Longest part of a message of HubSpot's that is passed on, in characters.
MESSAGE_LIMIT = 240

_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
_UNKNOWN_TYPE = re.compile(
    r"unable to infer object type|invalid object or event type id", re.IGNORECASE
)


class HubSpotError(Exception):
    """Any failure of a call to HubSpot; `correlation_id` is what HubSpot's support asks for."""

    def __init__(self, message: str, *, correlation_id: str | None = None) -> None:
        super().__init__(message)
        self.correlation_id = correlation_id


class Refused(HubSpotError):
    """HubSpot answered and said no; asking again would not help."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        where: str = "",
        category: str = "",
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.status = status
        self.where = where
        self.category = category


class AuthenticationError(Refused):
    """401, or a token that cannot be renewed."""

    @property
    def expired(self) -> bool:
        """Whether the token was right once: an OAuth access token lives half an hour."""
        return self.category == "EXPIRED_AUTHENTICATION"


class Forbidden(Refused):
    """403."""


class MissingScope(Forbidden):
    """403 for want of `scopes`, any one of which may be enough; empty if HubSpot named none."""

    def __init__(
        self,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        status: int = 403,
        where: str = "",
        category: str = "",
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(
            message, status=status, where=where, category=category, correlation_id=correlation_id
        )
        self.scopes = scopes


class BadRequest(Refused):
    """400, and every 4xx that has no class of its own."""


class UnknownObjectType(BadRequest):
    """400 for an object type that the portal does not have."""


class UriTooLong(BadRequest):
    """414: property names belong into the body of a batch read when they are many."""


class NotFound(Refused):
    """404."""


class DailyLimitReached(HubSpotError):
    """The account's calls of the day are used up; `resumes_at` is the portal's midnight."""

    def __init__(
        self, message: str, *, resumes_at: datetime, correlation_id: str | None = None
    ) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.resumes_at = resumes_at

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args, self.__dict__)


class IncompleteAnswer(HubSpotError):
    """HubSpot kept back what it was asked for, and did not say so."""


class Unreachable(HubSpotError):
    """No connection to `host` within the bounds of retrying."""

    def __init__(self, message: str, *, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class GaveUp(HubSpotError):
    """A fault that should pass did not, or HubSpot asks for a longer wait than we have.

    `status` is that of the last attempt, None if it brought no whole answer; `resumes_at` is
    known when HubSpot told how long to stay away.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        where: str = "",
        attempts: int = 0,
        resumes_at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.status = status
        self.where = where
        self.attempts = attempts
        self.resumes_at = resumes_at


def _revive(
    kind: type[HubSpotError], args: tuple[object, ...], state: dict[str, object]
) -> HubSpotError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parts of an error answer that we go by. Every one may be missing, hence empty.

    HubSpot documents the envelope as wholly optional, and what comes from its edge is HTML.
    `retry_after` is in seconds: the header, or the field of Cloudflare's own 429s.
    """

    message: str = ""
    category: str = ""
    policy: str = ""
    scopes: tuple[str, ...] = ()
    correlation_id: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, content: bytes, headers: Mapping[bytes, bytes], now: float) -> Envelope:
        """The envelope of an answer; header names in lower case, `now` of the wall clock."""
        correlation_id = headers.get(b"x-hubspot-correlation-id", b"").decode("latin-1") or None
        retry_after = _retry_after(headers.get(b"retry-after", b"").decode("latin-1"), now)
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            # An HTML page, or a part of something: nothing to quote.
            return cls(correlation_id=correlation_id, retry_after=retry_after)
        if not isinstance(body, dict):
            return cls(correlation_id=correlation_id, retry_after=retry_after)
        if retry_after is None and isinstance(body.get("retry_after"), int | float):
            retry_after = float(body["retry_after"])
        return cls(
            message=_one_line(_text(body, "message", "error_description")),
            # The OAuth endpoint says what is wrong in `status` or `error`.
            category=_text(body, "category", "error") or _text(body, "status"),
            policy=_text(body, "policyName").upper(),
            scopes=tuple(dict.fromkeys(_scopes(body))),
            correlation_id=_text(body, "correlationId") or correlation_id,
            retry_after=retry_after,
        )


def refusal(status: int, where: str, envelope: Envelope) -> Refused:
    """The error for an answer of `status` to which there is nothing to add by asking again."""
    said = f": {envelope.message}" if envelope.message else ""
    kind: type[Refused] = BadRequest
    advice = f"HubSpot refused the request with {status}{said}"
    if status == 401:
        kind = AuthenticationError
        advice = (
            "the access token has expired; supply a new one"
            if envelope.category == "EXPIRED_AUTHENTICATION"
            else "HubSpot does not accept the access token; check that it is whole and in force"
        )
    elif status == 403:
        if envelope.scopes or envelope.category == "MISSING_SCOPES":
            return _missing_scope(where, envelope)
        kind, advice = Forbidden, f"HubSpot does not allow this{said}"
    elif status == 404:
        kind, advice = NotFound, f"not found{said}"
    elif status == 414:
        kind, advice = UriTooLong, "the URL is too long; send property names in a batch read"
    elif status == 400 and _UNKNOWN_TYPE.search(envelope.message):
        kind, advice = UnknownObjectType, f"the portal has no such object type{said}"
    elif 300 <= status < 400:
        advice = f"HubSpot answered with a redirect ({status}); check the base URL"
    return kind(
        f"{where}: {advice}",
        status=status,
        where=where,
        category=envelope.category,
        correlation_id=envelope.correlation_id,
    )


def _missing_scope(where: str, envelope: Envelope) -> MissingScope:
    scopes = " or ".join(envelope.scopes) or "a scope that HubSpot does not name"
    return MissingScope(
        f"{where}: the access token lacks {scopes}; add it to the service key or app",
        scopes=envelope.scopes,
        where=where,
        category=envelope.category,
        correlation_id=envelope.correlation_id,
    )


def _scopes(body: Mapping[str, object]) -> Iterator[str]:
    """Scopes as they stand in `errors[].context`, or in the `context` of the whole."""
    errors = body.get("errors")
    for item in [*(errors if isinstance(errors, list) else []), body]:
        context = item.get("context") if isinstance(item, dict) else None
        if not isinstance(context, dict):
            continue
        for key in ("requiredGranularScopes", "requiredScopes"):
            value = context.get(key)
            values = value if isinstance(value, list) else [value]
            yield from (scope for scope in values if isinstance(scope, str) and scope)


def _text(body: Mapping[str, object], *keys: str) -> str:
    """The first of `keys` that holds text."""
    return next((value for key in keys if isinstance(value := body.get(key), str)), "")


def _retry_after(text: str, now: float) -> float | None:
    """Seconds from `now`, of a header that holds either seconds or a date."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _one_line(text: str) -> str:
    line = _EMAIL.sub("…", " ".join(text.split()))
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
