"""Objects of the types that have an API of their own, staged as records with properties.

They lie under `objects/<type id>` in the same frames as any record, in order of ids. Objects keep
no history. Which API field is which property is told by the facts; a field they do not list is
kept as text under its own name, and defined by having been seen.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets.availability import AVAILABLE
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.errors import NotFound, NotServed, Refused
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read, Tell
from hubspot_assets.hubspot.own_apis import own_id
from hubspot_assets.readings.ordering import Reader
from hubspot_assets.readings.reading import Staged, write_temporary
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import Record, records_frame, snake_case, text_of, values_frame
from hubspot_assets.sources.items import stage_items
from hubspot_assets.sources.nested import in_order, nested
from hubspot_assets.sources.source import (
    CHUNK_CHARACTERS,
    Report,
    object_source,
    properties_source,
    quiet,
    unavailable,
)
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import OBJECTS_ALIKE, PARTS_GONE, PARTS_REFUSED

#: Objects that are held at a time, unless they are large.
SPOOLED_AT_ONCE = 20_000

_CREATED, _UPDATED = "hs_createdate", "hs_lastmodifieddate"
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]")


class Field(NamedTuple):
    """What a field of an API is called in the export, and its property type."""

    property: str
    label: str
    type: str


#: Properties that every such object has.
COMMON = (
    Field("hs_object_id", "Record ID", "number"),
    Field(_CREATED, "Create date", "datetime"),
    Field(_UPDATED, "Last modified date", "datetime"),
)
SOURCE_ID = "source_id"
#: A count by which a reading is known for one of objects that keep no history.
WITHOUT_HISTORY = "records_without_history"


@cache
def known_fields(object_type_id: str) -> Mapping[str, Field]:
    """The fields of a type's API that the facts tell of."""
    return {
        row["field"]: Field(row["property"], row["label"], row["type"])
        for row in facts("own_api_properties.csv")
        if row["object_type_id"] in ("", object_type_id)
    }


def extract_own(
    staging: Staging,
    object_type: ObjectType,
    read: Callable[[Tell], Iterator[Read]],
    *,
    plan: str = "own",
    defined: Sequence[Read] = (),
    report: Report = quiet,
) -> Staged:
    """Stages what `read` gives, and the definitions of its properties.

    The `plan` says what is asked for, by which a later reading may build on this one. Definitions
    are the ones `defined` by HubSpot, if any, those of the facts, and all that were seen.
    What the portal or the token does not give is staged empty with its availability; the parts that
    `read` tells to be gone or refused are counted. Raises HubSpotError, IncompleteAnswer where an
    object has no id, and StoreError.
    """
    reading = staging.begin(object_source(object_type), plan, resume=False)
    last = datetime.now(UTC)

    def note(error: Refused) -> None:
        reading.counts[PARTS_GONE if isinstance(error, NotFound) else PARTS_REFUSED] += 1

    definitions = definitions_of(object_type, defined)
    with temporary_folder() as folder:
        spool = Spool(folder, object_type, moments_of(definitions))
        try:
            for each in read(note):
                spool.add(each)
                last = each.received_at
                report(reading.source, spool.added)
        except NotServed as error:
            if spool.added:
                raise
            stage_properties(staging, object_type, definitions, ())
            reading.counts.clear()  # of parts, where all is refused
            return reading.finish(unavailable(error, object_type), last)
        for records, values in spool.in_order():
            reading.counts["records"] += records.height
            reading.add({"records": records, "values": values}, after=None)
        reading.counts[WITHOUT_HISTORY] = reading.counts["records"]
        reading.counts.update(+spool.counts)
        reading.counts[OBJECTS_ALIKE] = spool.added - reading.counts["records"]
        stage_properties(staging, object_type, definitions, spool.seen)
    return reading.finish(AVAILABLE, last)


