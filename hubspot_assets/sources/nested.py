"""Records, each in a row with its values, so that both can be put in order of ids together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.ordering import Reader, in_key_order
from hubspot_assets.sources.flatten import VALUES_SCHEMA
from hubspot_assets.sources.source import CHUNK_CHARACTERS, CHUNK_VALUES


def nested(records: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """`records`, each with a list of its `values`."""
    lists = values.group_by("id", maintain_order=True).agg(values=pl.struct(pl.exclude("id")))
    return records.join(lists, on="id", how="left", maintain_order="left")


def nested_chunk(chunk: Chunk) -> pl.DataFrame:
    """The frame of a chunk that was staged."""
    return nested(chunk.read("records"), chunk.read("values"))


def in_order(readers: Iterable[Reader]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Records and values by id, in chunks, from readers of `nested` frames in whatever order.

    Of a record that comes again the first reader's stays.
    """
    for frame in in_key_order(readers, ["id"]):
        for part in _chunks(frame):
            values = part.select("id", "values").drop_nulls().explode("values").unnest("values")
            yield part.drop("values"), values.select(VALUES_SCHEMA.keys())


def _chunks(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Records with their values in parts of the size of a chunk, one object more at most."""
    values = pl.col("values").list
    characters = values.eval(pl.element().struct.field("value").str.len_bytes()).list.sum()
    return frame.with_columns(
        of_characters=characters.fill_null(0).cum_sum() // CHUNK_CHARACTERS,
        of_values=values.len().fill_null(0).cum_sum() // CHUNK_VALUES,
    ).partition_by("of_characters", "of_values", maintain_order=True, include_key=False)
