"""CSV parts without the rows of some records; of all other rows not a byte is another.

A part is not parsed: what may tell of them is searched for in its text, and the rows around it are
looked at. That is about as fast as unpacking it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from hubspot_assets.export.parts import packed, unpacked
from hubspot_assets.forget.people import People
from hubspot_assets.tables.people import RecordColumn, Standing

#: From so many ids on they are looked up one by one, as they stand, rather than searched for.
_MANY = 30
_NUMBER = re.compile(rb"(?<=[,\n])[0-9]+(?=,)")
_FIELD = re.compile(rb'(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))')
_LEADING = re.compile(rb"([^,\n]+),([0-9]+),")


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
        text = unpacked(beginning, part=True)
        start = text.find(b"\n") + 1
        found = _LEADING.match(text, start) if start else None
        return (found[1].decode(), int(found[2])) if found else None

    def without(self, data: bytes, at: Standing, people: People) -> tuple[bytes, int] | None:
        """The part without the rows of `people`, and how many those were; None if there are none.

        Raises ValueError for what is no part.
        """
        text = unpacked(data)
        spans = spans_of(text, at, people)
        if not spans:
            return None
        pieces: list[bytes | memoryview] = []
        kept = 0
        for start, end in spans:
            pieces.append(memoryview(text)[kept:start])
            kept = end
        return packed([*pieces, memoryview(text)[kept:]]), len(spans)


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
    known = text.find(b"\n") + 1  # where a row begins
    for position in _places(text, at, people):
        if position < known:
            continue
        start = _start_of_row(text, position, known)
        known = _end_of_row(text, start)
        if _is_theirs(_fields(text[start:known]), at, people):
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
    found = _FIELD.finditer(row.removesuffix(b"\n"))
    return [
        (each[1].replace(b'""', b'"') if each[1] is not None else each[2]).decode()
        for each in found
    ]


def _is_theirs(fields: Sequence[str], at: Standing, people: People) -> bool:
    for column in at.records:
        types = (fields[column.type],) if column.type is not None else column.object_type_ids
        told = fields[column.id]
        if told.isdecimal() and any(int(told) in people.ids.get(of, ()) for of in types):
            return True
    return any(fields[number].strip().lower() in people.emails for number in at.addresses)
