"""Every table of the export."""

from __future__ import annotations

from hubspot_assets.exported import Exported
from hubspot_assets.tables.association_tables import association_tables
from hubspot_assets.tables.definition_tables import definition_tables
from hubspot_assets.tables.event_tables import event_tables
from hubspot_assets.tables.list_tables import list_tables
from hubspot_assets.tables.record_tables import record_tables
from hubspot_assets.tables.table import Table


def all_tables(exported: Exported, *, whole_history: bool) -> list[Table]:
    """The tables of what is exported; for `whole_history` see `record_tables`."""
    return [
        *record_tables(exported.types, whole_history=whole_history),
        *association_tables(exported.pairs, exported.types),
        *event_tables(exported.events, exported.catalog),
        *list_tables(exported.types),
        *definition_tables(exported.types, exported.events),
    ]
