"""Serves a portal on a socket of this machine."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from hubspot_assets.sandbox.app import Application
from hubspot_assets.sandbox.config import Clock, PortalConfig
from hubspot_assets.sandbox.faults import Faults
from hubspot_assets.sandbox.portal import Portal


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A portal that is being served at `url`; `token` opens it."""

    url: str
    token: str
    portal: Portal
    faults: Faults
    app: Application

    @property
    def requests(self) -> Counter[tuple[str, int]]:
        """Answers so far, by (method and path template, status)."""
        return self.app.requests


@contextmanager
def serve(
    config: PortalConfig | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Clock | None = None,
) -> Iterator[Sandbox]:
    """Serves a portal in a thread for as long as the context lasts; port 0 takes a free one."""
    with _listen(host, port) as listener:
        sandbox, settings = _made(config or PortalConfig(), clock, listener)
        server = _Brief(settings)
        thread = threading.Thread(target=lambda: server.run([listener]), daemon=True)
        thread.start()
        try:
            yield sandbox
        finally:
            server.should_exit = True
            thread.join(10)


def run(
    config: PortalConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    started: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serves a portal until the process is interrupted; `started` is called once it listens."""
    with _listen(host, port) as listener:
        sandbox, settings = _made(config, None, listener)
        if started is not None:
            started(sandbox)
        uvicorn.Server(settings).run([listener])


class _Brief(uvicorn.Server):
    """Ends at once, whoever is being served: uvicorn's own takes a fifth of a second for it."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 - another thread says so
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for each in (*self.servers, *(sockets or ())):
            each.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol, asyncio leaves Nagle's algorithm on: 40 ms a request.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Connections made before the server's thread is up wait in the backlog.
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def _made(
    config: PortalConfig, clock: Clock | None, listener: socket.socket
) -> tuple[Sandbox, uvicorn.Config]:
    app = Application(Portal(config, clock))
    settings = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        # The limit on URIs is the portal's own, not the parser's.
        h11_max_incomplete_event_size=1_000_000,
        timeout_graceful_shutdown=1,
    )
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{port}"
    return Sandbox(url, config.token, app.portal, app.faults, app), settings
