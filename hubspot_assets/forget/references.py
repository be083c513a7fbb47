"""What others' rows say of people: finds it in texts and in lists of ids, and takes it out.

An address or a name of theirs becomes `MARK` where it stands in a text. An id of theirs goes from
the lists of ids that are known to be of its type, as `hs_merged_object_ids`; a list of which none
is left is empty, and a property so unset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets import json_text
from hubspot_assets.forget.people import CONTACTS, People
from hubspot_assets.sources.fates import MERGED_IDS
from hubspot_assets.tables.people import OBJECT_TYPE, TextColumn

MARK = "[forgotten]"
#: Lists of ids of contacts, whose entries may tell a moment besides, as `151:1763766000000`.
_OF_CONTACTS = {"hs_calculated_merged_vids", "hs_all_contact_vids"}
#: Properties of ids are called so.
_OF_IDS = r"(?i)(^|_)v?ids?$"
_ENTRY = re.compile(r"\s*([0-9]+)(?:\.0+)?\s*(?::.*)?")
#: A name or an address begins behind what is none of it, or behind an escape of JSON.
_BEFORE, _AFTER = r"(?:(?<!\w)|(?<=\\[nrt]))", r"(?!\w)"
_BEFORE_ADDRESS, _AFTER_ADDRESS = r"(?:(?<![\w.+%-])|(?<=\\[nrt]))", r"(?![\w-]|\.\w)"


class Redacted(NamedTuple):
    """A frame without what refers to some people, and how many cells are others for it."""

    frame: pl.DataFrame
    cells: int


class References:
    """What refers to `people`: `texts`, which are their addresses and names, and their ids."""

    def __init__(self, people: People = People(), texts: Iterable[str] = ()) -> None:  # noqa: B008
        self.people = people
        self.texts = frozenset(texts)
        #: All ways to write the texts but for upper and lower case in ASCII.
        self.needles = sorted({form for each in self.texts for form in _forms(each)})
        #: The ids as text.
        self.ids = sorted({str(each) for ids in people.ids.values() for each in ids})
        longest_first = sorted(self.needles, key=len, reverse=True)
        pattern = "|".join(map(_bounded, longest_first))
        self._pattern = re.compile(pattern, re.IGNORECASE) if pattern else None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> References:
        """As `to_json` gives it."""
        return cls(People.from_json(told["people"]), told["texts"])

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {"people": self.people.to_json(), "texts": sorted(self.texts)}

    def __or__(self, other: References) -> References:
        return References(self.people | other.people, self.texts | other.texts)

    def __bool__(self) -> bool:
        return bool(self.people or self.texts)

    def redacted(self, frame: pl.DataFrame, texts: Sequence[TextColumn]) -> Redacted:
        """The rows of a table without what refers to them in these columns."""
        typed = OBJECT_TYPE in frame.columns
        of_type = pl.col(OBJECT_TYPE) if typed else pl.lit("")
        new = [each for text in texts if (each := self.without(frame, text, of_type)) is not None]
        cells = sum(int(frame[each.name].ne_missing(each).sum()) for each in new)
        return Redacted(frame.with_columns(new), cells)

    def without(self, frame: pl.DataFrame, text: TextColumn, of_type: pl.Expr) -> pl.Series | None:
        """A column without what refers to them; None where nothing does. The rows are of records
        `of_type`, by id."""
        column = frame[text.column]
        is_text = column.dtype == pl.String
        if not is_text and not (column.dtype.is_numeric() and self.may_be_ids(text)):
            return None
        name = pl.col(text.named_by) if text.named_by else pl.lit(text.property)
        cells = frame.select(value=column.cast(pl.String), name=name, type=of_type)
        rows = cells.select(self._may_refer(text)).to_series().arg_true()
        old = cells["value"].gather(rows)
        new = pl.Series(
            [self._told(text, *cell) for cell in cells[rows].iter_rows()], dtype=pl.String
        )
        changed = old.ne_missing(new)
        if not changed.any():
            return None
        values = new.filter(changed)
        if text.property:
            values = values.replace("", None)
        return column.clone().scatter(rows.filter(changed), values.cast(column.dtype, strict=False))

    def may_be_ids(self, text: TextColumn) -> bool:
        """Whether a column may hold ids that refer to records."""
        return bool(text.named_by or text.is_object or re.search(_OF_IDS, text.property))

    def _may_refer(self, text: TextColumn) -> pl.Expr:
        value, none = pl.col("value"), pl.lit(value=False)
        named = value.str.contains_any(self.needles, ascii_case_insensitive=True)
        numbered = value.str.contains_any(self.ids)
        if not text.is_object:
            numbered &= pl.col("name").str.contains(_OF_IDS)
        found = (named if self.needles else none) | (numbered if self.ids else none)
        return found.fill_null(value=False)

    def _told(self, text: TextColumn, value: str, name: str | None, of_type: str | None) -> str:
        told = json_text.parsed(value) if text.is_object else None
        if not isinstance(told, dict):
            return self._value(value, name or "", of_type or "")
        left = {each: self._value(of, each, of_type or "") for each, of in told.items()}
        if left == told:
            return value
        return json_text.told({each: of for each, of in left.items() if of or not told[each]})

    def _value(self, value: str, name: str, of_type: str) -> str:
        if ids := self._ids_in(name.lower(), of_type):
            entries = value.split(";")
            value = ";".join(each for each in entries if not _is_one_of(ids, each))
        return self._pattern.sub(MARK, value) if self._pattern else value

    def _ids_in(self, name: str, of_type: str) -> frozenset[int]:
        """Those of their ids that may stand in a property of records of a type."""
        if name == MERGED_IDS:
            return self.people.of_type(of_type)
        if name in _OF_CONTACTS:
            return self.people.of_type(CONTACTS)
        found = (
            self.people.ids.get(type_id, frozenset())
            for type_id, names in self.people.type_names.items()
            for each in names
            if re.search(rf"(?:^|_){re.escape(each.lower())}_ids?$", name)
        )
        return frozenset().union(*found)


def _is_one_of(ids: frozenset[int], entry: str) -> bool:
    found = _ENTRY.fullmatch(entry)
    return found is not None and int(found[1]) in ids


def _forms(text: str) -> Iterator[str]:
    for form in (text, text.lower(), text.upper()):
        yield form
        yield json_text.told(form)[1:-1]


def _bounded(text: str) -> str:
    is_address = "@" in text
    before, after = (_BEFORE_ADDRESS, _AFTER_ADDRESS) if is_address else (_BEFORE, _AFTER)
    return f"{before}{re.escape(text)}{after}"
