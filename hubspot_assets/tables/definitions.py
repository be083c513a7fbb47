"""The tables of owners, teams, pipelines and definitions, from items as the API gives them.

Pure functions from items to frames. An item is a JSON object of HubSpot's with the moment at
which it was read. Fields that HubSpot leaves out are NULL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets import json_text
from hubspot_assets.moments import moment_of
from hubspot_assets.tables import specs
from hubspot_assets.tables.counts import MOMENTS_UNREAD, TOLD_TWICE, UNPARSED
from hubspot_assets.tables.names import event_name
from hubspot_assets.tables.spec import DTYPES, Column, ColumnType, TableSpec


class Item(NamedTuple):
    """One JSON object of HubSpot's and the moment at which it was read (naive UTC)."""

    content: Mapping[str, Any]
    read_at: datetime


def owners(items: Iterable[Item], counts: Counter[str]) -> pl.DataFrame:
    """Rows of OWNERS. A deactivated owner's user stands in `userIdIncludingInactive`."""
    return frame_of(
        specs.OWNERS,
        (
            (
                owner["id"],
                owner.get("type"),
                owner.get("userId") or owner.get("userIdIncludingInactive"),
                owner.get("email"),
                owner.get("firstName"),
                owner.get("lastName"),
                bool(owner.get("archived")),
                owner.get("createdAt"),
                owner.get("updatedAt"),
                read_at,
            )
            for owner, read_at in items
        ),
        counts,
    )


def owner_team(items: Iterable[Item], counts: Counter[str]) -> pl.DataFrame:
    """Rows of OWNER_TEAM, from the owners."""
    return frame_of(
        specs.OWNER_TEAM,
        (
            (owner["id"], team["id"], bool(team.get("primary")), read_at)
            for owner, read_at in items
            for team in owner.get("teams") or ()
        ),
        counts,
    )


def teams(flat: Iterable[Item], tree: Iterable[Item], counts: Counter[str]) -> pl.DataFrame:
    """Rows of TEAMS: all teams of the flat list and of the tree, which alone knows parents."""
    known = {int(team["id"]): (team, read_at) for team, read_at in flat}
    known |= {int(team["id"]): (team, read_at) for team, read_at in tree}
    return frame_of(
        specs.TEAMS,
        (
            (team_id, team.get("name"), team.get("parentTeamId"), read_at)
            for team_id, (team, read_at) in known.items()
        ),
        counts,
    )


def pipelines(items: Iterable[tuple[str, Item]], counts: Counter[str]) -> pl.DataFrame:
    """Rows of PIPELINES, from (object type id, pipeline)."""
    return frame_of(
        specs.PIPELINES,
        (
            (
                object_type_id,
                pipeline["id"],
                pipeline.get("label"),
                pipeline.get("displayOrder"),
                bool(pipeline.get("archived")),
                pipeline.get("createdAt"),
                pipeline.get("updatedAt"),
                read_at,
            )
            for object_type_id, (pipeline, read_at) in items
        ),
        counts,
    )


def pipeline_stages(items: Iterable[tuple[str, Item]], counts: Counter[str]) -> pl.DataFrame:
    """Rows of PIPELINE_STAGES, from (object type id, pipeline)."""
    return frame_of(
        specs.PIPELINE_STAGES,
        (
            (
                object_type_id,
                pipeline["id"],
                stage["id"],
                stage.get("label"),
                stage.get("displayOrder"),
                stage.get("metadata"),
                bool(stage.get("archived")),
                stage.get("createdAt"),
                stage.get("updatedAt"),
                read_at,
            )
            for object_type_id, (pipeline, read_at) in items
            for stage in pipeline.get("stages") or ()
        ),
        counts,
    )


def property_definitions(items: Iterable[tuple[str, Item]], counts: Counter[str]) -> pl.DataFrame:
    """Rows of PROPERTY_DEFINITIONS, from (object or event type id, property).

    A property that is listed both live and archived is live.
    """
    known: dict[tuple[str, str], Item] = {}
    for type_id, item in items:
        key = type_id, item.content["name"]
        if key not in known or not item.content.get("archived"):
            known[key] = item
    return frame_of(
        specs.PROPERTY_DEFINITIONS,
        (
            (
                type_id,
                name,
                definition.get("label"),
                definition.get("description"),
                definition.get("type"),
                definition.get("fieldType"),
                definition.get("groupName"),
                definition.get("displayOrder"),
                definition.get("options"),
                definition.get("hasUniqueValue"),
                definition.get("calculated"),
                definition.get("hidden"),
                definition.get("hubspotDefined"),
                definition.get("dataSensitivity"),
                bool(definition.get("archived")),
                definition.get("createdAt"),
                definition.get("updatedAt"),
                read_at,
            )
            for (type_id, name), (definition, read_at) in known.items()
        ),
        counts,
    )


