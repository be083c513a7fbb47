"""What changed of a table from day to day, held against sums that know all rows at once."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from hubspot_assets import diff as module
from hubspot_assets import reader
from hubspot_assets.diff import diff
from hubspot_assets.export import complete_day
from hubspot_assets.storage import open_store
from hubspot_assets.tables.spec import Column, TableSpec
from hubspot_assets_tests.export.tables import AS_OF, NOTES, notes, write
from hubspot_assets_tests.test_commands import fails, run

ONE, TWO = "2026-11-20", "2026-11-21"

VALUES = TableSpec(
    name="VALUES",
    columns=(
        Column("OBJECTTYPEID", "VARCHAR", ""),
        Column("OBJECTID", "NUMBER", ""),
        Column("NAME", "VARCHAR", ""),
        Column("VALUE", "VARCHAR", ""),
        Column("PROPERTY_AMOUNT", "NUMBER", ""),
        Column("INGESTEDAT", "TIMESTAMP", ""),
    ),
    key=("OBJECTTYPEID", "OBJECTID", "NAME"),
    description="Values.",
    group="tests",
    point_in_time=True,
)


def frame(cells, read_at):
    """Rows by key: text and amount of each."""
    rows = [(*key, *cells[key], read_at) for key in sorted(cells)]
    texts = dict.fromkeys(("OBJECTTYPEID", "NAME", "VALUE", "PROPERTY_AMOUNT"), pl.String)
    types: dict[str, Any] = texts | {"OBJECTID": pl.Int64, "INGESTEDAT": pl.Datetime("ms")}
    names = [each.name for each in VALUES.columns]
    return pl.DataFrame(rows, schema={name: types[name] for name in names}, orient="row")


def deliver(store, day, *folders, spec=VALUES):
    write(store, *folders, spec=spec, day=day, part_bytes=2_000)
    complete_day(store, day, [spec.name], AS_OF, "run", "1.0")


def some_cells(of, count):
    """Random rows of few enough keys that days share many of them."""
    cells = {}
    for _ in range(count):
        key = ("0-1", of.choice([9, 10, 99, 100, 10**18 + of.randrange(40)]), of.choice("aBéz€😀"))
        cells[key] = (of.choice(["", None, "x", "a\nb"]), of.choice(["1", "1.0", None]))
    return cells


@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_all_rows_at_once(folder, monkeypatch, seed):
    of = random.Random(seed)
    monkeypatch.setattr(module, "_ROWS", of.choice([1, 3, 50]))
    before, after = (some_cells(of, of.choice([0, 1, 60, 200])) for _ in range(2))
    deliver(folder, ONE, ("", [frame(before, 0)]))
    deliver(folder, TWO, ("", [frame(after, 1)]))
    found = diff(reader.open(folder.url_of("x")[:-2]), "VALUES", ONE, TWO, sample=1000)

    added, removed = after.keys() - before.keys(), before.keys() - after.keys()
    changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    assert (found.added, found.removed, found.changed) == (len(added), len(removed), len(changed))
    for place, name in enumerate(("VALUE", "PROPERTY_AMOUNT")):
        assert found.cells[name] == sum(before[k][place] != after[k][place] for k in changed)
    assert [tuple(row.values()) for row in found.added_rows] == sorted(added)
    assert [tuple(row.values()) for row in found.removed_rows] == sorted(removed)
    for row in found.changed_rows:
        key = tuple(row.key.values())
        cells = zip(("VALUE", "PROPERTY_AMOUNT"), before[key], after[key], strict=True)
        assert row.cells == {name: (old, new) for name, old, new in cells if old != new}
    assert {tuple(row.key.values()) for row in found.changed_rows} == changed


def test_sub_folders_are_told_apart_and_may_come_and_go(store):
    ours, theirs, late = ({("0-1", n, "a"): (n_text, "1")} for n, n_text in enumerate("xyz"))
    deliver(store, ONE, ("contacts", [frame(ours, 0)]), ("gone", [frame(theirs, 0)]))
    deliver(store, TWO, ("late", [frame(late, 0)]), ("contacts", [frame(ours, 1)]))
    client = getattr(store, "_new_client", None)
    found = diff(reader.open(store.url_of("x")[:-2], client), "VALUES", ONE, TWO, sample=1)
    assert (found.added, found.removed, found.changed) == (1, 1, 0)
    assert found.added_rows == [{"OBJECTTYPEID": "0-1", "OBJECTID": 2, "NAME": "a"}]


@pytest.fixture
def export(reach, shared_sandbox):
    """The export of the settings."""
    return open_store(reach(shared_sandbox))


def with_columns(**columns):
    """The notes with more columns, each of a type and a text."""
    more = tuple(Column(name, kind, "") for name, (kind, _) in columns.items())
    texts = [pl.lit(text, pl.String).alias(name) for name, (_, text) in columns.items()]
    return replace(NOTES, columns=(*NOTES.columns, *more)), texts


def test_the_command_tells_rows_and_columns(export):
    old, texts = with_columns(A=("NUMBER", "1"), B=("VARCHAR", "b"))
    deliver(export, ONE, ("", [notes(["x", "y", "z" * 50, "w"]).with_columns(texts)]), spec=old)
    new, texts = with_columns(A=("VARCHAR", "large"), C=("VARCHAR", "c"))
    rows = notes(["y", None, "z\n", "w"], 1).with_columns(texts)
    deliver(export, TWO, ("", [rows]), spec=new)
    status, output = run("diff", "notes", ONE, TWO, "--rows", "2")
    assert status == 0
    assert output.splitlines() == [
        "NOTES from 2026-11-20 to 2026-11-21",
        "rows     4 to 4: 1 added, 1 removed, 2 changed",
        "columns  5 to 5",
        "  added    C",
        "  removed  B",
        "  retyped  A: NUMBER to VARCHAR, not compared",
        "changed cells by column",
        "             2  TEXT",
        "added rows",
        "  ID 4",
        "removed rows",
        "  ID 0",
        "changed rows",
        "  ID 2",
        f'    TEXT: "{"z" * 30}…" to NULL',
        "  ID 3",
        '    TEXT: "w" to "z\\n"',
    ]
    status, output = run("diff", "NOTES", ONE, TWO, "--rows", "1")
    assert status == 0
    assert "changed rows, 1 of 2\n  ID 2\n" in output
    status, output = run("diff", "NOTES", ONE, TWO)
    assert status == 0
    assert output.splitlines()[-1] == "             2  TEXT"


def test_what_is_not_there_is_one_line(export):
    deliver(export, ONE, ("", [notes(["x"])]), spec=NOTES)
    fails(2, f"{TWO} is not complete; the newest day that is: {ONE}", "diff", "NOTES", ONE, TWO)
    fails(2, "NOTE is none of the 1 tables of 2026-11-20; expected one as NOTES", "diff", "note",
          ONE, ONE)  # fmt: skip
    fails(2, "found 'monday', expected a day, as 2026-11-20", "diff", "NOTES", ONE, "monday")
    deliver(export, TWO, ("", [notes(["x"])]), spec=replace(NOTES, key=("ID", "AT")))
    fails(2, f"NOTES has another key on {TWO} than on {ONE}", "diff", "NOTES", ONE, TWO)
    export.put(f"{ONE}/NOTES/part-00000.csv.gz", b"damaged")
    fails(1, "part-00000.csv.gz is missing or not as its manifest says", "diff", "NOTES", ONE, ONE)
