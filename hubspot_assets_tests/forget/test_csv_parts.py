"""CSV parts without some people: their rows go, of all others not a byte changes."""

import csv
import io
import random

import isal.isal_zlib as zlib
import pytest

from hubspot_assets.forget import csv_parts
from hubspot_assets.forget.csv_parts import CsvParts
from hubspot_assets.forget.people import People
from hubspot_assets.forget.references import References
from hubspot_assets.tables.people import standing

OBJECTS = ["OBJECTTYPEID", "OBJECTID", "NAME", "VALUE"]
EVENTS = ["EVENTTYPEID", "ID", "OBJECTTYPEID", "OBJECTID", "PROPERTY_HS_RECIPIENT", "PROPERTY_TEXT"]
MEMBERS = ["OBJECTTYPEID", "LISTID", "OBJECTID", "UPDATEDAT"]
PAIR = ["CONTACT_OBJECTID", "DEAL_OBJECTID", "LABEL"]
TYPES = {"CONTACT": ["0-1"], "DEAL": ["0-3"], "LINE_ITEM": ["0-8"]}
TEXTS = [
    "",
    "x",
    'say ""7""',
    "a,b",
    "two\nlines",
    "0-1,7,",
    "\n0-1,7,x,y\n",
    '"\n0-1,8,',
    "Ada@x.com",
]


def text_of(columns, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def pack(text):
    return zlib.compress(text.encode(), wbits=31)


def left_of(columns, rows, people, key=(), pair=()):
    """The rows that are left, and how many went; as they are written, all in one text."""
    at = standing(columns, key, TYPES, pair)
    left = CsvParts().without(pack(text_of(columns, rows)), at, people, References())
    return (zlib.decompress(left[0], wbits=31).decode(), left[1]) if left else None


@pytest.fixture(params=[None, 1, 17, 64, 300], autouse=True)
def block(request, monkeypatch):
    """Parts are looked at as a whole, or in blocks."""
    if request.param:
        monkeypatch.setattr(csv_parts, "BLOCK", request.param)


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_records_go_wherever_they_are(seed):
    chance = random.Random(seed)
    rows = sorted(
        (chance.choice(["0-1", "0-3"]), chance.randrange(12), f"n{n}", chance.choice(TEXTS))
        for n in range(chance.randrange(40))
    )
    people = People.told([("0-1", 7), ("0-1", chance.randrange(15)), ("0-3", 3)])
    kept = [row for row in rows if row[1] not in people.ids.get(row[0], ())]
    expected = (text_of(OBJECTS, kept), len(rows) - len(kept)) if kept != rows else None
    for key in ((), ("OBJECTTYPEID", "OBJECTID", "NAME")):
        assert left_of(OBJECTS, rows, people, key) == expected


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_events_go_by_record_and_by_address(seed, many):
    chance = random.Random(seed)
    rows = [
        (
            chance.choice(["4-1", "", "7"]), chance.choice(["7", "e,7", '"8"']),
            chance.choice(["0-1", "0-3", ""]), chance.choice(["", "7", "8"]),
            chance.choice(["ada@x.com", " ADA@x.com", "nada@x.com", "", "bo@x.com"]),
            chance.choice(TEXTS),
        )
        for _ in range(30)
    ]  # fmt: skip
    others = [("0-1", 1_000 + each) for each in range(100 * many)]
    people = People.told([("0-1", 7), *others], ["ada@x.com"])
    kept = [
        row for row in rows
        if (row[2], row[3]) != ("0-1", "7") and row[4].strip().lower() != "ada@x.com"
    ]  # fmt: skip
    assert left_of(EVENTS, rows, people) == (text_of(EVENTS, kept), len(rows) - len(kept))


def test_an_id_of_another_type_or_column_is_nobody_s():
    people = People.told([("0-1", 7)])
    assert left_of(OBJECTS, [("0-3", 7, "n", "7")], people) is None
    assert left_of(MEMBERS, [("0-1", 7, 8, "7"), ("0-3", 8, 7, "")], people) is None
    assert left_of(MEMBERS, [("0-1", 8, 7, "")], people)[1] == 1
    assert left_of(PAIR, [(8, 7, "7"), (7, 1, "")], people)[1] == 1


def test_the_types_of_a_table_of_links_are_told_by_it_or_by_its_columns():
    people = People.told([("2-5", 7)])
    assert left_of(PAIR, [(7, 7, "")], people) is None
    assert left_of(PAIR, [(7, 7, "")], people, pair=("2-5", "0-3"))[1] == 1
    sides = ["FROM_LINE_ITEM_OBJECTID", "TO_LINE_ITEM_OBJECTID", "LABEL"]
    assert left_of(sides, [(1, 2, ""), (2, 7, "")], People.told([("0-8", 7)]))[1] == 1


def test_a_merge_into_them_goes_too():
    columns = ["OBJECTTYPEID", "OBJECTID", "CHANGE", "MERGEDINTO", "INGESTEDAT"]
    rows = [("0-1", 5, "merged", 7, ""), ("0-1", 6, "merged", 5, "")]
    key = ("OBJECTTYPEID", "OBJECTID", "CHANGE")
    left = left_of(columns, rows, People.told([("0-1", 7)]), key)
    assert left == (text_of(columns, rows[1:]), 1)


@pytest.mark.parametrize("data", [b"nothing of the sort", pack("a\n" * 1000)[:-9], b""])
def test_what_is_no_part_is_said(data):
    with pytest.raises(ValueError, match="no gzip member"):
        CsvParts().without(data, standing(OBJECTS, (), TYPES), People(), References())
