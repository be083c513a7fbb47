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

CONFIG = PortalConfig(records=30, now=READ_AT, burst=100_000, contact_properties=110)
TYPES = "contacts,deals,cars,lists,form_submissions,sequences,deal_splits,sales_documents"
EVENTS = "e_visited_page,e_opened_email_v2"
#: An id, an object type's or a form's, and the version of an API, as they stand in paths.
_ID = re.compile(r"/(\d+-\d+|\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")
_VERSION = re.compile(r"/(20\d\d-\d\d|v\d)(?=/|$)")
#: What makes a request another kind of request, in its query.
_TELLING = ("archived", "dataSensitivity", "includeProperties", "eventType")

ANSWERS = {
    "302": httpx.Response(302, headers={"Location": "https://login.example/"}),
    "403 HTML": html(403),
    "404": error(404, message="resource not found"),
    "408": html(408),
    "409": error(409, message="conflict", category="CONFLICT"),
}


def kind_of(request):
    """Method, path without ids and version, and what matters of the query."""
    path = _ID.sub("/ID", _VERSION.sub("/V", request.url.path))
    query = request.url.params
    parts = [f"{name}={query[name]}" for name in _TELLING if name in query]
    parts += ["probe"] * (query.get("limit") == "1") + ["next page"] * ("after" in query)
    return " ".join([request.method, path, *parts])


class Wire:
    """What is between the client and the portal; `hits` tells which requests it answers itself, by
    kind and path, and how many of the kind there were."""

    def __init__(self, patch):
        self.kinds = Counter()
        self.hits = lambda asked, number: False
        self.answer = html(403)
        self._lock = Lock()
        send = httpx.HTTPTransport.handle_request

        def handle(transport, request):
            kind = kind_of(request)
            with self._lock:
                self.kinds[kind] += 1
                hit = self.hits(f"{kind} {request.url.path}", self.kinds[kind])
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
        self.sandbox, self._patch, self._root = sandbox, patch, root
        self._runs = 0

    def export(self, answer=None, hits=lambda asked, number: False, select=()):
        """The day's rows by table and sub-folder; raises what the command would end with."""
        self._runs += 1
        root = self._root / str(self._runs)
        root.mkdir()
        self.folder = set_environment(
            self._patch, self.sandbox, root, OBJECT_TYPES=TYPES, EVENT_TYPES=EVENTS
        )
        self.wire.kinds.clear()
        self.wire.answer, self.wire.hits = answer or html(403), hits
        deliver(Settings(), DAY, select, Display())
        return {
            str(part.relative_to(self.folder)): _rows(part)
            for part in sorted((self.folder / DAY).rglob("*.csv.gz"))
        }

    def failure(self, answer, hits, select=()):
        """The error of an export that fails, in which no day is complete."""
        with pytest.raises((DeliveryError, HubSpotError)) as raised:
            self.export(answer, hits, select)
        assert not (self.folder / DAY / "_manifest.json").exists()
        assert not (self.folder / "_days.json").exists()
        return str(raised.value)

    def manifest(self, table):
        return orjson.loads((self.folder / DAY / table / "_manifest.json").read_bytes())


