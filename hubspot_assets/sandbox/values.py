"""Pools of property values: JSON texts, ready to be put on the wire."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import orjson

from hubspot_assets.sandbox.facts import value_pools
from hubspot_assets.sandbox.stamps import day_text, iso

#: Values of any record lie between these days (counted from 1970).
_FIRST_DAY = 18_600
_DAYS = 2_400
_SIZE = 241
#: An odd number that spreads neighbouring indexes over 64 bits.
GOLDEN = 0x9E3779B97F4A7C15


def mix(number: int) -> int:
    """64 well-mixed bits of a number (the finalizer of splitmix64)."""
    number &= 0xFFFFFFFFFFFFFFFF
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)


def text_number(text: str) -> int:
    """A number for a text, the same in every process."""
    return mix(int.from_bytes(text.encode()[-64:], "big") * GOLDEN + len(text))


def encode(values: Sequence[str]) -> tuple[bytes, ...]:
    """JSON texts of distinct values, in order."""
    return tuple(orjson.dumps(value) for value in dict.fromkeys(values))


@cache
def pool(name: str, kind: str, options: tuple[str, ...], *, many: bool) -> tuple[bytes, ...]:
    """The pool of a property, shared by all that are alike.

    `name` is a pool in values.json or one of the numeric kinds below; without it the
    property's type (`kind`) and its options decide. `many`: a multi-select.
    """
    if options and not name:
        return encode(_subsets(options) if many else options)
    name = name or _BY_TYPE.get(kind, "words")
    if name == "html":
        return encode(_long_html())
    if maker := _MAKERS.get(name):
        return encode([maker(mix(i * GOLDEN)) for i in range(_SIZE)])
    return encode(value_pools()[name])


def _subsets(options: Sequence[str]) -> list[str]:
    """Every single option, every neighbouring pair and all of them, `;`-joined."""
    pairs = [";".join(pair) for pair in pairwise(options)]
    return [*options, *pairs, ";".join(options)]


def _long_html() -> list[str]:
    short = value_pools()["html"]
    return [*short, "<div>" + "\n".join(short * 12) + "</div>"]


def _decimal(bits: int) -> str:
    return f"{bits % 10_000_000 / 100:.2f}"


_MAKERS: dict[str, Callable[[int], str]] = {
    "number": lambda bits: str(bits % 100_000),
    "small_number": lambda bits: str(bits % 500),
    "decimal": _decimal,
    "date": lambda bits: day_text(_FIRST_DAY + bits % _DAYS),
    "datetime": lambda bits: iso(_FIRST_DAY * 86_400_000 + bits % (_DAYS * 86_400_000)),
    "url": lambda bits: f'https://www.example.com/{bits % 9973}?utm_source=a&ref="{bits % 7}"',
    "domain": lambda bits: f"example{bits % 997}.com",
    "plain_email": lambda bits: f"user{bits % 99991}@example.com",
    "user_id": lambda bits: str(9_586_500 + bits % 40),
    "company_id": lambda bits: str(31_000_000_007 + bits % 61_000),
}
_BY_TYPE = {
    "number": "number",
    "date": "date",
    "datetime": "datetime",
    "bool": "bool",
    "json": "json",
    "phone_number": "phone",
    "object_coordinates": "coordinates",
}
