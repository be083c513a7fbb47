"""What several hosts share, and their processes: PostgreSQL, Redis, a bucket, Celery's workers."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hubspot_assets.definitions import JOB
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.servers import POSTGRES, postgres_server, redis_server
from hubspot_assets_tests.stores import REGION

#: Seconds after which a step whose worker is gone is delivered again.
LOST_AFTER = 30

#: Where what the processes of steps print is kept.
_LOGS = """
compute_logs:
  module: dagster_aws.s3.compute_log_manager
  class: S3ComputeLogManager
  config:
    bucket: {bucket}
    prefix: compute-logs
    endpoint_url: {endpoint}
    region: {region}
    skip_empty_files: true
telemetry:
  enabled: false
"""


class Hosts:
    """Hosts that share a bucket, a database and a Redis server; everything of theirs that runs."""

    def __init__(self, folder, bucket, endpoint, s3, redis, port):
        self.folder, self.redis = folder, redis
        self._bucket, self._s3 = bucket, s3
        self._running = []
        self._shared = {
            "S3_ENDPOINT_URL": endpoint,
            "S3_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "CELERY_VISIBILITY_TIMEOUT": str(LOST_AFTER),
            "BUDGET_URL": redis.url,
        }
        home = folder / "dagster-home"
        home.mkdir()
        logs = _LOGS.format(bucket=bucket, endpoint=endpoint, region=REGION)
        (home / "dagster.yaml").write_text(POSTGRES.format(port=port) + logs)
        self.home = str(home)

    def environment(self, sandbox, name, **more):
        """That of every host of a portal, whose export has a `name`."""
        return self._shared | {
            "DAGSTER_HOME": self.home,
            "HUBSPOT_BASE_URL": sandbox.url,
            "HUBSPOT_ACCESS_TOKEN": sandbox.token,
            "EXPORT_URL": f"s3://{self._bucket}/{name}",
            "EXPORT_EXECUTOR": "celery",
            "EXPORT_START": "2024-01-01",
            **more,
        }

    def start(self, name, environment, *command):
        """A process of a host of this `name`, and those it begins."""
        host = self.folder / name
        host.mkdir(exist_ok=True)
        with (host / "log").open("a") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name(command[0])), *command[1:]],
                cwd=host,
                env=os.environ | {"TMPDIR": str(host)} | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def discover(self, name, environment):
        """Notes which types and pairs a portal has, for all hosts."""
        assert self.start(name, environment, "hubspot-assets", "discover").wait(120) == 0

    def worker(self, name, environment):
        """A Celery worker; it is killed with all of its processes."""
        options = ["--concurrency", "1", "--hostname", f"{name}@%h", "--loglevel", "INFO"]
        return self.start(
            name, environment, "celery", "-A", "hubspot_assets.celery_app", "worker", *options
        )

    def run(self, name, environment):
        """The run of a day, whose steps the workers execute."""
        tags = f'{{"dagster/partition": "{DAY}"}}'
        options = ["-m", "hubspot_assets.definitions", "-j", JOB, "--tags", tags]
        return self.start(name, environment, "dagster", "job", "execute", *options)

    def materialize(self, name, environment, assets):
        """The run of these assets alone, for the same day."""
        options = ["-m", "hubspot_assets.definitions", "--partition", DAY, "--select", assets]
        return self.start(name, environment, "dagster", "asset", "materialize", *options)

    def log(self, name):
        """What the processes of a host have said."""
        return (self.folder / name / "log").read_text()

    def count(self, names, pattern):
        """How often hosts have said each thing that is found so."""
        return Counter(re.findall(pattern, "\n".join(map(self.log, names))))

    def until(self, process, reached, seconds=300):
        """Waits until something is `reached` while a process is alive."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < deadline, "it takes too long"
            time.sleep(0.05)

    def brought(self, name):
        """The export of this name in a folder."""
        store = open_store(f"s3://{self._bucket}", self._s3)
        for each in store.list(f"{name}/{DAY}"):
            path = self.folder / "brought" / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.get(each.path))
        return self.folder / "brought" / name

    def staged(self, name, source):
        """The chunks that have been read of a source, or of all below it."""
        found = self._list(f"{name}/_state/readings/{source}")
        return [path for path in found if path.endswith(".parquet")]

    def left(self, name):
        """What lies in an export's places of leases."""
        return self._list(f"{name}/_leases") + self._list(f"{name}/_state/_leases")

    def printed(self):
        """Where what steps have printed is kept."""
        return self._list("compute-logs")

    def _list(self, below):
        return [each.path for each in open_store(f"s3://{self._bucket}", self._s3).list(below)]

    def kill(self, process):
        """Ends a process as a host that dies does, with all it has begun."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self):
        for process in self._running:
            self.kill(process)


@contextmanager
def hosts_of(folder, bucket, endpoint, s3):
    """Hosts for the block, with a Redis server that knows after its end what it knew."""
    with ExitStack() as stack:
        port = stack.enter_context(postgres_server())
        redis = stack.enter_context(redis_server(folder, durable=True))
        hosts = Hosts(folder, bucket, endpoint, s3, redis, port)
        stack.callback(hosts.end)
        yield hosts
