"""Object types that the facts don't know: found, delivered, or named with the reason."""

import json
import re

import duckdb
import pytest

from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import DAY, END, READ_AT
from hubspot_assets_tests.test_commands import run

CONTRACTS, CLIENTS = "0-721", "0-990001"
RARE = {CONTRACTS: "OBJECTS_CONTRACTS", CLIENTS: "OBJECTS_PARTNER_CLIENTS"}
TYPES = "OBJECT_AND_EVENT_TYPE_DEFINITIONS"
UNKNOWN = "Invalid object or event type id: 0-721"


@pytest.fixture
def portal_with():
    """Serves a portal that has contracts and partner clients."""

    def make(**more):
        config = PortalConfig(
            records=60, now=READ_AT, burst=100_000, generic_types=frozenset(RARE), **more
        )
        return serve(config)

    return make


def refuse(sandbox, path, status=404, message="resource not found", category=""):
    """Answers all requests to a path so from now on."""
    said = {"status": status, "form": "envelope", "message": message, "category": category}
    sandbox.faults.add("status", times=1000, path=path, **said)


def discover():
    """The lines that `hubspot-assets discover` prints besides the first two."""
    status, output = run("discover")
    assert status == 0, output
    return output.splitlines()[2:]


def export(*tables):
    status, output = run("export", "--day", DAY, *(f"--select={each}" for each in tables))
    assert status == 0, output


def rows(folder, table, columns):
    query = (
        f"SELECT {columns} FROM read_csv('{folder}/{DAY}/{table}/**/*.csv.gz', header=true, "
        "all_varchar=true, allow_quoted_nulls=false, parallel=false)"
    )
    return duckdb.sql(query).fetchall()


def manifest(folder, table):
    return json.loads((folder / DAY / table / "_manifest.json").read_text())


def definitions(folder):
    """(name, plural label, table, availability) by type id."""
    columns = "OBJECTTYPEID, NAME, PLURALLABEL, TABLENAME, AVAILABILITY"
    return {row[0]: row[1:] for row in rows(folder, TYPES, columns)}


def test_types_of_the_object_library_are_delivered_like_any_other(portal_with, reach):
    with portal_with() as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="contacts,0-990001,contracts")
        export("OBJECTS", "PIPELINES", "PROPERTY_DEFINITIONS", TYPES, *RARE.values())
        portal = sandbox.portal
        asked = {request for request, _ in sandbox.requests}
    # Whether they have pipelines is found out by asking.
    assert "GET /crm/pipelines/{objectType}" in asked
    told = definitions(folder)
    assert told[CONTRACTS] == ("contract", "Contracts", "OBJECTS_CONTRACTS", "available")
    assert told[CLIENTS][1:] == ("Partner clients", "OBJECTS_PARTNER_CLIENTS", "available")
    objects = rows(folder, "OBJECTS", "OBJECTTYPEID, OBJECTID")
    defined = rows(folder, "PROPERTY_DEFINITIONS", "OBJECTTYPEID, NAME")
    for type_id, table in RARE.items():
        live = {*portal.live_ids(type_id, END)} & {*portal.live_ids(type_id, READ_AT)}
        assert {int(row[0]) for row in rows(folder, table, "OBJECTID")} == live != set()
        assert {int(each) for of, each in objects if of == type_id} == live
        planned = {each.name for each in portal.properties(type_id)}
        assert {name for of, name in defined if of == type_id} == planned != set()


def test_types_that_are_documented_are_found_without_the_library(portal_with, reach):
    with portal_with() as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="contracts")
        refuse(sandbox, "^GET /crm/object-library/", 403, "no", "MISSING_SCOPES")
        assert discover() == []
        export("OBJECTS_CONTRACTS")
    assert manifest(folder, "OBJECTS_CONTRACTS")["rows"] > 0


def test_a_type_that_the_token_may_not_read_is_named_with_the_scope(portal_with, reach):
    with portal_with(without_scopes=frozenset({"crm.objects.contracts.read"})) as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="contracts")
        (line,) = discover()
        export("OBJECTS_CONTRACTS", TYPES)
    assert line.startswith("warning: Contracts (0-721) can't be read: ")
    assert "lacks crm.objects.contracts.read" in line
    told = manifest(folder, "OBJECTS_CONTRACTS")
    assert (told["rows"], told["availability"]["status"]) == (0, "missing_scope")
    assert definitions(folder)[CONTRACTS][3] == "missing_scope"


def test_a_type_that_is_on_and_that_no_api_serves_is_named_with_the_reason(portal_with, reach):
    with portal_with() as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="contracts")
        refuse(sandbox, r"^GET /crm/(objects|properties)/[^/]+/0-721", 400, UNKNOWN)
        (line,) = discover()
        export("OBJECTS_CONTRACTS", TYPES)
    assert re.match(r"warning: Contracts \(0-721\) can't be read: .*" + UNKNOWN, line)
    told = manifest(folder, "OBJECTS_CONTRACTS")
    assert (told["rows"], told["availability"]["status"]) == (0, "no_public_api")
    assert UNKNOWN in told["availability"]["detail"]
    assert definitions(folder)[CONTRACTS][3] == "no_public_api"


def test_a_type_that_says_nothing_of_itself_is_called_by_its_id(portal_with, reach):
    with portal_with() as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="0-721")
        refuse(sandbox, "^GET /crm-object-schemas/[^/]+/schemas/")
        assert discover() == []
        export("OBJECTS_0_721", TYPES)
    assert definitions(folder)[CONTRACTS] == ("0-721", None, "OBJECTS_0_721", "available")
    assert manifest(folder, "OBJECTS_0_721")["rows"] > 0


def test_a_documented_type_that_the_portal_does_not_serve_is_none_of_it(portal_with, reach):
    with portal_with() as sandbox:
        reach(sandbox, OBJECT_TYPES="")
        # The schema is HubSpot's, whoever asks for it.
        refuse(sandbox, "^GET /crm/object-library/", 403, "no", "MISSING_SCOPES")
        refuse(sandbox, r"^GET /crm/objects/[^/]+/0-721", 400, UNKNOWN)
        assert discover() == []
        status, output = run("export", "--day", DAY, "--select", "OBJECTS_CONTRACTS")
    assert (status, "found OBJECTS_CONTRACTS" in output) == (2, True)


def test_whether_there_is_a_documented_type_can_be_unknown(portal_with, reach):
    scopes = frozenset({"crm.objects.contracts.read", "crm.schemas.contracts.read"})
    with portal_with(without_scopes=scopes) as sandbox:
        reach(sandbox, OBJECT_TYPES="")
        refuse(sandbox, "^GET /crm/object-library/", 403, "no", "MISSING_SCOPES")
        (line,) = discover()
    assert line.startswith("warning: whether there are contracts is unknown: ")
    assert "lacks crm." in line


def test_a_type_that_was_known_stays_when_nothing_is_told_of_it(portal_with, reach):
    with portal_with() as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="0-990001")
        discover()
        for path in ("^GET /crm/object-library/", "^GET /crm-object-schemas/[^/]+/schemas/"):
            refuse(sandbox, path, 403, "no", "MISSING_SCOPES")
        assert not [line for line in discover() if "no longer" in line or "called" in line]
        export("OBJECTS_PARTNER_CLIENTS")
    assert manifest(folder, "OBJECTS_PARTNER_CLIENTS")["rows"] > 0
