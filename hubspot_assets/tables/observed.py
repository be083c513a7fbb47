"""Tables of what HubSpot keeps no history of: they show what was observed on reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.day import Day
from hubspot_assets.readings.staging import Staged
from hubspot_assets.tables.content import Findings, Frames, TableContent
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
    sources: Mapping[str, Availability] | None = None,
    counts: Counter[str] | None = None,
    warnings: Iterable[str] = (),
) -> TableContent:
    """The content of a table that the sources `staged` fill.

    It is unavailable only where all of them were refused: else the others fill it, the availability
    of each is told, and a warning tells of each that was refused for want of a scope or of another
    subscription. `sources` are those of parts of it. Of a day that is not the newest it is no point
    in time. `counts` are filled while the rows are made; what the sources counted is added to them.
    """
    counts = Counter() if counts is None else counts
    counts.update(counted({each.source: each.counts for each in staged}.values()))
    observed_at = max(each.observed_at for each in staged)
    newest = day.was_newest_at(observed_at)
    refused = [each.availability for each in staged if not each.availability.served]
    told = {each.source: each.availability for each in staged} if len(staged) > 1 else {}
    parts = dict(sources or told)
    lacking = [each.availability for each in staged if each.availability.lacking]
    lacking = list(dict.fromkeys([*lacking, *(each for each in parts.values() if each.lacking)]))
    counts[SOURCES_REFUSED] = len(lacking)
    return TableContent(
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
