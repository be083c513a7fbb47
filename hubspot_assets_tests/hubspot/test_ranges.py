"""Lists that are read in ranges of ids bring what they bring in sequence, whatever comes."""

import json
import logging
import random
from bisect import bisect_left
from datetime import UTC, datetime
from threading import Barrier

import pytest

from hubspot_assets.hubspot import ranges
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer
from hubspot_assets.hubspot.ranges import ALONE, PAGES, by_search, in_ranges
from hubspot_assets.hubspot.records import Page, read_records
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok
from hubspot_assets_tests.hubspot.test_records import CONTACTS, LIST, SEARCH, client, ids, live

SIZE = 10
AT = datetime(2026, 11, 23, tzinfo=UTC)


class Listed:
    """A list of ids in HubSpot's pages. Its cursors are `lead` above the last id of a page."""

    def __init__(self, every, lead=1):
        self.every = list(every)
        self.lead = lead
        self.begun = []
        self.asked = 0

    def at(self, cursor):
        """Where in the list a cursor leads."""
        return bisect_left(self.every, int(cursor) + 1 - self.lead)

    def cursor(self, end):
        return str(self.every[end - 1] + self.lead)

    def ask(self, after):
        self.begun.append(after)
        while True:
            start = 0 if after is None else self.at(after)
            self.asked += 1
            end = start + SIZE
            after = self.cursor(end) if end < len(self.every) else None
            yield Page([{"id": str(each)} for each in self.every[start:end]], AT, after)
            if after is None:
                return

    def cuts(self, above, apart):
        """As an index has them that knows all."""
        return [each for each in self.every if each > above][apart::apart]

    def read(self, cuts=None, workers=4):
        return list(in_ranges("records", self.ask, cuts or self.cuts, SIZE, None, workers))


