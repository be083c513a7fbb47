"""Delivering one day from the command line: discovery, then Dagster's job, in this process."""

from __future__ import annotations

import builtins
import os
import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import NamedTuple

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from hubspot_assets.assets.failures import told_by
from hubspot_assets.assets.resources import s3_resource, watched_by
from hubspot_assets.assets.tables import TABLE
from hubspot_assets.catalog_place import catalog_place
from hubspot_assets.day import days_between, newest_complete_day
from hubspot_assets.definitions import JOB, build_defs, first_day
from hubspot_assets.discovery import refresh_catalog
from hubspot_assets.export import TableManifest, read_day, read_manifest
from hubspot_assets.export.manifest import manifest_path, missing_parts
from hubspot_assets.exported import alike
from hubspot_assets.garbage import spare_the_collector
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.instance import instance
from hubspot_assets.progress import Display
from hubspot_assets.readings.reading import READINGS
from hubspot_assets.settings import EARLIEST, Settings, SettingsError
from hubspot_assets.storage import NotFoundError, Store, open_store
from hubspot_assets.storage.leases import held

#: A line of a stack trace, with the file and line number of ours in it.
_OURS = re.compile(r'(hubspot_assets/[^"]+)", line (\d+)')
#: An object type in a path: with its name, all that differs where a fault is not about the type.
_TYPE = re.compile(r"/\d+-\d+(?=[/:)])")


class DeliveryError(Exception):
    """A day that was not delivered whole: one line per cause."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered: the manifests of the tables and where they are, and the requests to
    HubSpot that it took."""

    day: str
    tables: tuple[tuple[TableManifest, str], ...]
    requests: int = 0


def check_day(text: str | None, settings: Settings, now: datetime | None = None) -> str:
    """The day to deliver, ISO; the newest complete one for None. Raises SettingsError."""
    newest = newest_complete_day(settings.zone, now or datetime.now(UTC))
    start = settings.export_start
    if start and newest < start:
        raise SettingsError(
            f"EXPORT_START: found {start}, expected a day that has ended in "
            f"{settings.export_timezone}: {newest} or earlier"
        )
    if text is None:
        return newest.isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"day: found {text!r}, expected a date, as {newest}") from None
    if day > newest:
        raise SettingsError(
            f"day: found {day}, which has not ended in {settings.export_timezone}; "
            f"expected {newest} or earlier"
        )
    earliest = start or date.fromisoformat(EARLIEST)
    if day < earliest:
        raise SettingsError(f"day: found {day}, expected {earliest} (EXPORT_START) or later")
    return day.isoformat()


def check_days(first: str, last: str | None, settings: Settings) -> list[str]:
    """The days from `first` to `last`, the newest complete one for None. Raises SettingsError."""
    begin, end = (date.fromisoformat(check_day(each, settings)) for each in (first, last))
    if end < begin:
        raise SettingsError(f"to: found {end}, expected {begin} or later")
    return days_between(begin, end)


def deliver(
    settings: Settings,
    day: str,
    select: Sequence[str],
    display: Display,
    *,
    read_again: bool = False,
) -> Delivery:
    """Delivers one day, as `deliver_days` does; with `read_again` HubSpot is asked in any case."""
    (delivery,) = deliver_days(settings, [day], select, display, read_again=read_again)
    return delivery


def deliver_days(
    settings: Settings,
    days: Sequence[str],
    select: Sequence[str],
    display: Display,
    *,
    read_again: bool = False,
) -> Iterator[Delivery]:
    """Reads the portal and writes the tables of these days, or those that `select` names.

    What readings tell of the day is not read again, unless it is asked for. Where the day's links
    are the first of a pair of types, the tables of that pair are made as well. Waits while another
    run is at that day. Raises DeliveryError when a table could not be written, the others being
    there, or what was written is gone.
    """
    spare_the_collector()
    s3 = s3_resource(settings).get_client
    place = catalog_place(settings, s3)
    display.doing("discovering the portal")
    catalog, changes, warnings = refresh_catalog(settings, s3)
    for warning in (*changes, *warnings):
        display.warn(warning)
    # A day before the first partition is there for who names it.
    start = min(first_day(catalog, settings), *map(date.fromisoformat, days))
    settings = settings.model_copy(update={"export_start": start})
    followed = _followed(settings, catalog, display)
    keys = _selected(followed.defs, select)
    for day in days:
        delivery = _run(
            followed, settings, day, keys, display, whole=not select, read_again=read_again
        )
        now = catalog.with_linked(place.load().linked)
        if not select and now != catalog:
            catalog, followed = now, _followed(settings, now, display)
            new = _tables(followed.defs).keys() - keys
            more = _run(followed, settings, day, new, display, whole=True)
            keys |= new
            tables = tuple(sorted((*delivery.tables, *more.tables), key=_table))
            delivery = replace(delivery, tables=tables)
        yield delivery


