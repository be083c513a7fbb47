"""What a person sees while a day is delivered."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from hubspot_assets.tables.counts import MEASURES

if TYPE_CHECKING:  # they take seconds to import, and a person is to see something at once
    import dagster as dg

    from hubspot_assets.export import TableManifest

#: More columns than any line needs: where no person reads, no line is broken.
WIDTH = 10_000


class Display:
    """Live progress on a terminal; a line per finished table elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[detail]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("starting", total=None, detail="")

    @contextmanager
    def live(self) -> Iterator[Self]:
        """Shows the progress until the block ends."""
        with self._progress:
            yield self

    def doing(self, what: str) -> None:
        """Shows what is done before the steps of a day."""
        self._progress.update(self._task, description=what)
        if not self.console.is_terminal:
            self.say(f"{what}…")

    def begin(self, steps: int, day: str) -> None:
        """Sets how many steps a day has."""
        self._progress.reset(self._task, total=steps, description=day, detail="")

    def records(self, source: str, records: int) -> None:
        """Shows how many records of a source have been read."""
        self._progress.update(self._task, detail=f"{source}: {records:,} records")

    def say(self, text: str) -> None:
        """Shows a line that stays, above the progress."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Shows a warning above the progress."""
        for line in hanging("warning: ", text, self.console.width):
            self.console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def logger(self) -> dg.LoggerDefinition:
        """The Dagster logger that follows a run."""
        import dagster as dg

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
            self.say(f"{key}: {rows:,} rows")


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


def hanging(begin: str, text: str, width: int) -> list[str]:
    """A text in lines of `width`, broken between words, each as far in as where it begins."""
    indent = " " * len(begin)
    lines = textwrap.wrap(
        text,
        max(width - 1, len(begin) + 20),
        initial_indent=begin,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [begin.rstrip()]


def summary(tables: Sequence[TableManifest], width: int) -> Iterator[str]:
    """Lines of rows, bytes, name and notes of each table, by name; pairs of types without links in
    one. Notes that are too long for a line of `width` stand below it."""
    told = [each for each in tables if not _is_unlinked(each)]
    lines = [([each], each.table, ", ".join(_notes(each))) for each in told]
    if unlinked := [each for each in tables if _is_unlinked(each)]:
        lines.append((unlinked, f"{len(unlinked)} ASSOCIATIONS_<X>_TO_<Y>", "pairs without links"))
    lines.append((list(tables), f"all {len(tables)} tables", ""))
    numbers = [_numbers(of) for of, _, _ in lines]
    widths = [max(map(len, column)) for column in zip(*numbers, strict=True)]
    for (_, name, notes), row in zip(lines, numbers, strict=True):
        begin = "  ".join(f"{each:>{wide}}" for each, wide in zip(row, widths, strict=True))
        line = f"{begin}  {name}"
        if not notes or len(line) + 2 + len(notes) < width:
            yield f"{line}  {notes}".rstrip()
        else:
            yield line
            yield from hanging(" " * (len(begin) + 4), notes, width)


def _numbers(tables: Iterable[TableManifest]) -> tuple[str, str]:
    """Rows and bytes, in words."""
    every = list(tables)
    return f"{sum(each.rows for each in every):,} rows", _size(sum(each.bytes for each in every))


def _size(number: float) -> str:
    """Bytes, as 15.0 MB."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:,.1f} TB"


def duration(seconds: float) -> str:
    """Seconds, as 42 s or 1 h 05 min."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02.0f} s"


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
        if count and name not in MEASURES:
            yield f"{count:,} {name.replace('_', ' ')}"
