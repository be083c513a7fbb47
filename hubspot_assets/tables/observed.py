"""Tables of what HubSpot keeps no history of: they show what was observed on reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.day import Day
from hubspot_assets.readings.staging import Staged
from hubspot_assets.tables.content import Findings, Frames, TableContent
from hubspot_assets.tables.counts import counted
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
    warnings: Iterable[str] = (),
) -> TableContent:
    """The content of a table that the sources `staged` fill.

    It is unavailable only where all of them were refused: else the others fill it, and a warning
    tells of each that lacks a scope. Of a day that is not the newest it is no point in time.
    """
    observed_at = max(each.observed_at for each in staged)
    newest = day.was_newest_at(observed_at)
    refused = [each.availability for each in staged if each.availability != AVAILABLE]
    return TableContent(
        spec=spec,
        folders=folders,
        as_of=day.end,
        point_in_time=newest,
        availability=refused[0] if len(refused) == len(staged) else AVAILABLE,
        findings=Findings(
            observed_at=observed_at,
            counts=counted({each.source: each.counts for each in staged}.values()),
            sources=dict(sources or {}),
            warnings=[
                *([] if newest else [NOT_HISTORY]),
                *dict.fromkeys(each.detail for each in refused if each.status == "missing_scope"),
                *warnings,
            ],
        ),
    )
