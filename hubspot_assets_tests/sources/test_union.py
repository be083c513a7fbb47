"""What is told of records now, and what was known of them, as one."""

from datetime import datetime, timedelta

import polars as pl

from hubspot_assets.sources.flatten import EVER, RECORDS_SCHEMA, VALUES_SCHEMA, with_columns_of
from hubspot_assets.sources.union import united

BEFORE = datetime(2026, 11, 10, 1, 30)
NOW = datetime(2026, 11, 12, 1, 30)
DAY = timedelta(1)
CAP = 3
ASKED = ("city", "score")


def records(*rows):
    schema = {name: RECORDS_SCHEMA[name] for row in rows for name in row}
    return with_columns_of(pl.DataFrame(list(rows), schema=schema), RECORDS_SCHEMA)


def values(*rows):
    schema = {name: VALUES_SCHEMA[name] for row in rows for name in row}
    frame = pl.DataFrame(list(rows), schema=schema or VALUES_SCHEMA)
    return with_columns_of(frame, VALUES_SCHEMA)


def one(**columns):
    return records({"id": 1, **columns})


def dated(value, at, name="city", record_id=1):
    return {"id": record_id, "name": name, "value": value, "timestamp": at}


def undated(value, seen_since=None, name="score"):
    return {"id": 1, "name": name, "value": value, "seenSince": seen_since}


def both(new, new_values, old, old_values):
    """The only record, and the values as (value, timestamp, seenSince, heldUntil)."""
    found, whole = united(new, values(*new_values), old, values(*old_values), cap=CAP, asked=ASKED)
    (row,) = found.to_dicts()
    rows = whole.select("value", "timestamp", "seenSince", "heldUntil").rows()
    return {name: value for name, value in row.items() if value is not None}, rows


def test_what_hubspot_drops_stays_and_there_may_have_been_more_between():
    old = [dated("a", BEFORE - 3 * DAY), dated("b", BEFORE - 2 * DAY)]
    new = [dated(value, BEFORE + turn * DAY / 4) for turn, value in enumerate("cde", 1)]
    _, rows = both(one(readAt=NOW), new, one(readAt=BEFORE), old)
    assert [row[0] for row in rows] == list("abcde")
    assert [row[3] for row in rows] == [None, BEFORE, None, None, None]


def test_between_values_that_are_both_known_there_was_nothing():
    old = [dated("a", BEFORE - 3 * DAY), dated("b", BEFORE - 2 * DAY)]
    new = [old[1], dated("c", BEFORE + DAY / 4), dated("d", BEFORE + DAY / 2)]
    _, rows = both(one(readAt=NOW), new, one(readAt=BEFORE), old)
    assert [row[0] for row in rows] == list("abcd")
    assert {row[3] for row in rows} == {None}


def test_a_history_that_is_whole_has_nothing_between():
    new = [dated("b", BEFORE + DAY / 4), dated("c", BEFORE + DAY / 2)]
    _, rows = both(one(readAt=NOW), new, one(readAt=BEFORE), [dated("a", BEFORE - DAY)])
    assert [(row[0], row[3]) for row in rows] == [("a", None), ("b", None), ("c", None)]


def test_a_value_without_history_is_known_since_it_was_first_seen():
    _, rows = both(one(readAt=NOW), [undated("7", NOW)], one(readAt=BEFORE), [undated("7")])
    assert rows == [("7", None, BEFORE, None)]
    first = BEFORE - DAY
    _, rows = both(one(readAt=NOW), [undated("7", NOW)], one(readAt=BEFORE), [undated("7", first)])
    assert rows == [("7", None, first, None)]


def test_another_value_without_history_is_known_since_now_and_the_former_until_then():
    _, rows = both(one(readAt=NOW), [undated("8", NOW)], one(readAt=BEFORE), [undated("7", BEFORE)])
    assert rows == [("7", None, BEFORE, BEFORE), ("8", None, NOW, None)]
    _, rows = both(one(readAt=NOW), [undated("8", EVER)], one(readAt=BEFORE), [undated("7", EVER)])
    assert rows == [("8", None, EVER, None)]


