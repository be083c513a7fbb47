"""Incremental readings of records: what of a portal, a state or a clock might lead them astray."""

from contextlib import ExitStack

import httpx
import pytest
import time_machine

from hubspot_assets.hubspot import ranges, records
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import changes, look
from hubspot_assets.storage import open_store
from hubspot_assets.tables.counts import ARCHIVED_UNTOLD, MOMENTS_UNREAD, RECORDS_ERASED
from hubspot_assets_tests.fortnights import FIRST, HOUR, MINUTE, Fortnight, day_number

CONTACTS = "0-1"
SOURCE = "objects/0-1"
LIVE = r"^GET /crm/objects/[^/]+/0-1\?((?!archived).)*$"
LIST = r"^GET /crm/objects/[^/]+/0-1$"
BATCH = r"^POST /crm/objects/[^/]+/0-1/batch/read$"
NIGHT = 90 * MINUTE


class Nights(Fortnight):
    """Nights in which the contacts of a portal are read into one folder."""

    def __init__(self, sandbox, root):
        super().__init__(sandbox, types=(CONTACTS,))
        self.root = root
        self.store = open_store(root)

    def night(self, number, incremental="sweep", **options):
        """Reads the day of that number in its night, and gives the reading."""
        day = day_number(number)
        self.staging = self.read(self.root, day, day.end + NIGHT, incremental, **options)
        return self.staging.complete(SOURCE)

    def rows(self):
        """All records of the last reading, by id."""
        chunks = self.staging.complete(SOURCE).chunks()
        return {row["id"]: row for each in chunks for row in each.read("records").to_dicts()}

    def is_right(self, *, without=()):
        """Whether the last night shows the day as it was, but for records that must be missing."""
        true = self.truth(self.staging, CONTACTS)
        with self.at(self.staging.day.end + NIGHT):
            shown = self.shown(self.staging, CONTACTS)
        assert true.updated.keys() - shown.updated.keys() == set(without)
        assert shown.updated.keys() <= true.updated.keys()
        assert not shown.wrong(true)
        return True

    def some(self, number=1):
        """Ids of contacts of whom the portal has no plans of its own."""
        life, now = self.portal.life(CONTACTS), self.portal.clock.now()
        found = []
        for each in self.portal.live_ids(CONTACTS, FIRST):
            index = life.index_of(each, now)
            if not life.ends(index) and not life.merged_into(index, now * 2):
                found.append(each)
        return found[:number]

    def end(self, number):
        return day_number(number).end


@pytest.fixture
def nights(tmp_path):
    """Makes them: of a portal of its own each."""

    def make(**config):
        own = PortalConfig(records=60, now=FIRST, contact_properties=113, burst=10**6, **config)
        return Nights(portals.enter_context(serve(own)), tmp_path / "state")

    with ExitStack() as portals:
        yield make


@pytest.fixture
def lived(nights):
    """A portal whose first day is read."""
    lived = nights()
    lived.night(0)
    return lived


def full(staged, first):
    """Whether all was read, though there was a reading before."""
    return staged.base_folder != first.base_folder and "changed" not in staged.counts


def test_only_what_has_changed_is_read(lived, change):
    first = lived.staging.complete(SOURCE)
    asked = []
    change(lambda path, body, _: asked.append(body) if "batch/read" in path else None, "POST")
    second = lived.night(1)
    assert second.base_folder == first.folder
    ids = {int(each["id"]) for body in asked for each in body["inputs"]}
    with lived.at(lived.end(1) + NIGHT):
        happened = lived.portal.record_changes(CONTACTS, lived.end(0), lived.end(1) + NIGHT)
    news = {each.record_id for each in happened}
    assert ids <= news
    assert second.counts["changed"] == len(ids) < 12
    assert lived.is_right()


