"""The very processes that Compose runs, without containers: they work together, tell how they are,
and end when they are told to.

What is Compose's own is put in place: hosts, ports and folders are this machine's, and each service
is told the name that a container has for its host.
"""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import SensorExecutionArgs
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_graphql import DagsterGraphQLClient

from hubspot_assets.definitions import JOB
from hubspot_assets.export import read_manifest
from hubspot_assets.run_launcher import MISSED
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.deployment import DEPLOY, image, image_environment, read
from hubspot_assets_tests.hubspot.test_shared import redis  # noqa: F401
from hubspot_assets_tests.servers import free_port, postgres_server
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_deployment import GIVEN, ours

BIN = Path(sys.executable).parent
PATIENCE = 300


@dataclass
class Service:
    """A service of Compose's in a process of its own."""

    host: str
    process: subprocess.Popen[bytes]
    health: list[str]
    environment: dict[str, str]
    home: Path
    seconds_to_end: float

    def is_healthy(self):
        assert self.process.poll() is None, self.host
        kind, *command = self.health
        done = subprocess.run(
            command[0] if kind == "CMD-SHELL" else command,
            shell=kind == "CMD-SHELL",
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def kill(self):
        """Ends it as a machine that dies does."""
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()


@pytest.fixture
def postgres():
    with postgres_server() as port:
        yield port


@pytest.fixture
def put(sandbox, redis, postgres, endpoint, tmp_path):  # noqa: F811
    """Puts in a text what is this machine's in the place of what is Compose's."""
    host = endpoint.removeprefix("http://")
    places = {
        "redis:6379": f"127.0.0.1:{redis.port}",
        "store:9000": host,
        "5432": str(postgres),
        "4000": str(free_port()),
        "3000": str(free_port()),
        "0.0.0.0": "127.0.0.1",
        "/tmp/dagster": str(tmp_path / "tmp"),
    }
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, places))})(?!\w)")
    return lambda text: pattern.sub(lambda found: places[found[0]], text)


@pytest.fixture
def environment(put, sandbox, bucket, tmp_path):
    """What Compose gives to all services of the image, and a sandbox instead of HubSpot."""
    given = {
        "EXPORT_URL": f"s3://{bucket}/export",
        "DAGSTER_LOG_BUCKET": bucket,
        "AWS_DEFAULT_REGION": REGION,
    }
    compose = read("compose.yaml", GIVEN | given)
    (tmp_path / "tmp").mkdir()
    return {
        **image_environment(),
        **{name: put(value) for name, value in compose["services"]["code"]["environment"].items()},
        "CODE_SERVER_HOST": "127.0.0.1",
        "DAGSTER_PG_HOST": "127.0.0.1",
        "HUBSPOT_BASE_URL": sandbox.url,
        "HUBSPOT_ACCESS_TOKEN": sandbox.token,
        "OBJECT_TYPES": "companies",
        "EXPORT_START": "2024-01-01",
        "EXPORT_HEAL_DAYS": "0",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path / "tmp"),
        "TMPDIR": str(tmp_path / "tmp"),
    }


@pytest.fixture
def home(put, environment, tmp_path, monkeypatch):
    """The folder of the image that its processes work in."""
    folder = tmp_path / "home"
    folder.mkdir()
    instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    instance["run_monitoring"]["poll_interval_seconds"] = 5
    (folder / "dagster.yaml").write_text(put(yaml.safe_dump(instance)))
    (folder / "workspace.yaml").write_text(put((DEPLOY / "workspace.yaml").read_text()))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get():
        yield folder


@pytest.fixture
def services(put, environment, home, tmp_path):
    """Starts services by their names, each as often as Compose does; all have ended after the
    test."""
    of_ours = ours(read("compose.yaml", GIVEN))
    started = []

    def begun(host, service, log):
        command = [put(word) for word in service.get("command", image()["command"])]
        if command[0] == "celery":
            command += ["--hostname", f"celery@{host}"]
        test = service.get("healthcheck", {"test": ["CMD", *image()["health"]]})["test"]
        check = [put(word).replace("$$", "$") for word in test]
        own = environment | {"HOSTNAME": host}
        process = subprocess.Popen(command, env=own, cwd=home, stdout=log, stderr=log)
        grace = float(service["stop_grace_period"].removesuffix("s"))
        return Service(host, process, check, own, home, grace)

    with (tmp_path / "log").open("w") as log:

        def start(*names):
            for name in names:
                service = of_ours[name]
                hosts = range(service.get("deploy", {"replicas": 1})["replicas"])
                started.extend(begun(f"{name}-{each}", service, log) for each in hosts)
            deadline = time.monotonic() + PATIENCE
            for each in started:
                while not each.is_healthy():
                    assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-5000:]
            return started

        yield start
        for each in started:
            each.kill()


def ui_of(put):
    """The UI's GraphQL client."""
    return DagsterGraphQLClient("127.0.0.1", port_number=int(put("3000")))


def launched(put):
    """A run that reads owners, and delivers a table of them."""
    keys = [dg.AssetKey(["hubspot", "owners"]), dg.AssetKey("OWNERS")]
    tags = {"dagster/partition": DAY}
    return ui_of(put).submit_job_execution(JOB, tags=tags, asset_selection=keys)


