"""Which records of two types are linked: a pure function of seed, pair, indexes and time.

Of each pair of types the one that comes first in `data/associations.csv` is the near one. A near
record has a few slots; each slot leads to one far record in a way that can be inverted: near
indexes are rotated within blocks of at most 64, scaled to the far population, and shifted by so
many per slot that no two slots lead to the same record. So either side finds its partners
without a search, and they were created at about the same time.

A link begins up to a month after the later of its records, some end, and it is told while
both records are live: a merged record's links vanish with it. One far record, the hub, has many
links: those of the first slot of the earliest near records, which never end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import shake_128
from typing import Protocol, TypeVar

import orjson

from hubspot_assets.sandbox.association_types import AssociationType
from hubspot_assets.sandbox.population import BLOCK, Population
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix

_ROTATED, _LEAST_ROTATED = 64, 4
_LATEST = 31 * DAY
#: Odd numbers, one for each slot of a record, that make its draws differ.
_ODD = (
    0xD1342543DE82EF95,
    0xAF251AF3B0F025B5,
    0x9FB21C651E98DF25,
)
#: In a draw: the link never ends unless all of these bits are zero.
_LASTING = 0xF000
#: In a key, above the bits of the labels.
_PRIMARY, _REVERSED = 256, 512

T = TypeVar("T")

#: The index of a linked record, and a key of the types that the link has.
Partner = tuple[int, int]


class Made(dict[int, T]):
    """Values by number, made as they are needed."""

    def __init__(self, make: Callable[[int], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> T:
        value = self[number] = self._make(number)
        return value


class Records:
    """Which records of a type are live at one moment, for many questions about the same one."""

    def __init__(self, population: Population, now: int) -> None:
        self.population = population
        self.now = now
        self.count = population.created_count(now)
        #: Records before this one were created so long ago that their links have begun.
        self.settled = population.created_count(now - _LATEST)
        #: Ids of records by index.
        self.ids = Made(lambda index: population.record_id(index, now))
        self._gone = Made(lambda block: population.gone(block, now))

    def is_live(self, index: int) -> bool:
        """Whether the record exists and is neither archived nor gone."""
        return index < self.count and index not in self._gone[index // BLOCK]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the records of a pair are linked: the percentage of near records that use each slot,
    the percentage of links that have each label (by type id, near to far), and how many links
    the hub has, at most that percentage of the near records. `through` is a type of records that
    the pair has links with: what such a record leads to is what the near one is linked to."""

    shares: tuple[int, ...]
    labels: dict[int, int]
    hub_links: int
    hub_share: int
    through: str = ""


def plan_of(row: dict[str, str]) -> Plan:
    """The plan in a row of `associations.csv`."""
    labels = (each.partition("=") for each in row["labels"].split())
    return Plan(
        shares=tuple(map(int, row["shares"].split())),
        labels={int(type_id): int(share) for type_id, _, share in labels},
        hub_links=int(row["hub_links"] or 0),
        hub_share=int(row["hub_share"] or 0),
        through=row["through"],
    )


class Routes(Protocol):
    """Which far record each slot of a near record leads to, and back."""

    def far(self, index: int, slot: int) -> int:
        """The far record of a slot of a near record."""

    def near(self, index: int, slot: int) -> list[int]:
        """The near records of which a slot leads to a far record."""


@dataclass(frozen=True, slots=True)
class Through:
    """Routes that lead on from where others lead to."""

    first: Routes
    second: Routes

    def far(self, index: int, slot: int) -> int:
        """The far record of a slot of a near record."""
        return self.second.far(self.first.far(index, slot), slot)

    def near(self, index: int, slot: int) -> list[int]:
        """The near records of which a slot leads to a far record."""
        return [
            near for each in self.second.near(index, slot) for near in self.first.near(each, slot)
        ]


