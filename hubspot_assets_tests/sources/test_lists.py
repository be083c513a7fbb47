"""Lists and their members on their way into the staged day."""

import random
from datetime import UTC, datetime

import httpx
import polars as pl
import pytest

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import GaveUp
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.reading import Reading
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import lists
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.lists import (
    LISTS,
    MEMBERSHIPS,
    extract_lists,
    extract_memberships,
)
from hubspot_assets.storage import open_store
from hubspot_assets.tables.counts import LISTS_GONE, LISTS_OF_ANOTHER_SIZE, LISTS_PARTIAL
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.days import day_of
from hubspot_assets_tests.hubspot.fakes import FakeTime, client_of, error, ok

CONTACTS = "0-1"
PAGE = 10


class Portal:
    """Members of lists by list id, in pages of 10, or an answer instead of them."""

    def __init__(self, members):
        self.members = members
        self.asked = []

    def __call__(self, request):
        list_id = int(request.url.path.split("/")[-2])
        start = int(request.url.params.get("after", 0))
        self.asked.append((list_id, start))
        found = self.members[list_id]
        if isinstance(found, httpx.Response):
            return found
        if callable(found):
            return found(start)
        end = start + PAGE
        results = [
            {"recordId": str(each), "membershipTimestamp": "2026-10-01T09:30:00.123Z"}
            for each in found[start:end]
        ]
        paging = {"paging": {"next": {"after": str(end)}}} if end < len(found) else {}
        return ok({"results": results} | paging)


class House:
    """A staged day in a folder, and a portal to read lists from."""

    def __init__(self, folder):
        self.staging = Staging(open_store(folder), day_of("2026-11-22"))

    def lists(self, *ids, sizes=None, statuses=None):
        reading = self.staging.begin(LISTS, "items", resume=False)
        sizes, statuses = sizes or {}, statuses or {}
        told = [
            {
                "listId": str(each),
                "objectTypeId": CONTACTS,
                "processingStatus": statuses.get(each, "COMPLETE"),
                "additionalProperties": {"hs_list_size": sizes.get(each)},
            }
            for each in ids
        ]
        stage_items(reading, [Read(each, datetime(2026, 11, 23, tzinfo=UTC)) for each in told])

    def read(self, portal, workers=3, **more):
        with client_of(portal, FakeTime(), max_attempts=1) as client:
            return extract_memberships(client, self.staging, portal="here", workers=workers, **more)

    def frames(self, frame="members"):
        staged = self.staging.complete(MEMBERSHIPS)
        return [chunk.read(frame) for chunk in staged.chunks()]

    def members(self):
        return [pair for each in self.frames() for pair in each.select("listId", "recordId").rows()]

    def outcomes(self):
        return pl.concat(self.frames("lists")).rows()


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture
def small(monkeypatch):
    """Chunks of 100 members, of which 50 of a list are held in memory."""
    monkeypatch.setattr(lists, "CHUNK_MEMBERS", 100)
    monkeypatch.setattr(lists, "HELD_MEMBERS", 50)


def test_members_come_by_list_and_record_whatever_the_order_of_the_pages(house):
    house.lists(20, 3, 100)
    staged = house.read(Portal({3: [9, 8, 7, *range(20, 40)], 20: [], 100: [1, 2]}))
    expected = [(3, each) for each in [7, 8, 9, *range(20, 40)]] + [(100, 1), (100, 2)]
    assert house.members() == expected
    assert [row[:3] for row in house.outcomes()] == [(3, None, 23), (20, None, 0), (100, None, 2)]
    assert {field for row in house.outcomes() for field in row[3:]} == {None}
    assert staged.counts["lists_read"] == 3
    assert staged.counts["memberships"] == 25
    assert staged.counts[LISTS_OF_ANOTHER_SIZE] == staged.counts[LISTS_PARTIAL] == 0
    (frame,) = house.frames()
    assert frame["joinedAt"].unique().to_list() == [datetime(2026, 10, 1, 9, 30, 0, 123_000)]
    assert frame["objectTypeId"].unique().to_list() == [CONTACTS]
    assert frame["readAt"].null_count() == 0


