"""What has changed of records, by search: what a sweep finds, but for what moves no date."""

from __future__ import annotations

import logging
import random
from bisect import bisect_left
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import polars as pl
import pytest
import time_machine

from hubspot_assets.hubspot import ranges
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.records import PAGE_WITH_HISTORY
from hubspot_assets.hubspot.search import Search
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources import changes, look, searching, ways
from hubspot_assets.sources.flatten import epoch_milliseconds
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.properties import extract_properties
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import properties_source
from hubspot_assets.storage import open_store
from hubspot_assets.tables.records import as_of, history_cap
from hubspot_assets_tests.days import day_of
from hubspot_assets_tests.hubspot.fakes import FakeTime, client_of

CONTACTS, COMPANIES = "0-1", "0-2"
DAY = timedelta(days=1)
#: The night after 20 November: nothing is due that night, nor in the next ones (see `SWEEP_DAYS`).
FIRST = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
SWEEP_DAYS = 1_000


class Wire(httpx.HTTPTransport):
    """The network, which notes what was asked and edits answers to searches."""

    def __init__(self, edit=None):
        super().__init__()
        self.asked = Counter()
        self.edit = edit

    def handle_request(self, request):
        path = request.url.path.split("/")
        kind = "search" if path[-1] == "search" else "batch" if path[-1] == "read" else path[2]
        if kind == "objects":
            kind = "archived" if "archived" in request.url.params else "list"
        self.asked[kind] += 1
        answer = super().handle_request(request)
        if kind != "search" or self.edit is None or not answer.is_success:
            return answer
        body = orjson.loads(answer.read())
        self.edit(orjson.loads(request.content), body)
        return httpx.Response(answer.status_code, content=orjson.dumps(body))


class Nights:
    """A portal that is read night after night, into one state."""

    def __init__(self, sandbox, folder):
        self.sandbox, self.portal = sandbox, sandbox.portal
        self.store = open_store(folder)
        self.edit = None
        self.kind = {each.id: each for each in standard_catalog().object_types}
        self.asked = Counter()

    def read(self, at, type_id=CONTACTS, incremental="search", **options):
        """The reading of that night."""
        options = {"sweep_days": SWEEP_DAYS} | options
        self.portal.clock.set(at)
        kind, wire = self.kind[type_id], Wire(self.edit)
        self.staging = Staging(self.store, day_of((at - DAY).date().isoformat()))
        with (
            time_machine.travel(at, tick=True),
            HubSpot(
                BearerToken(self.sandbox.token),
                self.sandbox.url,
                transport=wire,
                max_attempts=2,
                sleep=lambda _: None,
            ) as client,
        ):
            extract_properties(client, self.staging, kind)
            staged = extract_records(
                client,
                self.staging,
                kind,
                portal="here",
                workers=2,
                incremental=incremental,
                **options,
            )
        self.asked = wire.asked
        return staged

    def differing(self, staged, at, type_id=CONTACTS):
        """Cells that are not as the portal had them at the end of the day before `at`, with its
        truth; sees that records and their dates are."""
        end = at.replace(hour=0, minute=0)
        kind = self.kind[type_id]
        defined = self.staging.complete(properties_source(kind))
        known = KnownProperties.of([each.content for each in read_items(defined)], set())
        updated, cells = {}, {}
        for chunk in staged.chunks():
            state = as_of(
                chunk.read("records"),
                chunk.read("values"),
                end.replace(tzinfo=None),
                cap=history_cap(type_id),
                modified_property=kind.modified_property,
            )
            updated.update(state.records.select("id", "updatedAt").iter_rows())
            cells |= {row[:2]: row[2] for row in state.values["id", "name", "value"].iter_rows()}
        truth = {each: self.portal.record(type_id, each, end) for each in updated}
        assert sorted(updated) == list(self.portal.live_ids(type_id, end))
        assert updated == {i: each.updated_at.replace(tzinfo=None) for i, each in truth.items()}
        names = set(known.names) - known.running
        found = []
        for record_id, record in truth.items():
            for name in names:
                value = record.properties.get(name) or None
                if value and name in known.moments:
                    value = str(epoch_milliseconds(value) or value)
                if (cells.get((record_id, name)) or None) != value:
                    found.append((record, name))
        return found, known


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """Builds portals that are searched however small they are."""
    monkeypatch.setattr(ways, "FEW", 0)
    monkeypatch.setattr(searching, "LISTED", 16)
    monkeypatch.setattr(searching, "ONE_OF", 10)

    @contextmanager
    def build(**options):
        own: dict[str, Any] = {"records": 300, "now": FIRST, "contact_properties": 60, **options}
        config = PortalConfig(burst=10**6, search_per_second=10**6, **own)
        with serve(config) as sandbox:
            yield Nights(sandbox, tmp_path / "state")

    return build


