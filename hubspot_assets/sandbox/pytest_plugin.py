"""For tests of any project: the fixture `hubspot_sandbox`, a portal of the test's own.

    @pytest.mark.hubspot_sandbox(records=50, plan="pro")
    def test_mine(hubspot_sandbox):
        client = MyClient(hubspot_sandbox.url, hubspot_sandbox.token)
        hubspot_sandbox.faults.add("status", status=502, share=0.1)

The marker's settings are those of `PortalConfig`; without it a small portal is served. Its budgets
are wide, unless `burst` says otherwise.
"""

from collections.abc import Iterator

import pytest

from hubspot_assets.sandbox.config import PortalConfig
from hubspot_assets.sandbox.server import Sandbox, serve

_SMALL = {"records": 100, "burst": 1_000_000, "search_per_second": 1_000_000}


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers", "hubspot_sandbox(**settings): settings of the portal that hubspot_sandbox serves"
    )


@pytest.fixture
def hubspot_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A HubSpot portal on loopback, for as long as the test runs."""
    marker = request.node.get_closest_marker("hubspot_sandbox")
    with serve(PortalConfig(**{**_SMALL, **(marker.kwargs if marker else {})})) as sandbox:
        yield sandbox
