"""A portal's day on several hosts: Celery's workers, PostgreSQL, Redis and a bucket.

HOSTS_RECORDS contacts are read, of few types; with HOSTS_TYPES="" of all.
"""

import os
import subprocess
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import duckdb
import pytest

from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.hosts import LOST_AFTER, hosts_of
from hubspot_assets_tests.kubernetes_api import cluster_of
from hubspot_assets_tests.test_commands import run
from hubspot_assets_tests.test_two_at_once import rows_of

RECORDS = int(os.environ.get("HOSTS_RECORDS", "600"))
TYPES = {
    "OBJECT_TYPES": os.environ.get("HOSTS_TYPES", "contacts,companies"),
    "EVENT_TYPES": os.environ.get("HOSTS_EVENTS", "e_visited_page"),
}
#: Seconds for which the Redis server is away.
AWAY = float(os.environ.get("HOSTS_AWAY", "15"))
#: Seconds in which a run is to end on a machine that has much else to do.
PATIENCE = 1200
#: So many of a portal's calls may be refused for its limits.
REFUSED = 0.005
#: More than these of a run ask for their turn on what all hosts of its portal share.
FEW_CALLS = 30
CONTACTS = "hubspot__contacts"
#: How steps become pods, in Dagster's instance.
LAUNCHER = """
run_launcher:
  module: dagster_k8s
  class: K8sRunLauncher
  config:
    service_account_name: dagster
    job_image: an-image
    instance_config_map: dagster-instance
    dagster_home: {home}
    load_incluster_config: false
    kubeconfig_file: {config}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def portal():
    with serve(PortalConfig(records=RECORDS, now=READ_AT, burst=100_000)) as sandbox:
        yield sandbox


@pytest.fixture
def hosts(tmp_path, bucket, endpoint, s3):
    with hosts_of(tmp_path, bucket, endpoint, s3) as several:
        yield several


def in_process(hosts, sandbox, reach, name, *options, **more):
    """Delivers the day by one process."""
    alone = hosts.environment(sandbox, name, EXPORT_EXECUTOR="in_process", DAGSTER_HOME="")
    reach(sandbox, **alone | TYPES | more)
    status, output = run("export", "--day", DAY, *options)
    assert status == 0, output


def several(hosts, sandbox, name, workers):
    """The environment of hosts that know the portal, and a worker on each of them."""
    environment = hosts.environment(sandbox, name, **TYPES)
    hosts.discover(f"{name}-discovering", environment)
    return environment, {each: hosts.worker(each, environment) for each in workers}


def ends_well(hosts, process, name):
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    assert process.poll() == 0, hosts.log(name)[-3000:]


def told(hosts, workers, what):
    """How often workers have told `what` of each step."""
    return hosts.count(workers, rf" - (\w+) - {what} - ")


def test_workers_deliver_what_one_process_does_though_one_is_killed(hosts, portal, reach):
    in_process(hosts, portal, reach, "alone")
    alone = rows_of(hosts.brought("alone"))
    environment, workers = several(hosts, portal, "several", ["one", "other"])
    portal.faults.add("slow", times=100_000, seconds=0.5, path="contacts|0-1")
    process = hosts.run("run", environment)
    hosts.until(process, lambda: hosts.staged("several", "objects/0-1"))
    (at_it,) = (each for each in workers if told(hosts, [each], "STEP_START")[CONTACTS])
    assert not told(hosts, workers, "STEP_SUCCESS")[CONTACTS]
    hosts.kill(workers[at_it])
    portal.faults.clear()
    ends_well(hosts, process, "run")
    assert rows_of(hosts.brought("several")) == alone
    begun = told(hosts, workers, "STEP_START")
    assert begun.total() == len(begun) + 1, "one step was begun twice"
    assert begun[CONTACTS] == 2
    assert begun.keys() == told(hosts, workers, "STEP_SUCCESS").keys()
    assert not hosts.left("several")
    of_hosts = f"{environment['EXPORT_URL']}/_state"
    in_process(hosts, portal, reach, "again", STATE_URL=of_hosts)
    assert parts(hosts.brought("again")) == parts(hosts.brought("several")), "of the same readings"


def test_a_step_that_takes_longer_than_it_is_waited_for_is_executed_once(hosts, portal):
    environment, workers = several(hosts, portal, "several", ["one", "other"])
    portal.faults.add("slow", times=100, seconds=LOST_AFTER / 1.5)
    process = hosts.materialize("run", environment, "hubspot/owners,OWNERS")
    delivered = partial(hosts.count, workers, r"Task execute_plan\[(.+)\] received")
    hosts.until(process, lambda: max(delivered().values(), default=0) > 1)
    assert told(hosts, workers, "STEP_START") == {"hubspot__owners": 1}
    assert not told(hosts, workers, "STEP_SUCCESS")
    portal.faults.clear()
    ends_well(hosts, process, "run")
    assert told(hosts, workers, "STEP_START") == {"hubspot__owners": 1, "OWNERS": 1}


def test_two_portals_keep_their_own_limits_though_redis_goes_away(hosts, reach):
    with ExitStack() as stack:
        alone, portals, environments = {}, {}, {}
        for number, name in enumerate(("ours", "theirs"), 1):
            config = PortalConfig(
                records=RECORDS, now=READ_AT, portal_id=number, token=name, seed=number
            )
            portals[name] = stack.enter_context(serve(config))
            in_process(hosts, portals[name], reach, f"{name}-alone", BUDGET_URL="")
            alone[name] = rows_of(hosts.brought(f"{name}-alone"))
            portals[name].requests.clear()
            workers = [f"{name}-one", f"{name}-other"]
            environments[name], _ = several(hosts, portals[name], name, workers)
        begun = time.time()
        processes = {name: hosts.run(f"{name}-run", of) for name, of in environments.items()}
        for name, process in processes.items():
            hosts.until(process, lambda name=name: hosts.staged(name, "objects"))
        hosts.redis.end()
        time.sleep(AWAY)
        hosts.redis.begin()
        for name, process in processes.items():
            ends_well(hosts, process, f"{name}-run")
            assert rows_of(hosts.brought(name)) == alone[name]
            answers = portals[name].requests
            refused = sum(number for (_, status), number in answers.items() if status == 429)
            assert refused < REFUSED * answers.total(), answers
        assert alone["ours"] != alone["theirs"]
        let_go = hosts.redis.let_go(begun)
        assert len(let_go) == len(portals), "hosts of a portal share one budget"
        assert all(calls > FEW_CALLS for calls in let_go.values())


def test_pods_deliver_what_one_process_does(hosts, portal, reach, tmp_path):
    """Whatever Kubernetes does between: each step's command is run, by itself."""
    in_process(hosts, portal, reach, "alone", "--select", "OWNERS")
    environment = hosts.environment(portal, "several", EXPORT_EXECUTOR="k8s", **TYPES)
    with cluster_of(tmp_path, os.environ | environment) as (cluster, config):
        with Path(hosts.home, "dagster.yaml").open("a") as file:
            file.write(LAUNCHER.format(home=hosts.home, config=config))
        ends_well(hosts, hosts.materialize("run", environment, "hubspot/owners,OWNERS"), "run")
        assert [each.wait() for each in cluster.jobs.values()] == [0, 0]
    assert hosts.printed()
    rows = [owners(hosts.brought(each)) for each in ("alone", "several")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(portal.portal.owners())


def parts(folder):
    """The bytes of all parts of the day, by their paths in it."""
    paths = (folder / DAY).rglob("*.gz")
    return {path.relative_to(folder / DAY): path.read_bytes() for path in paths}


def owners(folder):
    """The rows of a table that was delivered alone."""
    return duckdb.sql(
        f"SELECT * EXCLUDE (INGESTEDAT) FROM read_csv('{folder}/{DAY}/OWNERS/*.csv.gz', "
        "header=true, all_varchar=true)"
    ).fetchall()
