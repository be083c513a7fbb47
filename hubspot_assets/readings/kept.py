"""What was read or made of a day's readings and is needed again, while there is little of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Kept:
    """Keeps what it is given until that is `most` bytes; what comes later is made each time. Safe
    to share between threads, two of which may make the same."""

    def __init__(self, most: int = 0) -> None:
        self._left: float = most
        self._made: dict[Hashable, tuple[object, float]] = {}
        self._lock = threading.Lock()

    def of(self, key: Hashable, make: Callable[[], T], size: Callable[[T], float]) -> T:
        """What is kept as `key`, else what `make` makes, of which `size` tells its bytes."""
        if found := self._made.get(key):
            return cast("T", found[0])
        made = make()
        self.put(key, made, size(made))
        return made

    def get(self, key: Hashable) -> object:
        """What is kept as `key`; else None."""
        return self._made.get(key, (None,))[0]

    def put(self, key: Hashable, made: object, size: float) -> None:
        """Keeps it in place of what was kept as `key`, or nothing."""
        with self._lock:
            self._left += self._made.pop(key, (None, 0))[1]
            if size <= self._left:
                self._made[key] = made, size
                self._left -= size
