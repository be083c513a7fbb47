"""How a record goes from stage to stage, and what follows from that: a pure function of its draws.

A journey begins with the first stage when the record is created (a lifecycle with one of the first
three), goes on step by step, some stages left out, and ends in a closed stage or does not end; one
of sixteen that end is taken up again. All moments are epoch milliseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import orjson

from hubspot_assets.sandbox.facts import rows
from hubspot_assets.sandbox.life import Change, Record
from hubspot_assets.sandbox.pipelines import Pipeline, Stage, pipelines_of
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.sources import CALCULATED, CREATED_BY, EDITED_BY
from hubspot_assets.sandbox.stamps import iso
from hubspot_assets.sandbox.values import GOLDEN, mix

_HOUR = 3_600_000
#: The stages of a lifecycle that it can begin with, and the most that it goes through.
_FIRST, _MOST = 3, 4
#: Of so many stages that a record goes through, one may be left out.
_SKIPPED = 3
_SALT = 0x5A6E
#: Names of the properties of a stage, and what they hold.
_ENTERED = ("hs_v2_date_entered_{}", "hs_lifecyclestage_{}_date", "hs_date_entered_{}")
_EXITED = ("hs_v2_date_exited_{}", "hs_date_exited_{}")
_CURRENT = (
    "hs_v2_date_entered_current_stage",
    "hs_date_entered_current_stage",
    "hs_v2_time_in_current_stage",
)


class Step(NamedTuple):
    """A stage that a record is in from one moment until another, None: still."""

    stage: Stage
    since: int
    until: int | None


class _Numbers(NamedTuple):
    """Numbers of a stage's properties."""

    entered: tuple[int, ...]
    exited: tuple[int, ...]
    latest: tuple[int, ...]
    cumulative: tuple[int, ...]
    running: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Journey:
    """The steps of a record: `pipeline` is None for a lifecycle."""

    pipeline: Pipeline | None
    steps: tuple[Step, ...]


def is_closed(stage: Stage) -> bool:
    """Whether a stage is one that ends a journey."""
    return stage.metadata.get("isClosed") == "true"


def dated(at: int, now: int) -> int:
    """The modified date that a new stage gives: some seconds later, without any value, it moves
    once more."""
    again = at + 2_900 + at % 1_900
    return again if again <= now else at


class Writer:
    """Writes values with their histories into records of a type, by the names of properties."""

    def __init__(self, properties: Iterable[Property]) -> None:
        self._numbers = {each.name: each.number for each in properties if not each.archived}

    def numbers(self, *names: str) -> tuple[int, ...]:
        """The numbers of those that the type has."""
        return tuple(self._numbers[name] for name in names if name in self._numbers)

    def write(self, record: Record, name: str, changes: Sequence[tuple[int, str, bytes]]) -> None:
        """Sets a property to the last of its values (moment, text, source), oldest first."""
        if name in self._numbers and changes:
            self.put(record, (self._numbers[name],), changes)

    @staticmethod
    def put(
        record: Record, numbers: Iterable[int], changes: Iterable[tuple[int, str, bytes]]
    ) -> None:
        """The same for several properties at once, by their numbers."""
        told: list[Change] = [
            (at, orjson.dumps(text), record.tail(at, source)) for at, text, source in changes
        ]
        for number in numbers:
            record.history[number] = told
            record.values[number] = told[-1][1]


