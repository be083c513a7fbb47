"""The tables of lists and of who is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.lists import (
    LISTS,
    LISTS_SCHEMA,
    MEMBERSHIPS,
)
from hubspot_assets.tables import lists, specs
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.definitions import Item
from hubspot_assets.tables.delivered import delivered_ids
from hubspot_assets.tables.observed import observed_content
from hubspot_assets.tables.table import Table

#: So many lists are named in a warning.
NAMED = 20


def list_tables(types: Sequence[ExportedType]) -> Iterator[Table]:
    """LISTS and LIST_MEMBERSHIPS; members of lists of `types` are records of the day."""
    yield Table(specs.LISTS, (LISTS,), _lists)
    delivered = [of for of in types if of.object_type.api == "crm"]
    sources = MEMBERSHIPS, *(of.records for of in delivered)
    yield Table(specs.LIST_MEMBERSHIPS, sources, _memberships(delivered))


def _lists(staging: Staging, day: Day) -> TableContent:
    listed = staging.complete(LISTS)
    told = list(read_items(listed))
    items = (Item(content, read_at) for content, read_at in told if "listId" in content)
    counts: Counter[str] = Counter()
    rows = lists.lists(items, counts)
    refusals = [content["refused"] for content, _ in told if "refused" in content]
    return observed_content(
        specs.LISTS, day, [listed], [("", [rows])], counts=counts, warnings=refusals
    )


def _memberships(types: Sequence[ExportedType]) -> Callable[[Staging, Day], TableContent]:
    by_id = {of.object_type.id: of for of in types}

    def content(staging: Staging, day: Day) -> TableContent:
        joined = staging.complete(MEMBERSHIPS)
        counts: Counter[str] = Counter()

        def ids_of(type_id: str) -> pl.Series | None:
            return delivered_ids(staging, by_id[type_id], day) if type_id in by_id else None

        frames = (
            lists.list_memberships(
                lists.delivered(chunk.read("members"), day.end_naive, ids_of, counts)
            )
            for chunk in joined.chunks()
        )
        return observed_content(
            specs.LIST_MEMBERSHIPS,
            day,
            [joined],
            [("", frames)],
            counts=counts,
            warnings=_warnings(joined),
        )

    return content


def _warnings(joined: Staged) -> Iterator[str]:
    """What of the members is missing, or is not as HubSpot told it of the list."""
    outcomes = _outcomes(joined)
    missing = outcomes.filter(pl.col("members").is_null())
    if (gone := missing.filter(pl.col("refused").is_null())).height:
        yield f"{_named(gone)} deleted while the members were read: they have none here"
    for (why,), of in missing.drop_nulls("refused").group_by("refused", maintain_order=True):
        yield f"{_named(of)} without members here: {why}"
    read = outcomes.drop_nulls("members")
    for (status,), of in read.drop_nulls("status").group_by("status", maintain_order=True):
        yield f"{_named(of)} with a part of the members: HubSpot is not done with it ({status})"
    other = read.filter(pl.col("status").is_null() & (pl.col("members") != pl.col("size")))
    if other.height:
        yield (
            f"{_named(other)} with another number of members than HubSpot told of the list: "
            "it counts them now and then, and members come and go"
        )


def _outcomes(joined: Staged) -> pl.DataFrame:
    frames = [chunk.read("lists") for chunk in joined.chunks()]
    return pl.concat(frames) if frames else pl.DataFrame(schema=LISTS_SCHEMA)


def _named(outcomes: pl.DataFrame) -> str:
    """The lists by id, each with its size where HubSpot told one, and with how many were read."""
    columns = outcomes.select("listId", "size", "members")
    names = [_sized(*row) for row in columns.head(NAMED).iter_rows()]
    more = f" and {outcomes.height - NAMED:,} more" if outcomes.height > NAMED else ""
    return f"lists {', '.join(names)}{more}"


def _sized(list_id: int, size: int | None, members: int | None) -> str:
    if size is None:
        return str(list_id)
    read = "" if members is None else f"{members:,} read, "
    return f"{list_id} ({read}{size:,} by HubSpot's count)"
