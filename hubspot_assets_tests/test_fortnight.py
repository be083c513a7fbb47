"""Fortnights of a portal, each day of which is the same however and whenever it is read.

Differences are exactly what is counted: cells whose value at the end of a day nobody can know any
more, and records that were merged away before they were ever read. More of them are lived with
FORTNIGHTS, the numbers of their seeds.
"""

import os
from datetime import timedelta

import duckdb
import orjson
import pytest
from click.testing import CliRunner

from hubspot_assets.cli import main
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import searching, ways
from hubspot_assets.sources.source import object_source
from hubspot_assets.tables.counts import RECORDS_ERASED
from hubspot_assets_tests.fortnights import (
    FIRST,
    JUST_BEFORE,
    MINUTE,
    TYPES,
    Fortnight,
    day_number,
    eventful,
    kind,
)

DAYS = 14
SEEDS = [int(each) for each in os.environ.get("FORTNIGHTS", "5").split()]
#: How long after its end each day is read, and how.
NIGHTLY = {
    "early": (35 * MINUTE, "sweep"),
    "sweep": (90 * MINUTE, "sweep"),
    "search": (90 * MINUTE, "search"),
    "full": (91 * MINUTE, "off"),
}
#: Days whose night alone is read, for all since the one before.
SELDOM = (1, 4, 9, 13)
LATE = day_number(DAYS + 10).start


class Lived:
    """A fortnight, and what each way of reading showed of it, by way, day and type."""

    def __init__(self, sandbox, folder):
        self.fortnight = Fortnight(sandbox)
        self.portal = sandbox.portal
        self.shown = {}
        self.stagings = {}
        self.requests = dict.fromkeys((*NIGHTLY, "seldom", "backfill", "late"), 0)
        self.moments = {}
        for number in range(DAYS):
            for way, (after, incremental) in NIGHTLY.items():
                at = day_number(number).end + after
                self._read(way, folder / way, number, at, incremental)
            if number in SELDOM:
                first = max((each + 1 for each in SELDOM if each < number), default=0)
                for each in range(first, number + 1):
                    self._read("seldom", folder / "seldom", each, at, "sweep")
        for way, root in (("backfill", folder / "backfill"), ("late", folder / "sweep")):
            for number in range(DAYS):
                self._read(way, root, number, LATE, "sweep")

    def _read(self, way, root, number, at, incremental):
        staging = self.fortnight.read(root, day_number(number), at, incremental)
        self.requests[way] += self.fortnight.requests
        self.moments[way, number] = at
        self.stagings[way, number] = staging
        with self.fortnight.at(at):
            for type_id in TYPES:
                self.shown[way, number, type_id] = self.fortnight.shown(staging, type_id)
                self.fortnight.truth(staging, type_id)

    def were_read(self, way, start, end):
        """Whether a reading was made in that time."""
        way = "sweep" if way == "late" else way
        return any(start < at < end for (of, _), at in self.moments.items() if of == way)

    def truth(self, number, type_id):
        return self.fortnight.truth(self.stagings["early", number], type_id)

    def counts(self, way, number, type_id):
        return self.stagings[way, number].complete(object_source(kind(type_id))).counts

    def records(self, way, number, type_id):
        staged = self.stagings[way, number].complete(object_source(kind(type_id)))
        return [
            row for each in staged.chunks() for row in each.read("records").iter_rows(named=True)
        ]

    def waiting(self, way, number, type_id):
        """The properties whose values may be older, as a sweep alone sees that they changed."""
        staging = self.stagings[way, number]
        return set(self.fortnight.known(staging, type_id).swept) if way == "search" else set()

    def each(self, way):
        """Number, type, truth and what is shown, of each day and type."""
        for number in range(DAYS):
            for type_id in TYPES:
                yield number, type_id, self.truth(number, type_id), self.shown[way, number, type_id]


@pytest.fixture(
    scope="module", params=[pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS]
)
def lived(request, tmp_path_factory):
    """Each in a portal of other habits, whose few records are searched as if they were many."""
    seed = request.param
    config = PortalConfig(
        records=60,
        seed=seed,
        now=FIRST,
        contact_properties=113,
        burst=10**6,
        search_per_second=10**6,
        tick_ms=40 * (seed % 2),
        merged_ids_lead_on=seed % 3 > 0,
        primary_ids_last=seed % 4 == 1,
    )
    with serve(config) as sandbox, pytest.MonkeyPatch.context() as patched:
        patched.setattr(ways, "FEW", 0)
        patched.setattr(searching, "LISTED", 16)
        patched.setattr(searching, "ONE_OF", 10)
        eventful(sandbox.portal, seed, DAYS)
        yield Lived(sandbox, tmp_path_factory.mktemp("fortnight"))


WAYS = pytest.mark.parametrize("way", [*NIGHTLY, "seldom", "backfill", "late"])


@WAYS
def test_only_cells_that_are_counted_are_not_as_they_were(lived, way):
    for number, type_id, true, shown in lived.each(way):
        waiting = lived.waiting(way, number, type_id)
        assert {name for _, name in shown.wrong(true)} <= waiting
        both = true.updated.keys() & shown.updated.keys()
        modified = kind(type_id).modified_property
        moved = {(each, modified) for each in both if true.updated[each] != shown.updated[each]}
        assert moved <= shown.unknown


@WAYS
def test_histories_are_those_of_the_end_of_the_day(lived, way):
    for number, type_id, true, shown in lived.each(way):
        both = true.updated.keys() & shown.updated.keys()
        waiting = lived.waiting(way, number, type_id)
        for cell in true.histories.keys() | shown.histories.keys():
            if cell[0] not in both or cell in shown.unknown or cell[0] in shown.untold:
                continue
            if cell[1] in waiting:
                continue
            told, known = (of.histories.get(cell, []) for of in (true, shown))
            # HubSpot forgets the oldest, which earlier readings remember.
            length = min(len(told), len(known))
            assert told[-length:] == known[-length:]
            assert length or not told