def _rows(part):
    """A part's rows but for the moment of reading."""
    with gzip.open(part, "rt", encoding="utf-8", newline="") as text:
        rows = list(csv.reader(text))
    ingested = rows[0].index("INGESTEDAT")
    return [row[:ingested] + row[ingested + 1 :] for row in rows]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with (
        serve(CONFIG) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        yield House(sandbox, patch, tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def undisturbed(house):
    """The rows of a quiet day."""
    rows = house.export()
    assert (house.folder / DAY / "_manifest.json").exists()
    house.quiet = dict(house.wire.kinds)
    return rows


@pytest.mark.samples("403 HTML")
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_comes_once_in_place_of_an_answer_takes_no_row(house, undisturbed, answer):
    rows = house.export(ANSWERS[answer], lambda _, number: number == 1)
    assert rows == undisturbed
    assert house.wire.kinds.keys() >= house.quiet.keys()


def at(*parts):
    """Hits the requests whose kind or path has all `parts`."""
    return lambda asked, _: all(part in asked for part in parts)


@pytest.mark.samples(1)
@pytest.mark.parametrize("answer", ["302", "403 HTML", "408", "409"])
def test_what_stays_in_place_of_an_answer_is_an_error_in_one_line(house, answer):
    told = house.failure(ANSWERS[answer], at("/pipelines/"), ["PIPELINES"])
    assert len(told.splitlines()) == 1
    assert re.search(r"GET /crm/pipelines/2026-09/\S+: gave up after \d attempts, the last", told)


def test_a_standard_type_that_is_served_has_its_pipelines(house):
    told = house.failure(ANSWERS["404"], at("/pipelines/"), ["PIPELINES"])
    assert "GET /crm/pipelines/2026-09/0-3: " in told


BARE_COLUMNS = ["OBJECTTYPEID", "OBJECTID", "UPDATEDAT", "INGESTEDAT"]
SCOPE = error(
    403,
    message="This app hasn't been granted all required scopes to make this call.",
    category="MISSING_SCOPES",
    errors=[{"context": {"requiredGranularScopes": ["crm.schemas.some.read"]}}],
)


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("type_id", "table"), [("0-3", "OBJECTS_DEALS"), ("0-1", "OBJECTS_CONTACTS")]
)
def test_a_record_that_spoils_its_batch_or_page_costs_itself_alone(
    house, undisturbed, monkeypatch, type_id, table
):
    path = f"{DAY}/{table}/part-00000.csv.gz"
    names, *whole = undisturbed[path]
    spoiling = whole[1][names.index("OBJECTID")]
    send = httpx.HTTPTransport.handle_request

    def handle(transport, request):
        answer = send(transport, request)
        if not request.url.path.endswith((f"/{type_id}", f"/{type_id}/batch/read")):
            return answer
        content = answer.read()
        whole = b"propertiesWithHistory" in content and f'"id":"{spoiling}"'.encode() in content
        if whole:
            return error(400, message=f"{spoiling} is not valid", category="VALIDATION_ERROR")
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    rows = house.export(select=[table, "OBJECTS"])
    assert rows[path] == [names, *whole[:1], *whole[2:]]
    for name in (table, "OBJECTS"):
        told = house.manifest(name)
        assert told["counts"]["records_unread"] == 1
        assert any(each.startswith("1 records were refused by ") for each in told["warnings"])


def test_what_is_refused_for_want_of_a_scope_is_told_and_takes_nothing_else(house, undisturbed):
    """Definitions of deals, sensitive properties of contacts, the tree of teams."""
    refused = (
        at("properties", "0-3", "=non_sensitive"),
        at("properties", "0-1", "=sensitive"),
        at("/settings/teams/"),
    )
    rows = house.export(SCOPE, lambda *asked: any(each(*asked) for each in refused))
    no_deals = house.manifest("OBJECTS_DEALS")
    assert no_deals["availability"]["status"] == "missing_scope"
    assert no_deals["rows"] == 0
    assert [column["name"] for column in no_deals["columns"]] == BARE_COLUMNS
    for table in ("OBJECTS_DEALS", "OBJECTS", "OBJECT_PROPERTIES", "PROPERTY_DEFINITIONS"):
        assert any(
            "/crm/properties/2026-09/0-3: the access token lacks crm.schemas.some.read" in each
            for each in house.manifest(table)["warnings"]
        ), table
    told = house.manifest("OBJECTS_CONTACTS")
    assert told["availability"]["status"] == "available"
    assert told["rows"] == len(undisturbed[f"{DAY}/OBJECTS_CONTACTS/part-00000.csv.gz"]) - 1
    assert told["counts"]["sources_refused"] == 1
    assert "sensitive properties are missing: " in told["warnings"][0]
    teams = house.manifest("TEAMS")
    assert teams["sources"]["user_teams"]["availability"]["status"] == "available"
    assert teams["sources"]["team_tree"]["availability"]["status"] == "missing_scope"
    assert any(each.startswith("PARENTTEAMID is NULL in every row") for each in teams["warnings"])
    untouched = {"OBJECTS_CARS", "OWNERS", "LISTS", "PIPELINES", "EVENTS_VISITED_PAGE", "TEAMS"}
    for part, found in rows.items():
        if part.split("/")[1] in untouched - {"TEAMS"}:
            assert found == undisturbed[part]
    path = f"{DAY}/TEAMS/part-00000.csv.gz"
    assert [row[:2] for row in rows[path]] == [row[:2] for row in undisturbed[path]]


def test_forms_that_have_no_submissions_to_give_are_counted(house):
    """Those for blog comments, which HubSpot refuses, and those that are gone meanwhile."""
    forms = [each for each in house.sandbox.portal.forms() if not each.archived]
    refused = [each for each in forms if each.told["formType"] == "blog_comment"]
    gone = next(each for each in forms if each not in refused)
    hits = at("/submissions/forms/", gone.asset_id)
    house.export(ANSWERS["404"], hits, ["OBJECTS_FORM_SUBMISSIONS"])
    told = house.manifest("OBJECTS_FORM_SUBMISSIONS")
    assert (told["counts"]["parts_refused"], told["counts"]["parts_gone_while_reading"]) == (
        len(refused),
        1,
    )
    assert len([each for each in told["warnings"] if each.split()[1] == "forms,"]) == 2


def test_lists_that_are_all_gone_a_moment_later_are_no_answer(house):
    told = house.failure(ANSWERS["404"], at("/memberships"), ["LIST_MEMBERSHIPS"])
    assert re.search(r"memberships: HubSpot tells of \d+ lists, and a moment later of none", told)
    assert len(told.splitlines()) == 1


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("409", "GET /crm/properties/2026-09/[-0-9]+: gave up after 6 attempts, the last with 409"),
        ("404", r"properties of \S+: HubSpot tells of none, not even hs_object_id"),
    ],
)
def test_a_fault_of_all_types_is_told_once(house, answer, cause):
    hits = at("GET", "/crm/properties/", "=non_sensitive", "archived=false")
    told = house.failure(ANSWERS[answer], hits, ["OBJECTS"])
    steps = r"hubspot/\S+, hubspot/\S+, hubspot/\S+"
    assert re.fullmatch(rf"{steps}: .*{cause}.* \(and so of 2 other types\).*", told)