def fates(staged):
    """What became of each record that is gone, by id."""
    records = pl.concat(chunk.read("records") for chunk in staged.chunks())
    gone = records.filter(pl.col("gone").is_not_null())
    return {row[0]: row[1:] for row in gone.select("id", "gone", "mergedInto").iter_rows()}


@pytest.mark.slow
@pytest.mark.samples(1)
@pytest.mark.parametrize("type_id", [CONTACTS, COMPANIES])
def test_a_search_misses_what_moves_no_date_alone_and_the_next_sweep_finds_it(nights, type_id):
    with nights(records=500, index_lag_ms=20_000, archived_linger=True) as built:
        built.read(FIRST, type_id, "off")
        missed = []
        for night in range(1, 6):
            at = FIRST + night * DAY
            staged = built.read(at, type_id)
            assert built.asked["search"] >= 2
            assert built.asked["list"] == 0
            assert staged.swept_at < FIRST + timedelta(minutes=5) < staged.began
            missed, known = built.differing(staged, at, type_id)
            for record, name in missed:
                written = record.histories.get(name)
                since_it_was_modified = written and written[0].timestamp > record.updated_at
                assert since_it_was_modified or (not written and name in known.calculated)
            assert staged.counts["records"] == built.portal.live_count(type_id, at)
            assert "drift" not in staged.counts
        assert missed

        at = FIRST + 6 * DAY
        swept = built.read(at, type_id, "sweep")
        assert built.asked["search"] == 0 < built.asked["list"]
        assert swept.swept_at >= at
        dates = {record.record_id: record.updated_at for record, _ in missed}
        since = [built.portal.record(type_id, i, at).updated_at > dates[i] for i in dates]
        assert swept.counts["drift"] >= since.count(False) > 0
        assert swept.counts["records_missed_by_search"] == swept.counts["drift"]
        again = built.read(at + DAY, type_id, "sweep")
        assert (again.counts["drift"] > 0, again.counts["records_missed_by_search"]) == (True, 0)
        again, known = built.differing(swept, at, type_id)
        assert not [name for _, name in again if name in known.calculated]


def test_whoever_is_gone_is_found_by_counting(nights):
    with nights(records=600) as built:
        before = built.read(FIRST, incremental="off")
        at = FIRST + DAY
        live = [*built.portal.live_ids(CONTACTS, at)]
        quiet = [i for i in live if built.portal.record(CONTACTS, i, at).updated_at < FIRST - DAY]
        archived, erased, merged, into = quiet[10], quiet[200], quiet[201], quiet[400]
        built.portal.archive(CONTACTS, archived, at - timedelta(hours=3))
        built.portal.erase(CONTACTS, erased, at - timedelta(hours=3))
        built.portal.merge(CONTACTS, merged, into, at - timedelta(hours=3))
        planned = built.portal.record_changes(CONTACTS, before.began, at)
        ended = {
            each.record_id for each in planned if each.kind in ("archived", "erased", "merged")
        }
        assert {archived, erased, merged, into} <= ended

        staged = built.read(at)

        assert built.asked["list"] == 0
        known = fates(before)
        found = {i: fate for i, fate in fates(staged).items() if i not in known}
        assert found.keys() == ended
        born = built.portal.fate(CONTACTS, into, at).merged_into
        assert found[archived] == ("archived", None)
        assert found[erased] == ("erased", None)
        assert found[merged] == found[into] == ("merged", born)
        built.differing(staged, at)


def test_records_that_were_merged_are_told_by_the_one_they_live_on_in(nights):
    with nights(contact_properties=120) as built:
        built.read(FIRST, incremental="off")
        at = FIRST + DAY
        assert not [
            each
            for each in built.portal.record_changes(CONTACTS, FIRST, at)
            if each.kind in ("archived", "erased", "merged")
        ]
        merged, into = [*built.portal.live_ids(CONTACTS, at)][100:102]
        built.portal.merge(CONTACTS, merged, into, at - timedelta(hours=3))
        staged = built.read(at)
        assert built.asked["search"] == 2
        born = built.portal.fate(CONTACTS, into, at).merged_into
        assert fates(staged)[merged] == fates(staged)[into] == ("merged", born)


