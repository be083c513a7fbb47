"""The shared day, seen by a reader, and the plan that it is judged by."""

import pytest

from hubspot_assets_tests.acceptance.plan import Plan
from hubspot_assets_tests.acceptance.reader import open_day
from hubspot_assets_tests.conftest import DAY


@pytest.fixture(scope="session")
def day(exported):
    """The folder of the day."""
    return exported / DAY


@pytest.fixture(scope="session")
def warehouse(day):
    """A connection with a view for each table of the day."""
    return open_day(day)


@pytest.fixture
def ask(warehouse):
    """Runs SQL over the tables of the day; gives all rows, of which there must be some."""

    def run(query, *parameters):
        rows = warehouse.execute(query, list(parameters)).fetchall()
        assert rows, "found nothing"
        return rows

    return run


@pytest.fixture(scope="session")
def plan(portal):
    """What the portal holds."""
    return Plan(portal.portal)
