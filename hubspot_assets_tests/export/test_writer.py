"""A table is there whole or not there at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hubspot_assets.availability import Availability
from hubspot_assets.export import (
    TableError,
    TableManifest,
    complete_day,
    manifest_path,
    read_manifest,
    read_table,
    write_table,
)
from hubspot_assets.storage import NotFoundError, StoreError, leases, open_store
from hubspot_assets.storage.leases import LeaseError, take
from hubspot_assets.tables.content import Findings, TableContent, TableSource
from hubspot_assets_tests.export.tables import (
    AS_OF,
    DAY,
    NOTES,
    by_duckdb,
    content,
    notes,
    paths,
    write,
)

SMALL = 20_000


def lines(rows: int, start: int = 0) -> pl.DataFrame:
    """Rows that fill several small parts."""
    return notes(
        (hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, start + rows)), start
    )


class Stop(Exception):  # noqa: N818
    """What a producer of rows may run into."""


def stops_after(*frames):
    yield from frames
    raise Stop


def test_a_table_of_one_source(store, tmp_path):
    manifest = write(store, ("", [lines(1500), lines(1500, 1500)]), part_bytes=SMALL)

    names = [part.path for part in manifest.parts]
    assert names == [f"NOTES/part-{i:05d}.csv.gz" for i in range(len(names))]
    assert len(names) > 3
    assert paths(store) == sorted([*names, "NOTES/_manifest.json"])
    for part in manifest.parts:
        data = store.get(f"{DAY}/{part.path}")
        assert (part.bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert part.bytes <= SMALL
    assert manifest.rows == sum(part.rows for part in manifest.parts) == 3000
    assert manifest.bytes == sum(part.bytes for part in manifest.parts)
    assert_frame_equal(read_table(store, DAY, "NOTES").collect(), lines(3000))
    assert len(by_duckdb((store.get(f"{DAY}/{name}") for name in names), tmp_path)) == 3000


def test_a_table_of_many_sources_has_a_folder_for_each(store):
    folders = ("contacts", [notes(["a"]), notes(["b"], 1)]), ("deals", []), ("notes", [notes("c")])
    manifest = write(store, *folders)
    assert [(part.path, part.rows) for part in manifest.parts] == [
        ("NOTES/contacts/part-00000.csv.gz", 2),
        ("NOTES/deals/part-00000.csv.gz", 0),
        ("NOTES/notes/part-00000.csv.gz", 1),
    ]
    assert read_table(store, DAY, "NOTES").collect()["TEXT"].to_list() == ["a", "b", "c"]


def test_a_table_without_sources_still_exists(store):
    manifest = write(store)
    assert paths(store) == ["NOTES/_manifest.json", "NOTES/part-00000.csv.gz"]
    assert manifest.rows == 0
    assert_frame_equal(read_table(store, DAY, "NOTES").collect(), notes([]))


def test_lazy_frames_are_collected_in_order(folder, tmp_path):
    lines(50_000).write_parquet(tmp_path / "rows.parquet")
    write(folder, ("", [pl.scan_parquet(tmp_path / "rows.parquet"), lines(10, 50_000).lazy()]))
    lazily = {part.path: part.sha256 for part in read_manifest(folder, DAY, "NOTES").parts}
    write(folder, ("", [lines(50_010)]))
    assert {p.path: p.sha256 for p in read_manifest(folder, DAY, "NOTES").parts} == lazily


def test_the_manifest_tells_all(store):
    findings = Findings()

    def rows():
        yield notes(["x"])
        findings.observed_at = datetime(2026, 11, 23, 3, 4, 5, 678_900, tzinfo=UTC)
        findings.counts |= {"values_unparsed": 2, "cells_not_known": 1}
        findings.sources["deals"] = TableSource(
            Availability("missing_scope", "add crm.objects.deals.read"),
            point_in_time=False,
            observed_at=findings.observed_at,
        )
        findings.warnings.append("deals are not there")

    given = TableContent(
        NOTES, [("contacts", rows())], AS_OF, point_in_time=False, findings=findings
    )
    manifest = write_table(store, DAY, given, "run-1", "0.1.0", portal_id=1234567)

    text = store.get(f"{DAY}/NOTES/_manifest.json")
    assert text.endswith(b"}\n")
    part = manifest.parts[0]
    assert json.loads(text) == {
        "format": 1,
        "portal_id": 1234567,
        "table": "NOTES",
        "day": DAY,
        "as_of": "2026-11-23T00:00:00.000Z",
        "observed_at": "2026-11-23T03:04:05.678Z",
        "point_in_time": False,
        "columns": [
            {"name": "ID", "type": "NUMBER", "description": "Id"},
            {"name": "TEXT", "type": "VARCHAR", "description": "Text"},
            {"name": "AT", "type": "TIMESTAMP", "description": "Moment"},
        ],
        "key": ["ID"],
        "rows": 1,
        "bytes": part.bytes,
        "parts": [
            {
                "path": "NOTES/contacts/part-00000.csv.gz",
                "rows": 1,
                "bytes": part.bytes,
                "sha256": part.sha256,
            }
        ],
        "files": [],
        "written_with": f"polars {pl.__version__}",
        "availability": {"status": "available", "detail": ""},
        "sources": {
            "deals": {
                "availability": {"status": "missing_scope", "detail": "add crm.objects.deals.read"},
                "point_in_time": False,
                "observed_at": "2026-11-23T03:04:05.678Z",
            }
        },
        "counts": {"cells_not_known": 1, "values_unparsed": 2},
        "warnings": ["deals are not there"],
        "settled": True,
        "run_id": "run-1",
        "code_version": "0.1.0",
    }
    again = TableManifest.from_json(text)
    assert again.to_json() == text
    assert read_manifest(store, DAY, "NOTES") == again


def test_a_manifest_of_an_earlier_version_is_read(folder):
    """It names no format, no portal, no other files, and of a source its availability alone."""
    given = TableContent(NOTES, [("", [notes(["x"])])], AS_OF, point_in_time=False)
    write_table(folder, DAY, given, "run-1", "0.1.0", portal_id=1234567)
    said = json.loads(folder.get(f"{DAY}/NOTES/_manifest.json"))
    for name in ("format", "portal_id", "files", "written_with"):
        del said[name]
    refused = Availability("missing_scope", "add crm.objects.deals.read")
    folder.put(
        f"{DAY}/NOTES/_manifest.json",
        json.dumps(said | {"sources": {"deals": asdict(refused)}}).encode(),
    )
    read = read_manifest(folder, DAY, "NOTES")
    assert read.portal_id is None
    assert read.sources["deals"].availability == refused
    assert not read.sources["deals"].point_in_time


def test_the_same_rows_give_the_same_objects(store):
    write(store, ("", [lines(3000)]), part_bytes=SMALL)
    first = {path: store.get(f"{DAY}/{path}") for path in paths(store)}
    write(store, ("", [lines(3000)]), part_bytes=SMALL)
    assert {path: store.get(f"{DAY}/{path}") for path in paths(store)} == first


def test_what_an_earlier_attempt_left_is_gone(store):
    write(store, ("contacts", [lines(3000)]), ("gone", [lines(10)]), part_bytes=SMALL)
    store.put(f"{DAY}/NOTES/contacts/part-00099.csv.gz", b"half a par")
    write(store, ("contacts", [notes(["x"])]))
    assert paths(store) == ["NOTES/_manifest.json", "NOTES/contacts/part-00000.csv.gz"]


@contextmanager
def untouched(store, *below):
    """Nothing below these folders changes meanwhile."""

    def state():
        return {
            entry.path: store.get(entry.path) for folder in below for entry in store.list(folder)
        }

    before = state()
    yield
    assert state() == before


@pytest.fixture
def settled(store):
    """A store with complete days and another table beside the one that is written."""
    for day in ("2026-11-21", DAY):
        write(store, ("", [lines(1500)]), day=day, part_bytes=SMALL)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    store.put(f"{DAY}/NOTES_MORE/_manifest.json", b"another table")
    return store


def test_rows_that_fail_midway_leave_the_table_without_manifest(settled):
    with untouched(settled, "2026-11-21", f"{DAY}/NOTES_MORE"), pytest.raises(Stop):
        write(settled, ("", stops_after(lines(3000, 5))), part_bytes=SMALL)
    assert not settled.exists(manifest_path(DAY, "NOTES"))
    assert not settled.exists(manifest_path(DAY))
    with pytest.raises(NotFoundError, match=f"NOTES of {DAY} is not complete.*materialize"):
        read_table(settled, DAY, "NOTES")

    write(settled, ("", [notes(["x"])]))
    assert paths(settled, f"{DAY}/NOTES") == ["_manifest.json", "part-00000.csv.gz"]


def test_rows_that_fail_before_the_first_part_leave_all_as_it_was(settled):
    with untouched(settled, "2026-11-21", DAY), pytest.raises(Stop):
        write(settled, ("", stops_after(lines(10))), part_bytes=SMALL)
    with untouched(settled, "2026-11-21", DAY), pytest.raises(TableError):
        write(settled, ("", [notes(["x"]), notes(["x"])]))


def test_the_manifests_go_before_a_part_changes(settled):
    def rows():
        yield lines(3000, 5)
        assert settled.get(f"{DAY}/NOTES/part-00000.csv.gz") != former
        assert not settled.exists(manifest_path(DAY, "NOTES"))
        assert not settled.exists(manifest_path(DAY))

    former = settled.get(f"{DAY}/NOTES/part-00000.csv.gz")
    write(settled, ("", rows()), part_bytes=SMALL)
    assert settled.exists(manifest_path(DAY, "NOTES"))


def is_whole(store):
    """Whether what the manifest names is there, and nothing else."""
    manifest = read_manifest(store, DAY, "NOTES")
    found = {path: store.get(f"{DAY}/{path}") for path in paths(store)}
    del found["NOTES/_manifest.json"]
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in found.items()}
    return digests == {part.path: part.sha256 for part in manifest.parts}


def at_once(*work):
    """Runs functions in threads that begin together; raises what one of them raised."""
    begin = threading.Barrier(len(work))

    def run(one):
        begin.wait()
        one()

    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(run, work))


@pytest.mark.parametrize("times", [40, pytest.param(150, marks=pytest.mark.slow)])
def test_two_writers_of_a_table_leave_it_whole(folder, times):
    few, many = [lines(10)], [lines(700, 5)]
    for _ in range(times):
        at_once(
            lambda: write(folder, ("", few), part_bytes=SMALL),
            lambda: write(folder, ("", many), part_bytes=SMALL),
        )
        assert is_whole(folder)


def test_two_writers_of_a_table_in_a_bucket_leave_it_whole(bucket, s3):
    stores = [open_store(f"s3://{bucket}/p", s3) for _ in range(2)]  # as two hosts have them
    for _ in range(3):
        at_once(
            lambda: write(stores[0], ("", [lines(10)]), part_bytes=SMALL),
            lambda: write(stores[1], ("", [lines(700, 5)]), part_bytes=SMALL),
        )
        assert is_whole(stores[0])


def test_a_table_whose_folder_is_removed_while_it_is_written_is_not_published(store):
    def rows():
        yield lines(1500)
        store.delete([f"{DAY}/{path}" for path in paths(store)])
        yield lines(1500, 1500)

    with pytest.raises(StoreError, match=r"part-00000.* not as it was written.*run again"):
        write(store, ("", rows()), part_bytes=SMALL)
    assert not store.exists(manifest_path(DAY, "NOTES"))


def test_a_part_that_another_wrote_over_is_not_published(store):
    def rows():
        yield lines(1500)
        store.put(f"{DAY}/NOTES/part-00000.csv.gz", b"another's")
        yield lines(1500, 1500)

    with pytest.raises(StoreError, match=r"part-00000.* not as it was written"):
        write(store, ("", rows()), part_bytes=SMALL)
    assert not store.exists(manifest_path(DAY, "NOTES"))


def test_who_has_lost_the_day_meanwhile_does_not_publish(store, monkeypatch):
    def rows():
        yield lines(1500)
        store.delete([f"_leases/{DAY}.json"])
        another = take(store, DAY, "another")
        until_told.callback(another.release)
        monkeypatch.setattr(leases, "DURATION", 0)  # so long ago was it renewed

    with ExitStack() as until_told:
        with pytest.raises(LeaseError, match="taken over by run another"):
            write(store, ("", rows()), part_bytes=SMALL)
        monkeypatch.setattr(leases, "PATIENCE", 0)
        monkeypatch.setattr(leases, "DURATION", 60)
        with pytest.raises(LeaseError, match="is being written by run another"):
            complete_day(store, DAY, [], AS_OF, "run", "1.0")
    assert not store.exists(manifest_path(DAY, "NOTES"))
    assert not store.exists(manifest_path(DAY))


@pytest.fixture
def full_disk(tmp_path):
    """A real file system of 256 kB; needs the right to mount one."""
    top = tmp_path / "small"
    top.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(top)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    yield top
    subprocess.run(["umount", str(top)], check=True)


def test_a_disk_that_fills_up(full_disk):
    store = open_store(full_disk)
    write(store, ("", [lines(100)]), day="2026-11-21")
    with (
        untouched(store, "2026-11-21"),
        pytest.raises(StoreError, match="no space left on the disk; free some"),
    ):
        write(store, ("", [lines(20_000)]), part_bytes=SMALL)
    assert not store.exists(manifest_path(DAY, "NOTES"))


@pytest.mark.parametrize("folders", [("a", "a"), ("", "a"), ("a", ""), ("", "")])
def test_sub_folders_that_cannot_be_told_apart(folder, folders):
    with pytest.raises(TableError, match="NOTES: the sub-folder"):
        write(folder, *((name, [notes(["x"])]) for name in folders))


def test_the_order_of_keys_starts_anew_in_each_sub_folder(folder):
    write(folder, ("a", [notes(["x"], 5)]), ("b", [notes(["x"], 1)]))


def test_reading_only_some_of_a_table(store):
    write(store, ("", [lines(3000)]), part_bytes=SMALL)
    table = read_table(store, DAY, "NOTES")
    assert table.head(5).collect().height == 5
    some = table.filter(pl.col("ID").is_between(1400, 1402)).select("TEXT").collect()
    assert_frame_equal(some, lines(3, 1400).select("TEXT"))
    assert table.select(pl.len()).collect().item() == 3000


def test_reading_what_is_damaged(store):
    write(store, ("", [lines(3000)]), part_bytes=SMALL)
    store.delete([f"{DAY}/NOTES/part-00001.csv.gz"])
    with pytest.raises(StoreError, match=f"part-00001.*materialize NOTES of {DAY} again"):
        read_table(store, DAY, "NOTES")
    store.put(manifest_path(DAY, "NOTES"), b"{}")
    with pytest.raises(StoreError, match=r"_manifest\.json cannot be read"):
        read_table(store, DAY, "NOTES")


def test_reading_a_part_that_is_not_the_one_that_was_written(store):
    write(store, ("", [lines(3000)]), part_bytes=SMALL)
    path = f"{DAY}/NOTES/part-00001.csv.gz"
    whole = store.get(path)
    for damaged in (
        whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],  # a bit of the content
        gzip.compress(b"ID,TEXT,AT\n", mtime=0).ljust(len(whole), b"\0"),  # another content
        b"\0" * len(whole),
    ):
        store.put(path, damaged)
        table = read_table(store, DAY, "NOTES")  # the sizes are right
        with pytest.raises(StoreError, match=f"part-00001.*materialize NOTES of {DAY} again"):
            table.collect()
    store.put(path, whole)
    assert read_table(store, DAY, "NOTES").collect().height == 3000


class Noting:
    """A store, and what was asked of it in order."""

    def __init__(self, store):
        self._store = store
        self.calls = []

    def put(self, path, *arguments, **more):
        self.calls.append(("put", path.removeprefix(f"{DAY}/")))
        self._store.put(path, *arguments, **more)

    def delete(self, paths, **more):
        paths = list(paths)
        self.calls += [("delete", path.removeprefix(f"{DAY}/")) for path in paths]
        self._store.delete(paths, **more)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_the_order_of_a_rewrite(store):
    write(store, ("", [lines(1500)]), part_bytes=SMALL)
    before = paths(store)
    assert len(before) == 5
    complete_day(store, DAY, ["NOTES"], AS_OF, "run", "1.0")
    noting = Noting(store)
    write(noting, ("", [lines(600)]), part_bytes=SMALL)
    complete_day(noting, DAY, ["NOTES"], AS_OF, "run", "1.0")
    kept = [path for path in before if path in paths(store) and path.endswith(".gz")]
    assert kept == ["NOTES/part-00000.csv.gz", "NOTES/part-00001.csv.gz"]
    surplus = [path for path in before if path not in paths(store)]
    assert noting.calls == [
        ("delete", "_manifest.json"),
        ("delete", "NOTES/_manifest.json"),
        *(("put", path) for path in kept),
        *(("delete", path) for path in surplus),
        ("put", "NOTES/_manifest.json"),
        ("put", "_manifest.json"),
    ]


def test_moments_need_a_time_zone(folder):
    naive = TableContent(NOTES, [], datetime(2026, 11, 23), point_in_time=True)
    with pytest.raises(ValueError, match="time zone"):
        write_table(folder, DAY, naive, "run", "1.0")


def test_content_of_no_table_is_available_by_default():
    assert content().availability == Availability("available", "")


def test_what_was_counted_is_told_in_words(folder):
    findings = Findings(warnings=["first"])

    def rows():
        yield notes(["x"])
        findings.counts |= {"values_not_parsed": 2_000, "events_repeated": 0, "records": 7}

    write(folder, ("", rows()), findings=findings)
    assert read_manifest(folder, DAY, "NOTES").warnings == (
        "first",
        "2,000 values that don't read as their property's type are NULL here",
    )
