"""The job that removes old days of the export, and its schedule, which is off until turned on."""

from collections.abc import Callable, Iterator

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from hubspot_assets.export.retention import Report, left_lines, purge
from hubspot_assets.settings import Settings
from hubspot_assets.storage import open_store
from hubspot_assets.storage.errors import StoreError

Check = Callable[[Settings, S3Resource], None]

PURGE_JOB = "purge_export"
_SCHEDULE_HOUR, _SCHEDULE_MINUTE = 12, 30  # long after the day's export has begun


class PurgeConfig(dg.Config):
    """How to purge; what to keep is in the settings."""

    versions: bool = Field(default=False, description="Also all versions that a bucket keeps.")
    dry_run: bool = Field(default=False, description="Only report what would go.")


def purge_job(settings: Settings, check_owner: Check) -> dg.JobDefinition:
    """Keeps what EXPORT_KEEP_DAYS and EXPORT_KEEP_MONTHLY say; fails where the former is unset.

    `check_owner` fails where the export is another portal's.
    """

    @dg.op(
        description="Removes the days that are no longer to be kept, and what is staged of them."
    )
    def purge_days(
        context: dg.OpExecutionContext, config: PurgeConfig, s3: S3Resource
    ) -> dg.Output[None]:
        if settings.export_keep_days is None:
            raise dg.Failure(
                "EXPORT_KEEP_DAYS: found nothing, expected how many days to keep, as 90",
                allow_retries=False,
            )
        check_owner(settings, s3)
        try:
            report = purge(
                open_store(settings.export_url, s3.get_client),
                open_store(settings.state, s3.get_client),
                settings.export_keep_days,
                settings.export_keep_monthly,
                versions=config.versions,
                dry_run=config.dry_run,
                told=lambda day: context.log.info(str(day)),
            )
        except StoreError as error:
            raise dg.Failure(str(error), allow_retries=error.passing) from error
        for line in left_lines(report):
            context.log.warning(line)
        metadata = _metadata(report)
        if report.unfinished:
            raise dg.Failure("; ".join(_unfinished(report)), metadata=metadata, allow_retries=False)
        return dg.Output(None, metadata=metadata)

    @dg.job(name=PURGE_JOB, description="Removes old days of the export.")
    def purge_export() -> None:
        purge_days()

    return purge_export


def purge_schedule(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Every day, once it has been turned on."""
    return dg.ScheduleDefinition(
        name="daily_purge",
        job=job,
        description="Keeps EXPORT_KEEP_DAYS days and EXPORT_KEEP_MONTHLY months of the export; off "
        "until it is turned on.",
        cron_schedule=f"{_SCHEDULE_MINUTE} {_SCHEDULE_HOUR} * * *",
        execution_timezone=settings.zone.key,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def _unfinished(report: Report) -> Iterator[str]:
    if report.unreadable:
        yield f"left as they are: {', '.join(report.unreadable)}; their manifests can't be read"
    if report.kept:
        yield f"versions stayed of {', '.join(report.kept)}; the warnings say why"


def _metadata(report: Report) -> dict[str, int]:
    total = report.total
    return {
        "days": len(report.days),
        "tables": total.tables,
        "objects": total.objects,
        "bytes": total.bytes,
    }
