"""What each night delivers by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.export import read_day
from hubspot_assets.settings import Settings
from hubspot_assets.storage import NotFoundError, Store, open_store

Job = UnresolvedAssetJobDefinition

_DAY_MINUTES = 24 * 60
#: The tag by which a run says why it is there.
WHY, LATE_EVENTS = "hubspot/why", "late-events"


def export_schedule(
    job: Job,
    settings: Settings,
    partitions: dg.DailyPartitionsDefinition,
    events: Sequence[dg.AssetKey],
) -> dg.ScheduleDefinition:
    """The newest day whole, and the `events` of the days before once more."""

    @dg.schedule(
        name="daily_export",
        job=job,
        cron_schedule=daily(settings),
        execution_timezone=settings.export_timezone,
        description="Delivers the day that has ended, then the events of the EVENTS_AGAIN_DAYS "
        "days before it again, as some reach HubSpot late.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def daily_export(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        days = partitions.get_partition_keys(context.scheduled_execution_time)
        store = open_store(settings.export_url, s3_resource(settings).get_client)
        for day in days[-1:]:
            yield dg.RunRequest(day, partition_key=day, tags={WHY: "newest"})
        for day in reversed(days[-1 - settings.events_again_days : -1]):
            if not events or not is_complete(store, day):
                continue
            yield events_again(day, events, after=days[-1])

    return daily_export


def events_again(day: str, events: Sequence[dg.AssetKey], *, after: str) -> dg.RunRequest:
    """A run that reads the `events` of a day once more. Of those `after` the same day, or run, only
    one is launched."""
    return dg.RunRequest(
        f"{day} again after {after}",
        partition_key=day,
        asset_selection=events,
        run_config={"resources": {"reading": {"config": {"read_again": True}}}},
        tags={WHY: LATE_EVENTS},
    )


def daily(settings: Settings, *, minutes_before: int = 0) -> str:
    """Every day, as cron has it, when the export begins, or so many minutes before."""
    begins = settings.begins_at
    at = (begins.hour * 60 + begins.minute - minutes_before) % _DAY_MINUTES
    return f"{at % 60} {at // 60} * * *"


def left_by_schedule(now: datetime, settings: Settings) -> datetime:
    """The moment before which days had ended that the schedule is done with: an hour after it."""
    here = now.astimezone(settings.zone)
    begun = datetime.combine(here.date(), settings.begins_at, settings.zone)
    return here if here - begun > timedelta(hours=1) else here - timedelta(days=1)


def is_complete(store: Store, day: str) -> bool:
    """Whether all tables of a day are published. Raises StoreError."""
    try:
        read_day(store, day)
    except NotFoundError:
        return False
    return True
