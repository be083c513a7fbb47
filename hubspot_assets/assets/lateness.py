"""Whether the newest day is there in time.

Dagster's freshness asks when a table was made, not of which day: a backfill makes it fresh.
"""

from __future__ import annotations

from datetime import UTC, datetime, time

import dagster as dg

from hubspot_assets.assets.alerts import link, post
from hubspot_assets.assets.labels import of_portal, run_tags
from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.assets.schedule import Job, is_complete
from hubspot_assets.day import newest_complete_day
from hubspot_assets.settings import Settings
from hubspot_assets.storage import open_store


def lateness_sensor(
    job: Job, settings: Settings, partitions: dg.DailyPartitionsDefinition
) -> dg.SensorDefinition:
    """Tells of a day that is not delivered by EXPORT_FRESH_BY."""

    @dg.sensor(
        name="alert_late",
        description="Posts to ALERT_WEBHOOK_URL that the day that has ended is not delivered by "
        "EXPORT_FRESH_BY, and what its run is at.",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_late(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = datetime.now(UTC).astimezone(settings.zone)
        day = newest_complete_day(settings.zone, now).isoformat()
        if now.time() < time(*settings.fresh_by):
            return dg.SkipReason(f"{day} is due at {settings.export_fresh_by}")
        # The first one is delivered by whoever sets the export up, whenever that is.
        if day not in partitions.get_partition_keys(now)[1:]:
            return dg.SkipReason(f"{day} is not to be delivered")
        if is_complete(open_store(settings.export_url, s3_resource(settings).get_client), day):
            return dg.SkipReason(f"{day} is delivered")
        if context.cursor == day:
            return dg.SkipReason(f"{day} is late, which was told")
        late = _late(context.instance, job, settings, day)
        if why := post(settings, late):
            context.log.error("the alert was not taken: %s", why)
        else:
            context.update_cursor(day)
        return dg.SkipReason(late)

    return alert_late


def _late(instance: dg.DagsterInstance, job: Job, settings: Settings, day: str) -> str:
    """What is told of a day: what its run is at, the last one that was launched."""
    tags = {**run_tags(settings.portal_name), "dagster/partition": day}
    runs = instance.get_runs(dg.RunsFilter(job_name=job.name, tags=tags), limit=1)
    at = f"its run is {runs[0].status.value}" if runs else "no run of it was launched"
    portal = of_portal(settings.portal_name)
    more = link(runs[0], settings) if runs else ""
    return f"{portal}{day} is not delivered by {settings.export_fresh_by}: {at}{more}"
