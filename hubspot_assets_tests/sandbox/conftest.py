"""A small portal at a fixed moment, served for the whole session, and the official client."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import hubspot
import pytest

from hubspot_assets.sandbox import Portal, PortalConfig, Sandbox, serve

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
#: Enough for any test; the tests of budgets set their own.
PLENTY: dict[str, Any] = {"burst": 1_000_000, "search_per_second": 1_000_000}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Shared: tests only read from it."""
    with serve(PortalConfig(records=400, now=NOW, **PLENTY)) as served:
        yield served


@pytest.fixture(scope="session")
def portal(sandbox: Sandbox) -> Portal:
    return sandbox.portal


@pytest.fixture(scope="session")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


@pytest.fixture(scope="session")
def official(sandbox: Sandbox) -> Any:
    return official_of(sandbox)


@pytest.fixture(autouse=True)
def asked_as_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who is marked to ask routes has asked them, and was told."""
    marked = request.node.get_closest_marker("asks")
    if marked is None:
        yield
        return
    requests = request.getfixturevalue("sandbox").requests
    before = requests.copy()
    yield
    told = {route for route, status in requests - before if status in (200, 207)}
    assert set(marked.args[1:]) <= told


@pytest.fixture
def served() -> Iterator[Callable[..., tuple[Sandbox, httpx.Client]]]:
    """Serves portals of one's own: `served(records=10, ...)` gives sandbox and client."""
    opened = []

    def make(clock: Any = None, **settings: Any) -> tuple[Sandbox, httpx.Client]:
        config = PortalConfig(**{"records": 60, "now": NOW, **PLENTY, **settings})
        context = serve(config, clock=clock)
        sandbox = context.__enter__()
        client = client_of(sandbox)
        opened.append((context, client))
        return sandbox, client

    yield make
    for context, client in opened:
        client.close()
        context.__exit__(None, None, None)


def client_of(sandbox: Sandbox) -> httpx.Client:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    return httpx.Client(base_url=sandbox.url, headers=headers, timeout=30)


def official_of(sandbox: Sandbox) -> Any:
    """HubSpot's own Python client, pointed at the sandbox."""

    def factory(package: Any, api_name: str, config: dict[str, Any]) -> Any:
        configuration = package.Configuration(host=sandbox.url)
        configuration.access_token = config["access_token"]
        return getattr(package, api_name)(api_client=package.ApiClient(configuration))

    return hubspot.Client.create(access_token=sandbox.token, api_factory=factory)


def every_page(get_page: Callable[..., Any], *args: Any, **settings: Any) -> list[Any]:
    """Every result of a method of the official client, page by page, following `after`."""
    found, after = [], None
    while True:
        page = get_page(*args, after=after, **settings)
        found += page.results
        if page.paging is None:
            return found
        after = page.paging.next.after


def walk(http: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    """Every record of a list, page by page, following `after`."""
    found: list[dict[str, Any]] = []
    while True:
        answer = http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["results"]
        if "next" not in page.get("paging", {}):
            return found
        params["after"] = page["paging"]["next"]["after"]
