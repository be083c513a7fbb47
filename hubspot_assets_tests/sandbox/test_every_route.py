"""HubSpot's own clients have read every route for which they have a method.

Tests that read routes by a client are marked with them, `@pytest.mark.asks(client, *routes)`, and
fail unless the sandbox has answered these.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import hubspot
import hubspot_sdk
import pytest

from hubspot_assets.sandbox.routes import ROUTES, find_route

HERE = Path(__file__).parent
SERVED = {f"{each.method} {each.template}" for each in ROUTES}
#: Served routes that neither client has a method for, and who has one, or what is known of them.
UNASKED = {
    "GET /conversations/conversations/threads": "documented for v3 and 2026-09",
    "GET /conversations/conversations/threads/{threadId}": "documented for v3 and 2026-09",
    "GET /conversations/conversations/threads/{threadId}/messages": "documented for v3 and 2026-09",
    "GET /crm-pipelines/pipelines/{objectType}": "v1",
    "GET /crm/properties/0-45": "lists are no records, but have properties",
    "GET /crm/schemas": "another path of /crm-object-schemas/schemas",
    "GET /crm/schemas/{objectType}": "another path of /crm-object-schemas/schemas",
    "GET /email/public/events": "v1",
    "GET /engagements/engagements/paged": "v1",
    "GET /engagements/engagements/{engagementId}": "v1",
    "GET /form-integrations/submissions/forms/{formId}": "v1",
    "GET /properties/forms?/properties": "v2",
    "GET /properties/{objectType}/properties": "v2",
    "GET /settings/teams": "2026-09 alone, and the clients know 2026-03",
    "GET /settings/teams/{teamId}": "2026-09 alone, and the clients know 2026-03",
    "GET /settings/teams/{teamId}/members": "2026-09 alone, and the clients know 2026-03",
    "POST /crm/lists/all": "2026-09 alone, and the clients know 2026-03",
}


def api_client_calls() -> Iterator[tuple[str, str]]:
    """Method and path of every call that hubspot-api-client has a method for."""
    for path in Path(hubspot.__file__).parent.rglob("api/*_api.py"):
        for url, method in re.findall(r'call_api\(\s*"([^"]+)",\s*"(\w+)"', path.read_text()):
            yield method, url


def sdk_calls() -> Iterator[tuple[str, str]]:
    """Method and path of every call that hubspot-sdk has a method for."""
    for path in Path(hubspot_sdk.__file__).parent.rglob("api.md"):
        for method, url in re.findall(r'title="(get|post) ([^"]+)"', path.read_text()):
            yield method.upper(), url


CALLS = {"hubspot-api-client": api_client_calls, "hubspot-sdk": sdk_calls}


def served(calls: Iterable[tuple[str, str]]) -> set[str]:
    """The routes that calls lead to."""
    found = (find_route(method, re.sub(r"\{\w+\}", "0-1", url)) for method, url in calls)
    return {f"{each[0].method} {each[0].template}" for each in found if each}


def marked() -> dict[str, set[str]]:
    """The routes that tests of this folder are marked to ask, by client."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in HERE.glob("test_*.py"):
        module = import_module(f"{__package__}.{path.stem}")
        for name, test in inspect.getmembers(module, inspect.isfunction):
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "asks":
                    # Another client's requests would count as well.
                    assert "http" not in inspect.signature(test).parameters, name
                    client, *routes = mark.args
                    found[client].update(routes)
    return found


@pytest.mark.parametrize("client", CALLS)
def test_a_client_reads_what_it_has_a_method_for(client: str) -> None:
    calls = list(CALLS[client]())
    assert len(calls) > 500
    assert marked()[client] == served(calls)


def test_what_no_client_asks_is_known() -> None:
    assert SERVED - set().union(*marked().values()) == UNASKED.keys()
