"""Which assets are made of which, by the readings that they need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import dagster as dg

from hubspot_assets.assets.labels import Labels
from hubspot_assets.sources.source import Source
from hubspot_assets.tables.table import Table


def path_of(source: Source) -> Sequence[str]:
    """What the asset is called that reads a source, and others of the same path."""
    return ["hubspot", *source.path]


def event_assets(
    sources: Iterable[Source], tables: Iterable[Table], labels: Labels
) -> list[dg.AssetKey]:
    """The assets that read what happens, and the tables of it: each is of its day alone."""
    read = [labels.key(*path_of(each)) for each in sources if each.group == "events"]
    made = [labels.key(each.spec.name) for each in tables if each.spec.group == "events"]
    return [*dict.fromkeys(read), *made]


class Lineage:
    """The assets of all sources: `keys` has the one that fills each reading, by its name."""

    def __init__(self, sources: Iterable[Source], labels: Labels) -> None:
        every = list(sources)
        self.keys = {name: labels.key(*path_of(each)) for each in every for name in each.fills}
        self._needs: dict[dg.AssetKey, set[dg.AssetKey]] = defaultdict(set)
        for each in every:
            self._needs[labels.key(*path_of(each))].update(self.keys[name] for name in each.needs)
        self._above: dict[dg.AssetKey, frozenset[dg.AssetKey]] = {}

    def nearest(self, readings: Iterable[str]) -> list[dg.AssetKey]:
        """The assets that fill these readings, but for those from which others of them come.

        What comes by way of another asset needs no edge of its own: it costs a look into the event
        log with each step, and hides what a graph tells.
        """
        keys = dict.fromkeys(self.keys[name] for name in readings)
        further = frozenset[dg.AssetKey]().union(*map(self._all_above, keys))
        return [key for key in keys if key not in further]

    def _all_above(self, key: dg.AssetKey) -> frozenset[dg.AssetKey]:
        if key not in self._above:
            needs = frozenset(self._needs[key])
            self._above[key] = needs.union(*map(self._all_above, needs))
        return self._above[key]
