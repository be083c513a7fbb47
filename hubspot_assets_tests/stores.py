"""A folder and a bucket to export to; the bucket is moto's, over real HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from hubspot_assets.storage import Store, open_store

REGION: Final = "eu-central-1"


def client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 1}, connect_timeout=2),
    )


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint) -> Callable[[], Any]:
    return partial(client, endpoint)


@pytest.fixture
def bucket(s3) -> str:
    name = f"export-{uuid.uuid4().hex}"
    s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def folder(tmp_path) -> Store:
    return open_store(tmp_path / "export")


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path) -> Store:
    if request.param == "folder":
        return open_store(tmp_path / "export")
    bucket, s3 = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return open_store(f"s3://{bucket}/a/prefix", s3)
