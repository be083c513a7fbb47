"""Extractions into the staged day: going on after a crash, starting over, and closed types."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event, Thread
from urllib.parse import parse_qs

import httpx
import orjson
import polars as pl
import pytest

from hubspot_assets.hubspot import metadata, ranges
from hubspot_assets.hubspot import records as pages
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import GaveUp, MissingScope
from hubspot_assets.readings.reading import Reading
from hubspot_assets.readings.staging import NotStagedError, Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import record_chunks
from hubspot_assets.sources.items import extract_items, read_items
from hubspot_assets.sources.object_types import extract_object_types
from hubspot_assets.sources.properties import extract_properties
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets_tests.days import day_of

DAY = "2026-11-22"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
CONTACTS = "0-1"
LIST = r"^GET /crm/objects/[^/]+/0-1$"
BATCH = r"^POST /crm/objects/[^/]+/0-1/batch/read$"
#: Records that a request brings here, where fewer do as well.
PAGE = 20
#: By plan of reading: the portal's number of contact properties, the request that dies, how
#: many of its kind are served before that, and the records that are staged by then.
FEW = 120
PLANS = {
    "names in the URL": (FEW, LIST, 3, 3 * PAGE),
    "names in the body": (None, BATCH, 5, 4 * PAGE),
}


class Wire(httpx.HTTPTransport):
    """The network, with a memory of what was asked."""

    def __init__(self, refused=()):
        super().__init__()
        self.requests = []
        self.refused = refused

    def handle_request(self, request):
        self.requests.append(request)
        after, limit = (request.url.params.get(name) for name in ("after", "limit"))
        if after in self.refused:
            return httpx.Response(400, json={"status": "error", "message": "after is not valid"})
        if self.refused and after is None and limit not in (None, "1"):
            self.refused.clear()  # a cursor that is given again is as good as new
        return super().handle_request(request)

    def cursors(self):
        """The cursors of the list requests, probes left out; None at the start."""
        asked = [parse_qs(each.url.query.decode()) for each in self.requests]
        live = [each for each in asked if "archived" not in each]
        lists = [each for each in live if each.get("limit") not in (None, ["1"])]
        return [each.get("after", [None])[0] for each in lists]

    def batches(self):
        """The ids that batch reads asked for."""
        bodies = [
            orjson.loads(each.content)
            for each in self.requests
            if each.method == "POST" and "archived" not in each.url.params
        ]
        return [int(each["id"]) for body in bodies for each in body["inputs"]]


class House:
    """A sandbox, a folder for the staged day, and what was asked on the wire lately."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.store = open_store(folder)
        self.staging = Staging(self.store, day_of(DAY))
        self.refused = set()
        self.new_wire = lambda: Wire(self.refused)
        self.wire = self.new_wire()

    @contextmanager
    def client(self):
        """A client that tries everything once and waits for nothing."""
        self.wire = self.new_wire()
        auth = BearerToken(self.sandbox.token)
        with HubSpot(
            auth, self.sandbox.url, transport=self.wire, max_attempts=1, sleep=lambda _: None
        ) as client:
            yield client

    def kind(self, type_id=CONTACTS):
        return next(each for each in standard_catalog().object_types if each.id == type_id)

    def properties(self, type_id=CONTACTS, without=()):
        kind = self.kind(type_id)
        with self.client() as client:
            if not without:
                return extract_properties(client, self.staging, kind)
            every = metadata.properties(client, type_id)
            kept = [each for each in every if each.content["name"] not in without]
        return extract_items(self.staging, properties_source(kind), lambda: iter(kept))

    def records(self, type_id=CONTACTS, portal="here", workers=1):
        """All of them, whatever was read before."""
        with self.client() as client:
            return extract_records(
                client,
                self.staging,
                self.kind(type_id),
                portal=portal,
                workers=workers,
                incremental="off",
            )

    def complete(self):
        return self.staging.complete(object_source(self.kind()))

    def live(self):
        return list(self.sandbox.portal.live_ids(CONTACTS, NOW))

    def break_off(self, path=LIST, skip=3, workers=1):
        """A reading that dies at a request, after `skip` others of its kind."""
        self.sandbox.faults.add("internal_error", times=10_000, path=path, skip=skip)
        try:
            with pytest.raises(GaveUp):
                self.records(workers=workers)
        finally:
            self.sandbox.faults.clear()


