"""Links of the sandbox portal, read once per pair, against what the portal says there is."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import orjson
import polars as pl
import pytest

from hubspot_assets.availability import AVAILABLE
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import discover
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import associations as sources
from hubspot_assets.sources.association_definitions import (
    DEFINITIONS,
    Definitions,
    extract_definitions,
)
from hubspot_assets.sources.associations import extract_links
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.days import day_of

CONTACTS, COMPANIES, DEALS, TICKETS, QUOTES = "0-1", "0-2", "0-3", "0-5", "0-14"
CARS, ASSETS = "2-4410002", "2-4410011"
BATCH_READ = "/batch/read"


class Wire(httpx.HTTPTransport):
    """The network; keeps the batch reads of associations, as (path, number of inputs).

    Each of `words` is replaced by another where an answer about associations has it, and from
    tickets to contacts the types `hidden` are not told.
    """

    def __init__(self):
        super().__init__()
        self.batches = []
        self.words = {}
        self.hidden = set()

    def handle_request(self, request):
        path = request.url.path
        if "/associations/" not in path:
            return super().handle_request(request)
        if path.endswith(BATCH_READ):
            pair = "/".join(path.split("/")[4:6])
            self.batches.append((pair, len(orjson.loads(request.content)["inputs"])))
        answer = super().handle_request(request)
        content = answer.read().decode()
        for word, other in self.words.items():
            content = content.replace(f'"{word}"', f'"{other}"')
        if self.hidden and f"/{TICKETS}/{CONTACTS}/" in path:
            content = orjson.dumps(self.without_hidden(orjson.loads(content))).decode()
        return httpx.Response(answer.status_code, content=content.encode())

    def without_hidden(self, body):
        results = [each for each in body["results"] if each.get("typeId") not in self.hidden]
        for to in (to for each in results for to in each.get("to", ())):
            types = to["associationTypes"]
            to["associationTypes"] = [of for of in types if of["typeId"] not in self.hidden]
        return body | {"results": results}


class House:
    """A portal, a staged day, and what was asked on the wire."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.portal = sandbox.portal
        self.wire = Wire()
        self.staging = Staging(open_store(folder), day_of(DAY))
        self.client = HubSpot(
            BearerToken(sandbox.token), sandbox.url, transport=self.wire, sleep=lambda _: None
        )
        self.types = {each.id: each for each in discover(self.client).object_types}

    def _one_property(self, type_id):
        found = metadata.properties(self.client, type_id)
        return (each for each in found if each.content["name"] == "hs_object_id")

    def stage_records(self, *type_ids):
        """Stages the records of types, as a day's run does."""
        for type_id in type_ids:
            of = self.types[type_id]
            extract_items(self.staging, properties_source(of), partial(self._one_property, of.id))
            extract_records(
                self.client,
                self.staging,
                of,
                portal="test",
                workers=4,
            )

    def stage_number(self, type_id, records=None):
        """Stages how many records a type has, and none of them: enough for the larger side."""
        reading = self.staging.begin(object_source(self.types[type_id]), "number")
        reading.counts["records"] = records or self.portal.live_count(type_id, READ_AT)
        reading.finish(AVAILABLE, READ_AT)

    def read(self, first, second, elsewhere=None):
        """Reads the links of a pair; the staged pair. A type may be served `elsewhere`."""
        here, there = (
            replace(self.types[each], api="own" if each == elsewhere else "crm")
            for each in (first, second)
        )
        pair = here, there
        extract_definitions(self.client, self.staging, [pair], 4)
        types = Definitions(self.staging.complete(DEFINITIONS))
        return extract_links(self.client, self.staging, pair, types, workers=4)

    def planned(self, first, second):
        return {
            (each.from_id, each.to_id, each.category, each.type_id, each.label)
            for each in self.portal.links(first, second, self.portal.clock.datetime())
        }


