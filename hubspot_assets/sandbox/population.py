"""Which records of a type there are: ids, creation and end, each a pure function of an index.

Indexes go by id, and nearly by creation. Four records in every block of 32 end: archived (some are
restored), merged into another record of the block, or erased. Who takes another in gets a new id
by that, still before the next record's. All moments are epoch milliseconds. Nothing is stored but
what tests do to single records.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import shake_128
from typing import NamedTuple

from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix

START = 1_685_577_600_000  # 2023-06-01: the first records
FULL = 1_796_083_200_000  # 2026-12-01: about as many records as asked for are live
SPAN = FULL - START
BLOCK = 32
ARCHIVE_DAYS = 90
_HOUR = 3_600_000
#: Since when who takes another in gets a new id. Contacts and companies kept theirs before that.
_NEW_IDS_SINCE = 1_735_689_600_000  # 2025-01-01
_KEPT_IDS = ("0-1", "0-2")
#: One of so many records is created after the one with the next id, by less than so long.
_LATE, _LATER_BY = 16, 9_000_000
_FINAL = ("merged", "erased")
#: Recent plans are kept, since pages, links and counts ask for the same ones again: more than there
#: are ends in a portal of some 500,000 records, of which each search counts all.
_PLANS = 1 << 16


class Fate(NamedTuple):
    """What becomes of a record, and when: `kind` is archived, restored, merged or erased; a merged
    one lives on in the record with index `survivor`."""

    at: int
    kind: str
    survivor: int


class Merger(NamedTuple):
    """A record took the one with index `loser` in, which had the id `lost`: its own id went from
    `before` to `after`, unless that is the same."""

    at: int
    loser: int
    lost: int
    before: int
    after: int


class Population:
    """The records of one type, without their values. `ids_last`: merges never give new ids."""

    def __init__(
        self, kind: ObjectType, *, records: int, seed: int, ids_last: bool = False
    ) -> None:
        self.kind = kind
        # Some eleven in a hundred have ended by the time the portal is full.
        self.population = max(kind.at_least, round(records * kind.per_contact * 1.12))
        self._salt = f"{seed}/{kind.object_type_id}/".encode()
        self._seed = mix(int.from_bytes(shake_128(self._salt).digest(8), "big"))
        #: Draws about the records that are not their own, like those of lists, begin with it.
        self.side_seed = mix(self._seed)
        #: How often something was done to a record outside of the plan.
        self.interventions = 0
        self._interventions: dict[int, list[Fate]] = {}
        self._losers: dict[int, list[int]] = {}
        #: How many ids a record can have after its first one.
        self._spare = max(1, kind.id_step // 4)
        since = _NEW_IDS_SINCE if kind.object_type_id in _KEPT_IDS else 0
        self._new_ids_since = FULL * 9 if ids_last else since
        self._planned = lru_cache(maxsize=_PLANS)(self._plan)

    # Ids

    def _nth_id(self, index: int, turn: int) -> int:
        """The id that a record has after it got so many new ones."""
        step = self.kind.id_step
        room = step - self._spare
        offset = room + turn - 1 if turn else mix(self._seed + index) % room
        return self.kind.first_id + index * step + offset

    def record_id(self, index: int, now: int) -> int:
        """The record's id at a moment: ascending with the index, with gaps."""
        turns = sum(1 for at, _ in self.merged_into(index, now) if at >= self._new_ids_since)
        return self._nth_id(index, turns)

    def index_at(self, record_id: int, now: int) -> int:
        """The first index whose id is not below `record_id`."""
        index = max(0, (record_id - self.kind.first_id) // self.kind.id_step)
        return index if self.record_id(index, now) >= record_id else index + 1

    def index_of(self, record_id: int, now: int) -> int | None:
        """The index of an id, None if no record has, or had before a merge, that id by now."""
        index = (record_id - self.kind.first_id) // self.kind.id_step
        if index < 0:
            return None
        current = self.record_id(index, now)
        if record_id == current or record_id == self._nth_id(index, 0):
            return index
        first_new = self._nth_id(index, 1)
        return index if first_new <= record_id <= current else None

    def holder(self, record_id: int, now: int) -> int | None:
        """The index of the live record that has the id now, None if there is none."""
        index = self.index_of(record_id, now)
        if index is None or not self.is_live(index, now):
            return None
        return index if self.record_id(index, now) == record_id else None

    # Creation

    def created(self, index: int) -> int:
        """When the record is created; nearly ascending with the index."""
        if index % _LATE == self._seed % _LATE:
            following, then = self._drawn(index + 1), self._drawn(index + 2)
            bits = mix(self._seed ^ index)
            return following + 1 + bits % min(_LATER_BY, max(1, then - following - 1))
        return self._drawn(index)

    def _drawn(self, index: int) -> int:
        """Moments that ascend with the index."""
        jitter = (self._seed ^ index * GOLDEN) >> 17 & 0xFFFF
        return START + (index * SPAN + (jitter * SPAN >> 16)) // self.population

    def created_count(self, now: int) -> int:
        """An index beyond all records that have been created up to now. One before the last is
        perhaps not there yet, since its turn comes later than its id: see `gone`."""
        if not self.population or now < START:
            return 0
        count = (now - START) * self.population // SPAN
        while self._drawn(count) <= now:
            count += 1
        while count and self._drawn(count - 1) > now:
            count -= 1
        return count

    # Ends

    def _ends(self, block: int) -> tuple[tuple[int, ...], int]:
        """Offsets in the block: the records that end, and one that survives merges."""
        first = mix(self._seed + (block + 1) * GOLDEN) & 7
        return (first, first + 8, first + 16, first + 24), first + 1

    def _plan(self, index: int) -> tuple[Fate, ...]:
        """What becomes of a record by plan: nothing, an end, or an end and a return."""
        block, offset = divmod(index, BLOCK)
        ending, survivor = self._ends(block)
        if offset not in ending:
            return ()
        bits = mix((self._seed ^ index) * GOLDEN)
        kind = "archived"
        if self.kind.merges:
            kind = ("archived", "merged", "archived", "merged", "erased")[bits % 5]
        after = _HOUR + (bits >> 8) % (400 * DAY)
        if kind == "merged" and bits >> 60 & 1 and offset != ending[-1]:
            # Into one that is merged away in its turn.
            following = self._planned(index + BLOCK // 4)[0]
            at = max(self.created(index), self.created(index + BLOCK // 4)) + after
            if following.kind == "merged" and at + DAY < following.at:
                return (Fate(at, kind, index + BLOCK // 4),)
        into = block * BLOCK + survivor
        ended = Fate(max(self.created(index), self.created(into)) + after, kind, into)
        if self.kind.merges and kind == "archived" and bits >> 56 & 3 == 0:
            back = ended.at + _HOUR + (bits >> 24) % (20 * DAY)
            return ended, Fate(back, "restored", index)
        return (ended,)

    def ends(self, index: int) -> bool:
        """Whether the plan has an end for the record."""
        block, offset = divmod(index, BLOCK)
        return offset in self._ends(block)[0]

    def turns(self, index: int) -> list[Fate]:
        """What becomes of the record, by plan and outside of it, in order of time."""
        planned = self._planned(index)
        done = self._interventions.get(index)
        found, away = list[Fate](), False
        for each in sorted((*planned, *done)) if done else planned:
            # The bin holds a record once, and only what is in it can be restored.
            if (each.kind == "archived" and away) or (each.kind == "restored" and not away):
                continue
            found.append(each)
            away = each.kind == "archived"
            if each.kind in _FINAL:
                break
        return found

    def fate(self, index: int) -> Fate | None:
        """How the record ends for the first time, if it ever does: it leaves its lists."""
        found = self.turns(index)
        return found[0] if found else None

    def away(self, index: int, now: int) -> Fate | None:
        """Why the record is not there now; None for one that is."""
        found = [each for each in self.turns(index) if each.at <= now]
        return found[-1] if found and found[-1].kind != "restored" else None

    def restored(self, index: int, now: int) -> int | None:
        """When the record was last brought back, if it was by now."""
        times = [each.at for each in self.turns(index) if each.kind == "restored"]
        return max((at for at in times if at <= now), default=None)

    def intervene(self, index: int, fate: Fate) -> None:
        """Has something become of a record outside of the plan."""
        if fate.kind == "merged":
            if len(self.merged_into(fate.survivor, fate.at)) >= self._spare:
                raise ValueError(f"{self.kind.name} {fate.survivor} takes no more records in")
            self._losers.setdefault(fate.survivor, []).append(index)
        self._interventions.setdefault(index, []).append(fate)
        self.interventions += 1

    def is_live(self, index: int, now: int) -> bool:
        """Whether the record exists and is neither archived nor gone."""
        return self.created(index) <= now and self.away(index, now) is None

    def archived_at(self, index: int, now: int) -> int | None:
        """When the record was archived, if it can be seen as an archived one now."""
        fate = self.away(index, now)
        if fate is None or fate.kind != "archived" or now >= fate.at + ARCHIVE_DAYS * DAY:
            return None
        return fate.at

    def survivor(self, index: int, now: int) -> int:
        """The index of the record that a merged-away one lives on in; else its own."""
        for _ in range(8):
            fate = self.away(index, now)
            if fate is None or fate.kind != "merged":
                break
            index = fate.survivor
        return index

    def live(self, now: int, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Indexes of live records, ascending, from `start` until before `end`."""
        count = self.created_count(now)
        count = count if end is None else min(count, end)
        for block in range(start // BLOCK, -(-count // BLOCK)):
            gone = self.gone(block, now)
            for index in range(max(start, block * BLOCK), min(count, (block + 1) * BLOCK)):
                if index not in gone:
                    yield index

    def archived(self, now: int, start: int = 0) -> Iterator[int]:
        """Indexes of records that can be seen as archived, ascending, from `start`."""
        count = self.created_count(now)
        for block in range(start // BLOCK, -(-count // BLOCK)):
            for index in sorted(self.gone(block, now)):
                if start <= index < count and self.archived_at(index, now) is not None:
                    yield index

    def gone(self, block: int, now: int) -> set[int]:
        """Indexes of the records of a block of 32 that have ended by now, or that are not there
        yet although the next one is."""
        base = block * BLOCK
        ending = {base + offset for offset in self._ends(block)[0]}
        if self._interventions:
            ending |= self._interventions.keys() & range(base, base + BLOCK)
        gone = {index for index in ending if self.away(index, now) is not None}
        if self._drawn(base + BLOCK) + _LATER_BY > now:
            late = range(base + (self._seed - base) % _LATE, base + BLOCK, _LATE)
            gone |= {index for index in late if self.created(index) > now}
        return gone

    def live_count(self, now: int, start: int = 0, end: int | None = None) -> int:
        """How many records are live; looks at ended records alone."""
        count = self.created_count(now)
        count = count if end is None else min(count, end)
        gone = 0
        for block in range(start // BLOCK, -(-count // BLOCK)):
            gone += sum(1 for index in self.gone(block, now) if start <= index < count)
        return max(0, count - start) - gone

    # Merges

    def merged_into(self, index: int, now: int) -> list[tuple[int, int]]:
        """Moment and index of the records that were merged into this one, oldest first."""
        if not (self.kind.merges or self._losers):
            return []
        losers = set(self._losers.get(index, ()))
        if self.kind.merges:
            block, offset = divmod(index, BLOCK)
            ending, survivor = self._ends(block)
            if offset == survivor:
                losers |= {block * BLOCK + each for each in ending}
            elif offset in ending[1:]:
                losers.add(index - BLOCK // 4)
        found = []
        for loser in losers:
            fate = self.away(loser, now)
            if fate is not None and fate.kind == "merged" and fate.survivor == index:
                found.append((fate.at, loser))
        return sorted(found)

    def mergers(self, index: int, now: int) -> list[Merger]:
        """What `merged_into` tells, with the ids."""
        found, turn = list[Merger](), 0
        for at, loser in self.merged_into(index, now):
            before, turn = turn, turn + (at >= self._new_ids_since)
            # It had its last id until the very millisecond.
            lost = self.record_id(loser, at - 1)
            ids = self._nth_id(index, before), self._nth_id(index, turn)
            found.append(Merger(at, loser, lost, *ids))
        return found
