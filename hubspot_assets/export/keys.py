"""Whether rows come in the order of their key, each key once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from hubspot_assets.export.errors import TableError
from hubspot_assets.tables.spec import TableSpec

#: The column of a frame's place among others, as no column of a table is called.
_PLACE = ""


class KeyOrder:
    """Watches the frames of one sub-folder go by.

    Text is compared by its UTF-8 bytes, which is polars' order and that of Python's `str`.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._last: tuple[Any, ...] | None = None
        self._nulls, self._misplaced = pl.col(spec.key).null_count(), _misplaced(spec.key)

    def check(self, frame: pl.DataFrame) -> None:
        """Raises `TableError` where a key is NULL, or does not come after the one before it.

        The message counts the rows, and never shows a key.
        """
        if frame.is_empty() or not self._spec.key:
            return
        *nulls, misplaced = frame.select(self._nulls, self._misplaced).row(0)
        if any(nulls):
            empty = zip(nulls, self._spec.key, strict=True)
            told = ", ".join(f"{number} in {name}" for number, name in empty if number)
            raise TableError(f"{self._spec.name}: a key is never NULL, but there are NULLs: {told}")
        first, last = (tuple(frame[name][n] for name in self._spec.key) for n in (0, -1))
        if self._last is not None and first <= self._last:
            misplaced += 1
        if misplaced:
            key = ", ".join(self._spec.key)
            raise TableError(
                f"{self._spec.name}: rows must come in the order of ({key}), each key once;"
                f" of {frame.height} rows, {misplaced} did not come after the row before"
            )
        self._last = last


def check_each(frames: Sequence[pl.DataFrame], whole: pl.DataFrame, spec: TableSpec) -> None:
    """What a `KeyOrder` of each of the frames finds, which are one after another in `whole`.

    Raises `TableError` as these do.
    """
    if whole.is_empty() or not spec.key:
        return
    places = (place for place, frame in enumerate(frames) for _ in range(frame.height))
    placed = whole.hstack([pl.Series(_PLACE, places)])
    if any(placed.select(pl.col(spec.key).null_count(), _misplaced((_PLACE, *spec.key))).row(0)):
        for frame in frames:
            KeyOrder(spec).check(frame)


def _misplaced(key: tuple[str, ...]) -> pl.Expr:
    """How many rows of a frame do not come after the row before them."""
    later = pl.lit(value=False)
    for name in reversed(key):
        here, before = pl.col(name), pl.col(name).shift(1)
        later = (here > before) | ((here == before) & later)
    # The first row has none before it: NULL, which is not summed.
    return (~later).sum().alias("misplaced")
