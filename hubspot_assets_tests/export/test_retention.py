"""What a purge keeps, what it takes and what it leaves alone, in a folder and a bucket."""

from __future__ import annotations

import json
import re

import dagster as dg
import pytest

from hubspot_assets.definitions import build_defs
from hubspot_assets.export import complete_day, manifest_path, retention
from hubspot_assets.export.retention import Purged, left_lines, plan, purge
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import StoreError, leases, open_store
from hubspot_assets_tests.export.tables import AS_OF, notes, write
from hubspot_assets_tests.test_commands import fails, run

OLD, NEW = "2026-01-30", "2026-01-31"

READING = "20260131T013000000000Z-a1b2c3"


def deliver(store, *days, complete=True):
    """A table of two parts in each of the days, and a file that tells what was read for it."""
    for day in days:
        write(store, ("", [notes(["a", "b"])]), day=day)
        state(store).put(f"days/{day}/owners/{READING}", b"{}")
        if complete:
            complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")


def state(store):
    """The state root, as it is by default: below the export's."""
    return Below(store, "_state")


class Below:
    """A store's folder as a store of its own, by the store's own methods."""

    def __init__(self, store, folder):
        url = store.url_of(folder)
        self._store = open_store(url, getattr(store, "_new_client", None))

    def __getattr__(self, name):
        return getattr(self._store, name)


def days_of(store):
    return [name for name in store.folders() if name != "_state"]


def everything(store):
    return [entry.path for entry in store.list()]


@pytest.mark.parametrize(
    ("days", "keep_days", "keep_monthly", "gone"),
    [
        ("a1 a2 a3", 5, 0, ""),
        ("a1 a2 a3", 2, 0, "a1"),
        ("a1 a2 a3 -a4 -a5", 2, 0, "a1"),  # what is not complete takes no complete one's place
        ("a1 -a2 a3 -a4 a5", 2, 0, "a1 -a2"),  # and goes when it is older than all that stay
        ("-a1 a2 -a3", 1, 0, "-a1"),
        ("-a1 a2 a3", 3, 0, ""),  # or may still become one of them
        ("-a1 -a2 -a3", 1, 0, ""),
        ("a1 a2 b1 b2 c1 c2", 1, 0, "a1 a2 b1 b2 c1"),
        ("a1 a2 b1 b2 c1 c2", 1, 2, "a1 a2 b1 c1"),
        ("a1 a2 b1 -b2 c1 c2", 1, 3, "a1 -b2 c1"),
        ("a1 a2 -b1 -b2 c1 c2", 1, 2, "a1 -b1 -b2 c1"),  # a month without a complete day
        ("", 1, 1, ""),
    ],
)
def test_the_plan(days, keep_days, keep_monthly, gone):
    months = {"a": "2025-11", "b": "2025-12", "c": "2026-01"}

    def named(text):
        words = [word.lstrip("-") for word in text.split()]
        return [f"{months[word[0]]}-{int(word[1:]):02d}" for word in words]

    complete = dict(
        zip(named(days), [not word.startswith("-") for word in days.split()], strict=True)
    )
    assert plan(complete, keep_days, keep_monthly) == named(gone)


def test_old_days_go_with_what_is_staged_of_them(store):
    deliver(store, "2026-01-29", OLD, NEW)
    report = purge(store, state(store), keep_days=1)
    assert [day.day for day in report.days] == ["2026-01-29", OLD]
    assert days_of(store) == [NEW]
    assert [path for path in everything(store) if not path.startswith(NEW)] == [
        "_days.json",
        f"_state/days/{NEW}/owners/{READING}",
    ]
    assert purge(store, state(store), keep_days=1).days == ()


