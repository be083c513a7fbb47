"""What an earlier reading of a type's records holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

import polars as pl

from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.fates import ERASED, erased_before
from hubspot_assets.sources.flatten import MOMENT, RECORDS_SCHEMA, VALUES_SCHEMA


def of_records(values: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """The values of these records alone."""
    return values.join(records.select("id"), on="id", how="semi", maintain_order="left")


def not_found(
    reading: Staged, found: pl.Series, unread: Collection[int], kept_since: datetime
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Both frames of what an earlier reading holds and is not among the ids that were `found`.

    Who was live there was erased since, unless something else is known of it: those `unread` are
    there, and were refused. What was erased before `kept_since` is left out.
    """
    ids = found.to_frame("id")
    for chunk in reading.chunks():
        kept = chunk.read("records").filter(~erased_before(kept_since))
        records = kept.join(ids, on="id", how="anti", maintain_order="left")
        if records.height:
            live = pl.col("gone").is_null() & ~pl.col("id").is_in(list(unread))
            last_seen = pl.lit(reading.began.replace(tzinfo=None), MOMENT)
            ended = records.with_columns(
                gone=pl.when(live).then(pl.lit(ERASED)).otherwise("gone"),
                goneAt=pl.when(live).then(last_seen).otherwise("goneAt"),
            )
            yield ended, of_records(chunk.read("values"), records)


class Earlier:
    """What an earlier reading holds of some ids, or of all, taken out in their order."""

    def __init__(self, reading: Staged, ids: pl.Series | None = None) -> None:
        self._chunks = reading.chunks()
        self._ids = None if ids is None else ids.to_frame("id")
        self._records = pl.DataFrame(schema=RECORDS_SCHEMA)
        self._values = pl.DataFrame(schema=VALUES_SCHEMA)
        self._read_to = -1

    def until(self, last: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The records up to that id, and their values, that were not taken before."""
        while self._read_to < last and (chunk := next(self._chunks, None)):
            self._take_in(chunk)
        below = pl.col("id") <= last
        taken = self._records.filter(below), self._values.filter(below)
        self._records, self._values = self._records.filter(~below), self._values.filter(~below)
        return taken

    def _take_in(self, chunk: Chunk) -> None:
        records = chunk.read("records")
        if records.is_empty():  # all of it was forgotten since
            return
        self._read_to = int(records["id"][-1])
        if self._ids is not None:
            records = records.join(self._ids, on="id", how="semi", maintain_order="left")
        if records.height:
            self._records = pl.concat([self._records, records])
            self._values = pl.concat([self._values, of_records(chunk.read("values"), records)])
