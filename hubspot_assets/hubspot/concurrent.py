"""Many requests in flight, results in order; and work that ends when it is interrupted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Seconds after which an interrupt is noticed.
_NOTICED = 0.5


def interruptible(
    call: Callable[[], Result],
    stop: Callable[[], object],
    meanwhile: Callable[[], object] = lambda: None,
) -> Result:
    """What `call` gives, which another thread makes; `meanwhile` is called each half second.

    Signals interrupt the main thread alone, and where it waits for others that work for it, it
    would wait until they are done. So it only waits here: once it is interrupted, `stop` has to end
    the call, which is waited for.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="hubspot") as pool:
        called = pool.submit(call)
        try:
            # Polars, once used, has SIGINT noted where that does not wake who waits.
            while not wait([called], _NOTICED).done:
                meanwhile()
            return called.result()
        except BaseException:
            if not called.done():
                stop()
            raise


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, held: int = 0
) -> Generator[Result]:
    """`function` of each item, by `workers` threads at a time, in the order of `items`.

    Items are taken as there is room for them, so that neither items nor results pile up: at most
    `workers` ahead of the consumer, or as many as may be `held` behind one that takes long. The
    first error of the function is raised in its turn, one of `items` at once; calls that have not
    begun are dropped then, and likewise when the consumer stops early. Calls under way are waited
    for: none outlives the iterator.
    """
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="hubspot")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= max(workers, held):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def begun(iterators: Iterable[Iterator[Item]], workers: int) -> Generator[Iterator[Item]]:
    """The same iterators in their order, the first item of each fetched by `workers` threads at a
    time; an error that there was instead is raised where that item is due."""

    def begin(iterator: Iterator[Item]) -> Iterator[Item]:
        try:
            first = list(islice(iterator, 1))
        except Exception as error:  # noqa: BLE001 - it is raised in its turn
            return _due(error)
        return chain(first, iterator)

    return in_order(begin, iterators, workers)


def _due(error: Exception) -> Iterator[Any]:
    raise error
    yield


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """`items`, the next one fetched while the consumer works on the present one."""
    done = object()
    with ThreadPoolExecutor(1, thread_name_prefix="hubspot-list") as pool:
        pending = pool.submit(next, items, done)
        while (item := pending.result()) is not done:
            pending = pool.submit(next, items, done)
            yield item  # type: ignore[misc]
