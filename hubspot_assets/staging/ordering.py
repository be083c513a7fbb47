"""Rows of any number in the order of their key, without all of them in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from hubspot_assets.export import StoreError

#: Bytes that are held and sorted at a time.
MOST_BYTES = 96_000_000
#: Keys per sorted run that are looked at to cut the whole into ranges.
SAMPLE = 1_000


def in_order(
    frames: Iterable[pl.DataFrame], key: Sequence[str], *, most_bytes: int = MOST_BYTES
) -> Iterator[pl.DataFrame]:
    """The rows of `frames`, which have one schema, in the order of `key`, which has no NULLs.

    Rows of one key come in one frame, in the order in which they came. What is more than
    `most_bytes` goes to sorted files in the temporary folder, from which one range of keys is read
    at a time. Raises StoreError where that folder can't be written.
    """
    held: list[pl.DataFrame] = []
    size = 0
    rest = iter(frames)
    for frame in rest:
        held.append(frame)
        size += int(frame.estimated_size())
        if size > most_bytes:
            break
    else:
        if held:
            yield pl.concat(held).sort(key, maintain_order=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = _Runs(Path(folder), key)
        for frame in held:
            runs.add(frame)
        held.clear()
        for frame in rest:
            runs.add(frame)
        yield from runs.ranges(most_bytes)


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
            run.write_ipc(path)
        except (OSError, pl.exceptions.ComputeError) as error:
            raise StoreError(
                f"cannot write to the temporary folder {self._folder.parent}: {error}; "
                "free some space, or set TMPDIR"
            ) from error
        self._files.append(path)
        self._samples.append(run.select(self._key).gather_every(max(1, run.height // SAMPLE)))
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
            if pieces:
                yield pl.concat(pieces).sort(self._key, maintain_order=True)

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


def _before(key: Sequence[str], bound: tuple[object, ...]) -> pl.Expr:
    """Whether the key of a row comes before `bound`."""
    before = pl.lit(value=False)
    for name, value in reversed(list(zip(key, bound, strict=True))):
        before = (pl.col(name) < value) | ((pl.col(name) == value) & before)
    return before
