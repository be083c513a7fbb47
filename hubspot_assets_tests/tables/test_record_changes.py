"""RECORD_CHANGES of a batch: one thing that happens on the day is told, however quiet the rest."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.readings.kept import Kept
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, VALUES_SCHEMA
from hubspot_assets.tables.batches import ALL, Batch
from hubspot_assets.tables.record_changes import record_changes

DAY = Day.named("2026-11-21", ZoneInfo("UTC"))
LONG_AGO, NOON, NIGHT = (datetime(2026, *of) for of in ((1, 5, 8), (11, 21, 12), (11, 22, 2)))
MODIFIED = "hs_lastmodifieddate"
DEALS = ExportedType(
    ObjectType("0-3", "DEAL", "deals", "DEAL", None, None, None, MODIFIED), "DEALS", "deals"
)
QUIET = {"createdAt": LONG_AGO, "updatedAt": LONG_AGO, "readAt": NIGHT, "wasReadAt": LONG_AGO}


class Frames:
    """A chunk that has these frames."""

    def __init__(self, record, *values):
        self.frames = {
            "records": pl.DataFrame([{"id": 1, **QUIET, **record}], schema=RECORDS_SCHEMA),
            "values": pl.DataFrame([{"id": 1, **each} for each in values], schema=VALUES_SCHEMA),
        }

    def read(self, name, columns=None):
        return self.frames[name].select(columns or pl.all())


def told(record, *values, began=NIGHT):
    batch = Batch(DEALS, DAY, Frames(record, *values), Kept(), ALL)
    return record_changes(batch, began)


def value(text, at=None, **more):
    return {"name": "amount", "value": text, "timestamp": at, **more}


@pytest.mark.parametrize(
    ("record", "values", "change"),
    [
        ({"createdAt": NOON}, [], "created"),
        ({"createdAt": DAY.start_naive}, [], "created"),
        ({"bornAt": NOON}, [], "created"),
        ({"gone": "archived", "goneAt": NOON}, [], "archived"),
        ({"gone": "merged", "goneAt": NOON, "mergedInto": 2}, [], "merged"),
        ({"gone": "erased", "goneAt": NOON}, [], "erased"),
        ({"awayFrom": NOON, "awayUntil": NIGHT}, [], "archived"),
        ({"awayFrom": NOON}, [], "archived"),
        ({"awayFrom": LONG_AGO, "awayUntil": NOON}, [], "restored"),
        ({}, [value("1", LONG_AGO), value("2", NOON)], "updated"),
        ({}, [value("2", seenSince=NIGHT, heldUntil=LONG_AGO)], "updated"),
        ({"updatedAt": NOON}, [{"name": MODIFIED, "value": "0"}], "updated"),
    ],
)
def test_each_thing_that_happened_is_told_where_nothing_else_did(record, values, change):
    rows = told(record, *values)
    assert rows["CHANGE"].to_list() == [change]
    assert rows["OBJECTID"].to_list() == [1]


def test_a_batch_in_which_nothing_happened_has_no_rows_but_their_columns():
    of_a_day = told({"createdAt": NOON})
    quiet = told({}, value("1", LONG_AGO))
    before = told({"createdAt": DAY.start_naive - timedelta(milliseconds=1)})
    for each in (quiet, before):
        assert each.is_empty()
        assert each.schema == of_a_day.schema
