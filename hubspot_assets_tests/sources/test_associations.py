"""Links of the sandbox portal, read once per pair, against what the portal says there is."""

from contextlib import contextmanager
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
from hubspot_assets.sources.associations import (
    DEFINITIONS,
    Definitions,
    extract_definitions,
    extract_links,
)
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, READ_AT

CONTACTS, COMPANIES, DEALS, TICKETS, QUOTES = "0-1", "0-2", "0-3", "0-5", "0-14"
CARS, ASSETS = "2-4410002", "2-4410011"
BATCH_READ = "/batch/read"


class Wire(httpx.HTTPTransport):
    """The network; keeps the batch reads of associations, as (path, number of inputs)."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def handle_request(self, request):
        if "/associations/" in request.url.path and request.url.path.endswith(BATCH_READ):
            pair = "/".join(request.url.path.split("/")[4:6])
            self.batches.append((pair, len(orjson.loads(request.content)["inputs"])))
        return super().handle_request(request)


class House:
    """A portal, a staged day, and what was asked on the wire."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.portal = sandbox.portal
        self.wire = Wire()
        self.staging = Staging(open_store(folder), DAY)
        self.client = HubSpot(
            BearerToken(sandbox.token), sandbox.url, transport=self.wire, sleep=lambda _: None
        )
        self.types = {each.id: each for each in discover(self.client).object_types}

    def _one_property(self, type_id):
        found = metadata.properties(self.client, type_id)
        return (each for each in found if each.content["name"] == "hs_object_id")

    def stage_records(self, *type_ids):
        """Stages the records of types that can be linked to each other, as a day's run does."""
        for type_id in type_ids:
            of = self.types[type_id]
            extract_items(self.staging, properties_source(of), partial(self._one_property, of.id))
            extract_records(
                self.client,
                self.staging,
                of,
                portal="test",
                workers=4,
                linked_types=[self.types[each] for each in type_ids],
            )

    def stage_number(self, type_id):
        """Stages how many records a type has, and none of them: enough for the larger side."""
        reading = self.staging.begin(object_source(self.types[type_id]), "number")
        reading.counts["records"] = self.portal.live_count(type_id, READ_AT)
        reading.finish(AVAILABLE, READ_AT)

    def read(self, first, second):
        """Reads the links of a pair; the staged pair."""
        pair = self.types[first], self.types[second]
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
    shared.read(CONTACTS, COMPANIES)
    companies = shared.portal.live_count(COMPANIES, shared.portal.clock.datetime())
    pairs = {pair for pair, _ in shared.wire.batches}
    assert pairs == {f"{COMPANIES}/{CONTACTS}"}
    assert shared.wire.batches[0][1] == companies < 1_000


def test_labels_that_leave_their_inverse_open_are_asked_for_on_the_other_side_alone(shared):
    shared.wire.batches.clear()
    staged = shared.read(CONTACTS, TICKETS)
    asked = [number for pair, number in shared.wire.batches if pair == f"{CONTACTS}/{TICKETS}"]
    labelled = {link[0] for link in links(staged, "forward") if link[2] == "USER_DEFINED"}
    assert sum(asked) == len(labelled) > 0
    assert sum(asked) < shared.portal.live_count(CONTACTS, shared.portal.clock.datetime()) / 4


def test_a_pair_without_links_costs_one_batch_however_many_records_there_are(build):
    with build(records=11_000) as house:
        house.stage_records(COMPANIES, QUOTES)
        house.stage_number(CONTACTS)
        house.wire.batches.clear()
        staged = house.read(COMPANIES, QUOTES)
        assert house.planned(COMPANIES, QUOTES) == set()
        assert (staged.chunks_staged, staged.availability.status) == (0, "available")
        assert [number for _, number in house.wire.batches] == [
            min(1_000, house.portal.live_count(QUOTES, READ_AT))
        ]
        house.wire.batches.clear()
        staged = house.read(COMPANIES, CONTACTS)
        companies = house.portal.live_count(COMPANIES, READ_AT)
        assert links(staged, "forward") == house.planned(COMPANIES, CONTACTS)
        assert [n for _, n in house.wire.batches if n > 1][: companies // 1_000] == [1_000] * (
            companies // 1_000
        )


def hub(links_of_a_pair):
    """The most links that one record has."""
    linked = {}
    for from_id, to_id, *_ in links_of_a_pair:
        linked.setdefault(from_id, set()).add(to_id)
    return max(map(len, linked.values()))


def test_a_record_with_more_links_than_a_page_has_all_of_them(build):
    with build(records=60_500) as house:
        house.stage_records(COMPANIES, DEALS)
        house.stage_number(CONTACTS)
        deals = links(house.read(CONTACTS, DEALS), "forward")
        assert deals == house.planned(CONTACTS, DEALS)
        assert hub(deals) >= 1_200
        contacts = links(house.read(COMPANIES, CONTACTS), "forward")
        assert contacts == house.planned(COMPANIES, CONTACTS)
        assert hub(contacts) >= 12_000


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


def test_links_are_found_even_where_records_tell_of_none(build):
    with build() as house:
        house.stage_records(CONTACTS, COMPANIES)
        for type_id in (CONTACTS, COMPANIES):
            path = f"staged/{DAY}/objects/{type_id}/_complete.json"
            note = orjson.loads(house.staging._store.get(path))
            note["counts"] = {
                name: 0 if name.startswith("linked/") else number
                for name, number in note["counts"].items()
            }
            house.staging._store.put(path, orjson.dumps(note))
        staged = house.read(CONTACTS, COMPANIES)
        assert links(staged, "forward") == house.planned(CONTACTS, COMPANIES) != set()


def test_the_moment_of_reading_is_that_of_the_answer(shared):
    before = datetime.now(UTC).replace(tzinfo=None)
    staged = shared.read(DEALS, QUOTES)
    read_at = pl.concat([chunk.read("forward") for chunk in staged.chunks()])["readAt"]
    assert before - timedelta(seconds=1) <= read_at.min() <= read_at.max()
    assert staged.observed_at.replace(tzinfo=None) == read_at.max()