def links(staged, frame):
    found = [row[:5] for chunk in staged.chunks() for row in chunk.read(frame).iter_rows()]
    assert len(found) == len(set(found))
    return set(found)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A portal whose links no test changes, with the records of six types staged."""
    config = PortalConfig(records=1_500, now=READ_AT, burst=1_000_000, contact_properties=5)
    with serve(config) as sandbox:
        house = House(sandbox, tmp_path_factory.mktemp("state"))
        house.stage_records(CONTACTS, COMPANIES, DEALS, TICKETS, QUOTES, CARS, ASSETS)
        yield house


@pytest.fixture
def build(tmp_path):
    """Builds a portal of the test's own."""

    @contextmanager
    def built(**settings):
        config: dict[str, Any] = {
            "records": 60,
            "now": READ_AT,
            "burst": 1_000_000,
            "contact_properties": 5,
        }
        with serve(PortalConfig(**config | settings)) as sandbox:
            yield House(sandbox, tmp_path)

    return built


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CONTACTS, COMPANIES),
        (CONTACTS, DEALS),
        (COMPANIES, DEALS),
        (CONTACTS, TICKETS),
        (COMPANIES, COMPANIES),
        (CONTACTS, CONTACTS),
        (DEALS, QUOTES),
        (CONTACTS, CARS),
        (CARS, ASSETS),
    ],
)
def test_both_directions_are_as_the_portal_has_them(shared, first, second):
    staged = shared.read(first, second)
    forward = links(staged, "forward")
    assert forward == shared.planned(first, second) != set()
    if first != second:
        assert links(staged, "backward") == shared.planned(second, first)


def test_a_link_is_read_once_and_from_the_side_that_has_fewer_records(shared):
    shared.wire.batches.clear()
    shared.read(CONTACTS, DEALS)
    deals = shared.portal.live_count(DEALS, shared.portal.clock.datetime())
    assert shared.wire.batches == [(f"{DEALS}/{CONTACTS}", deals)]


def test_the_first_type_of_a_pair_may_be_the_one_with_fewer_records(build):
    with build() as house:
        house.stage_records(CONTACTS)
        house.stage_number(COMPANIES, records=1_000_000)
        staged = house.read(CONTACTS, COMPANIES)
        assert house.wire.batches[0][0] == f"{CONTACTS}/{COMPANIES}"
        assert links(staged, "forward") == house.planned(CONTACTS, COMPANIES) != set()
        assert links(staged, "backward") == house.planned(COMPANIES, CONTACTS)


def test_labels_that_leave_their_inverse_open_are_asked_for_on_the_other_side_alone(shared):
    shared.wire.batches.clear()
    staged = shared.read(CONTACTS, TICKETS)
    asked = [number for pair, number in shared.wire.batches if pair == f"{CONTACTS}/{TICKETS}"]
    labelled = {link[0] for link in links(staged, "forward") if link[2] == "USER_DEFINED"}
    assert sum(asked) == len(labelled) > 0
    assert sum(asked) < shared.portal.live_count(CONTACTS, shared.portal.clock.datetime()) / 4


#: Labels of tickets, and of contacts for the same links.
CROSSED = {"Reporter": "Parent", "Reported by": "Child", "Approver": "Child", "Approves": "Parent"}
ALIKE = dict.fromkeys(CROSSED, "Involved")


@pytest.mark.parametrize("words", [CROSSED, ALIKE], ids=["crossed", "alike"])
def test_labels_that_read_alike_are_not_taken_for_each_others_inverse(shared, words):
    def planned(first, second):
        return {(*link[:4], words.get(link[4])) for link in shared.planned(first, second)}

    shared.wire.words = words
    try:
        staged = shared.read(CONTACTS, TICKETS)
    finally:
        shared.wire.words = {}
    assert {type_id for _, _, _, type_id, _ in planned(TICKETS, CONTACTS)} >= {105, 106}
    assert links(staged, "forward") == planned(CONTACTS, TICKETS)
    assert links(staged, "backward") == planned(TICKETS, CONTACTS)


def test_a_type_that_one_side_does_not_tell_is_asked_for_on_the_other(shared):
    shared.wire.hidden = {105, 106}
    try:
        staged = shared.read(CONTACTS, TICKETS)
    finally:
        shared.wire.hidden = set()
    assert {link[3] for link in links(staged, "forward")} >= {107, 108}
    assert links(staged, "forward") == shared.planned(CONTACTS, TICKETS)


def test_where_one_side_alone_can_be_read_what_follows_is_there_and_the_rest_is_counted(shared):
    staged = shared.read(CONTACTS, TICKETS, elsewhere=TICKETS)
    assert links(staged, "forward") == shared.planned(CONTACTS, TICKETS)
    there = shared.planned(TICKETS, CONTACTS)
    open_ones = {link for link in there if link[4]}
    assert links(staged, "backward") == there - open_ones != set()
    assert staged.counts["links_of_unknown_inverse"] == len(open_ones) > 0
    both = shared.read(CONTACTS, TICKETS)
    assert "links_of_unknown_inverse" not in both.counts
    assert "links_of_unknown_inverse" not in shared.read(CONTACTS, CONTACTS).counts


