"""The life of one object type's records: a pure function of seed, type, index and time.

Nothing is stored. Record `index` is created at a time that grows with the index, edited once
in every `edit_days`. All moments are epoch milliseconds.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import shake_128
from itertools import pairwise
from operator import getitem
from typing import NamedTuple, Protocol
from uuid import UUID

from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.population import START, Merger, Population
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.sources import BATCH, CALCULATED, CREATED_BY, EDITED_BY, MERGED
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.values import GOLDEN, mix

_WEEK = 7 * DAY
_MASS_FIRST = START + 45 * DAY + 11_565_678
_MASS_PERIOD = 182 * DAY
_ROLLUP_PERIOD = 200 * DAY
#: Of so many runs that work out a record's values, one moves its modified date.
_MOVING_RUN = 3
#: Values are readable at most so long after they are stamped, modified dates so long.
_STORED_WITHIN, _DATED_WITHIN = 303_500, 60_200


#: Of a hundred values so many are stored later than they are stamped; by how much, of sixteen: half
#: of them by seconds, most of them by less than a minute.
_LATE_SHARE = 29
_DELAYS = ((1_000, 7_000),) * 8 + ((7_000, 60_000),) * 6 + ((60_000, _STORED_WITHIN),) * 2


#: One value of a property's history: moment, the value as JSON text, and what follows it on the
#: wire (time stamp and source). A bare tuple, since a page is made of thousands.
Change = tuple[int, bytes, bytes]


@dataclass(slots=True)
class Record:
    """A record at one moment. `values` and `history` go by property number; history is
    oldest first and complete."""

    index: int
    record_id: int
    created: int
    updated: int
    values: dict[int, bytes]
    history: dict[int, list[Change]]
    traced: bool
    archived: int | None = None

    def tail(self, at: int, source: bytes) -> bytes:
        """The end of a history entry; nothing if histories are not going to be told."""
        return _tail(at, source) if self.traced else b""


def _tail(at: int, source: bytes) -> bytes:
    return b',"timestamp":"' + iso(at).encode() + source


def _delay(seed: int, at: int) -> int:
    """How long after its stamp a value is stored: most at once, some after minutes."""
    bits = mix(seed + at)
    if bits % 100 >= _LATE_SHARE:
        return 0
    least, most = _DELAYS[bits >> 8 & 15]
    return least + (bits >> 16) % (most - least)


def _date_delay(seed: int, at: int) -> int:
    """The same for a modified date."""
    bits = mix(seed + at)
    return 0 if bits % 5 == 0 else 1_700 + (bits >> 8) % (16_000 if bits & 7 else 58_500)


@cache
def _mass_tail(run: int) -> bytes:
    return _tail(_MASS_FIRST + run * _MASS_PERIOD, BATCH)


class _Setting(NamedTuple):
    """How a property gets its values. Byte number `draw` of the record's draws says which of
    the pool of `size` comes first; `table` has it by that byte, None for records without."""

    number: int
    draw: int
    size: int
    pool: tuple[bytes, ...]
    table: tuple[bytes | None, ...]


@cache
def _table(pool: tuple[bytes, ...], fill: int) -> tuple[bytes | None, ...]:
    """First values by the byte that is drawn; `fill` percent of the bytes have one."""
    if not pool:
        pool = (b"",)
    return tuple(
        pool[byte % len(pool)] if (byte * 157 + 89 & 255) < fill * 2.56 else None
        for byte in range(256)
    )


#: The draws of a record come in this order, so that first values are looked up in one go.
_ORDER = {"edited": 0, "fixed": 1, "plain": 2}


class Story(Protocol):
    """What a type's records are told besides, all of a piece. `base` is a draw of the record."""

    def last_move(self, index: int, base: int, created: int, now: int) -> int:
        """The latest of its moments that is a modification of the record."""

    def tell(self, record: Record, base: int, now: int) -> None:
        """Writes it into a record."""


