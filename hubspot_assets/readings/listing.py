"""What there is of readings, by few looks at the store."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping

from hubspot_assets.readings.reading import READINGS, Name
from hubspot_assets.storage import Store

Files = Mapping[Name, list[str]]


class Listing:
    """The files of each source's readings, for who has the readings' lease: what nobody else
    changes meanwhile is looked for once.

    The first source of a family, as objects/0-1 of objects, is listed by itself, since a step with
    a process of its own asks for no other; then all others at once. Safe to share between threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[str, dict[Name, list[str]]] = {}
        self._asked: set[str] = set()
        self._whole: set[str] = set()
        self._changing: set[str] = set()
        self._lock = threading.Lock()

    def of(self, source: str) -> Files:
        """The files of each reading of `source`, complete or not, in order of their beginnings."""
        family = _family(source)
        with self._lock:
            if source in self._changing:
                return self._list(source).get(source, {})
            if source not in self._found and family not in self._whole:
                if family in self._asked:
                    self._list_family(family)
                else:
                    self._asked.add(family)
                    self._found[source] = self._list(source).get(source, {})
            return self._found.get(source, {})

    def sources(self, family: str) -> list[str]:
        """The sources of a family of which there are readings."""
        with self._lock:
            if family not in self._whole:
                self._list_family(family)
            there = (source for source, readings in self._found.items() if readings)
            return sorted(source for source in there if _family(source) == family)

    def forget(self, source: str) -> None:
        """Looks anew whenever the source is asked for: what there is of it changes from now on."""
        with self._lock:
            self._changing.add(source)

    def _list_family(self, family: str) -> None:
        self._found |= self._list(family)
        self._whole.add(family)

    def _list(self, below: str) -> dict[str, dict[Name, list[str]]]:
        """All that is there of the sources whose names begin with this one's path."""
        found: dict[str, dict[Name, list[str]]] = defaultdict(lambda: defaultdict(list))
        for entry in self._store.list(f"{READINGS}/{below}"):
            _, *source, folder, file = entry.path.split("/")
            if name := Name.told(folder):
                found["/".join(source)][name].append(file)
        return {source: dict(sorted(of.items())) for source, of in found.items()}


def _family(source: str) -> str:
    return source.partition("/")[0]
