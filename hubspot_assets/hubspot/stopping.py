"""Ending what a client does before it is done: waits end, and requests under way are hung up."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Lock
from typing import Any
from weakref import WeakSet


class Stopped(Exception):  # noqa: N818 - says what happened, and nothing of HubSpot
    """A call that was not made, or not answered, as the client was told to stop."""


class Stop:
    """Asked for once, by any thread; from then on all calls of the client end with `Stopped`."""

    def __init__(self) -> None:
        self._asked = Event()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()

    def ask(self) -> None:
        """Ends all waits, and hangs up."""
        self._asked.set()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            with suppress(OSError):
                # Not the method of a TLS socket, which another thread is reading.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raises Stopped once it was asked for."""
        if self._asked.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Waits for so long. Raises Stopped as soon as it is asked for."""
        if self._asked.wait(seconds):
            raise Stopped

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Hears from httpx of each connection that is made (its extension `trace`)."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            made = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets.add(made)
            self.check()
