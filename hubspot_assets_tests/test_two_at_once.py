"""Two exports of one day at once, and one that was killed: the rows are right all the same."""

import hashlib
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.export import complete_day, read_manifest
from hubspot_assets.progress import Display
from hubspot_assets.settings import Settings
from hubspot_assets.storage import leases, open_store
from hubspot_assets.storage.leases import held
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_commands import SCRIPT, fails, run

ONE_TYPE = {"OBJECT_TYPES": "companies"}
FEW = ["OWNERS", "TEAMS", "OBJECTS_COMPANIES"]


def rows_of(folder):
    """The rows of each table of the day but for their INGESTEDAT; each file is as manifests say."""
    tables = json.loads((folder / DAY / "_manifest.json").read_text())["tables"]
    found = {}
    for table in (each["table"] for each in tables):
        manifest = json.loads((folder / DAY / table / "_manifest.json").read_text())
        parts = {each["path"]: each["sha256"] for each in manifest["parts"]}
        assert parts == {
            path.relative_to(folder / DAY).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (folder / DAY / table).rglob("*.gz")
        }
        read = duckdb.sql(
            f"SELECT * EXCLUDE (INGESTEDAT) FROM read_csv('{folder}/{DAY}/{table}/**/*.csv.gz', "
            "header=true, all_varchar=true, delim=',', quote='\"', escape='\"', "
            "max_line_size=64000000)"
        )
        found[table] = read.fetchall()
        assert len(found[table]) == manifest["rows"]
    assert {path.name for path in (folder / DAY).iterdir() if path.is_dir()} == found.keys()
    return found


def leftovers(*folders):
    """What a process may leave behind it."""
    names = (".unfinished-*", ".guard-*", "_leases", "hubspot-assets-*-*-*")
    return [path for folder in folders for name in names for path in folder.rglob(name)]


def start(*arguments):
    """An export in a process of its own."""
    return subprocess.Popen(
        [SCRIPT, "export", "--day", DAY, *arguments],
        env={**os.environ, "TMPDIR": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def alone(reach, tmp_path):
    """Exports a portal's day undisturbed; gives its rows."""

    def export(sandbox):
        reach(sandbox, **ONE_TYPE, EXPORT_URL=str(tmp_path / "alone"))
        assert run("export", "--day", DAY)[0] == 0
        return rows_of(tmp_path / "alone")

    return export


@pytest.mark.slow
def test_two_processes_at_once_both_deliver_a_day(shared_sandbox, alone, reach, tmp_path):
    undisturbed = alone(shared_sandbox)
    folder = reach(shared_sandbox, **ONE_TYPE)
    processes = [start() for _ in range(2)]
    told = [each.communicate()[0] for each in processes]
    assert [each.returncode for each in processes] == [0, 0], told
    assert all(f"{DAY} is delivered" in each for each in told)
    assert sum("waiting: readings in " in each for each in told) == 1
    assert rows_of(folder) == undisturbed
    assert not leftovers(tmp_path)


def test_two_exports_of_a_day_at_once_both_deliver_it(shared_sandbox, alone, reach, tmp_path):
    undisturbed = alone(shared_sandbox)
    folder = reach(shared_sandbox, **ONE_TYPE)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: deliver(Settings(), DAY, [], Display()), range(2)))
    assert {table.table for each in both for table, _ in each.tables} == undisturbed.keys()
    assert rows_of(folder) == undisturbed
    assert not leftovers(tmp_path)


@pytest.fixture
def to_bucket(bucket, endpoint, shared_sandbox, reach):
    """An export to a bucket, whose store it gives."""
    reach(
        shared_sandbox,
        **ONE_TYPE,
        EXPORT_URL=f"s3://{bucket}/export",
        S3_ENDPOINT_URL=endpoint,
        S3_REGION=REGION,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
    )


@pytest.mark.slow
def test_two_exports_to_a_bucket_at_once_both_deliver(to_bucket, bucket, s3):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: deliver(Settings(), DAY, FEW, Display()), range(2))
    store = open_store(f"s3://{bucket}/export", s3)
    runs = {read_manifest(store, DAY, table).run_id for table in FEW}
    assert runs <= {one.tables[0][0].run_id, other.tables[0][0].run_id}
    assert len(runs) == 1
    for table in FEW:
        manifest = read_manifest(store, DAY, table)
        parts = {each.path: store.get(f"{DAY}/{each.path}") for each in manifest.parts}
        digests = [hashlib.sha256(data).hexdigest() for data in parts.values()]
        assert digests == [each.sha256 for each in manifest.parts]
        assert parts.keys() == {
            entry.path.removeprefix(f"{DAY}/")
            for entry in store.list(f"{DAY}/{table}")
            if not entry.path.endswith(".json")
        }
    assert not list(store.list("_leases"))
    assert not list(store.list("_state/_leases"))


@pytest.mark.parametrize(("where", "what"), [("export", DAY), ("export/_state", "readings")])
def test_who_waits_in_vain_is_told_so_in_one_line(
    where, what, sandbox, reach, tmp_path, monkeypatch
):
    folder = reach(sandbox, **ONE_TYPE)
    monkeypatch.setattr(leases, "PATIENCE", 0.2)
    with held(open_store(tmp_path / where), what, "a-run"):
        said = f"{what} in {tmp_path / where} is being written by run a-run"
        fails(1, said, "export", "--day", DAY)
    assert not (folder / DAY).exists()


@pytest.mark.slow
def test_a_killed_export_is_finished_by_the_next(sandbox, alone, reach, tmp_path):
    undisturbed = alone(sandbox)
    folder = reach(sandbox, **ONE_TYPE)
    sandbox.faults.add("slow", times=1_000, seconds=0.1)
    process = start()
    while not list((folder / "_state").glob("readings/objects/0-2/*/*.parquet")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    sandbox.faults.clear()
    assert list(folder.rglob("_leases/*.json"))
    (folder / "_state/readings/objects/0-2/.unfinished-0a1b").write_bytes(b"half")
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    assert "waiting" not in output
    assert rows_of(folder) == undisturbed
    assert not leftovers(tmp_path)


@pytest.mark.samples(1)
@pytest.mark.parametrize("lost", ["part-00000.csv.gz", "_manifest.json", "*"])
def test_a_day_of_which_something_was_removed_is_not_delivered(lost, sandbox, reach, monkeypatch):
    """Somebody clears a table's folder while the others are being made."""
    folder = reach(sandbox, **ONE_TYPE)

    def complete_later(store, day, *arguments, **more):
        for path in (folder / day / "OWNERS").glob(lost):
            path.unlink()
        return complete_day(store, day, *arguments, **more)

    monkeypatch.setattr("hubspot_assets.export.io_manager.complete_day", complete_later)
    fails(1, f"{DAY} is not delivered: ", "export", "--day", DAY)
    assert not (folder / DAY / "_manifest.json").exists()
    status, output = run("export", "--day", DAY, "--select", "TEAMS")
    assert status == 0, output
    assert f"{DAY} is delivered" in output