def definitions_of(object_type: ObjectType, defined: Sequence[Read]) -> dict[str, Read]:
    """Property definitions by name, in the shape of HubSpot's: its own first, then the facts'."""
    now = datetime.now(UTC)
    facts = {
        each.property: Read({"name": each.property, "label": each.label, "type": each.type}, now)
        for each in (*known_fields(object_type.id).values(), *COMMON)
    }
    return facts | {each.content["name"]: each for each in defined}


def moments_of(definitions: Mapping[str, Read]) -> set[str]:
    """The names of the properties of the types date and datetime."""
    return {
        name for name, each in definitions.items() if each.content["type"] in {"date", "datetime"}
    }


def stage_properties(
    staging: Staging, object_type: ObjectType, definitions: Mapping[str, Read], seen: Iterable[str]
) -> None:
    """Stages the definitions of a type's properties, of those as well that were only seen."""
    now = datetime.now(UTC)
    others = [
        Read({"name": name, "label": name, "type": "string"}, now)
        for name in sorted(seen)
        if name not in definitions
    ]
    reading = staging.begin(properties_source(object_type), "items", resume=False)
    stage_items(reading, [*definitions.values(), *others])


class Spool:
    """Objects in whatever order, kept in local files until they can be put in order of ids.

    Raises StoreError where there is no room for the files.
    """

    def __init__(self, folder: Path, object_type: ObjectType, moments: Collection[str]) -> None:
        self._folder = folder
        self._type = object_type
        self._moments = moments
        self._pending: dict[str, tuple[Record, datetime]] = {}
        self._characters = 0
        self._files: list[Path] = []
        self.added = 0
        self.ids: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.seen: set[str] = set()

    def add(self, read: Read) -> None:
        """Takes an object in."""
        record = record_of(self._type, read.content)
        self.seen.update(record["properties"])
        self._pending[record["id"]] = record, read.received_at
        self._characters += sum(map(len, record["properties"].values()))
        self.added += 1
        self.ids.add(int(record["id"]))
        if self._characters >= CHUNK_CHARACTERS or len(self._pending) >= SPOOLED_AT_ONCE:
            self._spool()

    def in_order(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Frames of records and of values, by id; of objects with one id, the last."""
        yield from in_order(self.readers())

    def readers(self) -> Iterator[Reader]:
        """Reads `nested` frames, those of what was taken in last first."""
        if self._pending:
            self._spool()
        return (partial(pl.read_parquet, each) for each in reversed(self._files))

    def _spool(self) -> None:
        """Writes what is pending, each record in a row with its values."""
        records = [record for record, _ in self._pending.values()]
        read_at = [when for _, when in self._pending.values()]
        values = values_frame(records, self._moments, self.counts)
        frame = nested(records_frame(records, read_at, self.counts), values)
        self._files.append(self._folder / f"{len(self._files):05d}.parquet")
        write_temporary(frame, self._files[-1])
        self._pending, self._characters = {}, 0


def record_of(object_type: ObjectType, content: Mapping[str, Any]) -> Record:
    """An object of an API of its own in the shape of a CRM record: id, dates, properties.

    Where the API gives no number, the id is the first 62 bits of SHA-256 of the type's id and the
    object's own, which is its property `source_id`. Raises IncompleteAnswer where it has none.
    """
    known = known_fields(object_type.id)
    properties: dict[str, str] = {}
    for name, value in content.items():
        field = known.get(name)
        text = text_of(value)
        if text and (field or name != "id"):
            properties[field.property if field else _NOT_IN_NAMES.sub("_", snake_case(name))] = text
    source_id = own_id(object_type.api, content)
    number = source_id if source_id.isdecimal() else _hashed(f"{object_type.id}:{source_id}")
    if number != source_id:
        properties[SOURCE_ID] = source_id
    properties["hs_object_id"] = number
    created, updated = properties.get(_CREATED), properties.get(_UPDATED)
    return {
        "id": number,
        "createdAt": created or updated,
        "updatedAt": updated or created,
        "properties": properties,
    }


def _hashed(text: str) -> str:
    return str(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2)
