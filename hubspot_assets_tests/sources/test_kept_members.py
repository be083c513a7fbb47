"""Lists of which nothing has moved keep their members: the same rows as of a full reading."""

from contextlib import ExitStack
from datetime import UTC

import polars as pl
import pytest

from hubspot_assets.hubspot import lists as hubspot_lists
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import GaveUp
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import lists
from hubspot_assets.sources.lists import (
    MEMBERSHIPS,
    extract_lists,
    extract_memberships,
)
from hubspot_assets_tests.fortnights import FIRST, HOUR, MINUTE, Fortnight, day_number

TYPES = ("0-1", "0-2", "0-3", "0-5")
NIGHT = 90 * MINUTE
NEVER = 10_000
#: A list of contacts whom nobody joins any more, and one of records that are not read.
SNAPSHOT, OF_CARS = 19, 81


class Nights(Fortnight):
    """Nights in which records, lists and their members are read into one folder."""

    def __init__(self, sandbox, root, asked):
        super().__init__(sandbox, types=TYPES)
        self.root = root
        #: The lists whose members were asked for in the last night.
        self.asked = asked

    def night(self, number, *, sweep_days=NEVER, **options):
        """Reads the day of that number in its night, and gives the reading of members."""
        day = day_number(number)
        self.sweep_days = sweep_days
        self.staging = self.read(self.root, day, day.end + NIGHT, **options)
        return self.staging.complete(MEMBERSHIPS)

    def extract(self, client, staging, incremental="sweep", *, portal="here"):
        super().extract(client, staging, incremental, portal=portal)
        extract_lists(client, staging, TYPES)
        self.asked.clear()
        extract_memberships(
            client,
            staging,
            portal=portal,
            workers=4,
            incremental=incremental,
            sweep_days=self.sweep_days,
        )

    def rows(self):
        """List, member and moment of joining of the last night, in their order."""
        frames = [each.read("members") for each in self._members().chunks()]
        return pl.concat(frames).select("listId", "recordId", "joinedAt").rows()

    def _members(self):
        return self.staging.complete(MEMBERSHIPS)

    def is_right(self):
        """Whether the last night shows the members that there were when it was."""
        at = self.staging.day.end + NIGHT
        true = [
            (each.facts.list_id, record_id, joined.astimezone(UTC).replace(tzinfo=None))
            for each in self.portal.lists(at)
            for record_id, joined in self.portal.members(each.facts.list_id, at)
            if not each.facts.odd
        ]
        odd = {each.facts.list_id for each in self.portal.lists(at) if each.facts.odd}
        assert [row for row in self.rows() if row[0] not in odd] == true
        assert len(true) > 50
        outcomes = pl.concat(each.read("lists") for each in self._members().chunks())
        assert outcomes["listId"].to_list() == [
            each.facts.list_id for each in self.portal.lists(at)
        ]
        return True

    def end_of_day(self, number):
        return day_number(number).end

    def everybody(self):
        """The ids of all lists there are."""
        at = self.staging.day.end + NIGHT
        return {each.facts.list_id for each in self.portal.lists(at)}

    def member(self, list_id):
        """A contact on the list of whom the portal has no plans of its own, and one who is not."""
        at = self.staging.day.end + NIGHT
        members = [record_id for record_id, _ in self.portal.members(list_id, at)]
        life, now = self.portal.life("0-1"), self.portal.clock.now()
        free = [
            each
            for each in self.portal.live_ids("0-1", at)
            if not life.ends(life.index_of(each, now))
            and not life.merged_into(life.index_of(each, now), now * 2)
        ]
        return (
            next(each for each in free if each in members),
            next(each for each in free if each not in members),
        )


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """Makes them: of a portal of its own each."""
    asked, members = set(), hubspot_lists.members

    def asking(client, list_id):
        asked.add(int(list_id))
        return members(client, list_id)

    monkeypatch.setattr(hubspot_lists, "members", asking)

    def make(**config):
        own = PortalConfig(records=150, now=FIRST, contact_properties=5, burst=10**6, **config)
        return Nights(portals.enter_context(serve(own)), tmp_path / "state", asked)

    with ExitStack() as portals:
        yield make


