"""The tables of lists and their members, from lists as the API gives them and staged members.

Pure functions. A frame of members has listId, recordId, objectTypeId, joinedAt, readAt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import polars as pl

from hubspot_assets.tables import specs
from hubspot_assets.tables.counts import MEMBERS_LEFT_OUT, MEMBERS_SINCE
from hubspot_assets.tables.definitions import Item, frame_of, whole_number
from hubspot_assets.tables.delivered import of_delivered


def lists(items: Iterable[Item], counts: Counter[str]) -> pl.DataFrame:
    """Rows of LISTS."""
    return frame_of(specs.LISTS, map(_row, items), counts)


def _row(item: Item) -> tuple[Any, ...]:
    told, read_at = item
    extra = told.get("additionalProperties") or {}
    return (
        told.get("objectTypeId"),
        int(told["listId"]),
        extra.get("hs_classic_list_id"),
        told.get("name"),
        told.get("processingType"),
        told.get("processingStatus"),
        whole_number(extra.get("hs_list_size")),
        told.get("createdAt"),
        told.get("updatedAt"),
        told.get("filtersUpdatedAt"),
        read_at,
    )


def delivered(
    members: pl.DataFrame,
    end: datetime,
    ids_of: Callable[[str], pl.Series | None],
    counts: Counter[str],
) -> pl.DataFrame:
    """The members who had joined by `end` (naive UTC) and whose records the day delivers, in
    their order; `counts` says how many others there are.

    `ids_of` gives the ids of the records of a type that are delivered, None for one that is not.
    """
    then = members.filter((pl.col("joinedAt") < end) | pl.col("joinedAt").is_null())
    found = [
        of_delivered(of_type, "recordId", ids_of(of_type["objectTypeId"][0]))
        for of_type in then.with_row_index("row").partition_by("objectTypeId")
    ]
    there = pl.concat(found).sort("row").drop("row") if found else then
    counts[MEMBERS_SINCE] += members.height - then.height
    counts[MEMBERS_LEFT_OUT] += then.height - there.height
    return there


def list_memberships(members: pl.DataFrame) -> pl.DataFrame:
    """Rows of LIST_MEMBERSHIPS, in the order of `members`."""
    return members.select(
        OBJECTTYPEID="objectTypeId",
        LISTID="listId",
        OBJECTID="recordId",
        UPDATEDAT="joinedAt",
        INGESTEDAT="readAt",
    )