@pytest.mark.samples(1)
@pytest.mark.parametrize("below", ["", "_state"])
def test_a_day_that_a_run_reads_or_writes_is_left(store, below, monkeypatch):
    monkeypatch.setattr(retention, "_PATIENCE", 0)
    deliver(store, "2026-01-29", OLD, NEW)
    before = [path for path in everything(store) if OLD in path]
    held = leases.held(state(store), "readings", "a-run") if below else None
    with held or leases.held(store, OLD, "a-run"):
        report = purge(store, state(store), keep_days=1)
    left = ["2026-01-29", OLD] if below else [OLD]
    assert [day.day for day in report.days] == [each for each in ["2026-01-29"] if not below]
    assert [path for path in everything(store) if OLD in path] == before
    *_, line = left_lines(report)
    assert line.startswith(f"{OLD}: left as it is: {'readings' if below else OLD} in ")
    assert "is being written by run a-run" in line
    assert [day.day for day in purge(store, state(store), keep_days=1).days] == left


def reading(store, name, source="owners", *, complete=True):
    for file in ["00000.items.parquet", *(["_reading.json"] if complete else [])]:
        state(store).put(f"readings/{source}/{name}/{file}", b"{}")


def readings_of(store):
    listed = (entry.path.split("/") for entry in state(store).list("readings"))
    return {"/".join(path[1:-1]) for path in listed}


@pytest.mark.slow
def test_readings_go_with_the_last_day_that_needs_them(store):
    at = "20260131T01300{}000000Z-00000{}".format
    deliver(store, "2026-01-29", OLD, NEW)
    for number in range(6):
        reading(store, at(number, number))
    reading(store, f"{at(6, 6)}.on-000001")
    reading(store, f"{at(7, 7)}.on-000002")
    reading(store, at(0, "a"), complete=False)
    reading(store, at(8, "b"), complete=False)
    reading(store, f"{at(9, 9)}.of-{OLD}", "events/of")
    serving = {"2026-01-29": [at(0, 0)], OLD: [at(4, 4)], NEW: [f"{at(6, 6)}.on-000001"]}
    for day, names in serving.items():
        for name in names:
            state(store).put(f"days/{day}/owners/{name}", b"{}")
    would = purge(store, state(store), keep_days=2, dry_run=True)
    report = purge(store, state(store), keep_days=2)
    assert would == report
    assert str(report.readings) == "readings that no day needs: 0 tables, 9 objects, 18 bytes"
    # The one that serves a day, one that serves another and its base, the newest and its base, and
    # one that goes on.
    kept = [at(4, 4), f"{at(6, 6)}.on-000001", at(1, 1), f"{at(7, 7)}.on-000002", at(2, 2)]
    kept.append(at(8, "b"))
    assert readings_of(store) == {f"owners/{name}" for name in kept}


def test_readings_of_a_day_as_they_were_before_days_shared_them_go_with_it(store):
    deliver(store, OLD, NEW)
    state(store).put(f"staged/{OLD}/owners/_complete.json", b"{}")
    purge(store, state(store), keep_days=1)
    assert not [path for path in everything(store) if OLD in path]


def test_a_report_tells_what_went_and_a_dry_run_the_same(store):
    deliver(store, OLD, NEW)
    there = [entry for entry in store.list() if OLD in entry.path]
    before = list(store.list())
    would = purge(store, state(store), keep_days=1, dry_run=True)
    assert list(store.list()) == before
    told = []
    did = purge(store, state(store), keep_days=1, told=told.append)
    assert would == did
    assert tuple(told) == did.days
    assert did.days == (Purged(OLD, 1, 4, sum(entry.bytes for entry in there)),)
    assert str(did.total) == f"1 days: 1 tables, 4 objects, {did.total.bytes:,} bytes"


def test_what_no_manifest_names_stays_and_is_told(store):
    deliver(store, OLD, NEW)
    ours = {path for path in everything(store) if OLD in path}
    foreign = (f"{OLD}/NOTES/notes.txt", f"{OLD}/THEIRS/part-00000.csv.gz", f"{OLD}/theirs.txt")
    for path in (*foreign, "2026-1-1/x", "20260101/x", "other/x", "x"):
        store.put(path, b"theirs")
    report = purge(store, state(store), keep_days=1)
    assert report.foreign == {OLD: foreign}
    left = set(everything(store))
    assert not ours & left
    assert {*foreign, "2026-1-1/x", "20260101/x", "other/x", "x"} <= left
    again = purge(store, state(store), keep_days=1)
    assert again.days == ()
    assert again.foreign == {OLD: foreign}