def object_and_event_type_definitions(
    objects: Iterable[Item], events: Iterable[Item], counts: Counter[str]
) -> pl.DataFrame:
    """Rows of OBJECT_AND_EVENT_TYPE_DEFINITIONS, from catalog entries.

    An entry is an object or event type of the catalog with its `table` and `availability`.
    """
    return frame_of(
        specs.OBJECT_AND_EVENT_TYPE_DEFINITIONS,
        chain(map(_object_type_row, objects), map(_event_type_row, events)),
        counts,
    )


def _object_type_row(item: Item) -> tuple[Any, ...]:
    entry, read_at = item
    return (
        entry["id"],
        entry["fully_qualified_name"],
        entry["name"],
        entry["singular_label"],
        entry["plural_label"],
        entry["description"],
        "OBJECT",
        entry["table"],
        entry["availability"],
        entry["primary_property"],
        entry["created_at"],
        entry["updated_at"],
        read_at,
    )


def _event_type_row(item: Item) -> tuple[Any, ...]:
    entry, read_at = item
    return (
        entry["id"],
        entry["name"],
        event_name(entry["name"]),
        entry["label"],
        None,
        entry["description"],
        "EVENT",
        entry["table"],
        entry["availability"],
        None,
        entry["created_at"],
        entry["updated_at"],
        read_at,
    )


def frame_of(
    spec: TableSpec, rows: Iterable[tuple[Any, ...]], counts: Counter[str] | None = None
) -> pl.DataFrame:
    """Rows of what HubSpot told as a frame of the table's columns, in key order.

    What does not read as its column's type is NULL, and a row without its key is left out; of rows
    of one key, the last stays. `counts` gets what was told in vain.
    """
    found: Counter[str] = Counter()
    columns = list(zip(*rows, strict=True)) or [()] * len(spec.columns)
    frame = pl.DataFrame(
        [_series(column, told, found) for column, told in zip(spec.columns, columns, strict=True)]
    ).drop_nulls(spec.key)
    once = frame.unique(spec.key, keep="last", maintain_order=True).sort(spec.key)
    found[TOLD_TWICE] += frame.height - once.height
    if counts is not None:
        counts.update(+found)
    return once


def _series(column: Column, told: Sequence[Any], counts: Counter[str]) -> pl.Series:
    cells = [_READ[column.type](each) for each in told]
    lost = sum(
        cell is None and each not in (None, "") for cell, each in zip(cells, told, strict=True)
    )
    counts[MOMENTS_UNREAD if column.type == "TIMESTAMP" else UNPARSED] += lost
    return pl.Series(column.name, cells, DTYPES[column.type][0])


def whole_number(told: object) -> int | None:
    """A whole number, told as one or as text; None for what is none.

    >>> whole_number("97"), whole_number(-1), whole_number("97.5"), whole_number(None)
    (97, -1, None, None)
    """
    found = _WHOLE.fullmatch(str(told))
    number = int(found[1]) if found else None
    return number if number is None or abs(number) < 1 << 63 else None


def _moment(told: object) -> datetime | None:
    return told if isinstance(told, datetime) else moment_of(told)


def _boolean(told: object) -> bool | None:
    return told if isinstance(told, bool) else {"true": True, "false": False}.get(str(told).lower())


def _json(told: object) -> str | None:
    return None if told is None else json_text.told(told)


def _text(told: object) -> str | None:
    return told if told is None or isinstance(told, str) else json_text.told(told)


_WHOLE = re.compile(r"(-?[0-9]{1,19})(\.0*)?")
_READ: Mapping[ColumnType, Callable[[Any], Any]] = {
    "NUMBER": whole_number,
    "BOOLEAN": _boolean,
    "TIMESTAMP": _moment,
    "JSON": _json,
    "VARCHAR": _text,
}
