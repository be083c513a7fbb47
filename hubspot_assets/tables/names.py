"""Names of tables and columns, by the export contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NOT_ALLOWED = re.compile(r"[^A-Z0-9]")
_EVENT_PREFIX = re.compile(r"^(e|(pe|ae)\d+)_")

#: A table's name of more characters than `LONGEST` keeps the first `CUT`, and has an id after them:
#: a part of a path has at most 255 bytes.
LONGEST, CUT = 200, 180


def suffix(
    type_id: str, plural_label: str | None, singular_label: str | None, fallback: str
) -> str:
    """What follows `OBJECTS_`: the plural label, else the singular one + `S`, else `fallback`.

    The id stands for a label without a Latin letter or digit, and after a long one.

    >>> suffix("0-8", "Line items", "Line item", "line_items")
    'LINE_ITEMS'
    >>> suffix("2-7", None, "Pop-Tart & Waffle", "x"), suffix("2-8", "船", "船", "ship")
    ('POP_TART___WAFFLES', '2_8')
    """
    label = plural_label or (f"{singular_label}S" if singular_label else fallback)
    return _bounded("OBJECTS", label, type_id)


def type_name(name: str) -> str:
    """An object type's name as it stands in columns.

    >>> type_name("line_item"), type_name("primary company")
    ('LINE_ITEM', 'PRIMARY_COMPANY')
    """
    return _NOT_ALLOWED.sub("_", name.upper())


def event_suffix(name: str, type_id: str | None = None) -> str:
    """What follows `EVENTS_`: HubSpot's event name without its `e_`, `pe<portal>_` or `ae<app>_`.

    The id, where there is one, stands for a name without a letter or digit, and after a long one.

    >>> event_suffix("e_visited_page"), event_suffix("pe1234567_key.interactions")
    ('VISITED_PAGE', 'KEY_INTERACTIONS')
    """
    return _bounded("EVENTS", event_name(name), type_id)


def pair_suffix(way: tuple[str, str], type_ids: tuple[str, str]) -> str:
    """What follows `ASSOCIATIONS_`, from the suffixes of both types; ids after a long one.

    >>> pair_suffix(("CONTACTS", "DEALS"), ("0-1", "0-3"))
    'CONTACTS_TO_DEALS'
    """
    return _bounded("ASSOCIATIONS", "_TO_".join(way), "_".join(type_ids))


def _bounded(family: str, text: str, tail: str | None) -> str:
    """`text` as a name that follows `family` and `_`, with `tail` for what it lacks, or is cut.

    Upper case first, so that a letter which has none of its own (`ß`) is what it becomes (`SS`).
    """
    name, end = _NOT_ALLOWED.sub("_", text.upper()), (tail or "").replace("-", "_")
    if not name.strip("_"):
        return end or name
    room = len(f"{family}_")
    if room + len(name) <= LONGEST:
        return name
    return "_".join(filter(None, (name[: CUT - room], end)))


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


def unique_folders(suffixes: Mapping[str, str]) -> dict[str, str]:
    """Key to sub-folder, from key to suffix.

    Spark, Hive and Athena pass over what begins with `_`: such a name gets `t` in front. Should
    another be called so, the later gets `_2`.

    >>> unique_folders({"2-1": "CARS", "2-2": "_ODD", "2-3": "T_ODD"})
    {'2-1': 'cars', '2-2': 't_odd', '2-3': 't_odd_2'}
    """
    taken: set[str] = set()
    return {
        key: _free(f"t{name}" if name.startswith("_") else name, taken)
        for key, name in ((key, suffix.lower()) for key, suffix in suffixes.items())
    }


def unique_event_suffixes(events: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Event name to suffix, from (event name, event type id) pairs.

    Of two events with one suffix the later, by event type id, gets its id appended; those
    without an id come last, by name, and get `_2`, `_3`, ...

    >>> unique_event_suffixes([("pe1_paid", None), ("pe1_Paid", "6-9"), ("ae7_paid", "6-10")])
    {'pe1_Paid': 'PAID', 'ae7_paid': 'PAID_6_10', 'pe1_paid': 'PAID_2'}
    """
    taken: set[str] = set()
    return {
        name: _free(event_suffix(name, type_id), taken, type_id)
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

    The second is "" where there is none. Of names that differ by case alone the later, in the order
    of code points, gets `_2`; so does an unparsed column that is called as a typed one.

    >>> property_columns(["foo", "FOO", "foo_2", "unparsed_FOO"], ["FOO", "foo"])["foo"]
    ('PROPERTY_FOO_3', 'PROPERTY_UNPARSED_FOO_3')
    """
    ordered = sorted(names)
    upper: dict[str, str] = {}
    for name in ordered:
        upper.setdefault(name.upper(), name)
    # Names that nobody contests are given first, so that none of them is taken by a `_2`.
    taken = set(upper)
    unique = {name: key for key, name in upper.items()}
    unique |= {name: _free(name.upper(), taken) for name in ordered if name not in unique}
    with_unparsed = set(unparsed)
    return {
        name: (
            f"PROPERTY_{unique[name]}",
            f"PROPERTY_{_free(f'UNPARSED_{unique[name]}', taken)}" if name in with_unparsed else "",
        )
        for name in ordered
    }
