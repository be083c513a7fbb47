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

LOCKED = "Access Denied because object protected by object lock."
Fault = tuple[int, str] | tuple[int, str, str]

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/(s3|sts)/")
_ISSUED = re.compile(r"<AccessKeyId>([^<]+)<")
_OBJECT = re.compile("<Object>.*?</Object>")
_TOKEN = re.compile("continuation-token=[^&]*")
_POSTS = {
    "delete": "DeleteObjects",
    "uploads": "CreateMultipartUpload",
    "uploadId": "CompleteMultipartUpload",
}
_EXPIRATION = re.compile(r"(?<=<Expiration>)[^<]+")


class Aws:
    """A WSGI application. Notes what it was asked; attributes say how it behaves.

    external_id   what AssumeRole must come with
    uses          how many requests a session's credentials are good for; then they are expired
    lifetime      seconds after which a session says that it expires
    valid         access keys that are good for ever; others are none
    faults        (status, code, words) that the next requests to S3 are answered with; where the
                  status is 0 the connection breaks instead
    refusals      the same for all requests of an operation, as DeleteObjects
    sts_faults    the same for the next requests to STS; None lets one through
    not_deleted   (code, words) by the end of a key that DeleteObjects leaves, in an answer of 200
    keeps_versions  whether deletions of a version are answered as done, and are not
    page          how many keys a listing tells at most
    in_circles    whether every page of a listing is the first
    withheld      elements that are left out of answers
    damages       how many of the next contents are damaged on their way
    calls         what was asked for: operation and key, or how many keys
    """

    def __init__(self) -> None:
        self.url = ""
        self.external_id: str | None = None
        self.uses: int | None = None
        self.lifetime: int | None = None
        self.valid = {"a-user"}
        self.faults: list[Fault] = []
        self.refusals: dict[str, Fault] = {}
        self.sts_faults: list[Fault | None] = []
        self.not_deleted: dict[str, tuple[str, str]] = {}
        self.keeps_versions = False
        self.page: int | None = None
        self.in_circles = False
        self.withheld: set[str] = set()
        self.damages = 0
        self.calls: list[tuple[str, str | int]] = []
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
                answer = self._refuse(environ, key, body) or self._answer(environ, body)
        return (answer or self._moto)(environ, start_response)

    def _assume(self, environ, form):
        if self.sts_faults and (fault := self.sts_faults.pop(0)):
            return _error(*fault, element="ErrorResponse")
        asked = {name: values[0] for name, values in form.items()}
        if self.external_id and asked.get("ExternalId") != self.external_id:
            return _error(403, "AccessDenied", element="ErrorResponse")
        if int(asked["DurationSeconds"]) > 3600:
            return _error(400, "ValidationError", element="ErrorResponse")
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
            fault = self.faults.pop(0)
            if not fault[0]:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            return _error(*fault)
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

    def _answer(self, environ, body):
        """The answer to a request that moto takes otherwise than AWS or some other store."""
        operation = _operation(environ)
        objects = _OBJECT.findall(body.decode()) if operation == "DeleteObjects" else []
        self.calls.append((operation, len(objects) or environ["PATH_INFO"].split("/", 2)[-1]))
        if fault := self.refusals.get(operation):
            return _error(*fault)
        if len(objects) > 1000:
            return _error(400, "MalformedXML")
        if (
            environ.get("HTTP_X_AMZ_CHECKSUM_TYPE") == "FULL_OBJECT"
            and environ.get("HTTP_X_AMZ_CHECKSUM_ALGORITHM") == "SHA256"
        ):
            return _error(400, "InvalidRequest", "FULL_OBJECT cannot be used with sha256")
        if self.page and operation.startswith("List"):
            environ["QUERY_STRING"] += f"&max-keys={self.page}"
        if self.in_circles:
            environ["QUERY_STRING"] = _TOKEN.sub("", environ["QUERY_STRING"])
        if self.keeps_versions and objects and all("<VersionId>" in each for each in objects):
            return Response("<DeleteResult/>", 200, mimetype="application/xml")
        if operation == "DeleteObject" and "versionId" in environ["QUERY_STRING"]:
            return self._by_lock(environ)
        if objects and self.not_deleted:
            return self._deleted_but_for(environ, objects)
        if operation == "GetObject" and self.damages:
            self.damages -= 1
            return self._damaged(environ)
        if self.withheld:
            return self._without(environ)
        return None

    def _deleted_but_for(self, environ, objects):
        left = {}
        for each in objects:
            key = re.search("<Key>(.*)</Key>", each)[1]
            for end, told in self.not_deleted.items():
                if key.endswith(end):
                    left[each] = (key, *told)
        going = "".join(each for each in objects if each not in left)
        if going:
            body = f"<Delete>{going}</Delete>".encode()
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            run_wsgi_app(self._moto, environ, buffered=True)
        errors = "".join(
            f"<Error><Key>{key}</Key><Code>{code}</Code><Message>{words}</Message></Error>"
            for key, code, words in left.values()
        )
        return Response(f"<DeleteResult>{errors}</DeleteResult>", 200, mimetype="application/xml")

    def _by_lock(self, environ):
        """A deletion whose refusal says why, as AWS's does, and moto's where it is one of many."""
        chunks, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        return (
            _error(403, "AccessDenied", LOCKED)
            if status.startswith("403")
            else Response(chunks, status, headers)
        )

    def _damaged(self, environ):
        chunks, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        content = b"".join(chunks)
        return Response(content[:-1] + bytes([content[-1] ^ 1]), status, headers)

    def _without(self, environ):
        chunks, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        text = b"".join(chunks)
        for name in self.withheld:
            text = re.sub(rf"<{name}>[^<]*</{name}>".encode(), b"", text)
            headers.remove(name)
        headers.remove("Content-Length")
        return Response(text, status, headers)


def _operation(environ) -> str:
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    match environ["REQUEST_METHOD"]:
        case "POST":
            return next(name for word, name in _POSTS.items() if word in query)
        case "PUT":
            return "UploadPart" if "partNumber" in query else "PutObject"
        case "GET" if "versions" in query:
            return "ListObjectVersions"
        case "GET" if "list-type" in query:
            return "ListObjectsV2"
        case method:
            return f"{method.capitalize()}Object"


def _error(status: int, code: str, words: str = "as AWS says", *, element: str = "") -> Response:
    told = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
    text = f"<{element}>{told}</{element}>" if element else told
    return Response(text, status, mimetype="application/xml")


@contextmanager
def served() -> Iterator[Aws]:
    """AWS on a free port, at `url`."""
    aws = Aws()
    server = make_server("127.0.0.1", 0, aws, threaded=True, request_handler=MotoRequestHandler)
    # Its end is looked for so often: twice a second would be most of what a test takes.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    yield aws
    server.shutdown()
    thread.join()
    server.server_close()
