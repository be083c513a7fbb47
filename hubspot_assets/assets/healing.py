"""Days that are not there, or not whole, are delivered again without a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster_shared.record import replace

from hubspot_assets.assets.failures import PASSES, RESUMES_AT, told_by
from hubspot_assets.assets.labels import run_tags
from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.assets.schedule import (
    LATE_EVENTS,
    WHY,
    Job,
    events_again,
    is_complete,
    left_by_schedule,
)
from hubspot_assets.settings import Settings
from hubspot_assets.storage import Store, open_store

#: So often a day is tried within 24 hours, with so long a pause after the first failure, twice as
#: long after each other.
TRIES, PAUSE = 4, timedelta(minutes=30)

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def healing_sensor(
    job: Job,
    settings: Settings,
    partitions: dg.DailyPartitionsDefinition,
    events: Sequence[dg.AssetKey],
) -> dg.SensorDefinition:
    """Completes days that the schedule leaves behind, and its late `events`."""
    runs = dg.RunsFilter(job_name=job.name, tags=run_tags(settings.portal_name))

    @dg.sensor(
        name="heal_days",
        job=job,
        description="Delivers missing and incomplete days of the last EXPORT_HEAL_DAYS again, and "
        "events that were to be read once more, once what they failed for may have passed, one at "
        "a time.",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def heal_days(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = datetime.now(UTC)
        days = partitions.get_partition_keys(left_by_schedule(now, settings))
        store = open_store(settings.export_url, s3_resource(settings).get_client)
        found = next_to_heal(
            context.instance, runs, store, days[-settings.export_heal_days :], events, now
        )
        return dg.SkipReason(found) if isinstance(found, str) else found

    return heal_days


def next_to_heal(
    instance: dg.DagsterInstance,
    runs: dg.RunsFilter,
    store: Store,
    days: Sequence[str],
    events: Sequence[dg.AssetKey],
    now: datetime,
) -> dg.RunRequest | str:
    """The run that is due for one of `days`, the newest first, or why there is none.

    `runs` are those of the job and the portal. None is due while one of them is under way. Days
    come before the `events` of complete ones, of which a run was to read them once more and
    failed. Raises StoreError.
    """
    if instance.get_runs(replace(runs, statuses=_UNDER_WAY), limit=1):
        return "a run is under way"
    reasons, complete = [], []
    for day in reversed(days):
        if is_complete(store, day):
            complete.append(day)
            continue
        whole = _runs_of(instance, runs, day)
        if why := _not_yet(instance, runs, whole, now):
            reasons.append(f"{day}: {why}")
            continue
        last = whole[0].dagster_run.run_id if whole else "nothing"
        why = "incomplete" if whole else "missing"
        return dg.RunRequest(f"{day} after {last}", partition_key=day, tags={WHY: why})
    for day in complete if events else ():
        late = _late_runs_of(instance, runs, day)
        if not late or late[0].dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            continue
        if why := _not_yet(instance, runs, late, now):
            reasons.append(f"late events of {day}: {why}")
            continue
        return events_again(day, events, after=late[0].dagster_run.run_id)
    return "; ".join(reasons) or "the newest days are complete"


def _runs_of(instance: dg.DagsterInstance, runs: dg.RunsFilter, day: str) -> list[dg.RunRecord]:
    """The newest runs for a day, but for those of its late events alone."""
    of_day = replace(runs, tags={**runs.tags, "dagster/partition": day})
    found = instance.get_run_records(of_day, limit=2 * TRIES)
    return [each for each in found if each.dagster_run.tags.get(WHY) != LATE_EVENTS]


def _late_runs_of(
    instance: dg.DagsterInstance, runs: dg.RunsFilter, day: str
) -> Sequence[dg.RunRecord]:
    """The newest runs for the late events of a day."""
    of_day = replace(runs, tags={**runs.tags, "dagster/partition": day, WHY: LATE_EVENTS})
    return instance.get_run_records(of_day, limit=TRIES)


def _not_yet(
    instance: dg.DagsterInstance,
    runs: dg.RunsFilter,
    of_day: Sequence[dg.RunRecord],
    now: datetime,
) -> str | None:
    """Why a day with these runs, the newest first, is not tried now; None where it is."""
    if not of_day:
        return None
    ended = _ended(of_day[0])
    tries = sum(_ended(each) > now - timedelta(days=1) for each in of_day)
    if not _mended_since(instance, runs, ended):
        if of_day[0].dagster_run.status is dg.DagsterRunStatus.CANCELED:
            return "a person ended its run"
        for passes, resumes_at in _failures(instance, of_day[0].dagster_run.run_id):
            if not passes:
                return "its run failed for what a person must mend"
            if resumes_at and resumes_at > now:
                return f"HubSpot's calls of the day resume at {resumes_at:%Y-%m-%d %H:%M} UTC"
    if tries >= TRIES:
        return f"tried {tries} times within a day"
    due = ended + PAUSE * 2 ** (tries - 1) if tries else ended
    return f"tried again at {due:%H:%M} UTC" if due > now else None


def _mended_since(instance: dg.DagsterInstance, runs: dg.RunsFilter, moment: datetime) -> bool:
    """Whether a run has succeeded since, so that what was wrong then is so no longer."""
    succeeded = replace(runs, statuses=[dg.DagsterRunStatus.SUCCESS])
    newest = instance.get_run_records(succeeded, limit=1)
    return bool(newest) and _ended(newest[0]) > moment


def _failures(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[bool, datetime | None]]:
    """Of each failed step whether what it failed for passes by itself, and when, if known."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    for each in records:
        event = each.event_log_entry.dagster_event
        told = told_by(event) if event else None
        metadata = told.metadata if told else {}
        passes, at = metadata.get(PASSES), metadata.get(RESUMES_AT)
        resumes_at = None
        if isinstance(at, dg.TimestampMetadataValue):
            resumes_at = datetime.fromtimestamp(at.value, UTC)
        yield not (passes and passes.value is False), resumes_at


def _ended(record: dg.RunRecord) -> datetime:
    at = record.end_time or record.start_time
    return datetime.fromtimestamp(at, UTC) if at else record.create_timestamp.astimezone(UTC)
