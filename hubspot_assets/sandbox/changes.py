"""What happens to records between two moments: the truth that a change log is held against."""

from collections.abc import Iterator
from typing import NamedTuple

from hubspot_assets.sandbox.life import Life, Record
from hubspot_assets.sandbox.properties import Property

_CLEARED = b'""'
_AT_EACH_CALL = "calculation_read_time"


class Happening(NamedTuple):
    """See `RecordChange`; `at` is in epoch milliseconds."""

    kind: str
    record_id: int
    at: int | None
    merged_into: int | None = None
    properties: frozenset[str] = frozenset()


def happenings(
    life: Life, properties: tuple[Property, ...], start: int, end: int
) -> Iterator[Happening]:
    """What happens to the records of a type from `start` until before `end`. A record that takes
    another in and gets a new id by that is merged, too, into one that is created by it."""
    for index in range(life.created_count(end - 1)):
        if life.created(index) >= end:
            continue
        yield from _ends(life, index, start, end)
        last = life.record_id(index, end - 1)
        live = life.is_live(index, end - 1)
        now = _values(life.record(index, end - 1), properties) if live else {}
        if life.created(index) >= start:
            first = life.record_id(index, life.created(index))
            names = frozenset(_set(now)) if first == last else frozenset[str]()
            yield Happening("created", first, life.created(index), properties=names)
        elif live and life.is_live(index, start - 1) and life.record_id(index, start - 1) == last:
            before = _set(_values(life.record(index, start - 1), properties))
            names = frozenset(name for name, _ in before.items() ^ _set(now).items())
            if names:
                stamps = [now[name][1] for name in names if name in now]
                at = max((each for each in stamps if each is not None), default=None)
                yield Happening("updated", last, at, properties=names)


def _ends(life: Life, index: int, start: int, end: int) -> Iterator[Happening]:
    for fate in life.turns(index):
        if start <= fate.at < end:
            into = life.record_id(fate.survivor, fate.at) if fate.kind == "merged" else None
            yield Happening(fate.kind, life.record_id(index, fate.at - 1), fate.at, into)
    for merger in life.mergers(index, end - 1):
        if start <= merger.at and merger.before != merger.after:
            yield Happening("merged", merger.before, merger.at, merger.after)
            yield Happening("created", merger.after, merger.at)


def _values(
    record: Record, properties: tuple[Property, ...]
) -> dict[str, tuple[bytes, int | None]]:
    """Values by name, each with the moment since when it is that; without those that are worked
    out at each call."""
    found = {}
    for number, value in record.values.items():
        each, history = properties[number], record.history.get(number, [])
        if not history and each.field_type == _AT_EACH_CALL:
            continue
        since = None
        for change in reversed(history):
            if change[1] != value:
                break
            since = change[0]
        found[each.name] = value, since
    return found


def _set(values: dict[str, tuple[bytes, int | None]]) -> dict[str, bytes]:
    return {name: value for name, (value, _) in values.items() if value != _CLEARED}
