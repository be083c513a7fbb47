"""The batches of a type's staged records, and how they stood at a moment.

Seven tables are made of each batch. The frames of a large one are read anew for each, and only the
columns that it needs; of a small one, which takes longer to ask for than to read, they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property, partial
from math import inf

import polars as pl

from hubspot_assets.exported import ExportedType
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.flatten import VALUES_SCHEMA
from hubspot_assets.tables.records import AsOf, as_of, history_cap, literal

ALL = tuple(VALUES_SCHEMA)

#: The most records of a batch that is kept.
_SMALL = 500


class Batch:
    """Some `records` of a type, with these `columns` of their values where they are asked for, at
    least."""

    def __init__(
        self, of: ExportedType, chunk: Chunk, kept: Kept, columns: tuple[str, ...]
    ) -> None:
        self.of = of
        self.records = kept.of(chunk, partial(chunk.read, "records"), _rows_of_small)
        self._chunk = chunk
        self._kept = kept
        self._columns = columns

    @cached_property
    def values(self) -> pl.DataFrame:
        """The frame of values."""
        if not self._is_small:
            return self._chunk.read("values", list(self._columns))
        read = partial(self._chunk.read, "values")
        return self._kept.of((self._chunk, "values"), read, _rows)

    def at(self, moment: datetime) -> AsOf:
        """The batch as of a moment (naive UTC)."""
        if not self._is_small:
            return self._at(moment, self.values)
        make = partial(self._at, moment, self.values)
        return self._kept.of((self._chunk, moment), make, AsOf.rows)

    def without_values_at(self, moment: datetime) -> AsOf:
        """As `at`, but with values only if records changed since: they tell when before."""
        changed = pl.col("updatedAt") >= literal(moment)
        if self._is_small or self.records.filter(changed).height:
            return self.at(moment)
        return self._at(
            moment, pl.DataFrame(schema={of: VALUES_SCHEMA[of] for of in self._columns})
        )

    @property
    def _is_small(self) -> bool:
        return self.records.height <= _SMALL

    def _at(self, moment: datetime, values: pl.DataFrame) -> AsOf:
        of = self.of.object_type
        return as_of(
            self.records,
            values,
            moment,
            cap=history_cap(of.id),
            modified_property=of.modified_property,
        )


def batches(
    staged: Staged, of: ExportedType, kept: Kept, columns: tuple[str, ...] = ALL
) -> Iterator[Batch]:
    """All of a type's reading, in order. Raises StoreError."""
    for chunk in staged.chunks():
        yield Batch(of, chunk, kept, columns)


def _rows(frame: pl.DataFrame) -> int:
    return frame.height


def _rows_of_small(records: pl.DataFrame) -> float:
    return records.height if records.height <= _SMALL else inf
