"""What all table assets have in common: key, metadata, and the way to the IO manager."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import dagster as dg

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.resources import StagingResource
from hubspot_assets.export import TableContent
from hubspot_assets.readings.staging import NotStagedError, Staging
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
    return table_assets(spec.name, [(spec, deps, make)], partitions)


def table_assets(
    name: str,
    tables: Sequence[tuple[TableSpec, Iterable[dg.AssetKey], Make]],
    partitions: dg.PartitionsDefinition[str],
) -> dg.AssetsDefinition:
    """Tables, with what they depend on and how they are made, as the assets of one step.

    Any subset can be run. Many small tables are better off together: a step of its own takes
    longer than most of them.
    """
    by_key = {table_key(spec): (spec, make) for spec, _, make in tables}

    @dg.multi_asset(
        name=name,
        specs=[_asset_spec(spec, deps, partitions) for spec, deps, _ in tables],
        can_subset=len(tables) > 1,
    )
    def assets(
        context: dg.AssetExecutionContext, staging: StagingResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        staged, day = staging.day(context.partition_key), Day.of(context)
        keys = [key for key in by_key if key in context.selected_asset_keys]
        for key in keys:
            spec, make = by_key[key]
            try:
                content = make(staged, day)
            except NotStagedError as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            content = replace(content, followed=key != keys[-1])
            yield dg.MaterializeResult(asset_key=key, value=content)
            for warning in content.findings.warnings:
                context.log.warning(f"{spec.name}: {warning}")  # noqa: G004

    return assets


def _asset_spec(
    spec: TableSpec, deps: Iterable[dg.AssetKey], partitions: dg.PartitionsDefinition[str]
) -> dg.AssetSpec:
    return dg.AssetSpec(
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


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The table's columns as Dagster shows them; those per property are left out."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.name, column.type, column.description) for column in spec.columns
        ]
    )
