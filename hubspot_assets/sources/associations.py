"""Links of records, staged.

A pair of object types is one source, whichever side its links were read from. Its chunks have the
frames `forward` (from the first type to the second) and `backward` of the columns LINKS_SCHEMA, in
no particular order; of a type with itself `backward` is empty, since `forward` holds both
directions. A frame `refused` (id, message) names records whose links HubSpot would not tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import polars as pl

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.hubspot import associations
from hubspot_assets.hubspot.associations import BATCH
from hubspot_assets.hubspot.batches import Batch
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import NotServed, no_refusals
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.association_definitions import Definitions, Pair, directions
from hubspot_assets.sources.fates import live_ids
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.source import CHUNK_VALUES, Report, object_source, quiet, unavailable
from hubspot_assets.tables.counts import LINKS_ONE_WAY, LINKS_UNREAD, RECORDS_REFUSED

LINKS_SCHEMA = {
    "fromId": pl.Int64(),
    "toId": pl.Int64(),
    "category": pl.String(),
    "typeId": pl.Int64(),
    "label": pl.String(),
    "readAt": MOMENT,
}
REFUSED_SCHEMA = {"id": pl.String(), "message": pl.String()}


def links_source(pair: Pair) -> str:
    """The source that holds the links of a pair."""
    return f"associations/{pair[0].id}_{pair[1].id}"


def extract_links(
    client: HubSpot,
    staging: Staging,
    pair: Pair,
    types: Definitions,
    *,
    workers: int,
    report: Report = quiet,
) -> Staged:
    """Stages all links of a pair, each read once, from the side that has fewer records.

    The records of the sides that the CRM objects API serves must be staged: every one of the
    smaller side is asked for, as nothing else that HubSpot tells proves that there is no link. The
    other direction follows from the association types; links whose type leaves it open are read
    from the other side, too, by the records they lead to alone. Where that can't be read they are
    there in one direction, and counted. Raises HubSpotError and StoreError.
    """
    reading = staging.begin(links_source(pair), "links", resume=False)
    sides = [_Side.of(staging, direction, types) for direction in directions(pair)]
    readable = [each for each in sides if each.availability.served]
    observed_at = max(each.observed_at for each in sides)
    if not readable:
        asked = next((each for each in sides if each.staged), sides[0])
        return reading.finish(asked.availability, observed_at)
    try:
        read_at = _stage_links(client, reading, pair, types, readable, workers, report)
    except NotServed as error:
        if reading.counts["links"]:
            raise
        return reading.finish(unavailable(error), datetime.now(UTC))
    return reading.finish(AVAILABLE, read_at or observed_at)


def _stage_links(
    client: HubSpot,
    reading: Reading,
    pair: Pair,
    types: Definitions,
    readable: Sequence[_Side],
    workers: int,
    report: Report,
) -> datetime | None:
    """Reads and stages; gives the moment of the last reading, None if there was no link."""
    side = min(readable, key=lambda each: each.records)
    chunk = _LinkChunk(reading, turned=side.direction != pair)
    inverse = _Inverse(types, side.direction)
    doubtful: list[pl.Series] = []
    for links, untold in _read(client, side.direction, side.ids(), workers, reading.counts):
        turned = inverse.of(links)
        chunk.add(links, turned, untold)
        if len(readable) > 1:
            doubtful.append(inverse.doubtful(links))
        elif pair[0].id != pair[1].id:
            reading.counts[LINKS_ONE_WAY] += links.height - turned.height
        report(links_source(pair), reading.counts["links"])
    if others := _distinct(doubtful):
        back = side.direction[1], side.direction[0]
        for links, untold in _read(client, back, others, workers, reading.counts):
            chunk.add(links.clear(), inverse.left_open(links), untold)
    chunk.stage()
    return chunk.read_at


@dataclass(frozen=True, slots=True)
class _Side:
    """One side from which the links of a pair could be read."""

    direction: Pair
    staged: Staged | None
    availability: Availability
    observed_at: datetime

    @classmethod
    def of(cls, staging: Staging, direction: Pair, types: Definitions) -> _Side:
        mine, other = direction
        if mine.api != "crm":
            why = Availability("no_public_api", f"links can't be read from {mine.plural_name}")
            return cls(direction, None, why, datetime.min.replace(tzinfo=UTC))
        staged = staging.complete(object_source(mine))
        why = types.refusal(mine.id, other.id) or staged.availability
        return cls(direction, staged, why, staged.observed_at)

    @property
    def records(self) -> int:
        """How many records there are to ask for."""
        return self.staged.counts.get("records", 0) if self.staged else 0

    def ids(self) -> Iterator[str]:
        """The ids of the side's records, ascending."""
        for chunk in self.staged.chunks() if self.staged else ():
            yield from map(str, live_ids(chunk))


