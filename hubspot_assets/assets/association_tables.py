"""Associations: which records are linked, read per pair of object types, delivered both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import dagster as dg
import polars as pl

from hubspot_assets.assets.day import Day
from hubspot_assets.assets.extraction import Extract, extractions
from hubspot_assets.assets.observed import observed_content
from hubspot_assets.assets.table import Make, table_asset, table_assets
from hubspot_assets.assets.types import ExportedType
from hubspot_assets.availability import AVAILABLE
from hubspot_assets.export import TableContent
from hubspot_assets.hubspot.associations import standard_types
from hubspot_assets.hubspot.catalog import Catalog, ObjectType
from hubspot_assets.readings.ordering import in_key_order
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.sources.associations import (
    DEFINITIONS,
    Definitions,
    Pair,
    extract_definitions,
    extract_links,
    links_source,
)
from hubspot_assets.sources.items import read_items
from hubspot_assets.tables import associations, specs
from hubspot_assets.tables.associations import AssociationType, PairTypes
from hubspot_assets.tables.counts import RECORDS_REFUSED
from hubspot_assets.tables.names import type_id_order, unique_names
from hubspot_assets.tables.spec import TableSpec

TYPES = dg.AssetKey(["hubspot", "association_definitions"])

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """Two exported types whose records can be linked, in the order of their ids.

    `name` is the pair's among the assets, as contacts_and_deals; `directed` are its names in the
    export, as CONTACTS_TO_DEALS: one for a type with itself, else two.
    """

    first: ExportedType
    second: ExportedType
    name: str
    directed: tuple[str, ...]

    @property
    def types(self) -> Pair:
        """The two object types."""
        return self.first.object_type, self.second.object_type

    @property
    def key(self) -> dg.AssetKey:
        """The asset that reads the links."""
        return dg.AssetKey(["hubspot", "associations", self.name])

    @property
    def directions(self) -> list[_Direction]:
        """Each way of looking at the links."""
        forward = _Direction(self, self.first, self.second, "forward", self.directed[0])
        if self.first == self.second:
            return [forward]
        return [
            forward,
            _Direction(self, self.second, self.first, "backward", self.directed[1]),
        ]


@dataclass(frozen=True, slots=True)
class _Direction:
    """The links of a pair seen from one side; `frame` is the staged one that holds them."""

    pair: LinkedPair
    origin: ExportedType
    target: ExportedType
    frame: str
    name: str

    @property
    def columns(self) -> tuple[str, str]:
        return associations.id_columns(self.origin.object_type.name, self.target.object_type.name)

    def spec(self) -> TableSpec:
        labels = self.origin.label, self.target.label
        return specs.associations_of_pair(f"ASSOCIATIONS_{self.name}", self.columns, labels)

    def association_types(self, staging: Staging) -> list[AssociationType]:
        told = Definitions.of_day(staging)
        return _with_roles(told, self.origin.object_type.id, self.target.object_type.id)

    def read(
        self, staged: Staged, rows: Callable[[pl.DataFrame], pl.DataFrame], key: Sequence[str]
    ) -> Iterator[pl.DataFrame]:
        """The rows of the staged links, in the order of `key`."""
        readers = [lambda c=chunk: rows(c.read(self.frame)) for chunk in staged.chunks()]
        return in_key_order(readers, key)


def linked_pairs(catalog: Catalog, types: Sequence[ExportedType]) -> list[LinkedPair]:
    """The pairs of exported types that can be linked, by ids.

    One of the two must be served by the CRM objects API, from whose records links are read.
    """
    by_id = {of.object_type.id: of for of in types}
    ordered = {tuple(sorted(pair, key=type_id_order)) for pair in catalog.associations}
    pairs = [
        (by_id[first], by_id[second])
        for first, second in sorted(ordered, key=lambda pair: [type_id_order(i) for i in pair])
        if first in by_id
        and second in by_id
        and "crm" in (by_id[first].object_type.api, by_id[second].object_type.api)
    ]
    # Labels can be such that two pairs come out alike: A to B_TO_C, and A_TO_B to C.
    names = unique_names((_ids(way), f"{way[0].folder}_and_{way[1].folder}") for way in pairs)
    directed = unique_names(
        (_ids(way), f"{way[0].suffix}_TO_{way[1].suffix}") for pair in pairs for way in _both(pair)
    )
    return [
        LinkedPair(*pair, names[_ids(pair)], tuple(directed[_ids(way)] for way in _both(pair)))
        for pair in pairs
    ]


def _ids(way: tuple[ExportedType, ExportedType]) -> str:
    return "_".join(of.object_type.id for of in way)


def linked_types(pairs: Sequence[LinkedPair]) -> dict[str, list[ObjectType]]:
    """By type id, which types a type's records are asked for links to when they are listed."""
    found: dict[str, list[ObjectType]] = {}
    for first, second in (direction for pair in pairs for direction in _both(pair.types)):
        if second.api == "crm" and second.enabled:
            found.setdefault(first.id, []).append(second)
    return found


def _both(pair: tuple[T, T]) -> list[tuple[T, T]]:
    """Both directions of a pair: one for a type with itself."""
    return list(dict.fromkeys([pair, (pair[1], pair[0])]))


