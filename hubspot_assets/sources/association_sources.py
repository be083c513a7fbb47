"""What is read of associations: their types, and the links of each pair of object types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hubspot_assets.exported import LinkedPair
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.association_definitions import (
    DEFINITIONS,
    Definitions,
    extract_definitions,
)
from hubspot_assets.sources.associations import extract_links, links_source
from hubspot_assets.sources.source import Ask, Source


def association_sources(pairs: Sequence[LinkedPair], portal: str) -> Iterator[Source]:
    """Nothing where no types that are exported can be linked."""
    if not pairs:
        return
    types = [pair.types for pair in pairs]
    yield Source(
        DEFINITIONS,
        ("association_definitions",),
        "The links that records can have, and their labels.",
        lambda ask: extract_definitions(
            ask.client,
            ask.staging,
            types,
            ask.workers,
            portal=portal,
            incremental=ask.incremental,
            sweep_days=ask.sweep_days,
        ),
        group="definitions",
        api="associations",
    )
    for pair in pairs:
        yield Source(
            links_source(pair.types),
            ("associations", pair.name if pair.has_tables else "other_pairs"),
            _described(pair),
            _links(pair),
            group="associations",
            api="associations",
            needs=(DEFINITIONS, *pair.records),
            member=pair.name,
            pair=(pair.first.object_type.id, pair.second.object_type.id),
        )


def _described(pair: LinkedPair) -> str:
    if pair.has_tables:
        return f"Links between {pair.first.label} and {pair.second.label}, each read once."
    return "Links of all pairs of types of which none has been seen so far."


def _links(pair: LinkedPair) -> Callable[[Ask], Staged]:
    return lambda ask: extract_links(
        ask.client,
        ask.staging,
        pair.types,
        Definitions.of_day(ask.staging),
        workers=ask.workers,
        report=lambda _, links: ask.report(f"{pair.first.folder}, {pair.second.folder}", links),
    )
