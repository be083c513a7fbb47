"""Large tables in folders and buckets: what is read, and versions of before."""

import gzip
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from hubspot_assets.export import complete_day, manifest_path, read_day, read_manifest, read_table
from hubspot_assets.export.parquet import ParquetFiles
from hubspot_assets.forget.forgetting import Places, forget, lines, warnings
from hubspot_assets.forget.people import People, Types
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.storage import open_store
from hubspot_assets.storage.folder import FolderStore
from hubspot_assets.storage.s3 import S3Store
from hubspot_assets.tables import specs
from hubspot_assets_tests.export.tables import AS_OF, write

DAY = "2026-01-31"
TABLE = "OBJECT_PROPERTIES"
MOMENT = datetime(2026, 1, 30, tzinfo=UTC).replace(tzinfo=None)
#: Records have each so many rows, and ids in so large steps.
ROWS, STEP = 3, 7


def rows(type_id, first, last):
    """Rows of records of a type, whose values do not pack well."""
    ids = [each for each in range(first, last, STEP) for _ in range(ROWS)]
    moment = pl.lit(MOMENT, pl.Datetime("ms"))
    values = pl.Series(ids).hash(seed=3).cast(pl.String)
    return pl.DataFrame({"OBJECTTYPEID": [type_id] * len(ids), "OBJECTID": ids}).select(
        "OBJECTTYPEID",
        "OBJECTID",
        NAME=pl.lit("n") + (pl.int_range(pl.len()) % ROWS).cast(pl.String),
        VALUE=values + pl.int_range(pl.len()).hash(seed=5).cast(pl.String) + ' "7,\n0-1,70,"',
        UPDATEDAT=moment,
        INGESTEDAT=moment,
    )


def deliver(store, **more):
    """A day with a table of many parts of contacts, and one of companies."""
    folders = ("companies", [rows("0-2", 70, 700)]), ("contacts", [rows("0-1", 70, 70_000)])
    how: dict[str, Any] = {
        "day": DAY,
        "spec": specs.OBJECT_PROPERTIES,
        "part_bytes": 100_000,
    } | more
    manifest = write(store, *folders, **how)
    complete_day(store, DAY, [TABLE], AS_OF, "run", "1.0")
    return manifest


def places(store, state=None):
    state = state or open_store(store.url_of("_state"), getattr(store, "_new_client", None))
    return Places(store, state, Types.of(standard_catalog()), {})


def contacts(*ids):
    return People.told([("0-1", each) for each in ids])


def test_only_parts_that_may_hold_them_are_read_and_rewritten(store, monkeypatch):
    manifest = deliver(store)
    assert len(manifest.parts) > 7
    gone = contacts(70, 35_000, 35_001)
    before = read_table(store, DAY, TABLE).collect()
    read = []

    def noting(get):
        def call(self, path):
            read.append(path)
            return get(self, path)

        return call

    for kind in (FolderStore, S3Store):
        monkeypatch.setattr(kind, "get", noting(kind.get))
    report = forget(places(store), gone)
    assert report.tables == {TABLE: 2 * ROWS}
    assert 2 <= len([path for path in read if path.endswith(".gz")]) <= 3
    assert report.days[0].parts == 2
    is_gone = pl.col("OBJECTID").is_in([70, 35_000]) & (pl.col("OBJECTTYPEID") == "0-1")
    assert read_table(store, DAY, TABLE).collect().equals(before.filter(~is_gone))
    assert read_day(store, DAY).rows == before.height - 2 * ROWS
    (told,) = read_day(store, DAY).forgotten
    assert told.rows == 2 * ROWS


@pytest.mark.slow
def test_a_second_time_is_told_beside_the_first(store):
    deliver(store)
    for each in (70, 77):
        forget(places(store), contacts(each))
    assert [each.rows for each in read_day(store, DAY).forgotten] == [ROWS, ROWS]
    assert forget(places(store), contacts(70)).days == ()


def test_a_part_of_which_all_rows_go_keeps_its_header(folder):
    write(folder, ("contacts", [rows("0-1", 70, 77)]), day=DAY, spec=specs.OBJECT_PROPERTIES)
    complete_day(folder, DAY, [TABLE], AS_OF, "run", "1.0")
    forget(places(folder), contacts(70))
    data = folder.get(f"{DAY}/{TABLE}/contacts/part-00000.csv.gz")
    assert gzip.decompress(data).startswith(b"OBJECTTYPEID,OBJECTID,NAME,")
    assert read_table(folder, DAY, TABLE).collect().is_empty()
    assert forget(places(folder), contacts(70)).days == ()


