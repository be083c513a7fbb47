"""The tables of lists and their members, from lists as the API gives them and staged members.

Pure functions. A frame of members has listId, recordId, objectTypeId, joinedAt, readAt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from hubspot_assets.tables import specs
from hubspot_assets.tables.definitions import Item, frame_of, moment_of


def lists(items: Iterable[Item], members: Mapping[int, int]) -> pl.DataFrame:
    """Rows of LISTS; `members`, by list id, is the size where HubSpot tells none."""
    return frame_of(specs.LISTS, (_row(item, members) for item in items))


def _row(item: Item, members: Mapping[int, int]) -> tuple[Any, ...]:
    told, read_at = item
    extra = told.get("additionalProperties") or {}
    list_id = int(told["listId"])
    size = _whole_number(extra.get("hs_list_size"))
    return (
        told.get("objectTypeId"),
        list_id,
        _whole_number(extra.get("hs_classic_list_id")),
        told.get("name"),
        told.get("processingType"),
        told.get("processingStatus"),
        members.get(list_id) if size is None else size,
        moment_of(told.get("createdAt")),
        moment_of(told.get("updatedAt")),
        moment_of(told.get("filtersUpdatedAt")),
        read_at,
    )


def list_memberships(members: pl.DataFrame) -> pl.DataFrame:
    """Rows of LIST_MEMBERSHIPS, in the order of `members`."""
    return members.select(
        OBJECTTYPEID="objectTypeId",
        LISTID="listId",
        OBJECTID="recordId",
        UPDATEDAT="joinedAt",
        INGESTEDAT="readAt",
    )


def _whole_number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() else None
