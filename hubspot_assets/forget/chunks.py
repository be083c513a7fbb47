"""Takes people, and what refers to them, out of what was read.

A complete reading is otherwise never changed: its note says that this one was. Each file is
replaced whole, in an order in which who goes on after an interruption finds what is left.
A reading that is not complete and holds some of them is given up: it is made anew.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
import polars as pl

from hubspot_assets.forget.days import Run
from hubspot_assets.forget.people import People
from hubspot_assets.forget.references import References
from hubspot_assets.readings.merging import StoredChunk
from hubspot_assets.readings.people import without
from hubspot_assets.readings.reading import CHECKPOINT, NOTE, READINGS, Name, write_temporary
from hubspot_assets.sources.fates import ERASED
from hubspot_assets.storage import Store
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.people import TextColumn

#: Families of sources that tell of records.
_FAMILIES = {
    "objects", "associations", "list_memberships", "events", "email_events", "email_contacts",
}  # fmt: skip
#: Families of short lists, as JSON.
_SHORT = {"owners", "user_teams", "team_tree", "lists", "pipelines"}
#: The frame of a chunk by which it is found that it holds them: that one goes last, or who was
#: broken off would not find the others any more. Where there is none each frame is found by itself.
_FINDING = {"objects": "records", "events": "events", "email_events": "values"}
_OF_RECORDS = {"records", "values"}
_ITEM = "item"
#: The columns of texts, by frame.
_TEXTS = {
    "items": [TextColumn(_ITEM)],
    "values": [
        TextColumn("value", named_by="name"),
        TextColumn("sourceId"),
        TextColumn("sourceLabel"),
    ],
}
_FILE = re.compile(r"(\d{5})\.(\w+)\.parquet")


class Stored(NamedTuple):
    """A reading in the state: its source, its folder and the frames of each of its chunks.

    The files of chunks of records that lack a frame, as who put them was broken off, are `torn`.
    """

    source: str
    folder: str
    complete: bool
    chunks: Mapping[int, tuple[str, ...]]
    files: tuple[str, ...]
    torn: tuple[str, ...]

    @property
    def type_id(self) -> str:
        """The type whose records it holds, "" if it holds none."""
        family, _, rest = self.source.partition("/")
        return rest if family == "objects" else ""

    def read(self, state: Store, chunk: int, frame: str, *columns: str) -> pl.DataFrame:
        """A frame of a chunk, or some of its columns. Raises StoreError."""
        stored = StoredChunk(state, f"{self.folder}/{chunk:05d}")
        return stored.read(frame, list(columns) or None)


def stored_readings(state: Store, families: Collection[str] = _FAMILIES) -> Iterator[Stored]:
    """All readings of families of sources, complete or not. Raises StoreError."""
    readings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in state.list(READINGS):
        _, *source, name, file = entry.path.split("/")
        if source[0] in families and Name.told(name):
            readings["/".join(source), name].append(file)
    for (of, name), files in readings.items():
        found = [each for file in sorted(files) if (each := _FILE.fullmatch(file))]
        chunks: dict[int, tuple[str, ...]] = {}
        for each in found:
            chunks[int(each[1])] = (*chunks.get(int(each[1]), ()), each[2])
        needed = _OF_RECORDS if of.startswith("objects/") else set()
        whole = {number: frames for number, frames in chunks.items() if needed <= set(frames)}
        torn = tuple(each[0] for each in found if int(each[1]) not in whole)
        yield Stored(of, f"{READINGS}/{of}/{name}", NOTE in files, whole, tuple(files), torn)


def erased(state: Store) -> Iterator[tuple[str, int]]:
    """The type and id of each record that some reading has found erased. Raises StoreError."""
    for reading in stored_readings(state):
        for number in reading.chunks if reading.type_id and reading.complete else ():
            records = reading.read(state, number, "records", "id", "gone")
            for each in records.filter(pl.col("gone") == ERASED)["id"]:
                yield reading.type_id, each


@dataclass(frozen=True, slots=True)
class ReadingsRewritten:
    """How many readings held some of them, how many rows went, how many cells of others are
    redacted, and how many files were put.

    `references` counts the records of others, and other things, that refer to them still, by source
    and property.
    """

    readings: int = 0
    rows: int = 0
    cells: int = 0
    files: int = 0
    given_up: int = 0
    references: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        cells = f", {self.cells:,} cells of others redacted" if self.cells else ""
        more = f", {self.given_up:,} unfinished ones given up" if self.given_up else ""
        rows = f"{self.rows:,} rows of {self.readings:,}"
        return f"readings: {rows}, {self.files:,} files{cells}{more}"


def take_out(
    state: Store, people: People, redacted: References, mentioned: References, run: Run
) -> ReadingsRewritten:
    """Rewrites the readings that hold some of the `people`, or what is to be `redacted`; and finds
    where they are `mentioned` still. Raises StoreError."""
    counts: Counter[str] = Counter()
    mentions: dict[str, set[object]] = defaultdict(set)
    for reading in stored_readings(state, {*_FAMILIES, *_SHORT}):
        held = False
        told: list[tuple[str, object]] = []
        for number in reading.chunks:
            chunk = _left(state, reading, number, people, redacted)
            told += _mentions(reading, chunk.frames, mentioned)
            if chunk.changed and reading.complete:
                if not held:
                    _mark(state, reading, run)
                _put(state, reading, number, chunk)
                counts.update(rows=chunk.rows, cells=chunk.cells, files=len(chunk.changed))
            held = held or bool(chunk.changed)
        if reading.complete:
            counts["readings"] += held
            if reading.torn:  # which it does not count on
                state.delete(f"{reading.folder}/{file}" for file in reading.torn)
        elif held or reading.torn or _is_told_by_checkpoint(state, reading, people):
            counts["given_up"] += 1
            # The checkpoint goes first, as nobody can go on without it.
            paths = sorted(reading.files, key=lambda file: file != CHECKPOINT)
            state.delete(f"{reading.folder}/{file}" for file in paths)
            continue
        for label, key in told:
            mentions[label].add(key)
    references = {label: len(keys) for label, keys in sorted(mentions.items())}
    return ReadingsRewritten(**counts, references=references)


class _Chunk(NamedTuple):
    """The frames of a chunk as they are to be, which of them are others for it, how many rows that
    takes, and how many cells it redacts."""

    frames: Mapping[str, pl.DataFrame]
    changed: Collection[str]
    rows: int
    cells: int


def _left(
    state: Store, reading: Stored, number: int, people: People, redacted: References
) -> _Chunk:
    frames = {name: reading.read(state, number, name) for name in reading.chunks[number]}
    left, rows = without(reading.source, frames, people)
    changed = {name for name, each in left.items() if each.height < frames[name].height}
    cells = 0
    for name, text in _texts(left):
        new = redacted.without(left[name], text, pl.lit(reading.type_id))
        if new is not None:
            cells += int(left[name][text.column].ne_missing(new).sum())
            left[name] = left[name].with_columns(new)
            changed.add(name)
    return _Chunk(left, changed, rows, cells)


def _put(state: Store, reading: Stored, number: int, chunk: _Chunk) -> None:
    finding = _FINDING.get(reading.source.partition("/")[0])
    with temporary_folder() as folder:
        for name in sorted(chunk.changed, key=lambda name: (name == finding, name)):
            file = folder / f"{name}.parquet"
            write_temporary(chunk.frames[name], file)
            state.put(f"{reading.folder}/{number:05d}.{name}.parquet", file)


def _texts(frames: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, TextColumn]]:
    """The texts of a chunk, each with the frame that it is in."""
    for name, columns in _TEXTS.items():
        if name in frames:
            yield from ((name, each) for each in columns if each.column in frames[name].columns)


def _mentions(
    reading: Stored, frames: Mapping[str, pl.DataFrame], mentioned: References
) -> Iterator[tuple[str, object]]:
    """What of the frames mentions them: the source, with the property where there is one, and what
    tells one record or thing from another."""
    for name, text in _texts(frames):
        frame = frames[name]
        new = mentioned.without(frame, text, pl.lit(reading.type_id))
        if new is None:
            continue
        mentioning = frame.filter(frame[text.column].ne_missing(new))
        if text.column == _ITEM:
            yield from ((reading.source, each) for each in mentioning[_ITEM])
        else:
            key = "id" if "id" in frame.columns else "event"
            for of, each in mentioning.select("name", key).unique().iter_rows():
                yield f"{reading.source} {of}", each


def _is_told_by_checkpoint(state: Store, reading: Stored, people: People) -> bool:
    if CHECKPOINT not in reading.files:
        return False
    text = state.get(f"{reading.folder}/{CHECKPOINT}").decode()
    ids = people.of_type(reading.type_id) if reading.type_id else frozenset()
    return any(int(each) in ids for each in re.findall("[0-9]+", text))


def _mark(state: Store, reading: Stored, run: Run) -> None:
    """Has the note of a reading say that something was taken out of it."""
    path = f"{reading.folder}/{NOTE}"
    note = orjson.loads(state.get(path))
    mark = {"at": run.at, "run": run.run}
    if mark not in (marks := note.setdefault("forgotten", [])):
        marks.append(mark)
        state.put(path, orjson.dumps(note, option=orjson.OPT_INDENT_2))