@pytest.fixture
def lived(nights):
    """A portal of which a day is read."""
    lived = nights()
    lived.night(0)
    return lived


def test_only_members_of_lists_that_moved_are_read(lived):
    first = lived.staging.complete(MEMBERSHIPS)
    assert lived.asked == lived.everybody()
    kept = set()
    for number in range(1, 6):
        reading = lived.night(number)
        assert lived.is_right()
        counts = reading.counts
        assert (counts["lists_read"], counts["lists_read"] + counts["lists_kept"]) == (
            len(lived.asked),
            len(lived.everybody()),
        )
        assert OF_CARS in lived.asked  # nobody tells what became of cars
        assert SNAPSHOT not in lived.asked
        kept |= lived.everybody() - lived.asked
        assert counts["memberships"] == len(lived.rows())
        assert reading.swept_at == first.began
    assert len(kept) > 5


@pytest.mark.slow
def test_all_are_read_in_their_turn_or_where_it_is_wanted(lived):
    lived.night(1)
    assert lived.asked < lived.everybody()
    began = lived.staging.complete(MEMBERSHIPS).began
    reading = lived.night(2, sweep_days=1)
    assert lived.asked == lived.everybody()
    assert reading.swept_at == reading.began > began
    lived.night(3, incremental="off")
    assert lived.asked == lived.everybody()
    lived.night(3, again=True)
    assert lived.asked == lived.everybody()
    lived.night(4, portal="another")
    assert lived.asked == lived.everybody()
    assert lived.is_right()


@pytest.mark.slow
def test_a_reading_of_another_api_version_is_no_base(lived, monkeypatch):
    versions = {"lists": "some other"}
    monkeypatch.setattr(HubSpot, "versions", property(lambda _: versions))
    lived.night(1)
    assert lived.asked == lived.everybody()


@pytest.mark.samples(1)
@pytest.mark.parametrize("frame", ["members", "lists", "note"])
def test_a_base_that_is_half_there_is_none(lived, frame):
    folder = lived.root / lived.staging.complete(MEMBERSHIPS).folder
    part = folder / ("_reading.json" if frame == "note" else f"00000.{frame}.parquet")
    part.write_bytes(part.read_bytes()[:200])
    reading = lived.night(1)
    assert lived.asked == lived.everybody()
    assert reading.swept_at == reading.began
    assert lived.is_right()


@pytest.mark.samples(1)
@pytest.mark.parametrize("harm", ["merge", "archive", "erase"])
def test_a_member_who_is_another_or_gone_though_the_list_tells_of_no_change(nights, change, harm):
    lived = nights()
    told = _silent(change, SNAPSHOT)
    lived.night(0)
    member, stranger = lived.member(SNAPSHOT)
    at = lived.end_of_day(0) + 5 * HOUR
    if harm == "merge":
        lived.portal.merge("0-1", stranger, member, at)
    else:
        getattr(lived.portal, harm)("0-1", member, at)
    lived.night(1)
    # By itself the portal tells of those who left, not of those who got another id.
    assert (told[0] == told[-1]) == (harm == "merge")
    assert SNAPSHOT in lived.asked
    assert lived.is_right()


def test_where_no_later_reading_tells_of_records_members_are_read(lived):
    lived.types = ()
    lived.night(1)
    assert lived.asked == lived.everybody()
    assert lived.is_right()


def _silent(change, list_id):
    """Has a list tell of no change since it was first told; gives what that was."""
    told = []

    def same(path, asked, body):
        if path.endswith("/all"):
            for each in body["results"]:
                if int(each["listId"]) == list_id:
                    told.append(dict(each["additionalProperties"]))
                    each["additionalProperties"] = told[0]

    change(same, "POST")
    return told