@pytest.mark.samples(1)
@pytest.mark.parametrize("opaque", [False, True])
def test_a_sweep_by_ranges_of_ids_sees_what_one_in_sequence_sees(nights, monkeypatch, opaque):
    for module, name in ((records, "PAGE_OF_IDS"), (ranges, "PAGES"), (ranges, "ALONE")):
        monkeypatch.setattr(module, name, 2)
    begun = []
    behind = ranges._Ranges.behind

    def noted(parted, *args):
        begun.append(parted._what)
        return behind(parted, *args)

    monkeypatch.setattr(ranges._Ranges, "behind", noted)
    lived = nights(opaque_cursors=opaque)
    for each in lived.some(8):
        lived.portal.archive(CONTACTS, each, lived.end(0) - HOUR)
    first = lived.night(0)
    begun.clear()
    lived.sandbox.requests.clear()
    for number in range(1, 5):
        swept = lived.night(number)
        assert lived.is_right()
    assert swept.base_folder == first.folder
    in_ranges = ["records of 0-1", "archived records of 0-1"] * 4
    assert begun == ([] if opaque else in_ranges)
    assert not any(each.endswith("/search") for each, _ in lived.sandbox.requests)


def test_a_base_whose_note_is_half_written_is_none(lived):
    first = lived.staging.complete(SOURCE)
    note = lived.root / first.folder / "_reading.json"
    note.write_bytes(note.read_bytes()[:100])
    assert full(lived.night(1), first)
    assert lived.is_right()


@pytest.mark.samples(2)
@pytest.mark.parametrize("harm", ["gone", "cut off", "nothing"])
@pytest.mark.parametrize("frame", ["records", "values"])
def test_a_base_that_lacks_a_part_is_read_anew(lived, caplog, harm, frame):
    first = lived.staging.complete(SOURCE)
    part = lived.root / first.folder / f"00000.{frame}.parquet"
    content = part.read_bytes()
    part.unlink()
    if harm != "gone":
        part.write_bytes(content[: 500 * (harm == "cut off")])
    assert full(lived.night(1), first)
    assert lived.is_right()
    assert "contacts" in caplog.text or SOURCE in caplog.text


def test_a_reading_whose_base_was_purged_serves_no_day_and_is_no_base(lived):
    first = lived.staging.complete(SOURCE)
    second = lived.night(1)
    for path in (lived.root / first.folder).iterdir():
        path.unlink()
    store = open_store(lived.root)
    assert Staging(store, day_number(1)).serving(SOURCE) is None
    assert Staging(store, day_number(1)).newest(SOURCE) is None
    assert full(lived.night(1), second)
    assert lived.is_right()


def test_a_reading_of_another_portal_is_no_base(lived):
    first = lived.staging.complete(SOURCE)
    assert full(lived.night(1, portal="another"), first)
    assert lived.is_right()


def test_a_reading_of_another_api_version_is_no_base(lived, monkeypatch):
    first = lived.staging.complete(SOURCE)
    versions = {"objects": "some other"}
    monkeypatch.setattr(HubSpot, "versions", property(lambda _: versions))
    assert full(lived.night(1), first)
    assert lived.is_right()


def test_a_property_that_is_made_again_with_another_type_has_all_read(lived, change):
    def another(path, _, body):
        if "/crm/properties/" in path:
            for each in body["results"]:
                if each["name"] == "city":
                    each |= {"createdAt": "2026-11-10T12:00:00.000Z", "type": "number"}

    first = lived.staging.complete(SOURCE)
    change(another)
    second = lived.night(1)
    assert full(second, first)
    assert lived.is_right()
    assert not full(lived.night(2), second)


def test_a_property_of_another_label_has_nothing_read(lived, change):
    def renamed(path, _, body):
        if "/crm/properties/" in path:
            for each in body["results"]:
                each["label"] += " (new)"

    change(renamed)
    assert not full(lived.night(1), lived.staging.complete(SOURCE))


