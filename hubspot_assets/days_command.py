"""`hubspot-assets days`: which days of the export are complete, incomplete or missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import click

from hubspot_assets.exits import told

if TYPE_CHECKING:
    from hubspot_assets.storage import Store

_READERS = 16


@dataclass(frozen=True, slots=True)
class DayState:
    """A day of the calendar: how many tables of it are there, and of a complete one rows and
    bytes."""

    day: str
    status: Literal["complete", "incomplete", "missing"]
    tables: int = 0
    rows: int | None = None
    bytes: int | None = None


def day_states(store: Store, until: str) -> list[DayState]:
    """Every day from the first that is there to the last, or to `until` (ISO).

    Raises StoreError.
    """
    from hubspot_assets.day import days_between
    from hubspot_assets.export.complete import is_day

    there = {name for name in store.folders() if is_day(name)}
    if not there:
        return []
    first, last = date.fromisoformat(min(there)), date.fromisoformat(max(*there, until))

    def state(day: str) -> DayState:
        return _state(store, day) if day in there else DayState(day, "missing")

    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(state, days_between(first, last)))


def _state(store: Store, day: str) -> DayState:
    from hubspot_assets.export import manifest_path, read_day
    from hubspot_assets.storage import NotFoundError

    try:
        manifest = read_day(store, day)
    except NotFoundError:
        paths = {entry.path for entry in store.list(day)}
        tables = {path.split("/")[1] for path in paths}
        done = sum(manifest_path(day, table) in paths for table in tables)
        return DayState(day, "incomplete", done)
    return DayState(day, "complete", len(manifest.tables), manifest.rows, manifest.bytes)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--rebuild", is_flag=True, help="Write _days.json anew, by the manifests that are there."
)
@told
def days(as_json: bool, rebuild: bool) -> None:  # noqa: FBT001  (click's)
    """List the days of the export: complete, incomplete, missing."""
    import orjson

    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.day import newest_complete_day
    from hubspot_assets.export.complete import complete_days, list_days_anew
    from hubspot_assets.settings import load_settings
    from hubspot_assets.storage import open_store

    settings = load_settings()
    store = open_store(settings.export_url, s3_resource(settings).get_client)
    states = day_states(store, newest_complete_day(settings.zone, datetime.now(UTC)).isoformat())
    known = set((list_days_anew(store) if rebuild else complete_days(store)).days)
    complete = {each.day for each in states if each.status == "complete"}
    if as_json:
        told = {"newest": max(complete, default=None), "days": [asdict(each) for each in states]}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(states)))
    if known != complete:
        click.echo(
            f"warning: _days.json tells otherwise of {', '.join(sorted(known ^ complete))}; "
            "`hubspot-assets days --rebuild` puts that right",
            err=True,
        )


def _lines(states: Sequence[DayState]) -> Iterator[str]:
    """A line per day, missing ones in a row in one."""
    if not states:
        yield "no day is there yet"
        return
    yield f"{'day':<10}  {'status':<10}  {'tables':>6}  {'rows':>14}  {'bytes':>16}"
    for status, grouped in groupby(states, lambda each: each.status):
        group = list(grouped)
        if status == "missing" and len(group) > 1:
            yield f"{group[0].day}  missing     to {group[-1].day}, {len(group):,} days"
            continue
        for each in group:
            line = f"{each.day}  {status:<10}  {each.tables:>6,}"
            if each.rows is not None:
                line += f"  {each.rows:>14,}  {each.bytes:>16,}"
            yield line if status != "missing" else f"{each.day}  {status}"
    complete = [each.day for each in states if each.status == "complete"]
    yield f"newest complete day: {complete[-1] if complete else 'none'}"
