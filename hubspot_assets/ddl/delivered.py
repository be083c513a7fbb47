"""The tables of a complete day, as its manifests tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hubspot_assets.export.complete import complete_days, is_day
from hubspot_assets.export.manifest import PARQUET, TableManifest, parquet_folder
from hubspot_assets.export.reader import read_day, read_manifest
from hubspot_assets.settings import SettingsError
from hubspot_assets.storage.errors import NotFoundError
from hubspot_assets.storage.store import Store
from hubspot_assets.tables.parquet_types import ParquetType, parquet_type

_READERS = 16


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """A column by its name in the files."""

    name: str
    type: ParquetType
    description: str


@dataclass(frozen=True, slots=True)
class DeliveredTable:
    """A table of a day: what is in its files, and where those are, relative to the root."""

    name: str
    day: str
    portal_id: int | None
    columns: tuple[TypedColumn, ...]
    key: tuple[str, ...]
    rows: int
    csv: tuple[str, ...]
    parquet: tuple[str, ...]

    @classmethod
    def of(cls, manifest: TableManifest) -> DeliveredTable:
        """The table of a manifest."""
        return cls(
            manifest.table,
            manifest.day,
            manifest.portal_id,
            tuple(
                TypedColumn(each.name, parquet_type(each, manifest.key), each.description)
                for each in manifest.columns
            ),
            manifest.key,
            manifest.rows,
            tuple(f"{manifest.day}/{part.path}" for part in manifest.parts),
            tuple(file.path for file in manifest.files if file.format == PARQUET),
        )

    @property
    def parquet_root(self) -> str:
        """The folder of its Parquet files of all days."""
        return f"{PARQUET}/{self.name}"

    @property
    def parquet_folder(self) -> str:
        """That of the day."""
        return parquet_folder(self.day, self.name)


def delivered_tables(store: Store, day: str, select: Sequence[str] = ()) -> list[DeliveredTable]:
    """The tables of the day `day`, by name; those of `select`, if it has any.

    Raises SettingsError where the day is not complete or has no such table, and StoreError.
    """
    if not is_day(day):
        raise SettingsError(f"day: found {day!r}, expected a day, as 2026-11-20")
    try:
        names = [each.table for each in read_day(store, day).tables]
    except NotFoundError as error:
        raise SettingsError(f"day: {error}") from None
    wanted = sorted(set(select)) if select else names
    if unknown := sorted(set(wanted) - set(names)):
        raise SettingsError(
            f"select: found {', '.join(unknown)}, expected any of the {len(names)} tables of {day},"
            f" as {names[0]}"
        )

    def read(name: str) -> DeliveredTable:
        return DeliveredTable.of(read_manifest(store, day, name))

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read, wanted))


def days(store: Store) -> list[str]:
    """The days that have a folder, complete or not, in order."""
    return sorted(filter(is_day, store.folders()))


def newest_day(store: Store) -> str:
    """The newest complete day. Raises SettingsError where there is none, and StoreError."""
    if newest := complete_days(store).newest:
        return newest
    raise SettingsError(
        "EXPORT_URL: found no complete day there, expected one; `hubspot-assets export` delivers it"
    )
