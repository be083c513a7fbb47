"""Reading ahead: many sources are read at once, while steps wait for theirs in turn.

So each source has a step of its own, which fails, is tried again and is seen by itself; and none
waits for another but for what it needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from hubspot_assets.hubspot.stopping import Stopped
from hubspot_assets.interrupts import give_logging_back
from hubspot_assets.sources.source import Source

T = TypeVar("T")


def by_need(sources: Iterable[Source]) -> list[Source]:
    """The order in which to read: first what most others wait for; for records, the tables of all
    records do as well."""
    every = list(sources)
    needed = Counter(name for each in every for name in each.needs)

    def waiting(each: Source) -> int:
        return sum(needed[name] for name in each.fills) + (each.object_type_id is not None)

    return sorted(every, key=lambda each: -waiting(each))


def _of_links(source: Source) -> bool:
    return source.pair is not None


class ReadAhead:
    """What is read ahead in one run, whose `sources` these are: the first ones first, `most` at a
    time, and as many that hold links, for which HubSpot has a budget of its own. In one process;
    safe to share between threads."""

    def __init__(self, sources: Iterable[Source], most: int) -> None:
        self._due = {each.name: each for each in sources}
        self._unread = {name for each in self._due.values() for name in each.fills}
        self._begun: dict[str, Future[Any]] = {}
        self._reading = Counter[bool]()
        self._most = most
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(2 * most, thread_name_prefix="ahead")

    def take(self, source: Source, read: Callable[[Source], T]) -> T:
        """What `read` gives of a source, now or since it was begun.

        From the first call on, all sources whose needs have been read are begun by themselves, with
        its `read`. Raises what `read` raises; it is called again if the source is taken again.
        """
        with self._lock:
            begun = self._begun.pop(source.name, None)
            self._due.pop(source.name, None)
            self._begin(read)
        result: T = begun.result() if begun else read(source)
        self._note(source, read)
        return result

    def _begin(self, read: Callable[[Source], object]) -> None:
        for each in list(self._due.values()):
            if self._reading[_of_links(each)] < self._most and self._unread.isdisjoint(each.needs):
                del self._due[each.name]
                self._reading[_of_links(each)] += 1
                self._begun[each.name] = self._pool.submit(self._read, each, read)

    def _read(self, source: Source, read: Callable[[Source], T]) -> T:
        try:
            result = read(source)
        except Stopped:
            self._forget()
            raise
        else:
            self._note(source, read)
            return result
        finally:
            with self._lock:
                self._reading[_of_links(source)] -= 1
                self._begin(read)

    def _note(self, source: Source, read: Callable[[Source], object]) -> None:
        """What waits for the source may be begun."""
        with self._lock:
            self._unread.difference_update(source.fills)
            self._begin(read)

    def _forget(self) -> None:
        with self._lock:
            self._due.clear()

    def close(self) -> None:
        """Ends it: nothing is begun any more, and what is under way is waited for."""
        give_logging_back()
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)
