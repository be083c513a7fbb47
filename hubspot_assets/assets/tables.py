"""Every `Table` as Dagster's asset, and the way to the IO manager."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from zoneinfo import ZoneInfo

import dagster as dg

from hubspot_assets.assets.resources import StagingResource
from hubspot_assets.day import Day
from hubspot_assets.readings.staging import NotStagedError
from hubspot_assets.storage import OtherPortalError
from hubspot_assets.storage.leases import LeaseError
from hubspot_assets.tables.spec import TableSpec
from hubspot_assets.tables.table import Table

IO_MANAGER = "csv_export"


def table_assets(
    tables: Sequence[Table],
    sources: Mapping[str, dg.AssetKey],
    partitions: dg.PartitionsDefinition[str],
    zone: ZoneInfo,
) -> list[dg.AssetsDefinition]:
    """An asset per table, made of `sources` by their names. Those of one step are one step's, of
    which any subset can be run."""
    by_step = groupby(
        sorted(tables, key=lambda each: each.step or each.spec.name),
        lambda each: each.step or each.spec.name,
    )
    return [_step(name, list(group), sources, partitions, zone) for name, group in by_step]


def _step(
    name: str,
    tables: Sequence[Table],
    sources: Mapping[str, dg.AssetKey],
    partitions: dg.PartitionsDefinition[str],
    zone: ZoneInfo,
) -> dg.AssetsDefinition:
    by_key = {_key(each): each for each in tables}

    @dg.multi_asset(
        name=name,
        specs=[_spec(each, sources, partitions) for each in tables],
        can_subset=len(tables) > 1,
    )
    def assets(
        context: dg.AssetExecutionContext, staging: StagingResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        day = Day.named(context.partition_key, zone)
        keys = [key for key in by_key if key in context.selected_asset_keys]
        for key in keys:
            try:
                content = by_key[key].content(staging.day(day), day)
            except NotStagedError as error:
                asset = sources[error.source].to_user_string()
                told = f"{asset} is not staged for {error.day}: materialize it for that day first"
                raise dg.Failure(told, allow_retries=False) from error
            except (OtherPortalError, LeaseError) as error:
                raise dg.Failure(str(error), allow_retries=False) from error
            content = replace(content, followed=key != keys[-1])
            yield dg.MaterializeResult(asset_key=key, value=content)
            for warning in content.findings.warnings:
                context.log.warning(f"{content.spec.name}: {warning}")  # noqa: G004

    return assets


def _key(table: Table) -> dg.AssetKey:
    return dg.AssetKey([table.spec.name])


def _spec(
    table: Table, sources: Mapping[str, dg.AssetKey], partitions: dg.PartitionsDefinition[str]
) -> dg.AssetSpec:
    spec = table.spec
    return dg.AssetSpec(
        _key(table),
        description=spec.description,
        deps=list(dict.fromkeys(sources[each] for each in table.sources)),
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
