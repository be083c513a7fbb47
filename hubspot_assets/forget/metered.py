"""A store that counts what is asked of it, and one that is asked to write nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from hubspot_assets.storage import Store
from hubspot_assets.storage.store import Versioned

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
        self._swapped: dict[str, Versioned] = {}

    def versioned(self, path: str) -> Versioned | None:
        """As the store's; of what was not written, as it would be."""
        self._calls["reads"] += 1
        return self._swapped.get(path) or self._store.versioned(path)

    def swap(self, path: str, content: bytes, version: str | None) -> str | None:
        """As the store's."""
        self._calls["writes"] += 1
        if not self._dry:
            return self._store.swap(path, content, version)
        self._swapped[path] = Versioned(content, "")
        return ""

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
