"""The job that forgets, and its schedule for what HubSpot has erased, off until turned on."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from hubspot_assets.assets.failures import permanent_errors
from hubspot_assets.forget.forgetting import lines, warnings
from hubspot_assets.forget.request import Request, carry_out
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.settings import Settings

Check = Callable[[Settings, S3Resource], None]

FORGET_JOB = "forget"
_WEEKLY = "30 13 * * 0"  # long after the day's export has begun, and its purge


class ForgetConfig(dg.Config):
    """Who is to be forgotten, as of the command; Dagster keeps what it says, so addresses go into
    a file."""

    object_type: str = Field(default="", description="The type of the records, as contacts.")
    ids: list[str] = Field(default=[], description="Their ids.")
    from_file: str = Field(default="", description="A file with an id or address on each line.")
    erased: bool = Field(default=False, description="All that readings have found erased.")
    exclude: bool = Field(default=False, description="Even if HubSpot still has them.")
    redact_references: bool = Field(
        default=False, description="Also their addresses, names and ids in what others' rows say."
    )
    versions: bool = Field(default=False, description="Also all versions that a bucket keeps.")
    dry_run: bool = Field(default=False, description="Only report what would go.")

    def request(self) -> Request:
        """What is asked for."""
        return Request(
            object_type=self.object_type,
            ids=tuple(self.ids),
            from_file=Path(self.from_file) if self.from_file else None,
            erased=self.erased,
            exclude=self.exclude,
            redact=self.redact_references,
            versions=self.versions,
            dry_run=self.dry_run,
        )


def forget_job(
    settings: Settings, check_owner: Check, connect: Callable[[], HubSpot]
) -> dg.JobDefinition:
    """Takes people, or other records, out of all days and readings.

    `check_owner` fails where the export is another portal's; `connect` makes the client of HubSpot
    that is asked whether it still has them.
    """

    @dg.op(description="Takes records out of all days and readings.")
    def forget_records(
        context: dg.OpExecutionContext, config: ForgetConfig, s3: S3Resource
    ) -> dg.Output[None]:
        check_owner(settings, s3)
        with permanent_errors():
            report = carry_out(config.request(), settings, s3.get_client, connect, context.log.info)
        for line in lines(report, dry_run=config.dry_run):
            context.log.info(line)
        left = list(warnings(report))
        metadata = {"days": len(report.days), "rows": sum(report.tables.values())}
        if left:
            raise dg.Failure("; ".join(left), metadata=metadata, allow_retries=False)
        return dg.Output(None, metadata=metadata)

    @dg.job(name=FORGET_JOB, description="Takes records out of all days and readings.")
    def forget() -> None:
        forget_records()

    return forget


def forget_schedule(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Every week what HubSpot has erased, once it has been turned on."""
    return dg.ScheduleDefinition(
        name="weekly_forget_erased",
        job=job,
        description="Forgets every week what HubSpot has erased, once it is turned on.",
        cron_schedule=_WEEKLY,
        execution_timezone=settings.zone.key,
        run_config=dg.RunConfig(ops={"forget_records": ForgetConfig(erased=True)}),
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
