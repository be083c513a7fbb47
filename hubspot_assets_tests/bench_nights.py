"""What two nights of a portal take, the first of which reads all of it, for docs/simulate.py:

    python -m hubspot_assets_tests.bench_nights 300 2000

For each number of contacts and night a line of JSON: records, tables, rows and parts; bytes of the
day, and what the state and Dagster's database (in SQLite) have grown by; requests to HubSpot by
budget; calls of S3 by what they cost; seconds of CPU, the store's included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from hubspot_assets.demo import sandbox_process
from hubspot_assets_tests.bench_speed import budget_of

FIRST = datetime.fromisoformat("2026-11-23T02:00:00+00:00")
#: What S3 asks the higher price for; a DELETE costs nothing, and all else the lower price.
DEAR = ("PutObject", "ListObjectsV2", "CopyObject", "CreateMultipartUpload", "UploadPart")
FREE = ("DeleteObject", "DeleteObjects", "AbortMultipartUpload")


def measure(home: str) -> None:
    """Two nights in this process, of a portal that the environment tells, to a bucket of moto's."""
    import boto3
    import httpx
    import time_machine
    from moto.server import ThreadedMotoServer

    from hubspot_assets.deliver import deliver
    from hubspot_assets.progress import Display
    from hubspot_assets.settings import load_settings
    from hubspot_assets_tests.store_calls import noted_calls

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint, region = "http://{}:{}".format(*server.get_host_and_port()), "us-east-1"
    os.environ.update(EXPORT_URL="s3://bucket/export", STATE_URL="s3://bucket/state")
    os.environ.update(S3_ENDPOINT_URL=endpoint, S3_REGION=region, DAGSTER_HOME=home)
    os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any")
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name=region)
    s3.create_bucket(Bucket="bucket")

    def stored(prefix: str) -> int:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix)
        return sum(each["Size"] for page in pages for each in page.get("Contents", ()))

    before = Counter[str]()
    url = os.environ["HUBSPOT_BASE_URL"]
    for night in range(2):
        at = FIRST + timedelta(days=night)
        httpx.post(f"{url}/_sandbox/clock", json={"now": at.isoformat()}).raise_for_status()
        day = (at - timedelta(days=1)).date().isoformat()
        cpu = time.process_time()
        with time_machine.travel(at, tick=True), noted_calls() as calls:
            delivery = deliver(load_settings(), day, [], Display())
        kinds = Counter(
            "dear" if each.operation in DEAR else "free" if each.operation in FREE else "cheap"
            for each in calls
            if "_leases/" not in each.key
        )
        asked = Counter[str]()
        for each in httpx.get(f"{url}/_sandbox/requests").json():
            asked[budget_of(each["request"])] += each["count"]
        totals = asked + Counter(
            state=stored("state/"),
            database=sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file()),
        )
        told = {
            "night": night + 1,
            "records": next(t.rows for t, _ in delivery.tables if t.table == "OBJECTS"),
            "tables": len(delivery.tables),
            "rows": sum(t.rows for t, _ in delivery.tables),
            "parts": sum(len(t.parts) for t, _ in delivery.tables),
            "day": stored(f"export/{day}/"),
            "cpu": round(time.process_time() - cpu, 1),
            **kinds,
            **(totals - before),
        }
        print(json.dumps(told), flush=True)
        before = totals
    server.stop()


def main(contacts: str) -> None:
    """The same in a process of its own."""
    options = ("--records", contacts, "--now", f"{FIRST:%Y-%m-%dT%H:%M:%S}", "--burst", "10000000")
    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox_process(*options) as environment,
    ):
        command = [sys.executable, "-m", __spec__.name, folder]
        subprocess.run(command, env=os.environ | environment | {"TMPDIR": folder}, check=True)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        if each.isdecimal():
            print(f"{each} contacts", flush=True)
            main(each)
        else:
            measure(each)
