"""What HubSpot documents of its answers: which members an object has, which of them always, and of
what type.

A type is written `text`, `whole`, `number`, `flag`, `moment`, `date`, `any`, `one of a|b`,
`choice <name>` (one of a long list), `list <type>`, `map <type>` (values by name), `page <type>`
(a list's answer), or the name of a shape. A question mark at the end: null is a value, too, for a
list or map among its entries.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple

from hubspot_assets.sandbox.facts import rows

#: Of long lists, so many entries are looked at.
_ENTRIES = 3


class Member(NamedTuple):
    """A member of a shape. `also` is a type that portals have been seen to give besides."""

    type: str
    required: bool
    also: str


@cache
def type_of(method: str, template: str, version: str) -> str:
    """The type of an answer, by the route's template; empty where none is documented."""
    found = {
        row["version"]: row["shape"]
        for row in rows("documented_answers.csv")
        if (row["method"], row["template"]) == (method, template)
    }
    return found.get(version) or found.get("", "")


@cache
def members(kind: str) -> dict[str, Member]:
    """The members of a shape or of a list's answer, by name; none of another type."""
    if not kind.startswith("page "):
        return _shapes().get(kind.removesuffix("?"), {})
    entries = Member(f"list {kind.removeprefix('page ')}", required=True, also="")
    return {
        "results": entries,
        "total": Member("whole", required=False, also=""),
        "paging": Member("paging", required=False, also=""),
    }


@cache
def _shapes() -> dict[str, dict[str, Member]]:
    found: dict[str, dict[str, Member]] = {}
    for row in rows("documented_members.csv"):
        member = Member(row["type"], row["required"] == "true", row["also"])
        found.setdefault(row["shape"], {})[row["member"]] = member
    return found


@cache
def _choices(name: str) -> frozenset[str]:
    return frozenset(
        row["value"] for row in rows("documented_choices.csv") if row["choice"] == name
    )


def objects(kind: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - JSON
    """Every object in a value of a type, with the name of its shape; the innermost ones first."""
    head, _, inner = kind.partition(" ")
    if head == "list" and isinstance(value, list):
        for each in value:
            yield from objects(inner, each)
    elif head == "map" and isinstance(value, dict):
        for each in value.values():
            yield from objects(inner, each)
    elif isinstance(value, dict):
        for name, member in members(kind).items():
            yield from objects(member.type, value.get(name))
        if members(kind):
            yield kind, value


def breaches(kind: str, value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Where a value is not of a type, a line each: `results[0].createdAt is missing`."""
    head, _, inner = kind.partition(" ")
    if head == "list" and isinstance(value, list):
        for at, each in enumerate(value[:_ENTRIES]):
            yield from breaches(inner, each, f"{path}[{at}]")
    elif head == "map" and isinstance(value, dict):
        for name, each in value.items():
            yield from breaches(inner, each, f"{path}.{name}")
    elif isinstance(value, dict) and (known := members(kind)):
        yield from _of_members(known, value, path)
    elif value is None and kind.endswith("?"):
        return
    elif not _is(kind.removesuffix("?"), value):
        yield f"{path.lstrip('.') or 'the answer'} is no {kind}, but {_shown(value)}"


def _of_members(known: dict[str, Member], value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in known.items():
        at = f"{path}.{name}"
        if name not in value:
            if member.required:
                yield f"{at.lstrip('.')} is missing"
            continue
        found = list(breaches(member.type, value[name], at))
        if found and not (member.also and _is(member.also, value[name])):
            yield from found
    for name in value.keys() - known.keys():
        yield f"{path}.{name}".lstrip(".") + " is documented nowhere"


def _is(kind: str, value: Any) -> bool:  # noqa: ANN401 - JSON values
    """Whether a value that is no object is of a type."""
    head, _, inner = kind.partition(" ")
    match head:
        case "any":
            return True
        case "text":
            return isinstance(value, str)
        case "flag":
            return isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "null":
            return value is None
        case "one":
            return value in inner.removeprefix("of ").split("|")
        case "choice":
            return value in _choices(inner)
        case "moment":
            return isinstance(value, str) and _is_moment(value)
        case "date":
            return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None
    return False


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).date() >= date.min and "T" in text
    except ValueError:
        return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
