"""Links to a table's folder in AWS's console."""

import pytest

from hubspot_assets.export.console import console_url

FOLDER = "s3://my-bucket/a b/2026-11-22/OWNERS"
PAGE = "/s3/buckets/my-bucket?prefix=a%20b/2026-11-22/OWNERS/"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        (None, "console.aws.amazon.com"),
        ("eu-central-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_a_folder_has_a_page_in_the_console_of_its_partition(region, host):
    assert console_url(FOLDER, region, None) == f"https://{host}{PAGE}"


def test_what_is_not_in_amazons_s3_has_none():
    assert console_url(FOLDER, None, "http://127.0.0.1:9000") is None
    assert console_url("/data/export/2026-11-22/OWNERS", None, None) is None
