"""What can go wrong between us and HubSpot, one line each.

A message names what was wrong, where, and what to do. It never holds a secret, a cursor, a
record's id or a customer's value: `where` is a method and a path of which only the object
types are filled in.

    HubSpotError
      Refused               HubSpot answered in words that we know, and said no
        AuthenticationError   401
        BadRequest            400 about the request itself
          UriTooLong            414
        NotFound              404 for a record, a list, a form that was named by its id
        NotServed             this portal, or this token, does not have it
          Forbidden             403 with a category
            MissingScope          403 that names scopes
          NeedsEnterprise       403 that asks for another subscription
          NotEnabled            a type or a feature that the portal does not have
            UnknownObjectType     400 for an object type that HubSpot does not know
      DailyLimitReached     no more calls before midnight of the portal
      Unreachable           no connection to the host
      IncompleteAnswer      an answer that is whole in form, but can't be all there is
      GaveUp                a fault that did not pass within the bounds of retrying
        Unexplained           an answer that says nothing of the portal, nor that it will pass

NotServed alone says what a portal has. `refusal` decides what does, by a list of what HubSpot is
known to answer; whatever is not on it may be anyone's answer, and proves nothing.
"""

# ruff: noqa: N818 - the names say what happened; the base class says that it is an error

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import ClassVar, Literal

import orjson

#: Longest part of a message of HubSpot's that is passed on, in characters.
MESSAGE_LIMIT = 240

_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


#: HubSpot's words, as far as they are known, for what a portal does not have. Those for a type that
#: is switched off, for an event type and for a subscription are not documented: any likely ones.
_UNKNOWN_TYPE = _words(r"unable to infer object type|(invalid|unknown) (object or )?event type")
_NOT_ENABLED = _words(r"\bnot enabled\b|cannot be associated")
_OTHER_PLAN = _words(r"\benterprise\b|\bsubscription\b|\bupgrade\b|\bdoes not have access to\b")
_NOT_FOUND = _words(r"\w not found\b|\bdoes(n't| not) exist\b")
#: Codes that say the same in an answer's categories.
NO_SUBMISSIONS = "FORM_TYPE_NOT_ALLOWED"


class HubSpotError(Exception):
    """Any failure of a call to HubSpot; `correlation_id` is what HubSpot's support asks for."""

    def __init__(self, message: str, *, correlation_id: str | None = None) -> None:
        super().__init__(message)
        self.correlation_id = correlation_id


class Refused(HubSpotError):
    """HubSpot answered and said no; said it again when it was asked again."""

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


class BadRequest(Refused):
    """400: HubSpot finds fault with the request, which says nothing of what the portal has."""


class UriTooLong(BadRequest):
    """414: property names belong into the body of a batch read when they are many."""


class NotFound(Refused):
    """404 for what the path names by its id: a record, a list, a form."""


class NotServed(Refused):
    """HubSpot's own word that this portal, or this token, does not have what was asked for."""

    #: What a manifest calls it.
    availability: ClassVar[Literal["not_enabled", "missing_scope", "needs_enterprise"]]


class Forbidden(NotServed):
    """403 of a category of HubSpot's."""

    availability = "missing_scope"


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


class NeedsEnterprise(NotServed):
    """403: the portal's subscription does not include it."""

    availability = "needs_enterprise"


class NotEnabled(NotServed):
    """A type or a feature that the portal does not have."""

    availability = "not_enabled"


class UnknownObjectType(NotEnabled):
    """400 for an object type that the portal does not have."""


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


class Unexplained(GaveUp):
    """An answer in which neither HubSpot says why, nor the status that it will pass.

    A redirect, a 404 of the path itself, a page of something between HubSpot and us.
    """


@contextmanager
def no_refusals() -> Iterator[None]:
    """Within, what HubSpot refuses is an IncompleteAnswer: it has served a part of it before."""
    try:
        yield
    except (NotServed, BadRequest) as error:
        raise IncompleteAnswer(
            f"{error}; HubSpot has served a part of it before, so that this is no answer",
            correlation_id=error.correlation_id,
        ) from error


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
    `codes` are all its categories and types of errors, those of `errors` too. `retry_after` is in
    seconds: the header, or the field of Cloudflare's own 429s.
    """

    message: str = ""
    category: str = ""
    codes: frozenset[str] = frozenset()
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
            category=_text(body, "category", "error") or _text(body, "status").replace("error", ""),
            codes=frozenset(_codes(body)),
            policy=_text(body, "policyName").upper(),
            scopes=tuple(dict.fromkeys(_scopes(body))),
            correlation_id=_text(body, "correlationId") or correlation_id,
            retry_after=retry_after,
        )


def refusal(
    status: int, where: str, envelope: Envelope, names: Collection[str] = ()
) -> Refused | None:
    """What HubSpot says no to, and why; None for an answer that says nothing of the kind.

    `names` are the arguments by which the request named something: without any, a 404 is about the
    path itself.
    """
    kind, advice = _meaning(status, envelope, names)
    if kind is None:
        return None
    if kind is MissingScope:
        return _missing_scope(where, envelope)
    said = f": {envelope.message}" if envelope.message and not advice.endswith(".") else ""
    return kind(
        f"{where}: {advice.removesuffix('.')}{said}",
        status=status,
        where=where,
        category=envelope.category,
        correlation_id=envelope.correlation_id,
    )


def _meaning(
    status: int, envelope: Envelope, names: Collection[str]
) -> tuple[type[Refused] | None, str]:
    """The list of what HubSpot is known to answer, with the words for it.

    What ends with a full stop is all there is to say, whatever HubSpot says.
    """
    said = envelope.message
    match status:
        case 401 if envelope.category == "EXPIRED_AUTHENTICATION":
            return AuthenticationError, "the access token has expired; supply a new one."
        case 401:
            wrong = "HubSpot does not accept the access token; check that it is whole and in force."
            return AuthenticationError, wrong
        case 403 if envelope.scopes or envelope.category == "MISSING_SCOPES":
            return MissingScope, ""
        case 403 if _OTHER_PLAN.search(said):
            return NeedsEnterprise, "the portal's subscription does not include this"
        case 403 if envelope.category:
            return Forbidden, "HubSpot does not allow this"
        case 414:
            return UriTooLong, "the URL is too long; send property names in a batch read."
        case 400 if _UNKNOWN_TYPE.search(said):
            return UnknownObjectType, "the portal has no such object type"
        case 400 if _NOT_ENABLED.search(said) or NO_SUBMISSIONS in envelope.codes:
            return NotEnabled, "the portal does not have this"
        case 400 if said or envelope.category:
            return BadRequest, "HubSpot refused the request with 400"
        case 404 if (
            names
            and "to_object_type" not in names
            and ("OBJECT_NOT_FOUND" in envelope.codes or _NOT_FOUND.search(said))
        ):
            of_type = all(name.endswith("object_type") for name in names)
            return (NotEnabled, "the portal does not have this") if of_type else (
                NotFound, "not found"
            )  # fmt: skip
    return None, ""


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


def _codes(body: Mapping[str, object]) -> Iterator[str]:
    """What HubSpot calls an error, as a whole and in `errors`."""
    errors = body.get("errors")
    for item in [body, *(errors if isinstance(errors, list) else [])]:
        for key in ("category", "subCategory", "errorType", "code"):
            if isinstance(item, dict) and isinstance(code := item.get(key), str):
                yield code


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
