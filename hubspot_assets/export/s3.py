"""A store in an S3 bucket, or in anything that speaks S3."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as UnreachableError

from hubspot_assets.export.errors import NotFoundError, StoreError
from hubspot_assets.export.store import Entry, checked

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DELETED_AT_ONCE = 1000  # the most keys DeleteObjects takes
_READ_ATTEMPTS = 3  # botocore retries a request, but not a body that breaks off
_CHUNK = 1 << 20

_BROKEN_OFF = (IncompleteReadError, ResponseStreamingError, HTTPClientError)
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_PASSING = {"SlowDown", "Throttling", "RequestTimeout", "InternalError", "ServiceUnavailable"}
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct the export URL",
    "InvalidBucketName": "that is no bucket name; correct the export URL",
    "InvalidAccessKeyId": "the access key is unknown; correct the AWS credentials",
    "SignatureDoesNotMatch": "the secret key is wrong; correct the AWS credentials",
    "ExpiredToken": "the AWS credentials have expired; renew them",
    "PermanentRedirect": "the bucket is in another region; set the region",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set the region",
}
_DENIED = "access denied; allow it to these credentials, by their policy or the bucket's"


class S3Store:
    """Objects are keys below `prefix`. A key appears whole, as S3 has it.

    S3's faults are retried by botocore, as its client is configured.
    """

    def __init__(
        self, bucket: str, prefix: str, new_client: Callable[[], S3Client] | None = None
    ) -> None:
        self._bucket = bucket
        self._below = f"{prefix}/" if prefix else ""
        self._new_client = new_client or (lambda: boto3.client("s3"))
        self._opened: S3Client | None = None
        self._opening = threading.Lock()

    def put(self, path: str, source: Path | bytes) -> None:
        with self._told(path):
            if isinstance(source, bytes):
                self._client().put_object(
                    Bucket=self._bucket,
                    Key=self._key(path),
                    Body=source,
                    ChecksumAlgorithm="SHA256",
                )
                return
            with source.open("rb") as file:
                self._client().upload_fileobj(
                    file,
                    self._bucket,
                    self._key(path),
                    ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                )

    def get(self, path: str) -> bytes:
        content = io.BytesIO()
        self._download(path, content)
        return content.getvalue()

    def exists(self, path: str) -> bool:
        try:
            with self._told(path):
                self._client().head_object(Bucket=self._bucket, Key=self._key(path))
        except NotFoundError:
            return False
        return True

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="hubspot-assets-") as folder:
            copy = Path(folder, Path(path).name)
            with copy.open("wb") as file:
                self._download(path, file)
            yield copy

    def list(self, prefix: str = "") -> Iterator[Entry]:
        below = f"{self._key(prefix.rstrip('/'))}/" if prefix else self._below
        with self._told(prefix):
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=below):
                for item in page.get("Contents", ()):
                    path = item["Key"].removeprefix(self._below)
                    yield Entry(path, item["Size"], f"{item['ETag']}-{item['LastModified']}")

    def delete(self, paths: Iterable[str]) -> None:
        keys = [self._key(path) for path in paths]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = keys[start : start + _DELETED_AT_ONCE]
            with self._told(some[0].removeprefix(self._below)):
                answer = self._client().delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            for failed in answer.get("Errors", ()):
                url = f"s3://{self._bucket}/{failed.get('Key')}"
                raise _refused("DeleteObjects", url, failed.get("Code", ""), "")

    def sweep(self, prefix: str) -> None:
        """Nothing to do: S3 keeps no half-written keys."""

    def url_of(self, path: str) -> str:
        return f"s3://{self._bucket}/{self._below}{path}"

    def _key(self, path: str) -> str:
        return self._below + checked(path)

    def _client(self) -> S3Client:
        with self._opening:  # clients may be shared between threads, but not made by them
            if self._opened is None:
                self._opened = self._new_client()
            return self._opened

    def _download(self, path: str, into: IO[bytes]) -> None:
        for attempt in range(1, _READ_ATTEMPTS + 1):
            with self._told(path):
                answer = self._client().get_object(Bucket=self._bucket, Key=self._key(path))
                try:
                    for chunk in answer["Body"].iter_chunks(_CHUNK):
                        into.write(chunk)
                except _BROKEN_OFF:
                    if attempt == _READ_ATTEMPTS:
                        raise
                    into.seek(0)
                    into.truncate()
                    continue
            return

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Turn boto's error into one that says what to do."""
        url = self.url_of(path)
        try:
            yield
        except ClientError as error:
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
            code = details.get("Code", str(status))
            raise _refused(error.operation_name, url, code, str(status)) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            advice = "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
            raise StoreError(f"{url}: {advice}profile or a role") from error
        except (UnreachableError, HTTPClientError) as error:
            reason = "cannot reach S3; check the endpoint and the network"
            raise StoreError(f"{url}: {reason} ({error})", passing=True) from error
        except BotoCoreError as error:
            raise StoreError(f"{url}: {error}") from error
        except OSError as error:
            raise StoreError(f"{url}: a local file on the way failed: {error.strerror}") from error


def _refused(operation: str, url: str, code: str, status: str) -> StoreError:
    if code in _ABSENT:
        return NotFoundError(f"there is no object {url}")
    passing = code in _PASSING or status.startswith("5")
    advice = _ADVICE.get(code)
    if advice is None and (status == "403" or code == "AccessDenied"):
        advice = _DENIED
    return StoreError(f"{url}: {advice or 'S3 refused'} ({operation}: {code})", passing=passing)
