"""`hubspot-assets days`, as a person types it."""

import json
from datetime import UTC, datetime

import pytest
import time_machine

from hubspot_assets.export import complete_day, manifest_path
from hubspot_assets.storage import open_store
from hubspot_assets_tests.export.tables import AS_OF, notes, write
from hubspot_assets_tests.test_commands import run


@pytest.fixture
def store(reach, shared_sandbox):
    """An export of which one day is complete, one is under way and others are missing."""
    own = open_store(reach(shared_sandbox))
    with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC), tick=True):
        yield own


def deliver(store):
    for day in ("2026-11-19", "2026-11-23"):
        write(store, ("", [notes(["x", "y"])]), day=day)
    complete_day(store, "2026-11-19", ["NOTES"], AS_OF, "run", "1.0")


def test_days_are_complete_incomplete_or_missing(store):
    deliver(store)
    status, output = run("days")
    assert status == 0
    size = json.loads(store.get(manifest_path("2026-11-19")))["bytes"]
    assert output.splitlines() == [
        "day         status      tables            rows             bytes",
        f"2026-11-19  complete         1               2{size:>18,}",
        "2026-11-20  missing     to 2026-11-22, 3 days",
        "2026-11-23  incomplete       1",
        "2026-11-24  missing",
        "newest complete day: 2026-11-19",
    ]
    assert max(map(len, output.splitlines())) <= 80


def test_they_are_told_as_json_too(store):
    deliver(store)
    told = json.loads(run("days", "--json")[1])
    assert told["newest"] == "2026-11-19"
    assert [each["status"] for each in told["days"]] == [
        "complete", "missing", "missing", "missing", "incomplete", "missing"
    ]  # fmt: skip
    assert (told["days"][0]["rows"], told["days"][4]["rows"]) == (2, None)


def test_an_export_without_a_day_says_so(store):
    assert run("days") == (0, "no day is there yet\n")
    assert json.loads(run("days", "--json")[1]) == {"newest": None, "days": []}


def test_what_was_removed_by_hand_is_told_of_and_put_right(store):
    deliver(store)
    store.delete([manifest_path("2026-11-19")])
    assert "warning: _days.json tells otherwise of 2026-11-19;" in run("days")[1]
    assert "warning" not in run("days", "--rebuild")[1]
    assert json.loads(store.get("_days.json"))["newest"] is None
