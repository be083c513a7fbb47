"""Copies of a bucket's objects, kept near for who reads them again and again."""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from hubspot_assets.storage.temporary import temporary_prefix

#: Bytes of copies that are kept; those that were used last.
MOST_BYTES = 200_000_000


class Copies:
    """Files in the temporary folder by the paths that they are copies of. Safe to share between
    threads. One that can't be kept is none to worry about."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        self._files: OrderedDict[str, tuple[Path, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, path: str, file: Path) -> None:
        """Keeps what is in `file`, which may go, in place of what was kept for `path`."""
        with self._lock, suppress(OSError):
            self._drop(path)
            copy = Path(self._folder.name) / uuid.uuid4().hex
            os.link(file, copy)
            size = copy.stat().st_size
            self._files[path] = copy, size
            self._bytes += size
            while self._bytes > self._most:
                self._drop(next(iter(self._files)))

    def link(self, path: str, target: Path) -> bool:
        """Makes `target` a file of the same content, if there is a copy."""
        with self._lock, suppress(OSError):
            if path in self._files:
                self._files.move_to_end(path)
                os.link(self._files[path][0], target)
                return True
        return False

    def drop(self, path: str) -> None:
        """Keeps none of `path`."""
        with self._lock:
            self._drop(path)

    def close(self) -> None:
        """Removes all; none are kept any more."""
        self._folder.cleanup()

    def _drop(self, path: str) -> None:
        if path in self._files:
            file, size = self._files.pop(path)
            self._bytes -= size
            file.unlink(missing_ok=True)