class Journeys(Writer):
    """The journeys of the records of one type."""

    def __init__(self, row: dict[str, str], properties: tuple[Property, ...]) -> None:
        super().__init__(properties)
        self.stage_property, self._pipeline_property = (
            row["stage_property"],
            row["pipeline_property"],
        )
        self._step = int(row["step_hours"]) * _HOUR
        self._ends, self._wins = int(row["ends"]), int(row["wins"])
        self._pipelines = pipelines_of(row["object_type_id"]) if self._pipeline_property else []
        options = next(each.options for each in properties if each.name == self.stage_property)
        self._lifecycle = [Stage(value, label, {}) for value, label in options if value != "other"]
        stages = [stage for each in self._pipelines for stage in each.stages] or self._lifecycle
        self._of_stage = {each.stage_id: self._numbers_of(each.stage_id) for each in stages}
        self._current = self.numbers(*_CURRENT)

    def _numbers_of(self, stage: str) -> _Numbers:
        return _Numbers(
            *(
                self.numbers(*(name.format(stage) for name in names))
                for names in (
                    _ENTERED if self._pipelines else _ENTERED[:2],
                    _EXITED if self._pipelines else _EXITED[:1],
                    ("hs_v2_latest_time_in_{}",),
                    ("hs_v2_cumulative_time_in_{}",),
                    ("hs_time_in_{}",),
                )
            )
        )

    def moves(self, base: int, created: int) -> tuple[Pipeline | None, list[tuple[Stage, int]]]:
        """All stages that a record ever comes to, and when."""
        bits = mix(base ^ _SALT * GOLDEN)
        pipeline, stages = self._path(bits)
        at, found = created, []
        for turn, stage in enumerate(stages):
            if turn:
                at += 60_000 + mix(bits + turn) % (2 * self._step)
            found.append((stage, at))
        return pipeline, found

    def _path(self, bits: int) -> tuple[Pipeline | None, list[Stage]]:
        if not self._pipelines:
            first = bits % _FIRST
            return None, self._lifecycle[first : first + 1 + (bits >> 4) % _MOST]
        # Most records are in the first pipeline.
        pipeline = self._pipelines[0 if bits & 3 else -1]
        opened = [stage for stage in pipeline.stages if not is_closed(stage)]
        closed = [stage for stage in pipeline.stages if is_closed(stage)]
        stages = opened[: 1 + (bits >> 4) % len(opened)]
        if len(stages) > _SKIPPED and bits >> 8 & 1:
            del stages[1]
        if (bits >> 12) % 100 < self._ends:
            end = closed[0 if (bits >> 20) % 100 < self._wins else -1]
            stages.append(end)
            if bits >> 33 & 15 == 0:
                stages += [opened[-1], end]
        return pipeline, stages

    def last_move(self, base: int, created: int, now: int) -> int:
        """When a record was last modified for having come to another stage."""
        return dated(max(at for _, at in self.moves(base, created)[1] if at <= now), now)

    def at(self, base: int, created: int, now: int) -> Journey:
        """The journey of a record up to a moment."""
        pipeline, moves = self.moves(base, created)
        moves = [each for each in moves if each[1] <= now]
        ends = [at for _, at in moves[1:]]
        return Journey(
            pipeline,
            tuple(
                Step(stage, at, until)
                for (stage, at), until in zip(moves, [*ends, None], strict=True)
            ),
        )

    def tell(self, record: Record, base: int, now: int) -> Journey:
        """Writes the journey of a record, and what follows for each of its stages."""
        journey = self.at(base, record.created, now)
        steps, put = journey.steps, self.put
        record.updated = max(record.updated, dated(steps[-1].since, now))
        by = EDITED_BY[base % len(EDITED_BY)]
        self.write(
            record,
            self.stage_property,
            [
                (step.since, step.stage.stage_id, by if turn else CREATED_BY[0])
                for turn, step in enumerate(steps)
            ],
        )
        if journey.pipeline is not None:
            made = (record.created, journey.pipeline.pipeline_id, CREATED_BY[0])
            self.write(record, self._pipeline_property, [made])
        entered = [(step.since, iso(step.since), CALCULATED) for step in steps]
        put(record, self._current, entered)
        for stage in dict.fromkeys(step.stage.stage_id for step in steps):
            visits = [step for step in steps if step.stage.stage_id == stage]
            self._tell_of_stage(record, self._of_stage[stage], visits, now)
        return journey

    def _tell_of_stage(
        self, record: Record, numbers: _Numbers, visits: list[Step], now: int
    ) -> None:
        put = self.put
        put(record, numbers.entered, [(each.since, iso(each.since), CALCULATED) for each in visits])
        left = [(step.since, step.until) for step in visits if step.until is not None]
        spent = sum(until - since for since, until in left)
        if left:
            put(record, numbers.exited, [(until, iso(until), CALCULATED) for _, until in left])
            times = [(until, str(until - since), CALCULATED) for since, until in left]
            put(record, numbers.latest, times)
            if len(left) > 1:
                sums = accumulate(until - since for since, until in left)
                times = [
                    (u, str(whole), CALCULATED) for (_, u), whole in zip(left, sums, strict=True)
                ]
            put(record, numbers.cumulative, times)
        for number in numbers.running:
            # Worked out at each call, so that there is no history.
            running = now - visits[-1].since if visits[-1].until is None else 0
            record.values[number] = b'"%d"' % (spent + running)


def journeys_of(object_type_id: str, properties: tuple[Property, ...]) -> Journeys | None:
    """The journeys of a type's records; None where they have no stages."""
    for row in rows("journeys.csv"):
        names = {each.name for each in properties}
        if row["object_type_id"] == object_type_id and row["stage_property"] in names:
            return Journeys(row, properties)
    return None
