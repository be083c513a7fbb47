"""The IO manager of every table: writes what an asset made, and loads it back."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from hubspot_assets import __version__
from hubspot_assets.export.console import console_url
from hubspot_assets.export.days import complete_day
from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import DayTable, TableManifest, manifest_path
from hubspot_assets.export.reader import read_day, read_table
from hubspot_assets.export.writer import write_table
from hubspot_assets.storage.errors import NotFoundError, StoreError
from hubspot_assets.storage.leases import Lease, Leases
from hubspot_assets.storage.owner import owned
from hubspot_assets.storage.store import Store, open_store
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.counts import UNPARSED
from hubspot_assets.tables.spec import TableSpec

Told = Callable[[TableManifest], object]
"""Hears of a table that is complete."""

_ROWS_BY_FOLDER = dg.TableSchema(
    [dg.TableColumn("folder", "string"), dg.TableColumn("rows", "int")]
)


class CsvExportIOManager(dg.ConfigurableIOManager):
    """Writes each `TableContent` as the day's gzip CSV parts and manifest, and the same rows as
    Parquet if it is to.

    The asset's key ends with the table's name, its partition is the day. What cannot be
    written fails the step without a retry, unless the store may soon be well again.
    """

    url: str = Field(description="Where the export goes: s3://bucket/prefix, or a folder.")
    s3: dg.ResourceDependency[S3Resource]
    portal_id: int | None = Field(
        default=None, description="Whose tables they are; where unknown, the store tells."
    )
    parquet: bool = Field(default=False, description="Whether Parquet files stand beside the CSV.")
    #: The tables of a whole day, once all of which are complete its manifest is written.
    _tables: tuple[str, ...] = PrivateAttr(default=())
    _told: Told = PrivateAttr(default=lambda _: None)
    _store: Store | None = PrivateAttr(default=None)
    _owner: int | None = PrivateAttr(default=None)
    #: By day its end and what the run has written of it since it was last looked through.
    _written: dict[str, tuple[datetime, dict[str, TableManifest]]] = PrivateAttr(
        default_factory=dict
    )
    _leases: Leases | None = PrivateAttr(default=None)
    _last: TableManifest | None = PrivateAttr(default=None)
    #: By day the tables of the complete day before it.
    _before: dict[str, Mapping[str, DayTable]] = PrivateAttr(default_factory=dict)

    @property
    def store(self) -> Store:
        """The store at `url`, opened when first used. Raises OtherPortalError."""
        if self._store is None:
            store = open_store(self.url, self.s3.get_client)
            self._owner = owned(store, self.portal_id, "EXPORT_URL")
            self._store = store
        return self._store

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """The beginning of a run, or of one of its steps where it has a process of its own."""
        self._leases = Leases(context.run.run_id) if context.run else None

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Its end: others may write the days that it wrote.

        A day whose last table was not written by the run, as it failed, may be complete all the
        same, by what was there before.
        """
        for day, (as_of, _) in tuple(self._written.items()):
            try:
                self._complete(day, as_of, context.run.run_id if context.run else "")
            except StoreError as error:
                dg.get_dagster_logger().warning(f"{day} is not published: {error}")
        if self._leases:
            self._leases.release()

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write a table, and the day's manifest if it is the last one of its day."""
        if not isinstance(obj, TableContent):
            raise TypeError(
                f"{context.asset_key.to_user_string()} must give a TableContent,"
                f" but gave a {type(obj).__name__}"
            )
        _check_name(context.asset_key, obj.spec)
        started = time.monotonic()
        day = context.partition_key
        try:
            store, lease = self.store, self._lease(day)
            manifest = write_table(
                store,
                day,
                obj,
                context.run_id,
                __version__,
                lease=lease,
                portal_id=self._owner,
                parquet=self.parquet,
            )
            _, written = self._written.setdefault(day, (obj.as_of, {}))
            written[manifest.table] = manifest
            self._told(manifest)
            if not _to_come(context) & set(self._tables) - written.keys():
                self._complete(day, obj.as_of, context.run_id)
        except (StoreError, TableError) as error:
            raise _failure(error) from error
        self._last = manifest
        metadata = self._metadata(manifest, obj.spec)
        context.add_output_metadata({**metadata, "seconds": round(time.monotonic() - started, 3)})

    @property
    def last(self) -> TableManifest:
        """The table that was written last by this process of the run."""
        if self._last is None:
            raise LookupError("nothing has been written yet")
        return self._last

    def day_before(self, day: str) -> Mapping[str, DayTable]:
        """The tables of the day before `day` by name; none where it is not complete.

        Raises StoreError.
        """
        if day not in self._before:
            before = date.fromisoformat(day) - timedelta(days=1)
            try:
                tables = read_day(self.store, before.isoformat()).tables
            except NotFoundError:
                tables = ()
            self._before[day] = {each.table: each for each in tables}
        return self._before[day]

    def _lease(self, day: str) -> Lease | None:
        """The run's, kept until it ends; None where there is no run."""
        if self._leases is None:
            return None
        return self._leases.of(self.store, day, dg.get_dagster_logger().warning)

    def _complete(self, day: str, as_of: datetime, run_id: str) -> None:
        """Publishes a day if all its tables are there, once the run has written its own."""
        _, written = self._written.pop(day)
        if self._tables:
            complete_day(
                self.store,
                day,
                self._tables,
                as_of,
                run_id,
                __version__,
                lease=self._lease(day),
                portal_id=self._owner,
                written=written.values(),
            )

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """The table of the upstream asset's partition."""
        try:
            return read_table(self.store, context.asset_partition_key, _table_of(context.asset_key))
        except StoreError as error:
            raise _failure(error) from error

    def _metadata(self, manifest: TableManifest, spec: TableSpec) -> Mapping[str, Any]:
        path = f"{manifest.day}/{manifest.table}"
        metadata: dict[str, Any] = {
            "dagster/uri": self._link(path),
            "manifest": self._link(manifest_path(manifest.day, manifest.table)),
            "dagster/row_count": manifest.rows,
            "dagster/partition_row_count": manifest.rows,
            "dagster/size_bytes": manifest.bytes,
            "parts": len(manifest.parts),
            "availability": manifest.availability.status,
            "warnings": len(manifest.warnings),
            **({UNPARSED: 0} if spec.wide else {}),  # a plot needs the days without, too
            # The manifest has all; those that are 0 filled a tenth of the event log.
            **{name: number for name, number in manifest.counts.items() if number},
        }
        if manifest.files:
            metadata["parquet_bytes"] = sum(file.bytes for file in manifest.files)
        if console := console_url(
            self.store.url_of(path), self.s3.region_name, self.s3.endpoint_url
        ):
            metadata["folder_in_the_console"] = dg.MetadataValue.url(console)
        if spec.wide:
            names = [column.name for column in spec.columns]
            metadata["property_columns"] = sum(map(_is_property, names))
        if folders := _rows_by_folder(manifest):
            metadata["rows_by_folder"] = dg.TableMetadataValue(
                [dg.TableRecord({"folder": name, "rows": n}) for name, n in folders.items()],
                _ROWS_BY_FOLDER,
            )
        return metadata

    def _link(self, path: str) -> dg.MetadataValue[str]:
        url = self.store.url_of(path)
        return dg.MetadataValue.url(url) if "://" in url else dg.MetadataValue.path(url)


