"""Rows in the order of their key, many more than fit into memory."""

import itertools
import random

import polars as pl
import pytest

from hubspot_assets.staging.ordering import in_order


def frames_of(keys, size):
    rows = [(key, text, number) for number, (key, text) in enumerate(keys)]
    for start in range(0, len(rows), size):
        yield pl.DataFrame(
            rows[start : start + size],
            schema={"key": pl.Int64, "text": pl.String, "number": pl.Int64},
            orient="row",
        )


def shuffled(count, distinct):
    rng = random.Random(17)
    return [(rng.randrange(distinct), f"t{rng.randrange(3)}") for _ in range(count)]


@pytest.mark.parametrize("most_bytes", [2_000, 20_000, 10_000_000])
@pytest.mark.parametrize("key", [["key"], ["text", "key"]])
@pytest.mark.parametrize("distinct", [1, 50, 100_000])
def test_rows_come_in_order_however_little_is_held(most_bytes, key, distinct):
    keys = shuffled(1_000, distinct)
    whole = pl.concat(frames_of(keys, 60)).sort(key, maintain_order=True)
    ordered = list(in_order(frames_of(keys, 60), key, most_bytes=most_bytes))
    assert pl.concat(ordered).equals(whole)
    ends = [(frame.select(key).row(0), frame.select(key).row(-1)) for frame in ordered]
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ends))


def test_little_is_held_at_a_time():
    ordered = list(in_order(frames_of(shuffled(2_000, 100_000), 100), ["key"], most_bytes=5_000))
    assert max(frame.estimated_size() for frame in ordered) < 10_000


def test_no_rows_are_no_frames():
    assert list(in_order(iter(()), ["key"])) == []