class _Followed(NamedTuple):
    """Definitions whose runs a display follows, and note what they have `written`."""

    defs: dg.Definitions
    written: list[TableManifest]


def _followed(settings: Settings, catalog: Catalog, display: Display) -> _Followed:
    written: list[TableManifest] = []
    hubspot = watched_by(display.records)(
        portal_name=settings.portal_name,
        portal_time_zone=catalog.time_zone,
        portal_id=catalog.portal_id,
    )
    defs = build_defs(
        catalog,
        settings,
        loggers={"display": display.logger()},
        resources={"hubspot": hubspot},
        told=written.append,
    )
    return _Followed(defs, written)


def _run(
    followed: _Followed,
    settings: Settings,
    day: str,
    keys: set[dg.AssetKey],
    display: Display,
    *,
    whole: bool,
    read_again: bool = False,
) -> Delivery:
    """Materializes these assets, with which the day is `whole`, and sees that all is there."""
    display.begin(len(keys), day)
    defs, written = followed
    written.clear()
    job, every = defs.resolve_job_def(JOB), _selected(defs, ())
    run_id = str(uuid.uuid4())
    s3 = s3_resource(settings).get_client
    store = open_store(settings.export_url, s3)
    with ExitStack() as until_told, instance() as opened:
        for each, name in ((open_store(settings.state, s3), READINGS), (store, day)):
            until_told.enter_context(held(each, name, run_id, told=display.warn))
        result = job.execute_in_process(
            run_id=run_id,
            instance=opened,
            partition_key=day,
            run_config={
                "loggers": {"display": {}},
                "resources": {"reading": {"config": {"read_again": read_again}}},
            },
            # For a part of a job Dagster makes that job anew, and its snapshot.
            asset_selection=sorted(keys) if keys != every else None,
            raise_on_error=False,
        )
        if _is_interrupted(result):
            raise KeyboardInterrupt
        if not result.success:
            raise DeliveryError("\n".join(_causes(result, defs, keys)))
        of_keys = _tables(defs)
        tables = sorted(of_keys[key] for key in keys & of_keys.keys())
        delivery = _delivered(store, settings.export_url, day, tables, written, whole=whole)
        return replace(delivery, requests=_requests(result))


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a run was told to stop, which Dagster keeps to itself."""
    return any(
        event.is_job_failure
        and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


def _requests(result: dg.ExecuteInProcessResult) -> int:
    """How many requests the sources of a run took, as their metadata tells."""
    told = (
        event.step_materialization_data.materialization.metadata.get("requests")
        for event in result.filter_events(lambda event: event.is_step_materialization)
    )
    return sum(int(str(each.value)) for each in told if each is not None)


def _tables(defs: dg.Definitions) -> dict[dg.AssetKey, str]:
    """The assets that are tables, with the names of these."""
    nodes = defs.resolve_asset_graph().asset_nodes
    return {node.key: str(node.metadata[TABLE]) for node in nodes if TABLE in node.metadata}


def _table(delivered: tuple[TableManifest, str]) -> str:
    return delivered[0].table


def _delivered(
    store: Store,
    url: str,
    day: str,
    tables: Sequence[str],
    written: Collection[TableManifest],
    *,
    whole: bool,
) -> Delivery:
    """What is there, as the manifests say that were `written`; a `whole` day has one as well.

    Raises DeliveryError where a manifest is missing, or a part that one names.
    """
    by_name = {each.table: each for each in written}
    try:
        manifests = [by_name.get(name) or read_manifest(store, day, name) for name in tables]
        there = list(store.list(day))
        paths = {entry.path for entry in there}
        gone = [path for name in tables if (path := manifest_path(day, name)) not in paths]
        parts = (part for manifest in manifests for part in manifest.parts)
        for path in (*gone, *missing_parts(day, parts, there)):
            raise NotFoundError(f"{store.url_of(path)} is not as it was written")
        told = {each.table for each in read_day(store, day).tables} if whole else set(tables)
        for table in sorted(set(tables) - told):
            raise NotFoundError(f"the day's manifest lacks {table}")
    except NotFoundError as error:
        why = "somebody else removes or writes there; run again once that has ended"
        raise DeliveryError(f"{day} is not delivered: {error}: {why}") from error
    return Delivery(day, tuple((each, f"{url}/{day}/{each.table}") for each in manifests))


def _selected(defs: dg.Definitions, select: Sequence[str]) -> set[dg.AssetKey]:
    """All assets, or the selected tables with what they are made of. Raises SettingsError."""
    graph = defs.resolve_asset_graph()
    every = graph.get_all_asset_keys()
    if not select:
        return set(every)
    tables = {name: key for key, name in _tables(defs).items()}
    unknown = sorted(name for name in select if name.upper() not in tables)
    if unknown:
        raise SettingsError(
            f"select: found {', '.join(unknown)}, expected any of {len(tables)} tables, as "
            + alike(unknown[0].upper(), tables, ("OBJECTS", "ASSOCIATIONS"))
        )
    keys = [tables[name.upper()] for name in select]
    return set(dg.AssetSelection.assets(*keys).upstream().resolve(graph))


def _causes(
    result: dg.ExecuteInProcessResult, defs: dg.Definitions, keys: Collection[dg.AssetKey]
) -> Iterator[str]:
    """Why steps failed, each cause once, with the assets that it stopped and the tables it cost."""
    graph, of_keys = defs.resolve_asset_graph(), _tables(defs)
    of_steps = {each.node_def.name: each.key for each in graph.assets_defs}
    by_text: dict[str, list[dg.AssetKey]] = {}
    for event in result.filter_events(lambda event: event.is_step_failure):
        said = told_by(event)
        text = (said.description if said else None) or _unforeseen(event.step_failure_data.error)
        by_text.setdefault(text, []).append(of_steps[event.step_key or ""])
    by_cause: dict[str, list[str]] = {}
    for text, (first, *_) in by_text.items():
        of_any_type = _TYPE.sub("", text.replace(first.path[-1], ""))
        by_cause.setdefault(of_any_type, []).append(text)
    for text, *others in by_cause.values():
        failed = [key for each in (text, *others) for key in by_text[each]]
        named = _some([key.to_user_string() for key in failed], 3)
        alike = f" (and so of {len(others)} other types)" if others else ""
        without = dg.AssetSelection.assets(*failed).downstream(include_self=False).resolve(graph)
        tables = sorted(of_keys[key] for key in without & set(keys) & of_keys.keys())
        cost = f"; without it there is no {_some(tables, 8)}" if tables else ""
        yield f"{named}: {text}{alike}{cost}"


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _unforeseen(error: SerializableErrorInfo | None) -> str:
    """What is said of an error that nobody foresaw: its kind, and where in our code it arose.

    Its own words stay in the run's log, as a customer's values may be among them; but for those
    of the operating system.
    """
    if error is None:
        return "no cause is known"
    while error.cause:
        error = error.cause
    kind = getattr(builtins, error.cls_name or "", None)
    if isinstance(kind, type) and issubclass(kind, OSError):
        return f"this machine failed: {error.message.strip()}"
    ours = [found for line in error.stack if (found := _OURS.search(line))]
    where = f" at {ours[-1][1]}:{ours[-1][2]}" if ours else ""
    log = "" if os.environ.get("DAGSTER_HOME") else " (set DAGSTER_HOME to keep one)"
    return f"unexpected {error.cls_name}{where}; that is a bug: report it with the run's log{log}"