def test_a_day_without_its_manifest_loses_its_tables_that_have_one(store):
    deliver(store, OLD, complete=False)
    store.put(f"{OLD}/HALF/part-00000.csv.gz", b"not published")
    deliver(store, NEW)
    report = purge(store, state(store), keep_days=1)
    assert [(day.day, day.tables, day.objects) for day in report.days] == [(OLD, 1, 3)]
    assert report.foreign == {OLD: (f"{OLD}/HALF/part-00000.csv.gz",)}


def test_the_newest_complete_day_stays_however_old(store):
    deliver(store, "2026-01-01", "2026-01-02")
    deliver(store, OLD, NEW, complete=False)
    purge(store, state(store), keep_days=1)
    assert days_of(store) == ["2026-01-02", OLD, NEW]


def test_days_without_an_export_take_no_days_place(store):
    deliver(store, "2026-01-27", "2026-01-28", "2026-01-29")
    deliver(store, OLD, complete=False)
    for path in (f"{NEW}/theirs", "2026-02-01/theirs"):
        store.put(path, b"1")
    if bucket := getattr(store, "_bucket", None):  # a console's empty object for a folder
        store._new_client().put_object(Bucket=bucket, Key="a/prefix/2026-02-02/", Body=b"")
    before = [path for path in everything(store) if "2026-01-27" not in path]
    report = purge(store, state(store), keep_days=2)
    assert [day.day for day in report.days] == ["2026-01-27"]
    assert everything(store) == before


def test_days_of_which_none_is_complete_stay_and_are_told(store):
    deliver(store, "2026-01-29", OLD, NEW, complete=False)
    before = everything(store)
    report = purge(store, state(store), keep_days=1)
    assert report.days == ()
    assert everything(store) == before
    assert list(left_lines(report)) == ["none of 3 days is complete, so all stay"]


def test_last_days_of_months_stay(store):
    deliver(store, "2025-11-29", "2025-11-30", "2025-12-31", OLD, NEW)
    purge(store, state(store), keep_days=1, keep_monthly=2)
    assert days_of(store) == ["2025-12-31", NEW]


def damage_day(store):
    store.put(manifest_path(OLD), b"{")
    return manifest_path(OLD)


def damage_table(store):
    store.put(manifest_path(OLD, "NOTES"), b'{"no": "manifest"}')
    return manifest_path(OLD, "NOTES")


def lose_table(store):
    store.delete([manifest_path(OLD, "NOTES")])
    return manifest_path(OLD, "NOTES")


def give_table_of_another_day(store):
    store.put(manifest_path(OLD, "NOTES"), store.get(manifest_path(NEW, "NOTES")))
    return manifest_path(OLD, "NOTES")


def name_another_table(store):
    path = manifest_path(OLD, "NOTES")
    manifest = json.loads(store.get(path))
    manifest["parts"][0]["path"] = "THEIRS/part-00000.csv.gz"
    store.put(path, json.dumps(manifest).encode())
    return path


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    "damage",
    [damage_day, damage_table, lose_table, give_table_of_another_day, name_another_table],
)
def test_a_day_with_a_manifest_that_cannot_be_read_is_left(store, damage):
    deliver(store, "2026-01-29", OLD, NEW)
    where = damage(store)
    of_the_day = {path for path in everything(store) if OLD in path}
    report = purge(store, state(store), keep_days=1)
    assert [day.day for day in report.days] == ["2026-01-29"]
    assert report.unreadable.keys() == {OLD}
    assert store.url_of(where) in report.unreadable[OLD]
    assert of_the_day <= set(everything(store))


class Failing:
    """A store that fails once some objects have gone, and tells in which order they went."""

    def __init__(self, store, after):
        self._store, self._after = store, after
        self.gone = []

    def delete(self, paths, *, versions=False):
        for path in paths:
            if len(self.gone) == self._after:
                raise StoreError("the network is gone", passing=True)
            self._store.delete([path], versions=versions)
            self.gone.append(path)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.mark.samples(2)
