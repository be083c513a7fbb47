"""The tables of owners, teams, pipelines and definitions: as observed when they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import dagster as dg
import polars as pl

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.event_tables import event_property_items
from hubspot_assets.assets.events import (
    DEFINITIONS,
    DEFINITIONS_KEY,
    EVENT_TYPES,
    EVENT_TYPES_KEY,
    ExportedEvent,
)
from hubspot_assets.assets.extraction import OBJECT_TYPES, OWNERS, PIPELINES, TEAMS
from hubspot_assets.assets.observed import observed_content
from hubspot_assets.assets.table import table_asset
from hubspot_assets.assets.types import ExportedType
from hubspot_assets.export import TableContent
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.source import properties_source
from hubspot_assets.tables import definitions, specs
from hubspot_assets.tables.definitions import Item
from hubspot_assets.tables.spec import TableSpec


@dataclass(frozen=True, slots=True)
class _Observed:
    """A table that shows what was observed; `rows` makes it of the staged `sources`.

    `refusals` tells what of them HubSpot refused in part.
    """

    spec: TableSpec
    deps: Sequence[dg.AssetKey]
    sources: Sequence[str]
    rows: Callable[..., pl.DataFrame]
    refusals: Callable[..., list[str]] = lambda *_: []

    def content(self, staging: Staging, day: Day) -> TableContent:
        """The table's content for a day."""
        staged = [staging.complete(source) for source in self.sources]
        rows = [("", [self.rows(*staged)])]
        return observed_content(self.spec, day, staged, rows, warnings=self.refusals(*staged))


def definition_table_assets(
    types: Sequence[ExportedType],
    events: Sequence[ExportedEvent],
    partitions: dg.PartitionsDefinition[str],
) -> list[dg.AssetsDefinition]:
    """The tables that have no history in HubSpot."""
    ids = [of.object_type.id for of in types]

    def property_definitions(of_events: Staged, *staged: Staged) -> pl.DataFrame:
        by_type = zip(ids, staged, strict=True)
        of_objects = ((type_id, item) for type_id, source in by_type for item in _items(source))
        return definitions.property_definitions(
            chain(of_objects, event_property_items(events, of_events))
        )

    tables = [
        _Observed(specs.OWNERS, [OWNERS], ["owners"], _rows(definitions.owners)),
        _Observed(specs.OWNER_TEAM, [OWNERS], ["owners"], _rows(definitions.owner_team)),
        _Observed(specs.TEAMS, [TEAMS], ["user_teams", "team_tree"], _teams),
        _Observed(
            specs.PIPELINES,
            [PIPELINES],
            ["pipelines"],
            _rows_by_type(definitions.pipelines),
            lambda staged: _told(staged, "refused"),
        ),
        _Observed(
            specs.PIPELINE_STAGES,
            [PIPELINES],
            ["pipelines"],
            _rows_by_type(definitions.pipeline_stages),
            lambda staged: _told(staged, "refused"),
        ),
        _Observed(
            specs.OBJECT_AND_EVENT_TYPE_DEFINITIONS,
            [OBJECT_TYPES, EVENT_TYPES_KEY],
            ["object_types", EVENT_TYPES],
            _type_definitions,
            lambda objects, _: _told(objects, "warning"),
        ),
        _Observed(
            specs.PROPERTY_DEFINITIONS,
            [DEFINITIONS_KEY, *(of.properties_key for of in types)],
            [DEFINITIONS, *(properties_source(of.object_type) for of in types)],
            property_definitions,
        ),
    ]
    return [table_asset(each.spec, each.deps, partitions, each.content) for each in tables]


def _rows(make: Callable[[Iterable[Item]], pl.DataFrame]) -> Callable[[Staged], pl.DataFrame]:
    return lambda staged: make(_items(staged))


def _rows_by_type(
    make: Callable[[Iterable[tuple[str, Item]]], pl.DataFrame],
) -> Callable[[Staged], pl.DataFrame]:
    return lambda staged: make(
        (content["objectTypeId"], Item(content["pipeline"], read_at))
        for content, read_at in read_items(staged)
        if "pipeline" in content
    )


def _told(staged: Staged, what: str) -> list[str]:
    """What items of that name say."""
    return [content[what] for content, _ in read_items(staged) if what in content]


def _teams(flat: Staged, tree: Staged) -> pl.DataFrame:
    return definitions.teams(_items(flat), _items(tree))


def _type_definitions(objects: Staged, events: Staged) -> pl.DataFrame:
    types = (item for item in _items(objects) if "warning" not in item.content)
    return definitions.object_and_event_type_definitions(types, _items(events))


def _items(staged: Staged) -> Iterator[Item]:
    for content, read_at in read_items(staged):
        yield Item(content, read_at)
