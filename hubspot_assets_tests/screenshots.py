"""Pictures of Dagster's UI over a sandbox portal, for the docs: `make screenshots`.

Two days of a small portal are delivered, the UI is served, and Chromium looks at it without a
screen.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from hubspot_assets.demo import sandbox_process

DAYS = ("2026-11-21", "2026-11-22")
NOW = "2026-11-23T06:00:00"
WIDTH, HEIGHT = 1280, 800
#: Seconds for which a page must not change before its picture is taken, and to wait for it.
STILL, PATIENCE = 3.0, 120.0
LOCATION = "hubspot_assets"
RUNS = "{ runsOrError(limit: 1) { ... on Runs { results { runId } } } }"


class Browser:
    """Chromium, by its DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._ask("Page.enable")
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, url: str, words: str, file: Path) -> None:
        """Looks at a page until `words` are on it and nothing moves."""
        self._ask("Page.navigate", url=url)
        self._wait(words)
        taken = self._ask("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(taken["data"]))
        print(f"{file}: {file.stat().st_size:,} bytes", flush=True)

    def _wait(self, words: str) -> None:
        end, before, since = time.monotonic() + PATIENCE, "", time.monotonic()
        while time.monotonic() < end:
            text = self._evaluate("document.body ? document.body.innerText : ''")
            still = re.sub(r"\d", "", text)  # but for clocks, and the time until it is refreshed
            if still != before:
                before, since = still, time.monotonic()
            if words in text and time.monotonic() - since > STILL:
                return
            time.sleep(0.5)
        raise TimeoutError(f"no {words!r} on the page, but: {before[:500]}")

    def _evaluate(self, script: str) -> Any:
        return self._ask("Runtime.evaluate", expression=script)["result"].get("value")

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._connection.recv(timeout=PATIENCE))
            if told.get("id") == number:
                answer: dict[str, Any] = told["result"]
                return answer


@contextmanager
def browser(chromium: str) -> Iterator[Browser]:
    """A browser of its own, which keeps nothing."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr
                port = next(
                    line.rpartition(":")[2].partition("/")[0]
                    for line in process.stderr
                    if line.startswith("DevTools listening on")
                )
                pages = httpx.get(f"http://127.0.0.1:{port}/json").json()
                url = next(each["webSocketDebuggerUrl"] for each in pages if each["type"] == "page")
                with connect(url, max_size=None) as connection:
                    yield Browser(connection)
            finally:
                process.terminate()


@contextmanager
def served(environment: Mapping[str, str], port: int) -> Iterator[str]:
    """Dagster's UI over two days of the portal; gives its address."""
    commands = Path(sys.executable).parent
    export = [str(commands / "hubspot-assets"), "export", "--from", DAYS[0], "--to", DAYS[-1]]
    subprocess.run(export, env=environment, check=True)
    serve = [str(commands / "dagster-webserver"), "-w", "workspace.yaml", "-p", str(port)]
    with subprocess.Popen(serve, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                try:
                    httpx.get(f"{url}/server_info").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(1)
            yield url
        finally:
            process.terminate()


def take(folder: Path, records: int, chromium: str, port: int) -> None:
    """Takes all pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("--records", str(records), "--now", NOW, "--burst", "10000")
    with tempfile.TemporaryDirectory() as home, sandbox_process(*options) as sandbox:
        shutil.copy("dagster.yaml", home)
        places = {"EXPORT_URL": f"{home}/export", "DAGSTER_HOME": home, "EXPORT_START": DAYS[0]}
        environment = {**os.environ, **sandbox, **places}
        with served(environment, port) as ui, browser(chromium) as seen:
            groups = f"{ui}/locations/{LOCATION}/asset-groups"
            found = httpx.post(f"{ui}/graphql", json={"query": RUNS}).json()
            (run, *_) = found["data"]["runsOrError"]["results"]
            for name, url, words in (
                ("catalog", f"{ui}/assets", "ASSOCIATIONS"),
                ("records", f"{groups}/records/lineage", "Materialize all"),
                ("lineage", f"{ui}/assets/OBJECTS_CONTACTS?view=lineage", "OBJECTS_CONTACTS"),
                ("combined", f"{ui}/assets/OBJECTS?view=lineage", "OBJECTS"),
                ("table", f"{ui}/assets/OBJECTS_CONTACTS?view=overview", "OBJECTID"),
                ("source", f"{ui}/assets/hubspot/contacts?view=overview", "requests"),
                ("days", f"{ui}/assets/OBJECTS?view=partitions", DAYS[0]),
                ("checks", f"{ui}/assets/OBJECTS_CONTACTS?view=checks", "published"),
                ("automation", f"{ui}/automation", "daily_export"),
                ("runs", f"{ui}/runs", "export_day"),
                ("run", f"{ui}/runs/{run['runId']}", "OBJECTS"),
            ):
                seen.picture(url, words, folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--port", type=int, default=3100)
    asked = parser.parse_args()
    take(asked.folder, asked.records, asked.chromium, asked.port)