@pytest.mark.parametrize("after", range(4))
def test_an_interrupted_purge_leaves_nothing_that_seems_complete_and_is_finished(store, after):
    for day in (OLD, NEW):
        write(store, ("", [notes(["x"] * 80)]), day=day, part_bytes=500)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    failing = Failing(store, after)
    with pytest.raises(StoreError, match="the network is gone"):
        purge(failing, state(store), keep_days=1)
    order = [manifest_path(OLD), manifest_path(OLD, "NOTES")]
    assert failing.gone[:2] == order[:after]
    report = purge(store, state(store), keep_days=1)
    assert [day.day for day in report.days] == [OLD]
    assert report.foreign == {}
    assert days_of(store) == [NEW]
    assert list(state(store).list("purging")) == []


def test_a_purge_that_died_when_all_was_gone_is_finished(store):
    deliver(store, NEW)
    state(store).put(f"purging/{OLD}.json", b"[]")
    state(store).put(f"days/{OLD}/owners/{READING}", b"{}")
    (gone,) = purge(store, state(store), keep_days=1).days
    assert gone == Purged(OLD, 0, 1, 2)
    assert not [path for path in everything(store) if OLD in path]


def test_a_day_that_was_delivered_again_after_an_interrupted_purge_is_kept(store):
    deliver(store, OLD, NEW)
    with pytest.raises(StoreError):
        purge(Failing(store, 2), state(store), keep_days=1)
    deliver(store, OLD)
    before = [path for path in everything(store) if path.startswith(OLD)]
    assert purge(store, state(store), keep_days=2).days == ()
    assert [path for path in everything(store) if path.startswith(OLD)] == before


def test_what_a_dead_writer_left_goes_too(folder, tmp_path):
    deliver(folder, OLD, NEW)
    (tmp_path / "export" / OLD / "NOTES" / ".unfinished-0123").write_bytes(b"half")
    purge(folder, state(folder), keep_days=1)
    assert not (tmp_path / "export" / OLD).exists()


@pytest.fixture
def versioned(bucket, s3):
    status = {"Status": "Enabled"}
    s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)
    return open_store(f"s3://{bucket}/a/prefix", s3)


def versions_of(client, bucket, day):
    answer = client.list_object_versions(Bucket=bucket)
    found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    return sorted(each["Key"] for each in found if f"/{day}/" in each["Key"])


@pytest.mark.slow
def test_versions_stay_unless_they_are_to_go(versioned, bucket, s3):
    deliver(versioned, OLD, OLD, NEW)
    versioned.put(f"{OLD}/theirs", b"1")
    kept = versions_of(s3(), bucket, NEW)
    report = purge(versioned, state(versioned), keep_days=1)
    assert [day.objects for day in report.days] == [4]
    assert f"a/prefix/{manifest_path(OLD)}" in versions_of(s3(), bucket, OLD)

    deliver(versioned, OLD)
    # Names that begin like ours, versions and deletions of theirs.
    foreign = [
        f"{OLD}/theirs",
        f"{OLD}/NOTES/_manifest.json.theirs",
        f"{OLD}/NOTES/part-00000.csv.gz.theirs",
    ]
    foreign += [f"{OLD}/NOTES/part-00005.csv.gz", f"{OLD}/_manifest.json.theirs"]
    for path in foreign[1:] * 2:
        versioned.put(path, b"1")
    versioned.delete(foreign[1:2])
    there = len(versions_of(s3(), bucket, OLD))
    would = purge(versioned, state(versioned), keep_days=1, versions=True, dry_run=True)
    did = purge(versioned, state(versioned), keep_days=1, versions=True)
    assert would == did
    theirs = sorted([*foreign, *foreign[1:], foreign[1]])
    assert [day.objects for day in did.days] == [there - len(theirs)]
    assert versions_of(s3(), bucket, OLD) == [f"a/prefix/{path}" for path in theirs]
    assert versions_of(s3(), bucket, NEW) == kept
    found = s3().list_object_versions(Bucket=bucket)
    keys = {each["Key"] for each in (*found["Versions"], *found["DeleteMarkers"])}
    assert not [key for key in keys if "purging" in key]
    assert not [key for key in keys if f"_leases/{OLD}" in key]