@pytest.fixture
def house(tmp_path):
    """Builds houses: each with a portal and a folder of its own."""
    with ExitStack() as portals:

        def build(**config):
            own = PortalConfig(records=120, now=NOW, burst=100_000, **config)
            return House(portals.enter_context(serve(own)), tmp_path / "house")

        yield build


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """A chunk is staged with every page that can end one, and pages are small."""
    monkeypatch.setattr(pages, "PAGE_WITH_HISTORY", PAGE)
    monkeypatch.setattr(pages, "BATCH", PAGE)
    monkeypatch.setattr(pages, "PAGE_OF_IDS", 2 * PAGE)
    monkeypatch.setattr(record_chunks, "CHUNK_VALUES", 1)
    monkeypatch.setattr(record_chunks, "_FLATTENED_AT_ONCE", 1)


def content(staged):
    """The live records that are staged, but for the moments of reading, which no two readings
    share."""
    chunks = list(staged.chunks())
    records = pl.concat(chunk.read("records") for chunk in chunks).filter(pl.col("gone").is_null())
    values = pl.concat(chunk.read("values") for chunk in chunks).drop("seenSince")
    live = values.join(records, on="id", how="semi", maintain_order="left")
    return records.drop("readAt").rows(), live.rows()


def ids(staged):
    return [row[0] for row in content(staged)[0]]


