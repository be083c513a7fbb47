"""Our files in the temporary folder, recognisable by name when a dead process has left them."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hubspot_assets.storage.process import is_gone, mark

_PREFIX = "hubspot-assets-"
_OURS = re.compile(rf"{_PREFIX}([0-9a-f]+-[0-9]+-[0-9]+)-.+")
#: After so many seconds without a change something is no one's any more, whoever made it.
_OLD = 2 * 24 * 3600


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of this process in the temporary folder, gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        yield Path(folder)


def temporary_prefix() -> str:
    """What the names begin with that this process gives in the temporary folder."""
    return f"{_PREFIX}{mark()}-"


def sweep_temporary() -> None:
    """Remove what our processes that died left in the temporary folder.

    Another process's that is at work stays; so does one's of another host or container, for two
    days.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        name = _OURS.fullmatch(path.name)
        with suppress(OSError):  # another sweeps as well, or it is another user's
            if name and (is_gone(name[1]) or time.time() - path.stat().st_mtime > _OLD):
                shutil.rmtree(path)