@pytest.mark.slow
def test_an_interrupted_purge_of_versions_is_finished(versioned, bucket, s3):
    deliver(versioned, OLD, OLD, NEW)

    class Hiding(Failing):
        def delete(self, paths, *, versions=False):
            self._store.delete(paths)  # hidden, but every version is still there
            if any(path.endswith(".gz") for path in paths):
                raise StoreError("the network is gone", passing=True)

    with pytest.raises(StoreError):
        purge(Hiding(versioned, 0), state(versioned), keep_days=1, versions=True)
    assert list(versioned.list(OLD)) == []
    assert versions_of(s3(), bucket, OLD)
    purge(versioned, state(versioned), keep_days=1, versions=True)
    assert versions_of(s3(), bucket, OLD) == []


@pytest.fixture
def exported(reach, shared_sandbox):
    """An environment whose export has three days, the oldest of them damaged."""
    folder = reach(shared_sandbox)
    store = open_store(folder)
    deliver(store, "2026-01-29", OLD, NEW)
    return store


def test_the_command(exported):
    fails(2, "EXPORT_KEEP_DAYS: found nothing", "purge")
    assert run("purge", "--keep-days", "0")[0] == 2
    status, would = run("purge", "--keep-days", "2", "--dry-run")
    assert status == 0
    status, did = run("purge", "--keep-days", "2")
    assert status == 0
    assert would.replace("would remove", "removed") == did
    size = r"1 tables, 4 objects, [\d,]+ bytes"
    assert re.fullmatch(rf"2026-01-29: {size}\nremoved 1 days: {size}\n", did)
    assert days_of(exported) == [OLD, NEW]


def test_the_command_keeps_what_the_settings_say(exported, monkeypatch):
    monkeypatch.setenv("EXPORT_KEEP_DAYS", "1")
    monkeypatch.setenv("EXPORT_KEEP_MONTHLY", "1")
    assert run("purge", "--keep-days", "3")[0] == 0
    assert days_of(exported) == ["2026-01-29", OLD, NEW]
    assert run("purge")[0] == 0
    assert days_of(exported) == [NEW]


def test_the_command_says_what_it_left(exported):
    where = exported.url_of(damage_day(exported))
    for name in "abcd":
        exported.put(f"2026-01-29/{name}", b"theirs")
    status, output = run("purge", "--keep-days", "1")
    assert status == 1
    assert (
        "warning: 2026-01-29: left 4 objects that no manifest names: "
        "2026-01-29/a, 2026-01-29/b, 2026-01-29/c and 1 more"
    ) in output
    assert f"warning: {OLD}: left as it is: {where} cannot be read" in output
    assert "error: 1 days could not be purged" in output


def purged_by_job(config=None):
    defs = build_defs(standard_catalog(), load_settings())
    job = defs.resolve_job_def("purge_export")
    run_config = {"ops": {"purge_days": {"config": config or {}}}}
    return job.execute_in_process(run_config=run_config, raise_on_error=False)


def why(result):
    (event,) = result.filter_events(lambda event: event.is_step_failure)
    return event.step_failure_data.user_failure_data.description


def test_the_job(exported, monkeypatch):
    assert "EXPORT_KEEP_DAYS: found nothing" in why(purged_by_job())
    monkeypatch.setenv("EXPORT_KEEP_DAYS", "2")
    assert purged_by_job({"dry_run": True}).success
    assert len(days_of(exported)) == 3
    result = purged_by_job()
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    metadata = {name: each.value for name, each in output.event_specific_data.metadata.items()}
    assert metadata["days"] == metadata["tables"] == 1
    assert metadata["objects"] == 4
    assert days_of(exported) == [OLD, NEW]
    monkeypatch.setenv("EXPORT_KEEP_DAYS", "1")
    damage_day(exported)
    assert f"left as they are: {OLD}" in why(purged_by_job())


def test_the_schedule_is_off_until_it_is_turned_on(reach, shared_sandbox):
    reach(shared_sandbox, EXPORT_TIMEZONE="Europe/Warsaw")
    schedule = build_defs(standard_catalog(), load_settings()).resolve_schedule_def("daily_purge")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "Europe/Warsaw"
    assert schedule.job_name == "purge_export"
