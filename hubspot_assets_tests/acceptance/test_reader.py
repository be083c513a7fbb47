"""Our own reader against DuckDB's, which knows nothing but files and manifests."""

import pytest
from polars.testing import assert_frame_equal

from hubspot_assets import reader
from hubspot_assets_tests.acceptance.reader import manifest
from hubspot_assets_tests.conftest import DAY

SOME = ("OBJECTS_CONTACTS", "OBJECTS_DEALS", "OWNERS", "LIST_MEMBERSHIPS", "EVENTS_VISITED_PAGE")


@pytest.fixture(scope="module")
def export(exported):
    """The export as a reader opens it."""
    return reader.open(exported)


def test_the_day_and_its_tables_are_found(export, day):
    assert export.days == [export.newest] == [DAY]
    assert export.tables() == [each["table"] for each in manifest(day)["tables"]]


@pytest.mark.slow
def test_either_format_gives_the_same_frames(export):
    for table in export.tables():
        read = [export.scan(table, format=each).collect() for each in ("csv", "parquet")]
        assert_frame_equal(*read)
        assert read[0].height == export.manifest(table).rows


@pytest.mark.parametrize("table", SOME)
def test_rows_are_those_that_duckdb_reads(export, warehouse, table):
    ours = export.scan(table).collect()
    names = ", ".join(f'"{name}"' for name in ours.columns)
    theirs = warehouse.execute(f'SELECT {names} FROM "{table}"').fetchall()
    assert ours.rows() == theirs != []
