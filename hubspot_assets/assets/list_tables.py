"""Lists and who is in them: what reads them, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
import polars as pl

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.extraction import Extract, extractions
from hubspot_assets.assets.observed import observed_content
from hubspot_assets.assets.table import table_asset
from hubspot_assets.export import TableContent
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.lists import (
    LISTS,
    LISTS_SCHEMA,
    MEMBERSHIPS,
    extract_lists,
    extract_memberships,
)
from hubspot_assets.tables import lists, specs
from hubspot_assets.tables.definitions import Item

# Not hubspot/lists: that reads lists as records of an object type of their own.
LISTS_KEY = dg.AssetKey(["hubspot", "lists", "all"])
MEMBERSHIPS_KEY = dg.AssetKey(["hubspot", "lists", "memberships"])

#: So many lists are named in a warning.
NAMED = 20


def list_assets(
    object_types: Sequence[ObjectType], partitions: dg.PartitionsDefinition[str], portal: str
) -> list[dg.AssetsDefinition]:
    """What reads the lists of records of these types and their members, and both tables."""
    listing = dg.AssetSpec(LISTS_KEY, description="Lists of records of every object type.")
    joining = dg.AssetSpec(
        MEMBERSHIPS_KEY, description="The members of every list.", deps=[LISTS_KEY]
    )
    return [
        extractions("hubspot_lists", [(listing, _extract_lists(object_types))], partitions),
        extractions("hubspot_list_memberships", [(joining, _extract_members(portal))], partitions),
        table_asset(specs.LISTS, [LISTS_KEY, MEMBERSHIPS_KEY], partitions, _lists),
        table_asset(specs.LIST_MEMBERSHIPS, [MEMBERSHIPS_KEY], partitions, _memberships),
    ]


def _extract_lists(object_types: Sequence[ObjectType]) -> Extract:
    ids = [each.id for each in object_types]
    return lambda client, staging, _: extract_lists(client, staging, ids)


def _extract_members(portal: str) -> Extract:
    return lambda client, staging, hubspot: extract_memberships(
        client, staging, portal=portal, workers=hubspot.workers, report=hubspot.report
    )


def _lists(staging: Staging, day: Day) -> TableContent:
    listed, joined = staging.complete(LISTS), staging.complete(MEMBERSHIPS)
    told = list(read_items(listed))
    members = {
        each["listId"]: each["members"]
        for each in _outcomes(joined).to_dicts()
        if each["members"] is not None
    }
    items = (Item(content, read_at) for content, read_at in told if "listId" in content)
    rows = lists.lists(items, members)
    refusals = [content["refused"] for content, _ in told if "refused" in content]
    return observed_content(specs.LISTS, day, [listed], [("", [rows])], warnings=refusals)


def _memberships(staging: Staging, day: Day) -> TableContent:
    joined = staging.complete(MEMBERSHIPS)
    frames = (lists.list_memberships(chunk.read("members")) for chunk in joined.chunks())
    return observed_content(
        specs.LIST_MEMBERSHIPS, day, [joined], [("", frames)], warnings=_warnings(joined)
    )


def _warnings(joined: Staged) -> Iterator[str]:
    """What of the members is missing, or is not as HubSpot told it of the list."""
    outcomes = _outcomes(joined)
    missing = outcomes.filter(pl.col("members").is_null())
    if gone := missing.filter(pl.col("refused").is_null())["listId"].to_list():
        yield f"{_named(gone)} deleted while the members were read: they have none here"
    for (why,), of in missing.drop_nulls("refused").group_by("refused", maintain_order=True):
        yield f"{_named(of['listId'].to_list())} without members here: {why}"
    other = outcomes.filter(pl.col("members") != pl.col("size"))["listId"].to_list()
    if other:
        yield (
            f"{_named(other)} with another number of members than HubSpot told of the list: "
            "it counts them now and then, and members come and go"
        )


def _outcomes(joined: Staged) -> pl.DataFrame:
    frames = [chunk.read("lists") for chunk in joined.chunks()]
    return pl.concat(frames) if frames else pl.DataFrame(schema=LISTS_SCHEMA)


def _named(list_ids: Iterable[int]) -> str:
    ids = list(list_ids)
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return f"lists {', '.join(map(str, ids[:NAMED]))}{more}"
