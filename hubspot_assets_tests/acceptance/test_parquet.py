"""The Parquet files of a whole day against its CSV, cell by cell."""

import hashlib
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_series_equal

from hubspot_assets_tests.acceptance.reader import manifest

MILLISECONDS = "%Y-%m-%d %H:%M:%S%.3f"
#: Those of polars, beside the types of the manifest that are no numbers.
DTYPES = {
    "BOOLEAN": pl.Boolean,
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date,
    "VARCHAR": pl.String,
    "JSON": pl.String,
}


@pytest.fixture(scope="module")
def tables(day):
    """The manifests of all tables of the day, by name."""
    return {each["table"]: manifest(day / each["table"]) for each in manifest(day)["tables"]}


def test_the_files_are_what_the_manifests_tell(exported, day, tables):
    found = {path for path in (exported / "parquet").rglob("*") if path.is_file()}
    told = {exported / each["path"]: each for one in tables.values() for each in one["files"]}
    assert found == told.keys()
    for path, each in told.items():
        content = path.read_bytes()
        assert (each["bytes"], each["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
    for one in tables.values():
        assert {each["format"] for each in one["files"]} == {"parquet"}
        assert sum(each["rows"] for each in one["files"]) == one["rows"]
    assert {tuple(each["formats"]) for each in manifest(day)["tables"]} == {("csv", "parquet")}


@pytest.mark.slow
def test_duckdb_finds_the_same_cells(warehouse, exported, tables):
    for name, told in tables.items():
        columns = ", ".join(f'"{each["name"]}"' for each in told["columns"])
        paths = [str(exported / each["path"]) for each in told["files"]]
        warehouse.execute(
            f"CREATE OR REPLACE TEMP TABLE files AS SELECT {columns} FROM read_parquet({paths})"
        )
        warehouse.execute(f'CREATE OR REPLACE TEMP TABLE parts AS SELECT {columns} FROM "{name}"')
        more = "FROM (FROM files EXCEPT ALL FROM parts)"
        assert warehouse.execute(f"SELECT count(*) {more}").fetchone() == (0,), name
        for each in ("files", "parts"):
            assert warehouse.execute(f"SELECT count(*) FROM {each}").fetchone() == (told["rows"],)


@pytest.mark.slow
def test_polars_finds_the_same_cells_in_the_same_order(exported, day, tables):
    for name, told in tables.items():
        files = pl.concat(pl.read_parquet(exported / each["path"]) for each in told["files"])
        parts = pl.concat(
            pl.read_csv(day / each["path"], infer_schema=False) for each in told["parts"]
        )
        assert files.columns == parts.columns == [each["name"] for each in told["columns"]]
        for column, kind in ((each["name"], each["type"]) for each in told["columns"]):
            found, expected = files[column], parts[column]
            if kind == "NUMBER":
                texts = expected.to_list()
                assert found.to_list() == [
                    text if text is None else Decimal(text) for text in texts
                ]
            else:
                assert found.dtype == DTYPES[kind], (name, column)
                moments = kind == "TIMESTAMP"
                found = found.dt.strftime(MILLISECONDS) if moments else found.cast(pl.String)
                assert_series_equal(found, expected)
