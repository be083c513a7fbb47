"""One request to the portal, decoded, and the answer to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from hubspot_assets.sandbox.errors import invalid, missing_scopes, not_enabled, unknown_type
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.faults import Fault
from hubspot_assets.sandbox.limits import Budgets
from hubspot_assets.sandbox.portal import Portal
from hubspot_assets.sandbox.render import enclosed
from hubspot_assets.sandbox.stamps import iso

JSON = "application/json;charset=utf-8"
HTML = "text/html"


@dataclass(slots=True)
class Answer:
    """Status, body and headers of a response."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def told(value: Any, status: int = 200) -> Answer:  # noqa: ANN401 - JSON values
    """A JSON answer."""
    return Answer(status, orjson.dumps(value))


@dataclass
class Call:
    """A request. `url` is the address up to the query; `version` is the one in its path, `params`
    are the parts of the path that a route names."""

    portal: Portal
    budgets: Budgets
    url: str
    query_string: str
    body: bytes
    params: dict[str, str]
    version: str
    fault: Fault | None = None

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """Query parameters in order, repeated ones too."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    @cached_property
    def now(self) -> int:
        """The portal's time at which the request is answered."""
        return self.portal.clock.now()

    @property
    def origin(self) -> str:
        """Scheme and host of the address."""
        return self.url[: self.url.index("/", 8)]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a parameter."""
        return next((value for key, value in reversed(self.query) if key == name), default)

    def many(self, name: str) -> tuple[str, ...]:
        """Values of a list parameter: comma-joined, repeated, or both."""
        given = (value for key, value in self.query if key == name)
        return tuple(part for value in given for part in value.split(",") if part)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean parameter; 400 for anything but true and false."""
        text = self.one(name).lower()
        if text not in ("", "true", "false"):
            raise invalid(f"Invalid value for {name}: {text}")
        return default if not text else text == "true"

    def limit(self, default: int, most: int, *, why: str = "") -> int:
        """The page size; 400 if it is none or above `most`."""
        text = self.one("limit")
        if not text:
            return min(default, most)
        if not text.isdecimal() or int(text) < 1:
            raise invalid(f"Invalid value for limit: {text}")
        if int(text) > most:
            raise invalid(f"The maximum page size{why} is {most}, but limit is {text}")
        return int(text)

    def after(self) -> int:
        """The cursor of a list, a number in a string; 0 without one."""
        text = self.one("after")
        if text and not text.isdecimal():
            raise invalid(f"Invalid value for after: {text}")
        return int(text or 0)

    def json(self) -> dict[str, Any]:
        """The JSON object in the body; 400 if it is none."""
        try:
            body = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError as error:
            raise invalid(f"Invalid input JSON on line 1: {error}") from None
        if not isinstance(body, dict):
            raise invalid("Invalid input JSON: expected an object")
        return body

    def paging(self, after: int | str | None) -> dict[str, Any] | None:
        """The paging member of a page; None on the last one. The link keeps every parameter."""
        if after is None:
            return None
        kept = [(key, value) for key, value in self.query if key != "after"]
        query = urlencode([*kept, ("after", str(after))], quote_via=quote)
        return {"next": {"after": str(after), "link": f"{self.url}?{query}"}}

    def paged(self, results: list[Any], after: int | str | None) -> Answer:
        """A page of JSON values."""
        paging = self.paging(after)
        return told({"results": results, **({} if paging is None else {"paging": paging})})

    def batch(self, results: list[bytes], errors: Sequence[dict[str, Any]] = ()) -> Answer:
        """The answer of a batch API: 207 where parts failed, if the version knows that."""
        at = iso(self.now)
        rest: dict[str, Any] = {"status": "COMPLETE", "startedAt": at, "completedAt": at}
        if errors:
            rest |= {"numErrors": len(errors), "errors": errors}
        told_apart = self.portal.config.multi_status or self.version != "2026-09"
        return Answer(207 if errors and told_apart else 200, enclosed(results, rest))

    def need(self, scopes: Iterable[str]) -> None:
        """403 unless one of the scopes is granted."""
        scopes = tuple(scopes)
        if not self.portal.scopes.intersection(scopes):
            raise missing_scopes(scopes)

    def object_type(self, alias: str) -> ObjectType:
        """The type of that name or id; 400 if the portal has none, or has it switched off."""
        kind = self.portal.find_type(alias)
        if kind is None:
            raise unknown_type(alias)
        if not self.portal.is_enabled(kind):
            raise not_enabled(kind.object_type_id, self.portal.config.portal_id)
        return kind
