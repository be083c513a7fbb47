"""What a new discovery changes in the export, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hubspot_assets.exported import named_events, named_types
from hubspot_assets.hubspot.catalog import Catalog


def changes(old: Catalog, new: Catalog) -> Iterator[str]:
    """A line per table of a type that is new, gone, or named otherwise since a label changed.

    Of a type that is named otherwise, its tables of associations are, too; the files that were
    delivered under the old name stay. It is told whether or not the settings include the type.
    """
    if old.portal_id is None:
        return  # the standard catalog is no portal's
    yield from _changes(_tables(old), _tables(new))


def _tables(catalog: Catalog) -> dict[str, str]:
    """Table by the id of its object type or the name of its event type."""
    tables = {of.object_type.id: of.table for of in named_types(catalog)}
    return tables | {of.event_type.name: of.table for of in named_events(catalog)}


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key, table in new.items():
        if key not in old:
            yield f"{table} is new ({key})"
        elif old[key] != table:
            yield f"{old[key]} is called {table} from now on ({key}: its label was changed)"
    for key, table in old.items():
        if key not in new:
            yield f"{table} is no longer delivered ({key} is gone)"
