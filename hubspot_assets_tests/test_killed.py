"""Exports that are killed at any moment: run again they deliver what an undisturbed one does.

More of them are killed with KILLS, a number for each kind of store.
"""

import os
import random
import signal
import subprocess
import time

import pytest

from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_commands import run
from hubspot_assets_tests.test_two_at_once import leftovers, rows_of, start

KILLS = int(os.environ.get("KILLS", "1"))
#: Few tables of each kind, so that what is killed is now a reading, now a table.
FEW = {"OBJECT_TYPES": "companies,deals", "EVENT_TYPES": "e_visited_page"}


@pytest.fixture(params=["folder", "bucket"])
def export_to(request, reach, shared_sandbox, tmp_path, bucket, endpoint, s3):
    """Sets where the next exports go to, by a name; gives what brings it into a folder."""
    local = request.param == "folder"

    def to(name):
        reach(
            shared_sandbox,
            **FEW,
            EXPORT_URL=str(tmp_path / name) if local else f"s3://{bucket}/{name}",
            S3_ENDPOINT_URL=endpoint,
            S3_REGION=REGION,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
        )
        return lambda: tmp_path / name if local else brought(open_store(f"s3://{bucket}", s3), name)

    def brought(store, name):
        for each in store.list(name):
            path = tmp_path / "brought" / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.get(each.path))
        return tmp_path / "brought" / name

    return to


@pytest.mark.slow
def test_whenever_it_is_killed_the_next_run_delivers_the_same(export_to, tmp_path):
    draw = random.Random(os.environ.get("KILLS"))
    brought = export_to("undisturbed")
    begun = time.monotonic()
    process = start()
    output = process.communicate()[0]
    assert process.returncode == 0, output
    took = time.monotonic() - begun
    undisturbed = rows_of(brought())
    assert sum(map(len, undisturbed.values())) > 1_000

    for number in range(KILLS):
        brought, killed_at = export_to(f"killed-{number}"), []
        for _ in range(draw.choice([1, 1, 2])):
            killed_at.append(draw.uniform(took / 4, took))
            process = start()
            try:
                process.communicate(timeout=killed_at[-1])
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        status, output = run("export", "--day", DAY)
        assert status == 0, (killed_at, output)
        assert rows_of(brought()) == undisturbed, killed_at
        assert not leftovers(tmp_path), killed_at
