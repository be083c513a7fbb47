"""Faults in what an answer says: the JSON of a right answer, changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from hubspot_assets.sandbox.call import JSON, Answer
from hubspot_assets.sandbox.documented import members, objects
from hubspot_assets.sandbox.faults import Fault

#: Where the entries of a list or batch stand, by the APIs' names for them.
_ENTRIES = ("results", "lists", "events", "eventTypes")
#: Not required, and yet what was asked for depends on them.
_NEEDED = {"paging", "next", "propertiesWithHistory", "associations", "errors", "numErrors"}
_UNHEARD_OF = {"unheardOf": {"since": ["2027-03", 1, None]}}
#: How the last page says that there is no other, other than by saying nothing.
_ENDS: dict[str, Any] = {
    "paging": None,
    "next": {"next": None},
    "after": {"next": {"after": "", "link": ""}},
}


@dataclass(frozen=True, slots=True)
class _Said:
    """What an answer says, the type that is documented for it, and what the one before said."""

    told: Any
    kind: str
    before: Any
    form: str

    def objects(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Every object of a documented shape, and the names of the members it may lack."""
        for shape, each in objects(self.kind, self.told):
            yield each, [name for name, m in members(shape).items() if not m.required]


def spoil(fault: Fault, answer: Answer, kind: str, before: bytes | None) -> None:
    """Changes an answer of a documented type as a fault does; an error, or what is no JSON, is left
    alone. `before` is
    the answer to the request of the same path before this one, None if there is none."""
    change = _CHANGES.get(fault.kind)
    if change is None or answer.media_type != JSON or answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        return
    told = orjson.loads(answer.body)
    said_before = None if before is None else orjson.loads(before)
    change(_Said(told, kind, said_before, fault.form))
    answer.body = orjson.dumps(told)


def _entries(told: Any) -> list[Any]:  # noqa: ANN401 - JSON values
    """The entries of a list or batch; none of an answer that has no such."""
    if isinstance(told, list):
        return told
    return next((told[name] for name in _ENTRIES if name in (told or {})), [])


def _lose_last(said: _Said) -> None:
    del _entries(said.told)[-1:]


def _repeat_page(said: _Said) -> None:
    _entries(said.told)[:] = _entries(said.before) or _entries(said.told) * 2


def _repeat_record(said: _Said) -> None:
    _entries(said.told)[:0] = (_entries(said.before) or _entries(said.told))[-1:]


def _leave_required(said: _Said) -> None:
    for each, optional in said.objects():
        for name in set(optional) - _NEEDED:
            each.pop(name, None)


def _add_nulls(said: _Said) -> None:
    for each, optional in said.objects():
        for name in optional:
            each.setdefault(name, None)


def _end_oddly(said: _Said) -> None:
    if isinstance(said.told, dict) and "results" in said.told:
        said.told.setdefault("paging", _ENDS[said.form])


def _add_unknown(said: _Said) -> None:
    for each, _ in said.objects():
        each.update(_UNHEARD_OF)


_CHANGES: dict[str, Callable[[_Said], None]] = {
    "lost_id": _lose_last,
    "repeated_page": _repeat_page,
    "repeated_record": _repeat_record,
    "required_only": _leave_required,
    "nulls": _add_nulls,
    "odd_end": _end_oddly,
    "unknown_members": _add_unknown,
}
