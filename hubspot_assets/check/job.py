"""The preflight as a Dagster job, so that what was revoked shows before the night's export."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from hubspot_assets.check.preflight import failures, preflight
from hubspot_assets.settings import SettingsError, load_settings
from hubspot_assets.storage import OtherPortalError

_DAY_MINUTES = 24 * 60


@dg.op(
    name="preflight",
    description="Tries the token and its scopes, the role and every permission on the bucket.",
)
def _preflight(context: dg.OpExecutionContext, s3: S3Resource) -> None:
    try:
        findings = list(preflight(load_settings(), s3.get_client))
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
    name="check",
    description="Whether HubSpot gives, and the bucket takes, what the export needs. Writes "
    "nothing but an object that it deletes again.",
)
def check_job() -> None:
    """The job."""
    _preflight()


def check_schedule(hour: int, minute: int, time_zone: str) -> dg.ScheduleDefinition:
    """Runs the job every day, an hour before the export at `hour`:`minute`."""
    at = (hour * 60 + minute - 60) % _DAY_MINUTES
    return dg.ScheduleDefinition(
        name="check_before_export",
        job=check_job,
        description="Shows an hour before the export what it would fail by: a scope that was "
        "revoked, a bucket that can't be written.",
        cron_schedule=f"{at % 60} {at // 60} * * *",
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
