"""Reading ahead: many sources are read at once, while steps wait for theirs in turn.

So each source has a step of its own, which fails, is tried again and is seen by itself; and none
waits for another but for what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from hubspot_assets.hubspot.stopping import Stopped
from hubspot_assets.sources.source import Source

T = TypeVar("T")

#: So many large sources are read ahead at a time, beside one that a step waits for: each holds a
#: chunk in memory.
LARGE_AT_ONCE = 2


class ReadAhead:
    """What is read ahead in one run, whose `sources` these are: the first ones first, `workers` at
    a time. In one process; safe to share between threads."""

    def __init__(self, sources: Iterable[Source], workers: int) -> None:
        self._due = {each.name: each for each in sources}
        self._unread = {name for each in self._due.values() for name in each.fills}
        self._begun: dict[str, Future[Any]] = {}
        self._reading: dict[str, Source] = {}
        self._workers = workers
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")

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
        large = sum(each.large for each in self._reading.values())
        for each in list(self._due.values()):
            if len(self._reading) == self._workers:
                return
            if self._unread.isdisjoint(each.needs) and not (each.large and large >= LARGE_AT_ONCE):
                large += each.large
                self._reading[each.name] = self._due.pop(each.name)
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
                del self._reading[source.name]
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
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)
