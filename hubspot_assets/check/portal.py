"""HubSpot's side of the preflight: token, portal, daily quota, and every source of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hubspot_assets.check.finding import Finding, Status
from hubspot_assets.exported import ExportedType, exported_types, unknown_names
from hubspot_assets.hubspot import email_events, lists, metadata, own_apis
from hubspot_assets.hubspot.catalog import Catalog, discover
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import (
    AuthenticationError,
    DailyLimitReached,
    HubSpotError,
    NotServed,
    Refused,
    Unexplained,
    Unreachable,
)
from hubspot_assets.settings import Settings
from hubspot_assets.sources.source import unavailable

HUBSPOT = "HubSpot"
CONTACTS = "0-1"
#: Below this part of the daily calls there is a warning.
FEW_CALLS = 0.1


@dataclass(frozen=True, slots=True)
class Source:
    """Something that tables are made of, and a request that shows whether it can be read.

    `refused` tells the status of a refusal, and why; any other error is a failure.
    """

    name: str
    tables: str
    ask: Callable[[HubSpot], object]
    refused: Callable[[NotServed], tuple[Status, str]]


def check_portal(
    client: HubSpot, settings: Settings, admit: Callable[[int | None], None]
) -> Iterator[Finding]:
    """The rows of HubSpot's side; it ends at the first that makes the others pointless.

    `admit` is told the portal's id before more is read. Raises SettingsError where OBJECT_TYPES
    names nothing that the portal has, and what `admit` raises.
    """
    try:
        catalog = discover(client)
        admit(catalog.portal_id)
        yield from _portal(client, catalog)
        for line in unknown_names(catalog, settings):
            setting, _, detail = line.partition(": ")
            yield Finding(HUBSPOT, setting, "warning", detail)
        sources = _sources(exported_types(catalog, settings))
        yield from in_order(
            lambda source: _readable(client, source), sources, settings.hubspot_workers
        )
    except AuthenticationError as error:
        yield Finding(HUBSPOT, "token", "failed", str(error))
    except HubSpotError as error:
        yield Finding(HUBSPOT, "portal", "failed", str(error))


def _portal(client: HubSpot, catalog: Catalog) -> Iterator[Finding]:
    details = client.get("account", "details").content
    told = (details.get("uiDomain"), catalog.account_type, catalog.time_zone)
    yield Finding(HUBSPOT, "token", "ok", "accepted")
    portal = f"{catalog.portal_id}: {', '.join(str(each) for each in told if each)}"
    yield Finding(HUBSPOT, "portal", "ok", portal)
    try:
        usage = client.get("account", "daily_usage").items()
    except (Refused, Unexplained) as error:
        yield Finding(HUBSPOT, "calls of the day", "warning", f"not told: {error}")
    else:
        yield from map(_quota, usage[:1])


def _quota(usage: dict[str, Any]) -> Finding:
    limit, used = usage.get("usageLimit") or 0, usage.get("currentUsage") or 0
    left = max(0, limit - used)
    detail = f"{left:,} of {limit:,} left"
    if usage.get("resetsAt"):
        detail += f" until {usage['resetsAt']}"
    few = left < limit * FEW_CALLS
    status: Status = "failed" if limit and not left else "warning" if few else "ok"
    return Finding(HUBSPOT, "calls of the day", status, detail)


def _readable(client: HubSpot, source: Source) -> Finding:
    tried = f"{source.name} ({source.tables})"
    try:
        source.ask(client)
    except NotServed as error:
        status, detail = source.refused(error)
        return Finding(HUBSPOT, tried, status, detail)
    except (AuthenticationError, DailyLimitReached, Unreachable):
        raise
    except HubSpotError as error:
        return Finding(HUBSPOT, tried, "failed", str(error))
    return Finding(HUBSPOT, tried, "ok")


def _sources(types: Sequence[ExportedType]) -> Iterator[Source]:
    # What discovery may be refused without failing: types that nobody gets to know of.
    yield _source("custom object types", "OBJECTS_...", lambda client: client.get("schemas"))
    yield from map(_records, types)
    for of in types:
        if of.object_type.pipelines:
            yield _pipelines(of)
    yield _source("owners", "OWNERS, OWNER_TEAM", lambda client: _first(metadata.owners(client)))
    yield _source("teams", "TEAMS", lambda client: _first(metadata.user_teams(client)))
    yield _source("team tree", "TEAMS", lambda client: _first(metadata.team_tree(client)))
    yield _source("lists", "LISTS, LIST_MEMBERSHIPS", _lists)
    yield Source("events", "EVENTS_...", lambda client: client.get("events", "types"), _by_plan)
    yield _source("e-mail events", "EVENTS_...", email_events.probe)


def _records(of: ExportedType) -> Source:
    def refused(error: NotServed) -> tuple[Status, str]:
        availability = unavailable(error, of.object_type)
        if availability.status == "missing_scope":
            leave_out = f"or name {of.folder} in EXCLUDE_OBJECT_TYPES"
            return "failed", f"missing scope: {availability.detail}, {leave_out}"
        if availability.status == "no_public_api":
            return "ok", "HubSpot serves this type to nobody: its table has no rows"
        return "warning", f"not enabled: {availability.detail}"

    def ask(client: HubSpot) -> None:
        own_apis.probe(client, of.object_type)
        if of.object_type.api == "crm":  # without its properties, nothing of it is delivered
            _first(metadata.properties(client, of.object_type.id))

    return Source(of.folder, of.table, ask, refused)


def _pipelines(of: ExportedType) -> Source:
    type_id = of.object_type.id
    return _source(
        f"pipelines of {of.folder}",
        "PIPELINES, PIPELINE_STAGES",
        lambda client: _first(metadata.pipelines(client, type_id)),
    )


def _source(name: str, tables: str, ask: Callable[[HubSpot], object]) -> Source:
    """A source that no setting leaves out, so that a missing scope is always a failure."""

    def refused(error: NotServed) -> tuple[Status, str]:
        if error.availability == "missing_scope":
            return "failed", f"missing scope: {error}"
        return "warning", f"not enabled: {error}"

    return Source(name, tables, ask, refused)


def _by_plan(error: NotServed) -> tuple[Status, str]:
    """The events API comes with an Enterprise subscription, not by a scope that could be lost."""
    return "warning", f"not enabled: {error}"


def _lists(client: HubSpot) -> object:
    return lists.lists(client, [CONTACTS], ())


def _first(items: Iterator[object]) -> object:
    return next(items, None)
