"""JSON, read and written without changing what it says.

Numbers stay as they are told: whole ones are ints of any length, others `Number`, and no float is
in between. What is no character (half a surrogate pair, a byte that is no UTF-8) is read as U+0000,
`UNWRITABLE`: no warehouse takes either, and where text is staged it is made U+FFFD and counted.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import msgspec

#: Stands for all that no warehouse takes.
UNWRITABLE = "\0"

_HALF = re.compile(r"[\ud800-\udfff]")
_HALF_IN_BYTES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Number(str):
    """A JSON number with a fraction or an exponent: its text as it was told."""

    __slots__ = ()


def parsed(content: bytes | str) -> Any:  # noqa: ANN401 - JSON says what it likes
    """What JSON says. Raises ValueError for what is none."""
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _leniently(content)


def is_json(text: str) -> bool:
    """Whether a text is JSON, without any half of a surrogate pair."""
    try:
        _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def told(value: object) -> str:
    """A value as JSON: compact, keys sorted, numbers as they were told."""
    text = _ENCODER.encode(value).decode()
    return _ESCAPED.sub(rf"\1{UNWRITABLE}", text) if r"\u0000" in text else text


def _leniently(content: bytes | str) -> object:
    if isinstance(content, bytes):
        content = _HALF_IN_BYTES.sub(rb"\\u0000", content).decode(errors=_AS_ESCAPE)
    try:
        value = json.loads(content, parse_float=Number, parse_int=_whole, parse_constant=_no_number)
        return _mended(value)
    except RecursionError as error:
        raise ValueError("JSON is nested too deep") from error


def _mended(value: object) -> object:
    """A value of JSON without halves of surrogate pairs."""
    match value:
        case Number():
            return value
        case str():
            return _HALF.sub(UNWRITABLE, value)
        case list():
            return [_mended(each) for each in value]
        case dict():
            return {_mended(name): _mended(each) for name, each in value.items()}
        case _:
            return value


def _whole(text: str) -> int | Number:
    try:
        return int(text)
    except ValueError:  # of more digits than Python takes
        return Number(text)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _raw(value: object) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.encode())
    raise TypeError(f"{type(value).__name__} is no JSON")


_DECODER = msgspec.json.Decoder(float_hook=Number)
_ENCODER = msgspec.json.Encoder(enc_hook=_raw, order="sorted")
_AS_ESCAPE = "hubspot_assets.unwritable"
codecs.register_error(_AS_ESCAPE, lambda error: (r"\u0000", error.end))  # type: ignore[attr-defined]
