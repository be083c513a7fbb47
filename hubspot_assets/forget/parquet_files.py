"""Parquet files without the rows of some records, and what refers to them, written as the export
writes them.
"""

from __future__ import annotations

import io

import polars as pl
from polars.exceptions import PolarsError

from hubspot_assets.export.parquet import packed_file
from hubspot_assets.forget.csv_parts import Left
from hubspot_assets.forget.people import People
from hubspot_assets.forget.references import References
from hubspot_assets.tables.people import RecordColumn, Standing


class ParquetFiles:
    """Files of Parquet."""

    suffix = ".parquet"

    def columns(self, data: bytes) -> list[str]:
        """The names of a file's columns. Raises ValueError for what is no file of Parquet."""
        try:
            return list(pl.read_parquet_schema(io.BytesIO(data)))
        except PolarsError as error:
            raise ValueError(f"no Parquet file: {error}") from error

    def rows(self, data: bytes) -> int:
        """How many rows a file has."""
        return pl.read_parquet(io.BytesIO(data), columns=[0]).height

    def without(
        self, data: bytes, at: Standing, people: People, references: References
    ) -> Left | None:
        """The file without the rows of `people`, and in others without `references`.

        None if there are none. Raises ValueError for what is no file of Parquet.
        """
        try:
            frame = pl.read_parquet(io.BytesIO(data))
        except PolarsError as error:
            raise ValueError(f"no Parquet file: {error}") from error
        left = frame.filter(~_are_theirs(frame, at, people))
        out = frame.height - left.height
        left, cells = references.redacted(left, at.texts) if references else (left, 0)
        return Left(packed_file(left), out, cells) if out or cells else None


def _are_theirs(frame: pl.DataFrame, at: Standing, people: People) -> pl.Series:
    """Which rows hold a record or an address of theirs in a column that tells so."""
    columns = frame.get_columns()
    theirs = pl.zeros(frame.height, pl.Boolean, eager=True)
    for column in at.records:
        theirs |= _in_column(columns, column, people)
    for number in at.addresses:
        address = columns[number].str.strip_chars().str.to_lowercase()
        theirs |= people.addresses(address, address)
    return theirs


def _in_column(columns: list[pl.Series], column: RecordColumn, people: People) -> pl.Series:
    ids = columns[column.id].cast(pl.Int64, strict=False)
    theirs = pl.zeros(len(ids), pl.Boolean, eager=True)
    for type_id in people.ids if column.type is not None else column.object_type_ids:
        found = people.records(type_id, ids)
        if column.type is not None:
            found &= (columns[column.type] == type_id).fill_null(value=False)
        theirs |= found
    return theirs
