"""Small sub-folders packed together: the parts that each would have alone."""

from __future__ import annotations

import random

import polars as pl
import pytest

from hubspot_assets.export import PART_BYTES, TableError
from hubspot_assets.export.parts import pack_parts
from hubspot_assets.export.together import pack_folders
from hubspot_assets_tests.export.tables import NOTES, notes

TEXTS = ["plain", "", None, 'a "quoted" one', "two\nlines", "\n", "\n\n\r\n,", "a\rb", "é,", "'"]


def some(seed, rows):
    """Rows of a folder, some of them of several lines."""
    return notes(random.Random(seed).choices(TEXTS, k=rows))


def packed(folders, limit=PART_BYTES):
    return {folder: list(parts) for folder, parts in pack_folders(folders, NOTES, limit)}


def alone(folders, limit=PART_BYTES):
    return {folder: list(pack_parts(frames, NOTES, limit)) for folder, frames in folders}


LARGE = notes(["text"] * 20_000)
FOLDERS = {
    "one": [("", [some(1, 7)])],
    "none": [("", [])],
    "empty frames": [("a", [some(1, 0)]), ("b", [some(2, 0), some(1, 0)]), ("c", [some(1, 0)])],
    "many": [(f"f{n}", [some(n, n % 9)]) for n in range(130)],
    "one line each": [(f"f{n}", [notes(["x", "y,z"])]) for n in range(5)],
    "several frames": [("a", [some(1, 5)]), ("b", [LARGE[:9], LARGE[9:12]]), ("c", [some(2, 3)])],
    "large between": [("a", [some(1, 5)]), ("b", [LARGE]), ("c", []), ("d", [some(2, 3)])],
    "none between": [(f"f{n}", [some(n, n)] if n % 3 else []) for n in range(9)],
    "other types": [
        ("a", [some(1, 5)]),
        ("b", [some(2, 5).with_columns(pl.col("ID").cast(pl.String))]),
        ("c", [some(3, 5)]),
    ],
}


@pytest.mark.parametrize("limit", [PART_BYTES, 20_000, 800])
@pytest.mark.parametrize("folders", FOLDERS.values(), ids=FOLDERS)
def test_each_folder_has_the_parts_that_it_has_alone(folders, limit):
    together = packed(folders, limit)
    assert together == alone(folders, limit)
    assert list(together) == [folder for folder, _ in folders]


@pytest.mark.parametrize("odd", [0, 3, 59])
def test_a_folder_whose_keys_are_not_in_order_is_found(odd):
    for wrong in (some(1, 4).reverse(), some(1, 4).with_columns(ID=pl.lit(None, pl.Int64))):
        folders = [(f"f{n}", [wrong if n == odd else some(n, 4)]) for n in range(60)]
        with pytest.raises(TableError) as found:
            packed(folders)
        with pytest.raises(TableError) as expected:
            list(pack_parts([wrong], NOTES))
        assert str(found.value) == str(expected.value)


def test_columns_that_are_not_the_tables_are_found():
    with pytest.raises(TableError, match="lack TEXT"):
        packed([("a", [some(1, 4).drop("TEXT")]), ("b", [some(2, 4)])])


def test_a_folder_is_made_once_the_one_before_is_packed():
    """Of large ones no two are held, and small ones are few at a time."""
    made, taken = [], []

    def folders():
        for number in range(200):
            made.append(number)
            yield str(number), [LARGE if number % 100 == 99 else some(number, 3)]

    most = 0
    for folder, parts in pack_folders(folders(), NOTES, PART_BYTES):
        most = max(most, len(made) - len(taken))
        taken.append(folder)
        assert list(parts)
    assert taken == [str(number) for number in range(200)]
    assert most <= 51
