"""Small tables for the tests, and readers that are not ours."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from hubspot_assets.export import write_table
from hubspot_assets.storage import Store
from hubspot_assets.tables.content import Findings, TableContent
from hubspot_assets.tables.spec import Column, TableSpec

DAY = "2026-11-22"
AS_OF = datetime(2026, 11, 23, tzinfo=UTC)

NOTES = TableSpec(
    name="NOTES",
    columns=(
        Column("ID", "NUMBER", "Id"),
        Column("TEXT", "VARCHAR", "Text"),
        Column("AT", "TIMESTAMP", "Moment"),
    ),
    key=("ID",),
    description="Notes.",
    group="tests",
    point_in_time=True,
)


def notes(texts: Iterable[str | None], start: int = 0) -> pl.DataFrame:
    texts = list(texts)
    ids = range(start, start + len(texts))
    return pl.DataFrame(
        {"ID": list(ids), "TEXT": texts, "AT": [1_763_856_000_000 + i for i in ids]},
        schema={"ID": pl.Int64, "TEXT": pl.String, "AT": pl.Int64},
    ).with_columns(pl.col("AT").cast(pl.Datetime("ms")))


def content(
    *folders: tuple[str, Iterable[Any]],
    spec: TableSpec = NOTES,
    findings: Findings | None = None,
) -> TableContent:
    return TableContent(spec, folders, AS_OF, point_in_time=True, findings=findings or Findings())


def write(store: Store, *folders: tuple[str, Iterable[Any]], day: str = DAY, **more: Any) -> Any:
    how = {name: more.pop(name) for name in ("part_bytes", "parquet") if name in more}
    return write_table(store, day, content(*folders, **more), "run", "1.0", **how)


def paths(store: Store, below: str = DAY) -> list[str]:
    return [entry.path.removeprefix(f"{below}/") for entry in store.list(below)]


def by_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def by_duckdb(parts: Iterable[bytes], folder: Path) -> list[tuple[Any, ...]]:
    for number, part in enumerate(parts):
        (folder / f"duck-{number:05d}.csv.gz").write_bytes(part)
    return (
        duckdb.connect()
        .sql(
            f"select * from read_csv('{folder}/duck-*.csv.gz', header=true, all_varchar=true,"
            " delim=',', quote='\"', escape='\"', allow_quoted_nulls=false)"
        )
        .fetchall()
    )


def bodies(store: Store, manifest: Any) -> Iterator[bytes]:
    return (gzip.decompress(store.get(f"{manifest.day}/{part.path}")) for part in manifest.parts)
