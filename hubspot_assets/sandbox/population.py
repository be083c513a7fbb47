"""Which records of a type there are: ids, creation and end, each a pure function of an index.

Record `index` is created at a time that grows with the index. Four records in every block of 32
end: archived, merged into another record of the block, or erased. All moments are epoch
milliseconds. Nothing is stored but what tests do to single records.
"""

from collections.abc import Iterator
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


class Fate(NamedTuple):
    """How and when a record ends: `kind` is archived, merged or erased; a merged one lives
    on in the record with index `survivor`."""

    at: int
    kind: str
    survivor: int


class Population:
    """The records of one type, without their values."""

    def __init__(self, kind: ObjectType, *, records: int, seed: int) -> None:
        self.kind = kind
        # Some eleven in a hundred have ended by the time the portal is full.
        self.population = max(kind.at_least, round(records * kind.per_contact * 1.12))
        self._salt = f"{seed}/{kind.object_type_id}/".encode()
        self._seed = mix(int.from_bytes(shake_128(self._salt).digest(8), "big"))
        #: Draws about the records that are not their own, like those of lists, begin with it.
        self.side_seed = mix(self._seed)
        #: How often a record was ended outside of the plan.
        self.interventions = 0
        self._interventions: dict[int, Fate] = {}
        self._losers: dict[int, list[int]] = {}
        self._restored: dict[int, int] = {}

    def record_id(self, index: int) -> int:
        """The record's id: ascending with the index, with gaps."""
        step = self.kind.id_step
        return self.kind.first_id + index * step + mix(self._seed + index) % (step - 1)

    def index_at(self, record_id: int) -> int:
        """The first index whose id is not below `record_id`."""
        index = max(0, (record_id - self.kind.first_id) // self.kind.id_step)
        return index if self.record_id(index) >= record_id else index + 1

    def index_of(self, record_id: int) -> int | None:
        """The index of an id, None if no record ever has it."""
        index = self.index_at(record_id)
        return index if self.record_id(index) == record_id else None

    def created(self, index: int) -> int:
        """When the record is created; ascending with the index."""
        jitter = (self._seed ^ index * GOLDEN) >> 17 & 0xFFFF
        return START + (index * SPAN + (jitter * SPAN >> 16)) // self.population

    def created_count(self, now: int) -> int:
        """How many records have been created up to now, gone ones included."""
        if not self.population or now < START:
            return 0
        count = (now - START) * self.population // SPAN
        while self.created(count) <= now:
            count += 1
        while count and self.created(count - 1) > now:
            count -= 1
        return count

    # Ends

    def _ends(self, block: int) -> tuple[tuple[int, ...], int]:
        """Offsets in the block: the records that end, and one that survives merges."""
        first = mix(self._seed + (block + 1) * GOLDEN) & 7
        return (first, first + 8, first + 16, first + 24), first + 1

    def _planned(self, index: int, survivor: int) -> Fate:
        bits = mix((self._seed ^ index) * GOLDEN)
        kind = "archived"
        if self.kind.merges:
            kind = ("archived", "merged", "archived", "merged", "erased")[bits % 5]
        born = self.created(max(index, survivor))
        return Fate(born + 3_600_000 + (bits >> 8) % (400 * DAY), kind, survivor)

    def ends(self, index: int) -> bool:
        """Whether the plan has an end for the record."""
        block, offset = divmod(index, BLOCK)
        return offset in self._ends(block)[0]

    def planned_fate(self, index: int) -> Fate | None:
        """How the record ends by plan, if it ever does."""
        block, offset = divmod(index, BLOCK)
        ending, survivor = self._ends(block)
        return self._planned(index, block * BLOCK + survivor) if offset in ending else None

    def fate(self, index: int) -> Fate | None:
        """How the record ends, if it ever does."""
        planned = self.planned_fate(index)
        intervened = self._interventions.get(index)
        if planned is None or intervened is None:
            return planned or intervened
        return min(planned, intervened)

    def intervene(self, index: int, fate: Fate) -> None:
        """Ends a record outside of the plan."""
        self._interventions[index] = fate
        self.interventions += 1
        if fate.kind == "merged":
            self._losers.setdefault(fate.survivor, []).append(index)

    def restore(self, index: int, at: int) -> None:
        """Brings an archived record back, outside of the plan."""
        self._restored[index] = at
        self.interventions += 1

    def restored(self, index: int, now: int) -> int | None:
        """When the record was brought back, if it was by now."""
        at = self._restored.get(index)
        return None if at is None or at > now else at

    def is_live(self, index: int, now: int) -> bool:
        """Whether the record exists and is neither archived nor gone."""
        fate = self.fate(index)
        if self.created(index) > now:
            return False
        return fate is None or fate.at > now or self.restored(index, now) is not None

    def archived_at(self, index: int, now: int) -> int | None:
        """When the record was archived, if it can be seen as an archived one now."""
        fate = self.fate(index)
        if (
            fate is None
            or fate.kind != "archived"
            or not fate.at <= now < fate.at + ARCHIVE_DAYS * DAY
            or self.restored(index, now) is not None
        ):
            return None
        return fate.at

    def survivor(self, index: int, now: int) -> int:
        """The index of the record that a merged-away one lives on in; else its own."""
        for _ in range(8):
            fate = self.fate(index)
            if fate is None or fate.kind != "merged" or fate.at > now:
                break
            index = fate.survivor
        return index

    def live(self, now: int, start: int = 0) -> Iterator[int]:
        """Indexes of live records, ascending, from `start`."""
        count = self.created_count(now)
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
        """Indexes of the records of a block of 32 that have ended by now."""
        ending, survivor = self._ends(block)
        base = block * BLOCK
        gone = {
            base + offset
            for offset in ending
            if self._planned(base + offset, base + survivor).at <= now
        }
        if self._interventions:
            for index in range(base, base + BLOCK):
                fate = self._interventions.get(index)
                if fate is not None and fate.at <= now:
                    gone.add(index)
        return {each for each in gone if self.restored(each, now) is None}

    def live_count(self, now: int) -> int:
        """How many records are live; looks at ended records alone."""
        count = self.created_count(now)
        gone = 0
        for block in range(-(-count // BLOCK)):
            gone += sum(1 for index in self.gone(block, now) if index < count)
        return count - gone

    def merged_into(self, index: int, now: int) -> list[tuple[int, int]]:
        """Moment and index of the records that were merged into this one, oldest first."""
        if not (self.kind.merges or self._losers):
            return []
        block, offset = divmod(index, BLOCK)
        ending, survivor = self._ends(block)
        losers = set(self._losers.get(index, ()))
        if offset == survivor and self.kind.merges:
            losers |= {block * BLOCK + each for each in ending}
        fates = ((self.fate(loser), loser) for loser in losers)
        return sorted(
            (fate.at, loser)
            for fate, loser in fates
            if fate and fate.kind == "merged" and fate.survivor == index and fate.at <= now
        )
