"""Short lists, staged whole: a JSON text and its moment of reading per item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from hubspot_assets import json_text
from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.source import unavailable
from hubspot_assets.tables.counts import TOLD_TWICE

Key = Callable[[Mapping[str, Any]], Hashable]
"""What an item is known by."""

ITEMS_SCHEMA = {"item": pl.String(), "readAt": MOMENT}


def extract_items(
    staging: Staging,
    source: str,
    read: Callable[[], Iterator[Read]],
    *,
    key: Key = json_text.told,
) -> Staged:
    """Stages a short list, whole, as one chunk: frame `items` of JSON text and moment of reading.

    HubSpot tells an item of one `key` twice at times: the last stays. What the token or the portal
    does not give is staged empty with its availability. Raises HubSpotError and StoreError: what is
    refused in the middle is an error.
    """
    reading = staging.begin(source, "items", resume=False)
    items: list[Read] = []
    try:
        items.extend(read())
    except NotServed as error:
        if items:
            raise
        return reading.finish(unavailable(error), datetime.now(UTC))
    return stage_items(reading, items, key=key)


def stage_items(
    reading: Reading,
    items: Iterable[Read],
    availability: Availability = AVAILABLE,
    *,
    key: Key = json_text.told,
    observed_at: datetime | None = None,
) -> Staged:
    """Stages `items` as the only chunk of a reading; of items of one `key` the last, counted.

    They were `observed_at` that moment, or when the last of them was read.
    """
    told = list(items)
    items = {key(each.content): each for each in told}.values()
    reading.counts.update(+Counter({TOLD_TWICE: len(told) - len(items)}))
    frame = pl.DataFrame(
        {
            "item": [json_text.told(each.content) for each in items],
            "readAt": [each.received_at.replace(tzinfo=None) for each in items],
        },
        schema=ITEMS_SCHEMA,
    )
    reading.counts["items"] = len(items)
    reading.add({"items": frame}, after=None)
    last = max((each.received_at for each in items), default=datetime.now(UTC))
    return reading.finish(availability, max(last, observed_at or last))


def read_items(staged: Staged) -> Iterator[Read]:
    """The items of a staged list; their moments are naive UTC."""
    for chunk in staged.chunks():
        for item, read_at in chunk.read("items").iter_rows():
            yield Read(json_text.parsed(item), read_at)
