"""Reading ahead: short sources are read several at a time, while steps wait for theirs in turn.

So each source has a step of its own, which fails, is tried again and is seen by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from hubspot_assets.sources.source import Source

T = TypeVar("T")


class ReadAhead:
    """What is read ahead in one run, whose `sources` these are; in one process, one at a time."""

    def __init__(self, sources: Iterable[Source], workers: int) -> None:
        every = list(sources)
        self._due = {each.name: each for each in every if each.short}
        self._unread = {name for each in every for name in each.fills}
        self._begun: dict[str, Future[Any]] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")

    def take(self, source: Source, read: Callable[[Source], T]) -> T:
        """What `read` gives of a source, now or since it was begun.

        All short sources whose needs have been read are begun along with a short one. Raises what
        `read` raises; it is called again if the source is taken again.
        """
        if source.short:
            self._begin(read)
        begun = self._begun.pop(source.name, None)
        result: T = begun.result() if begun else read(source)
        self._unread.difference_update(source.fills)
        return result

    def _begin(self, read: Callable[[Source], object]) -> None:
        ready = [each for each in self._due.values() if self._unread.isdisjoint(each.needs)]
        for each in ready:
            del self._due[each.name]
            self._begun[each.name] = self._pool.submit(read, each)

    def close(self) -> None:
        """Ends it: what has not been begun is dropped, what is under way waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)