def of_whole_days(tables: Iterable[str], told: Told = lambda _: None) -> type[CsvExportIOManager]:
    """The IO manager that writes a day's manifest once all these tables of it are complete.

    `told` hears of each table that it has written. They are no config of it: a launchpad would
    show hundreds of names.
    """

    class OfWholeDays(CsvExportIOManager):
        _tables: tuple[str, ...] = PrivateAttr(default=tuple(tables))
        _told: Told = PrivateAttr(default_factory=lambda: told)  # a default would be copied

    return OfWholeDays


def _to_come(context: dg.OutputContext) -> set[str]:
    """The tables of the run, or of its part in this process, whose steps have their names."""
    return set(context.step_context.execution_plan.step_keys_to_execute)


def _table_of(key: dg.AssetKey) -> str:
    return key.path[-1].upper()


def _check_name(key: dg.AssetKey, spec: TableSpec) -> None:
    if _table_of(key) != spec.name:
        raise dg.Failure(
            f"the asset {key.to_user_string()} gave the table {spec.name};"
            " its key must end with the table's name",
            allow_retries=False,
        )


def _failure(error: StoreError | TableError) -> dg.Failure:
    """Only where the store may soon be well again is a retry worth its requests."""
    passing = isinstance(error, StoreError) and error.passing
    return dg.Failure(str(error), allow_retries=passing)


def _is_property(column: str) -> bool:
    return column.startswith("PROPERTY_") and not column.startswith("PROPERTY_UNPARSED_")


def _rows_by_folder(manifest: TableManifest) -> Mapping[str, int]:
    """Rows of each sub-folder, the most first; nothing for a table that has none."""
    rows: Counter[str] = Counter()
    for part in manifest.parts:
        _, *folder, _ = part.path.split("/")
        rows.update(dict.fromkeys(folder, part.rows))
    return dict(rows.most_common())
