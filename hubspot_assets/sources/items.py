"""Short lists, staged whole: a JSON text and its moment of reading per item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import orjson
import polars as pl

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.staging import Reading, Staged, Staging
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.source import unavailable

ITEMS_SCHEMA = {"item": pl.String(), "readAt": MOMENT}


def extract_items(staging: Staging, source: str, read: Callable[[], Iterator[Read]]) -> Staged:
    """Stages a short list, whole, as one chunk: frame `items` of JSON text and moment of reading.

    What the token or the portal does not give is staged empty with its availability. Raises
    HubSpotError and StoreError: what is refused in the middle is an error.
    """
    reading = staging.begin(source, "items", resume=False)
    items: list[Read] = []
    try:
        items.extend(read())
    except NotServed as error:
        if items:
            raise
        return reading.finish(unavailable(error), datetime.now(UTC))
    return stage_items(reading, items)


def stage_items(
    reading: Reading, items: Iterable[Read], availability: Availability = AVAILABLE
) -> Staged:
    """Stages `items` as the only chunk of a reading."""
    items = list(items)
    frame = pl.DataFrame(
        {
            "item": [orjson.dumps(each.content).decode() for each in items],
            "readAt": [each.received_at.replace(tzinfo=None) for each in items],
        },
        schema=ITEMS_SCHEMA,
    )
    reading.counts["items"] = len(items)
    reading.add({"items": frame}, after=None)
    last = max((each.received_at for each in items), default=datetime.now(UTC))
    return reading.finish(availability, last)


def read_items(staged: Staged) -> Iterator[Read]:
    """The items of a staged list; their moments are naive UTC."""
    for chunk in staged.chunks():
        for item, read_at in chunk.read("items").iter_rows():
            yield Read(orjson.loads(item), read_at)
