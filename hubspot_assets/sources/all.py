"""Everything that is read of a portal."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from hubspot_assets.exported import Exported
from hubspot_assets.hubspot import metadata
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.association_sources import association_sources
from hubspot_assets.sources.event_sources import event_sources
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.lists import LISTS, MEMBERSHIPS, extract_lists, extract_memberships
from hubspot_assets.sources.object_types import OBJECT_TYPES, extract_object_types
from hubspot_assets.sources.own_sources import own_sources
from hubspot_assets.sources.pipelines import PIPELINES, extract_pipelines
from hubspot_assets.sources.record_sources import record_sources
from hubspot_assets.sources.source import Ask, Source

OWNERS, TEAMS, TEAM_TREE = "owners", "user_teams", "team_tree"

_BY_ID = itemgetter("id")


def all_sources(exported: Exported) -> list[Source]:
    """The sources of all tables, those that others need before them."""
    types = exported.types
    return [
        *record_sources(exported),
        Source(
            OWNERS,
            ("owners",),
            "Owners, archived ones included.",
            _owners,
            group="organisation",
            api="owners",
        ),
        Source(
            TEAMS,
            ("teams",),
            "Teams, with their parents.",
            _teams,
            group="organisation",
            api="user_teams",
            also=(TEAM_TREE,),
        ),
        Source(
            PIPELINES,
            ("pipelines",),
            "Pipelines and stages of every type that has some.",
            lambda ask: extract_pipelines(ask, [of.object_type for of in types]),
            group="definitions",
            api="pipelines",
        ),
        Source(
            OBJECT_TYPES,
            ("object_types",),
            "Object types, each tried once to see if it can be read.",
            lambda ask: extract_object_types(
                ask.client,
                ask.staging,
                [(of.object_type, of.table) for of in types],
                exported.catalog.object_types,
                ask.workers,
            ),
            group="definitions",
            api="objects",
        ),
        *own_sources(exported),
        *event_sources(exported),
        *association_sources(exported.pairs, exported.portal),
        *_lists(exported),
    ]


def _owners(ask: Ask) -> Staged:
    return extract_items(ask.staging, OWNERS, lambda: metadata.owners(ask.client), key=_BY_ID)


def _teams(ask: Ask) -> Staged:
    extract_items(ask.staging, TEAM_TREE, lambda: metadata.team_tree(ask.client), key=_BY_ID)
    return extract_items(ask.staging, TEAMS, lambda: metadata.user_teams(ask.client), key=_BY_ID)


def _lists(exported: Exported) -> Iterator[Source]:
    ids = [each.id for each in exported.catalog.object_types]
    # Not "lists": that reads lists as records of an object type of their own.
    yield Source(
        LISTS,
        ("all_lists",),
        "Lists of records of every object type.",
        lambda ask: extract_lists(ask.client, ask.staging, ids, workers=ask.workers),
        group="lists",
        api="lists",
    )
    yield Source(
        MEMBERSHIPS,
        ("list_memberships",),
        "The members of every list.",
        lambda ask: extract_memberships(
            ask.client,
            ask.staging,
            portal=exported.portal,
            workers=ask.workers,
            report=ask.report,
            incremental=ask.incremental,
            sweep_days=ask.sweep_days,
        ),
        group="lists",
        api="lists",
        # Readings of records tell which members have another id by now.
        needs=(LISTS, *(of.records for of in exported.types if of.object_type.api == "crm")),
    )
