"""A store in an S3 bucket, or in anything that speaks S3."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os.path import commonpath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

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

from hubspot_assets.storage.conditions import Conditions
from hubspot_assets.storage.errors import NotFoundError, StoreError
from hubspot_assets.storage.store import Entry, Versioned, checked
from hubspot_assets.storage.temporary import temporary_folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_DELETED_AT_ONCE = 1000  # the most keys DeleteObjects takes
_READ_ATTEMPTS = 3  # botocore retries a request, but not a body that breaks off
_CHUNK = 1 << 20

_BROKEN_OFF = (IncompleteReadError, ResponseStreamingError, HTTPClientError)
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_EXPIRED = {"ExpiredToken", "400"}  # 400: what HeadObject, which has no body, says of it
_PASSING = {
    "SlowDown",
    "Throttling",
    "RequestTimeout",
    "InternalError",
    "ServiceUnavailable",
    "BadDigest",
}
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct the export URL",
    "InvalidBucketName": "that is no bucket name; correct the export URL",
    "InvalidAccessKeyId": "the access key is unknown; correct the AWS credentials",
    "SignatureDoesNotMatch": "the secret key is wrong; correct the AWS credentials",
    "ExpiredToken": "the AWS credentials have expired; renew them",
    "BadDigest": "the content was damaged on the way; write it again",
    "KMS.NotFoundException": "the KMS key does not exist; correct S3_SSE_KMS_KEY_ID",
    "KMS.DisabledException": "the KMS key is disabled; enable it, or correct S3_SSE_KMS_KEY_ID",
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
        self._new_client = new_client or (lambda: boto3.session.Session().client("s3"))
        self._opened: S3Client | None = None
        self._opening = threading.Lock()
        self._conditions = Conditions(bucket, lambda key, ask: self._ask(self._path(key), ask))

    def put(
        self,
        path: str,
        source: Path | bytes,
        *,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        def send(client: S3Client) -> None:
            more = {"Metadata": dict(metadata or {}), **_checksum(client, sha256)}
            if isinstance(source, bytes):
                client.put_object(Bucket=self._bucket, Key=self._key(path), Body=source, **more)
                return
            with source.open("rb") as file:
                client.upload_fileobj(file, self._bucket, self._key(path), ExtraArgs=more)

        self._ask(path, send)

    def get(self, path: str) -> bytes:
        content = io.BytesIO()
        self._download(path, content)
        return content.getvalue()

    def exists(self, path: str) -> bool:
        key = self._key(path)
        try:
            self._ask(path, lambda client: client.head_object(Bucket=self._bucket, Key=key))
        except NotFoundError:
            return False
        return True

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with temporary_folder() as folder:
            copy = folder / Path(path).name
            with copy.open("wb") as file:
                self._download(path, file)
            yield copy

    def list(self, prefix: str = "", *, versions: bool = False) -> Iterator[Entry]:
        below = f"{self._key(prefix.rstrip('/'))}/" if prefix else self._below
        if versions:
            for item in self._versions(below):
                size = item.get("Size", 0)
                yield Entry(item["Key"].removeprefix(self._below), size, item["VersionId"])
            return
        for page in self._pages(below):
            for item in page.get("Contents", ()):
                path = item["Key"].removeprefix(self._below)
                yield Entry(path, item["Size"], f"{item['ETag']}-{item['LastModified']}")

    def folders(self) -> Iterator[str]:
        for page in self._pages(self._below, Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(self._below).rstrip("/")

    def delete(self, paths: Iterable[str], *, versions: bool = False) -> None:
        keys = dict.fromkeys(self._key(path) for path in paths)
        # Without versions first: while they go one by one, an old one must not come to light.
        self._delete([{"Key": key} for key in keys])
        if versions and keys:
            found = [each for each in self._versions(commonpath(keys)) if each["Key"] in keys]
            found.sort(key=lambda each: "Size" not in each)  # deletions last
            self._delete([{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found])

    def sweep(self, prefix: str) -> None:
        """Nothing to do: S3 keeps no half-written keys."""

    def versioned(self, path: str) -> Versioned | None:
        return self._conditions.read(self._key(path))

    def swap(self, path: str, content: bytes | None, version: str | None) -> str | None:
        return self._conditions.swap(self._key(path), content, version, _checksum)

    def keeps_conditions(self, path: str) -> bool:
        return self._conditions.are_kept(self._key(path), _checksum)

    def url_of(self, path: str) -> str:
        return f"s3://{self._bucket}/{self._below}{path}"

    def _key(self, path: str) -> str:
        return self._below + checked(path)

    def _path(self, key: str) -> str:
        return key.removeprefix(self._below)

    def _delete(self, objects: Sequence[Any]) -> None:
        for start in range(0, len(objects), _DELETED_AT_ONCE):
            some = objects[start : start + _DELETED_AT_ONCE]
            answer = self._ask(
                some[0]["Key"].removeprefix(self._below),
                lambda client: client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": some, "Quiet": True},  # noqa: B023  (asked at once)
                ),
            )
            for failed in answer.get("Errors", ()):
                if failed.get("Code") != "AccessDenied":
                    url = f"s3://{self._bucket}/{failed.get('Key')}"
                    raise _refused("DeleteObjects", url, failed.get("Code", ""), "")
                # Some stores judge this by the bucket; one by one they judge it by the object.
                self._delete_one(failed)

    def _delete_one(self, item: Any) -> None:  # noqa: ANN401  (boto3's)
        version = {"VersionId": item["VersionId"]} if item.get("VersionId") else {}
        self._ask(
            item["Key"].removeprefix(self._below),
            lambda client: client.delete_object(Bucket=self._bucket, Key=item["Key"], **version),
        )

    def _pages(self, below: str, **more: Any) -> Iterator[Any]:  # noqa: ANN401  (boto3's)
        """Page by page, as credentials may expire between them."""
        path = below.removeprefix(self._below)
        while True:
            page = self._ask(
                path,
                lambda client: client.list_objects_v2(Bucket=self._bucket, Prefix=below, **more),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    def _versions(self, start: str) -> Iterator[Any]:
        """Versions and deletions of keys that begin with `start`; only versions have a Size."""
        more: dict[str, str] = {}
        while True:
            page = self._ask(
                start.removeprefix(self._below),
                lambda client: client.list_object_versions(
                    Bucket=self._bucket,
                    Prefix=start,
                    **more,  # type: ignore[arg-type]  # noqa: B023
                ),
            )
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            yield from sorted(found, key=lambda each: str(each["Key"]))
            if not page.get("IsTruncated"):
                return
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page["NextVersionIdMarker"],
            }

    def _ask(self, path: str, ask: Callable[[S3Client], T]) -> T:
        """What `ask` gets; where credentials have expired, once more with a new client's.

        A new client finds them anew, wherever they come from: a role, a profile, a file.
        """
        with self._told(path):
            client = self._client()
            try:
                return ask(client)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _EXPIRED:
                    raise
            return ask(self._client(instead_of=client))

    def _client(self, instead_of: S3Client | None = None) -> S3Client:
        with self._opening:  # clients may be shared between threads, but not made by them
            if self._opened is None or self._opened is instead_of:
                self._opened = self._new_client()
            return self._opened

    def _download(self, path: str, into: IO[bytes]) -> None:
        key = self._key(path)
        for attempt in range(1, _READ_ATTEMPTS + 1):
            answer = self._ask(path, lambda client: client.get_object(Bucket=self._bucket, Key=key))
            with self._told(path):
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


def _checksum(client: S3Client, sha256: str | None = None) -> dict[str, Any]:
    """The arguments by which S3 verifies a content, unless boto3 is told to do without."""
    config: Any = client.meta.config
    if config.request_checksum_calculation == "when_required":
        return {}
    if sha256 is None:
        return {"ChecksumAlgorithm": "SHA256"}
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}


def _refused(operation: str, url: str, code: str, status: str) -> StoreError:
    if code in _ABSENT:
        return NotFoundError(f"there is no object {url}")
    passing = code in _PASSING or status.startswith("5")
    advice = _ADVICE.get(code)
    if advice is None and (status == "403" or code == "AccessDenied"):
        advice = _DENIED
    return StoreError(f"{url}: {advice or 'S3 refused'} ({operation}: {code})", passing=passing)
