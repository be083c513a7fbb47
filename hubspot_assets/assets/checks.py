"""What is checked of every table once it is published, and by when it is to be there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from hubspot_assets.assets.labels import Labels
from hubspot_assets.export.io_manager import CsvExportIOManager
from hubspot_assets.export.verdicts import Told, checks_of
from hubspot_assets.settings import Settings
from hubspot_assets.storage import StoreError
from hubspot_assets.tables.spec import TableSpec


def check_specs(
    spec: TableSpec, labels: Labels, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """The checks of a table. None blocks: the table is published, and who is told can judge.

    They have the table's partitions, which Dagster still calls a preview: else it lists each twice,
    as planned for a day that it then does not find among the results, and shows it as skipped.
    """
    key = labels.key(spec.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                each.name, asset=key, description=each.description, partitions_def=partitions
            )
            for each in checks_of(spec)
        ]


def check_results(
    context: dg.AssetExecutionContext, spec: TableSpec, export: CsvExportIOManager
) -> Iterator[dg.AssetCheckResult]:
    """What the checks find of a table that was written a moment ago."""
    try:
        before = export.day_before(context.partition_key).get(spec.name)
    except StoreError as error:
        context.log.warning("the day before is not compared with: %s", error)
        before = None
    told = Told(spec, export.last, before)
    for check in checks_of(spec):
        verdict = check.verdict(told)
        if verdict.grave:
            context.log.warning("%s: %s", check.name, verdict.words)
        yield dg.AssetCheckResult(
            asset_key=context.asset_key,
            passed=verdict.passed,
            check_name=check.name,
            severity=dg.AssetCheckSeverity.ERROR if verdict.grave else dg.AssetCheckSeverity.WARN,
            description=verdict.words,
            metadata=verdict.numbers,
        )


def fresh_by(settings: Settings) -> dg.FreshnessPolicy:
    """Every table is there by EXPORT_FRESH_BY, made on the morning after the day that has ended."""
    hour, minute = settings.fresh_by
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{minute} {hour} * * *",
        lower_bound_delta=timedelta(hours=hour, minutes=minute),
        timezone=settings.export_timezone,
    )
