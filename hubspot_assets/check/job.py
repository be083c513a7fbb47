"""The preflight as a Dagster job, so that what was revoked shows before the night's export."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from hubspot_assets.assets.schedule import daily
from hubspot_assets.check.preflight import failures, preflight
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets.storage import OtherPortalError


def check_job(settings: Settings) -> dg.JobDefinition:
    """Fails with what an export would fail by."""

    @dg.op(
        name="preflight",
        description="Tries the token and its scopes, the role and every permission on the bucket.",
    )
    def preflight_op(context: dg.OpExecutionContext, s3: S3Resource) -> None:
        try:
            findings = list(preflight(settings, s3.get_client))
        except (SettingsError, OtherPortalError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for each in findings:
            if each.status != "ok":
                context.log.warning(str(each))
        failed = failures(findings)
        warnings = sum(each.status == "warning" for each in findings)
        numbers = {"tried": len(findings), "failed": len(failed), "warnings": warnings}
        context.add_output_metadata(numbers)
        if failed:
            raise dg.Failure("\n".join(map(str, failed)), metadata=numbers, allow_retries=False)

    @dg.job(
        description="Whether HubSpot gives, and the bucket takes, what the export needs. Writes "
        "nothing but an object that it deletes again.",
    )
    def check() -> None:
        preflight_op()

    return check


def check_schedule(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Runs the job every day, an hour before the export."""
    return dg.ScheduleDefinition(
        name="check_before_export",
        job=job,
        description="Shows an hour before the export what it would fail by: a scope that was "
        "revoked, a bucket that can't be written.",
        cron_schedule=daily(settings, minutes_before=60),
        execution_timezone=settings.export_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
