"""Finds people in what was read, and takes them out of it.

A complete reading is otherwise never changed: its note says that this one was. Each file is
replaced whole, in an order in which who goes on after an interruption finds what is left.
A reading that is not complete and holds some of them is given up: it is made anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import polars as pl

from hubspot_assets.forget.days import Run
from hubspot_assets.forget.people import CONTACTS, People
from hubspot_assets.readings.merging import StoredChunk
from hubspot_assets.readings.people import addresses_in, without
from hubspot_assets.readings.reading import CHECKPOINT, NOTE, READINGS, Name, write_temporary
from hubspot_assets.sources.fates import ERASED, MERGED_IDS
from hubspot_assets.storage import Store
from hubspot_assets.storage.temporary import temporary_folder

#: Families of sources that tell of records.
_FAMILIES = {
    "objects", "associations", "list_memberships", "events", "email_events", "email_contacts",
}  # fmt: skip
#: Families of short lists, as JSON.
_SHORT = {"owners", "user_teams", "team_tree", "lists", "pipelines"}
#: What is found by the first frame's ids: that one goes last, or who was broken off would not find
#: the values any more. E-mail events are found by their values, even without the event.
_FOUND_BY_ID = ("objects/", "events/")
_OF_RECORDS = {"records", "values"}
#: Properties whose names end so hold ids.
_OF_IDS = "_ids?$"
_ADDRESSES = ("email", "hs_additional_emails")
_NAMES = ("firstname", "lastname")
_SUBMISSIONS = "0-15"
_FILLED_IN = f"associations/{CONTACTS}_{_SUBMISSIONS}"
#: An id has fewer digits.
_LONG = 19
_FILE = re.compile(r"(\d{5})\.(\w+)\.parquet")


class Stored(NamedTuple):
    """A reading in the state: its source, its folder and the frames of each of its chunks.

    It is `torn` where a chunk of records lacks a frame, as whoever put it was broken off.
    """

    source: str
    folder: str
    complete: bool
    chunks: Mapping[int, tuple[str, ...]]
    files: tuple[str, ...]
    torn: bool

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
        chunks: dict[int, tuple[str, ...]] = {}
        for file in sorted(files):
            if found := _FILE.fullmatch(file):
                number = int(found[1])
                chunks[number] = (*chunks.get(number, ()), found[2])
        needed = _OF_RECORDS if of.startswith("objects/") else set()
        whole = {number: frames for number, frames in chunks.items() if needed <= set(frames)}
        folder, torn = f"{READINGS}/{of}/{name}", len(whole) < len(chunks)
        yield Stored(of, folder, NOTE in files, whole, tuple(files), torn)


def erased(state: Store) -> Iterator[tuple[str, int]]:
    """The type and id of each record that some reading has found erased. Raises StoreError."""
    for reading in stored_readings(state):
        for number in reading.chunks if reading.type_id and reading.complete else ():
            records = reading.read(state, number, "records", "id", "gone")
            for each in records.filter(pl.col("gone") == ERASED)["id"]:
                yield reading.type_id, each


@dataclass(frozen=True, slots=True)
class Known:
    """Some people, with all that readings tell to be theirs, and what else readings tell of them.

    `seen` are those of the records that were found there; `names` stand in texts of others, and so
    may `shared` addresses, which another contact has, too.
    """

    people: People
    seen: frozenset[tuple[str, int]]
    names: frozenset[str]
    shared: frozenset[str]

    def unseen(self, asked: People) -> int:
        """How many of the records that were `asked` for no reading tells of."""
        unseen = {type_id: {*ids} - self._seen_of(type_id) for type_id, ids in asked.ids.items()}
        return People({of: frozenset(ids) for of, ids in unseen.items()}).number

    def _seen_of(self, type_id: str) -> set[int]:
        return {each for of, each in self.seen if of == type_id}


def known_of(state: Store, asked: People) -> Known:
    """The people that are `asked` for: with contacts that have one of their addresses, records that
    were merged into theirs, all addresses of their contacts, and submissions of forms.

    Raises StoreError.
    """
    found = _Found(asked)
    readings = [each for each in stored_readings(state) if each.type_id]
    while True:
        before = found.people
        for reading in readings:
            if found.people.of_type(reading.type_id) or reading.type_id == CONTACTS:
                for number in reading.chunks:
                    found.look(state, reading, number)
        if found.people == before:
            break
    contacts = [each for each in readings if each.type_id == CONTACTS]
    shared = _shared(state, contacts, found.told - asked.emails, found.people)
    people = found.people | People.told((), found.told - shared)
    submissions = set(_submissions(state, people))
    seen = frozenset({*found.seen, *submissions})
    return Known(people | People.told(submissions), seen, frozenset(found.names), frozenset(shared))


class _Found:
    """What was found by now of the people that are asked for."""

    def __init__(self, asked: People) -> None:
        self.people = asked
        self.told: set[str] = set()
        self.seen: set[tuple[str, int]] = set()
        self.names: set[str] = set()
        self._emails = list(asked.emails)

    def look(self, state: Store, reading: Stored, number: int) -> None:
        """Looks into a chunk of records."""
        type_id = reading.type_id
        records = reading.read(state, number, "records", "id", "mergedInto")
        ids = pl.concat(
            records["id"].filter(self.people.records(type_id, records[column]))
            for column in ("id", "mergedInto")
        )
        by_address = type_id == CONTACTS and self._emails
        if ids.is_empty() and not by_address:
            return
        values = reading.read(state, number, "values", "id", "name", "value")
        if by_address:
            present = _present_addresses(values)
            ids = pl.concat([ids, present.filter(pl.col("address").is_in(self._emails))["id"]])
        mine = values.filter(pl.col("id").is_in(ids.implode()))
        merged = mine.filter(pl.col("name") == MERGED_IDS)["value"].str.extract_all("[0-9]+")
        others = [int(each) for each in merged.explode().drop_nulls() if len(each) < _LONG]
        self.people |= People.told((type_id, each) for each in [*ids, *others])
        self.seen.update((type_id, each) for each in ids)
        self.names.update(_full_names(mine))
        if type_id == CONTACTS:
            addresses = addresses_in(mine.filter(pl.col("name").is_in(_ADDRESSES)), "value")
            self.told.update(addresses["address"])


def _present_addresses(values: pl.DataFrame) -> pl.DataFrame:
    """The `id` and the `address` of contacts, of each property the value that was told last."""
    last = values.filter(pl.col("name").is_in(_ADDRESSES)).unique(
        ["id", "name"], keep="last", maintain_order=True
    )
    return addresses_in(last, "value").select("id", "address")


def _shared(
    state: Store, contacts: Iterable[Stored], addresses: Collection[str], people: People
) -> set[str]:
    """Those of the `addresses` that another contact has."""
    shared: set[str] = set()
    if not addresses:
        return shared
    for reading in contacts:
        for number in reading.chunks:
            values = reading.read(state, number, "values", "id", "name", "value")
            present = _present_addresses(values)
            others = present.filter(~people.records(CONTACTS, present["id"]))
            shared |= set(others["address"]) & set(addresses)
    return shared


def _submissions(state: Store, people: People) -> Iterator[tuple[str, int]]:
    """Submissions that hold an address of theirs, or that are linked to a contact of theirs."""
    for reading in stored_readings(state):
        for number in reading.chunks:
            if reading.type_id == _SUBMISSIONS and people.emails:
                frames = {
                    "records": reading.read(
                        state, number, "records", "id", "mergedInto", "createdAt"
                    ),
                    "values": reading.read(state, number, "values", "id", "name", "value"),
                }
                left, _ = without(reading.source, frames, people)
                for each in set(frames["records"]["id"]) - set(left["records"]["id"]):
                    yield _SUBMISSIONS, each
            elif reading.source == _FILLED_IN:
                links = reading.read(state, number, "forward", "fromId", "toId")
                for each in links["toId"].filter(people.records(CONTACTS, links["fromId"])):
                    yield _SUBMISSIONS, each


def _full_names(values: pl.DataFrame) -> Iterator[str]:
    """First and last names as they stand together in texts."""
    present = values.filter(pl.col("name").is_in(_NAMES) & (pl.col("value") != ""))
    for _, of in present.group_by("id"):
        first, last = (of.filter(pl.col("name") == name)["value"].unique() for name in _NAMES)
        yield from (f"{one} {other}" for one in first for other in last)


@dataclass(frozen=True, slots=True)
class ReadingsRewritten:
    """How many readings held some of them, how many rows went, and how many files were put."""

    readings: int
    rows: int
    files: int
    given_up: int

    def __str__(self) -> str:
        more = f", {self.given_up:,} unfinished ones given up" if self.given_up else ""
        return f"readings: {self.rows:,} rows of {self.readings:,}, {self.files:,} files{more}"


def take_out(state: Store, people: People, run: Run) -> ReadingsRewritten:
    """Rewrites the readings that hold some of the `people`. Raises StoreError."""
    readings = rows = files = given_up = 0
    for reading in stored_readings(state):
        told = [
            (number, found)
            for number in reading.chunks
            if (found := _theirs(state, reading, number, people))
        ]
        if not reading.complete:
            if told or reading.torn or _is_told_by_checkpoint(state, reading, people):
                given_up += 1
                # The checkpoint goes first, as nobody can go on without it.
                paths = sorted(reading.files, key=lambda file: file != CHECKPOINT)
                state.delete(f"{reading.folder}/{file}" for file in paths)
            continue
        if not told:
            continue
        readings += 1
        _mark(state, reading, run)
        for number, (left, out) in told:
            rows += out
            with temporary_folder() as folder:
                for name in sorted(left, reverse=reading.source.startswith(_FOUND_BY_ID)):
                    file = folder / f"{name}.parquet"
                    write_temporary(left[name], file)
                    state.put(f"{reading.folder}/{number:05d}.{name}.parquet", file)
                    files += 1
    return ReadingsRewritten(readings, rows, files, given_up)


def _theirs(
    state: Store, reading: Stored, number: int, people: People
) -> tuple[dict[str, pl.DataFrame], int] | None:
    """The frames of a chunk that are others without them, and how many rows that takes."""
    if reading.type_id:
        records = reading.read(state, number, "records", "id", "mergedInto")
        is_theirs = [people.records(reading.type_id, records[each]) for each in records.columns]
        if not any(each.any() for each in is_theirs):
            return None
    frames = {name: reading.read(state, number, name) for name in reading.chunks[number]}
    left, rows = without(reading.source, frames, people)
    changed = {name: each for name, each in left.items() if each.height < frames[name].height}
    return (changed, rows) if changed else None


def _is_told_by_checkpoint(state: Store, reading: Stored, people: People) -> bool:
    if CHECKPOINT not in reading.files:
        return False
    text = state.get(f"{reading.folder}/{CHECKPOINT}").decode()
    ids = people.of_type(reading.type_id) if reading.type_id else frozenset()
    return any(int(each) in ids for each in re.findall("[0-9]+", text))


def references(state: Store, known: Known) -> dict[str, int]:
    """How many records of others, and other things, refer to the people, by source and property.

    They name an address or a full name of theirs, or a property that holds ids of records has one
    of theirs. Raises StoreError.
    """
    texts = {*known.people.emails, *known.shared, *known.names}
    found: dict[str, set[object]] = defaultdict(set)
    for reading in stored_readings(state, {*_FAMILIES, *_SHORT}) if texts or known.people else ():
        for number, names in reading.chunks.items():
            frames = {name: reading.read(state, number, name) for name in names}
            left, _ = without(reading.source, frames, known.people)
            for label, key in _mentions(reading.source, left, sorted(texts), known.people):
                found[label].add(key)
    return {label: len(keys) for label, keys in sorted(found.items())}


def _mentions(
    source: str, frames: Mapping[str, pl.DataFrame], texts: list[str], people: People
) -> Iterator[tuple[str, object]]:
    """What of the frames mentions them: the source, with the property where there is one, and what
    tells one record or thing from another."""
    if "items" in frames:
        for item in _holding(frames["items"], "item", texts)["item"]:
            yield source, item
    if "values" in frames:
        values = frames["values"]
        key = "id" if "id" in values.columns else "event"
        told = values.filter(pl.col("name").str.contains(_OF_IDS)).with_columns(
            other=pl.col("value").str.extract_all("[0-9]+")
        )
        others = told.explode("other").drop_nulls("other").cast({"other": pl.Int64}, strict=False)
        every = pl.Series([each for ids in people.ids.values() for each in ids], dtype=pl.Int64)
        by_id = others.filter(pl.col("other").is_in(every.implode()))
        for of in (_holding(values, "value", texts), by_id):
            for name, each in of.select("name", key).unique().iter_rows():
                yield f"{source} {name}", each


def _holding(frame: pl.DataFrame, column: str, texts: list[str]) -> pl.DataFrame:
    if not texts:
        return frame.clear()
    return frame.filter(pl.col(column).str.contains_any(texts, ascii_case_insensitive=True))


def _mark(state: Store, reading: Stored, run: Run) -> None:
    """Has the note of a reading say that something was taken out of it."""
    path = f"{reading.folder}/{NOTE}"
    note = orjson.loads(state.get(path))
    mark = {"at": run.at, "run": run.run}
    if mark not in (marks := note.setdefault("forgotten", [])):
        marks.append(mark)
        state.put(path, orjson.dumps(note, option=orjson.OPT_INDENT_2))