@pytest.mark.slow
def test_where_hubspot_does_not_tell_when_the_last_one_joined_members_are_read(lived, change):
    def untold(path, asked, body):
        if path.endswith("/all"):
            for each in body["results"]:
                if int(each["listId"]) == SNAPSHOT:
                    del each["additionalProperties"]["hs_last_record_added_at"]

    change(untold, "POST")
    for number in (1, 2):
        lived.night(number)
        assert SNAPSHOT in lived.asked < lived.everybody()
        assert lived.is_right()


@pytest.mark.slow
def test_a_list_whose_size_is_another_than_was_read_is_read_again(lived, change):
    def larger(path, asked, body):
        if path.endswith("/all"):
            for each in body["results"]:
                if int(each["listId"]) == SNAPSHOT:
                    each["additionalProperties"]["hs_list_size"] = "1000"

    change(larger, "POST")
    for number in (1, 2):
        lived.night(number)
        assert SNAPSHOT in lived.asked
        assert lived.is_right()


@pytest.mark.slow
def test_a_list_that_moved_shortly_before_it_was_read_is_read_once_more(lived, change):
    at = int((lived.end_of_day(1) + NIGHT - 10 * MINUTE).timestamp() * 1000)

    def moved(path, asked, body):
        if path.endswith("/all"):
            for each in body["results"]:
                if int(each["listId"]) == SNAPSHOT:
                    each["additionalProperties"]["hs_last_record_added_at"] = str(at)

    change(moved, "POST")
    asked = []
    for number in (1, 2, 3):
        lived.night(number)
        asked.append(SNAPSHOT in lived.asked)
    assert asked == [True, True, False]


@pytest.mark.slow
def test_a_list_that_is_deleted_and_one_that_comes_back(lived):
    lived.portal.delete_list(SNAPSHOT, lived.end_of_day(0) + HOUR)
    lived.night(1)
    assert lived.is_right()
    assert SNAPSHOT not in {row[0] for row in lived.rows()}
    lived.portal.restore_list(SNAPSHOT)
    lived.night(2)
    assert lived.asked >= {SNAPSHOT}
    assert lived.is_right()
    lived.night(3)
    assert SNAPSHOT not in lived.asked
    assert lived.is_right()


@pytest.mark.slow
def test_a_list_made_again_under_its_name_is_another(lived):
    made = lived.portal.make_list_again(SNAPSHOT, lived.end_of_day(0) + HOUR)
    for number in (1, 2):
        lived.night(number)
        assert lived.is_right()
        assert (made in lived.asked) == (number == 1)
        assert SNAPSHOT not in {row[0] for row in lived.rows()}
        assert made in {row[0] for row in lived.rows()}


@pytest.mark.slow
def test_a_list_that_is_not_worked_out_yet_is_read_again_each_night(nights):
    lived = nights(odd_lists=True)
    lived.night(0)
    for number in (1, 2):
        lived.night(number)
        assert lived.asked >= {93, 97}  # refused, and in progress
        assert lived.is_right()


@pytest.mark.slow
def test_long_lists_are_kept_in_parts_too(lived, monkeypatch):
    monkeypatch.setattr(lists, "CHUNK_MEMBERS", 30)
    monkeypatch.setattr(lists, "HELD_MEMBERS", 15)
    for number in (1, 2, 3):
        lived.night(number, incremental="off" if number == 1 else "sweep")
        assert lived.is_right()
        chunks = list(lived.staging.complete(MEMBERSHIPS).chunks())
        assert len(chunks) > 3
        assert max(each.read("members").height for each in chunks) < 60
    assert lived.asked < lived.everybody()


@pytest.mark.slow
def test_a_reading_that_was_broken_off_is_gone_on_with(lived, monkeypatch):
    monkeypatch.setattr(lists, "CHUNK_MEMBERS", 30)
    broken = max(lived.everybody())
    path = rf"^GET /crm/lists/[^/]+/{broken}/memberships$"
    lived.sandbox.faults.add("unavailable", path=path, times=9)
    with pytest.raises(GaveUp):
        lived.night(5)
    asked = set(lived.asked)
    lived.sandbox.faults.clear()
    lived.night(5)
    assert broken in lived.asked < asked
    assert lived.is_right()