def owners(bucket, s3):
    """How many there are in the table."""
    return read_manifest(open_store(f"s3://{bucket}/export", s3), DAY, "OWNERS").rows


def whether_somebody_is_at(run_id):
    """What the launcher tells of a run, asked until it would say that nobody is."""
    with dg.DagsterInstance.get() as instance:
        run, launcher = instance.get_run_by_id(run_id), instance.run_launcher
        return [launcher.check_run_worker_health(run).status for _ in range(MISSED)][-1]


def who_is_at(run_id):
    """The worker that says so of a run, as Celery has its name; None if none does."""
    with dg.DagsterInstance.get() as instance:
        task = instance.get_run_by_id(run_id).tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        launcher: Any = instance.run_launcher
        return launcher._worker_at(task)


@pytest.mark.slow
def test_a_run_goes_to_a_worker_and_all_end_when_they_are_told_to(
    services, put, sandbox, bucket, s3, tmp_path, monkeypatch
):
    monkeypatch.setattr("hubspot_assets.run_launcher.PATIENCE", 1.0)
    sandbox.faults.add("slow", times=1_000, seconds=2)
    services("code")
    all_of_them = services("webserver", "daemon", "worker")
    run_id = launched(put)
    ui = ui_of(put)
    deadline, told_of_it = time.monotonic() + PATIENCE, set()
    while (status := ui.get_run_status(run_id)) != dg.DagsterRunStatus.SUCCESS:
        log = (tmp_path / "log").read_text()
        assert status != dg.DagsterRunStatus.FAILURE, log[-5000:]
        if status == dg.DagsterRunStatus.STARTED:
            told_of_it.add(whether_somebody_is_at(run_id))
        assert time.monotonic() < deadline, log[-5000:]
        time.sleep(0.5)
    with dg.DagsterInstance.get() as instance:
        assert DAGSTER_CELERY_TASK_ID_TAG in instance.get_run_by_id(run_id).tags
    assert told_of_it <= {WorkerStatus.RUNNING, WorkerStatus.SUCCESS}
    assert WorkerStatus.RUNNING in told_of_it
    assert owners(bucket, s3) > 0

    children = [
        child
        for each in all_of_them
        for child in psutil.Process(each.process.pid).children(recursive=True)
    ]
    for each in all_of_them:
        each.process.send_signal(signal.SIGTERM)
    for each in all_of_them:
        each.process.wait(each.seconds_to_end)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, alive


BUSY = """
import time, dagster as dg

@dg.sensor(target="*")
def busy(context):
    time.sleep(90)

defs = dg.Definitions(sensors=[busy])
"""


@pytest.mark.slow
def test_a_code_server_ends_in_time_though_somebody_waits_for_its_answer(tmp_path):
    (tmp_path / "busy.py").write_text(BUSY)
    port = free_port()
    start = ["dagster", "code-server", "start", "--port", str(port), "--python-file", "busy.py"]
    server = subprocess.Popen(
        [BIN / start[0], *start[1:]], cwd=tmp_path, env={**os.environ, **image_environment()}
    )
    client, deadline = DagsterGrpcClient(port=port), time.monotonic() + PATIENCE
    while not answers(client):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    location = GrpcServerCodeLocationOrigin("localhost", port)
    with dg.instance_for_test() as instance, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            client.external_sensor_execution,
            SensorExecutionArgs(
                repository_origin=RemoteRepositoryOrigin(location, "__repository__"),
                instance_ref=instance.get_ref(),
                sensor_name="busy",
                last_tick_completion_time=None,
                last_run_key=None,
                cursor=None,
                timeout=PATIENCE,
            ),
        )
        time.sleep(5)
        assert not asked.done()
        children = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(signal.SIGTERM)
        grace = float(read("compose.yaml", GIVEN)["services"]["code"]["stop_grace_period"][:-1])
        try:
            server.wait(grace)
        finally:
            for each in children:  # as a container does with who is left in it
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            server.kill()
            server.wait()
        assert isinstance(asked.exception(), DagsterUserCodeUnreachableError)


def answers(client):
    with suppress(DagsterUserCodeUnreachableError):
        return client.list_repositories()
    return None


@pytest.mark.slow
def test_a_run_whose_worker_is_gone_is_given_to_another(
    services, put, sandbox, bucket, s3, tmp_path
):
    sandbox.faults.add("slow", times=1_000, seconds=5)
    services("code")
    workers = services("webserver", "daemon", "worker")[-2:]
    run_id = launched(put)
    deadline = time.monotonic() + PATIENCE
    while ui_of(put).get_run_status(run_id) != dg.DagsterRunStatus.STARTED:
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-5000:]
        time.sleep(0.2)
    at_it = who_is_at(run_id)
    (lost,) = (each for each in workers if at_it == f"celery@{each.host}")
    lost.kill()
    sandbox.faults.clear()
    with dg.DagsterInstance.get() as instance:
        succeeded = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])
        while not (runs := instance.get_runs(succeeded)):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-5000:]
            time.sleep(1)
    assert runs[0].parent_run_id == run_id
    assert owners(bucket, s3) > 0