@pytest.mark.parametrize("answer", [ANSWERS["404"], html(404)])
def test_a_tree_of_teams_that_is_nowhere_is_told(house, answer):
    house.export(answer, at("/settings/teams/"), ["TEAMS"])
    teams = house.manifest("TEAMS")
    assert teams["rows"] > 0
    assert teams["sources"]["team_tree"]["availability"]["status"] == "not_enabled"
    assert any("PARENTTEAMID is NULL in every row" in each for each in teams["warnings"])


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    "answer", [error(400, message="no", category="VALIDATION_ERROR"), SCOPE, html(404)]
)
def test_what_is_refused_on_page_two_is_an_error(house, answer, monkeypatch):
    monkeypatch.setattr("hubspot_assets.hubspot.metadata.OWNERS_PAGE", 5)
    told = house.failure(answer, at("/owners/", "archived=false", "next page"), ["OWNERS"])
    assert re.search("GET /crm/(v3/owners/|owners/2026-09): ", told)
    told = house.failure(answer, at("/owners/", "archived=true"), ["OWNERS"])
    assert re.search("GET /crm/(v3/owners/|owners/2026-09): ", told)


@pytest.mark.samples(2)
@pytest.mark.parametrize("sensitivity", ["non_sensitive", "sensitive"])
@pytest.mark.parametrize("answer", ["403 HTML", "404", "408"])
def test_values_never_vanish_with_their_definitions(house, answer, sensitivity):
    hits = at("/crm/properties/", "0-3", f"={sensitivity}", "archived=false")
    told = house.failure(ANSWERS[answer], hits, ["OBJECTS_DEALS"])
    assert "properties" in told


def test_no_definitions_at_all_are_no_answer(house):
    nothing = httpx.Response(200, json={"results": []})
    hits = at("/crm/properties/", "0-3", "=non_sensitive", "archived=false")
    told = house.failure(nothing, hits, ["OBJECTS_DEALS"])
    assert "HubSpot tells of none, not even hs_object_id, but serves the records" in told
