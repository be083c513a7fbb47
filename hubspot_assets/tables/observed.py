"""Tables of what HubSpot keeps no history of: they show what was observed on reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.day import Day
from hubspot_assets.readings.reading import Staged
from hubspot_assets.tables.content import Findings, Frames, TableContent, TableSource
from hubspot_assets.tables.counts import SOURCES_REFUSED, counted
from hubspot_assets.tables.spec import TableSpec

NOT_HISTORY = (
    "HubSpot keeps no history of this: it is what was observed on reading, more than a day "
    "after the end of the partition's day"
)


def observed_content(
    spec: TableSpec,
    day: Day,
    staged: Sequence[Staged],
    folders: Iterable[tuple[str, Frames]],
    *,
    sources: Mapping[str, Staged | Availability] | None = None,
    counts: Counter[str] | None = None,
    warnings: Iterable[str] = (),
) -> TableContent:
    """The content of a table that the sources `staged` fill.

    It is unavailable only where all of them were refused: else the others fill it, each is told of,
    and a warning tells of each that was refused for want of a scope or of another subscription.
    `sources` are those of parts of it, by sub-folder where it has some. Of a day that is not the
    newest it is no point in time. `counts` are filled while the rows are made; what the sources
    counted is added to them.
    """
    counts = Counter() if counts is None else counts
    counts.update(counted({each.source: each.counts for each in staged}.values()))
    observed_at = max(each.observed_at for each in staged)
    newest = day.was_newest_at(observed_at)
    refused = [each.availability for each in staged if not each.availability.served]
    told = {each.source: each for each in staged} if len(staged) > 1 else {}
    parts = {name: _source(each, day, observed_at) for name, each in (sources or told).items()}
    every = [
        *(each.availability for each in staged),
        *(each.availability for each in parts.values()),
    ]
    lacking = list(dict.fromkeys(each for each in every if each.lacking))
    counts[SOURCES_REFUSED] = len(lacking)
    return TableContent(
        settled=all(day.settled(each.began) for each in staged),
        spec=spec,
        folders=folders,
        as_of=day.end,
        point_in_time=newest,
        availability=refused[0] if len(refused) == len(staged) else AVAILABLE,
        findings=Findings(
            observed_at=observed_at,
            counts=counts,
            sources=parts,
            warnings=[
                *([] if newest else [NOT_HISTORY]),
                *(each.detail for each in lacking),
                *warnings,
            ],
        ),
    )


def _source(told: Staged | Availability, day: Day, observed_at: datetime) -> TableSource:
    """A source of its own, or what a reading that was made until `observed_at` tells of a part."""
    if isinstance(told, Availability):
        return TableSource(told, day.was_newest_at(observed_at), observed_at)
    at = told.observed_at
    return TableSource(told.availability, day.was_newest_at(at), at)