def test_what_was_modified_just_before_the_earlier_reading_is_read_again(nights):
    with nights() as built:
        modified = {
            record_id: built.portal.record(CONTACTS, record_id, FIRST).updated_at
            for record_id in built.portal.live_ids(CONTACTS, FIRST)
        }
        newest = max(modified, key=modified.get)
        began = modified[newest] + timedelta(minutes=4)
        built.read(began, incremental="off")
        staged = built.read(began + DAY)
        assert built.asked["list"] == 0
        records = pl.concat(chunk.read("records") for chunk in staged.chunks())
        read_at = dict(records.select("id", "readAt").iter_rows())
        assert read_at[newest].replace(tzinfo=UTC) >= began + DAY
        assert sum(each.replace(tzinfo=UTC) < began + DAY for each in read_at.values()) > 200


def test_a_record_that_is_archived_before_it_is_read_is_counted_as_gone(nights):
    with nights() as built:
        built.read(FIRST, incremental="off")
        built.sandbox.faults.add("archive_first", path="/0-1/batch/read$")
        staged = built.read(FIRST + DAY)
        assert not built.sandbox.faults.pending()
        assert staged.counts["records"] == built.portal.live_count(CONTACTS, FIRST + DAY)
        built.differing(staged, FIRST + DAY)


def test_when_all_was_looked_through_is_known_of_what_is_written_together_too(nights, monkeypatch):
    monkeypatch.setattr(changes, "FEW", 0)
    monkeypatch.setattr(changes, "MOST_APART", 0)
    with nights() as built:
        whole = built.read(FIRST, incremental="off")
        staged = built.read(FIRST + DAY)
        assert built.asked["list"] == 0
        assert staged.base is None
        assert staged.swept_at == whole.began


def test_a_restored_record_is_found(nights):
    with nights() as built:
        built.read(FIRST, incremental="off")
        away = next(iter(built.portal.live_ids(CONTACTS, FIRST)))
        built.portal.archive(CONTACTS, away, FIRST + timedelta(hours=2))
        assert fates(built.read(FIRST + DAY))[away] == ("archived", None)
        built.portal.restore(CONTACTS, away, FIRST + DAY + timedelta(hours=2))
        assert away not in fates(built.read(FIRST + 2 * DAY))
        assert built.asked["list"] == 0


def test_archived_records_are_not_listed_where_that_is_long(nights, monkeypatch):
    with nights() as built:
        built.read(FIRST, incremental="off")
        built.read(FIRST + DAY)
        assert built.asked["archived"] == 1
        monkeypatch.setattr(searching, "ARCHIVED_TO_LIVE", 10_000)
        staged = built.read(FIRST + 2 * DAY)
        assert built.asked["archived"] == 0
        built.differing(staged, FIRST + 2 * DAY)


def more(asked, body):
    body["total"] += 3


def fewer(asked, body):
    body["total"] = max(0, body["total"] - 1)


def capped(asked, body):
    body["total"] = min(body["total"], 10)


def hiding(asked, body):
    """Whoever is gone from the upper half of all."""
    _, *bounds = asked["filterGroups"][0]["filters"]
    body["total"] += [each["operator"] for each in bounds] == ["GTE"]


def miscounting(asked, body):
    """Another one than is listed, among the highest ids."""
    operators = [each["operator"] for each in asked["filterGroups"][0]["filters"][1:]]
    body["total"] -= asked["limit"] == 1 and "LT" not in operators


def without_total(asked, body):
    del body["total"]


def backwards(asked, body):
    body["results"].reverse()


LIES = (more, fewer, capped, hiding, miscounting, without_total, backwards)


@pytest.mark.samples("hiding")
@pytest.mark.parametrize("lie", LIES, ids=[each.__name__ for each in LIES])
def test_numbers_that_do_not_add_up_are_a_reason_to_sweep(nights, lie, caplog):
    with nights(records=600) as built, caplog.at_level(logging.WARNING):
        built.read(FIRST, incremental="off")
        at = FIRST + DAY
        built.portal.erase(CONTACTS, [*built.portal.live_ids(CONTACTS, at)][-150], at - DAY / 8)
        built.edit = lie
        staged = built.read(at)
        assert built.asked["search"] > 0 < built.asked["list"]
        assert "objects/0-1: the search does not tell what has changed" in caplog.text
        assert staged.swept_at == staged.began
        missed, known = built.differing(staged, at)
        assert not [name for _, name in missed if name in known.calculated]


