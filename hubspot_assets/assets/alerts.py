"""Messages for people when a run fails, or a check: one a day and cause, to a webhook."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
import httpx

from hubspot_assets.assets.failures import told_by
from hubspot_assets.assets.labels import of_portal
from hubspot_assets.settings import Settings

#: Seconds that a webhook may take.
_PATIENCE = 10.0
#: What differs in the words of one cause: moments, counts, object types.
_VARYING = re.compile(r"\d+")
#: So many tables, and causes, are named in a message.
_TABLES, _CAUSES = 3, 10


def alert_sensors(settings: Settings) -> Iterator[dg.SensorDefinition]:
    """Tell ALERT_WEBHOOK_URL of failed runs of every job, and of failed checks as ALERT_CHECKS
    has it."""

    @dg.run_failure_sensor(
        name="alert",
        description="Posts to ALERT_WEBHOOK_URL what a failed run says that a person needs, once a "
        "day for each cause; and the checks that failed in it.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert(context: dg.RunFailureSensorContext) -> None:
        causes = _causes(context)
        if new := _untold(context.instance, settings, causes[:1]):
            _tell(context, settings, new, _text(context.dagster_run, causes, settings))
        _tell_of_checks(context, settings)

    yield alert
    if settings.alert_checks != "none":

        @dg.run_status_sensor(
            run_status=dg.DagsterRunStatus.SUCCESS,
            name="alert_checks",
            description="Posts to ALERT_WEBHOOK_URL which checks failed in a run, once a day for "
            "each cause.",
            default_status=dg.DefaultSensorStatus.RUNNING,
        )
        def alert_checks(context: dg.RunStatusSensorContext) -> None:
            _tell_of_checks(context, settings)

        yield alert_checks


def _tell(
    context: dg.RunStatusSensorContext, settings: Settings, causes: Iterable[str], text: str
) -> None:
    """Posts a message of `causes`, which then have been told of today."""
    if why := post(settings, text):
        context.log.error("the alert was not taken: %s", why)
    else:
        told = context.instance.daemon_cursor_storage
        told.set_cursor_values({_key(settings, cause): _today() for cause in causes})


def _untold(instance: dg.DagsterInstance, settings: Settings, causes: Iterable[str]) -> list[str]:
    """Those of `causes` that have not been told of today."""
    keys = {cause: _key(settings, cause) for cause in causes}
    told = instance.daemon_cursor_storage.get_cursor_values(set(keys.values()))
    return [cause for cause, key in keys.items() if told.get(key) != _today()]


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _key(settings: Settings, cause: str) -> str:
    of = f"{settings.portal_name}/" if settings.portal_name else ""
    return f"hubspot_assets/alert/{of}{_mark_of(cause)}"


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
    first, *others = causes
    more = f" (and {len(others)} other causes)" if others else ""
    return f"{_named(run, settings)} failed: {first}{more}{link(run, settings)}"


def _named(run: dg.DagsterRun, settings: Settings) -> str:
    portal = of_portal(settings.portal_name)
    day = run.tags.get("dagster/partition")
    return f"{portal}{run.job_name} of {day}" if day else f"{portal}{run.job_name}"


def link(run: dg.DagsterRun, settings: Settings) -> str:
    """The line that leads to a run in the UI; nothing where that is not known."""
    at = settings.alert_webserver_url
    return f"\n{at}/runs/{run.run_id}" if at else ""


@dataclass(slots=True)
class _FailedCheck:
    """What checks found wrong in the same words, and in which tables."""

    name: str
    severity: dg.AssetCheckSeverity
    words: str
    tables: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = f" and {len(self.tables) - _TABLES} more" if len(self.tables) > _TABLES else ""
        tables = ", ".join(self.tables[:_TABLES]) + more
        return f"{self.severity.value} {tables} ({self.name}): {self.words}"


def _tell_of_checks(context: dg.RunStatusSensorContext, settings: Settings) -> None:
    run = context.dagster_run
    failed = _failed_checks(context.instance, run.run_id, settings)
    if new := _untold(context.instance, settings, failed):
        more = [f"and {len(new) - _CAUSES} more"] if len(new) > _CAUSES else []
        lines = [
            f"{_named(run, settings)}: checks failed",
            *(str(failed[each]) for each in new[:_CAUSES]),
        ]
        _tell(context, settings, new, "\n".join([*lines, *more]) + link(run, settings))


def _failed_checks(
    instance: dg.DagsterInstance, run_id: str, settings: Settings
) -> Mapping[str, _FailedCheck]:
    """The checks of a run that failed and are to be told of, by cause, errors first."""
    failed: dict[str, _FailedCheck] = {}
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    for record in instance.get_records_for_run(run_id, of_type=evaluated).records:
        event = record.event_log_entry.get_dagster_event()
        found = event.asset_check_evaluation_data
        if found.passed or not _is_told_of(found.severity, settings):
            continue
        words = found.description or "see the check"
        cause = f"{found.check_name}: {_VARYING.sub('', words)}"
        of = failed.setdefault(cause, _FailedCheck(found.check_name, found.severity, words))
        of.tables.append(found.asset_key.to_user_string())
    return dict(sorted(failed.items(), key=lambda each: each[1].severity.value))


def _is_told_of(severity: dg.AssetCheckSeverity, settings: Settings) -> bool:
    return settings.alert_checks == "all" or (
        settings.alert_checks == "errors" and severity is dg.AssetCheckSeverity.ERROR
    )


def post(settings: Settings, text: str) -> str | None:
    """Why a message was not taken; never the address, which is a secret."""
    assert settings.alert_webhook_url  # noqa: S101 - there is no sensor without
    url = settings.alert_webhook_url.get_secret_value()
    try:
        answer = httpx.post(url, json={"text": text}, timeout=_PATIENCE)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.is_success else f"status {answer.status_code}"
