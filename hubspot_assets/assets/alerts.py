"""A message for people when a run fails: one a day and cause, to a webhook."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import httpx

from hubspot_assets.assets.failures import told_by
from hubspot_assets.settings import Settings

#: Seconds that a webhook may take.
_PATIENCE = 10.0
#: What differs in the words of one cause: moments, counts, object types.
_VARYING = re.compile(r"\d+")


def alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Tells ALERT_WEBHOOK_URL of failed runs of every job."""

    @dg.run_failure_sensor(
        name="alert",
        description="Posts to ALERT_WEBHOOK_URL what a failed run says that a person needs, once a "
        "day for each cause.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert(context: dg.RunFailureSensorContext) -> None:
        causes = _causes(context)
        key = f"hubspot_assets/alert/{_mark_of(causes[0])}"
        today = datetime.now(UTC).date().isoformat()
        told = context.instance.daemon_cursor_storage
        if told.get_cursor_values({key}).get(key) == today:
            return
        if why := _post(settings, _text(context.dagster_run, causes, settings)):
            context.log.error("the alert was not taken: %s", why)
        else:
            told.set_cursor_values({key: today})

    return alert


def _causes(context: dg.RunFailureSensorContext) -> Sequence[str]:
    """Why steps failed, each cause once, the first one first; at least one."""
    causes: dict[str, str] = {}
    for event in context.get_step_failure_events():
        said = told_by(event)
        words = said.description if said else None
        cause = words or f"{event.step_key} failed as nobody foresaw: see the run's log"
        causes.setdefault(_mark_of(cause), cause)
    return list(causes.values()) or [context.failure_event.message or "no cause is known"]


def _mark_of(cause: str) -> str:
    return hashlib.sha256(_VARYING.sub("", cause).encode()).hexdigest()[:16]


def _text(run: dg.DagsterRun, causes: Sequence[str], settings: Settings) -> str:
    day = run.tags.get("dagster/partition")
    first, *others = causes
    more = f" (and {len(others)} other causes)" if others else ""
    at = settings.alert_webserver_url
    link = f"\n{at}/runs/{run.run_id}" if at else ""
    return f"{run.job_name}{f' of {day}' if day else ''} failed: {first}{more}{link}"


def _post(settings: Settings, text: str) -> str | None:
    """Why a message was not taken; never the address, which is a secret."""
    assert settings.alert_webhook_url  # noqa: S101 - there is no sensor without
    url = settings.alert_webhook_url.get_secret_value()
    try:
        answer = httpx.post(url, json={"text": text}, timeout=_PATIENCE)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.is_success else f"status {answer.status_code}"