def test_a_member_that_two_pages_have_is_there_once(house, small):
    house.lists(1, 2, sizes={1: "11", 2: "11"})
    staged = house.read(Portal({1: [*range(11), 0, 5], 2: [*range(80), *range(80)]}))
    assert house.members() == [(1, each) for each in range(11)] + [(2, each) for each in range(80)]
    assert staged.counts[LISTS_OF_ANOTHER_SIZE] == 1


@pytest.mark.parametrize("shuffled", [False, True])
def test_chunks_are_of_bounded_size_and_in_order(house, small, shuffled):
    sizes = {1: 30, 2: 950, 3: 0, 4: 45, 5: 200, 6: 99, 7: 20, 8: 33}
    members = {}
    for list_id, size in sizes.items():
        members[list_id] = random.Random(list_id).sample(range(5_000), size)
        if not shuffled:
            members[list_id].sort()
    house.lists(*sizes, sizes={each: str(size) for each, size in sizes.items()})
    staged = house.read(Portal(members))
    assert house.members() == [
        (list_id, each) for list_id in sizes for each in sorted(members[list_id])
    ]
    assert max(each.height for each in house.frames()) <= 200
    assert staged.counts["memberships"] == sum(sizes.values())
    assert staged.counts[LISTS_OF_ANOTHER_SIZE] == 0
    assert [row[:3] for row in house.outcomes()] == [
        (list_id, size, size) for list_id, size in sizes.items()
    ]


def test_a_list_deleted_while_it_is_read_has_no_members(house, small):
    def vanishing(start):
        if start > 70:
            return error(404, message="resource not found")
        results = [{"recordId": str(start + each)} for each in range(10)]
        return ok({"results": results, "paging": {"next": {"after": str(start + 10)}}})

    house.lists(1, 2, 3, sizes={1: "5", 2: "900", 3: "5"})
    staged = house.read(Portal({1: [1], 2: vanishing, 3: [3]}))
    assert house.members() == [(1, 1), (3, 3)]
    assert house.outcomes()[1] == (2, 900, None, None, None, None)
    assert staged.counts[LISTS_GONE] == 1
    assert staged.counts[LISTS_OF_ANOTHER_SIZE] == 2
    assert staged.availability.status == "available"


def test_a_list_that_hubspot_is_not_done_with_is_partial_whatever_its_size(house):
    house.lists(1, 2, 3, sizes={1: "5", 2: "1", 3: "9"}, statuses={1: "PROCESSING", 2: None})
    staged = house.read(Portal({1: [1], 2: [2], 3: [3]}))
    assert house.members() == [(1, 1), (2, 2), (3, 3)]
    assert [row[4] for row in house.outcomes()] == ["PROCESSING", None, None]
    assert (staged.counts[LISTS_PARTIAL], staged.counts[LISTS_OF_ANOTHER_SIZE]) == (1, 1)


def test_lists_whose_members_hubspot_refuses_are_told_of(house):
    refusal = error(403, category="MISSING_SCOPES", message="no")
    house.lists(1, 2)
    staged = house.read(Portal({1: refusal, 2: [7]}))
    assert house.members() == [(2, 7)]
    list_id, _, members, why, *_ = house.outcomes()[0]
    assert (list_id, members) == (1, None)
    assert "lacks" in why
    assert staged.counts["lists_refused"] == 1
    assert staged.availability.status == "available"


def test_when_all_are_refused_there_is_a_reason(house):
    refusal = error(403, category="MISSING_SCOPES", message="no")
    house.lists(1, 2)
    staged = house.read(Portal({1: refusal, 2: refusal}))
    assert staged.availability.status == "missing_scope"
    assert house.members() == []


def test_without_lists_there_are_no_members(house):
    house.lists()
    staged = house.read(Portal({}))
    assert (staged.chunks_staged, staged.availability.status) == (0, "available")


