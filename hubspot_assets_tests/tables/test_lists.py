"""The tables of lists and of who is in them."""

from collections import Counter
from datetime import datetime

import polars as pl
import pytest

from hubspot_assets.tables import specs
from hubspot_assets.tables.definitions import Item
from hubspot_assets.tables.lists import delivered, list_memberships, lists

READ_AT = datetime(2026, 11, 23, 6)
TOLD = {
    "listId": "12",
    "objectTypeId": "0-1",
    "name": "VIPs, \"all\"",
    "processingType": "SNAPSHOT",
    "processingStatus": "COMPLETE",
    "createdAt": "2026-05-01T12:00:00.250Z",
    "updatedAt": "2026-05-02T12:00:00Z",
    "additionalProperties": {"hs_list_size": "97", "hs_classic_list_id": "9"},
}  # fmt: skip


def row(told):
    return lists([Item(told, READ_AT)], Counter()).row(0, named=True)


def test_a_list_is_a_row_of_what_hubspot_tells():
    assert row(TOLD) == {
        "OBJECTTYPEID": "0-1",
        "LISTID": 12,
        "CLASSICLISTID": 9,
        "NAME": 'VIPs, "all"',
        "LISTTYPE": "SNAPSHOT",
        "PROCESSINGSTATUS": "COMPLETE",
        "SIZE": 97,
        "CREATEDAT": datetime(2026, 5, 1, 12, 0, 0, 250_000),
        "UPDATEDAT": datetime(2026, 5, 2, 12),
        "FILTERSUPDATEDAT": None,
        "INGESTEDAT": READ_AT,
    }


@pytest.mark.parametrize("told", [None, {}, {"hs_list_size": None}, {"hs_list_size": ""}])
def test_a_size_that_hubspot_does_not_tell_is_null(told):
    assert row(TOLD | {"additionalProperties": told})["SIZE"] is None


def test_a_list_of_no_more_than_an_id_has_nulls():
    values = row({"listId": "12"})
    assert {name for name, value in values.items() if value is not None} == {"LISTID", "INGESTEDAT"}


def test_lists_come_by_number():
    rows = lists([Item(TOLD | {"listId": each}, READ_AT) for each in ("100", "20", "3")], Counter())
    assert rows["LISTID"].to_list() == [3, 20, 100]
    assert rows.columns == [column.name for column in specs.LISTS.columns]
    assert lists([], Counter()).columns == rows.columns


def test_a_membership_tells_who_joined_when():
    members = pl.DataFrame(
        {
            "listId": [12],
            "recordId": [7],
            "objectTypeId": ["0-1"],
            "joinedAt": [datetime(2026, 10, 1, 9)],
            "readAt": [READ_AT],
        }
    )
    assert list_memberships(members).row(0, named=True) == {
        "OBJECTTYPEID": "0-1",
        "LISTID": 12,
        "OBJECTID": 7,
        "UPDATEDAT": datetime(2026, 10, 1, 9),
        "INGESTEDAT": READ_AT,
    }
    columns = [column.name for column in specs.LIST_MEMBERSHIPS.columns]
    assert list_memberships(members).columns == columns


END = datetime(2026, 11, 23)


def test_members_are_those_who_had_joined_and_whose_records_are_of_the_day():
    rows = [
        (1, 7, "0-1", datetime(2026, 11, 22, 23, 59, 59, 999_000)),
        (1, 8, "0-1", END),
        (1, 9, "0-1", datetime(2026, 10, 1)),
        (2, 9, "0-3", datetime(2026, 10, 1)),
        (3, 7, "0-1", None),
        (3, 9, "0-1", END),
    ]
    columns = ["listId", "recordId", "objectTypeId", "joinedAt"]
    members = pl.DataFrame(rows, schema=columns, orient="row")
    ids, counts = {"0-1": pl.Series("id", [8, 7])}, Counter()
    found = delivered(members, END, ids.get, counts)
    assert found.rows() == [rows[0], rows[3], rows[4]]
    assert counts == {"members_who_joined_since": 2, "members_left_out": 1}
    none = delivered(members.clear(), END, ids.get, counts)
    assert none.schema == members.schema
    assert delivered(members, END, lambda _: None, Counter()).height == 4
