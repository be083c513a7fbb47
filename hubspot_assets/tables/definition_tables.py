"""The tables of owners, teams, pipelines and definitions: as observed when they were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedEvent, ExportedType
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.event_sources import DEFINITIONS, EVENT_TYPES
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.object_types import OBJECT_TYPES
from hubspot_assets.sources.pipelines import PIPELINES, refused_pipelines
from hubspot_assets.sources.records import defined_properties
from hubspot_assets.tables import definitions, specs
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.definitions import Item
from hubspot_assets.tables.event_tables import event_property_items
from hubspot_assets.tables.observed import observed_content
from hubspot_assets.tables.spec import TableSpec
from hubspot_assets.tables.table import Table


def definition_tables(
    types: Sequence[ExportedType], events: Sequence[ExportedEvent]
) -> Iterator[Table]:
    """The tables of what has no history in HubSpot and is told whole."""

    def property_definitions(
        counts: Counter[str], of_events: Staged, *staged: Staged
    ) -> pl.DataFrame:
        by_source = {each.source: each for each in staged}
        of_objects = (
            (of.object_type.id, Item(*read))
            for of in types
            for read in defined_properties(by_source[of.properties], by_source.get(of.records))
        )
        return definitions.property_definitions(
            chain(of_objects, event_property_items(events, of_events)), counts
        )

    yield _observed(specs.OWNERS, ["owners"], _rows(definitions.owners))
    yield _observed(specs.OWNER_TEAM, ["owners"], _rows(definitions.owner_team))
    yield _observed(specs.TEAMS, ["user_teams", "team_tree"], _teams, _no_parents)
    for spec, rows in (
        (specs.PIPELINES, definitions.pipelines),
        (specs.PIPELINE_STAGES, definitions.pipeline_stages),
    ):
        yield _observed(spec, [PIPELINES], _rows_by_type(rows), parts=refused_pipelines)
    yield _observed(
        specs.OBJECT_AND_EVENT_TYPE_DEFINITIONS,
        [OBJECT_TYPES, EVENT_TYPES],
        _type_definitions,
        lambda objects, _: _told(objects, "warning"),
    )
    yield _observed(
        specs.PROPERTY_DEFINITIONS,
        [DEFINITIONS, *(of.properties for of in types)],
        property_definitions,
        beside=[of.records for of in types if of.object_type.pipelines],
    )


def _observed(
    spec: TableSpec,
    sources: Sequence[str],
    rows: Callable[..., pl.DataFrame],
    refusals: Callable[..., list[str]] = lambda *_: [],
    parts: Callable[..., Mapping[str, Availability]] = lambda *_: {},
    beside: Sequence[str] = (),
) -> Table:
    """A table that `rows` makes of the readings of `sources`, and of what is seen in `beside`.

    It counts what of them was told in vain; `refusals` tells what is missing for what HubSpot
    refused of them, `parts` what was refused of a source by itself.
    """

    def content(staging: Staging, day: Day) -> TableContent:
        staged = [staging.complete(source) for source in sources]
        counts: Counter[str] = Counter()
        frame = rows(counts, *staged, *(staging.complete(source) for source in beside))
        return observed_content(
            spec,
            day,
            staged,
            [("", [frame])],
            sources=parts(*staged),
            counts=counts,
            warnings=refusals(*staged),
        )

    return Table(spec, (*sources, *beside), content)


Rows = Callable[[Counter[str], Staged], pl.DataFrame]


def _rows(make: Callable[[Iterable[Item], Counter[str]], pl.DataFrame]) -> Rows:
    return lambda counts, staged: make(_items(staged), counts)


def _rows_by_type(
    make: Callable[[Iterable[tuple[str, Item]], Counter[str]], pl.DataFrame],
) -> Rows:
    def rows(counts: Counter[str], staged: Staged) -> pl.DataFrame:
        told = (
            (content["objectTypeId"], Item(content["pipeline"], read_at))
            for content, read_at in read_items(staged)
            if "pipeline" in content
        )
        return make(told, counts)

    return rows


def _told(staged: Staged, what: str) -> list[str]:
    """What items of that name say."""
    return [content[what] for content, _ in read_items(staged) if what in content]


def _teams(counts: Counter[str], flat: Staged, tree: Staged) -> pl.DataFrame:
    return definitions.teams(_items(flat), _items(tree), counts)


def _no_parents(_: Staged, tree: Staged) -> list[str]:
    why = tree.availability
    return [] if why.served else [f"PARENTTEAMID is NULL in every row: {why.detail}"]


def _type_definitions(counts: Counter[str], objects: Staged, events: Staged) -> pl.DataFrame:
    types = (item for item in _items(objects) if "warning" not in item.content)
    return definitions.object_and_event_type_definitions(types, _items(events), counts)


def _items(staged: Staged) -> Iterator[Item]:
    for content, read_at in read_items(staged):
        yield Item(content, read_at)
