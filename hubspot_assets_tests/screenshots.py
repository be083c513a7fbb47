"""Pictures of Dagster's UI over a sandbox portal, for the docs: `make screenshots`.

Two days of a small portal are delivered, the UI is served, and Chromium looks at it without a
screen. Then it launches a backfill by clicks, of a portal with few types, and a run that fails.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from hubspot_assets.demo import sandbox_process

DAYS = ("2026-11-21", "2026-11-22")
NOW = "2026-11-23T06:00:00"
FORTNIGHT = ("2026-11-09", "2026-11-22")
#: A portal whose graph fits a screen, in which days are delivered soon.
FEW = {
    "OBJECT_TYPES": "contacts,companies,deals,tickets",
    "EVENT_TYPES": "e_visited_page,e_opened_email_v2",
    "EXPORT_START": FORTNIGHT[0],
    "EXPORT_HEAL_DAYS": "0",
}
WIDTH, HEIGHT = 1280, 800
#: Seconds for which a page must not change before its picture is taken, and to wait for it.
STILL, PATIENCE = 3.0, 120.0
#: Seconds to wait for a backfill, and for a run.
LONG = 3600.0
LOCATION = "hubspot_assets"
COMMANDS = Path(sys.executable).parent
RUNS = "{ runsOrError(limit: 1) { ... on Runs { results { runId status } } } }"
BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } } }"
#: The element of a page that begins with a text, or has it as placeholder, or an icon of the name.
FOUND = """[...document.querySelectorAll("button, a, input")].find(
  each => each.innerText.trim().startsWith({0}) || each.placeholder === {0} ||
    each.querySelector(`[aria-label="${{{0}}}"]`))"""


class Browser:
    """Chromium, by its DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._ask("Page.enable")

    def picture(
        self, url: str, words: str, file: Path, width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        """Looks at a page until `words` are on it and nothing moves."""
        self.look(url, words, width, height)
        self.keep(file)

    def look(self, url: str, words: str, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Goes to a page, which has `words` once it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Page.navigate", url=url)
        self._wait(words)

    def keep(self, file: Path, **clip: int) -> None:
        """Takes a picture of what is there, or of a part of it."""
        more = {"clip": {"x": 0, "y": 0, "scale": 1, **clip}} if clip else {}
        taken = self._ask("Page.captureScreenshot", format="png", **more)
        file.write_bytes(base64.b64decode(taken["data"]))
        print(f"{file}: {file.stat().st_size:,} bytes", flush=True)

    def click(self, text: str, then: str) -> None:
        """Clicks what begins with a text; `then` there are these words."""
        found = FOUND.format(json.dumps(text))
        at = json.loads(self._evaluate(f"JSON.stringify({found}.getBoundingClientRect())"))
        place = {"x": at["x"] + at["width"] / 2, "y": at["y"] + at["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "button": "left", "clickCount": 1}
            self._ask("Input.dispatchMouseEvent", **event, **place)
        self._wait(then)

    def write(self, text: str, then: str) -> None:
        """Types into what was clicked last, and leaves it; `then` there are these words."""
        self._ask("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        self._wait(then)

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
    # Its processes write for a moment longer than the first of them lives.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
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
    """Dagster's UI and daemon over a portal; gives its address."""
    commands = (["dagster-webserver", "-p", str(port)], ["dagster-daemon", "run"])
    with ExitStack() as stack:
        for name, *options in commands:
            command = [str(COMMANDS / name), *options, "-w", "workspace.yaml"]
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            stack.enter_context(process)
            stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url), PATIENCE)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info").is_success
    except httpx.HTTPError:
        return False


def until(reached: Callable[[], bool], seconds: float) -> None:
    """Waits until something is `reached`."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(1)


def newest(ui: str, query: str) -> dict[str, str]:
    """The newest of Dagster's runs, or backfills."""
    found = httpx.post(f"{ui}/graphql", json={"query": query}, timeout=PATIENCE).json()
    (results,) = found["data"].values()
    first: dict[str, str] = results["results"][0]
    return first


def command(environment: Mapping[str, str], *arguments: str, check: bool = True) -> None:
    """One of ours."""
    subprocess.run([COMMANDS / "hubspot-assets", *arguments], env=environment, check=check)


@contextmanager
def portal(records: int, **more: str) -> Iterator[dict[str, str]]:
    """A sandbox portal, and a folder for all that is written of it; gives the environment."""
    options = ("--records", str(records), "--now", NOW, "--burst", "10000")
    # A run that a sensor has launched may be writing there for a moment longer.
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with folder as home, sandbox_process(*options) as sandbox:
        shutil.copy("dagster.yaml", home)
        # Of its own is also where processes share what they know of HubSpot's limits.
        places = {"EXPORT_URL": f"{home}/export", "DAGSTER_HOME": home, "TMPDIR": home}
        yield {**os.environ, **sandbox, **places, **more}


def take(folder: Path, records: int, chromium: str, port: int) -> None:
    """Takes all pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with portal(records, EXPORT_START=DAYS[0], EXPORT_HEAL_DAYS="0") as environment:
        command(environment, "export", "--from", DAYS[0], "--to", DAYS[-1])
        with served(environment, port) as ui, browser(chromium) as seen:
            take_days(seen, ui, folder)
        # With the sensor that would have launched the days since.
        del environment["EXPORT_HEAL_DAYS"]
        with served(environment, port) as ui, browser(chromium) as seen:
            seen.picture(f"{ui}/automation", "heal_days", folder / "automation.png")
    with portal(records, **FEW) as environment:
        command(environment, "discover")
        with served(environment, port) as ui, browser(chromium) as seen:
            take_backfill(seen, ui, folder)
            take_failure(seen, ui, folder, environment)


def take_days(seen: Browser, ui: str, folder: Path) -> None:
    """Two days that were delivered."""
    for name, url, words in (
        ("catalog", f"{ui}/assets", "ASSOCIATIONS"),
        ("table", f"{ui}/assets/OBJECTS_CONTACTS?view=overview", "OBJECTID"),
        ("days", f"{ui}/assets/OBJECTS?view=partitions", DAYS[0]),
        ("checks", f"{ui}/assets/OBJECTS_CONTACTS?view=checks", "published"),
    ):
        seen.picture(url, words, folder / f"{name}.png")


def take_backfill(seen: Browser, ui: str, folder: Path) -> None:
    """A fortnight, launched as a person does it; and of what tables are made."""
    seen.look(f"{ui}/locations/{LOCATION}/jobs/export_day", "Materialize all")
    seen.click("Materialize all", "Partition selection")
    seen.click("No matching partitions", "Partition selection")
    seen.write("[{}...{}]".format(*FORTNIGHT), "14 partitions")
    seen.keep(folder / "launching.png")
    seen.click("Launch backfill", "Latest run")
    until(lambda: newest(ui, BACKFILLS)["status"].startswith("COMPLETED"), LONG)
    backfill = newest(ui, BACKFILLS)["id"]
    upstream = "view=lineage&lineageScope=upstream"
    seen.picture(f"{ui}/runs/b/{backfill}?tab=timeline", "Succeeded", folder / "backfill.png")
    seen.picture(
        f"{ui}/assets/OBJECTS_CONTACTS?{upstream}&lineageDepth=2",
        "OBJECTS_CONTACTS", folder / "lineage.png", width=1720, height=620,
    )  # fmt: skip
    seen.picture(
        f"{ui}/assets/OBJECTS?{upstream}&lineageDepth=1",
        "OBJECTS", folder / "combined.png", height=1240,
    )  # fmt: skip
    seen.look(f"{ui}/runs/{newest(ui, RUNS)['runId']}", "TEAMS", height=1000)
    seen.click("gantt_waterfall", "TEAMS")
    seen.click("expand_arrows", "OBJECTS_COMPANIES")
    seen.keep(folder / "day.png")
    seen.click("collapse_arrows", "TEAMS")  # which the UI would keep to


def take_failure(seen: Browser, ui: str, folder: Path, environment: Mapping[str, str]) -> None:
    """A run that fails as HubSpot's calls of the day are used up, in the midst of it."""
    fault = {"kind": "rate_limited", "policy": "DAILY", "times": 1_000, "path": "POST /crm/objects"}
    url = f"{environment['HUBSPOT_BASE_URL']}/_sandbox/faults"
    httpx.post(url, json=fault).raise_for_status()
    command(environment, "export", "--day", FORTNIGHT[0], "--read-again", check=False)
    run = newest(ui, RUNS)["runId"]
    seen.look(f"{ui}/runs/{run}?logs=type%3ASTEP_FAILURE", "STEP_FAILURE")
    # What comes below is a stack trace, with this machine's paths.
    seen.keep(folder / "failed.png", width=WIDTH, height=672)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--port", type=int, default=3100)
    asked = parser.parse_args()
    take(asked.folder, asked.records, asked.chromium, asked.port)