class Geometry:
    """Which far record each slot of a near record leads to, and back. It may be one that is
    created later: indexes have no end, as the portal grows on."""

    def __init__(self, near: int, far: int, slots: int, seed: int) -> None:
        self._near = near
        self._far = far
        self._seed = seed
        width = _ROTATED
        while width > _LEAST_ROTATED and (width > near or slots * self._reach(width) > far):
            width //= 2
        self._width = width
        self._stride = self._reach(width)

    def _reach(self, width: int) -> int:
        """More far records than a block of near records leads to."""
        return width * self._far // max(1, self._near) + 2

    def _turn(self, start: int, slot: int) -> int:
        """By how much a block is rotated: never onto itself, not even twice, so that a type's
        link with itself leads neither to the same record nor back."""
        bits = (self._seed ^ (start + slot + 1) * GOLDEN) >> 24 & 0xFFFF
        return 1 + bits % ((self._width - 1) // 2)

    def far(self, index: int, slot: int) -> int:
        """The far record of a slot of a near record."""
        width = self._width
        start = index - index % width
        turned = start + (index - start + self._turn(start, slot)) % width
        return turned * self._far // self._near + slot * self._stride

    def near(self, index: int, slot: int) -> list[int]:
        """The near records of which a slot leads to a far record."""
        unshifted, width = index - slot * self._stride, self._width
        first = max(0, -(-unshifted * self._near // self._far))
        last = -(-(unshifted + 1) * self._near // self._far)
        found = list[int]()
        while first < last:
            start = first - first % width
            turn = self._turn(start, slot) + start
            end = min(last, start + width)
            found += [start + (turned - turn) % width for turned in range(first, end)]
            first = end
        return found


class LinkedPair:
    """The links of two types (or of one with itself), at any moment.

    `types` are those of the direction near to far, `inverse` those of the other one. `routes` are
    those of two like any others if none are given. If `steady`, records are linked as soon as both
    are there, and for good.
    """

    def __init__(
        self,
        near: Population,
        far: Population,
        plan: Plan,
        types: tuple[AssociationType, ...],
        inverse: tuple[AssociationType, ...],
        *,
        seed: int,
        routes: Routes | None = None,
        steady: bool = False,
    ) -> None:
        self.near = near
        self.far = far
        #: What every draw has besides.
        self.steady = _LASTING if steady else 0
        name = f"{seed}/{near.kind.object_type_id}/{far.kind.object_type_id}"
        self.seed = mix(int.from_bytes(shake_128(name.encode()).digest(8), "big"))
        self.routes = routes or Geometry(
            near.population, far.population, len(plan.shares), self.seed
        )
        thresholds = [share * 65_536 // 100 for share in plan.shares]
        self.slots = list(zip(range(len(thresholds)), thresholds, _ODD, strict=False))
        self.hub, self.hub_end = self._hub(plan)
        self.types = types
        self.inverse = inverse
        self._labels = plan.labels
        #: What the first link of a near record has in its key besides.
        self.first = _PRIMARY if any(each.primary for each in types) else 0
        #: Links that were ended outside of the plan, and when.
        self.cut: dict[tuple[int, int], int] = {}
        #: The types of a link as JSON, and their names, by the key that it was told with.
        self.told = Made(self._told)
        self.names = Made(self._names)

    def _hub(self, plan: Plan) -> tuple[int, int]:
        """The hub's index, and the first near record that is not linked to it; -1, 0 for none."""
        members = min(plan.hub_links, self.near.population * plan.hub_share // 100)
        if not members:
            return -1, 0
        hub = next(index for index in range(BLOCK) if not self.far.ends(index))
        # Four records of 32 end, so that so many are left for good.
        return hub, -(-members * BLOCK // (BLOCK - 4))

    @cached_property
    def label_bits(self) -> tuple[int, ...]:
        """By a byte of a link's draw: which of the planned labels the link has."""
        shares = list(enumerate(self._labels.values()))
        return tuple(
            sum(1 << bit for bit, share in shares if mix(self.seed + byte * 8 + bit) % 100 < share)
            for byte in range(256)
        )

    def begun(self, near: int, far: int, drawn: int) -> int:
        """When a link begins, if it is made at all."""
        # A third of the links come within the hour, as of records that are made together.
        within = _LATEST if drawn % 3 else 3_600_000
        delay = 0 if self.steady else (drawn >> 16) % within
        return max(self.near.created(near), self.far.created(far)) + delay

    def span_from(self, near: int) -> tuple[int, int, int | None] | None:
        """The far record of a near one's first slot, and from when until when they are linked as
        long as both are live; None if they never are."""
        slot, threshold, odd = self.slots[0]
        draw = self.seed + near * odd
        if draw >> 40 & 0xFFFF >= threshold:
            return None
        far = self.routes.far(near, slot)
        return far, *self._span(near, far, mix(draw))

    def spans_to(self, far: int) -> Iterator[tuple[int, int, int | None]]:
        """The near records that are ever linked to a far one that is no hub, and from when until
        when they are; `None`: still."""
        for slot, threshold, odd in self.slots:
            for near in self.routes.near(far, slot):
                draw = self.seed + near * odd
                if draw >> 40 & 0xFFFF < threshold:
                    since, until = self._span(near, far, mix(draw))
                    if until is None or since < until:
                        yield near, since, until

    def _span(self, near: int, far: int, drawn: int) -> tuple[int, int | None]:
        since = self.begun(near, far, drawn)
        fate, cut = self.near.fate(near), self.cut.get((near, far))
        ends = [
            None if (drawn | self.steady) & _LASTING else lasts(since, drawn),
            None if fate is None else fate.at,
            cut,
        ]
        return since, min((each for each in ends if each is not None), default=None)

    def types_of(self, key: int) -> tuple[AssociationType, ...]:
        """The types of a link, by the key that it was told with."""
        chosen = {type_id for bit, type_id in enumerate(self._labels) if key >> bit & 1}
        there = [
            each
            for each in self.types
            if each.label is None or (key & _PRIMARY if each.primary else each.type_id in chosen)
        ]
        if not key & _REVERSED:
            return tuple(there)
        back = {(each.category, each.inverse_id) for each in there}
        return tuple(each for each in self.inverse if (each.category, each.type_id) in back)

    def sizes_of(self, key: int) -> tuple[int, int]:
        """How many types a link has, seen as its key tells it and from its other side."""
        return len(self.types_of(key)), len(self.types_of(key ^ _REVERSED))

    def _told(self, key: int) -> bytes:
        return orjson.dumps([
            {"category": each.category, "typeId": each.type_id, "label": each.label}
            for each in self.types_of(key)
        ])  # fmt: skip

    def _names(self, key: int) -> list[str]:
        """The plain name of the pair comes first."""
        names = [each.name for each in self.types_of(key)]
        return sorted(names, key=lambda name: name.endswith("_unlabeled"))


def lasts(begun: int, drawn: int) -> int:
    """When a link ends that does not last for good."""
    return begun + DAY + (drawn >> 20) % (500 * DAY)


class Links:
    """The links of a pair at one moment, in one direction: near to far, far to near
    (`backward`), or both in one if the pair is a type with itself."""

    def __init__(self, pair: LinkedPair, near: Records, far: Records, *, backward: bool) -> None:
        self.pair = pair
        self._near = near
        self._far = far
        self._backward = backward
        self._now = near.now
        self.source, self.target = (far, near) if backward else (near, far)

    def partners(self, index: int, start: int = 0) -> Iterator[Partner]:
        """The records that a record is linked to, ascending, from index `start`."""
        if not self.source.is_live(index):
            return iter(())
        if self._backward and index == self.pair.hub:
            return self._spokes(start)
        found = self._to_near(index) if self._backward else self._to_far(index)
        if self.pair.near is self.pair.far:
            found += self._to_near(index)
        found.sort()
        return iter(found) if not start else iter([each for each in found if each[0] >= start])

    def _spokes(self, start: int) -> Iterator[Partner]:
        """The near records that are linked to the hub."""
        pair, (_, _, odd) = self.pair, self.pair.slots[0]
        for near in range(start, min(pair.hub_end, self._near.count)):
            drawn = mix(pair.seed + near * odd)
            if self._near.is_live(near) and self._is_on(near, pair.hub, drawn | _LASTING):
                yield near, pair.label_bits[drawn & 255] | pair.first | _REVERSED

    def _to_far(self, near: int) -> list[Partner]:
        pair, found = self.pair, list[Partner]()
        for slot in pair.slots:
            link = self._of_slot(near, *slot)
            if link is not None:
                far, key = link
                found.append((far, key if found else key | pair.first))
        return found

    def _of_slot(self, near: int, slot: int, threshold: int, odd: int) -> Partner | None:
        """What a slot of a live near record is linked to, if to anything."""
        pair, draw = self.pair, self.pair.seed + near * odd
        if slot == 0 and near < pair.hub_end:
            far, drawn = pair.hub, mix(draw) | _LASTING
        elif draw >> 40 & 0xFFFF >= threshold:
            return None
        else:
            far, drawn = pair.routes.far(near, slot), mix(draw)
            if far == pair.hub:
                return None
        if not self._far.is_live(far) or not self._is_on(near, far, drawn):
            return None
        return far, pair.label_bits[drawn & 255]

    def _to_near(self, far: int) -> list[Partner]:
        """What slots of near records are linked to a live far record that is not the hub."""
        pair, is_live, found = self.pair, self._near.is_live, list[Partner]()
        for slot, threshold, odd in pair.slots:
            for near in pair.routes.near(far, slot):
                draw = pair.seed + near * odd
                if draw >> 40 & 0xFFFF >= threshold or not is_live(near):
                    continue
                if slot == 0 and near < pair.hub_end:
                    continue
                drawn = mix(draw)
                if self._is_on(near, far, drawn):
                    key = pair.label_bits[drawn & 255] | _REVERSED
                    if not slot or not self._has_before(near, slot):
                        key |= pair.first
                    found.append((near, key))
        return found

    def _has_before(self, near: int, slot: int) -> bool:
        """Whether an earlier slot of the near record is linked: that one is its primary."""
        return any(self._of_slot(near, *each) is not None for each in self.pair.slots[:slot])

    def _is_on(self, near: int, far: int, drawn: int) -> bool:
        """Whether a link has begun and not ended; one of sixteen ends."""
        pair = self.pair
        if pair.cut and pair.cut.get((near, far), self._now + 1) <= self._now:
            return False
        lasting = (drawn | pair.steady) & _LASTING
        if lasting and near < self._near.settled and far < self._far.settled:
            return True
        begun = pair.begun(near, far, drawn)
        return begun <= self._now and (bool(lasting) or lasts(begun, drawn) > self._now)
