"""What a table is made of: data, from which its asset follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hubspot_assets.day import Day
from hubspot_assets.readings.staging import Staging
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.spec import TableSpec


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the export, and how it is made.

    `content` makes it for a day of the readings of its `sources`. Tables of one `step` are small,
    and better made together: a step of its own takes longer than most of them.
    """

    spec: TableSpec
    sources: tuple[str, ...]
    content: Callable[[Staging, Day], TableContent]
    step: str | None = None
