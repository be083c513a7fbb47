"""The tables of owners, teams, pipelines and definitions, from items as the API gives them.

Pure functions from items to frames. An item is a JSON object of HubSpot's with the moment at
which it was read. Fields that HubSpot leaves out are NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import orjson
import polars as pl

from hubspot_assets.tables import specs
from hubspot_assets.tables.names import event_name
from hubspot_assets.tables.spec import DTYPES, TableSpec


class Item(NamedTuple):
    """One JSON object of HubSpot's and the moment at which it was read (naive UTC)."""

    content: Mapping[str, Any]
    read_at: datetime


def owners(items: Iterable[Item]) -> pl.DataFrame:
    """Rows of OWNERS. A deactivated owner's user stands in `userIdIncludingInactive`."""
    return frame_of(
        specs.OWNERS,
        (
            (
                int(owner["id"]),
                owner.get("type"),
                owner.get("userId") or owner.get("userIdIncludingInactive"),
                owner.get("email"),
                owner.get("firstName"),
                owner.get("lastName"),
                bool(owner.get("archived")),
                moment_of(owner.get("createdAt")),
                moment_of(owner.get("updatedAt")),
                read_at,
            )
            for owner, read_at in items
        ),
    )


def owner_team(items: Iterable[Item]) -> pl.DataFrame:
    """Rows of OWNER_TEAM, from the owners."""
    return frame_of(
        specs.OWNER_TEAM,
        (
            (int(owner["id"]), int(team["id"]), bool(team.get("primary")), read_at)
            for owner, read_at in items
            for team in owner.get("teams") or ()
        ),
    )


def teams(flat: Iterable[Item], tree: Iterable[Item]) -> pl.DataFrame:
    """Rows of TEAMS: all teams of the flat list and of the tree, which alone knows parents."""
    known = {int(team["id"]): (team, read_at) for team, read_at in flat}
    known |= {int(team["id"]): (team, read_at) for team, read_at in tree}
    return frame_of(
        specs.TEAMS,
        (
            (team_id, team.get("name"), _number(team.get("parentTeamId")), read_at)
            for team_id, (team, read_at) in known.items()
        ),
    )


def pipelines(items: Iterable[tuple[str, Item]]) -> pl.DataFrame:
    """Rows of PIPELINES, from (object type id, pipeline)."""
    return frame_of(
        specs.PIPELINES,
        (
            (
                object_type_id,
                str(pipeline["id"]),
                pipeline.get("label"),
                pipeline.get("displayOrder"),
                bool(pipeline.get("archived")),
                moment_of(pipeline.get("createdAt")),
                moment_of(pipeline.get("updatedAt")),
                read_at,
            )
            for object_type_id, (pipeline, read_at) in items
        ),
    )


def pipeline_stages(items: Iterable[tuple[str, Item]]) -> pl.DataFrame:
    """Rows of PIPELINE_STAGES, from (object type id, pipeline)."""
    return frame_of(
        specs.PIPELINE_STAGES,
        (
            (
                object_type_id,
                str(pipeline["id"]),
                str(stage["id"]),
                stage.get("label"),
                stage.get("displayOrder"),
                _json(stage.get("metadata")),
                bool(stage.get("archived")),
                moment_of(stage.get("createdAt")),
                moment_of(stage.get("updatedAt")),
                read_at,
            )
            for object_type_id, (pipeline, read_at) in items
            for stage in pipeline.get("stages") or ()
        ),
    )


def property_definitions(items: Iterable[tuple[str, Item]]) -> pl.DataFrame:
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
                _json(definition.get("options")),
                definition.get("hasUniqueValue"),
                definition.get("calculated"),
                definition.get("hidden"),
                definition.get("hubspotDefined"),
                definition.get("dataSensitivity"),
                bool(definition.get("archived")),
                moment_of(definition.get("createdAt")),
                moment_of(definition.get("updatedAt")),
                read_at,
            )
            for (type_id, name), (definition, read_at) in known.items()
        ),
    )


def object_and_event_type_definitions(
    objects: Iterable[Item], events: Iterable[Item]
) -> pl.DataFrame:
    """Rows of OBJECT_AND_EVENT_TYPE_DEFINITIONS, from catalog entries.

    An entry is an object or event type of the catalog with its `table` and `availability`.
    """
    return frame_of(
        specs.OBJECT_AND_EVENT_TYPE_DEFINITIONS,
        chain(map(_object_type_row, objects), map(_event_type_row, events)),
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
        moment_of(entry["created_at"]),
        moment_of(entry["updated_at"]),
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
        moment_of(entry["created_at"]),
        moment_of(entry["updated_at"]),
        read_at,
    )


def frame_of(spec: TableSpec, rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows as a frame of the table's columns, in key order."""
    schema = {column.name: DTYPES[column.type][0] for column in spec.columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row").sort(spec.key)


def moment_of(text: str | None) -> datetime | None:
    """An API time stamp, naive UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=None) - (moment.utcoffset() or moment - moment)


def _number(text: str | int | None) -> int | None:
    return None if text in (None, "") else int(text)


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
