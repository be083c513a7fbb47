"""The tables of links: one per direction of a pair of object types, and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType, LinkedPair
from hubspot_assets.hubspot.associations import standard_types
from hubspot_assets.readings.merging import Chunk
from hubspot_assets.readings.ordering import in_key_order
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.association_definitions import DEFINITIONS, Definitions
from hubspot_assets.sources.associations import links_source
from hubspot_assets.sources.items import read_items
from hubspot_assets.tables import associations, specs
from hubspot_assets.tables.associations import AssociationType, PairTypes
from hubspot_assets.tables.content import TableContent
from hubspot_assets.tables.counts import LINKS_REPEATED, RECORDS_REFUSED
from hubspot_assets.tables.delivered import delivered_ids
from hubspot_assets.tables.names import unique_folders
from hubspot_assets.tables.observed import observed_content
from hubspot_assets.tables.spec import TableSpec
from hubspot_assets.tables.table import Table

Content = Callable[[Staging, Day], TableContent]


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
        sides = self.origin, self.target
        labels = self.origin.label, self.target.label
        if self.origin != self.target and len(set(labels)) == 1:  # told apart by their ids
            one, other = (f"{each.label} ({each.object_type.id})" for each in sides)
            labels = one, other
        return specs.associations_of_pair(f"ASSOCIATIONS_{self.name}", self.columns, labels)

    def association_types(self, staging: Staging) -> list[AssociationType]:
        told = Definitions.of_day(staging)
        return _with_roles(told, self.origin.object_type.id, self.target.object_type.id)

    def read(
        self,
        staging: Staging,
        day: Day,
        rows: Callable[[pl.DataFrame], pl.DataFrame],
        key: Sequence[str],
        counts: Counter[str],
    ) -> Iterator[pl.DataFrame]:
        """The rows of the staged links between records of the day, in the order of `key`."""
        ends = delivered_ids(staging, self.origin, day), delivered_ids(staging, self.target, day)

        def read(chunk: Chunk) -> pl.DataFrame:
            links = associations.delivered(chunk.read(self.frame), ends, counts)
            counts[LINKS_REPEATED] += links.height
            return rows(links)

        chunks = staging.complete(links_source(self.pair.types)).chunks()
        for frame in in_key_order([partial(read, chunk) for chunk in chunks], key):
            counts[LINKS_REPEATED] -= frame.height
            yield frame


def association_tables(
    pairs: Sequence[LinkedPair], types: Sequence[ExportedType]
) -> Iterator[Table]:
    """A table per direction of a pair that has some, ASSOCIATIONS and ASSOCIATION_DEFINITIONS."""
    if not pairs:
        return
    directions = [direction for pair in pairs for direction in _directions(pair)]
    for each in directions:
        if each.pair.has_tables:
            sources = (links_source(each.pair.types), DEFINITIONS, *each.pair.records)
            ids = each.origin.object_type.id, each.target.object_type.id
            yield Table(each.spec(), sources, _pair_table(each), ids)
    links = (name for pair in pairs for name in (links_source(pair.types), *pair.records))
    yield Table(specs.ASSOCIATIONS, tuple(links), _combined(directions))
    yield Table(specs.ASSOCIATION_DEFINITIONS, (DEFINITIONS,), _definitions(types))


def _directions(pair: LinkedPair) -> list[_Direction]:
    """Each way of looking at the links."""
    forward = _Direction(pair, pair.first, pair.second, "forward", pair.directed[0])
    if pair.first == pair.second:
        return [forward]
    return [forward, _Direction(pair, pair.second, pair.first, "backward", pair.directed[1])]


def _pair_table(direction: _Direction) -> Content:
    spec = direction.spec()

    def content(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(links_source(direction.pair.types))
        main = associations.main_type(direction.association_types(staging))
        counts: Counter[str] = Counter()
        rows = direction.read(
            staging,
            day,
            lambda links: associations.associations_of_pair(links, direction.columns, main),
            spec.key,
            counts,
        )
        return observed_content(
            spec, day, [staged], [("", rows)], counts=counts, warnings=_refused(staged)
        )

    return content


def _combined(directions: Sequence[_Direction]) -> Content:
    def content(staging: Staging, day: Day) -> TableContent:
        staged = {
            each: staging.complete(links_source(each.pair.types))
            for each in sorted(directions, key=lambda each: each.name)
        }
        folders = unique_folders({each.name: each.name for each in staged})
        linked = [each for each in staged if staged[each].chunks_staged]
        counts: Counter[str] = Counter()
        return observed_content(
            specs.ASSOCIATIONS,
            day,
            list(staged.values()),
            ((folders[each.name], _combined_rows(each, staging, day, counts)) for each in linked),
            sources={
                folders[each.name]: of
                for each, of in staged.items()
                if each in linked or not of.availability.served
            },
            counts=counts,
            warnings=[
                warning
                for each in linked
                if each.frame == "forward"
                for warning in _refused(staged[each])
            ],
        )

    return content


def _combined_rows(
    direction: _Direction, staging: Staging, day: Day, counts: Counter[str]
) -> Iterator[pl.DataFrame]:
    ids = direction.origin.object_type.id, direction.target.object_type.id
    return direction.read(
        staging,
        day,
        lambda links: associations.associations(links, *ids),
        specs.ASSOCIATIONS.key,
        counts,
    )


def _refused(staged: Staged) -> Iterator[str]:
    """Whose links HubSpot would not tell."""
    if staged.counts.get(RECORDS_REFUSED):
        for chunk in staged.chunks():
            for record_id, message in chunk.read("refused").iter_rows():
                yield f"the links of record {record_id} are missing: {message}"


def _definitions(types: Sequence[ExportedType]) -> Content:
    names = {of.object_type.id: of.object_type.name for of in types}

    def content(staging: Staging, day: Day) -> TableContent:
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
            if (why := told.refusal(pair.from_type, pair.to_type)) and why.lacking
        }
        spec = specs.ASSOCIATION_DEFINITIONS
        return observed_content(spec, day, [staged], [("", [rows])], warnings=sorted(refused))

    return content


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
