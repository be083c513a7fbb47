"""What a person sees while a day is delivered."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hubspot_assets.export import TableManifest

#: More columns than any line needs, so that no path is cut.
WIDTH = 1000


class Display:
    """Live progress on a terminal; a line per finished table elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("delivering", total=None, detail="")

    @contextmanager
    def live(self) -> Iterator[Display]:
        """Shows the progress until the block ends."""
        with self._progress:
            yield self

    def begin(self, steps: int, day: str) -> None:
        """Sets how many steps a day has."""
        self._progress.reset(self._task, total=steps, description=day, detail="")

    def records(self, source: str, records: int) -> None:
        """Shows how many records of a source have been read."""
        self._progress.update(self._task, detail=f"{source}: {records:,} records")

    def show(self, table: Table) -> None:
        """Shows a table whole, be the terminal as narrow as it may."""
        self.console.width = WIDTH
        self.console.print(table)

    def warn(self, text: str) -> None:
        """Shows a warning above the progress."""
        self.console.print(f"[yellow]warning:[/] {text}", highlight=False, soft_wrap=True)

    def logger(self) -> dg.LoggerDefinition:
        """The Dagster logger that follows a run."""

        def follow(_: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("hubspot_assets.display", logging.DEBUG)  # noqa: LOG001
            logger.addHandler(_Follow(self))
            return logger

        return dg.LoggerDefinition(follow, description="Follows a run for who started it.")

    def step(self, key: str) -> None:
        """A step begins."""
        self._progress.update(self._task, detail=key)

    def done(self, key: str, rows: int | None) -> None:
        """A step has ended; `rows` is None where it wrote no table."""
        self._progress.advance(self._task)
        if rows is not None and not self.console.is_terminal:
            self.console.print(f"{key}: {rows:,} rows", highlight=False)


class _Follow(logging.Handler):
    """Hands Dagster's events over to a display."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event: dg.DagsterEvent | None = meta.get("dagster_event")
        if event is None:
            return  # warnings stand in the manifests, and in the summary
        if event.is_step_start:
            self._display.step((event.step_key or "").replace("__", "/"))
        elif event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            rows = materialization.metadata.get("dagster/row_count")
            key = materialization.asset_key.to_user_string()
            self._display.done(key, None if rows is None else int(str(rows.value)))


def table_of_tables(tables: Sequence[tuple[TableManifest, str]]) -> Table:
    """Rows, parts, bytes and path of each table; pairs of types without links in one line."""
    table = Table(title=None, show_footer=True, box=None, pad_edge=False)
    table.add_column("table", footer="all", no_wrap=True)
    for name, total in (
        ("rows", sum(each.rows for each, _ in tables)),
        ("parts", sum(len(each.parts) for each, _ in tables)),
        ("bytes", sum(each.bytes for each, _ in tables)),
    ):
        table.add_column(name, footer=f"{total:,}", justify="right", no_wrap=True)
    table.add_column("path", no_wrap=True)
    table.add_column("notes", no_wrap=True)
    unlinked = [each for each, _ in tables if _is_unlinked(each)]
    for each, path in tables:
        if not _is_unlinked(each):
            _add_row(table, each.table, [each], path, ", ".join(_notes(each)))
    if unlinked:
        name = f"{len(unlinked)} ASSOCIATIONS_<X>_TO_<Y>"
        _add_row(table, name, unlinked, "", "pairs without links")
    return table


def _add_row(
    table: Table, name: str, tables: Sequence[TableManifest], path: str, notes: str
) -> None:
    rows, parts = sum(each.rows for each in tables), sum(len(each.parts) for each in tables)
    size = sum(each.bytes for each in tables)
    table.add_row(name, f"{rows:,}", f"{parts:,}", f"{size:,}", path, notes)


def _is_unlinked(manifest: TableManifest) -> bool:
    """Whether it is a table of a pair of types of which no records are linked."""
    return manifest.table.startswith("ASSOCIATIONS_") and not manifest.rows


def _notes(manifest: TableManifest) -> Iterator[str]:
    """What a reader of the table should know, in a few words."""
    if manifest.availability.status != "available":
        yield manifest.availability.status
    if not manifest.point_in_time:
        yield "not of that day"
    for name, count in manifest.counts.items():
        if count:
            yield f"{count:,} {name.replace('_', ' ')}"
