"""Tables of an export as polars frames, from a folder and a bucket."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hubspot_assets import reader
from hubspot_assets.export import complete_day, manifest_path
from hubspot_assets.reader import ReaderError
from hubspot_assets.storage import StoreError
from hubspot_assets.tables.spec import Column
from hubspot_assets_tests.export.tables import AS_OF, NOTES, notes, write
from hubspot_assets_tests.export.test_parquet import EVERY, every

ONE, TWO, THREE = "2026-11-20", "2026-11-21", "2026-11-22"


@pytest.fixture
def export(store):
    """The store as a reader opens it."""
    client = getattr(store, "_new_client", None)
    return reader.open(store.url_of("x").removesuffix("/x"), client)


def deliver(store, day, frame, spec=NOTES, *, parquet=True):
    write(store, ("", [frame]), spec=spec, day=day, parquet=parquet)
    complete_day(store, day, [spec.name], AS_OF, "run", "1.0")


def test_it_knows_no_dagster():
    code = (
        "import sys; import hubspot_assets.reader; "
        "print([each for each in sys.modules if each.split('.')[0] == 'dagster'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_days_tables_and_manifests(store, export):
    deliver(store, ONE, notes(["x"]))
    deliver(store, TWO, notes(["x", "y"]))
    write(store, ("", [notes(["x"])]), day=THREE)
    assert export.days == [ONE, TWO]
    assert export.newest == TWO
    assert export.tables() == ["NOTES"]
    assert export.manifest("NOTES", ONE).rows == 1


@pytest.mark.parametrize("format", [None, "csv", "parquet"])
def test_types_are_the_same_from_either_format(store, export, format):  # noqa: A002
    amounts = ["12.50", "-0", "9" * 38, None]
    texts = ["a\nb", "", None, '"']
    deliver(store, ONE, every(amounts, texts), EVERY)
    found = export.scan("EVERY", format=format).collect()
    assert found.schema == {
        "OBJECTID": pl.Int64,
        "SIZE": pl.Decimal(38, 10),
        "PROPERTY_AMOUNT": pl.Decimal(38, 10),
        "PROPERTY_UNPARSED_AMOUNT": pl.String,
        "PROPERTY_FLAG": pl.Boolean,
        "PROPERTY_AT": pl.Datetime("us"),
        "PROPERTY_ON": pl.Date,
        "PROPERTY_DOC": pl.String,
        "PROPERTY_NEVER": pl.Datetime("us"),
        "PROPERTY_NO_NUMBER": pl.Decimal(38, 10),
    }
    assert found["OBJECTID"][0] == 9_223_372_036_854_775_000
    assert found["PROPERTY_AMOUNT"].to_list() == [Decimal("12.5"), Decimal(0), None, None]
    assert found["PROPERTY_UNPARSED_AMOUNT"].to_list() == texts
    assert found["PROPERTY_FLAG"].to_list() == [True, False, True, False]
    assert found["PROPERTY_AT"][1] == datetime(1, 1, 1)
    assert found["PROPERTY_ON"][0] == date(2024, 2, 29)


def test_days_of_either_format_are_read_together(store, export):
    deliver(store, ONE, notes(["a", "b"]), parquet=False)
    deliver(store, TWO, notes(["a", None, ""]))
    found = export.scan("NOTES", [TWO, ONE])
    assert found.select("DAY", "ID", "TEXT").collect().rows() == [
        (date(2026, 11, 20), 0, "a"),
        (date(2026, 11, 20), 1, "b"),
        (date(2026, 11, 21), 0, "a"),
        (date(2026, 11, 21), 1, None),
        (date(2026, 11, 21), 2, ""),
    ]
    assert found.collect_schema().names() == ["DAY", "ID", "TEXT", "AT"]
    with pytest.raises(ReaderError, match=f"NOTES of {ONE} has no Parquet.*EXPORT_FORMATS"):
        export.scan("NOTES", [ONE, TWO], format="parquet")
    with pytest.raises(ReaderError, match=f"NOTES of {ONE} has no Parquet"):
        export.files("NOTES", ONE)


@pytest.mark.parametrize("parquet", [True, False])
def test_only_what_is_needed_is_given(store, export, parquet):
    deliver(store, ONE, notes(map(str, range(100))), parquet=parquet)
    deliver(store, TWO, notes(map(str, range(50))), parquet=parquet)
    both = export.scan("NOTES", [ONE, TWO])
    assert both.select(pl.len()).collect().item() == 150
    assert both.select("DAY").collect().height == 150
    assert both.filter(DAY=date(2026, 11, 21)).select(pl.len()).collect().item() == 50
    assert both.filter(pl.col("ID") == 70).select("TEXT", "DAY").collect().rows() == [
        ("70", date(2026, 11, 20))
    ]
    assert both.head(101).collect().height == 101
    assert both.group_by("DAY").agg(pl.col("ID").sum()).sort("DAY").collect()["ID"].to_list() == [
        4950, 1225
    ]  # fmt: skip


def with_column(name, kind, dtype, value):
    """The notes with a column more."""
    spec = replace(NOTES, columns=(*NOTES.columns, Column(name, kind, "")))
    return spec, notes(["x"]).with_columns(pl.lit(value, dtype).alias(name))


@pytest.mark.parametrize("parquet", [True, False])
def test_a_column_that_a_day_lacks_is_null_there(store, export, parquet):
    for day, name in ((ONE, "PROPERTY_OLD"), (TWO, "PROPERTY_NEW")):
        spec, rows = with_column(name, "NUMBER", pl.String, "1.5")
        deliver(store, day, rows, spec, parquet=parquet)
    found = export.scan("NOTES", [ONE, TWO])
    assert found.collect_schema().names() == [
        "DAY", "ID", "TEXT", "AT", "PROPERTY_NEW", "PROPERTY_OLD"
    ]  # fmt: skip
    assert found.collect().select("PROPERTY_NEW", "PROPERTY_OLD").rows() == [
        (None, Decimal("1.5")),
        (Decimal("1.5"), None),
    ]
    assert found.select("PROPERTY_NEW").collect().height == 2
    assert found.filter(pl.col("PROPERTY_OLD") > 1).select("DAY").collect().height == 1


@pytest.mark.parametrize("parquet", [True, False])
def test_a_column_that_changed_its_type_is_an_error_or_text(store, export, parquet):
    for day, kind, value in ((ONE, "NUMBER", "1.50"), (TWO, "VARCHAR", "large")):
        spec, rows = with_column("PROPERTY_SIZE", kind, pl.String, value)
        deliver(store, day, rows, spec, parquet=parquet)
    with pytest.raises(
        ReaderError,
        match=f"PROPERTY_SIZE of NOTES is NUMBER on {ONE} and VARCHAR on {TWO}; read fewer",
    ):
        export.scan("NOTES", [ONE, TWO])
    found = export.scan("NOTES", [ONE, TWO], retyped="text").collect()
    assert found["PROPERTY_SIZE"].to_list() == ["1.50", "large"]
    assert export.scan("NOTES", [ONE]).collect()["PROPERTY_SIZE"].to_list() == [Decimal("1.5")]


def test_what_is_not_there_is_a_line_that_says_what_is(store, export):
    with pytest.raises(ReaderError, match="no day is complete yet"):
        export.scan("NOTES")
    deliver(store, ONE, notes(["x"]))
    write(store, ("", [notes(["x"])]), day=TWO)
    for ask in (export.scan, export.manifest, lambda _, day: export.tables(day)):
        with pytest.raises(ReaderError, match=f"^{TWO} is not complete; the newest .* {ONE}$"):
            ask("NOTES", TWO)
    with pytest.raises(ReaderError, match=f"{TWO} is not complete"):
        export.scan("NOTES", [ONE, TWO])
    with pytest.raises(ReaderError, match=f"note is none of the 1 tables of {ONE}.*one as NOTES"):
        export.scan("note")
    with pytest.raises(ReaderError, match="found 'today', expected a day, as 2026-11-20"):
        export.scan("NOTES", "today")
    with pytest.raises(ReaderError, match="no days"):
        export.scan("NOTES", [])


def test_a_file_that_is_not_the_one_that_was_written_is_an_error(store, export):
    deliver(store, ONE, notes(["x"]))
    (file,) = export.manifest("NOTES").files
    deliver(store, TWO, notes(["y"]))
    store.put(file.path, store.get(export.manifest("NOTES").files[0].path))
    with pytest.raises(StoreError, match=r"part-00000\.parquet is not as its manifest says"):
        export.scan("NOTES", ONE).collect()
    store.delete([file.path])
    with pytest.raises(StoreError, match=r"part-00000\.parquet"):
        export.scan("NOTES", ONE).collect()
    assert export.scan("NOTES", ONE, format="csv").collect().height == 1
    store.delete([manifest_path(ONE)])
    with pytest.raises(ReaderError, match="is not complete"):
        export.scan("NOTES", ONE)


def test_other_engines_get_the_files(folder):
    deliver(folder, ONE, notes(["x", "y"]))
    export = reader.open(Path(folder.url_of("x")).parent)
    files = export.files("NOTES")
    found = duckdb.execute("SELECT ID, TEXT FROM read_parquet(?)", [files]).fetchall()
    assert_frame_equal(
        export.scan("NOTES").select("ID", "TEXT").collect(),
        pl.DataFrame(found, schema=["ID", "TEXT"], orient="row"),
    )
