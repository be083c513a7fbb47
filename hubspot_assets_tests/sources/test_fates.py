"""What the values of records tell of merges."""

from datetime import datetime, timedelta

import polars as pl

from hubspot_assets.sources.fates import Merge, merges_in, survivor_of, unseen, with_births
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, VALUES_SCHEMA, with_columns_of
from hubspot_assets.sources.gone import with_merges

AT = datetime(2026, 11, 10, 12)
HOUR = timedelta(hours=1)


def told(*entries, record_id=100):
    """The values of a record whose `hs_merged_object_ids` were these."""
    rows = [
        {"id": record_id, "name": "hs_merged_object_ids", "value": ids, "timestamp": at}
        for at, ids in entries
    ]
    frame = pl.DataFrame(rows, schema={name: VALUES_SCHEMA[name] for name in rows[0]})
    return with_columns_of(frame, VALUES_SCHEMA)


def rows_of(frame, *columns):
    return frame.select("id", *columns).rows()


def records(*rows):
    schema = {name: RECORDS_SCHEMA[name] for row in rows for name in row}
    return with_columns_of(pl.DataFrame(list(rows), schema=schema), RECORDS_SCHEMA)


#: 1 and 2 made 50, and 50 and 3 made 100, which alone is left.
CHAIN = told((AT, "1;2"), (AT + HOUR, "50;3"))


def test_a_merge_of_two_makes_a_third():
    values = told((AT, "1;2"))
    assert list(merges_in(values)) == [Merge(1, AT, 100), Merge(2, AT, 100)]
    assert rows_of(with_births(records({"id": 100}), values), "bornAt") == [(100, AT)]


def test_one_that_keeps_its_id_takes_others_in():
    values = told((AT, "1"), (AT + HOUR, "1;2"))
    assert list(merges_in(values)) == [Merge(1, AT, 100), Merge(2, AT + HOUR, 100)]
    assert rows_of(with_births(records({"id": 100}), values), "bornAt") == [(100, None)]


def test_where_those_of_a_chain_live_on():
    merges = list(merges_in(CHAIN))
    assert [(each.record_id, each.at, each.into) for each in merges] == [
        (1, AT, None),
        (2, AT, None),
        (50, AT + HOUR, 100),
        (3, AT + HOUR, 100),
    ]
    # Who was found had told of it: so it is the one that nobody found.
    assert survivor_of(merges[0], {1, 2, 3, 100}) == 50
    assert survivor_of(merges[0], {100}) is None
    assert survivor_of(merges[2], {100}) == 100
    assert rows_of(with_births(records({"id": 100}), CHAIN), "bornAt") == [(100, AT + HOUR)]


def test_what_nobody_found_of_a_chain():
    merges = list(merges_in(CHAIN))
    found = unseen(merges, {1, 2, 3, 100})
    columns = ("gone", "goneAt", "mergedInto", "bornAt", "readAt")
    assert rows_of(found, *columns) == [(50, "merged", AT + HOUR, 100, AT, None)]
    found = unseen(merges, {100})
    assert rows_of(found, "mergedInto", "bornAt") == [
        (1, None, None),
        (2, None, None),
        (3, 100, None),
        (50, 100, None),
    ]


def test_those_that_are_gone_say_that_they_were_merged():
    before = AT - 9 * HOUR
    found = with_merges(
        records(
            {"id": 1, "gone": "erased", "goneAt": before},
            {"id": 2, "gone": "archived", "goneAt": before},
            {"id": 3, "gone": None, "goneAt": None},
            {"id": 4, "gone": "archived", "goneAt": before},
            {"id": 5, "gone": "erased", "goneAt": before},
        ),
        [Merge(1, AT, 100), Merge(2, AT, 100), Merge(3, AT, 100), Merge(5, None, 100)],
        {1, 2, 3, 4, 5, 100},
    )
    assert rows_of(found, "gone", "goneAt", "mergedInto", "awayFrom", "awayUntil") == [
        (1, "merged", AT, 100, None, None),
        (2, "merged", AT, 100, before, AT),
        (3, None, None, None, None, None),
        (4, "archived", before, None, None, None),
        (5, "merged", before, 100, None, None),
    ]


def test_what_is_no_id_is_none():
    assert list(merges_in(told((AT, "1;x;" + "9" * 25)))) == [Merge(1, AT, 100)]