def beside(store):
    """The rows of contact 70 and of all in the Parquet files of the table."""
    files = [store.get(entry.path) for entry in store.list(f"parquet/{TABLE}")]
    frame = pl.concat(pl.read_parquet(data) for data in files)
    theirs = (pl.col("OBJECTID") == 70) & (pl.col("OBJECTTYPEID") == "0-1")
    return frame.filter(theirs).height, frame.height


def test_parquet_files_are_rewritten_and_only_those_that_hold_them(folder, monkeypatch):
    monkeypatch.setattr(ParquetFiles.__init__, "__defaults__", (500_000,))
    before = deliver(folder, parquet=True).files
    assert len(before) > 4
    _, rows_before = beside(folder)
    forget(places(folder), contacts(70))
    after = read_manifest(folder, DAY, TABLE).files
    changed = [new.rows - old.rows for new, old in zip(after, before, strict=True) if new != old]
    assert changed == [-ROWS]
    assert beside(folder) == (0, rows_before - ROWS)
    assert {file.path: file.bytes for file in after} == {
        entry.path: entry.bytes for entry in folder.list("parquet")
    }


@pytest.mark.parametrize("left", ["all", "parquet"])
def test_parquet_files_of_an_export_that_was_broken_off_are_rewritten(folder, left):
    deliver(folder, parquet=True)
    _, rows_before = beside(folder)
    folder.delete([manifest_path(DAY), manifest_path(DAY, TABLE)])
    if left == "parquet":
        folder.delete([entry.path for entry in folder.list(DAY)])
    assert forget(places(folder), contacts(70)).tables == {TABLE: ROWS}
    assert beside(folder) == (0, rows_before - ROWS)


def test_a_parquet_file_that_is_gone_leaves_the_day(folder):
    (file, *_) = deliver(folder, parquet=True).files[-1:]
    folder.delete([file.path])
    report = forget(places(folder), contacts(70))
    assert "is not there; export the day again" in report.left[DAY]
    assert read_day(folder, DAY).forgotten == ()


@pytest.fixture
def versioned(bucket, s3):
    status = {"Status": "Enabled"}
    s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)
    return open_store(f"s3://{bucket}/a/prefix", s3)


def held_by(versioned, s3, bucket):
    """How many versions in the bucket hold the contact 70."""
    found = 0
    for each in s3().list_object_versions(Bucket=bucket)["Versions"]:
        if each["Key"].endswith(".gz"):
            of = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            found += b"\n0-1,70,n" in gzip.decompress(s3().get_object(**of)["Body"].read())
    return found


@pytest.mark.slow
def test_old_versions_stay_unless_they_are_to_go(versioned, s3, bucket):
    deliver(versioned, parquet=True)
    deliver(versioned, parquet=True)
    versioned.put("2026-01-01/OBJECTS/part-00000.csv.gz", gzip.compress(b"x\n0-1,70,n"))
    versioned.delete(["2026-01-01/OBJECTS/part-00000.csv.gz"])
    assert held_by(versioned, s3, bucket) == 3
    forget(places(versioned), contacts(70))
    assert held_by(versioned, s3, bucket) == 3
    before = list(versioned.list("parquet", versions=True))
    report = forget(places(versioned), contacts(70), versions=True)
    assert held_by(versioned, s3, bucket) == 0
    assert len(before) > len(list(versioned.list("parquet", versions=True)))
    assert beside(versioned)[0] == 0
    assert report.former
    assert any("old versions deleted" in line for line in lines(report, dry_run=False))
    assert read_day(versioned, DAY).rows == read_table(versioned, DAY, TABLE).collect().height
    keys = {each["Key"] for each in s3().list_object_versions(Bucket=bucket)["Versions"]}
    assert not [key for key in keys if "forgetting" in key]


@pytest.mark.slow
def test_versions_that_stay_are_said(versioned, monkeypatch):
    deliver(versioned)
    deliver(versioned)
    real = S3Store._refused

    def refuse(self, versions):
        versions = list(versions)
        kept = [each for each in versions if each.key.endswith(".gz")]
        real(self, [each for each in versions if each not in kept])
        return dict.fromkeys(kept, "the object is locked")

    monkeypatch.setattr(S3Store, "_refused", refuse)
    report = forget(places(versioned), contacts(70), versions=True)
    (line,) = warnings(report)
    assert "old versions stayed" in line
    assert line.endswith("the object is locked")
