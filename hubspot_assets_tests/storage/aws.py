"""moto's S3 and STS, with those manners of AWS that moto lacks."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/(s3|sts)/")
_ISSUED = re.compile(r"<AccessKeyId>([^<]+)<")
_EXPIRATION = re.compile(r"(?<=<Expiration>)[^<]+")


class Aws:
    """A WSGI application. Notes what it was asked; attributes say how it behaves.

    external_id   what AssumeRole must come with
    uses          how many requests a session's credentials are good for; then they are expired
    lifetime      seconds after which a session says that it expires
    valid         access keys that are good for ever; others are none
    faults        (status, code) that the next requests to S3 are answered with; where the status
                  is 0 the connection breaks instead
    """

    def __init__(self) -> None:
        self.url = ""
        self.external_id: str | None = None
        self.uses: int | None = None
        self.lifetime: int | None = None
        self.valid = {"a-user"}
        self.faults: list[tuple[int, str]] = []
        self.assumed: list[dict[str, str]] = []
        self.regions: set[str] = set()
        self.used: Counter[str] = Counter()
        self.expired = 0
        self.puts: dict[str, dict[str, str]] = {}
        self._issued: set[str] = set()
        self._lock = threading.Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        key, region, service = _SCOPE.search(environ["HTTP_AUTHORIZATION"]).groups()
        with self._lock:
            if service == "sts":
                self.regions.add(region)
                answer = self._assume(environ, parse_qs(body.decode()))
            else:
                answer = self._refuse(environ, key, body)
        return (answer or self._moto)(environ, start_response)

    def _assume(self, environ, form):
        asked = {name: values[0] for name, values in form.items()}
        if self.external_id and asked.get("ExternalId") != self.external_id:
            return _error(403, "AccessDenied", "ErrorResponse")
        if int(asked["DurationSeconds"]) > 3600:
            return _error(400, "ValidationError", "ErrorResponse")
        self.assumed.append(asked)
        chunks, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        text = b"".join(chunks).decode()
        self._issued.add(_ISSUED.search(text)[1])
        if self.lifetime is not None:
            expires = datetime.now(UTC) + timedelta(seconds=self.lifetime)
            text = _EXPIRATION.sub(f"{expires:%Y-%m-%dT%H:%M:%SZ}", text)
        headers.remove("Content-Length")
        return Response(text, status, headers)

    def _refuse(self, environ, key, body):
        """The answer to a request that must not come through."""
        if self.faults:
            status, code = self.faults.pop(0)
            if not status:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            return _error(status, code)
        self.used[key] += 1
        if key in self._issued:
            if self.uses is not None and self.used[key] > self.uses:
                self.expired += 1
                return _error(400, "ExpiredToken")
        elif key not in self.valid:
            return _error(400, "ExpiredToken")
        if environ["REQUEST_METHOD"] == "PUT":
            sent = {name[5:]: value for name, value in environ.items() if name[:5] == "HTTP_"}
            self.puts[environ["PATH_INFO"]] = sent
            checksum = sent.get("X_AMZ_CHECKSUM_SHA256")
            if checksum and checksum != base64.b64encode(hashlib.sha256(body).digest()).decode():
                return _error(400, "BadDigest")
        return None


def _error(status: int, code: str, element: str = "") -> Response:
    told = f"<Error><Code>{code}</Code><Message>as AWS says</Message></Error>"
    text = f"<{element}>{told}</{element}>" if element else told
    return Response(text, status, mimetype="application/xml")


@contextmanager
def served() -> Iterator[Aws]:
    """AWS on a free port, at `url`."""
    aws = Aws()
    server = make_server("127.0.0.1", 0, aws, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    yield aws
    server.shutdown()
    thread.join()
    server.server_close()