def test_too_many_that_are_gone_are_a_reason_to_sweep(nights, monkeypatch, caplog):
    monkeypatch.setattr(searching, "ONE_OF", 100)
    with nights() as built:
        built.read(FIRST, incremental="off")
        at = FIRST + DAY
        for each in [*built.portal.live_ids(CONTACTS, at)][50:80]:
            built.portal.erase(CONTACTS, each, at - DAY / 8)
        staged = built.read(at)
        assert "it counts 3" in caplog.text
        assert built.asked["list"] > 0
        built.differing(staged, at)


@pytest.mark.parametrize("gone", [0, 20])
def test_twenty_that_are_gone_among_a_hundred_thousand_take_few_searches(gone):
    ids = range(500, 500 + 100_000 * 37, 37)
    missing = set(random.Random(7).sample(ids, gone))
    index = [each for each in ids if each not in missing]
    asked = 0

    def answer(request):
        nonlocal asked
        asked += 1
        body = orjson.loads(request.content)
        bounds = {
            each["operator"]: int(each["value"]) for each in body["filterGroups"][0]["filters"]
        }
        first = max(bounds.get("GTE", 0), bounds.get("GT", -1) + 1)
        start = bisect_left(index, first)
        end = bisect_left(index, bounds["LT"]) if "LT" in bounds else len(index)
        page = index[start:end][: body["limit"]]
        told = {"total": max(0, end - start), "results": [{"id": str(each)} for each in page]}
        return httpx.Response(200, content=orjson.dumps(told))

    search = Search(client_of(answer, FakeTime()), CONTACTS, "lastmodifieddate")
    found, strangers = searching.Counting(search, pl.Series("id", ids), workers=1).differing()
    assert sorted(found) == sorted(missing)
    assert strangers.is_empty()
    assert asked <= 1 + 13 * gone


@pytest.mark.slow
def test_a_property_that_hubspot_does_not_write_to_is_no_proof_of_silence(nights, caplog):
    """Contacts have one that is called as the modified date of all other types, and it is empty."""
    with nights(contact_properties=None) as built:
        kind = built.kind[CONTACTS]
        built.kind[CONTACTS] = replace(kind, modified_property="hs_lastmodifieddate")
        built.read(FIRST, incremental="off")
        built.read(FIRST + DAY)
        assert built.asked["search"] == 2
        assert built.asked["list"] > 0
        assert "more or fewer than the" in caplog.text
        built.kind[CONTACTS] = replace(kind, modified_property="hs_none")
        built.read(FIRST + 2 * DAY)
        assert built.asked["search"] == 0 < built.asked["list"]
        assert "has no property hs_none" in caplog.text


@pytest.mark.parametrize("fault", [{"status": 404, "form": "envelope"}, {"status": 503}])
def test_a_search_that_is_refused_or_down_costs_no_more_than_itself(nights, fault):
    with nights() as built:
        built.read(FIRST, incremental="off")
        built.sandbox.faults.add("status", path="/0-1/search$", times=100, **fault)
        staged = built.read(FIRST + DAY)
        assert built.asked["list"] > 0
        built.differing(staged, FIRST + DAY)


@pytest.mark.slow
def test_where_nearly_all_has_changed_all_is_read_and_little_searched(nights, monkeypatch, caplog):
    monkeypatch.setattr(look, "FEW", 10)
    before = datetime(2026, 7, 12, 1, 30, tzinfo=UTC)  # the bulk update comes at 03:12
    with nights(now=before, records=1500) as built:
        built.read(before, incremental="off")
        staged = built.read(before + DAY)
        assert "records have changed: all are read" in caplog.text
        live = built.portal.live_count(CONTACTS, before)
        of_ranges = live // (ranges.PAGES * PAGE_WITH_HISTORY) + 1  # which the list is read in
        most = live * look.MOST_CHANGED // 100 // 200 + 1
        assert 0 < built.asked["search"] <= most + of_ranges
        assert staged.swept_at == staged.began
        built.differing(staged, before + DAY)


@pytest.mark.slow
def test_a_type_is_swept_once_it_was_not_for_so_many_days(nights):
    with nights() as built:
        built.read(FIRST, incremental="off")
        ways_gone = []
        for night in range(1, 7):
            staged = built.read(FIRST + night * DAY, sweep_days=3)
            ways_gone.append(bool(built.asked["list"]))
            assert FIRST + night * DAY - staged.swept_at < 3 * DAY
        assert 2 <= sum(ways_gone) <= 3


def test_a_small_type_is_swept(nights, monkeypatch):
    with nights() as built:
        built.read(FIRST, incremental="off")
        monkeypatch.setattr(ways, "FEW", 1_000)
        built.read(FIRST + DAY)
        assert built.asked["search"] == 0 < built.asked["list"]
