"""Readings that were broken off: gone on with while HubSpot takes their cursor, else read anew."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hubspot_assets.hubspot.errors import GaveUp, HubSpotError
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets.readings.staging import NotStagedError, Staging
from hubspot_assets.sources import events
from hubspot_assets.sources.events import (
    EMAIL_EVENTS,
    event_source,
    extract_email_events,
    extract_events,
)
from hubspot_assets.storage import open_store
from hubspot_assets_tests.days import day_of
from hubspot_assets_tests.hubspot.fakes import FakeTime, client_of, error, html, ok

DAY = "2026-11-22"
WINDOW = (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
NAME = "e_visited_page"
NOON = 1_795_348_800_000  # 2026-11-22 12:00 UTC
PAGES = 6


class Portal:
    """Events on pages of one, page n behind the cursor n; `answers` are given instead, by cursor.

    The first page has the cursor 0. Cursors carry the `generation` in which they were given, and
    are refused by later ones.
    """

    def __init__(self, refusal=None):
        self.answers = {}
        self.asked = []
        self.generation = 1
        self.refusal = refusal or error(400, message="the cursor is not valid")

    def __call__(self, request):
        params = request.url.params
        cursor = params.get("after") or params.get("offset") or f"{self.generation}-0"
        generation, page = map(int, cursor.split("-"))
        self.asked.append(page)
        if page in self.answers:
            return self.answers[page]
        if generation != self.generation:
            return self.refusal
        following = f"{generation}-{page + 1}" if page + 1 < PAGES else None
        if "email" in request.url.path:
            event = {
                "id": f"m{page}",
                "type": "OPEN",
                "created": NOON,
                "recipient": "a@example.com",
            }
            more = {"hasMore": following is not None, "offset": following or cursor}
            return ok({"events": [event], **more})
        event = {
            "id": f"v{page}",
            "eventType": NAME,
            "objectType": "CONTACT",
            "objectId": "7",
            "occurredAt": "2026-11-22T12:00:00Z",
        }
        paging = {"paging": {"next": {"after": following}}} if following else {}
        return ok({"results": [event]} | paging)


class House:
    """A staged day, and one kind of events that is read into it."""

    def __init__(self, kind, folder, portal):
        self.kind, self.portal = kind, portal
        self.staging = Staging(open_store(folder), day_of(DAY))
        self.source = EMAIL_EVENTS if kind == "email" else event_source(NAME)

    def read(self, versions=None, window=WINDOW, portal="here"):
        self.portal.asked.clear()
        client = client_of(self.portal, FakeTime(), paths=Paths(versions or {}), max_attempts=2)
        with client:
            if self.kind == "email":
                return extract_email_events(client, self.staging, window, portal=portal)
            return extract_events(client, self.staging, NAME, window, portal=portal)

    def break_off(self, page=3):
        self.portal.answers[page] = error(500)
        with pytest.raises(GaveUp):
            self.read()
        self.portal.answers.clear()

    def ids(self):
        chunks = self.staging.complete(self.source).chunks()
        return [each for chunk in chunks for each in chunk.read("events")["id"]]

    @property
    def all_ids(self):
        return [f"{'m' if self.kind == 'email' else 'v'}{page}" for page in range(PAGES)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(events, "CHUNK_VALUES", 1)


@pytest.fixture(params=["email", "events"])
def house(request, tmp_path):
    return House(request.param, tmp_path / "state", Portal())


def test_a_reading_that_was_broken_off_goes_on(house):
    house.break_off()
    staged = house.read()
    assert house.portal.asked[: PAGES - 3] == [3, 4, 5]
    assert house.ids() == house.all_ids
    assert staged.counts["events"] == PAGES


REFUSALS = {
    "400": error(400, message="the offset has expired", category="VALIDATION_ERROR"),
    "404": error(404, message="resource not found"),
    "409": error(409, message="conflict"),
    "410": error(410, message="gone"),
    "422": error(422, message="what?"),
    "403 of the edge": html(403),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_cursor_that_hubspot_no_longer_takes_is_dropped(house, refusal, caplog):
    house.portal.refusal = REFUSALS[refusal]
    house.break_off()
    house.portal.generation = 2
    staged = house.read()
    assert house.portal.asked[0] == 3
    assert [each for each in house.portal.asked if each != 3] == [0, 1, 2, 4, 5]
    assert house.ids() == house.all_ids
    assert staged.counts["events"] == PAGES
    (line,) = [each.getMessage() for each in caplog.records if "anew" in each.getMessage()]
    assert line.startswith(f"{house.source} is read anew, as it can't be gone on with: ")
    assert "1-3" not in line


def test_what_was_begun_anew_is_gone_on_with_as_well(house):
    house.break_off(page=4)
    house.portal.generation = 2
    house.break_off(page=2)
    house.read()
    assert house.portal.asked[: PAGES - 2] == [2, 3, 4, 5]
    assert house.ids() == house.all_ids


def test_a_refusal_further_on_is_an_error_and_costs_nothing(house):
    house.break_off()
    house.portal.answers[4] = error(400, message="the cursor is not valid")
    with pytest.raises(HubSpotError):
        house.read()
    house.portal.answers.clear()
    house.read()
    assert house.portal.asked[: PAGES - 4] == [4, 5]
    assert house.ids() == house.all_ids


@pytest.mark.parametrize(
    "fault", [error(401, category="EXPIRED_AUTHENTICATION"), error(429), error(502)]
)
def test_a_fault_that_says_nothing_of_the_cursor_drops_nothing(house, fault):
    house.break_off()
    house.portal.answers[3] = fault
    with pytest.raises(HubSpotError):
        house.read()
    assert 0 not in house.portal.asked
    house.portal.answers.clear()
    house.read()
    assert house.portal.asked[: PAGES - 3] == [3, 4, 5]


def test_what_is_refused_from_the_beginning_as_well_is_an_error_once(house):
    """The cursor is not to blame. The reading after it is judged as any."""
    scope = error(
        403,
        category="MISSING_SCOPES",
        errors=[{"message": "x", "context": {"requiredGranularScopes": ["a.scope"]}}],
    )
    house.break_off()
    house.portal.answers |= {3: scope, 0: scope}
    with pytest.raises(HubSpotError, match=r"a\.scope"):
        house.read()
    with pytest.raises(NotStagedError):
        house.staging.complete(house.source)
    assert house.read().availability.status == "missing_scope"
    house.portal.answers.clear()
    house.read()
    assert house.ids() == house.all_ids


@pytest.mark.parametrize(
    "asked",
    [
        {"portal": "another"},
        {"versions": {"owners": "v3"}},
        {"window": (WINDOW[0], datetime(2026, 11, 22, 23, tzinfo=UTC))},
    ],
)
def test_a_reading_that_asked_otherwise_is_not_gone_on_with(house, asked):
    house.break_off()
    house.read(**asked)
    assert house.portal.asked[0] == 0
    assert house.ids() == house.all_ids
