"""The events APIs of a portal, in front of a sandbox that serves everything else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

Answer = tuple[int, dict[str, Any]]

#: A limit that nobody reaches.
UNLIMITED = {
    "X-HubSpot-RateLimit-Max": "100000",
    "X-HubSpot-RateLimit-Remaining": "99999",
    "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
}


@dataclass
class EventsFront:
    """What the events APIs hold: settable at any time.

    `refusals` are answers by event type name, or by `types`, `definitions` and `email_events`.
    Bounds of time are left out if `exclusive`. `paths` are those of all requests.
    """

    sandbox: str
    types: list[str] = field(default_factory=list)
    occurrences: list[dict[str, Any]] = field(default_factory=list)
    definitions: list[dict[str, Any]] = field(default_factory=list)
    email_events: list[dict[str, Any]] = field(default_factory=list)
    refusals: dict[str, Answer] = field(default_factory=dict)
    exclusive: bool = False
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, query: dict[str, str]) -> Answer | None:
        """The answer of an events API; None where it is the sandbox that is asked."""
        if path == "/events/event-occurrences/2026-09/event-types":
            return self.refusals.get("types") or (200, {"eventTypes": self.types})
        if path == "/events/event-occurrences/2026-09":
            return self.refusals.get(query["eventType"]) or self._occurrences(query)
        if path == "/events/2026-03/event-definitions":
            return self.refusals.get("definitions") or self._definitions(query)
        if path == "/email/public/v1/events":
            return self.refusals.get("email_events") or self._email_events(query)
        return None

    def _occurrences(self, query: dict[str, str]) -> Answer:
        first = query.get("occurredAfter", "0000")
        last = query.get("occurredBefore", "9999")
        edges = {first, last} if self.exclusive else set()
        found = [
            each
            for each in self.occurrences
            if each["eventType"] == query["eventType"]
            and first <= each["occurredAt"] <= last
            and each["occurredAt"] not in edges
        ]
        return _page(found, query)

    def _definitions(self, query: dict[str, str]) -> Answer:
        whole = query["includeProperties"] == "true"
        hidden = () if whole else ("properties",)
        shown = [
            {key: value for key, value in each.items() if key not in hidden}
            for each in self.definitions
        ]
        return _page(shown, query)

    def _email_events(self, query: dict[str, str]) -> Answer:
        first = int(query.get("startTimestamp", 0))
        last = int(query.get("endTimestamp", 1 << 62))
        found = [each for each in self.email_events if first <= each["created"] <= last]
        start, limit = int(query.get("offset", 0)), min(int(query["limit"]), 50)
        body = {"events": found[start : start + limit], "hasMore": start + limit < len(found)}
        return 200, body | {"offset": str(start + limit)}


def _page(found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
    start, limit = int(query.get("after", 0)), int(query.get("limit", 10))
    body: dict[str, Any] = {"results": found[start : start + limit]}
    if start + limit < len(found):
        body["paging"] = {"next": {"after": str(start + limit)}}
    return 200, body


@contextmanager
def events_front(sandbox: str) -> Iterator[EventsFront]:
    """A front on loopback, until the block ends."""
    front = EventsFront(sandbox)
    with httpx.Client(base_url=sandbox) as behind:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(front, behind))
        server.daemon_threads = True
        front.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield front
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(front: EventsFront, behind: httpx.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body go out at once

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            front.paths.append(self.path)
            answer = front.answer(url.path, dict(parse_qsl(url.query)))
            if answer is None:
                self._pass_on()
            else:
                self._send(answer[0], json.dumps(answer[1]).encode())

        def do_POST(self) -> None:
            front.paths.append(self.path)
            self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {
                name: self.headers[name]
                for name in ("Authorization", "Content-Type")
                if name in self.headers
            }
            answer = behind.request(self.command, self.path, content=body, headers=headers)
            self._send(answer.status_code, answer.content)

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in UNLIMITED.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def iso(moment: datetime) -> str:
    """A moment as the API writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
