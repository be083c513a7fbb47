"""The batches of a type's staged records, and how they stood at the beginning and the end of a day.

Seven tables are made of each batch. The frames of a large one are read anew for each, and only the
columns that it needs; of a small one, which takes longer to ask for than to read, it is kept what
most of them need: the records, and how they stood at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from math import inf

import polars as pl

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.flatten import VALUES_SCHEMA
from hubspot_assets.tables.records import AsOf, as_of, ended, history_cap, literal, records_at

ALL = tuple(VALUES_SCHEMA)

#: The most records of a batch of which something is kept.
_SMALL = 500


class Batch:
    """Some `records` of a type, for the tables of a `day`, with these `columns` of their values, at
    least, where they are asked for."""

    def __init__(
        self, of: ExportedType, day: Day, chunk: Chunk, kept: Kept, columns: tuple[str, ...]
    ) -> None:
        self.of = of
        self.day = day
        self.records = kept.of(chunk, partial(chunk.read, "records"), _bytes_of_small)
        self._chunk = chunk
        self._kept = kept
        self._columns = columns
        self._is_small = self.records.height <= _SMALL

    @cached_property
    def values(self) -> pl.DataFrame:
        """The frame of values."""
        return self._chunk.read("values", None if self._is_small else list(self._columns))

    def records_at_start(self) -> pl.DataFrame:
        """The records as of the beginning of the day."""
        return records_at(self.records, self.values, self.day.start_naive)

    def at_end(self) -> AsOf:
        """The batch as of the end of the day."""
        key = self._chunk, self.day
        size = AsOf.bytes if self._is_small else _too_large
        return self._kept.of(key, lambda: self._at_end(self.values), size)

    def at_end_without_values(self) -> AsOf:
        """As `at_end`, but with values only if records changed since: they tell when before."""
        end = self.day.end_naive
        if self._is_small or self.records.filter(pl.col("updatedAt") >= literal(end)).height:
            return self.at_end()
        return self._at_end(pl.DataFrame(schema={of: VALUES_SCHEMA[of] for of in self._columns}))

    def ended(self) -> int:
        """How many records were there when the day began, and no longer when it ended."""
        key = self._chunk, self.day, "ended"
        make = partial(ended, self.records, self.day.start_naive, self.day.end_naive)
        return self._kept.of(key, make, lambda _: 0)

    def _at_end(self, values: pl.DataFrame) -> AsOf:
        of = self.of.object_type
        return as_of(
            self.records,
            values,
            self.day.end_naive,
            cap=history_cap(of.id),
            modified_property=of.modified_property,
        )


def batches(
    staged: Staged, of: ExportedType, day: Day, kept: Kept, columns: tuple[str, ...] = ALL
) -> Iterator[Batch]:
    """All of a type's reading, in order. Raises StoreError."""
    for chunk in staged.chunks():
        yield Batch(of, day, chunk, kept, columns)


def _bytes_of_small(records: pl.DataFrame) -> float:
    return records.estimated_size() if records.height <= _SMALL else inf


def _too_large(_: object) -> float:
    return inf