def test_archived_restored_and_archived_again_within_a_day(lived):
    (one,) = lived.some()
    noon = lived.end(0) + 12 * HOUR
    lived.portal.archive(CONTACTS, one, noon)
    lived.portal.restore(CONTACTS, one, noon + HOUR)
    lived.portal.archive(CONTACTS, one, noon + 2 * HOUR)
    lived.night(1)
    assert lived.is_right()
    assert lived.rows()[one]["goneAt"] == (noon + 2 * HOUR).replace(tzinfo=None)
    lived.portal.restore(CONTACTS, one, noon + 30 * HOUR)
    lived.portal.archive(CONTACTS, one, noon + 31 * HOUR)
    lived.portal.restore(CONTACTS, one, noon + 32 * HOUR)
    lived.night(2)
    assert lived.is_right()
    # It went at noon of one day and came back on another: in between it was not there.
    assert lived.rows()[one]["awayFrom"] == (noon + 2 * HOUR).replace(tzinfo=None)
    assert one in set(lived.portal.live_ids(CONTACTS, lived.end(2)))
    for hours in (54, 78):
        lived.portal.archive(CONTACTS, one, noon + hours * HOUR)
        lived.portal.restore(CONTACTS, one, noon + (hours + 2) * HOUR)
        lived.portal.archive(CONTACTS, one, noon + (hours + 3) * HOUR)
        lived.night(hours // 24 + 1)
        assert lived.is_right()
        assert lived.rows()[one]["goneAt"] == (noon + (hours + 3) * HOUR).replace(tzinfo=None)


def by_another_clock(lived, number, ahead):
    """Reads a day in its night, by a clock of ours that is wrong by so much."""
    at = lived.end(number) + NIGHT
    lived.portal.clock.set(at)
    with time_machine.travel(at + ahead, tick=True), lived.client() as client:
        lived.staging = Staging(lived.store, day_number(number))
        lived.extract(client, lived.staging)


@pytest.mark.samples(1)
@pytest.mark.parametrize("jumps", [(0, -50, 300, 0, 0), (20, 20, 20, 20), (-20, -20, -20)])
def test_a_clock_that_jumps_or_is_wrong_all_the_time(nights, jumps):
    lived = nights()
    for number, hours in enumerate(jumps):
        by_another_clock(lived, number, hours * HOUR)
        assert lived.is_right()


def test_a_night_in_which_too_much_has_changed_has_all_read(lived, monkeypatch, caplog):
    first = lived.staging.complete(SOURCE)
    monkeypatch.setattr(look, "FEW", 5)
    ids = lived.some(40)
    for one, other in zip(ids[::2], ids[1::2], strict=True):
        lived.portal.merge(CONTACTS, one, other, lived.end(0) + 3 * HOUR)
    second = lived.night(1)
    assert full(second, first)
    assert "have changed: all are read" in caplog.text
    assert lived.is_right()
    assert second.base is None or second.base.folder == second.folder


@pytest.mark.slow
def test_changes_that_are_many_are_written_together_with_their_base(lived, monkeypatch):
    first = lived.staging.complete(SOURCE)
    monkeypatch.setattr(changes, "FEW", 1)
    monkeypatch.setattr(look, "FEW", 1)
    monkeypatch.setattr(look, "MOST_CHANGED", 100)
    monkeypatch.setattr(changes, "MOST_APART", 30)
    for one in lived.some(10):
        lived.portal.archive(CONTACTS, one, lived.end(0) + 3 * HOUR)
    second = lived.night(1)
    assert second.base.folder == first.folder
    assert lived.is_right()
    for one in lived.some(30)[10:]:
        lived.portal.archive(CONTACTS, one, lived.end(1) + 3 * HOUR)
    third = lived.night(2)
    assert third.base is None
    assert third.counts["changed"]
    assert lived.is_right()
    lived.night(3)
    assert lived.is_right()


@pytest.mark.samples(2)
@pytest.mark.parametrize("fault", ["archive_first", "merge_first"])
@pytest.mark.parametrize("path", [LIST, BATCH])
@pytest.mark.parametrize("skip", [0, 1])
def test_what_ends_while_it_is_looked_for_was_there(nights, fault, path, skip):
    lived = nights(tick_ms=50)
    lived.night(0)
    lived.sandbox.faults.add(fault, path=path, skip=skip)
    lived.night(1)
    assert lived.is_right()
    lived.night(2)
    assert lived.is_right()


def test_what_comes_back_while_it_is_looked_for(lived, change):
    """It was missing from the list, and is no more archived when that is asked."""
    one, other = lived.some(2)
    lived.portal.archive(CONTACTS, one, lived.end(0) + 3 * HOUR)
    lived.portal.archive(CONTACTS, other, lived.end(0) + 3 * HOUR)
    back = []

    def restored(path, _, body):
        if path.endswith("/0-1") and body["results"] and not back:
            back.append(one)
            lived.portal.restore(CONTACTS, one)

    change(restored)
    lived.night(1)
    change(lambda *_: None)
    row = lived.rows()[one]
    assert row["gone"] is None
    assert lived.rows()[other]["gone"] == "archived"
    lived.night(2)
    assert lived.is_right()


@pytest.mark.parametrize("status", [400, 403])
def test_without_the_archived_ones_nothing_else_is_lost(lived, change, monkeypatch, status):
    one, other, merged, into, erased = lived.some(5)
    at = lived.end(0) + 3 * HOUR
    lived.portal.archive(CONTACTS, one, at)
    lived.portal.archive(CONTACTS, other, lived.end(1) + HOUR)
    lived.portal.merge(CONTACTS, merged, into, at)
    lived.portal.erase(CONTACTS, erased, at)
    send = httpx.HTTPTransport.handle_request

    def refused(self, request):
        if "archived=true" in str(request.url) and "/properties/" not in str(request.url):
            answer = {"status": "error", "message": "archived is not supported", "category": "X"}
            return httpx.Response(status, json=answer)
        return send(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refused)
    second = lived.night(1)
    assert second.counts[ARCHIVED_UNTOLD] == 1
    assert "changed" in second.counts
    assert lived.is_right(without={other})
    assert lived.rows()[merged]["gone"] == "merged"


def test_a_listing_that_misses_a_live_record_does_not_lose_it(lived):
    lived.sandbox.faults.add("lost_id", path=LIST)
    second = lived.night(1)
    assert not second.counts.get(RECORDS_ERASED)
    assert lived.is_right()
    assert not [each for each in lived.rows().values() if each["gone"] == "erased"]


@pytest.mark.parametrize("leads_on", [True, False])
def test_a_merged_record_is_told_of_by_its_survivor(nights, leads_on):
    lived = nights(merged_ids_lead_on=leads_on)
    lived.night(0)
    one, other = lived.some(2)
    at = lived.end(0) + 3 * HOUR
    lived.portal.merge(CONTACTS, one, other, at)
    lived.night(1)
    assert lived.is_right()
    assert lived.staging.complete(SOURCE).counts[RECORDS_ERASED] == 0
    made = lived.portal.fate(CONTACTS, one, lived.end(1)).merged_into
    for each in (one, other):
        row = lived.rows()[each]
        assert (row["gone"], row["goneAt"]) == ("merged", at.replace(tzinfo=None))
        assert row["mergedInto"] == made
    assert lived.rows()[made]["bornAt"] == at.replace(tzinfo=None)


def test_a_batch_that_says_nothing_of_a_merged_record(lived, change):
    one, other = lived.some(2)
    lived.portal.merge(CONTACTS, one, other, lived.end(0) + 3 * HOUR)

    def silent(path, asked, body):
        if "batch/read" in path:
            ids = {each["id"] for each in asked["inputs"]}
            body["results"] = [each for each in body["results"] if each["id"] in ids]
            body.pop("errors", None)

    change(silent, "POST")
    lived.night(1)
    assert lived.is_right()
    assert {lived.rows()[each]["gone"] for each in (one, other)} == {"merged"}


@pytest.mark.samples(1)
@pytest.mark.parametrize("again", [False, True])
def test_a_record_that_is_erased_is_counted_once(lived, monkeypatch, again):
    (one,) = lived.some()
    lived.portal.erase(CONTACTS, one, lived.end(0) + 3 * HOUR)
    if again:
        # So much has changed that all is read.
        monkeypatch.setattr(look, "FEW", 0)
        monkeypatch.setattr(look, "MOST_CHANGED", 0)
    second = lived.night(1)
    assert ("changed" in second.counts) != again
    assert second.counts[RECORDS_ERASED] == 1
    assert lived.is_right()
    assert lived.rows()[one]["gone"] == "erased"
    assert lived.night(2).counts[RECORDS_ERASED] == 0
    assert lived.rows()[one]["gone"] == "erased"
    lived.night(3)
    assert lived.is_right()


def test_records_that_are_in_no_answer_for_a_night_are_back(lived, change):
    hidden = set(map(str, lived.some(9)))

    def hide(path, asked, body):
        if "/objects/" in path:
            body["results"] = [each for each in body["results"] if each["id"] not in hidden]
            if asked and (ids := hidden & {each["id"] for each in asked["inputs"]}):
                body["errors"] = [{"category": "OBJECT_NOT_FOUND", "context": {"ids": [*ids]}}]

    with pytest.MonkeyPatch.context() as patch:
        for method in ("GET", "POST"):
            change(hide, method, patch)
        assert lived.night(1).counts[RECORDS_ERASED] == len(hidden)
        assert lived.is_right(without=set(map(int, hidden)))
    lived.night(2)
    assert lived.is_right()


def test_one_that_came_back_and_was_merged_is_counted(lived):
    one, other = lived.some(2)
    lived.portal.archive(CONTACTS, one, lived.end(0) + 3 * HOUR)
    lived.night(1)
    lived.portal.restore(CONTACTS, one, lived.end(2) + HOUR)
    lived.portal.merge(CONTACTS, one, other, lived.end(2) + 3 * HOUR)
    day = day_number(2)
    lived.staging = lived.read(lived.root, day, day.end + 4 * HOUR)
    with lived.at(day.end + 4 * HOUR):
        shown = lived.shown(lived.staging, CONTACTS)
    assert one not in shown.updated
    assert shown.unseen == 1


def test_one_that_two_merges_made_and_ended_between_readings_is_counted(lived):
    one, other, third = lived.some(3)
    lived.portal.merge(CONTACTS, one, other, lived.end(0) + 3 * HOUR)
    made = lived.portal.fate(CONTACTS, one, lived.end(0) + 4 * HOUR).merged_into
    lived.portal.merge(CONTACTS, made, third, lived.end(1) + HOUR)
    lived.night(1)
    assert lived.is_right(without={made})
    with lived.at(lived.end(1) + NIGHT):
        assert lived.shown(lived.staging, CONTACTS).unseen == 1
    assert lived.rows()[one]["mergedInto"] == made


def test_what_was_counted_of_records_that_have_not_changed_stays(nights, change):
    lived = nights()
    one = str(lived.some()[0])

    def odd(path, _, body):
        for each in body["results"] if "/objects/" in path else ():
            if each["id"] == one and "propertiesWithHistory" in each:
                each["propertiesWithHistory"]["createdate"][0]["timestamp"] = "some day"

    change(odd)
    assert lived.night(0).counts[MOMENTS_UNREAD] == 1
    assert lived.night(1).counts[MOMENTS_UNREAD] == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize("whole", [False, True])
def test_of_the_erased_no_new_reading_tells_for_ever(lived, whole):
    erased, archived = lived.some(2)
    lived.portal.erase(CONTACTS, erased, lived.end(0) + 3 * HOUR)
    lived.portal.archive(CONTACTS, archived, lived.end(0) + 3 * HOUR)
    first = lived.staging.complete(SOURCE)
    for number in (1, 28):
        # Under another plan all is read, and what was known before stays known.
        last = lived.night(number, portal=f"{number}" if whole else "here")
        assert full(last, first) == whole
        assert lived.rows()[erased]["gone"] == "erased"
    last = lived.night(33, portal="33" if whole else "here")
    assert erased not in lived.rows()
    assert archived in lived.rows()
    assert lived.is_right()
    for chunk in last.chunks():
        assert erased not in chunk.read("values")["id"]
    lived.night(34, portal="33" if whole else "here")
    assert erased not in lived.rows()
