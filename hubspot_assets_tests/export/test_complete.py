"""`_days.json`: what it names is complete, whoever writes at the same time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubspot_assets.export import complete_day, complete_days, manifest_path, read_day
from hubspot_assets.export.complete import INDEX, CompleteDays, add_day, list_days_anew
from hubspot_assets.export.retention import purge
from hubspot_assets.storage import StoreError, open_store
from hubspot_assets_tests.export.tables import AS_OF, DAY, notes, write
from hubspot_assets_tests.export.test_retention import state

BEFORE = "2026-11-21"


def deliver(store, *days, portal_id=7):
    for day in days:
        write(store, ("", [notes(["x"])]), day=day)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0", portal_id=portal_id)


def told(store):
    return json.loads(store.get(INDEX))


def test_it_names_the_complete_days_and_the_newest(store):
    deliver(store, DAY, BEFORE)
    assert told(store) == {"format": 1, "portal_id": 7, "newest": DAY, "days": [BEFORE, DAY]}
    write(store, ("", [notes(["x"])]), day="2026-11-23")
    assert complete_days(store).newest == DAY


def test_a_day_under_rewrite_is_not_complete(store):
    def rows():
        yield notes(["y"])
        yield notes(["z"], 1)
        assert store.get(f"{DAY}/NOTES/a/part-00000.csv.gz")
        assert told(store)["newest"] == BEFORE

    deliver(store, BEFORE, DAY)
    write(store, ("a", [notes(["x"])]), ("b", rows()))
    assert told(store) == {"format": 1, "portal_id": 7, "newest": BEFORE, "days": [BEFORE]}
    complete_day(store, DAY, ["NOTES"], AS_OF, "run", "1.0", portal_id=7)
    assert told(store)["days"] == [BEFORE, DAY]


def test_it_never_names_a_day_whose_manifest_is_not_there(store, monkeypatch):
    """Looked at before and after each object comes or goes."""
    kind = type(store)
    for name in ("put", "delete", "swap"):
        change = getattr(kind, name)

        def watched(self, *args, change=change, **more):
            named = complete_days(self).days if self.versioned(INDEX) else ()
            assert all(self.exists(manifest_path(day)) for day in named)
            return change(self, *args, **more)

        monkeypatch.setattr(kind, name, watched)
    deliver(store, BEFORE, DAY)
    deliver(store, BEFORE)
    purge(store, state(store), 1)
    assert told(store)["days"] == [DAY]


def test_a_day_that_is_begun_again_while_it_is_published_is_not_named(store, monkeypatch):
    write(store, ("", [notes(["x"])]))
    put = store.put

    def late(path, *args, **more):
        put(path, *args, **more)
        if path == manifest_path(DAY):
            store.delete([manifest_path(DAY), manifest_path(DAY, "NOTES")])

    monkeypatch.setattr(store, "put", late)
    assert complete_day(store, DAY, ["NOTES"], AS_OF, "run", "1.0") == ["NOTES"]
    assert told(store)["days"] == []


@pytest.mark.parametrize("damaged", [None, b"{", b"[]", b'{"portal_id": 7, "days": ["soon"]}'])
def test_absent_or_damaged_it_is_made_anew(store, damaged):
    deliver(store, BEFORE)
    if damaged is None:
        store.delete([INDEX])
    else:
        store.put(INDEX, damaged)
    assert complete_days(store).days == (BEFORE,)
    deliver(store, DAY)
    assert told(store) == {"format": 1, "portal_id": 7, "newest": DAY, "days": [BEFORE, DAY]}


def test_what_was_removed_by_hand_goes_when_it_is_made_anew(store):
    deliver(store, BEFORE, DAY)
    store.delete([manifest_path(DAY)])
    assert complete_days(store).newest == DAY
    assert list_days_anew(store) == CompleteDays(7, (BEFORE,))
    assert told(store)["newest"] == BEFORE


def test_two_who_publish_at_once_are_both_named(bucket, s3, folder):
    days = [f"2026-01-{number:02d}" for number in range(1, 13)]

    def publish(store, some):
        for day in some:
            add_day(store, day, 7)

    for stores in ([folder] * 2, [open_store(f"s3://{bucket}/p", s3) for _ in range(2)]):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(publish, stores, (days[:6], days[6:])))
        assert told(stores[0])["days"] == days


def test_one_that_cannot_be_written_is_an_error_and_not_half_a_list(folder, monkeypatch):
    deliver(folder, BEFORE)
    monkeypatch.setattr(type(folder), "swap", lambda *_: None)
    with pytest.raises(StoreError, match=r"_days\.json could not be written"):
        add_day(folder, DAY, 7)
    assert read_day(folder, BEFORE)
    assert told(folder)["days"] == [BEFORE]