@pytest.mark.samples(1)
@pytest.mark.parametrize("plan", PLANS)
def test_a_reading_that_died_goes_on_from_its_checkpoint(house, plan, tmp_path):
    properties, path, served, staged_before = PLANS[plan]
    broken = house(contact_properties=properties)
    live = broken.live()
    assert len(live) > staged_before + PAGE
    broken.properties()
    broken.break_off(path, served)
    first_cursors = broken.wire.cursors()
    assert first_cursors[0] is None
    with pytest.raises(NotStagedError):
        broken.complete()

    staged = broken.records()

    # No page of what was staged by then is asked for again: cursors stand behind its last id.
    cursors = broken.wire.cursors()
    assert cursors
    assert all(cursor and int(cursor) > live[staged_before - 1] for cursor in cursors)
    if path == BATCH:
        assert broken.wire.batches() == live[staged_before:]
    else:
        assert len(cursors) == -(-(len(live) - staged_before) // PAGE)

    undisturbed = House(broken.sandbox, tmp_path / "undisturbed")
    undisturbed.properties()
    whole = undisturbed.records()
    assert content(staged) == content(whole)
    assert ids(staged) == live
    assert staged.counts == whole.counts
    assert staged.counts["records"] == len(live)


@pytest.mark.samples(1)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("skip", [4, 1, 2, 7])
def test_a_reading_in_ranges_of_ids_goes_on_from_its_checkpoint(house, plan, skip, monkeypatch):
    for module, name, number in (
        (pages, "PAGE_WITH_HISTORY", 5),
        (pages, "PAGE_OF_IDS", 5),
        (ranges, "ALONE", 1),
        (ranges, "PAGES", 2),
    ):
        monkeypatch.setattr(module, name, number)
    broken = house(contact_properties=PLANS[plan][0])
    broken.properties()
    broken.break_off(LIST, skip, workers=3)
    staged = broken.records(workers=3)
    assert ids(staged) == broken.live()
    monkeypatch.setattr(ranges, "ALONE", 1_000)
    undisturbed = broken.records(workers=3)
    assert content(staged) == content(undisturbed)
    assert staged.counts == undisturbed.counts


class Room:
    """A place in memory that is given once it is let go."""

    def __init__(self):
        self.asked, self.given, self.released = Event(), Event(), 0

    def acquire(self):
        self.asked.set()
        return self.given.wait(20)

    def release(self):
        self.released += 1


def test_a_large_type_waits_while_others_are_in_memory(house, monkeypatch):
    built = house(contact_properties=FEW)
    built.properties()
    monkeypatch.setattr(record_chunks, "_large", room := Room())
    reading = Thread(target=built.records)
    reading.start()
    assert room.asked.wait(20)
    with pytest.raises(NotStagedError):
        built.complete()
    room.given.set()
    reading.join()
    assert ids(built.complete()) == built.live()
    built.break_off()
    assert room.released == 2


@pytest.mark.parametrize("plan", PLANS)
def test_a_reading_whose_cursor_is_no_longer_taken_begins_anew(house, plan, caplog):
    properties, path, served, _ = PLANS[plan]
    broken = house(contact_properties=properties)
    broken.properties()
    broken.break_off(path, served)
    (left,) = (each.path for each in broken.store.list("readings") if "_checkpoint" in each.path)
    checkpoint = orjson.loads(broken.store.get(left))
    broken.refused = {checkpoint["after"]}

    staged = broken.records()
    cursors = broken.wire.cursors()
    begun = cursors.index(None)
    assert set(cursors[:begun]) == {checkpoint["after"]}
    assert checkpoint["after"] in cursors[begun:]
    assert ids(staged) == broken.live()
    assert staged.counts["records"] == len(broken.live())
    assert "objects/0-1 is read anew" in caplog.text


def test_a_reading_that_dies_again_and_again_arrives_all_the_same(house):
    broken = house(contact_properties=FEW)
    broken.properties()
    for _ in range(4):
        broken.break_off(LIST, skip=1)
    staged = broken.records()
    assert len(broken.wire.cursors()) == -(-len(broken.live()) // PAGE) - 4
    assert ids(staged) == broken.live()
    assert staged.counts["records"] == len(broken.live())


def test_a_reading_that_died_before_its_end_was_noted_reads_nothing_again(house, monkeypatch):
    broken = house(contact_properties=FEW)
    broken.properties()
    with monkeypatch.context() as patch:
        patch.setattr(Reading, "finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            broken.records()
    staged = broken.records()
    assert broken.wire.cursors() == []
    assert ids(staged) == broken.live()


def test_a_complete_reading_is_not_gone_on_from(house):
    built = house(contact_properties=FEW)
    built.properties()
    before = ids(built.records())
    built.sandbox.portal.archive(CONTACTS, before[0], NOW)
    assert ids(built.records()) == before[1:]
    assert built.wire.cursors()[0] is None


@pytest.mark.slow
def test_a_new_reading_serves_in_the_former_s_place_once_it_is_complete(house):
    built = house(contact_properties=FEW)
    built.properties()
    former = built.records()
    before = content(former)
    built.sandbox.portal.archive(CONTACTS, former_first := ids(former)[0], NOW)

    built.break_off(LIST, skip=3)
    assert built.complete() == former
    assert content(built.complete()) == before

    later = built.records()
    assert later.folder != former.folder
    assert content(built.complete()) == content(later)
    assert ids(later) == built.live()
    assert former_first not in ids(later)
    assert content(former) == before
    left = [entry.path for entry in built.store.list("readings/objects/0-1")]
    assert {path.rpartition("/")[0] for path in left} == {former.folder, later.folder}
    assert len(left) == 2 + 2 * former.chunks_staged + 2 * later.chunks_staged


@pytest.mark.samples(1)
@pytest.mark.parametrize("changed", ["properties", "portal"])
def test_another_plan_starts_over(house, changed):
    built = house(contact_properties=FEW)
    built.properties()
    built.break_off(LIST, skip=3)
    if changed == "properties":
        built.properties(without={"city"})
        staged = built.records()
    else:
        staged = built.records(portal="there")
    cursors = built.wire.cursors()
    assert cursors[0] is None
    assert len(cursors) == -(-len(built.live()) // PAGE)
    assert ids(staged) == built.live()
    names = {row[1] for row in content(staged)[1]}
    assert ("city" in names) == (changed == "portal")
    assert staged.counts["records"] == len(built.live())


def test_what_is_gone_while_it_is_read_is_counted(house):
    # With names in the body: records are listed before they are read.
    built = house(primary_ids_last=True, merged_ids_lead_on=False)
    built.properties()
    built.sandbox.faults.add("archive_first", path=BATCH, skip=1)
    built.sandbox.faults.add("merge_first", path=BATCH, skip=2)
    before = built.live()
    staged = built.records()
    assert len(built.live()) == len(before) - 2
    assert ids(staged) == built.live()
    assert staged.counts["records_gone_while_reading"] == 2
    assert staged.counts["records"] == len(before) - 2


class Spoiling(Wire):
    """The network to a portal that refuses whatever would tell of a record's histories."""

    def __init__(self, record_id):
        super().__init__()
        self.told = f'"id":"{record_id}"'.encode()

    def handle_request(self, request):
        answer = super().handle_request(request)
        content = answer.read()
        if self.told in content and b"propertiesWithHistory" in content:
            return httpx.Response(400, json={"status": "error", "message": "no valid value"})
        return httpx.Response(answer.status_code, content=content)


@pytest.mark.parametrize("archived", [False, True])
def test_a_record_that_is_refused_is_counted_an_archived_one_too(house, archived):
    built = house(contact_properties=FEW)
    built.properties()
    bad, *others = built.live()[30:33]
    for each in (bad, *others) if archived else ():
        built.sandbox.portal.archive(CONTACTS, each, NOW - timedelta(hours=1))
    built.new_wire = lambda: Spoiling(bad)
    staged = built.records()
    assert staged.counts["records_unread"] == 1
    assert ids(staged) == [each for each in built.live() if each != bad]


class Archiving(Wire):
    """The network to a portal that archives a property once records are read."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def handle_request(self, request):
        answer = super().handle_request(request)
        of_properties = "/crm/properties/" in request.url.path
        body = orjson.loads(answer.read())
        if of_properties:
            kept = [each for each in body["results"] if each["name"] != self.name]
            body["results"] = kept if request.url.params["archived"] == "false" else body["results"]
        for record in () if of_properties else body["results"]:
            record["properties"].pop(self.name, None)
            record.get("propertiesWithHistory", {}).pop(self.name, None)
        return httpx.Response(answer.status_code, content=orjson.dumps(body))


@pytest.mark.samples(1)
@pytest.mark.parametrize("number", [FEW, None])
def test_a_property_that_is_archived_before_its_values_are_read_is_counted(house, number):
    built = house(contact_properties=number)
    built.properties()
    whole = built.records()
    assert whole.counts["properties_archived_while_reading"] == 0
    before = ids(whole), {name for _, name, *_ in content(whole)[1]}
    built.new_wire = lambda: Archiving("firstname")
    without = built.records()
    assert without.counts["properties_archived_while_reading"] == 1
    assert ids(without) == before[0]
    assert {name for _, name, *_ in content(without)[1]} == before[1] - {"firstname"} != before[1]


@pytest.mark.parametrize(
    ("type_id", "status", "told"),
    [
        ("0-2", "missing_scope", "crm.objects.companies.read"),
        ("0-410", "not_enabled", "0-410"),
        ("0-30", "no_public_api", "0-30"),
    ],
)
def test_a_type_that_cannot_be_read_is_staged_empty_with_its_availability(
    house, type_id, status, told
):
    built = house(without_scopes=frozenset({"crm.objects.companies.read"}))
    built.properties(type_id)
    staged = built.records(type_id)
    assert staged.availability.status == status
    assert told in staged.availability.detail
    assert list(staged.chunks()) == []
    assert len(built.wire.requests) <= 4
    assert built.staging.complete(object_source(built.kind(type_id))) == staged


def test_a_type_that_is_closed_in_the_middle_of_its_reading_is_not_staged_in_part(house):
    built = house(contact_properties=FEW)
    built.properties()
    former = built.records()
    built.break_off(LIST, skip=3)
    scopes = built.sandbox.portal.scopes
    built.sandbox.portal.scopes = scopes - {"crm.objects.contacts.read"}
    with pytest.raises(MissingScope, match=r"crm\.objects\.contacts\.read"):
        built.records()
    assert built.complete() == former
    built.sandbox.portal.scopes = scopes
    assert content(built.records()) == content(built.complete())
    assert ids(built.complete()) == built.live()


def test_properties_that_cannot_be_read_are_staged_empty_with_their_availability(house):
    closed = frozenset({"crm.objects.companies.read", "crm.schemas.companies.read"})
    built = house(without_scopes=closed)
    for type_id, status in (("0-2", "missing_scope"), ("0-410", "not_enabled")):
        staged = built.properties(type_id)
        assert staged.availability.status == status
        assert list(read_items(staged)) == []


def test_every_type_is_staged_with_its_table_and_whether_it_can_be_read(house):
    built = house(plan="pro", without_scopes=frozenset({"tickets"}))
    portal = built.sandbox.portal
    pairs = [(each, f"TABLE_{each.id}") for each in standard_catalog().object_types]
    with built.client() as client:
        staged = extract_object_types(client, built.staging, pairs, standard_catalog().object_types)
    served = {kind.object_type_id: kind for kind in portal.object_types()}
    expected = {}
    for each, table in pairs:
        kind = served.get(each.id)
        if kind is None and each.api == "none":
            status = "no_public_api"
        elif kind is None:
            status = "available"  # by its own API
        elif not portal.is_enabled(kind):
            status = "not_enabled"
        else:
            status = "available" if kind.read_scope in portal.scopes else "missing_scope"
        expected[each.id] = (table, status)
    assert {status for _, status in expected.values()} == {
        "no_public_api",
        "not_enabled",
        "available",
        "missing_scope",
    }
    assert {
        content["id"]: (content["table"], content["availability"])
        for content, _ in read_items(staged)
    } == expected


def test_owners_that_cannot_be_read_are_staged_empty(house):
    built = house(without_scopes=frozenset({"crm.objects.owners.read"}))
    with built.client() as client:
        staged = extract_items(built.staging, "owners", lambda: metadata.owners(client))
    assert staged.availability.status == "missing_scope"
    assert "crm.objects.owners.read" in staged.availability.detail
    assert list(read_items(staged)) == []


def test_a_chunk_ends_with_the_page_that_fills_it(house, monkeypatch):
    built = house(contact_properties=FEW)
    built.properties()
    monkeypatch.setattr(record_chunks, "CHUNK_VALUES", 10_000_000)
    whole = built.records()
    assert whole.base.chunks == 1
    before = content(whole)
    monkeypatch.setattr(record_chunks, "CHUNK_VALUES", len(before[1]) // 2)
    halves = built.records()
    assert halves.base.chunks == 2
    assert content(halves) == before


@pytest.mark.samples(2)
@pytest.mark.parametrize("fault", ["repeated_record", "repeated_page"])
@pytest.mark.parametrize("chunk", [1, 10_000_000], ids=["many chunks", "one chunk"])
def test_records_that_come_again_are_there_once_as_they_were_told_last(
    house, monkeypatch, fault, chunk
):
    monkeypatch.setattr(record_chunks, "CHUNK_VALUES", chunk)
    built = house(contact_properties=FEW)
    built.properties()
    live = built.live()
    built.sandbox.faults.add(fault, path=LIST, skip=2)
    # A page told again takes the place of the one that should have come.
    again = [live[2 * PAGE - 1]] if fault == "repeated_record" else live[PAGE : 2 * PAGE]
    expected = live if fault == "repeated_record" else live[: 2 * PAGE] + live[3 * PAGE :]
    change_name_on(built, again[-1], page=3)
    staged = built.records()
    assert ids(staged) == expected
    assert staged.counts["records"] == len(expected)
    assert staged.counts["told_twice"] == len(again)
    rows = content(staged)[1]
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    names = [row[2] for row in rows if row[:2] == (again[-1], "lastname")]
    assert names[-1] == "Told last"
    # Whatever is streamed from these chunks comes in order of ids.
    bounds = [chunk.read("records", ["id"])["id"] for chunk in staged.chunks()]
    assert all(before[-1] < after[0] for before, after in pairwise(bounds))
    assert not any("chunks_not_in_order" in name for name in staged.counts)


def test_a_reading_whose_records_come_again_after_a_crash_has_them_once(house):
    built = house(contact_properties=FEW)
    built.properties()
    live = built.live()
    built.break_off(LIST, skip=3)
    built.sandbox.faults.add("repeated_page", path=LIST)
    staged = built.records()
    found = ids(staged)
    assert found == sorted(set(found))
    assert set(found) < set(live)
    assert staged.counts["told_twice"] == PAGE
    assert staged.counts["records"] == len(found)


def change_name_on(house, record_id, page):
    """From a page of the list on, the answer has another name of a record."""
    listings = 0

    def changed(self, request):
        nonlocal listings
        answer = Wire.handle_request(self, request)
        listed = request.method == "GET" and request.url.path.endswith("/0-1")
        listings += listed and f"limit={PAGE}" in str(request.url)
        body = orjson.loads(answer.read())
        for record in body.get("results", ()) if listings >= page else ():
            if record["id"] == str(record_id):
                record["properties"]["lastname"] = "Told last"
                record["propertiesWithHistory"]["lastname"].insert(
                    0, {"value": "Told last", "timestamp": "2026-11-23T05:00:00.000Z"}
                )
        return httpx.Response(answer.status_code, content=orjson.dumps(body))

    changing = type("Changed", (Wire,), {"handle_request": changed})
    house.new_wire = lambda: changing(house.refused)


def test_a_full_reading_keeps_what_an_earlier_one_knew_and_hubspot_has_dropped(house):
    """A property is gone from the list, so that all is read: of another list of properties."""
    built = house(contact_properties=FEW)
    built.properties()
    former = built.records()
    erased = ids(former)[3]
    built.sandbox.portal.erase(CONTACTS, erased, NOW)
    built.properties(without={"city"})
    with built.client() as client:
        staged = extract_records(
            client, built.staging, built.kind(), portal="here", workers=1, incremental="auto"
        )
    assert staged.base_folder == staged.folder
    assert erased not in ids(staged)
    records = pl.concat(chunk.read("records") for chunk in staged.chunks())
    values = pl.concat(chunk.read("values") for chunk in staged.chunks())
    (row,) = records.filter(pl.col("id") == erased).rows(named=True)
    assert (row["gone"], row["goneAt"]) == ("erased", to_ms(former.began))
    before = pl.concat(chunk.read("values") for chunk in former.chunks())
    of_erased = pl.col("id") == erased
    columns = ["name", "value", "timestamp"]
    assert values.filter(of_erased).select(columns).equals(before.filter(of_erased).select(columns))


def to_ms(moment):
    """As frames have it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=None)