@WAYS
def test_only_records_that_nobody_can_know_of_are_missing(lived, way):
    for number, type_id, true, shown in lived.each(way):
        at = lived.moments[way, number]
        ends = {
            each: lived.fortnight.end_of(type_id, each, at)
            for each in true.updated.keys() - shown.updated.keys()
        }
        erased = [each for each, fate in ends.items() if fate.kind == "erased"]
        merged = ends.keys() - erased
        assert {lived.portal.fate(type_id, each, at).kind for each in merged} <= {"merged"}
        assert len(merged) <= shown.unseen
        away = sum(
            row["gone"] == "merged" and (row["readAt"] is None or row["goneAt"] == row["awayUntil"])
            for row in lived.records(way, number, type_id)
        )
        assert shown.unseen <= away
        if way in {"early", "sweep", "search"} and number:
            assert len(erased) <= lived.counts(way, number, type_id).get(RECORDS_ERASED, 0)


@WAYS
def test_only_records_that_were_away_for_an_unseen_while_are_too_many(lived, way):
    for number, type_id, true, shown in lived.each(way):
        end = lived.stagings[way, number].day.end
        for each in shown.updated.keys() - true.updated.keys():
            fate = lived.portal.fate(type_id, each, end - JUST_BEFORE)
            assert fate.kind == "archived"
            assert way in {"full", "backfill"} or not lived.were_read(way, fate.at, end)


def test_a_late_run_reads_nothing_that_was_read_and_shows_the_same(lived):
    assert lived.requests["late"] == 0
    for number, type_id, _, shown in lived.each("late"):
        assert shown == lived.shown["sweep", number, type_id]


def test_nights_are_searched_and_the_sweep_comes_in_its_turn(lived):
    for type_id in TYPES:
        staged = [
            lived.stagings["search", number].complete(object_source(kind(type_id)))
            for number in range(DAYS)
        ]
        assert any(each.swept_at < each.began for each in staged)
        stale = max(lived.moments["search", n] - each.swept_at for n, each in enumerate(staged))
        assert stale < timedelta(days=8)


def test_hardly_any_cell_of_a_nightly_run_is_unknown(lived):
    for way, most in (("early", 0.01), ("sweep", 0.02), ("seldom", 0.06), ("backfill", 0.1)):
        following = [each for each in lived.each(way) if each[0]]
        unknown = sum(len(shown.unknown) for *_, shown in following)
        assert unknown < most * sum(len(shown.cells) for *_, shown in following)


def test_one_reading_serves_a_backfill(lived):
    for type_id in TYPES:
        names = {
            lived.stagings["backfill", number].complete(object_source(kind(type_id))).name
            for number in range(DAYS)
        }
        assert len(names) == 1


def test_all_that_can_become_of_a_record_does(lived):
    last = [row for type_id in TYPES for row in lived.records("sweep", DAYS - 1, type_id)]
    assert {row["gone"] for row in last} == {None, "archived", "merged", "erased"}
    assert any(row["awayFrom"] for row in last)
    # A portal whose merges leave the survivor's id gives birth to none.
    assert any(row["bornAt"] for row in last) != lived.portal.config.primary_ids_last
    assert any(row["mergedInto"] and row["readAt"] for row in last)
    assert any(
        lived.shown[way, number, type_id].unseen
        for way in NIGHTLY
        for number in range(DAYS)
        for type_id in TYPES
    )


@pytest.mark.slow
def test_two_days_as_they_are_delivered(tmp_path, reach):
    """By the command, and read back from its files."""
    config = PortalConfig(records=60, now=FIRST, contact_properties=113, burst=10**6)
    with serve(config) as sandbox:
        eventful(sandbox.portal, 1, DAYS)
        exported = reach(sandbox, OBJECT_TYPES="contacts,companies,deals")
        fortnight, batches = Fortnight(sandbox), []
        for number in (4, 5):
            day = day_number(number)
            at = day.end + 90 * MINUTE
            sandbox.requests.clear()
            with fortnight.at(at):
                result = CliRunner().invoke(main, ["export", "--day", day.name])
            assert result.exit_code == 0, result.output
            batches.append(sandbox.requests["POST /crm/objects/{objectType}/batch/read", 200])
            with fortnight.at(at):
                staging = fortnight.read(tmp_path / "own", day, at)
                true = [fortnight.truth(staging, type_id) for type_id in TYPES]
                shown = [fortnight.shown(staging, type_id) for type_id in TYPES]
            rows = table(exported / day.name / "OBJECTS", "OBJECTID, UPDATEDAT")
            assert {int(record_id) for record_id, _ in rows} == {
                i for of in true for i in of.updated
            }
            cells = table(exported / day.name / "OBJECT_PROPERTIES", "OBJECTID, NAME, VALUE")
            told = {(int(record_id), name): value for record_id, name, value in cells}
            unknown = set().union(*(of.unknown for of in shown))
            for of in true:
                wrong = {cell for cell, value in of.cells.items() if told.get(cell) != value}
                assert wrong <= unknown
            manifest = orjson.loads(
                (exported / day.name / "OBJECT_PROPERTIES" / "_manifest.json").read_bytes()
            )
            assert manifest["counts"]["cells_not_known_as_of_day"] == len(unknown)
    assert batches[1] < batches[0]


def table(folder, columns):
    """What DuckDB reads of a table that was delivered."""
    files = f"read_csv('{folder}/**/*.csv.gz', header=true, all_varchar=true, parallel=false)"
    return duckdb.sql(f"SELECT {columns} FROM {files}").fetchall()
