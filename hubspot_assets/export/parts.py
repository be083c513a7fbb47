"""Frames as parts: gzip members of CSV, each with the header, none above the limit.

The cut of the parts depends on the rows alone: how they were spread over frames makes no
difference, so the same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl
from isal import isal_zlib
from isal.igzip_lib import IsalError

from hubspot_assets.export.dialect import (
    check_columns,
    csv_header,
    csv_rows,
    with_ingestedat_as_text,
)
from hubspot_assets.export.errors import TableError
from hubspot_assets.export.keys import KeyOrder
from hubspot_assets.tables.spec import TableSpec

#: The most bytes of a part, compressed.
PART_BYTES = 15_000_000

#: The least text that is packed at a time is this share of a part; parts end up about
#: this much short of the limit.
_LEAST = 16

#: What a cell takes of text by `text_size`, besides that of a string.
MOST_OF_A_CELL = 25

_LEVEL = 2
_GZIP = 31  # window bits that ask for a gzip member; its header has no time and no name


@dataclass(frozen=True, slots=True)
class PackedPart:
    """The content of one part: a complete gzip member of `rows` rows and the header."""

    data: bytes
    rows: int
    sha256: str


def pack_parts(
    frames: Iterable[pl.DataFrame],
    spec: TableSpec,
    limit: int = PART_BYTES,
    seen: Callable[[pl.DataFrame], None] = lambda _: None,
) -> Iterator[PackedPart]:
    """The parts of one sub-folder, one at a time; without rows, one of the header alone.

    A part has at most `limit` bytes, which must be some ten times the header; only a row
    that alone is above it makes a part of its own that is too. Holds one frame, one block
    of text and one part in memory. Each frame that is as it should be is `seen` once.

    Raises `TableError` where a frame's columns, types or keys are not as `spec` says.
    """
    header = csv_header(spec)
    rows = _Rows(_checked(frames, spec, seen))
    part = Member(header)
    while (taken := rows.take(part.text_to_take(limit))) is not None:
        text, height = taken
        if part.rows and part.bytes + _most_bytes(len(text)) > limit:
            yield part.finish()
            part = Member(header)
        part.add(text, height)
    yield part.finish()


def packed(text: Iterable[bytes | memoryview]) -> bytes:
    """A gzip member of a text that comes in pieces."""
    packer = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
    return b"".join([*map(packer.compress, text), packer.flush()])


def unpacked(data: bytes, size: int) -> Iterator[bytes]:
    """The text of a gzip member, `size` bytes at a time; of the beginning of one, too. Raises
    ValueError for what is none, once the text that is there is given."""
    unpacker = isal_zlib.decompressobj(_GZIP)
    while not unpacker.eof:
        try:
            text = bytes(unpacker.decompress(data, size))
        except IsalError as error:  # type: ignore[misc]
            raise ValueError(f"no gzip member: {error}") from error
        data = unpacker.unconsumed_tail
        if not (text or unpacker.eof):
            raise ValueError("no gzip member: its end is missing")
        yield text


class Member:
    """A gzip member in the making; `bytes` is its size so far, exactly."""

    def __init__(self, header: bytes) -> None:
        self.rows = 0
        self.bytes = 0
        self._packer = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._chunks: list[bytes] = []
        self.add(header, 0)

    def add(self, text: bytes, rows: int) -> None:
        self._keep(self._packer.compress(text))
        self._keep(self._packer.flush(isal_zlib.Z_SYNC_FLUSH))
        self.rows += rows

    def text_to_take(self, limit: int) -> int:
        """How much text to take next, as `_Rows` reckons it.

        Large blocks are cheaper, but it must be known before a block is packed that it fits
        even if nothing in it can be compressed. Two fifths of the room do: quotes less
        than double the text, and packing adds an eighth at worst.
        """
        return max((limit - self.bytes) * 2 // 5, limit // _LEAST)

    def finish(self) -> PackedPart:
        self._keep(self._packer.flush())
        data = b"".join(self._chunks)
        return PackedPart(data, self.rows, hashlib.sha256(data).hexdigest())

    def _keep(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.bytes += len(chunk)


def _most_bytes(text: int) -> int:
    """What `text` bytes and the end of the member can take at worst.

    Deflate's fixed code has at most nine bits for a byte; the rest is for block headers.
    """
    return text + text // 8 + 1024


def _checked(
    frames: Iterable[pl.DataFrame], spec: TableSpec, seen: Callable[[pl.DataFrame], None]
) -> Iterator[pl.DataFrame]:
    """The frames, after a look at their columns, types and keys."""
    schema: pl.Schema | None = None
    order = KeyOrder(spec)

    def checked(frame: pl.DataFrame) -> pl.DataFrame:
        nonlocal schema
        if schema is None:
            schema = frame.schema
            check_columns(spec, schema)
        elif frame.schema != schema:
            check_columns(spec, frame.schema)
            raise TableError(f"{spec.name}: a column changes its type from frame to frame")
        order.check(frame)
        seen(frame)
        return with_ingestedat_as_text(frame)

    return map(checked, frames)


class _Rows:
    """Takes rows from a sequence of frames by the size of their text."""

    def __init__(self, frames: Iterable[pl.DataFrame]) -> None:
        self._frames = iter(frames)
        self._frame = pl.DataFrame()
        self._size: pl.Expr | None = None
        self._ends = pl.Series(dtype=pl.Int64)  # where each row's text ends, about
        self._taken = 0  # rows of the frame

    def take(self, size: int) -> tuple[bytes, int] | None:
        """The text of the next rows, of at most about `size` bytes or one row, and how many they
        are; None after the last."""
        texts: list[bytes] = []
        rows = 0
        while self._has_more():
            start = self._taken
            before = int(self._ends[start - 1]) if start else 0
            end = int(self._ends.search_sorted(before + size, side="right"))
            if end == start and not rows:
                end += 1
            if end > start:
                texts.append(csv_rows(self._frame[start:end]))
                rows += end - start
                size -= int(self._ends[end - 1]) - before
                self._taken = end
            if end < self._frame.height:
                break
        return (b"".join(texts), rows) if rows else None

    def _has_more(self) -> bool:
        while self._taken == self._frame.height:
            self._frame, self._taken = pl.DataFrame(), 0  # what it takes is free for the next
            frame = next(self._frames, None)
            if frame is None:
                return False
            if self._size is None:
                self._size = text_size(frame.schema)
            self._frame = frame
            self._ends = frame.select(self._size.cum_sum()).to_series()
        return True


def text_size(schema: pl.Schema) -> pl.Expr:
    """About how many bytes of text a row takes: more than half of what it can be."""
    moment = MOST_OF_A_CELL - 2
    sizes = [
        pl.col(name).str.len_bytes()
        if dtype == pl.String
        else pl.col(name).is_not_null().cast(pl.UInt32) * (moment if dtype == pl.Datetime else 10)
        for name, dtype in schema.items()
    ]
    return (pl.sum_horizontal(sizes) + 2 * len(sizes)).cast(pl.Int64)
