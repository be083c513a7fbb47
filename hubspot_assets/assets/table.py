"""What all table assets have in common: key, metadata, and the way to the IO manager."""

from collections.abc import Callable, Iterable, Iterator

import dagster as dg

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.resources import StagingResource
from hubspot_assets.export import TableContent
from hubspot_assets.staging.stage import NotStagedError, Staging
from hubspot_assets.tables.spec import TableSpec

IO_MANAGER = "csv_export"

Make = Callable[[Staging, Day], TableContent]


def table_key(spec: TableSpec) -> dg.AssetKey:
    """A table's asset: its name."""
    return dg.AssetKey([spec.name])


def table_asset(
    spec: TableSpec,
    deps: Iterable[dg.AssetKey],
    partitions: dg.PartitionsDefinition[str],
    make: Make,
) -> dg.AssetsDefinition:
    """The asset of a table whose content `make` takes from the staged day."""
    asset_spec = dg.AssetSpec(
        table_key(spec),
        description=spec.description,
        deps=list(deps),
        group_name=spec.group,
        kinds={"csv", "polars"},
        owners=["team:data"],
        partitions_def=partitions,
        metadata={
            "dagster/column_schema": column_schema(spec),
            "dagster/table_name": spec.name,
            "key": ", ".join(spec.key),
        },
    ).with_io_manager_key(IO_MANAGER)

    @dg.multi_asset(name=spec.name, specs=[asset_spec])
    def asset(
        context: dg.AssetExecutionContext, staging: StagingResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        try:
            content = make(staging.day(context.partition_key), Day.of(context))
        except NotStagedError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        yield dg.MaterializeResult(asset_key=asset_spec.key, value=content)
        for warning in content.findings.warnings:
            context.log.warning(f"{spec.name}: {warning}")  # noqa: G004

    return asset


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The table's columns as Dagster shows them; those per property are left out."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, column.type, column.description) for column in spec.columns
        ]
    )
