"""Which records a day delivers, for the tables of what ends at records: links, members of lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import polars as pl

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.tables.records import LIFE, there_at

#: Ids of so many types are kept, 8 bytes each.
KEPT = 64


def delivered_ids(staging: Staging, of: ExportedType, day: Day) -> pl.Series | None:
    """Ids of the records of a type that a day delivers, as links and lists name them.

    None for a type that can't be read, or has an API of its own, whose ids may be others. Read
    once for the hundreds of tables that ask for them.
    """
    if of.object_type.api != "crm":
        return None
    staged = staging.complete(of.records)
    if not staged.availability.served:
        return None
    return _ids(_Reading(staged.store.url_of(staged.folder), staged), day.end_naive)


def of_delivered(rows: pl.DataFrame, column: str, ids: pl.Series | None) -> pl.DataFrame:
    """The rows whose `column` is among `ids`, in their order; all where it is not known (None)."""
    if ids is None:
        return rows
    return rows.join(ids.to_frame(column), on=column, how="semi", maintain_order="left")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading, known by its folder: no other has the same."""

    folder: str
    staged: Staged = field(compare=False)


@lru_cache(maxsize=KEPT)
def _ids(reading: _Reading, end: datetime) -> pl.Series:
    batches = (chunk.read("records", ["id", *LIFE]) for chunk in reading.staged.chunks())
    ids = [there_at(each, end)["id"] for each in batches]
    return pl.concat(ids) if ids else pl.Series("id", dtype=pl.Int64)
