"""The files of a table of a delivered day, and which of them may hold some people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hubspot_assets.export.manifest import File, Format, TableManifest
from hubspot_assets.forget.csv_parts import CsvParts
from hubspot_assets.forget.parquet_files import ParquetFiles
from hubspot_assets.forget.people import People

FORMATS: Mapping[Format, CsvParts | ParquetFiles] = {"csv": CsvParts(), "parquet": ParquetFiles()}
UNKNOWN = -1  # rows of a file of which no manifest tells


@dataclass(frozen=True, slots=True)
class Changed:
    """A file as it is to be; in `local` if it is not so yet."""

    now: File
    local: Path | None
    rows_out: int
    cells: int


def parts_as_files(manifest: TableManifest) -> Iterator[File]:
    """The CSV parts of a table as files."""
    for part in manifest.parts:
        yield File(f"{manifest.day}/{part.path}", "csv", part.rows, part.bytes, part.sha256)


def unknown_files(paths: Iterable[str]) -> Iterator[File]:
    """Files that no manifest tells of."""
    for path in paths:
        for name, of in FORMATS.items():
            if path.endswith(of.suffix):
                yield File(path, name, UNKNOWN, 0, "")


def with_rows_of(files: Sequence[File], parts: Collection[str]) -> Iterator[File]:
    """The files that hold some of the rows that these parts hold."""
    spans = {
        file.path: (end - file.rows, end)
        for of in FORMATS
        for file, end in _ends(file for file in files if file.format == of)
    }
    changed = [spans[path] for path in parts]
    for file in files:
        start, end = spans[file.path]
        if file.format != "csv" and any(start < last and first < end for first, last in changed):
            yield file


def _ends(files: Iterable[File]) -> Iterator[tuple[File, int]]:
    end = 0
    for file in files:
        end += file.rows
        yield file, end


def most_of(changed: Iterable[Changed], what: Literal["rows_out", "cells"]) -> int:
    """How many rows of a table went, or cells are others: in all formats the same, unless its
    export was broken off."""
    found = Counter(dict.fromkeys(FORMATS, 0))
    for each in changed:
        found[each.now.format] += getattr(each, what)
    return max(found.values())


def between(people: People, first: tuple[str, int] | None, last: tuple[str, int] | None) -> People:
    """Those who may stand in a part, from its first record to that of the next part.

    All parts of a folder are of one type.
    """
    if first is None:
        return people
    type_id, least = first
    most = last[1] if last else None
    ids = {
        each
        for each in people.ids.get(type_id, ())
        if least <= each and (most is None or each <= most)
    }
    return People({type_id: frozenset(ids)} if ids else {})
