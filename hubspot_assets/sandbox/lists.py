"""Lists of records and who is in them: a pure function of seed, list, record and time.

Who joins, and from when to when, is worked out once per list and kept, so that a page of a large
list costs no more than one of a small list. All moments are epoch milliseconds.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import NamedTuple

from hubspot_assets.sandbox.facts import rows
from hubspot_assets.sandbox.population import Population
from hubspot_assets.sandbox.stamps import DAY, given, given_or_none
from hubspot_assets.sandbox.values import GOLDEN, mix

PROCESSING_TYPES = ("MANUAL", "DYNAMIC", "SNAPSHOT", "ADHOC")
_COMPLETE = "COMPLETE"
_YEAR = 365 * DAY
_NEVER = 1 << 62
#: A snapshot is taken in so many milliseconds, so many of its members join in the same one.
_SNAPSHOT_MS = 100
_JOIN_WITHIN = 45 * DAY
_STAY_WITHIN = 300 * DAY
_DRAWS = 1 << 16


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A list as it is made. `share` is the part of the type's records that joins it, `big` marks
    the list whose size is a setting; `condition` is a property and the values that let a record
    in, None for lists without filters."""

    list_id: int
    classic_list_id: int | None
    name: str
    object_type_id: str
    processing_type: str
    processing_status: str
    share: float
    big: bool
    folder: str | None
    created: int
    filters_updated: int | None
    updated: int
    deleted: int | None
    created_by: str
    updated_by: str
    references: int
    public: bool
    read_only: bool
    condition: tuple[str, tuple[str, ...]] | None

    @property
    def odd(self) -> bool:
        """Whether its members are refused, or not all worked out yet."""
        return self.processing_type == "ADHOC" or self.processing_status != _COMPLETE


@dataclass(frozen=True, slots=True)
class PortalList:
    """A list at one moment: `size` counts its members, `added` and `removed` are when the last
    one came and went. `version` counts its changes from 1."""

    facts: ListFacts
    version: int
    updated: int
    filters_updated: int | None
    size: int
    added: int | None
    removed: int | None


@cache
def list_facts() -> tuple[ListFacts, ...]:
    """All lists there ever are, by id."""
    return tuple(sorted((_facts(row) for row in rows("lists.csv")), key=lambda each: each.list_id))


def _facts(row: dict[str, str]) -> ListFacts:
    name, _, values = row["filter"].partition("=")
    return ListFacts(
        list_id=int(row["list_id"]),
        classic_list_id=int(row["classic_list_id"]) if row["classic_list_id"] else None,
        name=row["name"],
        object_type_id=row["object_type_id"],
        processing_type=row["processing_type"],
        processing_status=row["processing_status"],
        share=float(row["share"]),
        big=row["big"] == "true",
        folder=row["folder"] or None,
        created=given(row["created_at"]),
        filters_updated=given_or_none(row["filters_updated_at"]),
        updated=given(row["updated_at"]),
        deleted=given_or_none(row["deleted_at"]),
        created_by=row["created_by"],
        updated_by=row["updated_by"],
        references=int(row["references"]),
        public=row["public"] == "true",
        read_only=row["read_only"] == "true",
        condition=(name, tuple(values.split(";"))) if name else None,
    )


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a list: the record's index and when it joined."""

    index: int
    joined: int


class Memberships:
    """Everybody who joins a list before `until`, in order of records and in order of joining."""

    def __init__(self, facts: ListFacts, records: Population, until: int, size: int | None) -> None:
        self._index, self._joined, self._gone = array("q"), array("q"), array("q")
        for index, joined, gone in _stays(facts, records, until, size):
            self._index.append(index)
            self._joined.append(joined)
            self._gone.append(gone)
        count = len(self._index)
        self._in_order = array("q", sorted(range(count), key=self._join_key))
        self._joins = array("q", sorted(self._joined))
        self._leaves = array("q", sorted(self._gone))

    def _join_key(self, position: int) -> tuple[int, int]:
        return self._joined[position], self._index[position]

    def size(self, now: int) -> int:
        """How many members there are."""
        return bisect_right(self._joins, now) - bisect_right(self._leaves, now)

    def last_added(self, now: int) -> int | None:
        """When the last member joined."""
        return _last(self._joins, now)

    def last_removed(self, now: int) -> int | None:
        """When the last member left or ended."""
        return _last(self._leaves, now)

    def find(self, index: int, now: int) -> Member | None:
        """The membership of a record."""
        at = bisect_left(self._index, index)
        if at == len(self._index) or self._index[at] != index or not self._is_in(at, now):
            return None
        return Member(index, self._joined[at])

    def by_record(
        self, now: int, bound: int | None = None, *, descending: bool = False
    ) -> Iterator[Member]:
        """Members in order of their indexes, beyond the index `bound`."""
        if bound is None:
            start = len(self._index) if descending else 0
        else:
            start = (bisect_left if descending else bisect_right)(self._index, bound)
        positions = range(start - 1, -1, -1) if descending else range(start, len(self._index))
        return (Member(self._index[at], self._joined[at]) for at in self._of(positions, now))

    def by_joining(
        self, now: int, bound: Member | None = None, *, descending: bool = False
    ) -> Iterator[Member]:
        """Members in the order in which they joined, beyond the member `bound`."""
        order = self._in_order
        if bound is None:
            start = len(order) if descending else 0
        else:
            bisect = bisect_left if descending else bisect_right
            start = bisect(order, (bound.joined, bound.index), key=self._join_key)
        steps = range(start - 1, -1, -1) if descending else range(start, len(order))
        positions = (order[step] for step in steps)
        return (Member(self._index[at], self._joined[at]) for at in self._of(positions, now))

    def _of(self, positions: Iterator[int] | range, now: int) -> Iterator[int]:
        return (at for at in positions if self._is_in(at, now))

    def _is_in(self, at: int, now: int) -> bool:
        return self._joined[at] <= now < self._gone[at]


