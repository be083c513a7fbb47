"""`hubspot-assets diff`: why a number moved from one day to another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hubspot_assets.exits import told

if TYPE_CHECKING:
    from hubspot_assets.diff import TableDiff

_WIDTH = 30  # of a value's text, at most


@click.command()
@click.argument("table")
@click.argument("before", metavar="DAY")
@click.argument("after", metavar="DAY")
@click.option("--rows", default=0, help="Show so many rows of each kind.", type=click.IntRange(0))
@told
def diff(table: str, before: str, after: str, rows: int) -> None:
    """What changed of a table between two days: rows by key, and columns.

    As `diff OBJECTS_DEALS 2026-11-20 2026-11-21 --rows 5`. INGESTEDAT is not looked at.
    """
    from hubspot_assets import reader
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.diff import diff as compare
    from hubspot_assets.settings import SettingsError, load_settings

    settings = load_settings()
    export = reader.open(settings.export_url, s3_resource(settings).get_client)
    try:
        found = compare(export, table.upper(), before, after, rows)
    except reader.ReaderError as error:
        raise SettingsError(str(error)) from error
    click.echo("\n".join(_lines(found)))


def _lines(found: TableDiff) -> Iterator[str]:
    before, after = found.before, found.after
    yield f"{before.table} from {before.day} to {after.day}"
    yield (
        f"rows     {before.rows:,} to {after.rows:,}: {found.added:,} added, "
        f"{found.removed:,} removed, {found.changed:,} changed"
    )
    yield f"columns  {len(before.columns):,} to {len(after.columns):,}"
    yield from (f"  added    {name}" for name in found.columns_added)
    yield from (f"  removed  {name}" for name in found.columns_removed)
    for name, (old, new) in found.columns_retyped.items():
        yield f"  retyped  {name}: {old} to {new}, not compared"
    if found.cells:
        yield "changed cells by column"
        for name, number in sorted(found.cells.items(), key=lambda each: (-each[1], each[0])):
            yield f"  {number:>12,}  {name}"
    yield from _rows("added", found.added, found.added_rows)
    yield from _rows("removed", found.removed, found.removed_rows)
    if found.changed_rows:
        yield _of("changed", found.changed, len(found.changed_rows))
        for row in found.changed_rows:
            yield f"  {_key(row.key)}"
            for name, cell in row.cells.items():
                yield f"    {name}: {' to '.join(map(_short, cell))}"


def _rows(what: str, count: int, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if rows:
        yield _of(what, count, len(rows))
        yield from (f"  {_key(row)}" for row in rows)


def _of(what: str, count: int, shown: int) -> str:
    return f"{what} rows" if shown == count else f"{what} rows, {shown:,} of {count:,}"


def _key(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _short(text: str | None) -> str:
    """A value on one line: NULL, or quoted and cut where it is long."""
    if text is None:
        return "NULL"
    cut = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
    return json.dumps(cut, ensure_ascii=False)
