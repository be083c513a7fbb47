"""What of a table changed from one day to another, by key, in one pass over both.

Rows come in the order of their key within each sub-folder, so both days are walked through side by
side and never held whole. Cells are compared as the text of the CSV: what differs there, HubSpot
told otherwise. INGESTEDAT, which is another with each reading, is not looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from hubspot_assets.export import Part, TableManifest
from hubspot_assets.export.reader import csv_schema, read_part
from hubspot_assets.reader import Export, ReaderError
from hubspot_assets.storage import Store

_UNSEEN = "INGESTEDAT"
_AFTER = " after"  # no column is called so
_ROWS = 50_000  # of a part, side by side with as many at most

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row by its key, and the text of the cells that differ, before and after."""

    key: Row
    cells: Mapping[str, tuple[str | None, str | None]]


@dataclass(slots=True)
class TableDiff:
    """How a table of one day differs from that of another.

    `cells` counts changed ones by column. `columns_added` and `columns_removed` are names,
    `columns_retyped` both types by name; those, and columns of one day alone, are not compared.
    The lists of rows are samples.
    """

    before: TableManifest
    after: TableManifest
    added: int = 0
    removed: int = 0
    changed: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    columns_retyped: dict[str, tuple[str, str]] = field(default_factory=dict)
    added_rows: list[Row] = field(default_factory=list)
    removed_rows: list[Row] = field(default_factory=list)
    changed_rows: list[ChangedRow] = field(default_factory=list)


def diff(export: Export, table: str, before: str, after: str, sample: int = 0) -> TableDiff:
    """What became of the rows of `table` from one day to the other, with up to `sample` rows of
    each kind.

    Raises ReaderError for a day or table that is not there, StoreError where a part is damaged.
    """
    manifests = export.manifest(table, before), export.manifest(table, after)
    old, new = manifests
    if old.key != new.key or _types(old, old.key) != _types(new, new.key):
        raise ReaderError(f"{table} has another key on {new.day} than on {old.day}")
    types = [_types(each) for each in manifests]
    found = TableDiff(
        *manifests,
        columns_added=[name for name in types[1] if name not in types[0]],
        columns_removed=[name for name in types[0] if name not in types[1]],
        columns_retyped={
            name: (kind, types[1][name])
            for name, kind in types[0].items()
            if types[1].get(name, kind) != kind
        },
    )
    compared = [
        name
        for name, kind in types[0].items()
        if types[1].get(name) == kind and name not in (*old.key, _UNSEEN)
    ]
    parts = [_by_folder(each) for each in manifests]
    for folder in dict.fromkeys([*parts[0], *parts[1]]):
        left, right = (
            _rows(export.store, manifest, of.get(folder, ()), compared)
            for manifest, of in zip(manifests, parts, strict=True)
        )
        for pair in _side_by_side(left, right, old.key):
            _compare(found, *pair, compared, sample)
    return found


def _types(manifest: TableManifest, only: Sequence[str] | None = None) -> dict[str, str]:
    return {c.name: c.type for c in manifest.columns if only is None or c.name in only}


def _by_folder(manifest: TableManifest) -> dict[str, list[Part]]:
    parts: dict[str, list[Part]] = {}
    for part in manifest.parts:
        parts.setdefault(part.path.rpartition("/")[0], []).append(part)
    return parts


def _rows(
    store: Store, manifest: TableManifest, parts: Sequence[Part], compared: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """The rows of one sub-folder: the key in its types, in whose order they come, the rest as
    text."""
    schema = csv_schema(manifest)
    schema.update(dict.fromkeys(compared, pl.String()))
    for part in parts:
        frame = read_part(store, manifest.day, part, schema, [*manifest.key, *compared])
        for start in range(0, frame.height, _ROWS):
            yield frame[start : start + _ROWS]


def _side_by_side(
    before: Iterator[pl.DataFrame], after: Iterator[pl.DataFrame], key: Sequence[str]
) -> Iterator[tuple[pl.DataFrame | None, pl.DataFrame | None]]:
    """Frames of both that hold the same range of keys; None where one side is at its end."""
    left, right = next(before, None), next(after, None)
    while left is not None and right is not None:
        last = min(left.select(key).row(-1), right.select(key).row(-1))
        ends = [int(each.select(_up_to(key, last, each).sum()).item()) for each in (left, right)]
        yield left[: ends[0]], right[: ends[1]]
        left = left[ends[0] :] if ends[0] < left.height else next(before, None)
        right = right[ends[1] :] if ends[1] < right.height else next(after, None)
    while left is not None:
        yield left, None
        left = next(before, None)
    while right is not None:
        yield None, right
        right = next(after, None)


def _up_to(key: Sequence[str], last: Sequence[Any], frame: pl.DataFrame) -> pl.Expr:
    """Whether a row's key does not come after `last`."""
    up_to = pl.lit(value=True)
    for name, value in zip(reversed(key), reversed(last), strict=True):
        end = pl.lit(value, frame.schema[name])
        up_to = (pl.col(name) < end) | ((pl.col(name) == end) & up_to)
    return up_to


def _compare(
    found: TableDiff,
    before: pl.DataFrame | None,
    after: pl.DataFrame | None,
    compared: Sequence[str],
    sample: int,
) -> None:
    """Add up what two frames of the same range of keys tell."""
    key, met = list(found.before.key), 0
    if before is not None and after is not None:
        renamed = after.rename({name: f"{name}{_AFTER}" for name in compared})
        both = before.join(renamed, on=key, how="inner", maintain_order="left")
        _compare_cells(found, both, compared, sample)
        met = both.height
    found.added += _alone(after, before, met, key, found.added_rows, sample)
    found.removed += _alone(before, after, met, key, found.removed_rows, sample)


def _alone(
    mine: pl.DataFrame | None,
    other: pl.DataFrame | None,
    met: int,
    key: list[str],
    rows: list[Row],
    sample: int,
) -> int:
    """How many rows have none of their key beside them; the keys of some are added to `rows`."""
    alone = 0 if mine is None else mine.height - met
    if mine is not None and alone and len(rows) < sample:
        lonely = mine if other is None else mine.join(other, on=key, how="anti")
        rows += lonely.select(key).sort(key).head(sample - len(rows)).rows(named=True)
    return alone


def _compare_cells(
    found: TableDiff, both: pl.DataFrame, compared: Sequence[str], sample: int
) -> None:
    if not compared:
        return
    differs = both.select(
        pl.col(name).ne_missing(pl.col(f"{name}{_AFTER}")).alias(name) for name in compared
    )
    found.cells.update({name: n for name, n in differs.sum().row(0, named=True).items() if n})
    changed = differs.select(pl.any_horizontal(pl.all())).to_series()
    found.changed += int(changed.sum())
    for row in both.filter(changed).head(sample - len(found.changed_rows)).rows(named=True):
        cells = {name: (row[name], row[f"{name}{_AFTER}"]) for name in compared}
        found.changed_rows.append(
            ChangedRow(
                {name: row[name] for name in found.before.key},
                {name: (old, new) for name, (old, new) in cells.items() if old != new},
            )
        )
