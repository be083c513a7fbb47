"""Sub-folders of a table as parts, the small ones made together.

Polars takes about as long for the text of ten rows as for that of a thousand, and most of a
portal's types have few. The parts are those that `pack_parts` makes of each sub-folder alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import polars as pl

from hubspot_assets.export.dialect import (
    check_columns,
    csv_header,
    csv_rows,
    with_ingestedat_as_text,
)
from hubspot_assets.export.keys import check_each
from hubspot_assets.export.parts import MOST_OF_A_CELL, Member, PackedPart, pack_parts
from hubspot_assets.tables.spec import TableSpec

#: The most bytes of a small frame, and how many are made together.
_SMALL, _TOGETHER = 64_000, 50


def pack_folders(
    folders: Iterable[tuple[str, Iterable[pl.DataFrame]]], spec: TableSpec, limit: int
) -> Iterator[tuple[str, Iterable[PackedPart]]]:
    """The sub-folders and their parts, which are taken before the next. Raises `TableError` as
    `pack_parts` does."""
    few: list[tuple[str, pl.DataFrame]] = []
    for folder, frames in folders:
        rows = iter(frames)
        begun = _begun(rows)
        if few and not begun:
            begun = [few[0][1].clear()]
        alone = len(begun) == 1 and _is_small(begun[0])
        if few and not (alone and len(few) < _TOGETHER and begun[0].schema == few[0][1].schema):
            yield from _together(few, spec, limit)
            few = []
        if alone:
            few.append((folder, begun[0]))
        else:
            yield folder, pack_parts(_rest(begun, rows), spec, limit)
    if few:
        yield from _together(few, spec, limit)


def _begun(rows: Iterator[pl.DataFrame]) -> list[pl.DataFrame]:
    """The first frame, and behind a small one the second: else it is alone."""
    begun = list(islice(rows, 1))
    return [*begun, *islice(rows, 1)] if begun and _is_small(begun[0]) else begun


def _is_small(frame: pl.DataFrame) -> bool:
    return frame.estimated_size() <= _SMALL


def _rest(begun: list[pl.DataFrame], rows: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """All frames, of which `begun`, that may be large, is let go of."""
    while begun:
        yield begun.pop(0)
    yield from rows


def _together(
    few: Sequence[tuple[str, pl.DataFrame]], spec: TableSpec, limit: int
) -> Iterator[tuple[str, Iterable[PackedPart]]]:
    frames = [frame for _, frame in few]
    whole = pl.concat(frames)
    check_columns(spec, whole.schema)
    check_each(frames, whole, spec)
    header, texts = csv_header(spec), _texts(frames, with_ingestedat_as_text(whole))
    for (folder, frame), text in zip(few, texts, strict=True):
        member = Member(header)
        # What is less by any reckoning than a block of text is one.
        if len(text) + frame.height * frame.width * MOST_OF_A_CELL > member.text_to_take(limit):
            yield folder, pack_parts([frame], spec, limit)
            continue
        if text:
            member.add(text, frame.height)
        yield folder, [member.finish()]


def _texts(frames: Sequence[pl.DataFrame], whole: pl.DataFrame) -> Iterator[bytes]:
    """The text of each of the frames, which are one after another in `whole`."""
    lines = csv_rows(whole).split(b"\n")
    rows, start = 0, 0
    breaks = _breaks(whole) if len(lines) > whole.height + 1 else None
    for frame in frames:
        within = 0 if breaks is None else int(breaks[rows : rows + frame.height].sum())
        end = start + frame.height + within
        yield b"".join(line + b"\n" for line in lines[start:end])
        rows, start = rows + frame.height, end


def _breaks(frame: pl.DataFrame) -> pl.Series:
    """How many line breaks are within each row."""
    breaks = pl.col(pl.String).str.count_matches("\n", literal=True)
    return frame.select(pl.sum_horizontal(breaks)).to_series()