class _Inverse:
    """The links of a direction, seen from the other side."""

    def __init__(self, types: Definitions, direction: Pair) -> None:
        mine, other = direction
        self._to_itself = mine.id == other.id
        forward, backward = types.of(mine.id, other.id), types.of(other.id, mine.id)
        found = associations.inverses(forward, backward)
        self._table = pl.DataFrame(
            [(*of.key, to.category, to.type_id, to.label) for of, to in found.items()],
            schema={
                "category": pl.String,
                "typeId": pl.Int64,
                "category_back": pl.String,
                "typeId_back": pl.Int64,
                "label_back": pl.String,
            },
            orient="row",
        )
        #: The other side has a type that none of this one can be.
        self._more_there = len(backward) > len(forward)

    def of(self, links: pl.DataFrame) -> pl.DataFrame:
        """The links whose inverse follows from their type, turned round."""
        if self._to_itself:
            return links.clear()
        return links.join(self._table, on=["category", "typeId"], maintain_order="left").select(
            fromId="toId",
            toId="fromId",
            category="category_back",
            typeId="typeId_back",
            label="label_back",
            readAt="readAt",
        )

    def doubtful(self, links: pl.DataFrame) -> pl.Series:
        """The records on the other side that must be asked for what the links are there."""
        if not self._more_there:
            links = links.join(self._table, on=["category", "typeId"], how="anti")
        return links["toId"].unique()

    def left_open(self, links: pl.DataFrame) -> pl.DataFrame:
        """Of links read from the other side, those that `of` can't have told."""
        told = self._table.select(category="category_back", typeId="typeId_back")
        return links.join(told, on=["category", "typeId"], how="anti", maintain_order="left")


class _LinkChunk:
    """Links on their way into chunks; `turned` if they were read from the pair's second type."""

    def __init__(self, reading: Reading, *, turned: bool) -> None:
        self._reading = reading
        self._names = ("backward", "forward") if turned else ("forward", "backward")
        self.read_at: datetime | None = None
        self._clear()

    def _clear(self) -> None:
        self._read: list[pl.DataFrame] = []
        self._derived: list[pl.DataFrame] = []
        self._refused: list[tuple[str, str]] = []
        self._rows = 0

    def add(self, read: pl.DataFrame, derived: pl.DataFrame, untold: Mapping[str, str]) -> None:
        """Takes links in: as read, and of the other direction."""
        self._read.append(read)
        self._derived.append(derived)
        self._refused += untold.items()
        self._rows += read.height + derived.height
        self._reading.counts["links"] += read.height
        self._reading.counts["links_back"] += derived.height
        self._reading.counts[RECORDS_REFUSED] += len(untold)
        if self._rows >= CHUNK_VALUES:
            self.stage()

    def stage(self) -> None:
        """Stages what was taken in."""
        frames = [
            pl.concat(frames) if frames else pl.DataFrame(schema=LINKS_SCHEMA)
            for frames in (self._read, self._derived)
        ]
        untold = pl.DataFrame(self._refused, schema=REFUSED_SCHEMA, orient="row")
        if self._rows or untold.height:
            content = dict(zip(self._names, frames, strict=True)) | {"refused": untold}
            self._reading.add(content, after=None)
        last = pl.concat(frames)["readAt"].max()
        if isinstance(last, datetime):
            self.read_at = last.replace(tzinfo=UTC)
        self._clear()


def _read(
    client: HubSpot, direction: Pair, ids: Iterable[str], workers: int, counts: Counter[str]
) -> Iterator[tuple[pl.DataFrame, Mapping[str, str]]]:
    """The links of records, and whose were refused; parsed where they are received.

    `counts` gets what is no link.
    """
    mine, other = direction

    def read(numbered: tuple[int, list[str]]) -> list[tuple[pl.DataFrame, int, Mapping[str, str]]]:
        number, batch = numbered
        with no_refusals() if number else nullcontext():
            answers = associations.read_links(client, mine.id, other.id, batch)
            return [(*_flat(each), each.refused) for each in answers]

    read_ahead = in_order(read, enumerate(_batches(ids)), workers)
    for links, unread, untold in chain.from_iterable(read_ahead):
        counts[LINKS_UNREAD] += unread
        yield links, untold


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _flat(batch: Batch) -> tuple[pl.DataFrame, int]:
    """A row per link and label, and how many links can't be read."""
    read_at = batch.received_at.replace(tzinfo=None)
    rows: list[tuple[object, ...]] = []
    unread = 0
    for result in batch.results:
        from_id, told = int(result["from"]["id"]), result.get("to")
        links: list[Any] = told if isinstance(told, list) else [None]
        for link in links:
            try:
                to_id = int(link["toObjectId"])
                types = [_type(of) for of in link["associationTypes"]]
            except (KeyError, TypeError, ValueError):
                unread += 1
            else:
                rows += [(from_id, to_id, *each, read_at) for each in types]
    return pl.DataFrame(rows, schema=LINKS_SCHEMA, orient="row"), unread


def _type(told: Mapping[str, Any]) -> tuple[str, int, str | None]:
    """What a link tells of one of its types. Raises TypeError for what is none."""
    category, label = told["category"], told.get("label")
    if not isinstance(category, str) or not isinstance(label, str | None):
        raise TypeError
    return category, int(told["typeId"]), label


def _distinct(ids: list[pl.Series]) -> list[str]:
    return list(map(str, pl.concat(ids).unique().sort())) if ids else []
