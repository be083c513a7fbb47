"""Days of the export's time zone, in places whose clocks do as they like."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from hubspot_assets.day import Day
from hubspot_assets.deliver import check_day
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.test_commands import run

HISTORY = "OBJECT_PROPERTIES_HISTORY"
PAGES = "EVENTS_VISITED_PAGE"
TOKYO, NEW_YORK, HAVANA = "Asia/Tokyo", "America/New_York", "America/Havana"
#: Days by zone, and when they begin and end, UTC. In Havana the clock goes from midnight to one
#: in March, and in November from one to midnight, which the day before ends with the first time.
DAYS = [
    (TOKYO, "2026-11-22", "2026-11-21T15:00", "2026-11-22T15:00"),
    (NEW_YORK, "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
    (NEW_YORK, "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
    (HAVANA, "2026-03-07", "2026-03-07T05:00", "2026-03-08T05:00"),
    (HAVANA, "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
    (HAVANA, "2026-10-31", "2026-10-31T04:00", "2026-11-01T04:00"),
    (HAVANA, "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
]
#: Moments by zone, and the newest day that is over then.
MIDNIGHTS = [
    (TOKYO, "2026-11-22T14:59:59.999", "2026-11-21"),
    (TOKYO, "2026-11-22T15:00:00", "2026-11-22"),
    (NEW_YORK, "2026-11-02T04:59:59.999", "2026-10-31"),
    (NEW_YORK, "2026-11-02T05:00:00", "2026-11-01"),
    (HAVANA, "2026-03-08T04:59:59.999", "2026-03-06"),
    (HAVANA, "2026-03-08T05:00:00", "2026-03-07"),
    (HAVANA, "2026-11-01T03:59:59.999", "2026-10-30"),
    (HAVANA, "2026-11-01T04:00:00", "2026-10-31"),
    (HAVANA, "2026-11-01T05:00:00", "2026-10-31"),  # midnight once more
    (HAVANA, "2026-11-02T04:59:59.999", "2026-10-31"),
    (HAVANA, "2026-11-02T05:00:00", "2026-11-01"),
]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def settings_in(reach, shared_sandbox):
    def make(zone):
        reach(shared_sandbox, EXPORT_TIMEZONE=zone)
        return Settings()

    return make


@pytest.mark.parametrize("machine", ["UTC", TOKYO, HAVANA])
@pytest.mark.parametrize(("zone", "moment", "newest"), MIDNIGHTS)
def test_the_newest_day_is_the_last_that_is_over(
    settings_in, clock_of, machine, zone, moment, newest
):
    clock_of(machine)
    settings, now = settings_in(zone), utc(moment)
    assert check_day(None, settings, now) == newest
    assert check_day(newest, settings, now) == newest
    following = datetime.fromisoformat(newest).date() + timedelta(days=1)
    with pytest.raises(SettingsError, match=f"{following}, which has not ended in {zone}"):
        check_day(str(following), settings, now)
    day = Day.named(newest, settings.zone)
    assert day.start < day.end <= now < day.end_of_next
    assert day.was_newest_at(now)


@pytest.mark.samples(3)
@pytest.mark.parametrize(("zone", "day", "start", "end"), DAYS)
def test_a_day_is_delivered_from_its_first_moment_to_its_last(
    reach, shared_sandbox, clock_of, zone, day, start, end
):
    clock_of(TOKYO)
    folder = reach(shared_sandbox, EXPORT_TIMEZONE=zone, EVENT_TYPES="e_visited_page")
    status, output = run("export", "--day", day, "--select", PAGES)
    assert status == 0, output
    manifest = json.loads((folder / day / PAGES / "_manifest.json").read_text())
    assert datetime.fromisoformat(manifest["as_of"]) == utc(end)
    rows = duckdb.sql(
        f"SELECT ID FROM read_csv('{folder}/{day}/{PAGES}/*.csv.gz', all_varchar=true, header=true)"
    ).fetchall()
    events = shared_sandbox.portal.events("e_visited_page", utc(start), utc(end))
    assert {row[0] for row in rows} == {each.id for each in events} != set()


@pytest.mark.samples(1)
@pytest.mark.parametrize(("setting", "most"), [("share", 20), ("all", 60)])
def test_as_much_history_as_the_setting_says(reach, sandbox, monkeypatch, setting, most):
    # Of a portal whose API returns more values than the share keeps.
    monkeypatch.setattr(ObjectType, "history_cap", 60)
    folder = reach(sandbox, OBJECT_TYPES="deals", EXPORT_HISTORY=setting)
    status, output = run("export", "--day", DAY, "--select", HISTORY)
    assert status == 0, output
    path = f"{folder}/{DAY}/{HISTORY}/*/*.csv.gz"
    counted = duckdb.sql(
        "SELECT max(values) FROM (SELECT count(*) AS values FROM "
        f"read_csv('{path}', all_varchar=true, header=true) GROUP BY OBJECTID, NAME)"
    ).fetchall()[0][0]
    assert 20 <= counted <= most
    assert (counted > 20) == (setting == "all")
