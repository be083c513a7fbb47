"""CSV parts without the rows of some records; of all other rows not a byte is another, but in cells
that refer to them, if those are to go.

A part is not parsed: what may tell of them is searched for in its text, and the rows around it are
looked at. That is about as fast as unpacking it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from hubspot_assets.export.parts import packed, unpacked
from hubspot_assets.forget.people import People
from hubspot_assets.forget.references import References
from hubspot_assets.tables.people import RecordColumn, Standing

#: From so many ids on they are looked up one by one, as they stand, rather than searched for.
_MANY = 30
#: Bytes of text that are looked at together: that of a part may be hundreds of megabytes.
BLOCK = 1 << 23
_NUMBER = re.compile(rb"(?<=[,\n])[0-9]+(?=,)")
_FIELD = re.compile(rb'(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))')
_LEADING = re.compile(rb"([^,\n]+),([0-9]+),")
_DIGITS = re.compile(rb"[0-9]+")
_TO_BE_QUOTED = re.compile(rb'[,"\r\n]')


class Left(NamedTuple):
    """A file without some people: how many rows went, and how many cells are others."""

    data: bytes
    rows_out: int
    cells: int


class Edit(NamedTuple):
    """Where in a text another stands, and which."""

    start: int
    end: int
    new: bytes


class CsvParts:
    """Parts of gzip CSV."""

    suffix = ".csv.gz"

    def columns(self, data: bytes) -> list[str]:
        """The names of a part's columns."""
        return pl.read_csv(io.BytesIO(data), n_rows=0, infer_schema=False).columns

    def rows(self, data: bytes) -> int:
        """How many rows a part has."""
        return pl.read_csv(io.BytesIO(data), columns=[0], infer_schema=False).height

    def first_record(self, beginning: bytes) -> tuple[str, int] | None:
        """The type and id that the first row begins with, None if they are not there to see."""
        text = next(unpacked(beginning, BLOCK))
        start = text.find(b"\n") + 1
        found = _LEADING.match(text, start) if start else None
        return (found[1].decode(), int(found[2])) if found else None

    def without(
        self, data: bytes, at: Standing, people: People, references: References
    ) -> Left | None:
        """The part without the rows of `people`, and in others without `references`.

        None if there are none. Raises ValueError for what is no part.
        """
        edits: list[list[Edit]] = []
        rows = cells = 0
        for text in _blocks(data):
            spans = spans_of(text, at, people)
            of_cells = list(_redacted(text, at, references, {start for start, _ in spans}))
            edits.append(sorted([*(Edit(*span, b"") for span in spans), *of_cells]))
            rows, cells = rows + len(spans), cells + len(of_cells)
        return Left(packed(_edited(data, edits)), rows, cells) if rows or cells else None


def _blocks(data: bytes) -> Iterator[bytes]:
    """The text of a part in blocks of whole rows, each behind the header."""
    header = rest = b""
    for more in unpacked(data, BLOCK):
        text = header + rest + more
        header = header or text[: text.find(b"\n") + 1]
        end = _start_of_row(text, len(text), len(header)) if header else 0
        if end > len(header):
            yield text[:end]
        rest = text[max(end, len(header)) :]
    if rest:
        yield header + rest


def _edited(data: bytes, edits: Sequence[Sequence[Edit]]) -> Iterator[bytes | memoryview]:
    """The text of a part with those edits of each of its blocks."""
    for number, (text, of_block) in enumerate(zip(_blocks(data), edits, strict=True)):
        kept = text.find(b"\n") + 1 if number else 0
        for start, end, new in of_block:
            yield memoryview(text)[kept:start]
            yield new
            kept = end
        yield memoryview(text)[kept:]


def spans_of(text: bytes, at: Standing, people: People) -> list[tuple[int, int]]:
    """Where in `text`, a header and rows, the rows of `people` begin and end, in order."""
    few = people.number <= _MANY
    found = _leading(text, people) if at.leading and few else None
    return list(_anywhere(text, at, people)) if found is None else found


def _leading(text: bytes, people: People) -> list[tuple[int, int]] | None:
    """The spans of rows that begin with a type and id of theirs; None where the order is another.

    Each is searched for from where the one before it was found: one pass finds them all.
    """
    spans: list[tuple[int, int]] = []
    rows_to = text.find(b"\n") + 1
    for type_id in sorted(people.ids):
        for record_id in sorted(people.ids[type_id]):
            prefix = f"{type_id},{record_id},".encode()
            start = text.find(b"\n" + prefix, rows_to - 1) + 1
            if not start:
                continue
            if text.count(b'"', rows_to, start) % 2:
                return None  # it is in the middle of a value
            rows_to = start
            while text.startswith(prefix, rows_to):
                end = _end_of_row(text, rows_to)
                spans.append((rows_to, end))
                rows_to = end
    return spans


