"""A base and its changes, as one: the chunks of the base with what has changed in its place.

Both are of things with an `id`, ascending over the chunks of each, whose frames all have that
column; the frame `records` has a row for each. Where the changes hold a thing, they hold all of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

import polars as pl

from hubspot_assets.readings.kept import Kept
from hubspot_assets.storage import Store, StoreError

#: The most bytes of a file whose frame is kept: it takes longer to open than to read.
_SMALL = 64_000
_THINGS = "records"
_ID = "id"


class DamagedError(StoreError):
    """A file of a reading is not as it was written."""


class Chunk(Hashable, Protocol):
    """One batch of a source: frames by name."""

    def read(self, frame: str, columns: list[str] | None = None) -> pl.DataFrame:
        """The frame called `frame`, or only its `columns`."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A batch with a Parquet file for each frame, of which the frames of small ones are `kept`."""

    store: Store
    stem: str
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)

    def read(self, frame: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Raises StoreError: DamagedError where the file is not as it was written."""
        file = self.file(frame)
        found = self.kept.get(file)
        try:
            if not isinstance(found, pl.DataFrame):
                with self.store.local_copy(file) as path:
                    size = path.stat().st_size
                    found = pl.read_parquet(path, columns=None if size <= _SMALL else columns)
                    self.keep(frame, found, size)
            return found if columns is None else found.select(columns)
        except pl.exceptions.PolarsError as error:
            raise DamagedError(
                f"{self.store.url_of(file)} is damaged: {error}; have the day read again"
            ) from error

    def file(self, frame: str) -> str:
        """The path of a frame's file."""
        return f"{self.stem}.{frame}.parquet"

    def keep(self, frame: str, found: pl.DataFrame, size: int) -> None:
        """Keeps the whole of a frame, which is a file of `size` bytes, if that is small."""
        self.kept.put(self.file(frame), found, found.estimated_size() if size <= _SMALL else inf)


@dataclass(frozen=True, slots=True)
class MergedChunk:
    """A chunk of the base, or none behind its last, and the changes of the same range of ids:
    above `low`, up to `high`."""

    base: Chunk | None
    changes: tuple[Chunk, ...]
    low: int | None
    high: int | None

    def read(self, frame: str, columns: list[str] | None = None) -> pl.DataFrame:
        wanted = columns if columns is None or _ID in columns else [_ID, *columns]
        pieces = [self._unchanged(frame, wanted)] if self.base else []
        pieces += (self._within(each.read(frame, wanted)) for each in self.changes)
        whole = pl.concat(pieces).sort(_ID, maintain_order=True)
        return whole if columns is None else whole.select(columns)

    def _unchanged(self, frame: str, columns: list[str] | None) -> pl.DataFrame:
        changed = pl.concat(each.read(_THINGS, [_ID]) for each in self.changes)
        base = self.base.read(frame, columns) if self.base else changed.clear()
        return base.join(changed, on=_ID, how="anti", maintain_order="left")

    def _within(self, frame: pl.DataFrame) -> pl.DataFrame:
        low = pl.lit(value=True) if self.low is None else pl.col(_ID) > self.low
        high = pl.lit(value=True) if self.high is None else pl.col(_ID) <= self.high
        return frame.filter(low & high)


def merged(base: Sequence[StoredChunk], changes: Sequence[StoredChunk]) -> Iterator[Chunk]:
    """The chunks of `base` as `changes` make them, then those that are all new."""
    spans = [(chunk, *span) for chunk in changes if (span := _span(chunk))]
    low: int | None = None
    for chunk in base:
        span = _span(chunk)
        if span is None:
            continue
        high = span[1]
        here = tuple(
            each for each, first, last in spans if first <= high and (low is None or last > low)
        )
        yield MergedChunk(chunk, here, low, high) if here else chunk
        low = high
    for each, _, last in spans:
        if low is None or last > low:
            yield MergedChunk(None, (each,), low, None)


def _span(chunk: StoredChunk) -> tuple[int, int] | None:
    """The first and the last id of a chunk, None of an empty one."""

    def read() -> tuple[int, int] | None:
        ids = chunk.read(_THINGS, [_ID])[_ID]
        return (int(ids[0]), int(ids[-1])) if len(ids) else None

    return chunk.kept.of((chunk.stem, "span"), read, lambda _: 0)
