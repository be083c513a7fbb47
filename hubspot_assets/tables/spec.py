"""What a table is: data, from which asset, manifest, checks and documentation follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

#: What a row is: a thing where it is nothing that several tables are of. Records are those of the
#: CRM objects API.
Row = Literal["record", "value", "history", "change", "link", "event", "member", "thing"]
ColumnType = Literal["NUMBER", "BOOLEAN", "TIMESTAMP", "DATE", "JSON", "VARCHAR"]

#: The frame types that may stand behind a column type. A NUMBER is Int64, or String
#: where HubSpot's own decimal text is kept (ids and amounts never pass through floats).
DTYPES: dict[ColumnType, tuple[pl.DataType, ...]] = {
    "NUMBER": (pl.Int64(), pl.String()),
    "BOOLEAN": (pl.Boolean(),),
    "TIMESTAMP": (pl.Datetime("ms"),),
    "DATE": (pl.Date(),),
    "JSON": (pl.String(),),
    "VARCHAR": (pl.String(),),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: ColumnType
    description: str


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of the export.

    `columns` are in the order of the file; `key` names the columns that identify a row,
    in the order by which rows are sorted, and `row` is what one is. `wide` tables have, beyond
    `columns`, one column per property of the portal: those are known only when the table is made.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    description: str
    group: str
    point_in_time: bool
    wide: bool = False
    row: Row = "thing"

    @property
    def of_its_day(self) -> bool:
        """Whether it holds what happened on its day alone."""
        return self.row in ("event", "change")

    def with_columns(self, more: tuple[Column, ...]) -> TableSpec:
        """The same table with `more` columns after its own."""
        return replace(self, columns=self.columns + more)
