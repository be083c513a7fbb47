"""Loads a written table back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator

import polars as pl
from polars.io.plugins import register_io_source

from hubspot_assets.export.manifest import (
    DayManifest,
    Part,
    TableManifest,
    manifest_path,
    missing_parts,
)
from hubspot_assets.storage.errors import NotFoundError, StoreError
from hubspot_assets.storage.store import Store
from hubspot_assets.tables.spec import DTYPES, Column


def read_manifest(store: Store, day: str, table: str) -> TableManifest:
    """The manifest of a table. Raises `StoreError` where the table is not complete."""
    path = manifest_path(day, table)
    try:
        return TableManifest.from_json(store.get(path))
    except NotFoundError as error:
        raise NotFoundError(
            f"{table} of {day} is not complete: there is no {store.url_of(path)};"
            " materialize the table first"
        ) from error
    except ValueError as error:
        raise StoreError(
            f"{store.url_of(path)} cannot be read: {error}; materialize the table again"
        ) from error


def read_day(store: Store, day: str) -> DayManifest:
    """The manifest of a day. Raises `StoreError` where the day is not complete."""
    path = manifest_path(day)
    try:
        return DayManifest.from_json(store.get(path))
    except NotFoundError as error:
        raise NotFoundError(f"{day} is not complete: there is no {store.url_of(path)}") from error
    except ValueError as error:
        raise StoreError(f"{store.url_of(path)} cannot be read: {error}") from error


def read_table(store: Store, day: str, table: str) -> pl.LazyFrame:
    """The rows of a complete table, in the order of its parts, read as they are needed.

    A NUMBER is Int64, but for properties (PROPERTY_*), which are decimal text as HubSpot
    gives it; all other types are as the table was written, NULL and "" apart.
    Raises `StoreError` where the table is not complete or a part is missing, and once the rows
    are read, where a part is not the one that was written.
    """
    manifest = read_manifest(store, day, table)
    for path in missing_parts(day, manifest.parts, store.list(f"{day}/{table}")):
        raise _damaged(store, path)
    schema = csv_schema(manifest)

    def read(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        _batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for part in manifest.parts:
            if left is not None and left <= 0:
                return
            frame = read_part(store, day, part, schema, n_rows=left)
            left = None if left is None else left - frame.height
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if columns is None else frame.select(columns)

    return register_io_source(read, schema=schema, explain_name=f"{table} of {day}")


def csv_schema(manifest: TableManifest) -> pl.Schema:
    """What `read_table` gives, before a part has been read."""
    return pl.Schema({column.name: _dtype(column, manifest.key) for column in manifest.columns})


def read_part(
    store: Store,
    day: str,
    part: Part,
    schema: pl.Schema,
    columns: list[str] | None = None,
    n_rows: int | None = None,
) -> pl.DataFrame:
    """Rows of a part, of all `columns` of its `schema` or some. Raises `StoreError` where it is
    not the one that was written."""
    data = store.get(f"{day}/{part.path}")
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise _damaged(store, f"{day}/{part.path}")
    return pl.read_csv(io.BytesIO(data), schema=schema, columns=columns, n_rows=n_rows)


def _damaged(store: Store, path: str) -> StoreError:
    day, table, *_ = path.split("/")
    return StoreError(
        f"{store.url_of(path)} is missing or not as its manifest says;"
        f" materialize {table} of {day} again"
    )


def _dtype(column: Column, key: Collection[str]) -> pl.DataType:
    # A key called so is the id of a custom object "Property" in its associations.
    is_property = column.name.startswith("PROPERTY_") and column.name not in key
    if column.type == "NUMBER" and is_property:
        return pl.String()
    return DTYPES[column.type][0]
