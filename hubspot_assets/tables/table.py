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

    `content` makes it for a day of the readings of its `sources`. `object_type_ids` are the type,
    or the two linked ones, that it is of alone.
    """

    spec: TableSpec
    sources: tuple[str, ...]
    content: Callable[[Staging, Day], TableContent]
    object_type_ids: tuple[str, ...] = ()
