"""Every `Table` as Dagster's asset, and the way to the IO manager."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import dagster as dg

from hubspot_assets.assets.checks import check_results, check_specs
from hubspot_assets.assets.failures import blamed
from hubspot_assets.assets.labels import Labels
from hubspot_assets.assets.lineage import Lineage
from hubspot_assets.assets.resources import StagingResource
from hubspot_assets.day import Day
from hubspot_assets.export.io_manager import CsvExportIOManager
from hubspot_assets.tables.spec import TableSpec
from hubspot_assets.tables.specs import PROPERTY_DEFINITIONS
from hubspot_assets.tables.table import Table

IO_MANAGER = "csv_export"
#: The metadata that names an asset's table; other assets have none.
TABLE = "dagster/table_name"


def table_assets(
    tables: Sequence[Table],
    lineage: Lineage,
    partitions: dg.PartitionsDefinition[str],
    zone: ZoneInfo,
    labels: Labels,
) -> list[dg.AssetsDefinition]:
    """An asset, and a step, per table."""
    return [_asset(each, lineage, partitions, zone, labels) for each in tables]


def _asset(
    table: Table,
    lineage: Lineage,
    partitions: dg.PartitionsDefinition[str],
    zone: ZoneInfo,
    labels: Labels,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=table.spec.name,
        specs=[_spec(table, lineage, partitions, labels)],
        check_specs=check_specs(table.spec, labels, partitions),
    )
    def asset(
        context: dg.AssetExecutionContext,
        staging: StagingResource,
        csv_export: dg.ResourceParam[CsvExportIOManager],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:  # type: ignore[type-arg]
        day = Day.named(context.partition_key, zone)
        with blamed(context, lineage.keys):
            content = table.content(staging.day(day), day)
        yield dg.MaterializeResult(value=content)
        if content.findings.warnings:
            context.log.warning("\n".join(content.findings.warnings))
        yield from check_results(context, table.spec, csv_export)

    return asset


def _spec(
    table: Table,
    lineage: Lineage,
    partitions: dg.PartitionsDefinition[str],
    labels: Labels,
) -> dg.AssetSpec:
    spec = table.spec
    described_in = dg.MetadataValue.asset(labels.key(PROPERTY_DEFINITIONS.name))
    return dg.AssetSpec(
        labels.key(spec.name),
        description=spec.description,
        deps=lineage.nearest(table.sources),
        group_name=spec.group,
        kinds={"csv", "polars"},
        owners=labels.owners,
        tags=labels.tags(table.object_type_ids),
        partitions_def=partitions,
        metadata={
            "dagster/column_schema": column_schema(spec),
            TABLE: spec.name,
            "key": ", ".join(spec.key),
            # Columns of properties are as many as a portal has: too many to be told with each.
            **({"property_columns_described_in": described_in} if spec.wide else {}),
        },
    ).with_io_manager_key(IO_MANAGER)


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The table's columns as Dagster shows them; those per property are left out."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                column.description,
                dg.TableColumnConstraints(nullable=column.name not in spec.key),
            )
            for column in spec.columns
        ]
    )
