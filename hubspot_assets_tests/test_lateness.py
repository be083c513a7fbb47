"""A newest day that is not there in time is told of, whatever else was delivered."""

from datetime import UTC, datetime

import dagster as dg
import pytest
import time_machine

from hubspot_assets.assets.schedule import is_complete
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.test_alerts import webhook  # noqa: F401
from hubspot_assets_tests.test_commands import run

FEW = {"OBJECT_TYPES": "companies", "EVENT_TYPES": "e_visited_page"}


class Mornings:
    """The sensor of a code location, on the morning after DAY."""

    def __init__(self, instance, folder):
        self.instance, self.folder = instance, folder
        self._cursor = None

    def at(self, hour):
        """What its tick says at an hour, UTC."""
        sensor = build_defs(standard_catalog(), load_settings()).resolve_sensor_def("alert_late")
        context = dg.build_sensor_context(instance=self.instance, cursor=self._cursor)
        with time_machine.travel(datetime(2026, 11, 23, hour, tzinfo=UTC)):
            told = sensor(context)
        self._cursor = context.cursor
        assert isinstance(told, dg.SkipReason)
        return told.skip_message


@pytest.fixture
def look(webhook, reach, shared_sandbox):  # noqa: F811
    more = {"ALERT_WEBHOOK_URL": webhook.url, "ALERT_WEBSERVER_URL": "http://dagster.example"}
    folder = reach(shared_sandbox, **FEW, **more)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Mornings(instance, folder)


def test_a_day_that_is_not_there_in_time_is_told_of_once(look, webhook):  # noqa: F811
    assert look.at(5) == f"{DAY} is due at 06:00"
    late = f"{DAY} is not delivered by 06:00: no run of it was launched"
    webhook.status = 500
    assert look.at(6) == late
    webhook.status = 200
    assert look.at(7) == late
    assert look.at(8) == f"{DAY} is late, which was told"
    assert webhook.taken == [late, late]


def test_what_its_run_is_at_is_told(look, webhook):  # noqa: F811
    tags = {"dagster/partition": DAY}
    started = dg.DagsterRun(JOB, tags=tags, status=dg.DagsterRunStatus.STARTED)
    look.instance.add_run(started)
    look.at(6)
    (told,) = webhook.taken
    assert told.splitlines() == [
        f"{DAY} is not delivered by 06:00: its run is STARTED",
        f"http://dagster.example/runs/{started.run_id}",
    ]


@pytest.mark.slow
def test_a_day_that_is_there_is_not_told_of_and_older_ones_do_not_do(look, webhook):  # noqa: F811
    status, output = run("export", "--day", "2026-11-21")
    assert status == 0, output
    assert "is not delivered" in look.at(6)
    assert run("export", "--day", DAY)[0] == 0
    assert is_complete(open_store(look.folder), DAY)
    assert look.at(7) == f"{DAY} is delivered"
    assert len(webhook.taken) == 1


def test_the_first_day_is_not_due(look, webhook, monkeypatch):  # noqa: F811
    monkeypatch.setenv("EXPORT_START", DAY)
    assert look.at(9) == f"{DAY} is not to be delivered"
    assert not webhook.taken