def _anywhere(text: bytes, at: Standing, people: People) -> Iterator[tuple[int, int]]:
    """The spans of rows that hold a record or an address of theirs in a column that tells so."""
    for start, end in _rows_at(text, _places(text, at, people)):
        if _is_theirs(_fields(text[start:end]), at, people):
            yield start, end


def _rows_at(text: bytes, places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where the rows begin and end that stand at some places, which are in order; each once."""
    known = text.find(b"\n") + 1  # where a row begins
    for position in places:
        if position >= known:
            start = _start_of_row(text, position, known)
            known = _end_of_row(text, start)
            yield start, known


def _places(text: bytes, at: Standing, people: People) -> list[int]:
    """Where an id or an address of theirs may stand, in order; some that are none of theirs."""
    ids = {each for column in at.records for each in _ids_of(column, people)}
    places: set[int] = set()
    if len(ids) > _MANY:
        places.update(each.start() for each in _NUMBER.finditer(text) if int(each[0]) in ids)
    else:
        for each in ids:
            places.update(_all(text, b",%d," % each))
            places.update(place + 1 for place in _all(text, b"\n%d," % each))
    if at.addresses and people.emails:
        lower = text.lower()
        for address in people.emails:
            places.update(_all(lower, address.encode()))
    return sorted(places)


def _ids_of(column: RecordColumn, people: People) -> Iterable[int]:
    types = people.ids if column.type is not None else column.object_type_ids
    return (each for of in types for each in people.ids.get(of, ()))


def _redacted(
    text: bytes, at: Standing, references: References, gone: Collection[int]
) -> Iterator[Edit]:
    """The cells that are others without `references`, but for those of rows that are `gone`."""
    places = _places_of(text, at, references) if references else []
    starts, rows = [], []
    for start, end in _rows_at(text, places):
        if start not in gone:
            starts.append(start)
            rows.append(list(_FIELD.finditer(text[start:end].removesuffix(b"\n"))))
    if not rows:
        return
    header = _fields(text[: text.find(b"\n") + 1])
    frame = pl.DataFrame(
        [[_told(field) for field in row] for row in rows],
        schema=dict.fromkeys(header, pl.String),
        orient="row",
    )
    left = references.redacted(frame, at.texts).frame
    for number, name in enumerate(header):
        for row in frame[name].ne_missing(left[name]).arg_true():
            field = rows[row][number]
            start = starts[row] + field.start() + field[0].startswith(b",")
            yield Edit(start, starts[row] + field.end(), _field(left[name][row]))


def _places_of(text: bytes, at: Standing, references: References) -> list[int]:
    """Where what refers to them may stand, in order; some that is another's."""
    places: set[int] = set()
    lower = text.lower()
    for needle in references.needles:
        places.update(_all(lower, needle.encode().lower().replace(b'"', b'""')))
    if any(map(references.may_be_ids, at.texts)):
        ids = {each.encode() for each in references.ids}
        if len(ids) > _MANY:
            places.update(each.start() for each in _DIGITS.finditer(text) if each[0] in ids)
        else:
            for each in ids:
                places.update(_all(text, each))
    return sorted(places)


def _all(text: bytes, sought: bytes) -> Iterator[int]:
    place = text.find(sought)
    while place >= 0:
        yield place
        place = text.find(sought, place + 1)


def _start_of_row(text: bytes, position: int, known: int) -> int:
    """Where the row of a position begins; a line break within quotes begins none."""
    start = text.rfind(b"\n", known - 1, position) + 1
    odd = text.count(b'"', known, start) % 2
    while odd:
        before = text.rfind(b"\n", known - 1, start - 1) + 1
        odd ^= text.count(b'"', before, start) % 2
        start = before
    return start


def _end_of_row(text: bytes, start: int) -> int:
    end = text.find(b"\n", start) + 1 or len(text)
    odd = text.count(b'"', start, end) % 2
    while odd and end < len(text):
        further = text.find(b"\n", end) + 1 or len(text)
        odd ^= text.count(b'"', end, further) % 2
        end = further
    return end


def _fields(row: bytes) -> list[str]:
    """The fields of a row; NULL and the empty string are alike."""
    return [_told(each) or "" for each in _FIELD.finditer(row.removesuffix(b"\n"))]


def _told(field: re.Match[bytes]) -> str | None:
    """What a field says, None where it is NULL."""
    if field[1] is not None:
        return field[1].replace(b'""', b'"').decode()
    return field[2].decode() or None


def _field(told: str | None) -> bytes:
    """A field as the export writes it."""
    if told is None:
        return b""
    text = told.encode()
    quoted = not text or _TO_BE_QUOTED.search(text)
    return b'"' + text.replace(b'"', b'""') + b'"' if quoted else text


def _is_theirs(fields: Sequence[str], at: Standing, people: People) -> bool:
    for column in at.records:
        types = (fields[column.type],) if column.type is not None else column.object_type_ids
        told = fields[column.id]
        if told.isdecimal() and any(int(told) in people.ids.get(of, ()) for of in types):
            return True
    return any(fields[number].strip().lower() in people.emails for number in at.addresses)
