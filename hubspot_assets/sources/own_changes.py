"""What has changed of the objects of an API of their own since an earlier reading, staged.

Where an API tells which of its objects are new or changed, those alone are read, and staged as
changes of the earlier reading. Where some are gone all is written again, without them: what was
known is not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import polars as pl

from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.ordering import Reader
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.changes import MOST_APART
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.look import FEW
from hubspot_assets.sources.nested import in_order, nested_chunk
from hubspot_assets.sources.own_types import (
    WITHOUT_HISTORY,
    Spool,
    definitions_of,
    known_fields,
    moments_of,
    stage_properties,
)
from hubspot_assets.sources.resuming import plan_of
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import OBJECTS_ALIKE, PARTS_GONE, PARTS_REFUSED

#: What is counted at each reading of what is asked for at each.
_OF_TODAY = (PARTS_GONE, PARTS_REFUSED)


def own_plan(client: HubSpot, portal: str, object_type: ObjectType, defined: Sequence[Read]) -> str:
    """What readings of a type must have in common: of whom, and as which properties."""
    fields = sorted((name, *field) for name, field in known_fields(object_type.id).items())
    moments = sorted(moments_of(definitions_of(object_type, defined)))
    return plan_of(client, portal, object_type.id, fields, moments)


def known_objects(base: Staged, value: str) -> pl.DataFrame:
    """What a reading holds of each object: id, createdAt, updatedAt and that `value`, if any."""
    found = []
    for chunk in base.chunks():
        values = chunk.read("values", ["id", "name", "value"]).filter(pl.col("name") == value)
        records = chunk.read("records", ["id", "createdAt", "updatedAt"])
        found.append(records.join(values.select("id", "value"), on="id", how="left"))
    schema = {"id": pl.Int64(), "createdAt": MOMENT, "updatedAt": MOMENT, "value": pl.String()}
    return pl.concat([pl.DataFrame(schema=schema), *found])


def stage_changes(
    staging: Staging,
    object_type: ObjectType,
    base: Staged,
    known: pl.Series,
    read: Callable[[Reading], Iterable[Read]],
    gone: Callable[[], pl.Series],
    *,
    defined: Sequence[Read],
) -> Staged:
    """Stages what `read` gives as changes of `base`, in which the ids `known` are.

    It is given the reading, for what it counts, and then `gone` tells which of those ids are there
    no more. Raises HubSpotError, IncompleteAnswer where an object has no id, and StoreError.
    """
    reading = staging.begin_changes(base, base.plan)
    reading.swept_at = base.swept_at
    definitions = definitions_of(object_type, defined)
    last = reading.began
    with temporary_folder() as folder:
        spool = Spool(folder, object_type, moments_of(definitions))
        for each in read(reading):
            spool.add(each)
            last = max(last, each.received_at)
        lost = gone()
        before: Iterable[Chunk] = base.changes
        if len(lost):
            reading.hold_everything()
            before = base.chunks()
        former: Iterator[Reader] = (partial(_without, each, lost) for each in before)
        readers = chain(spool.readers(), former)
        written = 0
        for records, values in in_order(readers):
            reading.add({"records": records, "values": values}, after=None)
            written += records.height
        fresh = pl.Series("id", list(spool.ids), dtype=pl.Int64)
    kept = known.filter(~known.is_in(pl.concat([lost, fresh]).implode()))
    _count(reading, base, spool, len(kept))
    staged = reading.finish(base.availability, max(last, datetime.now(UTC)))
    if reading.base and written > max(FEW, len(known) * MOST_APART // 100):
        staged = staging.compacted(staged, left_out=pl.lit(value=False))
    stage_properties(staging, object_type, definitions, _names(staged))
    return staged


def _without(chunk: Chunk, ids: pl.Series) -> pl.DataFrame:
    return nested_chunk(chunk).filter(~pl.col("id").is_in(ids.implode()))


def _count(reading: Reading, base: Staged, spool: Spool, kept: int) -> None:
    """What was done to values counts with those that are kept."""
    counts = reading.counts
    read = len(spool.ids)
    total = read + kept
    counts["records"] = counts[WITHOUT_HISTORY] = total
    counts["objects_read"], counts["objects_kept"] = read, kept
    counts.update(+spool.counts)
    counts[OBJECTS_ALIKE] = spool.added - read
    of_each = {"records", WITHOUT_HISTORY, "objects_read", "objects_kept", *_OF_TODAY}
    counts.update({name: n for name, n in base.counts.items() if name not in of_each})


def _names(staged: Staged) -> set[str]:
    """The names of all properties that have values."""
    return {
        name
        for chunk in staged.chunks()
        for name in chunk.read("values", ["name"])["name"].unique()
    }