def test_a_pair_without_links_is_asked_for_by_each_record_of_the_smaller_side(shared, monkeypatch):
    """That records tell of no link when they are listed proves nothing: names that HubSpot does
    not know there are ignored."""
    monkeypatch.setattr(sources, "BATCH", 10)
    shared.wire.batches.clear()
    staged = shared.read(COMPANIES, QUOTES)
    assert shared.planned(COMPANIES, QUOTES) == set()
    assert (staged.chunks_staged, staged.availability.status) == (0, "available")
    assert {pair for pair, _ in shared.wire.batches} == {f"{QUOTES}/{COMPANIES}"}
    quotes = shared.portal.live_count(QUOTES, shared.portal.clock.datetime())
    assert sum(number for _, number in shared.wire.batches) == quotes > 10


def test_a_pair_whose_first_batches_have_no_link_has_those_of_the_later_ones(shared, monkeypatch):
    planned = shared.planned(COMPANIES, COMPANIES)
    first, *_ = sorted(link[0] for link in planned)
    before = [each for each in shared.portal.live_ids(COMPANIES, READ_AT) if each < first]
    monkeypatch.setattr(sources, "BATCH", len(before))
    assert links(shared.read(COMPANIES, COMPANIES), "forward") == planned != set()
    assert before


def hub(links_of_a_pair):
    """The most links that one record has."""
    linked = {}
    for from_id, to_id, *_ in links_of_a_pair:
        linked.setdefault(from_id, set()).add(to_id)
    return max(map(len, linked.values()))


def test_a_record_with_more_links_than_a_page_has_all_of_them(build):
    with build(records=6_500) as house:
        house.stage_records(COMPANIES)
        house.stage_number(CONTACTS)
        contacts = links(house.read(COMPANIES, CONTACTS), "forward")
        assert contacts == house.planned(COMPANIES, CONTACTS)
        assert hub(contacts) > 1_000, "no record has more than two pages"


def test_a_batch_that_is_refused_is_halved_until_the_record_at_fault_is_named(build):
    with build() as house:
        house.stage_records(CONTACTS, COMPANIES)
        bad, *_ = house.portal.live_ids(COMPANIES, READ_AT)
        house.sandbox.faults.add("poisoned_id", times=100, record_id=str(bad), path="associations")
        staged = house.read(CONTACTS, COMPANIES)
        missing = {link for link in house.planned(COMPANIES, CONTACTS) if link[0] == bad}
        expected = house.planned(COMPANIES, CONTACTS) - missing
        assert links(staged, "backward") == expected != set()
        refused = [row for chunk in staged.chunks() for row in chunk.read("refused").iter_rows()]
        assert [record_id for record_id, _ in refused] == [str(bad)]
        assert staged.counts["records_refused"] == 1


def test_a_record_that_is_gone_by_then_has_no_links_and_harms_none(build):
    with build() as house:
        house.stage_records(CONTACTS, COMPANIES)
        gone, *_ = house.portal.live_ids(COMPANIES, READ_AT)
        house.portal.erase(COMPANIES, gone, READ_AT - timedelta(seconds=1))
        staged = house.read(CONTACTS, COMPANIES)
        assert links(staged, "forward") == house.planned(CONTACTS, COMPANIES) != set()
        assert gone not in {link[1] for link in links(staged, "forward")}


def test_a_pair_that_may_not_be_read_says_which_scope_is_missing(build):
    with build(without_scopes=frozenset({"crm.objects.companies.read"})) as house:
        house.stage_records(CONTACTS, COMPANIES)
        staged = house.read(CONTACTS, COMPANIES)
        assert staged.chunks_staged == 0
        assert staged.availability.status == "missing_scope"
        assert "crm.objects.companies.read" in staged.availability.detail


def test_the_moment_of_reading_is_that_of_the_answer(shared):
    before = datetime.now(UTC).replace(tzinfo=None)
    staged = shared.read(DEALS, QUOTES)
    read_at = pl.concat([chunk.read("forward") for chunk in staged.chunks()])["readAt"]
    assert before - timedelta(seconds=1) <= read_at.min() <= read_at.max()
    assert staged.observed_at.replace(tzinfo=None) == read_at.max()
