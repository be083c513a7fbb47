"""Faults in what an answer says: the JSON of a right answer, changed."""

from collections.abc import Callable
from typing import Any

import orjson

from hubspot_assets.sandbox.call import JSON, Answer

#: Where the entries of a list or batch stand, by the APIs' names for them.
_ENTRIES = ("results", "lists", "events", "eventTypes")


def spoil(kind: str, answer: Answer) -> None:
    """Changes an answer as a fault of a kind does; an error or another fault's is left alone."""
    change = _CHANGES.get(kind)
    if change is None or answer.media_type != JSON or answer.status >= 300:
        return
    told = orjson.loads(answer.body)
    change(told)
    answer.body = orjson.dumps(told)


def entries(told: Any) -> list[Any]:  # noqa: ANN401 - JSON values
    """The entries of a list or batch; none of an answer that has no such."""
    if isinstance(told, list):
        return told
    return next((told[name] for name in _ENTRIES if name in told), [])


def _lose_last(told: Any) -> None:  # noqa: ANN401 - JSON values
    del entries(told)[-1:]


_CHANGES: dict[str, Callable[[Any], None]] = {"lost_id": _lose_last}
