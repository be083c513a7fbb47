"""What refers to people in texts and lists of ids of others, and nothing else."""

import csv
import io

import isal.isal_zlib as zlib
import polars as pl
import pytest

from hubspot_assets.export.parquet import packed_file
from hubspot_assets.forget.csv_parts import CsvParts
from hubspot_assets.forget.parquet_files import ParquetFiles
from hubspot_assets.forget.people import People, Types
from hubspot_assets.forget.references import References
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.tables.people import standing

NAMES = Types.of(standard_catalog()).names
PEOPLE = People.told([("0-1", 1517), ("0-3", 77)], ["ada@x.com"], NAMES)
REFERENCES = References(PEOPLE, ["ada@x.com", "Ada Byron", "Ada Byron King", 'Łucja "Lu" Ż'])
VALUES = ["OBJECTTYPEID", "OBJECTID", "NAME", "VALUE"]
KEY = ("OBJECTTYPEID", "OBJECTID", "NAME")


def redacted(columns, rows, key=(), types=None):
    """The rows without what refers to them, as both formats have it; NULL is None."""
    at = standing(columns, key, {})
    schema = dict.fromkeys(columns, pl.String()) | (types or {})
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    packed = zlib.compress(frame.write_csv().encode(), wbits=31)
    by_csv = CsvParts().without(packed, at, People(), REFERENCES)
    by_parquet = ParquetFiles().without(packed_file(frame), at, People(), REFERENCES)
    if by_csv is None:
        assert by_parquet is None
        return rows
    assert (by_csv.rows_out, by_csv.cells) == (0, by_parquet.cells)
    text = zlib.decompress(by_csv.data, wbits=31)
    left = pl.read_parquet(io.BytesIO(by_parquet.data))
    assert text == left.write_csv().encode()
    return left.rows()


def value(name, text, of_type="0-1"):
    ((_, _, _, left),) = redacted(VALUES, [(of_type, "8", name, text)], KEY)
    return left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada@x.com", "[forgotten]"),
        ("Write to ADA@x.com, please.", "Write to [forgotten], please."),
        ("a,b\nada@x.com; \"ada@x.com\"", 'a,b\n[forgotten]; "[forgotten]"'),
        ("Call with ada byron.", "Call with [forgotten]."),
        ("Ada Byron King, née Ada Byron", "[forgotten], née [forgotten]"),
        ('Dear ŁUCJA "LU" Ż!', "Dear [forgotten]!"),
        ('łucja "lu" ż', "[forgotten]"),
        (r'{"to":"x\nada@x.com"}', r'{"to":"x\n[forgotten]"}'),
        (r'{"who":"Łucja \"Lu\" Ż"}', r'{"who":"[forgotten]"}'),
        ("nada@x.com ada@x.com.br x.ada@x.com ada@x.community", None),
        ("Nada Byron and Ada Byrony", None),
        ("1517", None),
        ("", None),
    ],
)  # fmt: skip
def test_addresses_and_names_go_where_they_stand_as_a_whole(text, left):
    assert value("notes", text) == (text if left is None else left)


@pytest.mark.parametrize(
    ("name", "of_type", "text", "left"),
    [
        ("hs_merged_object_ids", "0-1", "15;1517;151", "15;151"),
        ("hs_merged_object_ids", "0-1", "1517", ""),
        ("hs_merged_object_ids", "0-2", "1517", "1517"),
        ("hs_merged_object_ids", "0-3", "1517;77", "1517"),
        ("hs_calculated_merged_vids", "0-1", "1517:1763766000000;151:1517", "151:1517"),
        ("hs_all_contact_vids", "0-1", "15;1517", "15"),
        ("associated_contact_id", "0-11", "1517", ""),
        ("deal_id", "0-72", "77", ""),
        ("deal_id", "0-72", "1517", "1517"),
        ("contact_ids", "0-11", "1517;15170", "15170"),
        ("hs_page_id", "0-11", "1517", "1517"),
        ("contact_idea", "0-11", "1517", "1517"),
    ],
)
def test_ids_go_from_lists_of_ids_of_their_type(name, of_type, text, left):
    assert value(name, text, of_type) == left


def test_columns_of_a_property_are_unset_where_nothing_is_left():
    columns = [
        "OBJECTTYPEID", "OBJECTID", "PROPERTY_MAIN_CONTACT_ID", "PROPERTY_TEXT",
        "PROPERTY_UNPARSED_MAIN_CONTACT_ID", "PROPERTY_CONTACT_ID",
    ]  # fmt: skip
    types = {"PROPERTY_MAIN_CONTACT_ID": pl.Decimal(38, 10)}
    rows = [("0-3", "8", 1517, "", None, "1517"), ("0-3", "9", 15, "ada@x.com", None, "15")]
    first, second = redacted(columns, rows, KEY[:2], types)
    assert first == ("0-3", "8", None, "", None, None)
    assert second[3:] == ("[forgotten]", None, "15")


def test_objects_of_values_lose_the_property_that_was_nothing_else():
    columns = ["OBJECTTYPEID", "OBJECTID", "PROPERTIES", "UPDATEDAT"]
    told = '{"a":"x ada@x.com","hs_merged_object_ids":"1517","z":"Ada \\"x\\" Ż"}'
    ((*_, left, _),) = redacted(columns, [("0-1", "8", told, "")], KEY[:2])
    assert left == '{"a":"x [forgotten]","z":"Ada \\"x\\" Ż"}'
    by_id = '{"a":"x","deal_id":"77"}'
    assert redacted(columns, [("0-1", "8", by_id, "")], KEY[:2])[0][2] == '{"a":"x"}'
    same = '{"b" : "1517"}'
    assert redacted(columns, [("0-1", "8", same, "1517")], KEY[:2])[0][2] == same


def test_keys_and_numbers_are_nobody_s():
    columns = ["OBJECTTYPEID", "OBJECTID", "NAME", "LABEL"]
    rows = [("0-1", "1517", "Ada Byron", "Ada Byron")]
    assert redacted(columns, rows, KEY) == [("0-1", "1517", "Ada Byron", "[forgotten]")]


@pytest.mark.parametrize("many", [False, True])
def test_rows_that_go_are_not_counted_as_cells(many):
    others = [("0-1", each) for each in range(100_000, 100_000 + 100 * many)]
    people = People.told([("0-1", 1517), *others], (), NAMES)
    rows = [
        ("0-1", 8, "hs_merged_object_ids", "1517"),
        ("0-1", 1517, "hs_merged_object_ids", "1517"),
        ("0-1", 1518, "x", 'a"1517"\n'),
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([VALUES, *rows])
    packed = zlib.compress(text.getvalue().encode(), wbits=31)
    at = standing(VALUES, KEY, {})
    left = CsvParts().without(packed, at, people, References(people))
    assert (left.rows_out, left.cells) == (1, 1)
    assert zlib.decompress(left.data, wbits=31).decode() == (
        'OBJECTTYPEID,OBJECTID,NAME,VALUE\n0-1,8,hs_merged_object_ids,""\n0-1,1518,x,"a""1517""\n"\n'
    )


def test_what_is_noted_of_them_is_read_again():
    again = References.from_json(REFERENCES.to_json())
    assert (again.people, again.texts) == (PEOPLE, REFERENCES.texts)
    both = References() | REFERENCES
    assert (both.people, both.texts) == (PEOPLE, REFERENCES.texts)
    assert not References()
    assert References(PEOPLE)
    assert References(texts=["Ada Byron"])