def test_a_value_without_history_that_is_told_no_longer_was_cleared_since():
    old = [undated("7", BEFORE)]
    _, rows = both(one(readAt=NOW), [], one(readAt=BEFORE), old)
    assert rows == [("7", None, BEFORE, BEFORE), ("", None, NOW, None)]
    later = NOW + DAY
    _, rows = both(one(readAt=later), [], one(readAt=NOW), [undated("7", BEFORE), undated("", NOW)])
    assert rows == []
    _, rows = both(one(readAt=later), [undated("8", later)], one(readAt=NOW), [undated("", NOW)])
    assert rows == [("", None, NOW, NOW), ("8", None, later, None)]
    for old in ([undated("7", EVER)], [undated("7", BEFORE, name="not_asked_for")]):
        _, rows = both(one(readAt=NOW), [], one(readAt=BEFORE), old)
        assert rows == []


def test_of_one_that_nothing_is_told_of_all_that_was_known_stays():
    gone = {"gone": "merged", "goneAt": NOW, "mergedInto": 9}
    made = {"createdAt": BEFORE - 9 * DAY, "updatedAt": BEFORE - DAY, "readAt": BEFORE}
    row, rows = both(one(**gone), [], one(**made), [dated("a", BEFORE - DAY)])
    assert row == {"id": 1, **gone, **made}
    assert rows == [("a", BEFORE - DAY, None, None)]


def test_one_that_came_back_was_away():
    old = one(readAt=BEFORE, updatedAt=BEFORE - DAY, gone="archived", goneAt=BEFORE - DAY / 2)
    new = one(readAt=NOW, updatedAt=NOW - DAY / 4)
    row, _ = both(new, [], old, [])
    assert (row["awayFrom"], row["awayUntil"]) == (BEFORE - DAY / 2, NOW - DAY / 4)
    assert (row["wasUpdatedAt"], row["wasReadAt"]) == (BEFORE - DAY, BEFORE)
    changes = [dated("a", BEFORE - DAY), dated("b", NOW - DAY), dated("c", NOW - DAY / 2)]
    row, _ = both(new, changes, old, [])
    assert (row["awayFrom"], row["awayUntil"]) == (BEFORE - DAY / 2, NOW - DAY)


def test_one_that_is_still_gone_was_not_back():
    gone = {"gone": "archived", "goneAt": BEFORE - DAY}
    away = {"awayFrom": BEFORE - 5 * DAY, "awayUntil": BEFORE - 4 * DAY}
    row, _ = both(one(readAt=NOW, **gone), [], one(readAt=BEFORE, **gone, **away), [])
    assert away.items() <= row.items()
    row, _ = both(one(readAt=NOW, **gone), [], one(readAt=BEFORE, **away), [])
    assert away.items() <= row.items()


def test_what_was_there_is_no_one_elses_by_a_merge():
    """A merge may leave one of both its id, though it looks as if it made a record."""
    row, _ = both(one(readAt=NOW, bornAt=NOW - DAY), [], one(readAt=BEFORE), [])
    assert "bornAt" not in row
    hidden = one(gone="merged", goneAt=BEFORE, bornAt=BEFORE - DAY)
    row, _ = both(one(readAt=NOW, bornAt=NOW - DAY), [], hidden, [])
    assert row["bornAt"] == NOW - DAY


def test_one_that_has_not_changed_keeps_when_it_had_been_changed_before():
    was = {"wasUpdatedAt": BEFORE - 9 * DAY, "wasReadAt": BEFORE - 8 * DAY}
    old = one(readAt=BEFORE, updatedAt=BEFORE - DAY, **was)
    row, _ = both(one(readAt=NOW, updatedAt=BEFORE - DAY), [], old, [])
    assert was.items() <= row.items()


def test_one_of_which_nothing_was_known_is_as_it_is_told():
    told = {"id": 2, "readAt": NOW, "bornAt": BEFORE, "awayFrom": BEFORE, "wasReadAt": BEFORE}
    new = records({"id": 1, "readAt": NOW}, told, {"id": 3, "readAt": NOW})
    old = records({"id": 1, "readAt": BEFORE}, {"id": 3, "readAt": BEFORE})
    found, _ = united(new, values(), old, values(), cap=CAP, asked=ASKED)
    assert found["id"].to_list() == [1, 2, 3]
    assert told.items() <= found.row(1, named=True).items()
