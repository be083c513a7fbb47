"""The project's bounds, measured: `make bench`.

Contacts with about 75 filled properties and 70 history values, read from a sandbox portal in a
process of its own, all five record tables written. Each measurement has a process of its own,
too, and prints one line. The bare loop beside it fetches the same pages with httpx, parses them
with orjson, makes the frames of the same tables and packs their CSV with isal.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from hubspot_assets.demo import sandbox_process
from hubspot_assets.sandbox import Portal, PortalConfig
from hubspot_assets.sandbox.records import selection
from hubspot_assets.sandbox.render import enclosed
from hubspot_assets_tests import bench_speed

DAY = "2026-11-22"
NOW = "2026-11-23T02:00:00"
TABLES = (
    "OBJECTS",
    "OBJECTS_CONTACTS",
    "OBJECT_PROPERTIES",
    "OBJECT_PROPERTIES_HISTORY",
    "OBJECT_WITH_OBJECT_PROPERTIES",
)
#: Properties of a contact so that all names fit 5 KB.
LEAN = 120
#: After so long some 1 % of the contacts have changed.
EVENING = timedelta(hours=15)
#: Contacts of which a search is to find what has changed, and requests that it may take: with none
#: gone, and more for each that is.
MANY, SEARCHED, GONE = 100_000, 100, 15
#: Contacts of a portal that is read as fast as HubSpot allows.
PORTAL = 4_000
#: So many contacts are forgotten in so many days.
FORGOTTEN = 5
DAYS_OF_THEM = [str(date.fromisoformat(DAY) - timedelta(n)) for n in range(90)]
#: So many small days are measured.
SMALL_DAYS = 3
#: Records in a batch read of associations.
BATCH = 1000
#: Linked records that a batch read tells of each record at a time.
PAGE_OF_LINKS = 500


def cpu(of: int = resource.RUSAGE_SELF) -> float:
    """Seconds of CPU this process has used, or its children that have ended."""
    usage = resource.getrusage(of)
    return usage.ru_utime + usage.ru_stime


def measure_export(folder: str) -> dict[str, float]:
    """Extraction and export in this process, under Dagster."""
    os.environ.update(EXPORT_URL=folder, OBJECT_TYPES="contacts")
    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings

    started, before = time.monotonic(), cpu()
    delivery = deliver(load_settings(), DAY, TABLES, Display())
    return {
        "seconds": time.monotonic() - started,
        "cpu": cpu() - before,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "contacts": next(t.rows for t, _ in delivery.tables if t.table == "OBJECTS"),
        "bytes": sum(t.bytes for t, _ in delivery.tables),
        "requests": delivery.requests,
    }


def measure_bare(_: str) -> dict[str, float]:
    """The same pages and tables with nothing around them, twenty pages to a frame."""
    import httpx
    import orjson
    from isal import isal_zlib

    headers = {"Authorization": f"Bearer {os.environ['HUBSPOT_ACCESS_TOKEN']}"}
    client = httpx.Client(base_url=os.environ["HUBSPOT_BASE_URL"], headers=headers, timeout=60)
    definitions = client.get("/crm/properties/2026-09/contacts").json()["results"]
    names = sorted(each["name"] for each in definitions if not each.get("archived"))
    packers = [isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31) for _ in TABLES]
    params = {"limit": "50", "propertiesWithHistory": ",".join(names)}
    started, before, contacts, packed = time.monotonic(), cpu(), 0, 0
    records: list[dict[str, Any]] = []
    while True:
        body = orjson.loads(client.get("/crm/objects/2026-09/contacts", params=params).content)
        records += body["results"]
        if len(records) >= 1000 or "paging" not in body:
            for packer, frame in zip(packers, bare_frames(records, names), strict=True):
                packed += len(packer.compress(frame.write_csv(include_header=False).encode()))
            contacts += len(records)
            records = []
        if "paging" not in body:
            break
        params["after"] = body["paging"]["next"]["after"]
    packed += sum(len(packer.flush()) for packer in packers)
    return {
        "seconds": time.monotonic() - started,
        "cpu": cpu() - before,
        "contacts": contacts,
        "bytes": packed,
    }


def bare_frames(records: list[dict[str, Any]], names: list[str]) -> list[pl.DataFrame]:
    """Frames of the five tables, values as HubSpot gives them."""
    import orjson

    set_values = [{n: v for n, v in record["properties"].items() if v} for record in records]
    objects = pl.DataFrame(
        {
            "id": [record["id"] for record in records],
            "updatedAt": [record["updatedAt"] for record in records],
        }
    )
    entries: list[dict[str, Any]] = []
    owners: list[str] = []
    of: list[str] = []
    for record in records:
        for name, history in record["propertiesWithHistory"].items():
            if history:
                entries += history
                owners += [record["id"]] * len(history)
                of += [name] * len(history)
    schema = {
        "value": pl.String,
        "timestamp": pl.String,
        "sourceType": pl.String,
        "sourceId": pl.String,
        "sourceLabel": pl.String,
        "updatedByUserId": pl.Int64,
    }
    return [
        objects,
        pl.from_dicts(
            [record["properties"] for record in records], schema=dict.fromkeys(names, pl.String)
        ),
        pl.DataFrame(
            {
                "id": [r["id"] for r, v in zip(records, set_values, strict=True) for _ in v],
                "name": [name for values in set_values for name in values],
                "value": [value for values in set_values for value in values.values()],
            }
        ),
        pl.from_dicts(entries, schema=schema).with_columns(
            pl.Series("id", owners), pl.Series("name", of)
        ),
        objects.with_columns(
            pl.Series("properties", [orjson.dumps(values).decode() for values in set_values])
        ),
    ]


def measure_day(folder: str) -> dict[str, float]:
    """A whole day of a small portal on the instance of dagster.yaml: how much of it was not
    extraction, what its events take, and how long it was until the first step began."""
    os.environ["EXPORT_URL"] = folder
    import dagster as dg

    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings
    from hubspot_assets_tests.operating import ROOT

    home = Path(folder) / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get():  # of which the UI and the daemon have made the databases
        pass
    started = time.monotonic()
    deliver(load_settings(), DAY, [], Display())
    seconds = time.monotonic() - started
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        steps = instance.get_run_step_stats(run.run_id)
        events = instance.all_logs(run.run_id)
    begun = next(
        e.timestamp for e in events if e.is_dagster_event and e.get_dagster_event().is_step_start
    )
    reading = sum(s.end_time - s.start_time for s in steps if s.step_key.startswith("hubspot_"))
    return {
        "seconds": seconds,
        "extraction": reading,
        "beyond": seconds - reading,
        "steps": len(steps),
        "launch": begun - min(e.timestamp for e in events),
        "log_mb": sum(len(dg.serialize_value(e)) for e in events) / 1e6,
    }


def measure_store(_: str) -> dict[str, float]:
    """The calls that a whole day takes of a bucket: those of the export and of the state, besides
    one for each part and chunk."""
    import boto3
    from moto.server import ThreadedMotoServer

    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings
    from hubspot_assets_tests.store_calls import beyond_parts, noted_calls

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url, region = "http://{}:{}".format(*server.get_host_and_port()), "us-east-1"
    os.environ.update(EXPORT_URL="s3://bucket/prefix", S3_ENDPOINT_URL=url, S3_REGION=region)
    os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any")
    boto3.client("s3", endpoint_url=url, region_name=region).create_bucket(Bucket="bucket")
    with noted_calls() as calls:
        delivery = deliver(load_settings(), DAY, [], Display())
    server.stop()
    of_export, of_state = beyond_parts(calls)
    complete = [each for each in calls if each.key.endswith("/_reading.json")]
    return {
        "calls": len(calls),
        "of_export": of_export,
        "of_state": of_state,
        "tables": len(delivery.tables),
        "readings": sum(each.operation == "PutObject" for each in complete),
    }


def measure_links(folder: str) -> dict[str, float]:
    """The links of contacts, companies and deals, and the batch reads that one side needs."""
    os.environ.update(EXPORT_URL=folder, OBJECT_TYPES="contacts,companies,deals")
    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings

    deliver(load_settings(), DAY, ("ASSOCIATIONS", "OBJECTS"), Display())
    day = Path(folder) / DAY
    records = rows_by_folder(day / "OBJECTS")
    needed, links = 0, rows_by_folder(day / "ASSOCIATIONS")
    for pair in links:
        one, other = pair.split("_to_")
        if (records[one], one) <= (records[other], other):
            needed += -(-records[one] // BATCH) + further_pages(day / "ASSOCIATIONS" / pair)
    return {
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "records": sum(records.values()),
        "links": sum(links.values()),
        "pairs": len(links),
        "needed": needed,
    }


def further_pages(folder: Path) -> int:
    """Batch reads for what the record with the most links has beyond the first page."""
    columns = ["FROMOBJECTID", "TOOBJECTID"]
    links = pl.concat(pl.read_csv(part, columns=columns) for part in folder.glob("*.csv.gz"))
    most: list[int] = links.unique().group_by("FROMOBJECTID").len()["len"].to_list()
    return (max(most) - 1) // PAGE_OF_LINKS


def rows_by_folder(table: Path) -> dict[str, int]:
    """Rows of each sub-folder of a table, as its manifest tells."""
    found: dict[str, int] = {}
    for part in json.loads((table / "_manifest.json").read_text())["parts"]:
        folder = part["path"].split("/")[1]
        found[folder] = found.get(folder, 0) + part["rows"]
    return found


def measure_changes(folder: str) -> dict[str, float]:
    """Contacts read whole, and what has changed by the evening, by sweep and by search: requests,
    CPU, and bytes of the state, of each."""
    import httpx
    import time_machine

    from hubspot_assets.hubspot.auth import BearerToken
    from hubspot_assets.hubspot.catalog import standard_catalog
    from hubspot_assets.hubspot.client import HubSpot
    from hubspot_assets.readings.staging import Staging
    from hubspot_assets.sources import properties, records
    from hubspot_assets.storage import open_store
    from hubspot_assets_tests.days import day_of

    url, token = os.environ["HUBSPOT_BASE_URL"], os.environ["HUBSPOT_ACCESS_TOKEN"]
    contacts = next(t for t in standard_catalog().object_types if t.plural_name == "contacts")
    measured: dict[str, float] = {}

    def read(way: str, at: datetime, state: Path) -> None:
        httpx.post(f"{url}/_sandbox/clock", json={"now": at.isoformat()}).raise_for_status()
        written, before = size_of(state), cpu()
        with time_machine.travel(at, tick=True), HubSpot(BearerToken(token), url) as client:
            staging = Staging(open_store(state), day_of(DAY))
            properties.extract_properties(client, staging, contacts)
            own = client.counted_apart()
            staged = records.extract_records(
                own, staging, contacts, portal="", workers=8, incremental=way, sweep_days=10_000
            )
        gone = pl.concat(chunk.read("records", ["gone"]) for chunk in staged.chunks())
        measured.update({f"{way} {name}": number for name, number in staged.counts.items()})
        measured[f"{way} gone"] = gone["gone"].count()
        measured[f"{way} requests"] = own.stats.requests
        measured[f"{way} cpu"] = cpu() - before
        measured[f"{way} bytes"] = size_of(state) - written

    morning = datetime.fromisoformat(f"{NOW}+00:00")
    state = Path(folder) / "off"
    read("off", morning, state)
    for way in ("sweep", "search"):
        own = Path(shutil.copytree(state, Path(folder) / way))
        read(way, morning + EVENING, own)
    return measured


def measure_night(folder: str) -> dict[str, float]:
    """Contacts on two days, the second of which is told by what has changed: CPU, and bytes of the
    state, of each day, tables and all."""
    os.environ.update(EXPORT_URL=folder, OBJECT_TYPES="contacts")
    import httpx
    import time_machine

    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings

    url, state = os.environ["HUBSPOT_BASE_URL"], Path(folder) / "_state"
    first = datetime.fromisoformat(f"{NOW}+00:00")
    measured: dict[str, float] = {}
    for night, at in (("full", first), ("incremental", first + timedelta(days=1))):
        httpx.post(f"{url}/_sandbox/clock", json={"now": at.isoformat()}).raise_for_status()
        written, before = size_of(state), cpu()
        with time_machine.travel(at, tick=True):
            day = (at - timedelta(days=1)).date().isoformat()
            deliver(load_settings(), day, TABLES, Display())
        measured[f"{night} cpu"] = cpu() - before
        measured[f"{night} bytes"] = size_of(state) - written
    return measured


def measure_whole(folder: str) -> dict[str, float]:
    """A whole portal with all properties that it has."""
    os.environ["EXPORT_URL"] = folder
    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings

    delivery = deliver(load_settings(), DAY, [], Display())
    return {
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": sum(each.rows for each, _ in delivery.tables),
    }


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure_forget(folder: str) -> dict[str, float]:
    """Contacts who are forgotten in many days, which are one day's files under other dates."""
    from hubspot_assets.assets.resources import connect, s3_resource
    from hubspot_assets.export import read_manifest, read_table
    from hubspot_assets.forget.request import Request, carry_out
    from hubspot_assets.settings import load_settings
    from hubspot_assets.storage import open_store

    measure_export(folder)
    settings = load_settings()
    ids = read_table(open_store(folder), DAY, "OBJECTS_CONTACTS").select("OBJECTID").collect()
    few = ids["OBJECTID"].gather_every(ids.height // FORGOTTEN)[:FORGOTTEN]
    store = open_store(folder)
    for day in DAYS_OF_THEM[1:]:
        shutil.copytree(Path(folder) / DAY, Path(folder) / day, copy_function=os.link)
    started, before = time.monotonic(), cpu()
    request = Request("contacts", tuple(map(str, few)), exclude=True)
    report = carry_out(
        request,
        settings,
        s3_resource(settings).get_client,
        lambda: connect(settings),
        lambda _: None,
    )
    assert len(report.days) == len(DAYS_OF_THEM)
    assert read_manifest(store, DAY, "OBJECTS_CONTACTS").forgotten
    return {
        "seconds": time.monotonic() - started,
        "cpu": cpu() - before,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": sum(report.tables.values()),
        "bytes": size_of(Path(folder)),
    }


MEASURES = {
    "forget": measure_forget,
    "changes": measure_changes,
    "export": measure_export,
    "bare": measure_bare,
    "day": measure_day,
    "store": measure_store,
    "links": measure_links,
    "night": measure_night,
    "whole": measure_whole,
}


def page_of_contacts() -> float:
    """Milliseconds of CPU that the sandbox takes for 50 contacts with all values and histories."""
    portal = Portal(PortalConfig(records=20_000, now=datetime.fromisoformat(f"{NOW}+00:00")))
    kind, now = portal.find_type("contacts"), portal.clock.now()
    life, names = portal.life(kind.object_type_id), tuple(portal.readable_properties(kind))
    chosen = selection(portal, kind, names, names)
    indexes = list(islice(life.live(now, 500), 50))
    spent = []
    for _ in range(10):
        before = time.process_time()
        enclosed([chosen.render(life.readable(index, now)) for index in indexes], {})
        spent.append(time.process_time() - before)
    return min(spent) * 1000


def start_of_the_sandbox() -> float:
    """Seconds of CPU of a sandbox that is started, tells one page and ends."""
    import httpx

    before = cpu(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hubspot_assets.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        headers = {"Authorization": f"Bearer {token}"}
        httpx.get(f"{url}/crm/objects/2026-09/contacts", headers=headers).raise_for_status()
        process.terminate()
    return cpu(resource.RUSAGE_CHILDREN) - before


def run(measure: str, environment: dict[str, str]) -> dict[str, float]:
    """One measurement in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hubspot_assets_tests.bench", "--measure", measure, folder]
        done = subprocess.run(
            command, env=os.environ | environment, check=True, capture_output=True, text=True
        )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def requests(environment: dict[str, str], path: str) -> int:
    """Requests of a path that the sandbox has answered."""
    import httpx

    counted = httpx.get(f"{environment['HUBSPOT_BASE_URL']}/_sandbox/requests").json()
    return sum(each["count"] for each in counted if path in each["request"])


def verdict(text: str, value: float, bound: float, unit: str = "") -> bool:
    """Prints a measured value beside its bound."""
    good = value <= bound
    print(f"{'ok  ' if good else 'OVER'}  {text}: {value:,.2f}{unit} (bound {bound:,.2f}{unit})")
    return good


def changes(of: dict[str, float]) -> list[bool]:
    """What it takes to find what has changed, beside what it may take."""
    good = []
    listed, gone = of["off records"] / 100, of["search gone"] - of["off gone"]
    for way in ("sweep", "search"):
        print(
            f"      {of[f'{way} changed']:,.0f} of {of['off records']:,.0f} contacts changed, "
            f"{gone:.0f} gone: by {way} {of[f'{way} requests']:,.0f} requests for "
            f"{of['off requests']:,.0f}, {of[f'{way} cpu']:.1f} s of CPU for {of['off cpu']:.1f}"
        )
        share = of[f"{way} bytes"] / of["off bytes"]
        good.append(verdict(f"bytes of the state by {way}, times those of all", share, 0.1))
    needed = listed + of["sweep changed"] / 50
    good.append(verdict("by sweep, times the requests needed", of["sweep requests"] / needed, 1.05))
    allowed = SEARCHED + GONE * gone
    good.append(verdict("requests by search", of["search requests"], allowed))
    return good


def small_day(options: Sequence[str]) -> list[bool]:
    """The quickest of some whole days of a small portal, as the machine may do other things."""
    days = []
    for _ in range(SMALL_DAYS):
        with sandbox_process("--records", "300", *options) as environment:
            days.append(run("day", dict(environment)))
    day = min(days, key=lambda each: each["beyond"])
    every = ", ".join(f"{each['beyond']:.1f}" for each in days)
    print(
        f"      a small day: {day['steps']:.0f} steps, {day['extraction']:.1f} s of extraction; "
        f"beyond that {every} s"
    )
    return [
        verdict("a whole small day beyond its extraction", day["beyond"], 10, " s"),
        verdict("launching it", day["launch"], 5, " s"),
        verdict("its event log", day["log_mb"], 5, " MB"),
    ]


def speed(lean: int) -> list[bool]:
    """A whole portal, and contacts with few properties, beside what HubSpot's budgets allow."""
    portal = bench_speed.run(PORTAL, ())
    few = ("--contact-properties", str(bench_speed.LEAN))
    contacts = bench_speed.run(lean, ("OBJECTS_CONTACTS",), *few, OBJECT_TYPES="contacts")
    good = []
    for what, of, bound in (("a portal", portal, 1.3), ("lean contacts", contacts, 1.2)):
        print(bench_speed.told(what, of))
        ratio = of["seconds"] / of["needed"]
        good.append(verdict(f"{what}, times what the slowest budget needs", ratio, bound))
        good.append(verdict("requests that came too fast", of["refused"], 0.5, " %"))
    good.append(verdict("memory of a whole portal", portal["rss_mb"], 600, " MB"))
    return good


def bench(contacts: int, lean_contacts: int) -> bool:
    """All measurements; whether every bound holds."""
    options = ("--now", NOW, "--burst", "10000000")
    lean = ("--contact-properties", str(LEAN), *options)
    good = [verdict("the sandbox's page of 50 contacts, CPU", page_of_contacts(), 15, " ms")]
    good.append(verdict("the sandbox's start, CPU", start_of_the_sandbox(), 1, " s"))
    with sandbox_process("--records", str(contacts), *lean) as environment:
        mine = run("export", dict(environment))
        pages = mine["requests"] - requests(dict(environment), "/search")
        both = run("export", {**environment, "EXPORT_FORMATS": "csv,parquet"})
        bare = run("bare", dict(environment))
        forgotten = run("forget", dict(environment))
    print(
        f"      {mine['contacts']:,.0f} contacts: {mine['cpu'] / mine['contacts'] * 1e3:.3f} ms of "
        f"CPU each, bare loop {bare['cpu'] / bare['contacts'] * 1e3:.3f}; "
        f"{mine['seconds']:.0f} s, bare loop {bare['seconds']:.0f} s"
    )
    good.append(verdict("memory", mine["rss_mb"], 700, " MB"))
    print(
        f"      {FORGOTTEN} contacts in {len(DAYS_OF_THEM)} days: {forgotten['rows']:,.0f} rows of "
        f"{forgotten['bytes'] / 1e9:.1f} GB forgotten by {forgotten['cpu']:.0f} s of CPU"
    )
    good.append(verdict("forgetting them", forgotten["seconds"], 180, " s"))
    good.append(verdict("memory of forgetting", forgotten["rss_mb"], 1000, " MB"))
    good.append(verdict("CPU, times the bare loop", mine["cpu"] / bare["cpu"], 2))
    good.append(
        verdict("CPU with Parquet, times that of CSV alone", both["cpu"] / mine["cpu"], 1.4)
    )
    good.append(verdict("memory with Parquet", both["rss_mb"], 750, " MB"))
    good.append(verdict("requests per 1,000", pages / mine["contacts"] * 1000, 22))
    with sandbox_process("--records", str(2 * contacts), *lean) as environment:
        twice = run("export", dict(environment))
    grown = twice["rss_mb"] / mine["rss_mb"]
    good.append(verdict("memory of twice the contacts, times that of once", grown, 1.1))
    with sandbox_process("--records", "10000", *options) as environment:
        full = run("export", dict(environment))
        pages = full["requests"] - requests(dict(environment), "/search")
    per_thousand = pages / full["contacts"] * 1000
    good.append(verdict("requests per 1,000, names beyond 5 KB", per_thousand, 32))
    few = ("--contact-properties", "5", *options)
    with sandbox_process("--records", str(contacts), *few) as environment:
        linked = run("links", dict(environment))
        batches = requests(dict(environment), "/crm/associations/{objectType}/{toObjectType}/batch")
    print(
        f"      {linked['links']:,.0f} links of {linked['records']:,.0f} records in "
        f"{linked['pairs']:.0f} ordered pairs, by {batches} batch reads"
    )
    good.append(verdict("memory of associations", linked["rss_mb"], 700, " MB"))
    # Beyond those, linked contacts are asked for labels that the other side does not tell of.
    good.append(verdict("batch reads, times those of one side", batches / linked["needed"], 1.5))
    with sandbox_process("--records", str(MANY), *lean) as environment:
        good += changes(run("changes", dict(environment)))
    with sandbox_process("--records", str(contacts), *lean) as environment:
        night = run("night", dict(environment))
    share = night["incremental cpu"] / night["full cpu"]
    good.append(verdict("CPU of an incremental day, times that of a full one", share, 0.5))
    share = night["incremental bytes"] / night["full bytes"]
    good.append(verdict("bytes of its state, times those of a full one", share, 0.1))
    with sandbox_process("--records", "5000", *options) as environment:
        whole = run("whole", dict(environment))
    print(f"      a whole portal at full width: {whole['rows']:,.0f} rows")
    good.append(verdict("its memory", whole["rss_mb"], 600, " MB"))
    good += small_day(options)
    with sandbox_process("--records", "300", *options) as environment:
        of = run("store", dict(environment))
    print(
        f"      a small day in a bucket: {of['calls']:,.0f} calls for {of['tables']:.0f} tables of "
        f"{of['readings']:.0f} readings"
    )
    good.append(verdict("calls per table, besides its parts", of["of_export"] / of["tables"], 5))
    good.append(verdict("per reading, besides its chunks", of["of_state"] / of["readings"], 5))
    good += speed(lean_contacts)
    return all(good)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--lean", type=int, default=200_000, help="contacts with few properties")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](arguments.folder)))
    else:
        sys.exit(0 if bench(arguments.contacts, arguments.lean) else 1)
