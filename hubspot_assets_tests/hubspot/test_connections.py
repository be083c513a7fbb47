"""Faults of connections, on real sockets of loopback."""

from __future__ import annotations

import gzip
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import GaveUp, Unreachable
from hubspot_assets_tests.hubspot.fakes import TOKEN, FakeTime


@contextmanager
def server(*answers: bytes) -> Iterator[str]:
    """A server on loopback that gives a connection each of `answers`, as they are, and hangs up."""
    left = list(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(left.pop(0))

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def http(body: bytes, length: int | None = None, *headers: bytes) -> bytes:
    head = [
        b"HTTP/1.1 200 OK",
        b"Content-Length: %d" % (length or len(body)),
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join([*head, b"", body])


GOOD = http(b'{"results":[]}')
PACKED = gzip.compress(b'{"results":[]}' * 100)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nConte",
        http(b'{"results":[', length=1000),
        http(b'{"results":['),
        http(PACKED[:-10], None, b"Content-Encoding: gzip"),
        http(b"not packed", None, b"Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"re",
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
    ],
    ids=["dropped", "head cut", "body cut", "json cut", "gzip cut", "no gzip", "chunk cut", "tls"],
)  # fmt: skip
def test_connections_that_break_are_made_again(broken: bytes) -> None:
    time = FakeTime()
    with server(broken, broken, GOOD) as url:
        auth = BearerToken(TOKEN)
        with HubSpot(auth, url, clock=time.clock, sleep=time.sleep) as client:
            assert client.get("owners").body == {"results": []}
            assert client.stats.retries == 2


def test_a_host_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    time = FakeTime()
    auth = BearerToken(TOKEN)
    with (
        HubSpot(auth, f"http://127.0.0.1:{port}", clock=time.clock, sleep=time.sleep) as client,
        pytest.raises(Unreachable, match=rf"^cannot connect to 127\.0\.0\.1:{port}: ") as raised,
    ):
        client.get("owners")
    assert raised.value.host == f"127.0.0.1:{port}"
    assert client.stats.requests == 6


def test_a_server_that_does_not_answer_in_time() -> None:
    time = FakeTime()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        HubSpot(
            BearerToken(TOKEN),
            f"http://127.0.0.1:{silent.getsockname()[1]}",
            timeout=0.02,
            max_attempts=2,
            clock=time.clock,
            sleep=time.sleep,
        ) as client,
        pytest.raises(GaveUp, match="after 2 attempts, the last with ReadTimeout"),
    ):
        client.get("owners")
