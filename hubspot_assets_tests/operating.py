"""Dagster's processes over a portal, as an operator has them."""

import contextlib
import subprocess
import time
from pathlib import Path

import httpx
from dagster_graphql import DagsterGraphQLClient

from hubspot_assets_tests.servers import free_port
from hubspot_assets_tests.test_commands import SCRIPT, run

ROOT = Path(__file__).parents[1]


def until(process, reached):
    """Waits until something is `reached` while a process is alive."""
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@contextlib.contextmanager
def operated(
    folder,
    monkeypatch,
    instance,
    *,
    daemon=False,
    workspace=ROOT / "workspace.yaml",
    portals=(),
):
    """The UI, and the daemon if it is wanted, over an instance that the text `instance` describes,
    for one portal or several ones of these names.

    Gives the UI's GraphQL client.
    """
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(instance)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CATALOG_FILE", str(folder / "catalog.json"))
    for arguments in [["--portal", name, "discover"] for name in portals] or [["discover"]]:
        assert run(*arguments)[0] == 0
    port = free_port()
    commands = [["dagster-webserver", "-p", str(port)], *[["dagster-daemon", "run"]] * daemon]
    with contextlib.ExitStack() as running, (folder / "dagster.log").open("w") as log:
        for name, *options in commands:
            command = [str(SCRIPT.with_name(name)), *options, "-w", str(workspace)]
            process = running.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            running.callback(process.terminate)
            if name == "dagster-webserver":
                until(process, lambda: _answers(port))
        yield DagsterGraphQLClient("127.0.0.1", port_number=port)


def _answers(port):
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/server_info").is_success
    return False
