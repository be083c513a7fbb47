"""Where a person looks at a folder of a bucket in a browser."""

from __future__ import annotations

from urllib.parse import quote

#: AWS's consoles, by what the regions of a partition begin with.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def console_url(folder: str, region: str | None, endpoint: str | None) -> str | None:
    """The page of AWS's console on `s3://bucket/folder`; None for what is not in AWS's own S3.

    >>> console_url("s3://my-bucket/hubspot/2026-11-22/OWNERS", "eu-central-1", None)
    'https://console.aws.amazon.com/s3/buckets/my-bucket?prefix=hubspot/2026-11-22/OWNERS/'
    """
    if endpoint or not folder.startswith("s3://"):
        return None
    bucket, _, path = folder.removeprefix("s3://").partition("/")
    of_partition = (host for begin, host in _CONSOLES.items() if (region or "").startswith(begin))
    host = next(of_partition, "console.aws.amazon.com")
    return f"https://{host}/s3/buckets/{bucket}?prefix={quote(path)}/"