def _last(moments: "array[int]", now: int) -> int | None:
    count = bisect_right(moments, now)
    return moments[count - 1] if count else None


def _stays(
    facts: ListFacts, records: Population, until: int, size: int | None
) -> Iterator[tuple[int, int, int]]:
    """Index, joining and end of every membership that begins before `until`."""
    count = records.created_count(until)
    if facts.processing_type == "SNAPSHOT":
        count = min(count, records.created_count(facts.created))
    salt = mix(records.side_seed ^ mix(facts.list_id * GOLDEN))
    if facts.big and size is not None:
        yield from islice(_lasting(facts, records, salt, count), size)
        return
    threshold = round(facts.share * _DRAWS)
    for index in range(count):
        if (salt ^ index * GOLDEN) >> 29 & _DRAWS - 1 >= threshold:
            continue
        bits = mix(salt + index * GOLDEN)
        joined = _joined(facts, records, index, bits)
        gone = _NEVER
        if facts.processing_type != "SNAPSHOT" and bits & 7 == 0:
            gone = joined + DAY + (bits >> 20) % _STAY_WITHIN
        fate = records.fate(index)
        if fate is not None:
            gone = min(gone, fate.at)
        if gone > joined:
            yield index, joined, gone


def _lasting(
    facts: ListFacts, records: Population, salt: int, count: int
) -> Iterator[tuple[int, int, int]]:
    """The records that are not planned to end: a list of them has a size that does not change."""
    for index in range(count):
        if not records.ends(index):
            fate = records.fate(index)
            joined = _joined(facts, records, index, mix(salt + index * GOLDEN))
            gone = _NEVER if fate is None else max(joined, fate.at)
            yield index, joined, gone


def _joined(facts: ListFacts, records: Population, index: int, bits: int) -> int:
    if facts.processing_type == "SNAPSHOT":
        return facts.created + (bits >> 20) % _SNAPSHOT_MS
    return max(facts.created, records.created(index)) + 1 + (bits >> 24) % _JOIN_WITHIN


class _Kept(NamedTuple):
    """Memberships that begin before `until`, as of so many interventions in the records."""

    interventions: int
    until: int
    memberships: Memberships


class Lists:
    """The lists of a portal. `records` gives the records of a type; `big_list` is how many
    members the big list has, None for as many as its share of the contacts."""

    def __init__(
        self,
        facts: Iterable[ListFacts],
        records: Callable[[str], Population],
        big_list: int | None,
    ) -> None:
        self._facts = {each.list_id: each for each in facts}
        self._records = records
        self._big_list = big_list
        self._deleted: dict[int, int] = {}
        self._memberships: dict[int, _Kept] = {}

    def at(self, now: int) -> list[PortalList]:
        """The lists that exist, by id."""
        return [self._told(each, now) for each in self._facts.values() if self._exists(each, now)]

    def find(self, list_id: int, now: int) -> PortalList | None:
        """A list that exists."""
        facts = self._facts.get(list_id)
        return self._told(facts, now) if facts and self._exists(facts, now) else None

    def delete(self, list_id: int, at: int) -> None:
        """Deletes a list outside of the plan. ValueError if there never is such a list."""
        if list_id not in self._facts:
            raise ValueError(f"there is no list {list_id}")
        self._deleted[list_id] = at

    def restore(self, list_id: int) -> None:
        """Brings a list back that was deleted outside of the plan. ValueError if it was not."""
        if self._deleted.pop(list_id, None) is None:
            raise ValueError(f"list {list_id} was not deleted")

    def make_again(self, list_id: int, at: int) -> int:
        """Deletes a list, and makes another of the same name; gives its id."""
        self.delete(list_id, at)
        made = replace(
            self._facts[list_id],
            list_id=max(self._facts) + 1,
            created=at,
            updated=at,
            filters_updated=at if self._facts[list_id].filters_updated else None,
        )
        self._facts[made.list_id] = made
        return made.list_id

    def memberships(self, facts: ListFacts, now: int) -> Memberships:
        """Who is in a list."""
        records = self._records(facts.object_type_id)
        kept = self._memberships.get(facts.list_id)
        if kept is None or kept.interventions != records.interventions or kept.until <= now:
            # Worked out a year ahead, so that a clock that runs does not start it over.
            until = now + _YEAR
            made = Memberships(facts, records, until, self._big_list)
            kept = _Kept(records.interventions, until, made)
            self._memberships[facts.list_id] = kept
        return kept.memberships

    def _exists(self, facts: ListFacts, now: int) -> bool:
        ends = (facts.deleted, self._deleted.get(facts.list_id))
        return facts.created <= now and all(end is None or end > now for end in ends)

    def _told(self, facts: ListFacts, now: int) -> PortalList:
        members = self.memberships(facts, now)
        changes = sorted({facts.created, facts.filters_updated or facts.created, facts.updated})
        seen = [at for at in changes if at <= now]
        filters = facts.filters_updated
        if filters is not None and filters > now:
            filters = facts.created
        size = members.size(now)
        return PortalList(
            facts=facts,
            version=len(seen),
            updated=seen[-1],
            filters_updated=filters,
            # How large a list will be is known before all its members are.
            size=size if facts.processing_status == _COMPLETE else size * 2 + 1,
            added=members.last_added(now),
            removed=members.last_removed(now),
        )
