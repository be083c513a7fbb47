"""The same rows as Parquet: to the last digit, in files that come and go with the CSV."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hubspot_assets.export import DayManifest, complete_day, manifest_path, parquet, read_manifest
from hubspot_assets.export.parquet import ParquetFiles
from hubspot_assets.export.retention import left_lines, purge
from hubspot_assets.storage import StoreError
from hubspot_assets.tables.content import Findings
from hubspot_assets.tables.spec import Column, TableSpec
from hubspot_assets_tests.export.tables import AS_OF, DAY, NOTES, notes, paths, write
from hubspot_assets_tests.export.test_retention import state

BESIDE = f"parquet/NOTES/day={DAY}"

EVERY = TableSpec(
    name="EVERY",
    columns=(
        Column("OBJECTID", "NUMBER", ""),
        Column("SIZE", "NUMBER", ""),
        Column("PROPERTY_AMOUNT", "NUMBER", ""),
        Column("PROPERTY_UNPARSED_AMOUNT", "VARCHAR", ""),
        Column("PROPERTY_FLAG", "BOOLEAN", ""),
        Column("PROPERTY_AT", "TIMESTAMP", ""),
        Column("PROPERTY_ON", "DATE", ""),
        Column("PROPERTY_DOC", "JSON", ""),
        Column("PROPERTY_NEVER", "TIMESTAMP", ""),
        Column("PROPERTY_NO_NUMBER", "NUMBER", ""),
    ),
    key=("OBJECTID",),
    description="Every type.",
    group="tests",
    point_in_time=True,
)
DTYPES: dict[str, Any] = {
    "OBJECTID": pl.Int64,
    "SIZE": pl.Int64,
    "PROPERTY_AMOUNT": pl.String,
    "PROPERTY_UNPARSED_AMOUNT": pl.String,
    "PROPERTY_FLAG": pl.Boolean,
    "PROPERTY_AT": pl.Datetime("ms"),
    "PROPERTY_ON": pl.Date,
    "PROPERTY_DOC": pl.String,
    "PROPERTY_NEVER": pl.Datetime("ms"),
    "PROPERTY_NO_NUMBER": pl.String,
}


def every(amounts, texts=None):
    """Rows that differ in one number, and in the text beside it."""
    rows = [
        (
            i + 9_223_372_036_854_775_000,
            i,
            amount,
            text,
            i % 2 == 0,
            datetime(1, 1, 1) if i % 3 else datetime(9999, 12, 31, 23, 59, 59, 999_000),
            date(2024, 2, 29),
            '{"a":1}',
            None,
            None,
        )
        for i, (amount, text) in enumerate(zip(amounts, texts or amounts, strict=True))
    ]
    return pl.DataFrame(rows, schema=DTYPES, orient="row")


def files_of(store, day=DAY, table="NOTES"):
    return [io.BytesIO(store.get(file.path)) for file in read_manifest(store, day, table).files]


EXACT = {
    "0": "0",
    "-0": "0",
    "-0.00": "0",
    "007": "7",
    "67340.0": "67340",
    "0.1234567890": "0.123456789",
    "-0.0000000001": "-0.0000000001",
    "1.00000000000": "1",  # eleven decimals, none of which is lost
    "1." + "5".ljust(37, "0"): "1.5",
    "0" * 37 + "1": "1",
    "9007199254740993": "9007199254740993",  # which no float is
    "1234567890123456789": "1234567890123456789",
    "9" * 28 + "." + "9" * 10: "9" * 28 + "." + "9" * 10,
    "-" + "9" * 28: "-" + "9" * 28,
}
UNFIT = (
    "0.12345678901",
    "9" * 29,
    "9" * 38,
    "-" + "9" * 38,
    "1." + "0" * 36 + "1",
    "0.1" + "2" * 36,
)


def test_a_number_is_exact_or_null_and_counted(store, tmp_path):
    amounts = [*EXACT, *UNFIT, None]
    findings = Findings()
    manifest = write(store, ("", [every(amounts)]), spec=EVERY, findings=findings, parquet=True)
    (file,) = manifest.files
    (tmp_path / "rows.parquet").write_bytes(store.get(file.path))
    found = duckdb.sql(
        "select PROPERTY_AMOUNT, PROPERTY_UNPARSED_AMOUNT "
        f"from '{tmp_path}/rows.parquet' order by OBJECTID"
    ).fetchall()
    expected = [Decimal(text) for text in EXACT.values()] + [None] * (len(UNFIT) + 1)
    assert [number for number, _ in found] == expected
    assert [text for _, text in found] == amounts
    assert manifest.counts["numbers_not_in_parquet"] == len(UNFIT)
    (warning,) = manifest.warnings
    assert warning.startswith(f"{len(UNFIT)} numbers have more than 28 digits, or more than 10")


def test_every_column_has_its_type_even_without_values(store, tmp_path):
    texts = ["a\nb", "", None, "\r\n,\"'", "\u0000", "ünï", "\ufffd"]
    write(store, ("", [every(["1"] * 7, texts)]), spec=EVERY, parquet=True)
    (file,) = files_of(store, table="EVERY")
    (tmp_path / "rows.parquet").write_bytes(file.getvalue())
    rows = duckdb.sql(f"from '{tmp_path}/rows.parquet' order by SIZE")
    assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == {
        "OBJECTID": "BIGINT",
        "SIZE": "DECIMAL(38,10)",
        "PROPERTY_AMOUNT": "DECIMAL(38,10)",
        "PROPERTY_UNPARSED_AMOUNT": "VARCHAR",
        "PROPERTY_FLAG": "BOOLEAN",
        "PROPERTY_AT": "TIMESTAMP",
        "PROPERTY_ON": "DATE",
        "PROPERTY_DOC": "VARCHAR",
        "PROPERTY_NEVER": "TIMESTAMP",
        "PROPERTY_NO_NUMBER": "DECIMAL(38,10)",
    }
    found = rows.fetchall()
    assert [row[3] for row in found] == texts
    assert [row[0] for row in found] == [9_223_372_036_854_775_000 + i for i in range(7)]
    assert found[0][4:] == (
        *(True, datetime(9999, 12, 31, 23, 59, 59, 999_000), date(2024, 2, 29)),
        *('{"a":1}', None, None),
    )
    assert found[1][5] == datetime(1, 1, 1)


def test_files_stand_beside_the_parts_and_the_manifest_names_them(store):
    folders = ("contacts", [notes(["a"]), notes(["b"], 1)]), ("deals", []), ("notes", [notes("c")])
    manifest = write(store, *folders, parquet=True)
    assert [(file.path, file.format, file.rows) for file in manifest.files] == [
        (f"{BESIDE}/contacts-00000.parquet", "parquet", 2),
        (f"{BESIDE}/deals-00000.parquet", "parquet", 0),
        (f"{BESIDE}/notes-00000.parquet", "parquet", 1),
    ]
    assert paths(store, BESIDE) == [
        f"{name}-00000.parquet" for name in ("contacts", "deals", "notes")
    ]
    for file in manifest.files:
        data = store.get(file.path)
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert pl.read_parquet(files_of(store)).height == manifest.rows == 3


def test_a_table_without_rows_is_a_file_of_its_columns(store):
    manifest = write(store, parquet=True)
    assert [file.path for file in manifest.files] == [f"{BESIDE}/part-00000.parquet"]
    read = pl.read_parquet(files_of(store))
    assert (read.height, read.schema["AT"]) == (0, pl.Datetime("us"))


def packed(frames, limit):
    files = ParquetFiles(NOTES, limit)
    made = []
    for frame in frames:
        files.take(frame)
        made += [file.data for file in files.made()]
    return made + [file.data for file in files.rest()]


@pytest.mark.samples(2)
@pytest.mark.parametrize("limit", [1, 5_000, 200_000, 10_000_000])
def test_the_same_rows_give_the_same_bytes_however_they_come(limit, monkeypatch, tmp_path):
    monkeypatch.setattr(parquet, "_ROW_GROUP", 700)
    texts = [hashlib.sha256(str(i).encode()).hexdigest() * (1 + i % 7) for i in range(1500)]
    texts[40] = "x" * 300_000
    rows = notes(texts[: 20 if limit == 1 else None])
    whole = packed([rows], limit)
    cuts = [0, 1, 17, 17, 700, 701, 1500]
    assert packed([rows[a:b] for a, b in pairwise(cuts)], limit) == whole
    assert packed([rows[i : i + 1] for i in range(rows.height)], limit) == whole
    read = [pl.read_parquet(io.BytesIO(each)) for each in whole]
    assert_frame_equal(pl.concat(read).cast({"AT": pl.Datetime("ms")}), rows)
    assert all(each.height for each in read)
    sizes = [sum(map(len, each["TEXT"].to_list())) for each in read]
    assert all(size <= limit or each.height == 1 for size, each in zip(sizes, read, strict=True))
    (tmp_path / "last.parquet").write_bytes(whole[-1])
    groups = "SELECT count(DISTINCT row_group_id) FROM parquet_metadata(?)"
    found = duckdb.connect().execute(groups, [str(tmp_path / "last.parquet")]).fetchone()
    assert found == (-(-read[-1].height // 700),)
    assert len(whole) == {1: 20, 10_000_000: 1}.get(limit, len(whole))


def test_a_table_written_again_has_its_own_files_alone(store):
    write(store, ("a", [notes(["x"])]), ("b", [notes(["y"])]), parquet=True)
    store.put(f"{BESIDE}/a-00007.parquet", b"half a fi")
    write(store, ("a", [notes(["z"])]), parquet=True)
    assert paths(store, BESIDE) == ["a-00000.parquet"]
    assert pl.read_parquet(files_of(store))["TEXT"].to_list() == ["z"]


def test_a_table_written_again_without_parquet_loses_its_files_of_the_day(store):
    for day in ("2026-11-21", DAY):
        write(store, ("", [notes(["x"])]), day=day, parquet=True)
    assert write(store, ("", [notes(["y"])])).files == ()
    assert paths(store, "parquet") == ["NOTES/day=2026-11-21/part-00000.parquet"]


def test_the_manifest_goes_before_a_file_changes_and_nothing_is_published_after_a_failure(store):
    write(store, ("", [notes(["x"])]), parquet=True)
    complete_day(store, DAY, ["NOTES"], AS_OF, "run", "1.0")

    def rows():
        yield notes(["y"])

    def fails():
        yield notes(["z"])
        assert store.get(f"{BESIDE}/a-00000.parquet")
        assert not store.exists(manifest_path(DAY, "NOTES"))
        assert not store.exists(manifest_path(DAY))
        raise StoreError("stop")

    with pytest.raises(StoreError, match="stop"):
        write(store, ("a", rows()), ("b", fails()), parquet=True)
    assert not store.exists(manifest_path(DAY, "NOTES"))
    write(store, ("", [notes(["x"])]))
    assert paths(store, "parquet") == []


def test_a_file_that_is_lost_meanwhile_is_told_of(store):
    def rows():
        yield notes(["x"])
        store.delete([f"{BESIDE}/a-00000.parquet"])

    with pytest.raises(StoreError, match=r"a-00000\.parquet is not as it was written"):
        write(store, ("a", [notes(["x"])]), ("b", rows()), parquet=True)
    assert not store.exists(manifest_path(DAY, "NOTES"))


def test_a_day_is_complete_with_its_files(store):
    write(store, ("", [notes(["x"])]), parquet=True)
    write(store, spec=replace(NOTES, name="LISTS"))
    expected = ["NOTES", "LISTS"]
    day = complete_day(store, DAY, expected, AS_OF, "run", "1.0")
    assert isinstance(day, DayManifest)
    assert [each.formats for each in day.tables] == [("csv",), ("csv", "parquet")]
    store.delete([manifest_path(DAY), f"{BESIDE}/part-00000.parquet"])
    assert complete_day(store, DAY, expected, AS_OF, "run", "1.0") == ["NOTES"]
    assert not store.exists(manifest_path(DAY))


def test_a_purge_takes_the_files_of_the_day(store):
    for day in ("2026-11-21", DAY):
        write(store, ("", [notes(["x"])]), day=day, parquet=True)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    report = purge(store, state(store), 1, dry_run=True)
    assert [each.objects for each in report.days] == [4]
    assert purge(store, state(store), 1).days == report.days
    assert paths(store, "parquet") == [f"NOTES/day={DAY}/part-00000.parquet"]


def test_a_purge_leaves_files_that_no_manifest_names_and_says_so(store):
    for day in ("2026-11-21", DAY):
        write(store, ("", [notes(["x"])]), day=day, parquet=True)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    another = "parquet/NOTES/day=2026-11-21/another.parquet"
    store.put(another, b"not ours")
    report = purge(store, state(store), 1)
    assert list(left_lines(report)) == [
        f"2026-11-21: left 1 objects that no manifest names: {another}"
    ]
    assert paths(store, "parquet/NOTES/day=2026-11-21") == ["another.parquet"]


def test_a_purge_that_died_is_gone_on_with(store, monkeypatch):
    for day in ("2026-11-21", DAY):
        write(store, ("", [notes(["x"])]), day=day, parquet=True)
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    delete = type(store).delete

    def dies_at_files(self, paths, **more):
        paths = list(paths)
        if any("parquet" in path for path in paths):
            raise StoreError("unplugged")
        delete(self, paths, **more)

    def dies_after_one(self, paths, **more):
        paths = list(paths)
        delete(self, paths[:1], **more)
        if paths:
            raise StoreError("unplugged")

    for dies in (dies_at_files, dies_after_one):
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "delete", dies)
            with pytest.raises(StoreError, match="unplugged"):
                purge(store, state(store), 1)
    assert any("2026-11-21" in entry.path for entry in store.list() if "_state" not in entry.path)
    purge(store, state(store), 1)
    assert paths(store, "parquet") == [f"NOTES/day={DAY}/part-00000.parquet"]
    assert "2026-11-21" not in store.folders()
