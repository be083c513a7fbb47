"""Frames as Parquet files, beside the CSV: the same rows in the same order.

Where a file ends depends on the rows alone, as do its row groups: however rows were spread over
frames, the same rows give the same bytes, by one version of polars.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import polars as pl

from hubspot_assets.export.parts import PackedPart, text_size
from hubspot_assets.tables.parquet_types import ParquetType, parquet_type
from hubspot_assets.tables.spec import Column, TableSpec

#: What writes the files, of whose version their bytes are.
WRITER = f"polars {pl.__version__}"
#: About the most text of a file, before it is packed: so much is held in memory.
FILE_BYTES = 64_000_000

_ROW_GROUP = 100_000

_DTYPES: dict[ParquetType, pl.DataType] = {
    "INT64": pl.Int64(),
    "DECIMAL(38,10)": pl.Decimal(38, 10),
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date(),
    "BOOLEAN": pl.Boolean(),
    "STRING": pl.String(),
}
#: Decimal text that is a DECIMAL(38,10) to the last digit: polars cuts off further decimals.
_FITS = r"^-?0*[0-9]{1,28}(\.[0-9]{1,10}0*)?$"


def parquet_schema(columns: tuple[Column, ...], key: tuple[str, ...]) -> pl.Schema:
    """The types of a table's columns in its Parquet files."""
    return pl.Schema({each.name: _DTYPES[parquet_type(each, key)] for each in columns})


def as_parquet(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A column of a frame in its Parquet type; a number that does not fit exactly is NULL."""
    column = pl.col(name)
    if found == pl.String and wanted == pl.Decimal:
        return pl.when(column.str.contains(_FITS)).then(column).str.to_decimal(scale=10)
    return column.cast(wanted)


def packed_file(typed: pl.DataFrame) -> bytes:
    """A file of rows that are of Parquet's types."""
    packed = io.BytesIO()
    typed.write_parquet(packed, compression="zstd", compression_level=3, row_group_size=_ROW_GROUP)
    return packed.getvalue()


class ParquetFiles:
    """Makes the files of one sub-folder of the frames that it takes; without rows, one of none.

    `unfit` counts numbers that are NULL since they do not fit exactly.
    """

    def __init__(self, spec: TableSpec, limit: int = FILE_BYTES) -> None:
        self.unfit = 0
        self._schema = parquet_schema(spec.columns, spec.key)
        self._limit = limit
        self._frames: list[pl.DataFrame] = []
        self._room = limit
        self._made: list[PackedPart] = []
        self._is_empty = True

    def take(self, frame: pl.DataFrame) -> None:
        """The next rows, which are as the table's spec says."""
        ends = frame.select(text_size(frame.schema).cum_sum()).to_series()
        start = before = 0
        while start < frame.height:
            end = max(int(ends.search_sorted(before + self._room, side="right")), start)
            if end == start and not self._frames:
                end += 1  # a row that alone is above the limit
            if end > start:
                self._frames.append(frame[start:end])
                self._room -= int(ends[end - 1]) - before
                start, before = end, int(ends[end - 1])
            if start < frame.height:
                self._pack()

    def made(self) -> Iterator[PackedPart]:
        """The files that are full, each once."""
        while self._made:
            yield self._made.pop(0)

    def rest(self) -> Iterator[PackedPart]:
        """The files that are left, at the end."""
        if self._frames or self._is_empty:
            self._pack()
        yield from self.made()

    def _pack(self) -> None:
        rows = pl.concat(self._frames) if self._frames else pl.DataFrame(schema=self._schema)
        self._frames, self._room, self._is_empty = [], self._limit, False
        typed = rows.select(
            as_parquet(name, rows.schema[name], wanted) for name, wanted in self._schema.items()
        )
        self.unfit += _nulls(typed) - _nulls(rows)
        data = packed_file(typed)
        self._made.append(PackedPart(data, rows.height, hashlib.sha256(data).hexdigest()))


def _nulls(frame: pl.DataFrame) -> int:
    return int(frame.select(pl.sum_horizontal(pl.all().null_count())).item() or 0)
