"""Names of tables and columns, by the export contract."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOT_ALLOWED = re.compile(r"[^A-Z0-9]")
_EVENT_PREFIX = re.compile(r"^(e|(pe|ae)\d+)_")


def suffix(plural_label: str | None, singular_label: str | None, fallback: str) -> str:
    """What follows `OBJECTS_`: the plural label, else the singular one + `S`, else `fallback`.

    >>> suffix("Line items", "Line item", "line_items")
    'LINE_ITEMS'
    >>> suffix(None, "Pop-Tart & Waffle", "x")
    'POP_TART___WAFFLES'
    """
    label = plural_label or (f"{singular_label}S" if singular_label else fallback)
    return _NOT_ALLOWED.sub("_", label.upper())


def type_name(name: str) -> str:
    """An object type's name as it stands in columns.

    >>> type_name("line_item"), type_name("primary company")
    ('LINE_ITEM', 'PRIMARY_COMPANY')
    """
    return _NOT_ALLOWED.sub("_", name.upper())


def event_suffix(name: str) -> str:
    """What follows `EVENTS_`: HubSpot's event name without its `e_`, `pe<portal>_` or `ae<app>_`.

    >>> event_suffix("e_visited_page"), event_suffix("pe1234567_key.interactions")
    ('VISITED_PAGE', 'KEY_INTERACTIONS')
    """
    return _NOT_ALLOWED.sub("_", event_name(name).upper())


def event_name(name: str) -> str:
    """HubSpot's event name without its `e_`, `pe<portal>_` or `ae<app>_`."""
    return _EVENT_PREFIX.sub("", name)


def unique_suffixes(suffixes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Object type id to suffix, from (object type id, suffix) pairs.

    Of two types with one suffix the later, by object type id, gets its id appended.

    >>> unique_suffixes([("2-9", "CARS"), ("2-10", "CARS")])
    {'2-9': 'CARS', '2-10': 'CARS_2_10'}
    """
    return unique_names(sorted(suffixes, key=lambda pair: type_id_order(pair[0])))


def unique_names(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Id to name, from (id, name) pairs; of two with one name the later gets its id appended."""
    taken: set[str] = set()
    return {key: _free(name, taken, key) for key, name in names}


def unique_event_suffixes(events: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Event name to suffix, from (event name, event type id) pairs.

    Of two events with one suffix the later, by event type id, gets its id appended; those
    without an id come last, by name, and get `_2`, `_3`, ...

    >>> unique_event_suffixes([("pe1_paid", None), ("pe1_Paid", "6-9"), ("ae7_paid", "6-10")])
    {'pe1_Paid': 'PAID', 'ae7_paid': 'PAID_6_10', 'pe1_paid': 'PAID_2'}
    """
    taken: set[str] = set()
    return {
        name: _free(event_suffix(name), taken, type_id)
        for name, type_id in sorted(events, key=_event_order)
    }


def _free(name: str, taken: set[str], tail: str | None = None) -> str:
    """`name`; if that is taken with `tail`, and at last with a number. It is taken then."""
    if name in taken and tail:
        name = f"{name}_{tail.replace('-', '_')}"
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _event_order(event: tuple[str, str | None]) -> tuple[bool, tuple[int, ...], str]:
    name, type_id = event
    return type_id is None, type_id_order(type_id) if type_id else (), name


def type_id_order(object_type_id: str) -> tuple[int, ...]:
    """Sorts `0-2` before `0-10` before `2-1`."""
    return tuple(int(part) for part in object_type_id.split("-"))


def property_columns(names: Iterable[str], unparsed: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Property name to its (typed, unparsed) column; `unparsed` names those that have the second.

    The second is "" where there is none. HubSpot's names are lower case; should two columns
    come out alike all the same, the later gets `_2`, `_3`, ... so that no value is lost.
    """
    with_unparsed = set(unparsed)
    taken: set[str] = set()
    return {
        name: (
            _free(f"PROPERTY_{name.upper()}", taken),
            _free(f"PROPERTY_UNPARSED_{name.upper()}", taken) if name in with_unparsed else "",
        )
        for name in sorted(names)
    }
