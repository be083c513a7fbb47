"""Rows in the order of their key, many more than fit into memory."""

import itertools
import random
from functools import partial

import polars as pl
import pytest

from hubspot_assets.readings.ordering import in_key_order


def readers_of(keys, size=60):
    schema = {"key": pl.Int64, "text": pl.String, "number": pl.Int64}
    rows = [(key, text, number) for number, (key, text) in enumerate(keys)]
    return [
        partial(pl.DataFrame, rows[start : start + size], schema=schema, orient="row")
        for start in range(0, len(rows), size)
    ]


def shuffled(count, distinct):
    rng = random.Random(17)
    return [(rng.randrange(distinct), f"t{rng.randrange(3)}") for _ in range(count)]


@pytest.mark.parametrize("most_bytes", [2_000, 20_000, 10_000_000])
@pytest.mark.parametrize("key", [["key"], ["text", "key"]])
@pytest.mark.parametrize("distinct", [1, 50, 100_000])
def test_rows_come_in_key_order_however_little_is_held(most_bytes, key, distinct):
    keys = shuffled(1_000, distinct)
    first = {
        each[::-1] if key[0] == "text" else each[:1]: number
        for number, each in reversed(list(enumerate(keys)))
    }
    ordered = list(in_key_order(readers_of(keys), key, most_bytes=most_bytes))
    assert pl.concat(ordered).select(*key, "number").rows() == [
        (*each, first[each]) for each in sorted(first)
    ]
    ends = [(frame.select(key).row(0), frame.select(key).row(-1)) for frame in ordered]
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ends))


def test_little_is_held_at_a_time():
    ordered = list(in_key_order(readers_of(shuffled(2_000, 100_000)), ["key"], most_bytes=5_000))
    assert max(frame.estimated_size() for frame in ordered) < 10_000


def test_no_rows_are_no_frames():
    assert list(in_key_order([], ["key"])) == []
