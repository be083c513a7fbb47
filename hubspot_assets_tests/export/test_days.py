"""A day is complete when each of its tables is."""

from __future__ import annotations

import json
from dataclasses import replace

from hubspot_assets.availability import Availability
from hubspot_assets.export import DayManifest, complete_day, manifest_path
from hubspot_assets.export.writer import write_table
from hubspot_assets_tests.export.tables import AS_OF, DAY, NOTES, content, notes, write

LISTS = replace(NOTES, name="LISTS")
WANTED = ["NOTES", "LISTS"]


def finish(store, expected=WANTED, **more):
    return complete_day(store, DAY, expected, AS_OF, "run", "1.0", **more)


def test_a_day_waits_for_all_of_its_tables(store):
    assert finish(store) == ["LISTS", "NOTES"]
    write(store, ("a", [notes(["x", "y"])]), ("b", []))
    assert finish(store) == ["LISTS"]
    assert not store.exists(manifest_path(DAY))

    closed = replace(content(spec=LISTS), availability=Availability("missing_scope", "crm.lists"))
    lists = write_table(store, DAY, closed, "run", "1.0")
    day = finish(store)
    assert isinstance(day, DayManifest)
    told = json.loads(store.get(manifest_path(DAY)))
    assert told["tables"][0] == {
        "table": "LISTS",
        "rows": 0,
        "bytes": lists.bytes,
        "parts": 1,
        "manifest": "LISTS/_manifest.json",
        "formats": ["csv"],
        "point_in_time": True,
        "availability": {"status": "missing_scope", "detail": "crm.lists"},
    }
    assert list(told) == [
        "format",
        "portal_id",
        "day",
        "as_of",
        "tables",
        "rows",
        "bytes",
        "run_id",
        "code_version",
    ]
    assert [table["table"] for table in told["tables"]] == ["LISTS", "NOTES"]
    assert (told["day"], told["as_of"]) == (DAY, "2026-11-23T00:00:00.000Z")
    assert told["rows"] == 2
    assert told["bytes"] == sum(table["bytes"] for table in told["tables"])
    assert DayManifest.from_json(store.get(manifest_path(DAY))) == day


def test_a_table_written_again_reopens_its_day_and_no_other(store):
    for day in ("2026-11-21", DAY):
        write(store, ("", [notes(["x"])]), day=day)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    write(store, ("", [notes(["y"])]))
    assert not store.exists(manifest_path(DAY))
    assert store.exists(manifest_path("2026-11-21"))
    assert isinstance(finish(store, ["NOTES"]), DayManifest)


def test_a_day_is_the_same_each_time(store):
    write(store, ("", [notes(["x"])]))
    finish(store, ["NOTES"])
    first = store.get(manifest_path(DAY))
    finish(store, ["NOTES"])
    assert store.get(manifest_path(DAY)) == first


def test_tables_no_longer_expected_are_told_of_as_they_are_there(store):
    write(store, ("", [notes(["x"])]))
    write(store, spec=LISTS)
    assert [table.table for table in finish(store, ["NOTES"]).tables] == ["LISTS", "NOTES"]


def test_a_table_that_is_being_rewritten_meanwhile_is_missing(store, monkeypatch):
    write(store, ("", [notes(["x"])]))
    entries = list(store.list(DAY))
    store.delete([manifest_path(DAY, "NOTES")])
    monkeypatch.setattr(store, "list", lambda _: iter(entries))
    assert finish(store, ["NOTES"]) == ["NOTES"]


def test_a_table_that_has_lost_a_part_is_missing(store):
    write(store, ("a", [notes(["x"])]), ("b", [notes(["y"])]))
    assert isinstance(finish(store, ["NOTES"]), DayManifest)
    store.delete([manifest_path(DAY), f"{DAY}/NOTES/b/part-00000.csv.gz"])
    assert finish(store, ["NOTES"]) == ["NOTES"]
    assert not store.exists(manifest_path(DAY))


def test_a_table_that_is_begun_again_while_its_day_is_published_reopens_it(store, monkeypatch):
    """As another process of the same run may do."""
    write(store, ("", [notes(["x"])]))
    put = store.put

    def late(path, *args, **more):
        if path == manifest_path(DAY):
            store.delete([manifest_path(DAY), manifest_path(DAY, "NOTES")])
        put(path, *args, **more)

    monkeypatch.setattr(store, "put", late)
    assert finish(store, ["NOTES"]) == ["NOTES"]
    assert not store.exists(manifest_path(DAY))
