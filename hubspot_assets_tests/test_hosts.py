"""A portal's day on several hosts: Celery's workers, PostgreSQL, Redis and a bucket.

HOSTS_RECORDS contacts are read, of few types; with HOSTS_TYPES="" of all.
"""

import os
import subprocess
from contextlib import suppress

import pytest

from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.hosts import hosts_of
from hubspot_assets_tests.test_commands import run
from hubspot_assets_tests.test_two_at_once import rows_of

RECORDS = int(os.environ.get("HOSTS_RECORDS", "600"))
TYPES = {
    "OBJECT_TYPES": os.environ.get("HOSTS_TYPES", "contacts,companies"),
    "EVENT_TYPES": os.environ.get("HOSTS_EVENTS", "e_visited_page"),
}
#: Seconds in which a run is to end on a machine that has much else to do.
PATIENCE = 1200

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def portal():
    with serve(PortalConfig(records=RECORDS, now=READ_AT, burst=100_000)) as sandbox:
        yield sandbox


@pytest.fixture
def hosts(tmp_path, bucket, endpoint, s3):
    with hosts_of(tmp_path, bucket, endpoint, s3) as several:
        yield several


def in_process(hosts, sandbox, reach):
    """The rows of the day as one process delivers them."""
    more = hosts.environment(sandbox, "alone", EXPORT_EXECUTOR="in_process", DAGSTER_HOME="")
    reach(sandbox, **more, **TYPES)
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    return rows_of(hosts.brought("alone"))


def several(hosts, sandbox, name="several", **more):
    """The environment of hosts that know the portal; two have workers, which it gives, too."""
    environment = hosts.environment(sandbox, name, **TYPES, **more)
    hosts.discover(f"{name}-discovering", environment)
    workers = [hosts.worker(f"{name}-{number}", environment) for number in range(2)]
    return environment, workers


def ends_well(hosts, run, name):
    with suppress(subprocess.TimeoutExpired):
        run.wait(PATIENCE)
    assert run.poll() == 0, hosts.log(name)[-3000:]


def test_workers_deliver_the_same_as_one_process(hosts, portal, reach):
    alone = in_process(hosts, portal, reach)
    environment, _ = several(hosts, portal)
    ends_well(hosts, hosts.run("run", environment), "run")
    assert rows_of(hosts.brought("several")) == alone
    assert all("STEP_SUCCESS" in hosts.log(f"several-{number}") for number in range(2))
    assert not list(hosts.left("several"))
