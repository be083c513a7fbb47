"""Whether rows come in the order of their key, each key once."""

from __future__ import annotations

from typing import Any

import polars as pl

from hubspot_assets.export.errors import TableError
from hubspot_assets.tables.spec import TableSpec


class KeyOrder:
    """Watches the frames of one sub-folder go by.

    Text is compared by its UTF-8 bytes, which is polars' order and that of Python's `str`.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._last: tuple[Any, ...] | None = None
        self._misplaced = _misplaced(spec.key)

    def check(self, frame: pl.DataFrame) -> None:
        """Raises `TableError` where a key is NULL, or does not come after the one before it.

        The message counts the rows, and never shows a key.
        """
        if frame.is_empty() or not self._spec.key:
            return
        keys = frame.select(self._spec.key)
        *nulls, misplaced = keys.select(pl.all().null_count(), self._misplaced).row(0)
        if any(nulls):
            empty = zip(nulls, self._spec.key, strict=True)
            told = ", ".join(f"{number} in {name}" for number, name in empty if number)
            raise TableError(f"{self._spec.name}: a key is never NULL, but there are NULLs: {told}")
        if self._last is not None and keys.row(0) <= self._last:
            misplaced += 1
        if misplaced:
            key = ", ".join(self._spec.key)
            raise TableError(
                f"{self._spec.name}: rows must come in the order of ({key}), each key once;"
                f" of {keys.height} rows, {misplaced} did not come after the row before"
            )
        self._last = keys.row(-1)


def _misplaced(key: tuple[str, ...]) -> pl.Expr:
    """How many rows of a frame do not come after the row before them."""
    later = pl.lit(value=False)
    for name in reversed(key):
        here, before = pl.col(name), pl.col(name).shift(1)
        later = (here > before) | ((here == before) & later)
    # The first row has none before it: NULL, which is not summed.
    return (~later).sum().alias("misplaced")
