"""A whole export while something between client and portal answers in HubSpot's place.

Whatever it answers, and to whichever request: the rows are those of an undisturbed day, or there
is an error and no day. Never fewer rows.
"""

import csv
import gzip
import re
from collections import Counter
from threading import Lock

import httpx
import orjson
import pytest

from hubspot_assets.deliver import DeliveryError, deliver
from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets_tests.conftest import DAY, READ_AT, set_environment
from hubspot_assets_tests.hubspot.fakes import error, html

TYPES = "contacts,deals,cars,lists,form_submissions,sequences,deal_splits,sales_documents"
#: An id, an object type's or a form's, and the version of an API, as they stand in paths.
_ID = re.compile(r"/(\d+-\d+|\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")
_VERSION = re.compile(r"/(20\d\d-\d\d|v\d)(?=/|$)")
#: What makes a request another kind of request, in its query.
_TELLING = ("archived", "dataSensitivity", "includeProperties", "eventType")

ANSWERS = {
    "302": httpx.Response(302, headers={"Location": "https://login.example/"}),
    "403 HTML": html(403),
    "404": error(404, message="resource not found"),
    "404 HTML": html(404),
    "408": html(408),
    "409": error(409, message="conflict", category="CONFLICT"),
}


def kind_of(request):
    """Method, path without ids and version, and what matters of the query."""
    path = _VERSION.sub("/V", _ID.sub("/ID", request.url.path))
    query = request.url.params
    parts = [f"{name}={query[name]}" for name in _TELLING if name in query]
    parts += ["probe"] * (query.get("limit") == "1") + ["next page"] * ("after" in query)
    return " ".join([request.method, path, *parts])


class Wire:
    """What is between the client and the portal; `hits` tells which requests it answers itself."""

    def __init__(self, patch):
        self.kinds = Counter()
        self.hits = lambda kind, number: False
        self.answer = None
        self._lock = Lock()
        send = httpx.HTTPTransport.handle_request

        def handle(transport, request):
            kind = kind_of(request)
            with self._lock:
                self.kinds[kind] += 1
                hit = self.hits(kind, self.kinds[kind])
            if not hit:
                return send(transport, request)
            return httpx.Response(
                self.answer.status_code, headers=self.answer.headers, content=self.answer.content
            )

        patch.setattr(httpx.HTTPTransport, "handle_request", handle)


class House:
    """A portal with a bit of everything, and its exports, each to a folder of its own."""

    def __init__(self, sandbox, patch, root):
        self.wire = Wire(patch)
        self._sandbox, self._patch, self._root = sandbox, patch, root
        self._runs = 0

    def export(self, answer=None, hits=lambda kind, number: False):
        """The day's rows by table and sub-folder; raises what the command would end with."""
        self._runs += 1
        root = self._root / str(self._runs)
        root.mkdir()
        self.folder = set_environment(
            self._patch, self._sandbox, root, OBJECT_TYPES=TYPES, EVENT_TYPES=EVENTS
        )
        self.wire.kinds.clear()
        self.wire.answer, self.wire.hits = answer, hits
        deliver(Settings(), DAY, [], Display())
        return {
            str(part.relative_to(self.folder)): _rows(part)
            for part in sorted((self.folder / DAY).rglob("*.csv.gz"))
        }

    def refused(self, answer, hits):
        """The error of an export that fails, in which no day is complete."""
        with pytest.raises((DeliveryError, HubSpotError)) as raised:
            self.export(answer, hits)
        assert not (self.folder / DAY / "_manifest.json").exists()
        assert not (self.folder / "_days.json").exists()
        return str(raised.value)

    def manifest(self, table):
        return orjson.loads((self.folder / DAY / table / "_manifest.json").read_bytes())


EVENTS = "e_visited_page,e_opened_email_v2"


def _rows(part):
    """A part's rows but for the moment of reading."""
    with gzip.open(part, "rt", encoding="utf-8", newline="") as text:
        rows = list(csv.reader(text))
    ingested = rows[0].index("INGESTEDAT")
    return [row[:ingested] + row[ingested + 1 :] for row in rows]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with (
        serve(PortalConfig(records=40, now=READ_AT, burst=100_000)) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("hubspot_assets.hubspot.client.BACKOFF", 0.0)
        yield House(sandbox, patch, tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def undisturbed(house):
    """The rows of a quiet day."""
    rows = house.export()
    assert (house.folder / DAY / "_manifest.json").exists()
    house.quiet = dict(house.wire.kinds)
    return rows


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_comes_once_in_place_of_an_answer_takes_no_row(house, undisturbed, answer):
    rows = house.export(ANSWERS[answer], lambda kind, number: number == 1)
    assert rows == undisturbed
    assert house.wire.kinds.keys() >= house.quiet.keys()
