"""`hubspot-assets portals`: the portals of PORTALS_FILE and how each is; Dagster's workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from hubspot_assets.exits import NOT_DELIVERED, told

if TYPE_CHECKING:
    import dagster as dg

    from hubspot_assets.settings import Settings

_READERS = 16
#: So many missing days are named.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """The newest run of a portal's export that failed: when, of which day, and why."""

    at: str
    day: str | None
    why: str


@dataclass(frozen=True, slots=True)
class PortalState:
    """How a portal is: its id if known, when its export begins, its newest complete day, those
    between complete ones and today's that are not; or the error for which that isn't known."""

    name: str
    portal_id: int | None = None
    begins: str | None = None
    newest: str | None = None
    missing: tuple[str, ...] = ()
    failure: Failure | None = None
    error: str | None = None


@contextmanager
def chosen(name: str) -> Iterator[None]:
    """A portal as PORTAL_NAME has it, for this process and those that it starts."""
    before = os.environ.get("PORTAL_NAME")
    os.environ["PORTAL_NAME"] = name
    try:
        yield
    finally:
        del os.environ["PORTAL_NAME"]
        if before is not None:
            os.environ["PORTAL_NAME"] = before


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--workspace", "as_workspace", is_flag=True,
    help="Print a workspace.yaml, with a code location per portal, instead.",
)  # fmt: skip
@told
def portals(as_json: bool, as_workspace: bool) -> None:  # noqa: FBT001  (click's)
    """List the portals of PORTALS_FILE: newest day, missing days, last failure."""
    from hubspot_assets.portals_file import workspace
    from hubspot_assets.settings import load_portals

    file = load_portals()
    if as_workspace:
        click.echo(workspace(file), nl=False)
        return
    states = portal_states(list(file.portals))
    if as_json:
        import orjson

        click.echo(orjson.dumps([asdict(each) for each in states], option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(states)))
    for warning in _same(states):
        click.echo(f"warning: {warning}", err=True)
    if any(each.error for each in states):
        sys.exit(NOT_DELIVERED)


def portal_states(names: Sequence[str]) -> list[PortalState]:
    """How the portals of PORTALS_FILE are, by what their exports and Dagster's instance tell.

    Raises SettingsError where there is no such instance.
    """
    from hubspot_assets.instance import instance

    with instance() as opened:
        failures = {name: _failure(opened, name) for name in names}
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda name: _state(name, failures[name]), names))


def _state(name: str, failure: Failure | None) -> PortalState:
    from hubspot_assets.settings import SettingsError, load_settings
    from hubspot_assets.storage import StoreError

    try:
        return _delivered(load_settings(name), name, failure)
    except (SettingsError, StoreError) as error:
        return PortalState(name, failure=failure, error=str(error))


def _delivered(settings: Settings, name: str, failure: Failure | None) -> PortalState:
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.day import newest_complete_day
    from hubspot_assets.export.complete import complete_days
    from hubspot_assets.storage import open_store
    from hubspot_assets.storage.owner import Owner

    store = open_store(settings.export_url, s3_resource(settings, impatient=True).get_client)
    complete = complete_days(store).days
    has_token = settings.hubspot_access_token or settings.hubspot_refresh_token
    until = newest_complete_day(settings.zone, datetime.now(UTC))
    return PortalState(
        name,
        Owner(store, "EXPORT_URL").portal_id,
        f"{settings.export_at} {settings.export_timezone}",
        complete[-1] if complete else None,
        tuple(_missing(complete, until)),
        failure,
        None if has_token else "HUBSPOT_ACCESS_TOKEN: found nothing",
    )


def _missing(complete: Sequence[str], until: date) -> Iterator[str]:
    """The days since the first complete one that are not."""
    from hubspot_assets.day import days_between

    if complete:
        first, there = date.fromisoformat(complete[0]), set(complete)
        yield from (each for each in days_between(first, until) if each not in there)


def _failure(instance: dg.DagsterInstance, name: str) -> Failure | None:
    """What the instance knows of a portal's last failure."""
    import dagster as dg

    from hubspot_assets.assets.failures import told_by
    from hubspot_assets.assets.labels import run_tags
    from hubspot_assets.definitions import JOB

    failed = dg.RunsFilter(
        job_name=JOB, tags=run_tags(name), statuses=[dg.DagsterRunStatus.FAILURE]
    )
    for record in instance.get_run_records(failed, limit=1):
        run = record.dagster_run
        events = instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1
        ).records
        said = [told_by(each.event_log_entry.get_dagster_event()) for each in events]
        words = said[0].description if said and said[0] else None
        at = datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)
        why = words or f"see the log of run {run.run_id}"
        return Failure(f"{at:%Y-%m-%d %H:%M}", run.tags.get("dagster/partition"), why)
    return None


def _lines(states: Sequence[PortalState]) -> Iterator[str]:
    width = max(6, *(len(each.name) for each in states))
    begins = max(6, *(len(each.begins or "") for each in states))
    yield f"{'portal':<{width}}  {'id':>10}  {'newest':<10}  {'begins':<{begins}}  missing"
    for each in states:
        yield (
            f"{each.name:<{width}}  {each.portal_id or '-':>10}  {each.newest or 'none':<10}  "
            f"{each.begins or '-':<{begins}}  {_days(each.missing)}"
        ).rstrip()
        if each.error:
            yield f"  error: {each.error}"
        if failure := each.failure:
            of = f" of {failure.day}" if failure.day else ""
            yield f"  failed at {failure.at} UTC{of}: {failure.why}"


def _days(missing: Sequence[str]) -> str:
    """How many days, and which of them are the newest."""
    more = ", ..." if len(missing) > _NAMED else ""
    newest = ", ".join(missing[: -_NAMED - 1 : -1])
    return f"{len(missing):>7,}  {newest}{more}"


def _same(states: Sequence[PortalState]) -> Iterator[str]:
    """Names that are one account's."""
    names: dict[int, list[str]] = {}
    for each in states:
        if each.portal_id is not None:
            names.setdefault(each.portal_id, []).append(each.name)
    for portal_id, of in names.items():
        if len(of) > 1:
            yield f"{' and '.join(of)} are one account, {portal_id}: it is read for each of them"
