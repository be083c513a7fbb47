"""Frames in the order of a key, when they were staged in another, without holding them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hubspot_assets.storage import StoreError
from hubspot_assets.storage.temporary import temporary_folder

#: Bytes that are sorted at a time, about.
MOST_BYTES = 96_000_000
#: So many keys of a sorted file are looked at to see how they are spread.
_OF_A_RUN = 200
#: Rows that are read together: a slice keeps in memory all that was read with it.
_READ_AT_ONCE = 500

Reader = Callable[[], pl.DataFrame]
"""Reads one chunk."""


def in_key_order(
    readers: Iterable[Reader], key: Sequence[str], *, most_bytes: int = MOST_BYTES
) -> Iterator[pl.DataFrame]:
    """The rows of all chunks, sorted by `key`, in frames of about `most_bytes` bytes.

    What is more than that goes to sorted files in the temporary folder, of which one range of
    keys is read at a time: memory is bounded by a range and a chunk, whatever the number of rows,
    and every chunk is read once. A key that comes again is left out: the first chunk's row stays.
    Frames without rows are not yielded. Raises StoreError where that folder can't be written.
    """
    held: list[pl.DataFrame] = []
    size = 0
    frames = (reader() for reader in readers)
    for frame in frames:
        held.append(frame)
        size += int(frame.estimated_size())
        if size > most_bytes:
            break
    else:
        yield from _sorted(held, key)
        return
    with temporary_folder() as folder:
        runs = _Runs(folder, key)
        while held:
            runs.add(held.pop(0))
        for frame in frames:
            runs.add(frame)
        yield from runs.ranges(most_bytes)


def _sorted(frames: Sequence[pl.DataFrame], key: Sequence[str]) -> Iterator[pl.DataFrame]:
    """One frame of the rows of all, each key once; nothing without rows."""
    if any(frame.height for frame in frames):
        yield pl.concat(frames).unique(key, keep="first", maintain_order=True).sort(key)


class _Runs:
    """Sorted files of rows."""

    def __init__(self, folder: Path, key: Sequence[str]) -> None:
        self._folder = folder
        self._key = list(key)
        self._files: list[Path] = []
        self._samples: list[pl.DataFrame] = []
        self._size = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the rows of a frame in."""
        if frame.is_empty():
            return
        path = self._folder / f"{len(self._files):06d}.arrow"
        run = frame.sort(self._key, maintain_order=True)
        try:
            run.write_ipc(path, record_batch_size=_READ_AT_ONCE)
        except (OSError, pl.exceptions.ComputeError) as error:
            raise StoreError(
                f"cannot write to the temporary folder {self._folder.parent}: {error}; "
                "free some space, or set TMPDIR"
            ) from error
        self._files.append(path)
        self._samples.append(run.select(self._key).gather_every(max(1, run.height // _OF_A_RUN)))
        self._size += int(frame.estimated_size())

    def ranges(self, most_bytes: int) -> Iterator[pl.DataFrame]:
        """The rows of all files in order, a range of keys at a time."""
        before = [_before(self._key, bound) for bound in self._bounds(1 + self._size // most_bytes)]
        cuts = [self._cuts(path, before) for path in self._files]
        for number in range(len(before) + 1):
            pieces = [
                pl.scan_ipc(path).slice(cut[number], cut[number + 1] - cut[number]).collect()
                for path, cut in zip(self._files, cuts, strict=True)
                if cut[number + 1] > cut[number]
            ]
            yield from _sorted(pieces, self._key)

    def _bounds(self, ranges: int) -> list[tuple[object, ...]]:
        """Keys that cut the rows into about equal `ranges`."""
        sample = pl.concat(self._samples).sort(self._key)
        step = max(1, sample.height // ranges)
        return sample.gather_every(step, offset=step).unique(maintain_order=True).rows()

    def _cuts(self, path: Path, before: Sequence[pl.Expr]) -> list[int]:
        """Where in a sorted file each range begins, and its end."""
        counts = [each.sum().alias(str(number)) for number, each in enumerate(before)]
        keys = pl.scan_ipc(path).select(self._key)
        return [0, *keys.select(*counts, pl.len().alias("all")).collect().row(0)]


def _before(key: Sequence[str], bound: tuple[Any, ...]) -> pl.Expr:
    before = pl.lit(value=False)
    for name, value in zip(reversed(key), reversed(bound), strict=True):
        before = (pl.col(name) < value) | ((pl.col(name) == value) & before)
    return before
