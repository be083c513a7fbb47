"""A store that counts what is asked of it, and one that is asked to write nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from hubspot_assets.storage import Store

#: What a bucket bills a call as.
_KINDS = {
    "get": "reads",
    "beginning": "reads",
    "local_copy": "reads",
    "exists": "reads",
    "list": "lists",
    "folders": "lists",
    "put": "writes",
    "delete": "deletes",
}
_WRITING = {"put", "delete"}


class Metered:
    """Counts the calls of a store in `calls`; with `dry` what would write or delete does not."""

    def __init__(self, store: Store, calls: Counter[str], *, dry: bool) -> None:
        self._store = store
        self._calls = calls
        self._dry = dry

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (the store's)
        method = getattr(self._store, name)
        kind = _KINDS.get(name)
        if kind is None:
            return method
        return _counted(method, kind, self._calls, dry=self._dry and name in _WRITING)


def metered(store: Store, calls: Counter[str], *, dry: bool) -> Store:
    """The store, which counts its calls; see `Metered`."""
    return cast("Store", Metered(store, calls, dry=dry))


def _counted(
    method: Callable[..., Any], kind: str, calls: Counter[str], *, dry: bool
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  (the method's)
        calls[kind] += 1
        return None if dry else method(*args, **kwargs)

    return call
