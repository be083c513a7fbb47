"""What happens in a portal: event occurrences, a pure function of seed, event type and hour.

Nothing is stored, and no hour needs another one. An hour's events of a type happen to records
that were created before it and are live at that moment; their number grows with the records.
All moments are epoch milliseconds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import shake_128
from typing import NamedTuple

import orjson

from hubspot_assets.sandbox.event_types import EventType, Rate
from hubspot_assets.sandbox.population import START, Population
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix

SLOT = 3_600_000
#: One event in so many shares the millisecond of the one before it.
_TWINS = 16
#: How many records after the drawn one are looked at for one that is live.
_TRIES = 64


class Spark(NamedTuple):
    """An occurrence without its properties. Sparks sort by time; those of one millisecond by
    the rest."""

    at: int
    object_type_id: str
    object_id: int
    event_type_id: str
    bits: int

    @property
    def id(self) -> str:
        """The occurrence's id: a UUID of version 7, which begins with its time."""
        text = (
            f"{self.at:012x}7{self.bits >> 52:03x}"
            f"{0x8000 | self.bits >> 38 & 0x3FFF:04x}{self.bits & 0xFFFFFFFFFFFF:012x}"
        )
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event that happened to a record. `event_type` is a name, `properties` holds the ones
    that are set."""

    id: str
    event_type: str
    object_type_id: str
    object_id: int
    occurred_at: datetime
    properties: dict[str, str]


def time_of(occurrence_id: str) -> int | None:
    """The moment that an occurrence's id begins with; None if it is no such id."""
    digits = occurrence_id.replace("-", "")[:12]
    try:
        return int(digits, 16)
    except ValueError:
        return None


class EventLife:
    """All event types of a portal and their occurrences. `population` gives the records of
    an object type."""

    def __init__(
        self, kinds: Iterable[EventType], population: Callable[[str], Population], *, seed: int
    ) -> None:
        self.kinds: dict[str, EventType] = {}
        self._by_id: dict[str, EventType] = {}
        for kind in kinds:
            self.add(kind)
        self._population = population
        self._seed = seed
        self._seeds: dict[tuple[str, str], int] = {}
        self._pools: dict[str, list[tuple[str, int, list[str]]]] = {}

    def add(self, kind: EventType) -> None:
        """Adds an event type. It has always happened, like all others."""
        # New dictionaries, since a request may be walking through the old ones.
        self._by_id = {**self._by_id, kind.event_type_id: kind}
        self.kinds = {**self.kinds, kind.name: kind}

    def remove(self, name: str) -> None:
        """Takes an event type away, with all its occurrences."""
        self.kinds = {key: kind for key, kind in self.kinds.items() if key != name}

    def kind_of(self, spark: Spark) -> EventType:
        """The event type of an occurrence."""
        return self._by_id[spark.event_type_id]

    def sparks(
        self, kinds: Iterable[EventType], start: int, end: int, *, newest_first: bool = False
    ) -> Iterator[Spark]:
        """Occurrences of these types from `start` up to but not including `end`, in order."""
        kinds = [kind for kind in kinds if kind.served and kind.rates]
        if not kinds:
            return
        slots = range(max(start, START) // SLOT, -(-end // SLOT))
        for slot in reversed(slots) if newest_first else slots:
            known = self._known(kinds, slot)
            drawn = [
                spark
                for kind in kinds
                for rate in kind.rates
                for spark in self._drawn(kind, rate, slot, known[rate.object_type_id])
                if start <= spark.at < end
            ]
            drawn.sort(reverse=newest_first)
            yield from drawn

    def properties(self, spark: Spark) -> dict[str, str]:
        """The properties of an occurrence, by name; those without a value are missing."""
        pools = self._pools_of(self.kind_of(spark))
        draws = shake_128(spark.bits.to_bytes(8, "big")).digest(2 * len(pools))
        return {
            name: values[draws[2 * at + 1] % len(values)]
            for at, (name, fill, values) in enumerate(pools)
            if draws[2 * at] < fill
        }

    def _known(self, kinds: list[EventType], slot: int) -> dict[str, int]:
        """How many records had been created before an hour, by type."""
        types = {rate.object_type_id for kind in kinds for rate in kind.rates}
        return {each: self._population(each).created_count(slot * SLOT) for each in types}

    def _drawn(self, kind: EventType, rate: Rate, slot: int, known: int) -> Iterator[Spark]:
        """The occurrences of an hour, in no order; `known` records had been created by then."""
        population = self._population(rate.object_type_id)
        at = start = slot * SLOT
        base = mix(self._seed_of(kind, rate) + slot * GOLDEN)
        expected = rate.per_day * known * SLOT / DAY / rate.burst
        # What is left of a whole number is a chance.
        for turn in range(int(expected + (base & 0xFFFF) / 0x10000)):
            bits = mix(base + (turn + 1) * GOLDEN)
            if turn == 0 or bits % _TWINS:
                at = start + (bits >> 8) % SLOT
            for member in range(rate.burst):
                own = mix(bits + member)
                record = _live(population, own % known, known, at)
                if record is not None:
                    object_id = population.record_id(record, at)
                    yield Spark(at, rate.object_type_id, object_id, kind.event_type_id, own)

    def _seed_of(self, kind: EventType, rate: Rate) -> int:
        key = kind.name, rate.object_type_id
        if key not in self._seeds:
            digest = shake_128(f"{self._seed}/{'/'.join(key)}".encode()).digest(8)
            self._seeds[key] = int.from_bytes(digest, "big")
        return self._seeds[key]

    def _pools_of(self, kind: EventType) -> list[tuple[str, int, list[str]]]:
        """Names, values and how many bytes of 256 draw one of them."""
        if kind.name not in self._pools:
            self._pools[kind.name] = [
                (each.name, -(-each.fill * 256 // 100), [orjson.loads(v) for v in each.pool])
                for each in kind.properties
            ]
        return self._pools[kind.name]


def _live(population: Population, drawn: int, known: int, at: int) -> int | None:
    """The index of the first record from the drawn one on that is live; they go in a circle."""
    for step in range(min(known, _TRIES)):
        index = (drawn + step) % known
        if population.is_live(index, at):
            return index
    return None