def association_assets(
    pairs: Sequence[LinkedPair],
    types: Sequence[ExportedType],
    partitions: dg.PartitionsDefinition[str],
) -> list[dg.AssetsDefinition]:
    """What reads the links and their types, and the tables made of them."""
    if not pairs:
        return []
    reading = extractions(
        "hubspot_associations",
        [(_reading_spec(pair), _extract(pair)) for pair in pairs],
        partitions,
    )
    defining = extractions(
        "hubspot_association_definitions",
        [(_types_spec(), _extract_types(pairs))],
        partitions,
    )
    directions = [direction for pair in pairs for direction in pair.directions]
    keys = [pair.key for pair in pairs]
    return [
        defining,
        reading,
        table_assets(
            "associations_of_pairs",
            [(each.spec(), [each.pair.key, TYPES], _pair_table(each)) for each in directions],
            partitions,
        ),
        table_asset(specs.ASSOCIATIONS, keys, partitions, _combined(directions)),
        table_asset(specs.ASSOCIATION_DEFINITIONS, [TYPES], partitions, _definitions(types)),
    ]


def _types_spec() -> dg.AssetSpec:
    return dg.AssetSpec(TYPES, description="The links that records can have, and their labels.")


def _reading_spec(pair: LinkedPair) -> dg.AssetSpec:
    sides = [of for of in (pair.first, pair.second) if of.object_type.api == "crm"]
    return dg.AssetSpec(
        pair.key,
        description=f"Links between {pair.first.label} and {pair.second.label}, each read once.",
        deps=list(dict.fromkeys([TYPES, *(of.records_key for of in sides)])),
    )


def _extract_types(pairs: Sequence[LinkedPair]) -> Extract:
    types = [pair.types for pair in pairs]
    return lambda client, staging, hubspot: extract_definitions(
        client, staging, types, hubspot.workers
    )


def _extract(pair: LinkedPair) -> Extract:
    return lambda client, staging, hubspot: extract_links(
        client,
        staging,
        pair.types,
        Definitions.of_day(staging),
        workers=hubspot.workers,
        report=lambda _, links: hubspot.report(f"{pair.first.folder}, {pair.second.folder}", links),
    )


def _pair_table(direction: _Direction) -> Make:
    spec = direction.spec()

    def make(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(links_source(direction.pair.types))
        main = associations.main_type(direction.association_types(staging))
        rows = direction.read(
            staged,
            lambda links: associations.associations_of_pair(links, direction.columns, main),
            spec.key,
        )
        return observed_content(spec, day, [staged], [("", rows)], warnings=_refused(staged))

    return make


def _combined(directions: Sequence[_Direction]) -> Make:
    def make(staging: Staging, day: Day) -> TableContent:
        staged = {
            each: staging.complete(links_source(each.pair.types))
            for each in sorted(directions, key=lambda each: each.name)
        }
        linked = [each for each in staged if staged[each].chunks_staged]
        return observed_content(
            specs.ASSOCIATIONS,
            day,
            list(staged.values()),
            ((each.name.lower(), _combined_rows(each, staged[each])) for each in linked),
            sources={
                each.name.lower(): of.availability
                for each, of in staged.items()
                if each in linked or of.availability != AVAILABLE
            },
            warnings=[
                warning
                for each in linked
                if each.frame == "forward"
                for warning in _refused(staged[each])
            ],
        )

    return make


def _combined_rows(direction: _Direction, staged: Staged) -> Iterator[pl.DataFrame]:
    ids = direction.origin.object_type.id, direction.target.object_type.id
    return direction.read(
        staged, lambda links: associations.associations(links, *ids), specs.ASSOCIATIONS.key
    )


def _refused(staged: Staged) -> Iterator[str]:
    """Whose links HubSpot would not tell."""
    if staged.counts.get(RECORDS_REFUSED):
        for chunk in staged.chunks():
            for record_id, message in chunk.read("refused").iter_rows():
                yield f"the links of record {record_id} are missing: {message}"


def _definitions(types: Sequence[ExportedType]) -> Make:
    names = {of.object_type.id: of.object_type.name for of in types}

    def make(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(DEFINITIONS)
        told = Definitions.of_day(staging)
        pairs = [
            PairTypes(
                from_type,
                to_type,
                (names[from_type], names[to_type]),
                _with_roles(told, from_type, to_type),
                read_at,
            )
            for from_type, to_type, read_at in _told_pairs(staged)
        ]
        rows = associations.association_definitions(pairs)
        refused = {
            why.detail
            for pair in pairs
            if (why := told.refusal(pair.from_type, pair.to_type)) and why.status == "missing_scope"
        }
        spec = specs.ASSOCIATION_DEFINITIONS
        return observed_content(spec, day, [staged], [("", [rows])], warnings=sorted(refused))

    return make


def _told_pairs(staged: Staged) -> Iterator[tuple[str, str, object]]:
    for told, read_at in read_items(staged):
        yield told["fromObjectTypeId"], told["toObjectTypeId"], read_at


def _with_roles(told: Definitions, from_type: str, to_type: str) -> list[AssociationType]:
    roles = {each.type_id: each.role for each in standard_types()}
    return [
        AssociationType(
            of.category,
            of.type_id,
            of.label or None,
            roles.get(of.type_id, "") if of.category == "HUBSPOT_DEFINED" else "",
        )
        for of in told.of(from_type, to_type)
    ]