class Life(Population):
    """All records of one type."""

    def __init__(
        self,
        kind: ObjectType,
        properties: tuple[Property, ...],
        *,
        records: int,
        seed: int,
        story: Story | None = None,
        ids_last: bool = False,
        stored_late: bool = True,
    ) -> None:
        super().__init__(kind, records=records, seed=seed, ids_last=ids_last)
        self._story = story
        self._stored_late = stored_late
        self._edit_period = kind.edit_days * DAY
        self._prepare(properties)

    def _prepare(self, properties: tuple[Property, ...]) -> None:
        live = [p for p in properties if p.life not in ("", "story") and not p.archived]
        live.sort(key=lambda each: _ORDER.get(each.life, len(_ORDER)) if each.pool else 9)
        by_life: dict[str, list[_Setting]] = {}
        self._unique: list[tuple[_Setting, str]] = []
        for draw, each in enumerate(live):
            table = _table(each.pool, each.fill)
            setting = _Setting(each.number, draw, len(each.pool), each.pool, table)
            if each.pool:
                by_life.setdefault(each.life, []).append(setting)
            else:
                self._unique.append((setting, each.values))
        drifts = {each.number for each in live if "calculated" in each.flags}
        self._editable = by_life.get("edited", [])
        self._first = self._editable + by_life.get("fixed", [])
        self._plain = by_life.get("plain", [])
        self._drift = [setting for setting in self._plain if setting.number in drifts]
        self._rollups = by_life.get("rollup", [])
        self._mass = by_life.get("mass", [])
        self._draw_count = len(live) + 1
        self._own = frozenset(setting.number for setting in self._first)
        self._first_numbers = [setting.number for setting in self._first]
        self._first_tables = [setting.table for setting in self._first]
        self._plain_numbers = [setting.number for setting in self._plain]
        self._plain_tables = [setting.table for setting in self._plain]
        self._special = {
            life: settings[0].number
            for life, settings in by_life.items()
            if life
            in ("object_id", "created", "modified", "hot", "age", "merged_ids", "merged_vids")
        }

    def record(self, index: int, now: int, *, traced: bool = True) -> Record:
        """The record as it is at `now`, by the stamps of its values; it must have been created by
        then. Without `traced`, history entries lack their ends: less work where histories are not
        told."""
        created = self.created(index)
        archived = self.archived_at(index, now)
        # An archived record stays as it was.
        now = now if archived is None else archived
        seed = self._salt + index.to_bytes(8, "big")
        draws = shake_128(seed).digest(self._draw_count)
        record = Record(index, self.record_id(index, now), created, created, {}, {}, traced)
        base = mix(self._seed + (index + 7) * GOLDEN)
        self._set_first_values(record, draws)
        self._edit(record, draws, base, now)
        self._set_in_bulk(record, base, now)
        self._recalculate(record, draws, base, now)
        if self._story is not None:
            self._story.tell(record, base, now)
        self._forget_absences(record)
        record.updated = max(record.updated, self.restored(index, now) or 0)
        self._merge(record, now)
        self._set_system_values(record, now)
        record.archived = archived
        return record

    def readable(self, index: int, now: int, *, traced: bool = True) -> Record:
        """The record as it can be read at `now`: values are stored up to minutes after they are
        stamped, and so is its modified date."""
        record = self.record(index, now, traced=traced)
        if self._stored_late and record.archived is None:
            self._withhold(record, now)
        return record

    def bare(self, index: int, now: int) -> Record:
        """The same with nothing but its id and dates, for a fraction of the work."""
        archived = self.archived_at(index, now)
        now = now if archived is None else archived
        created, updated = self.created(index), self.dated(index, now)
        record_id = self.record_id(index, now)
        record = Record(index, record_id, created, updated, {}, {}, traced=False, archived=archived)
        self._set_system_values(record, now)
        return record

    def dated(self, index: int, now: int) -> int:
        """The modified date that can be read at `now`."""
        at = self.updated(index, now)
        if not self._stored_late or self.archived_at(index, now) is not None:
            return at
        created = self.created(index)
        while created < at and at + _date_delay(self._seed ^ index, at) > now:
            at = self.updated(index, at - 1)
        return at

    def _withhold(self, record: Record, now: int) -> None:
        """Takes away what has not been stored yet."""
        since, created, history = now - _STORED_WITHIN, record.created, record.history
        for number, changes in [(n, each) for n, each in history.items() if each[-1][0] > since]:
            seed = self._seed ^ record.index * GOLDEN + number
            kept = [
                each
                for each in changes
                if each[0] <= max(since, created) or each[0] + _delay(seed, each[0]) <= now
            ]
            if len(kept) == len(changes):
                continue
            if kept:
                history[number], record.values[number] = kept, kept[-1][1]
            else:
                del history[number], record.values[number]
        if record.updated > now - _DATED_WITHIN:
            record.updated = self.dated(record.index, now)
            record.values[self._special["modified"]] = f'"{iso(record.updated)}"'.encode()

    def updated(self, index: int, now: int) -> int:
        """When the record was last modified as of `now`: what `record` says, for less."""
        created = self.created(index)
        base = mix(self._seed + (index + 7) * GOLDEN)
        found = created
        if self._editable:
            period = self._edit_period
            last = (now - created) // period
            for turn in range(last, max(-1, last - 2), -1):
                at = created + turn * period + 60_000 + mix(base + turn) % (period - 120_000)
                if at <= now:
                    found = at
                    break
        if self._mass:
            first = max(0, (created - _MASS_FIRST) // _MASS_PERIOD + 1)
            for run in range((now - _MASS_FIRST) // _MASS_PERIOD, first - 1, -1):
                if mix(base ^ run * GOLDEN) % 100 < 85:
                    found = max(found, _MASS_FIRST + run * _MASS_PERIOD)
                    break
        if index % 50 == 7 and "hot" in self._special:
            phase = base % _WEEK
            count = (now - created - phase) // _WEEK
            if count >= 1:
                found = max(found, created + phase + count * _WEEK)
        if self._rollups:
            first = created + 1000 + base % _ROLLUP_PERIOD
            moved = (now - first) // (_MOVING_RUN * _ROLLUP_PERIOD)
            if moved >= 0:
                found = max(found, first + moved * _MOVING_RUN * _ROLLUP_PERIOD)
        if self._story is not None:
            found = max(found, self._story.last_move(index, base, created, now))
        found = max(found, self.restored(index, now) or 0)
        merged = self.merged_into(index, now)
        return max(found, merged[-1][0]) if merged else found

    def held_value(self, values: str, index: int) -> str | None:
        """The value of a unique property that a record has, by the name of its pool; None if it
        has none."""
        draws = shake_128(self._salt + index.to_bytes(8, "big")).digest(self._draw_count)
        for setting, kind in self._unique:
            if kind == values and setting.table[draws[setting.draw]] is not None:
                return self.unique_value(values, index)
        return None

    def unique_value(self, values: str, index: int) -> str:
        """The value of a unique property, known by the name of its pool."""
        if values == "email":
            return f"{_WORDS[index % 16]}.{index}@{_WORDS[index // 16 % 16]}.example.com"
        if values == "company_domain":
            return f"{_WORDS[index % 16]}-{index}.example.org"
        if values == "campaign_utm":
            return f"{_WORDS[index % 16]}-{index}"
        if values == "campaign_id":
            return str(UUID(bytes=shake_128(b"%b%d" % (self._salt, index)).digest(16), version=4))
        return f"K-{index:09d}-{mix(self._seed ^ index) % 97:02d}"

    def _set_first_values(self, record: Record, draws: bytes) -> None:
        at = record.created
        tail = record.tail(at, CREATED_BY[draws[-1] % len(CREATED_BY)])
        first = map(getitem, self._first_tables, draws)
        values = {n: v for n, v in zip(self._first_numbers, first, strict=True) if v is not None}
        for setting, kind in self._unique:
            if setting.table[draws[setting.draw]] is not None:
                value = f'"{self.unique_value(kind, record.index)}"'.encode()
                values[setting.number] = value
        record.history = {number: [(at, value, tail)] for number, value in values.items()}
        plain = map(getitem, self._plain_tables, draws[len(self._first_tables) :])
        values |= {n: v for n, v in zip(self._plain_numbers, plain, strict=True) if v is not None}
        record.values = values

    def _edit(self, record: Record, draws: bytes, base: int, now: int) -> None:
        """One edit in every period, at a random moment of it, of one to three properties."""
        editable = self._editable
        if not editable:
            return
        values, history, versions = record.values, record.history, dict[int, int]()
        period, width = self._edit_period, len(editable)
        for turn in range((now - record.created) // period + 1):
            bits = mix(base + turn)
            at = record.created + turn * period + 60_000 + bits % (period - 120_000)
            if at > now:
                break
            record.updated = at
            tail = record.tail(at, EDITED_BY[(bits >> 40) % len(EDITED_BY)])
            bits = bits * GOLDEN & 0xFFFFFFFFFFFFFFFF
            for _ in range(1 + bits % 3):
                bits >>= 12
                number, draw, size, pool, _ = editable[(bits & 0xFFF) % width]
                changes = history.get(number)
                if changes is None:
                    changes = history[number] = []
                elif changes[-1][0] == at:
                    continue
                version = versions[number] = versions.get(number, 0) + 1
                value = pool[(draws[draw] + version) % size]
                if bits & 0xF000 == 0 and values.get(number):
                    value = b'""'
                values[number] = value
                changes.append((at, value, tail))

    def _absences(self, index: int) -> list[tuple[int, int]]:
        """From when until when the record was in the bin, each time that it came back."""
        turns = self.turns(index)
        return [(gone.at, back.at) for gone, back in pairwise(turns) if back.kind == "restored"]

    def _forget_absences(self, record: Record) -> None:
        """Takes away what nobody wrote, since the record was in the bin."""
        absences, history = self._absences(record.index), record.history
        for number, changes in list(history.items()) if absences else ():
            kept = [
                each
                for each in changes
                if not any(gone <= each[0] < back for gone, back in absences)
            ]
            if kept:
                history[number], record.values[number] = kept, kept[-1][1]
            else:
                del history[number], record.values[number]

    def _set_in_bulk(self, record: Record, base: int, now: int) -> None:
        """Properties that a bulk update sets on most records in the same millisecond, and the
        one that changes every week on one record of fifty."""
        first = max(0, (record.created - _MASS_FIRST) // _MASS_PERIOD + 1)
        last = (now - _MASS_FIRST) // _MASS_PERIOD
        runs = [
            (run, _MASS_FIRST + run * _MASS_PERIOD, _mass_tail(run) if record.traced else b"")
            for run in range(first, last + 1)
            if mix(base ^ run * GOLDEN) % 100 < 85
        ]
        for number, _, size, pool, _ in self._mass if runs else ():
            changes = [(at, pool[run % size], tail) for run, at, tail in runs]
            self._take(record, number, changes, moves=True)
        if record.index % 50 == 7 and "hot" in self._special:
            phase = base % _WEEK
            count = (now - record.created - phase) // _WEEK
            times = [record.created + phase + week * _WEEK for week in range(1, count + 1)]
            source = EDITED_BY[base % len(EDITED_BY)]
            changes = [
                (at, b'"%d"' % week, record.tail(at, source)) for week, at in enumerate(times, 1)
            ]
            if changes:
                self._take(record, self._special["hot"], changes, moves=True)

    def _recalculate(self, record: Record, draws: bytes, base: int, now: int) -> None:
        """Calculated values: they move without the modified date."""
        age = now - record.created
        month = (age + base % (30 * DAY)) // (30 * DAY)
        for number, draw, size, pool, _ in self._drift:
            if number in record.values:
                record.values[number] = pool[(draws[draw] + month) % size]
        # One run works out all of them, in the same millisecond; a value may stay the same.
        first = record.created + 1000 + base % _ROLLUP_PERIOD
        times = list(enumerate(range(first, now + 1, _ROLLUP_PERIOD)))
        if not times or not self._rollups:
            return
        record.updated = max(
            record.updated, times[(len(times) - 1) // _MOVING_RUN * _MOVING_RUN][1]
        )
        for _, back in self._absences(record.index):
            # A restored record's values are worked out anew.
            before = [turn for turn, at in times if at < back <= now]
            times += [(before[-1], back)] if before else []
        runs = [(at, turn, record.tail(at, CALCULATED)) for turn, at in sorted(times)]
        for number, draw, size, pool, table in self._rollups:
            byte = draws[draw]
            if table[byte] is not None:
                odd = byte & 1
                changes = [
                    (at, pool[(byte + (turn + odd) // 2) % size], tail) for at, turn, tail in runs
                ]
                self._take(record, number, changes, moves=False)

    def _take(self, record: Record, number: int, changes: list[Change], *, moves: bool) -> None:
        record.history[number] = changes
        record.values[number] = changes[-1][1]
        if moves:
            record.updated = max(record.updated, changes[-1][0])

    def _merge(self, record: Record, now: int) -> None:
        """Traces of the records that were merged into this one."""
        number = self._special.get("merged_ids")
        merged = self.mergers(record.index, now)
        if number is None or not merged:
            return
        for each in merged:
            self._absorb(record, each)
        changes = [
            (at, f'"{ids}"'.encode(), record.tail(at, MERGED))
            for at, ids in self._merged_ids(record.index, now)
        ]
        self._take(record, number, changes, moves=True)
        vids = self._special.get("merged_vids")
        if vids is not None:
            text = ";".join(f"{each.lost}:{each.at}" for each in merged)
            record.values[vids] = f'"{text}"'.encode()

    def _merged_ids(self, index: int, now: int) -> list[tuple[int, str]]:
        """When `hs_merged_object_ids` got which value. A new id is that of a new record, which
        took two in; what those had taken in before is in the history alone."""
        found, ids = list[tuple[int, str]](), list[int]()
        for each in self.mergers(index, now):
            ids = [*ids, each.lost] if each.before == each.after else [each.before, each.lost]
            found += self._merged_ids(each.loser, each.at - 1)
            found.append((each.at, ";".join(map(str, ids))))
        return sorted(found)

    def _absorb(self, record: Record, merger: Merger) -> None:
        """Takes the history of a merged-away record in: the survivor's values stay."""
        at, history = merger.at, record.history
        other = self.record(merger.loser, at - 1, traced=record.traced)
        for number in self._own & other.history.keys():
            mine, theirs = history.get(number, []), other.history[number]
            stamps = {change[0] for change in mine}
            both = sorted([*mine, *(each for each in theirs if each[0] not in stamps)])
            before = [each for each in mine if each[0] <= at]
            if before and before[-1][0] < theirs[-1][0] and at not in stamps:
                both.append((at, before[-1][1], record.tail(at, MERGED)))
                both.sort()
            history[number], record.values[number] = both, both[-1][1]

    def _set_system_values(self, record: Record, now: int) -> None:
        special, values = self._special, record.values
        values[special["object_id"]] = b'"%d"' % record.record_id
        number = special["created"]
        values[number] = value = f'"{iso(record.created)}"'.encode()
        tail = record.tail(record.created, CREATED_BY[0])
        record.history[number] = [(record.created, value, tail)]
        values[special["modified"]] = f'"{iso(record.updated)}"'.encode()
        if "age" in special:
            values[special["age"]] = b'"%d"' % ((now - record.created) // DAY)


_WORDS = (
    "ada", "grace", "linus", "omar", "zoe", "bjorn", "mei", "sara",
    "kofi", "aiko", "priya", "diego", "olga", "rosa", "wim", "yusuf",
)  # fmt: skip
