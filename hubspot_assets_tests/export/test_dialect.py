"""Whatever a value holds, every reader of CSV gets it back."""

from __future__ import annotations

import random
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hubspot_assets.export import TableError, read_table
from hubspot_assets.tables.spec import Column, TableSpec
from hubspot_assets_tests.export.tables import (
    DAY,
    NOTES,
    bodies,
    by_csv,
    by_duckdb,
    notes,
    write,
)

NASTY = [
    "",
    None,
    " leading",
    "trailing ",
    " ",
    "a\nb",
    "a\r\nb",
    "a\rb",
    "\r",
    "\n",
    'he said "so"',
    '"',
    '""',
    "a,b",
    "a;b",
    "😀👩‍👩‍👧",
    "שלום, עולם",
    "\ufeffmark",
    "\u2028",
    "#no comment",
    "tab\tbed",
    "null",
    "NULL",
    "\\N",
    "\\",
    "'",
    "-",
    "123456789012345678901234567890",
    "0.10",
    "true",
]

ALL = TableSpec(
    name="ALL",
    columns=(
        Column("ID", "NUMBER", "Id"),
        Column("PROPERTY_AMOUNT", "NUMBER", "Decimal text"),
        Column("FLAG", "BOOLEAN", "Flag"),
        Column("AT", "TIMESTAMP", "Moment"),
        Column("ON", "DATE", "Day"),
        Column("MORE", "JSON", "Object"),
        Column("PROPERTY_NOTE", "VARCHAR", "Text"),
    ),
    key=("ID",),
    description="Every type.",
    group="tests",
    point_in_time=True,
)


def every_type() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ID": [-(2**63), 9_007_199_254_740_993, 2**63 - 1],
            "PROPERTY_AMOUNT": ["67340.0", None, "123456789012345678901234567890.01"],
            "FLAG": [True, False, None],
            "AT": [1_795_391_999_123, -62_135_596_800_000, None],
            "ON": [date(2026, 11, 22), None, date(9999, 12, 31)],
            "MORE": ['{"a":1}', None, "{}"],
            "PROPERTY_NOTE": ["plain", "", None],
        },
    ).with_columns(pl.col("AT").cast(pl.Datetime("ms")))


def test_every_type_is_written_as_the_contract_has_it(folder):
    manifest = write(folder, ("", [every_type()]), spec=ALL)
    (text,) = bodies(folder, manifest)
    assert text.decode().split("\n") == [
        "ID,PROPERTY_AMOUNT,FLAG,AT,ON,MORE,PROPERTY_NOTE",
        '-9223372036854775808,67340.0,true,2026-11-22 23:59:59.123,2026-11-22,"{""a"":1}",plain',
        '9007199254740993,,false,0001-01-01 00:00:00.000,,,""',
        "9223372036854775807,123456789012345678901234567890.01,,,9999-12-31,{},",
        "",
    ]


def test_every_type_is_read_back(folder):
    write(folder, ("", [every_type()]), spec=ALL)
    assert_frame_equal(read_table(folder, DAY, "ALL").collect(), every_type())


def test_nasty_values_come_back_from_every_reader(folder, tmp_path):
    letters = ["a", '"', ",", "\n", "\r", " ", "ß", "😀", ";", "\\", "'", "\t"]
    life = random.Random(7)
    made = ["".join(life.choices(letters, k=life.randrange(8))) for _ in range(3000)]
    texts = [*NASTY, *made]
    manifest = write(folder, ("", [notes(texts)]))

    assert read_table(folder, DAY, "NOTES").collect()["TEXT"].to_list() == texts
    (body,) = bodies(folder, manifest)
    header, *rows = by_csv(body)
    assert header == ["ID", "TEXT", "AT"]
    assert [row[1] for row in rows] == [text or "" for text in texts]
    packed = [folder.get(f"{DAY}/{part.path}") for part in manifest.parts]
    found = {int(row[0]): row[1] for row in by_duckdb(packed, tmp_path)}
    assert [found[number] for number in range(len(texts))] == texts


@pytest.mark.parametrize("text", NASTY)
def test_quotes_stand_only_where_they_are_needed(folder, text):
    (body,) = bodies(folder, write(folder, ("", [notes([text])])))
    field = body.decode().removeprefix("ID,TEXT,AT\n0,").removesuffix(",2025-11-23 00:00:00.000\n")
    if text is None:
        assert field == ""
    elif text == "" or any(letter in text for letter in '",\r\n'):
        assert field == '"' + text.replace('"', '""') + '"'
    else:
        assert field == text


@pytest.mark.parametrize("name", ["a\rb", "a\nb", 'he said "so"', "a,b"])
def test_the_names_of_columns_are_quoted_as_values_are(folder, name):
    spec = NOTES.with_columns((Column(name, "VARCHAR", "Called oddly"),))
    frame = notes(["x"]).with_columns(pl.lit(name).alias(name))
    (body,) = bodies(folder, write(folder, ("", [frame]), spec=spec))
    told = '"' + name.replace('"', '""') + '"'
    assert body.decode() == f"ID,TEXT,AT,{told}\n0,x,2025-11-23 00:00:00.000,{told}\n"


def test_ingestedat_reads_like_any_other_timestamp(folder):
    spec = NOTES.with_columns((Column("INGESTEDAT", "TIMESTAMP", "When it was read"),))
    moment = pl.lit(1_795_309_323_004).cast(pl.Datetime("ms"))
    frame = notes(["x"] * 5000)
    for ingested in (
        moment,
        pl.col("AT"),
        pl.when(pl.col("ID") < 2500).then(moment),
        pl.when(pl.col("ID") % 3 == 0).then("AT"),
    ):
        made = frame.with_columns(INGESTEDAT=ingested)
        write(folder, ("", [made[:300], made[300:]]), spec=spec)
        assert_frame_equal(read_table(folder, DAY, "NOTES").collect(), made)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (notes(["x"]).drop("AT"), "NOTES: the columns of a frame lack AT"),
        (notes(["x"]).with_columns(B=1), "also have B"),
        (notes(["x"]).select("TEXT", "ID", "AT"), "are in another order"),
        (notes(["x"]).cast({"ID": pl.Float64}), "NOTES.ID is NUMBER and must be Int64 or String"),
        (notes(["x"]).cast({"ID": pl.Int32}), "but is Int32"),
        (notes(["x"]).cast({"AT": pl.Datetime("us")}), r"NOTES.AT is TIMESTAMP .*but is Datetime"),
        (notes(["x"]).cast({"AT": pl.Datetime("ms", "UTC")}), r"time_zone='UTC'"),
        (notes(["x"]).with_columns(TEXT=None), "NOTES.TEXT is VARCHAR .*but is Null"),
    ],
)
def test_columns_that_are_not_as_the_spec_says(folder, frame, said):
    with pytest.raises(TableError, match=said):
        write(folder, ("", [frame]))
    assert list(folder.list()) == []


def test_a_column_that_changes_its_type_on_the_way(folder):
    numbers, texts = notes(["x"]), notes(["y"], start=1).cast({"ID": pl.String})
    with pytest.raises(TableError, match="changes its type"):
        write(folder, ("", [numbers, texts]))
    assert NOTES.name not in {entry.path for entry in folder.list()}
