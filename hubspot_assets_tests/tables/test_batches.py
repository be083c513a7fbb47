"""Batches of records, of which small ones are kept for the next table: the same rows."""

import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.settings import Settings
from hubspot_assets.tables import batches, records
from hubspot_assets_tests.conftest import DAY

TABLES = [
    "OBJECTS",
    "OBJECT_PROPERTIES",
    "OBJECT_PROPERTIES_HISTORY",
    "OBJECT_WITH_OBJECT_PROPERTIES",
    "OBJECTS_CONTACTS",
    "RECORD_CHANGES",
]


@pytest.mark.samples(1)
def test_small_batches_are_made_once_and_give_the_rows_of_large_ones(
    reach, shared_sandbox, monkeypatch
):
    folder = reach(shared_sandbox, OBJECT_TYPES="contacts")
    made, as_of = [], records.as_of

    def counted(*given, **more):
        made.append(given)
        return as_of(*given, **more)

    monkeypatch.setattr(batches, "as_of", counted)

    def delivered():
        made.clear()
        tables = deliver(Settings(), DAY, TABLES, Display()).tables
        assert all(manifest.rows for manifest, _ in tables)
        parts = {path: path.read_bytes() for path in (folder / DAY).rglob("*.csv.gz")}
        return parts, len(made)

    small, once = delivered()
    monkeypatch.setattr(batches, "_SMALL", 0)
    large, for_each = delivered()
    assert small == large
    assert len(small) == len(TABLES)
    assert (once, for_each) == (1, len(TABLES))
