"""The HTTP face of a portal: an ASGI application.

A request passes the edge (URI length, faults), then the token, the budgets, and the route's
handler. Paths under `/_sandbox` steer the sandbox itself and need no token.
"""

import asyncio
from collections import Counter
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hubspot_assets.sandbox import admin
from hubspot_assets.sandbox.call import HTML, JSON, Answer, Call, told
from hubspot_assets.sandbox.documented import type_of
from hubspot_assets.sandbox.errors import (
    ApiError,
    correlation_id,
    html,
    invalid,
    not_found,
    rate_limited,
)
from hubspot_assets.sandbox.faults import Fault, Faults
from hubspot_assets.sandbox.limits import Budgets
from hubspot_assets.sandbox.portal import Portal
from hubspot_assets.sandbox.routes import (
    TOKEN_PATH,
    TOKEN_VERSIONS,
    find_route,
    split_version,
)
from hubspot_assets.sandbox.spoiling import spoil
from hubspot_assets.sandbox.stamps import iso
from hubspot_assets.sandbox.tokens import Tokens

#: Of so many paths the latest answer is kept.
_PATHS = 64
_PIECES = 10
_EDGE = {
    "bad_gateway": (502, "Bad Gateway"),
    "unavailable": (503, "Service Temporarily Unavailable"),
    "gateway_timeout": (504, "Gateway Time-out"),
    "edge_timeout": (524, "A timeout occurred"),
    "not_json": (200, "OK"),
}


