"""Parts: none above the limit, no row split, the same rows in the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import random

import polars as pl
import pytest

from hubspot_assets.export import PART_BYTES, TableError
from hubspot_assets.export.parts import pack_parts
from hubspot_assets.tables.specs import OBJECT_PROPERTIES_HISTORY
from hubspot_assets_tests.export.tables import NOTES, by_csv, notes

SMALL = 20_000


def noise(rows: int, letters: int, seed: int = 1) -> list[str]:
    """Text that hardly gets smaller."""
    life = random.Random(seed)
    return ["".join(map(chr, life.choices(range(0x4E00, 0x9FFF), k=letters))) for _ in range(rows)]


def rows_of(parts) -> list[list[str]]:
    """The rows of all parts; each part has the header."""
    rows = []
    for part in parts:
        header, *body = by_csv(gzip.decompress(part.data))
        assert header == ["ID", "TEXT", "AT"]
        assert len(body) == part.rows
        rows += body
    return rows


@pytest.mark.parametrize(
    "texts",
    [
        noise(3000, 30),
        ["the same again"] * 30_000,
        ['"' * 40] * 3000,
        [""] * 20_000,
        noise(1000, 5) + noise(40, 3000) + noise(1000, 5),
    ],
    ids=["noise", "repeated", "quotes", "empty", "sizes that vary"],
)
def test_no_part_is_above_the_limit_and_no_row_is_lost(texts):
    parts = list(pack_parts([notes(texts)], NOTES, SMALL))
    assert all(len(part.data) <= SMALL for part in parts)
    assert [row[:2] for row in rows_of(parts)] == [[str(i), t] for i, t in enumerate(texts)]


def test_parts_are_well_filled():
    sizes = [len(part.data) for part in pack_parts([notes(noise(20_000, 30))], NOTES, 200_000)]
    assert len(sizes) > 5
    assert min(sizes[:-1]) > 0.85 * 200_000


def test_the_real_limit_holds_for_data_that_cannot_be_compressed():
    letters = pl.Series(noise(1000, 400)).to_list()
    life = random.Random(2)
    frames = (
        notes((life.choice(letters) + os.urandom(8).hex() for _ in range(5000)), start)
        for start in range(0, 40_000, 5000)
    )
    noisy = list(pack_parts(frames, NOTES))
    assert len(noisy) > 1
    assert sum(part.rows for part in noisy) == 40_000
    assert all(len(part.data) <= PART_BYTES for part in noisy)
    assert all(len(part.data) > 0.9 * PART_BYTES for part in noisy[:-1])


def test_a_row_above_the_limit_is_alone_in_its_part():
    texts = [*noise(5, 10), *noise(1, 2 * SMALL), *noise(5, 10)]
    parts = list(pack_parts([notes(texts)], NOTES, SMALL))
    assert [part.rows for part in parts] == [5, 1, 5]
    assert len(parts[1].data) > SMALL
    assert len(rows_of(parts)) == 11


def test_without_rows_there_is_the_header():
    for frames in ([], [notes([])], [notes([]), notes([])]):
        (part,) = pack_parts(frames, NOTES)
        assert gzip.decompress(part.data) == b"ID,TEXT,AT\n"
        assert part.rows == 0


def test_a_part_is_one_plain_gzip_member():
    (part,) = pack_parts([notes(["x"])], NOTES)
    assert part.data[:10].hex() == "1f8b08000000000000ff"  # no flags, no time, no name
    assert part.sha256 == hashlib.sha256(part.data).hexdigest()
    assert part.data.count(b"\x1f\x8b\x08") == 1


@pytest.mark.samples(2)
@pytest.mark.parametrize("texts", [noise(4000, 30), ["a b c"] * 9000, noise(30, 3000)])
def test_how_rows_are_spread_over_frames_makes_no_difference(texts):
    whole = notes(texts)
    spreads = [
        [whole],
        [whole],
        [whole[start : start + 7] for start in range(0, whole.height, 7)],
        [whole[:1], whole[:0], whole[1:500], whole[500:]],
    ]
    first, *others = ([p.data for p in pack_parts(frames, NOTES, SMALL)] for frames in spreads)
    assert len(first) > 1
    assert all(other == first for other in others)


def history(*keys: tuple[str | None, int, str, int]) -> pl.DataFrame:
    dtypes = {"NUMBER": pl.Int64(), "TIMESTAMP": pl.Datetime("ms")}
    columns = OBJECT_PROPERTIES_HISTORY.columns
    schema = pl.Schema({c.name: dtypes.get(c.type, pl.String()) for c in columns})
    names = OBJECT_PROPERTIES_HISTORY.key
    rows = [dict.fromkeys(schema) | dict(zip(names, key, strict=True)) for key in keys]
    return pl.DataFrame(rows, schema={**schema, "UPDATEDAT": pl.Int64}).cast(schema)


ASCENDING = [
    ("0-1", 1, "Z", 5),
    ("0-1", 1, "a", 5),
    ("0-1", 1, "a", 6),
    ("0-1", 1, "é", 1),
    ("0-1", 1, "\uffff", 1),
    ("0-1", 1, "😀", 1),
    ("0-1", 2, "a", 1),
    ("0-1", 10, "a", 1),
    ("0-2", 1, "a", 1),
]


def test_keys_that_ascend_are_fine_in_one_frame_and_in_many():
    for frames in ([history(*ASCENDING)], [history(key) for key in ASCENDING]):
        (part,) = pack_parts(frames, OBJECT_PROPERTIES_HISTORY)
        assert part.rows == len(ASCENDING)


@pytest.mark.parametrize("place", range(len(ASCENDING) - 1))
def test_keys_out_of_order_or_twice(place):
    swapped = list(ASCENDING)
    swapped[place : place + 2] = reversed(swapped[place : place + 2])
    twice = [*ASCENDING[: place + 1], *ASCENDING[place:]]
    for keys in (swapped, twice):
        for frames in ([history(*keys)], [history(key) for key in keys]):
            with pytest.raises(TableError) as caught:
                list(pack_parts(frames, OBJECT_PROPERTIES_HISTORY))
            assert "(OBJECTTYPEID, OBJECTID, NAME, UPDATEDAT)" in str(caught.value)
            assert ", 1 did not" in str(caught.value)


def test_keys_that_are_null():
    with pytest.raises(TableError, match="NULLs: 2 in OBJECTTYPEID"):
        list(pack_parts([history((None, 1, "a", 1), (None, 2, "a", 1))], OBJECT_PROPERTIES_HISTORY))


def test_what_is_wrong_with_keys_is_told_without_values():
    secret = notes(["x"], start=4711)
    with pytest.raises(TableError) as caught:
        list(pack_parts([secret, secret], NOTES))
    assert "4711" not in str(caught.value)