@pytest.mark.parametrize("big", [2, 5])
def test_a_crash_is_gone_on_from_after_the_last_whole_list(house, small, monkeypatch, big):
    sizes = {1: 120, 2: 60, 3: 130, 4: 110, 5: 60, 6: 40}
    sizes[big] = 420
    members = {each: list(range(size)) for each, size in sizes.items()}
    house.lists(*sizes)
    broken = Portal(members | {6: error(503)})
    with pytest.raises(GaveUp):
        house.read(broken, workers=1)
    portal = Portal(members)
    staged = house.read(portal, workers=1)
    again = {list_id for list_id, _ in portal.asked}
    assert 6 in again
    assert not {1, 2, 3} & again
    assert house.members() == [
        (list_id, each) for list_id in sizes for each in range(sizes[list_id])
    ]
    assert staged.counts["memberships"] == sum(sizes.values())
    assert staged.counts["lists_read"] == 6
    assert len(house.outcomes()) == 6


def test_a_crash_within_a_large_list_leaves_no_half_of_it(house, small, monkeypatch):
    sizes = {1: 120, 2: 640, 3: 10}
    members = {each: list(range(size)) for each, size in sizes.items()}
    house.lists(*sizes)
    add, left = Reading.add, iter(range(3))

    def failing(reading, *given, **more):
        if next(left, None) is None:
            raise MemoryError
        add(reading, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Reading, "add", failing)
        with pytest.raises(MemoryError):
            house.read(Portal(members))
    portal = Portal(members)
    house.read(portal)
    assert {list_id for list_id, _ in portal.asked} == {2, 3}
    assert house.members() == [
        (list_id, each) for list_id in sizes for each in range(sizes[list_id])
    ]


def test_other_lists_are_another_reading(house):
    house.lists(1, 2)
    with pytest.raises(GaveUp):
        house.read(Portal({1: [1], 2: error(503)}))
    house.lists(2, 3)
    portal = Portal({2: [2], 3: [3]})
    house.read(portal)
    assert house.members() == [(2, 2), (3, 3)]


def test_reading_tells_how_far_it_is(house):
    told = []
    house.lists(1, 2)
    house.read(Portal({1: [1, 2], 2: [3]}), report=lambda *what: told.append(what))
    assert told == [(MEMBERSHIPS, 2), (MEMBERSHIPS, 3)]


@pytest.fixture
def sandbox():
    with serve(PortalConfig(records=1_500, now=READ_AT, burst=100_000)) as own:
        yield own


def test_a_sandbox_portal_is_read_as_it_is(house, sandbox):
    types = [each.object_type_id for each in sandbox.portal.object_types()]
    with HubSpot(BearerToken(sandbox.token), sandbox.url) as client:
        staged = extract_lists(client, house.staging, types)
        told = [int(each.content["listId"]) for each in read_items(staged)]
        gone = told[1]
        sandbox.portal.delete_list(gone)
        joined = extract_memberships(client, house.staging, portal="here", workers=4)
    members = pl.concat(house.frames())
    expected = [
        (list_id, record_id, at.astimezone(UTC).replace(tzinfo=None))
        for list_id in told
        for record_id, at in sandbox.portal.members(list_id, READ_AT)
        if list_id != gone
    ]
    assert members.select("listId", "recordId", "joinedAt").rows() == expected
    assert len(expected) > 1_000
    assert joined.counts[LISTS_GONE] == 1
    assert joined.counts[LISTS_OF_ANOTHER_SIZE] == 0


def test_a_token_without_the_scope_is_told_of(house, sandbox):
    script = error(403, category="MISSING_SCOPES", message="no")
    with client_of(lambda _: script, FakeTime()) as client:
        staged = extract_lists(client, house.staging, [CONTACTS])
        assert staged.availability.status == "missing_scope"
        joined = extract_memberships(client, house.staging, portal="here", workers=4)
    assert joined.availability == staged.availability
    assert joined.chunks_staged == 0
