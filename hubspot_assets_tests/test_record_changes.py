"""RECORD_CHANGES of three days in a row, against what the portal's plan says happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import duckdb
import pytest
import time_machine

from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets_tests.conftest import set_environment

FIRST = datetime(2026, 11, 10, tzinfo=UTC)
DAYS = [FIRST + timedelta(days=number) for number in range(3)]
TYPES = ("0-1", "0-2", "0-3")


@pytest.fixture(scope="module")
def portal():
    with serve(PortalConfig(records=150, now=FIRST, burst=100_000, seed=11)) as sandbox:
        companies = list(sandbox.portal.live_ids("0-2", FIRST))
        sandbox.portal.archive("0-2", companies[0], DAYS[1] + timedelta(hours=9))
        sandbox.portal.erase("0-2", companies[1], DAYS[2] + timedelta(hours=9))
        yield sandbox


@pytest.fixture(scope="module")
def delivered(portal, tmp_path_factory):
    """The export's folder, after each night's run."""
    types = {"OBJECT_TYPES": "contacts,companies,deals", "EVENT_TYPES": "e_visited_page"}
    with pytest.MonkeyPatch.context() as patch:
        folder = set_environment(patch, portal, tmp_path_factory.mktemp("nights"), **types)
        for day in DAYS:
            night = day + timedelta(days=1, hours=1, minutes=30)
            portal.portal.clock.set(night)
            with time_machine.travel(night):
                tables = ["RECORD_CHANGES", "OBJECTS"]
                deliver(Settings(), day.date().isoformat(), tables, Display())
    return folder


def rows(folder, day, table, columns):
    path = f"{folder}/{day.date()}/{table}/**/*.csv.gz"
    return duckdb.connect().sql(f"SELECT {columns} FROM read_csv('{path}', header=true)").fetchall()


def test_what_happened_on_each_day(portal, delivered):
    seen = set()
    for day in DAYS[1:]:  # there is a reading before these
        told = rows(
            delivered,
            day,
            "RECORD_CHANGES",
            "OBJECTTYPEID, OBJECTID, CHANGE, CHANGEDAT, MERGEDINTO, PROPERTIES",
        )
        found = {row[:3]: row[3:] for row in told}
        assert len(found) == len(told)
        planned = {
            (type_id, each.record_id, each.kind): each
            for type_id in TYPES
            for each in portal.portal.record_changes(type_id, day, day + timedelta(days=1))
        }
        for key, each in planned.items():
            seen.add(each.kind)
            at = each.at and each.at.replace(tzinfo=None)
            changed_at, into, properties = found.pop(key)
            if each.kind in ("restored", "erased"):
                assert changed_at is None
            else:
                assert (changed_at, into) == (at, each.merged_into)
            if each.kind in ("created", "updated"):
                assert properties == len(each.properties)
        assert not found
    assert seen >= {"updated", "archived", "erased"}


def test_the_days_follow_from_their_changes(delivered):
    """Who is there on a day was there on the day before, or has come since; and the reverse."""
    for before, day in pairwise(DAYS):
        then, now = (
            set(rows(delivered, each, "OBJECTS", "OBJECTTYPEID, OBJECTID"))
            for each in (before, day)
        )
        changes = rows(delivered, day, "RECORD_CHANGES", "OBJECTTYPEID, OBJECTID, CHANGE")
        came = {row[:2] for row in changes if row[2] in ("created", "restored")}
        went = {row[:2] for row in changes if row[2] in ("archived", "merged", "erased")}
        assert now - then <= came
        assert then - now <= went
        assert now == (then | came) - went