def some(number, seed=1):
    """Ids with gaps, small ones and such as HubSpot has given lately."""
    drawn = random.Random(seed)
    few = drawn.sample(range(1, 40 * number), number // 2)
    return sorted(
        [*few, *(700_000_000_000 + each for each in drawn.sample(range(9**9), number // 2))]
    )


def assert_resumable(listed, found):
    """Behind each page its cursor leads on to what follows."""
    emitted = []
    for page in found:
        emitted += ids([page])
        rest = ids(listed.ask(page.after)) if page.after else []
        assert emitted + rest == listed.every


@pytest.mark.parametrize("lead", [0, 1])
def test_ranges_bring_what_the_sequence_brings(lead, caplog):
    listed = Listed(some(1_000), lead)
    found = listed.read()
    assert ids(found) == listed.every
    assert found[-1].after is None
    parts = -(-(1_000 - ALONE * SIZE) // (PAGES * SIZE - 1))
    assert len(listed.begun) == 1 + parts
    # That ranges meet costs a record of each: the page that shows it is one of theirs.
    assert listed.asked <= (1_000 + parts) / SIZE + 1
    assert not caplog.records
    assert_resumable(listed, found)


def test_ranges_are_read_at_once():
    listed = Listed(range(1, 201))
    both = Barrier(2, timeout=20)

    def ask(after):
        if listed.begun:
            both.wait()
        yield from listed.ask(after)

    found = in_ranges("records", ask, lambda *_: [120], SIZE, None, 2)
    assert ids(found) == listed.every


def test_a_short_list_is_not_parted():
    listed = Listed(range(ALONE * SIZE))
    assert ids(listed.read(cuts=lambda *_: 1 / 0)) == listed.every
    assert listed.begun == [None]


def test_a_range_that_is_far_too_long_is_not_held_in_memory():
    listed = Listed(range(1, 1_001))
    assert ids(listed.read(cuts=lambda *_: [990])) == listed.every
    held = (ALONE + 2 * PAGES) * SIZE
    assert listed.begun[-1] == str(held + 1)


class Opaque(Listed):
    """A list that takes its own cursors alone."""

    def at(self, cursor):
        return int(cursor.removeprefix("page"))

    def cursor(self, end):
        return f"page{end}"


class Offsets(Opaque):
    """A list whose cursors are numbers of another kind: how many come before."""

    def cursor(self, end):
        return str(end)


def test_cursors_that_are_no_bounds_of_ids_are_followed_one_by_one(caplog):
    caplog.set_level(logging.INFO)
    for listed in (Opaque(some(1_000)), Offsets(some(1_000))):
        assert ids(listed.read(cuts=lambda *_: 1 / 0)) == listed.every
        assert listed.begun == [None]
        assert "records: read in sequence, as the cursors are no ids" in caplog.text


class Ignoring(Listed):
    """A list that begins anew for a cursor that it has not given."""

    def at(self, cursor):
        place = super().at(cursor)
        return place if place % SIZE == 0 else 0


class Refusing(Ignoring):
    """A list that refuses a cursor that it has not given."""

    def ask(self, after):
        if after is not None and Listed.at(self, after) % SIZE:
            raise BadRequest("after is not valid", status=400)
        yield from super().ask(after)


class Leaping(Listed):
    """A list that goes on somewhere behind a cursor that it has not given."""

    def at(self, cursor):
        place = super().at(cursor)
        return place if place % SIZE == 0 else place + 3


@pytest.mark.parametrize("kind", [Ignoring, Refusing, Leaping])
def test_ranges_that_do_not_meet_give_way_to_the_sequence(kind, caplog):
    listed = kind(some(1_000))
    found = listed.read()
    assert ids(found) == listed.every
    assert "does not meet the one before; the rest is read in sequence" in caplog.text
    assert_resumable(listed, found)


def test_a_range_that_is_not_in_order_gives_way_to_the_sequence(caplog):
    class Unordered(Listed):
        def ask(self, after):
            for page in super().ask(after):
                if any(each["id"] == "500" for each in page.records):
                    page.records.reverse()
                yield page

    listed = Unordered(range(1, 1_001))
    found = listed.read()
    assert sorted(ids(found)) == listed.every
    assert len(ids(found)) == len(listed.every)
    assert "is not in order of ids" in caplog.text


@pytest.mark.parametrize("seed", range(20))
def test_where_a_list_is_parted_makes_no_difference(seed):
    drawn = random.Random(seed)
    listed = Listed(some(drawn.randrange(2, 600), seed))
    wrong = drawn.choices([*listed.every, *range(1, 20_000, 97), 10**13], k=drawn.randrange(9))
    if drawn.random() < 0.7:
        wrong.sort()
    found = listed.read(cuts=lambda *_: wrong, workers=drawn.randrange(1, 6))
    assert ids(found) == listed.every
    assert_resumable(listed, found)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_there_all_the_time_is_read_once_while_others_come_and_go(seed):
    drawn = random.Random(seed)
    every = some(600, seed)
    stays = [each for each in every if drawn.random() < 0.8]
    listed = Listed(every)

    def ask(after):
        for page in Listed.ask(listed, after):
            yield page
            goes = drawn.sample([*set(listed.every) - set(stays)], 2)
            comes = drawn.sample(range(1, 20_000), 2)
            listed.every = sorted({*listed.every, *comes} - {*goes})

    found = ids(in_ranges("records", ask, listed.cuts, SIZE, None, 4))
    assert [each for each in found if each in set(stays)] == stays
    assert found == sorted(set(found))


def test_a_refusal_within_a_range_is_no_end_of_the_list():
    listed = Listed(range(1, 1_001))

    def ask(after):
        for number, page in enumerate(listed.ask(after)):
            if after is not None and number == 2:
                raise BadRequest("after is not valid", status=400)
            yield page

    with pytest.raises(IncompleteAnswer):
        list(in_ranges("records", ask, listed.cuts, SIZE, None, 4))


@pytest.mark.parametrize("reach", [10_000, 75, 30])
def test_the_index_tells_where_to_part(reach, monkeypatch):
    monkeypatch.setattr(ranges, "REACH", reach)
    with serve(PortalConfig(records=130, now=READ_AT, burst=100_000)) as served:
        there = live(served)
        with client(served) as hubspot:
            expected = there[5:][30::30]
            assert list(by_search(hubspot, CONTACTS)(there[4], 30)) == expected
            assert served.requests[SEARCH, 200] <= len(expected) + (reach < 10_000)


def test_searches_for_where_to_part_do_not_wait_for_one_another():
    both = Barrier(2, timeout=20)

    def answer(request):
        position = int(json.loads(request.content)["after"])
        if position > 130:
            both.wait()
        return ok({"total": 400, "results": [{"id": str(position + 8)}]})

    with client_of(answer, FakeTime()) as hubspot:
        assert list(by_search(hubspot, CONTACTS)(7, 130)) == [138, 268, 398]


@pytest.mark.parametrize(
    "answer",
    [
        error(403, category="MISSING_SCOPES"),
        error(400, category="VALIDATION_ERROR"),
        ok({"total": 900, "results": [{"id": "7"}]}),
        ok({"total": 900}),
    ],
)
def test_an_index_that_does_not_tell_is_no_matter(answer, caplog):
    caplog.set_level(logging.INFO)
    hubspot = client_of(Script(answer), FakeTime())
    listed = Listed(some(300))
    assert ids(listed.read(cuts=by_search(hubspot, CONTACTS))) == listed.every
    assert "records of 0-1 are listed in sequence from here" in caplog.text


@pytest.mark.parametrize("opaque", [True, False])
def test_a_portal_is_read_alike_whatever_its_cursors_are(opaque, monkeypatch):
    monkeypatch.setattr(ranges, "PAGES", 2)
    config = PortalConfig(records=1_400, now=READ_AT, burst=100_000, opaque_cursors=opaque)
    with serve(config) as served, client(served) as hubspot:
        found = list(read_records(hubspot, CONTACTS, ["email"]))
        assert ids(found) == live(served)
        searched = served.requests[SEARCH, 200]
        assert (searched > 4) != opaque
        assert served.requests[LIST, 200] <= len(live(served)) / 50 + 3
