"""A table of one day on its way to the export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.tables.spec import TableSpec

Frames = Iterable[pl.DataFrame | pl.LazyFrame]


@dataclass(frozen=True, slots=True)
class TableSource:
    """What is known of one source of a combined table: whether HubSpot serves it, whether its
    rows are those of the day, and when it was read."""

    availability: Availability
    point_in_time: bool
    observed_at: datetime | None


@dataclass(slots=True)
class Findings:
    """What becomes known only while the rows are made.

    The producer of the rows holds it too and fills it; it is read after the last row.
    `counts` are of cells or rows, by name; those of `tables.counts` get their `warnings` when the
    table is written. `sources` are by sub-folder.
    """

    observed_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    sources: dict[str, TableSource] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TableContent:
    """A table of one day, ready to be written.

    `folders` are pairs of a sub-folder's name and its frames, consumed once and in order;
    a table of one source has one pair, named "". Frames are of bounded size, have the
    columns of `spec`, and within a sub-folder their rows come in the order of its key.
    `settled` is false while HubSpot may not have stored all of the day when it was read.
    """

    spec: TableSpec
    folders: Iterable[tuple[str, Frames]]
    as_of: datetime
    point_in_time: bool
    availability: Availability = Availability()  # noqa: RUF009  (frozen)
    findings: Findings = field(default_factory=Findings)
    settled: bool = True
