"""Which way a type is looked at: what a sweep costs, and when it was last done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine

from hubspot_assets.availability import AVAILABLE
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.source import object_source
from hubspot_assets.sources.ways import searches
from hubspot_assets.storage import open_store
from hubspot_assets_tests.days import day_of

FIRST = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
NEVER = 100_000
KINDS = {each.id: each for each in standard_catalog().object_types}


class Portal:
    """Readings of types of so many records, made by the night of `FIRST`."""

    def __init__(self, folder, **records):
        self.staging = Staging(open_store(folder), day_of("2026-11-20"))
        self.client = HubSpot(BearerToken("pat-eu1-5ec2e7aa-0000-4000-8000-000000000000"))
        self.bases = {}
        for name, number in records.items():
            self.read(name, number)

    def read(self, name, number, at=FIRST, swept_at=None):
        source = object_source(self.kind(name))
        with time_machine.travel(at, tick=False):
            reading = self.staging.begin(source, "a plan")
            reading.counts["records"] = number
            reading.swept_at = swept_at
            self.bases[name] = reading.finish(AVAILABLE, at)

    def kind(self, name):
        return next(each for each in KINDS.values() if each.plural_name == name)

    def searched(self, incremental="auto", *, at=FIRST + DAY, days=NEVER):
        """The types that are searched."""
        with time_machine.travel(at, tick=False):
            return {
                name
                for name, base in self.bases.items()
                if searches(
                    Asked(self.client, self.kind(name), KnownProperties.of([], set())),
                    self.staging,
                    base,
                    incremental,
                    days,
                )
            }

    def allows(self, calls):
        """HubSpot tells how many calls a day has."""
        told = {b"x-hubspot-ratelimit-daily": b"%d" % calls,
                b"x-hubspot-ratelimit-daily-remaining": b"9"}  # fmt: skip
        self.client.budgets.learn("general", told, 0.0)


@pytest.fixture
def portal(tmp_path):
    return lambda **records: Portal(tmp_path / "state", **records)


def test_sweeps_take_a_twentieth_of_the_calls_that_hubspot_tells_smallest_types_first(portal):
    own = portal(contacts=1_000_000, companies=300_000, deals=100_000, tickets=20_000, notes=5)
    # 1, 200, 1,000, 3,000 and 10,000 requests.
    for calls, searched in (
        (20 * 14_201, set()),
        (20 * 14_200, {"contacts"}),
        (20 * 4_201, {"contacts"}),
        (20 * 4_200, {"contacts", "companies"}),
        (20 * 1_200, {"contacts", "companies", "deals"}),
        (20 * 200, {"contacts", "companies", "deals", "tickets"}),
    ):
        own.allows(calls)
        assert own.searched() == searched, calls
    assert own.searched("search") == {"contacts", "companies", "deals", "tickets"}
    assert own.searched("sweep") == set()


def test_a_day_of_which_hubspot_does_not_tell_has_the_calls_of_a_professional_portal(portal):
    own = portal(contacts=3_124_900, companies=100)
    assert own.searched() == set()
    own.read("companies", 300, FIRST + timedelta(hours=1))
    assert own.searched() == {"contacts"}


def test_of_types_as_large_as_one_another_those_are_swept_that_fit(portal):
    own = portal(contacts=50_000, companies=50_000, deals=50_000)
    own.allows(20 * 1_000)
    assert len(own.searched()) == 1


def test_each_type_has_its_night_and_none_waits_longer_than_the_days(portal):
    names = [each.plural_name for each in KINDS.values()][:12]
    own = portal(**dict.fromkeys(names, 20_000))
    swept = {name: [FIRST] for name in names}
    for night in range(1, 16):
        at = FIRST + night * DAY + timedelta(minutes=night % 3)
        for name in own.bases.keys() - own.searched("search", at=at, days=7):
            swept[name].append(at)
        for name in names:
            own.read(name, 20_000, at, swept[name][-1])
    for of in swept.values():
        gaps = [later - earlier for earlier, later in pairwise(of)]
        assert max(gaps) <= 7 * DAY + timedelta(hours=1)
        assert {round(gap / DAY) for gap in gaps[1:]} == {7}
        assert len(of) in (3, 4)
    weekdays = [of[-1].weekday() for of in swept.values()]
    assert max(map(weekdays.count, weekdays)) <= len(names) / 3


def test_a_run_of_the_same_night_does_not_sweep_again(portal):
    own = portal(contacts=20_000)
    nights = [FIRST + night * DAY for night in range(7)]
    (due,) = (at for at in nights if not own.searched("search", at=at + DAY, days=7))
    own.read("contacts", 20_000, due + DAY)
    assert own.searched("search", at=due + DAY + timedelta(hours=2), days=7) == {"contacts"}
    assert own.searched("search", at=due + 8 * DAY, days=7) == set()
