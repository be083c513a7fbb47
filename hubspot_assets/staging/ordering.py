"""Frames in the order of a key, when they were staged in another, without holding them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl

#: Rows that are sorted at a time, about.
ROWS = 500_000
#: One row of so many is looked at to see how keys are spread.
_SAMPLED = 500

Reader = Callable[[], pl.DataFrame]
"""Reads one chunk; called once per range of keys."""


def in_key_order(
    readers: Sequence[Reader], key: Sequence[str], *, rows: int = ROWS
) -> Iterator[pl.DataFrame]:
    """The rows of all chunks, sorted by `key`, in frames of about `rows` rows.

    Keys are cut into ranges by a sample, and each range is collected from all chunks: memory is
    bounded by a range and a chunk, whatever the number of rows. A key that comes again is left
    out: the first chunk's row stays. Frames without rows are not yielded.
    """
    for inside in key_ranges(readers, key, rows):
        parts = [reader().filter(inside) for reader in readers]
        found = pl.concat(parts).unique(key, keep="first", maintain_order=True).sort(key)
        if found.height:
            yield found


def key_ranges(readers: Sequence[Reader], key: Sequence[str], rows: int) -> Iterator[pl.Expr]:
    """Conditions that cut all rows into ranges of keys, ascending, of about `rows` rows each."""
    last = None
    for bound in [*_bounds(readers, key, rows), None] if readers else ():
        yield _within(key, last, bound)
        last = bound


def _bounds(readers: Sequence[Reader], key: Sequence[str], rows: int) -> list[tuple[Any, ...]]:
    """Keys at which to cut, ascending."""
    samples, total = [], 0
    for reader in readers:
        keys = reader().select(key)
        total += keys.height
        samples.append(keys.gather_every(_SAMPLED))
    ranges = -(-total // rows)
    if ranges <= 1:
        return []
    sample = pl.concat(samples).unique().sort(key)
    cuts = {sample.height * each // ranges for each in range(1, ranges)}
    return [sample.row(cut) for cut in sorted(cuts) if 0 < cut < sample.height]


def _within(
    key: Sequence[str], first: tuple[Any, ...] | None, end: tuple[Any, ...] | None
) -> pl.Expr:
    """Keys from `first` on and before `end`; None leaves that side open."""
    inside = pl.lit(value=True)
    if first is not None:
        inside = inside & ~_before(key, first)
    return inside if end is None else inside & _before(key, end)


def _before(key: Sequence[str], bound: tuple[Any, ...]) -> pl.Expr:
    before = pl.lit(value=False)
    for name, value in zip(reversed(key), reversed(bound), strict=True):
        before = (pl.col(name) < value) | ((pl.col(name) == value) & before)
    return before
