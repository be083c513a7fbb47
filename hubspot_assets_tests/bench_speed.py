"""How near a reading comes to the speed that HubSpot allows, for `bench`.

The sandbox is as far away as HubSpot is, and allows what a professional subscription does. What a
budget needs is its requests over its rate; the slowest one is what a reading is measured by.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hubspot_assets.demo import sandbox_process
from hubspot_assets.sandbox.config import PLANS
from hubspot_assets.sandbox.routes import ROUTES

#: What a day is read of: milliseconds until an answer comes, the subscription, the portal's clock.
LATENCY, PLAN = 300, "pro"
DAY, NOW = "2026-11-22", "2026-11-23T02:00:00"
#: Properties of a contact that is lean.
LEAN = 5
#: Calls per second, by budget.
RATES = {
    "general": PLANS[PLAN].burst / 10,
    "associations": PLANS[PLAN].associations / 10,
    "search": 5,
}


def measure(folder: str, tables: tuple[str, ...]) -> dict[str, float]:
    """A day, or some tables of it, in this process: seconds, and megabytes of memory."""
    os.environ["EXPORT_URL"] = folder
    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings

    started = time.monotonic()
    deliver(load_settings(), DAY, tables, Display())
    return {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time(),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run(records: int, tables: tuple[str, ...], *options: str, **settings: str) -> dict[str, float]:
    """The same in a process of its own, with `needed`: the seconds that the slowest budget needs;
    and `refused`, the share of requests that came too fast."""
    import httpx

    pinned = ("--plan", PLAN, "--latency-ms", str(LATENCY), "--now", NOW)
    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox_process("--records", str(records), *pinned, *options) as environment,
    ):
        # Budgets that no other measurement has used, and a catalog of its own.
        own = {**environment, **settings, "TMPDIR": folder, "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-m", __spec__.name, f"{folder}/export", *tables]
        done = subprocess.run(
            command, env=os.environ | own, cwd=folder, check=True, capture_output=True, text=True
        )
        told = httpx.get(f"{environment['HUBSPOT_BASE_URL']}/_sandbox/requests").json()
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    requests = Counter[str]()
    for each in told:
        requests[budget_of(each["request"])] += each["count"]
    refused = sum(each["count"] for each in told if each["status"] == 429)
    return (
        measured
        | requests
        | {
            "requests": requests.total(),
            "needed": max(requests[name] / rate for name, rate in RATES.items()),
            "refused": refused / requests.total() * 100,
        }
    )


def budget_of(request: str) -> str:
    """The budget that a request, `GET /crm/...`, is counted against."""
    method, _, template = request.partition(" ")
    return next(
        (each.budget for each in ROUTES if (each.method, each.template) == (method, template)),
        "general",
    )


def told(what: str, of: Mapping[str, float]) -> str:
    """A line of what was measured."""
    by_budget = ", ".join(f"{name} {of.get(name, 0):,.0f}" for name in RATES)
    return (
        f"      {what}: {of['requests']:,.0f} requests ({by_budget}) in {of['seconds']:.0f} s, of "
        f"which the slowest budget needs {of['needed']:.0f}; {of['cpu']:.0f} s of CPU, "
        f"{of['rss_mb']:.0f} MB, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    folder, *tables = sys.argv[1:]
    print(json.dumps(measure(folder, tuple(tables))))
