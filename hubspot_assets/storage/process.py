"""Which process made something, so that what a dead one left is told from what is in use."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

_MARK = re.compile(r"([0-9a-f]{12})-([0-9]+)-([0-9]+)")
_DEAD = {"Z", "X"}  # killed, but its parent has not asked for its status yet


def mark() -> str:
    """This process among all that ever were, on any host: `<machine>-<process id>-<started>`."""
    pid = os.getpid()
    return f"{_machine()}-{pid}-{_status(pid)[1]}"


def is_gone(mark: str) -> bool:
    """Whether the process of a mark has certainly ended; False where that can't be told.

    Of another machine's process, or another container's, it can't.
    """
    parts = _MARK.fullmatch(mark)
    if not parts or parts[1] != _machine():
        return False
    pid = int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's is there
    state, started = _status(pid)
    return state in _DEAD or started != parts[3]  # its number may be another's by now


@cache
def _machine() -> str:
    """One boot of a host and, within it, one space of process ids."""
    told = [socket.gethostname(), str(uuid.getnode())]
    with suppress(OSError):  # where the system tells more, as Linux does
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        told = [boot, str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:12]


def _status(pid: int) -> tuple[str, str]:
    """A process' state, and when it began in ticks since the boot; "" and "0" if untold."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = status.rpartition(")")[2].split()  # the name before may hold anything
        return fields[0], fields[19]
    return "", "0"
