"""Reads an export from Python, wherever it is, without Dagster.

    from hubspot_assets import reader

    export = reader.open("s3://my-bucket/hubspot")       # or a folder
    export.newest                                        # '2026-11-22'
    deals = export.scan("OBJECTS_DEALS")                 # a polars LazyFrame of the newest day
    export.scan("OBJECTS_DEALS", export.days[-30:])      # of thirty days, with a column DAY

Only complete days are read. Types are those of the manifest, whether rows come from Parquet or from
CSV: ids Int64, other numbers Decimal(38, 10), time stamps in microseconds, UTC, without zone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
from polars.io.plugins import register_io_source

from hubspot_assets.export import (
    DayManifest,
    TableManifest,
    complete_days,
    read_day,
    read_manifest,
)
from hubspot_assets.export.manifest import File, Format, Part
from hubspot_assets.export.parquet import as_parquet, parquet_schema
from hubspot_assets.export.reader import csv_schema, read_part
from hubspot_assets.storage import NotFoundError, Store, StoreError, open_store
from hubspot_assets.tables.parquet_types import parquet_type
from hubspot_assets.tables.spec import Column

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Export", "ReaderError", "StoreError", "open"]

DAY = "DAY"


class ReaderError(Exception):
    """What was asked for is not there, or not so: a line on what, and what there is."""


def open(url: str | Path, s3: Callable[[], S3Client] | None = None) -> Export:  # noqa: A001  (as files are)
    """The export at `url`: `s3://bucket/prefix`, or a folder. Nothing is read yet.

    `s3` makes a boto3 client; without it credentials and settings are found as boto3 finds them.
    Raises `StoreError` for a URL that is neither.
    """
    return Export(open_store(url, s3))


@dataclass(frozen=True, slots=True)
class Export:
    """An export in a bucket or a folder.

    Everything raises `ReaderError` for what is not there, and `StoreError` where the place can't
    be reached or a file is damaged.
    """

    store: Store

    @property
    def days(self) -> list[str]:
        """The complete days (ISO), oldest first, as the export tells at this moment."""
        return list(complete_days(self.store).days)

    @property
    def newest(self) -> str:
        """The newest complete day."""
        if not (days := self.days):
            raise ReaderError("no day is complete yet")
        return days[-1]

    def day(self, day: str | None = None) -> DayManifest:
        """The manifest of a complete day, by default of the newest."""
        day = self.newest if day is None else _iso(day)
        try:
            return read_day(self.store, day)
        except NotFoundError:
            complete = self.days
            raise ReaderError(
                f"{day} is not complete; "
                + (f"the newest day that is: {complete[-1]}" if complete else "no day is yet")
            ) from None

    def tables(self, day: str | None = None) -> list[str]:
        """The names of the tables of a day."""
        return [each.table for each in self.day(day).tables]

    def manifest(self, table: str, day: str | None = None) -> TableManifest:
        """What the export tells of a table of a day: columns, key, counts, warnings, files."""
        told = self.day(day)
        names = [each.table for each in told.tables]
        if table not in names:
            alike = get_close_matches(table.upper(), names, n=3, cutoff=0.5)
            raise ReaderError(
                f"{table} is none of the {len(names)} tables of {told.day}"
                + (f"; expected one as {', '.join(alike)}" if alike else "")
            )
        return read_manifest(self.store, told.day, table)

    def files(self, table: str, day: str | None = None) -> list[str]:
        """Where the Parquet files of a table are, for engines that read them by themselves."""
        manifest = self.manifest(table, day)
        _need_parquet(manifest)
        return [self.store.url_of(file.path) for file in manifest.files]

    def scan(
        self,
        table: str,
        days: str | Sequence[str] | None = None,
        *,
        format: Format | None = None,  # noqa: A002
        retyped: Literal["error", "text"] = "error",
    ) -> pl.LazyFrame:
        """The rows of a table, read as they are needed, in the order of the export.

        `days` is one, by default the newest, or several, which give a column DAY in front. Columns
        that a day lacks are NULL there; the order is that of the newest of them. A column whose
        type is another on another day is an error, or text if `retyped` says so. `format` is
        what is read: Parquet, where a day has it, unless it is told.
        """
        single = days is None or isinstance(days, str)
        wanted = [days] if days is None or isinstance(days, str) else sorted(set(days))
        if not wanted:
            raise ReaderError("no days are asked for")
        manifests = [self.manifest(table, day) for day in wanted]
        if format == "parquet":
            for each in manifests:
                _need_parquet(each)
        changed = _retyped(manifests)
        if changed and retyped == "error":
            raise ReaderError(f"{next(iter(changed.values()))}; read fewer days, or it as text")
        # What it was before it became a decimal, only the CSV tells.
        source: Format | None = "csv" if changed else format
        table_of = _Union(self.store, manifests, set(changed), source, dated=not single)
        return register_io_source(table_of.read, schema=table_of.schema, explain_name=table)


class _Union:
    """A table of one or several days, under the columns of all of them."""

    def __init__(
        self,
        store: Store,
        manifests: Sequence[TableManifest],
        as_text: set[str],
        source: Format | None,
        *,
        dated: bool,
    ) -> None:
        self._store = store
        self._manifests = manifests
        self._as_text = as_text
        self._source = source
        self.schema = pl.Schema({DAY: pl.Date()} if dated else {})
        for manifest in reversed(manifests):
            for name, dtype in self._types(manifest).items():
                self.schema.setdefault(name, dtype)

    def read(
        self,
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        _batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        """As polars asks an IO source for frames: one for each part or file."""
        shown = list(self.schema) if columns is None else columns
        needed = dict.fromkeys(shown)
        if predicate is not None:
            needed |= dict.fromkeys(predicate.meta.root_names())
        left = n_rows
        for manifest in self._manifests:
            files = manifest.files if self._source != "csv" else ()
            for each in files or manifest.parts:
                if left is not None and left <= 0:
                    return
                frame = self._frame(manifest, each, list(needed), left)
                left = None if left is None else left - frame.height
                frame = frame if predicate is None else frame.filter(predicate)
                yield frame.select(shown)

    def _frame(
        self, manifest: TableManifest, of: File | Part, needed: list[str], n_rows: int | None
    ) -> pl.DataFrame:
        types = self._types(manifest)
        some = [name for name in needed if name in types] or [next(iter(types))]
        if isinstance(of, File):
            frame = _of_file(self._store, of, some, n_rows)
        else:
            schema = csv_schema(manifest)
            schema.update(dict.fromkeys(self._as_text & schema.keys(), pl.String()))
            frame = read_part(self._store, manifest.day, of, schema, some, n_rows)
        lacking = {name: pl.lit(None, self.schema[name]) for name in needed if name not in types}
        if DAY in lacking:
            lacking[DAY] = pl.lit(date.fromisoformat(manifest.day))
        typed = frame.select(as_parquet(name, frame.schema[name], types[name]) for name in some)
        return typed.with_columns(**lacking)

    def _types(self, manifest: TableManifest) -> pl.Schema:
        types = parquet_schema(manifest.columns, manifest.key)
        types.update(dict.fromkeys(self._as_text & types.keys(), pl.String()))
        return types


def _of_file(store: Store, file: File, columns: list[str], n_rows: int | None) -> pl.DataFrame:
    """Rows of a Parquet file. Raises `StoreError` where it is not the one that was written."""
    with store.local_copy(file.path) as path:
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                raise StoreError(
                    f"{store.url_of(file.path)} is not as its manifest says; materialize its table "
                    "of that day again"
                )
        return pl.read_parquet(path, columns=columns, n_rows=n_rows, glob=False)


def _retyped(manifests: Sequence[TableManifest]) -> dict[str, str]:
    """By name, what is to be said of each column whose type is not the same on all days."""
    first: dict[str, tuple[str, Column, str]] = {}
    found: dict[str, str] = {}
    for manifest in manifests:
        for column in manifest.columns:
            type_ = parquet_type(column, manifest.key)
            day, before, type_before = first.setdefault(column.name, (manifest.day, column, type_))
            if type_ != type_before:
                found[column.name] = (
                    f"{column.name} of {manifest.table} is {before.type} on {day} and "
                    f"{column.type} on {manifest.day}"
                )
    return found


def _need_parquet(manifest: TableManifest) -> None:
    if not manifest.files:
        raise ReaderError(
            f"{manifest.table} of {manifest.day} has no Parquet: the day was delivered without "
            "EXPORT_FORMATS=csv,parquet"
        )


def _iso(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except (ValueError, TypeError):
        raise ReaderError(f"found {day!r}, expected a day, as 2026-11-20") from None