class Application:
    """Serves a portal. `requests` counts answers by (method and path template, status)."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.faults = Faults()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.budgets = Budgets(portal.config, portal.clock)
        self.tokens = Tokens(portal.config, portal.clock)
        self._last: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = scope["path"]
        if path.startswith("/_sandbox"):
            answer = admin.answer(
                self, request.method, path, request.url.query, await request.body()
            )
            await _respond(answer, scope, receive, send)
            return
        found = find_route(request.method, path)
        bare, version = split_version(path)
        template = found[0].template if found else bare
        body = await request.body()
        watched = self.faults.any()
        fault = self.faults.take(f"{request.method} {path}", request.url.query, body)
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        identifier = correlation_id()
        answer = self._answer(request, bare, version, body, fault, identifier)
        answer.headers["X-HubSpot-Correlation-Id"] = identifier
        self.requests[f"{request.method} {template}", answer.status] += 1
        self.portal.clock.tick(self.portal.config.tick_ms)
        await asyncio.sleep(self.portal.config.latency_ms / 1000)
        if fault is not None:
            documented = type_of(request.method, template, version)
            spoil(fault, answer, documented, self._last.get(path))
        if watched:
            self._remember(path, answer)
        if fault is not None and kind == "trickle":
            await _trickle(answer, fault.seconds, send)
        elif kind == "dropped":
            await _drop(answer, send)
        else:
            if kind == "truncated":
                answer.body = answer.body[: len(answer.body) // 2]
            await _respond(answer, scope, receive, send)

    def _remember(self, path: str, answer: Answer) -> None:
        """Keeps the latest answers, for faults that tell them twice."""
        if answer.media_type == JSON and answer.status == HTTPStatus.OK:
            self._last[path] = answer.body
        if len(self._last) > _PATHS:
            del self._last[next(iter(self._last))]

    def _answer(
        self,
        request: Request,
        bare: str,
        version: str,
        body: bytes,
        fault: Fault | None,
        identifier: str,
    ) -> Answer:
        raw = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        if len(raw) + len(query) + 1 > self.portal.config.uri_limit:
            return Answer(414, html(414, "Request-URI Too Large"), HTML)
        edge = None if fault is None else _of_the_edge(fault)
        if edge is not None:
            return edge
        headers: dict[str, str] = {}
        try:
            if bare == TOKEN_PATH and version in TOKEN_VERSIONS and request.method == "POST":
                return self._token(body)
            app = self.tokens.app_of(request.headers.get("authorization"))
            found = find_route(request.method, request.scope["path"])
            headers = self.budgets.spend(found[0].budget if found else "general", app)
            _strike(fault, self.portal)
            if found is None:
                raise not_found()
            route, params = found
            url = f"{request.url.scheme}://{request.url.netloc}{raw}"
            call = Call(self.portal, self.budgets, url, query, body, params, version, fault)
            answer = route.handler(call)
        except ApiError as error:
            return _failed(error, headers, identifier)
        answer.headers = {**headers, **answer.headers}
        return answer

    def _token(self, body: bytes) -> Answer:
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        issued = self.tokens.refresh(form)
        return told({**issued, "scopes": sorted(self.portal.scopes)})


def _failed(error: ApiError, headers: dict[str, str], identifier: str) -> Answer:
    if error.status == 530:
        return Answer(530, b"error code: 1016", "text/plain")
    answer = Answer(error.status, error.body(identifier))
    answer.headers = {**headers, **error.headers}
    return answer


def _of_the_edge(fault: Fault) -> Answer | None:
    """What stands before HubSpot answers in its place, if a fault makes it."""
    if fault.kind in _EDGE:
        return Answer(_EDGE[fault.kind][0], html(*_EDGE[fault.kind]), HTML)
    if fault.kind != "status" or fault.form == "envelope":
        return None
    body = html(fault.status, _reason(fault.status)) if fault.form == "html" else b""
    headers = {"Location": "/login"} if 300 <= fault.status < 400 else {}
    return Answer(fault.status, body, HTML, headers)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _strike(fault: Fault | None, portal: Portal) -> None:
    """Raises what a fault makes HubSpot itself (not its edge) answer."""
    if fault is None:
        return
    if fault.kind == "internal_error":
        raise ApiError(500, "internal error")
    if fault.kind == "status":
        members: dict[str, Any] = {"category": fault.category} if fault.category else {}
        raise ApiError(fault.status, fault.message, **members)
    if fault.kind == "expired_cursor":
        raise invalid("The cursor has expired", subCategory="INVALID_CURSOR")
    if fault.kind == "poisoned_id":
        raise invalid(f"Invalid object id: {fault.record_id}")
    if fault.kind == "locked":
        raise ApiError(423, "The resource is locked by another operation", category="LOCKED")
    if fault.kind == "migrating":
        wait = {"Retry-After": str(1 if fault.retry_after is None else fault.retry_after)}
        raise ApiError(477, "This portal is being migrated", headers=wait)
    if fault.kind == "expired_token":
        at = iso(portal.clock.now())
        raise ApiError(
            401,
            "The OAuth token used to make this call expired 0 second(s) ago.",
            category="EXPIRED_AUTHENTICATION",
            context={"expire time": [at]},
        )
    if fault.kind == "rate_limited":
        refusal = rate_limited(fault.policy, portal.config.portal_id)
        if fault.retry_after is not None:
            refusal.headers["Retry-After"] = str(fault.retry_after)
        raise refusal


async def _respond(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    response = Response(answer.body, answer.status, answer.headers)
    response.headers["Content-Type"] = answer.media_type
    await response(scope, receive, send)


async def _trickle(answer: Answer, seconds: float, send: Send) -> None:
    """The whole answer, a tenth at a time."""
    await _start(answer, send)
    step = len(answer.body) // _PIECES + 1
    for start in range(0, len(answer.body), step):
        await asyncio.sleep(seconds / _PIECES)
        piece = answer.body[start : start + step]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _drop(answer: Answer, send: Send) -> None:
    """Half of the answer, and then nothing: the server closes the connection."""
    await _start(answer, send)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


async def _start(answer: Answer, send: Send) -> None:
    headers = {
        "Content-Type": answer.media_type,
        "Content-Length": str(len(answer.body)),
        **answer.headers,
    }
    await send({
        "type": "http.response.start",
        "status": answer.status,
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
    })  # fmt: skip
