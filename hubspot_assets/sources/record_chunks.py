"""Records on their way from HubSpot's pages into chunks of a reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore

import polars as pl

from hubspot_assets.hubspot.records import Page, Record
from hubspot_assets.moments import milliseconds
from hubspot_assets.readings.reading import Reading
from hubspot_assets.sources.earlier import Earlier
from hubspot_assets.sources.fates import ARCHIVED, Merge, merges_in, with_births
from hubspot_assets.sources.flatten import EVER, MOMENT, records_frame, values_frame
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.nested import in_order, nested_chunk
from hubspot_assets.sources.source import CHUNK_CHARACTERS, CHUNK_VALUES
from hubspot_assets.sources.union import united
from hubspot_assets.tables.counts import MOMENTS_UNREAD, RECORDS_ARCHIVED, TOLD_TWICE

#: Cells of records are flattened so many at a time: few JSON objects are alive at once then, and
#: few frames are small.
_FLATTENED_AT_ONCE = 60_000

#: Types of which more than a few records are in memory at a time, in a process.
LARGE_AT_ONCE = 2
_large = BoundedSemaphore(LARGE_AT_ONCE)

#: What is counted of the values of a property that HubSpot does not list, whose name follows.
SEEN = "seen/"
#: Counted while a reading is under way: chunks that hold ids which an earlier one may hold.
_NOT_IN_ORDER = "chunks_not_in_order"


def flattened_at_once(properties: int) -> int:
    """Of how many records with so many properties each."""
    return _FLATTENED_AT_ONCE // max(properties, 1)


class RecordChunk:
    """Pages of records on their way into one chunk of `reading`: of each record, the last told.

    `merges` are those that the records tell of. What an `earlier` reading knew and HubSpot has
    dropped since is added. Waits, once it has more than a few, while other types have so many, too;
    to be closed in any case.
    """

    def __init__(
        self, reading: Reading, known: KnownProperties, earlier: Earlier | None, cap: int
    ) -> None:
        self._reading = reading
        self._known = known
        self._earlier = earlier
        self._cap = cap
        self.merges: list[Merge] = []
        self._highest: int | None = None
        self._is_large = False
        self._clear()

    def _clear(self) -> None:
        self._told: dict[str, tuple[Record, datetime]] = {}
        self._pieces: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._counts: Counter[str] = Counter()
        self._characters = 0

    @property
    def full(self) -> bool:
        """Whether it is large enough to be staged."""
        rows = sum(values.height for _, values in self._pieces)
        return rows >= CHUNK_VALUES or self._characters >= CHUNK_CHARACTERS

    def add(self, page: Page) -> None:
        """Takes a page in, without records that are archived by what they say."""
        before = len(self._told)
        live = [record for record in page.records if not record.get("archived")]
        self._told.update((record["id"], (record, page.received_at)) for record in live)
        new = len(self._told) - before
        self._reading.counts["records"] += new
        self._counts[TOLD_TWICE] += len(live) - new
        self._counts[RECORDS_ARCHIVED] += len(page.records) - len(live)
        if len(self._told) >= flattened_at_once(len(self._known.definitions)):
            if not self._is_large:
                self._is_large = _large.acquire()
            self._flatten()

    def close(self) -> None:
        """Lets another type have its place in memory."""
        if self._is_large:
            _large.release()
            self._is_large = False

    def stage(self, after: str | None) -> None:
        """Stages what was taken in; `after` is the cursor behind it."""
        self._flatten()
        records, values = _each_once(self._pieces)
        again = sum(each.height for each, _ in self._pieces) - records.height
        self._reading.counts["records"] -= again
        self._counts[TOLD_TWICE] += again
        if records.height:
            before = self._highest if self._highest is not None else _highest(self._reading)
            self._counts[_NOT_IN_ORDER] += int(records["id"][0]) <= before
            self._highest = int(records["id"][-1])
        if unlisted := self._known.unlisted:
            seen = values["name"].filter(values["name"].is_in(list(unlisted)))
            self._counts.update(f"{SEEN}{name}" for name in seen)
        if self._earlier and records.height:
            known = self._earlier.until(int(records["id"][-1]))
            records, values = united(
                records, values, *known, cap=self._cap, asked=self._known.names
            )
        self._reading.counts.update(self._counts)
        self._clear()
        self._reading.add({"records": records, "values": values}, after=after)

    def _flatten(self) -> None:
        told, read_at = (
            [each for each, _ in self._told.values()],
            [at for _, at in self._told.values()],
        )
        records, values = flattened(told, read_at, self._known, self._counts)
        self.merges += merges_in(values)
        self._pieces.append((records, values))
        self._characters += int(values["value"].str.len_bytes().sum())
        self._told = {}


def _each_once(
    pieces: Sequence[tuple[pl.DataFrame, pl.DataFrame]],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The records and values of all pieces, by id; of a record in several, those of the last."""
    records = pl.concat(each for each, _ in pieces)
    values = pl.concat(each for _, each in pieces)
    if (records["id"].diff() > 0).all():
        return records, values
    last = pl.concat(
        each.select("id", piece=pl.lit(number)) for number, (each, _) in enumerate(pieces)
    ).unique("id", keep="last", maintain_order=True)

    def of_last(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
        numbered = (each.with_columns(piece=pl.lit(n)) for n, each in enumerate(frames))
        kept = pl.concat(numbered).join(last, on=["id", "piece"], how="semi", maintain_order="left")
        return kept.drop("piece").sort("id", maintain_order=True)

    return of_last(each for each, _ in pieces), of_last(each for _, each in pieces)


def _highest(reading: Reading) -> int:
    """The highest id of the chunk that was staged last, by whoever began; -1 if there is none."""
    last = reading.last_chunk()
    ids = last.read("records", ["id"])["id"] if last else pl.Series(dtype=pl.Int64)
    return int(ids[-1]) if len(ids) else -1


def put_in_order(reading: Reading) -> None:
    """Stages the chunks of a reading again, in order of ids, each record as it was told last.

    Nothing is to be done unless HubSpot listed some out of order or twice.
    """
    if not reading.counts.pop(_NOT_IN_ORDER, 0):
        return
    told = reading.counts.pop("records")
    readers = [partial(nested_chunk, chunk) for chunk in reading.staged_again()]
    for records, values in in_order(reversed(readers)):
        reading.counts["records"] += records.height
        reading.add({"records": records, "values": values}, after=None)
    reading.counts[TOLD_TWICE] += told - reading.counts["records"]


def of_page(
    page: Page, known: KnownProperties, counts: Counter[str], *, archived: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frames of a page of records that were asked for as live ones, or as `archived` ones."""
    told = [{**each, "archived": archived} for each in page.records]
    return flattened(told, [page.received_at] * len(told), known, counts)


def flattened(
    told: Sequence[Record],
    read_at: Sequence[datetime],
    known: KnownProperties,
    counts: Counter[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frames of records as HubSpot told them.

    Of values without a history those of calculated properties are known since now alone, as they
    change without a modified date; running ones are as they were observed, which is all they are.
    """
    values = values_frame(told, known.moments, counts)
    records = with_births(
        _with_archival(records_frame(told, read_at, counts), told, counts), values
    )
    undated = pl.col("timestamp").is_null()
    if values.filter(undated).is_empty():
        return records, values
    read = records.select("id", read="readAt")
    name = pl.col("name")
    since = (
        pl.when(undated & name.is_in(list(known.running)))
        .then(pl.lit(EVER, MOMENT))
        .when(undated & name.is_in(list(known.calculated)))
        .then("read")
    )
    marked = values.join(read, on="id", how="left", maintain_order="left")
    return records, marked.with_columns(seenSince=since).drop("read")


def _with_archival(
    records: pl.DataFrame, told: Sequence[Record], counts: Counter[str]
) -> pl.DataFrame:
    moments = {int(each["id"]): each.get("archivedAt") for each in told if each.get("archived")}
    if not moments:
        return records
    since = [milliseconds(moments.get(each)) for each in records["id"]]
    archived = pl.col("id").is_in(list(moments))
    counts[MOMENTS_UNREAD] += len(moments) - sum(each is not None for each in since)
    return records.with_columns(
        gone=pl.when(archived).then(pl.lit(ARCHIVED)),
        goneAt=pl.Series(since, dtype=pl.Int64).cast(MOMENT),
    )
