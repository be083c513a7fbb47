"""The IO manager of every table: writes what an asset made, and loads it back."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import polars as pl
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from hubspot_assets import __version__
from hubspot_assets.export.days import Known, complete_day
from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import TableManifest, manifest_path
from hubspot_assets.export.reader import read_table
from hubspot_assets.export.writer import write_table
from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.leases import Lease, Leases
from hubspot_assets.storage.owner import owned
from hubspot_assets.storage.store import Entry, Store, open_store
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.spec import TableSpec

_ROWS_BY_FOLDER = dg.TableSchema(
    [dg.TableColumn("folder", "string"), dg.TableColumn("rows", "int")]
)


class CsvExportIOManager(dg.ConfigurableIOManager):
    """Writes each `TableContent` as the day's gzip CSV parts and manifest.

    The asset's key ends with the table's name, its partition is the day. What cannot be
    written fails the step without a retry, unless the store may soon be well again.
    """

    url: str = Field(description="Where the export goes: s3://bucket/prefix, or a folder.")
    s3: dg.ResourceDependency[S3Resource]
    portal_id: int | None = Field(
        default=None, description="Whose tables they are; where unknown, the store tells."
    )
    #: The tables of a whole day, once all of which are complete its manifest is written.
    _tables: tuple[str, ...] = PrivateAttr(default=())
    _store: Store | None = PrivateAttr(default=None)
    _owner: int | None = PrivateAttr(default=None)
    _known: dict[Entry, Known] = PrivateAttr(default_factory=dict)
    _missing: dict[str, set[str]] = PrivateAttr(default_factory=dict)
    _leases: Leases | None = PrivateAttr(default=None)

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

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Its end: others may write the days that it wrote."""
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
                store, day, obj, context.run_id, __version__, lease=lease, portal_id=self._owner
            )
            if self._may_be_last(day, manifest.table):
                told = complete_day(
                    store,
                    day,
                    self._tables,
                    obj.as_of,
                    context.run_id,
                    __version__,
                    self._known,
                    lease,
                    portal_id=self._owner,
                )
                self._missing[day] = set(told) if isinstance(told, list) else set()
        except (StoreError, TableError) as error:
            raise _failure(error) from error
        metadata = self._metadata(manifest, obj.spec)
        context.add_output_metadata({**metadata, "seconds": round(time.monotonic() - started, 3)})

    def _lease(self, day: str) -> Lease | None:
        """The run's, kept until it ends; None where there is no run."""
        if self._leases is None:
            return None
        return self._leases.of(self.store, day, dg.get_dagster_logger().warning)

    def _may_be_last(self, day: str, table: str) -> bool:
        """Whether the day may be complete with this table.

        A day has hundreds of tables: it is looked through when the first is written, and again
        once a table that was missing then is there.
        """
        missing = self._missing.get(day)
        if missing is None:
            return bool(self._tables)
        missing.discard(table)
        return not missing or self.store.exists(manifest_path(day, min(missing)))

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
            **manifest.counts,
        }
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


def of_whole_days(tables: Iterable[str]) -> type[CsvExportIOManager]:
    """The IO manager that writes a day's manifest once all these tables of it are complete.

    They are no config of it: a launchpad would show hundreds of names.
    """

    class OfWholeDays(CsvExportIOManager):
        _tables: tuple[str, ...] = PrivateAttr(default=tuple(tables))

    return OfWholeDays


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
