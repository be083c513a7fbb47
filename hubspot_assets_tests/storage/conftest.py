"""AWS, to export to as the settings say."""

from __future__ import annotations

import uuid

import pytest

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.storage.aws import served
from hubspot_assets_tests.stores import REGION


@pytest.fixture
def aws(reach, shared_sandbox):
    """AWS with a bucket, which the settings name."""
    with served() as server:
        reach(
            shared_sandbox,
            EXPORT_URL=f"s3://export-{uuid.uuid4().hex}/prefix",
            S3_ENDPOINT_URL=server.url,
            S3_REGION=REGION,
            AWS_ACCESS_KEY_ID="a-user",
            AWS_SECRET_ACCESS_KEY="secret",
        )
        name = load_settings().export_url.split("/")[2]
        s3_resource(load_settings()).get_client().create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        server.puts.clear()
        server.calls.clear()
        yield server


def of_settings():
    """The store of the export."""
    settings = load_settings()
    return open_store(settings.export_url, s3_resource(settings).get_client)
