"""What was made of a day's readings and is needed again, for as long as there is little of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

#: Bytes. Most of what a small portal has takes that much.
_MOST = 24_000_000

T = TypeVar("T")


class Kept:
    """Keeps what it is given until that is `most` bytes; what comes later is made each time."""

    def __init__(self, most: int = _MOST) -> None:
        self._left: float = most
        self._made: dict[Hashable, object] = {}

    def of(self, key: Hashable, make: Callable[[], T], size: Callable[[T], float]) -> T:
        """What is kept as `key`, else what `make` makes, of which `size` tells its bytes."""
        if key in self._made:
            return cast("T", self._made[key])
        made = make()
        if (left := self._left - size(made)) >= 0:
            self._made[key], self._left = made, left
        return made
