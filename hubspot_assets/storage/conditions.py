"""Objects of a bucket that are replaced only if they still are what they were.

AWS, MinIO, R2 and others know If-None-Match and If-Match of writes. Where a store refuses them it
is read, compared and written, as best it can be; one that ignores them is found by `are_kept`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hubspot_assets.storage.errors import NotFoundError
from hubspot_assets.storage.store import Versioned

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: The object is another by now, or is being written at this moment.
_ANOTHER = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "NoSuchKey"}
_OWN = "sha256:"
#: What stores that know no conditions answer with.
_NOT_KNOWN = {400, 405, 501}


class _UnknownError(Exception):
    """The store refuses conditions."""


class Conditions:
    """Conditional writes to a bucket; `ask` asks it for a key, and raises `StoreError`.

    Remembers whether the store knows them.
    """

    def __init__(self, bucket: str, ask: Callable[[str, Callable[[S3Client], Any]], Any]) -> None:
        self._bucket = bucket
        self._ask = ask
        self._known = True  # until the store shows that it does not

    def read(self, key: str) -> Versioned | None:
        """An object and its version; None where there is none."""

        def get(client: S3Client) -> Versioned:
            answer = client.get_object(Bucket=self._bucket, Key=key)
            content = answer["Body"].read()
            return Versioned(content, _version(answer, content))

        with suppress(NotFoundError):
            found: Versioned = self._ask(key, get)
            return found
        return None

    def swap(
        self, key: str, content: bytes | None, version: str | None, more: Callable[[S3Client], Any]
    ) -> str | None:
        """As `Store.swap`. `more` gives further arguments of a PutObject."""
        if self._known and not (version or "").startswith(_OWN):
            try:
                return self._conditional(key, content, version, more)
            except _UnknownError:
                self._known = False
        found = self.read(key)
        if version != (found.version if found else None):
            return None
        return self._write(key, content, more, {})

    def are_kept(self, key: str, more: Callable[[S3Client], Any]) -> bool:
        """Whether the store refuses to write the object that is at `key` as a new one."""
        with suppress(_UnknownError):
            return self._conditional(key, b"", None, more) is None
        return False

    def _conditional(
        self, key: str, content: bytes | None, version: str | None, more: Callable[[S3Client], Any]
    ) -> str | None:
        return self._write(
            key, content, more, {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        )

    def _write(
        self,
        key: str,
        content: bytes | None,
        more: Callable[[S3Client], Any],
        condition: dict[str, str],
    ) -> str | None:
        def send(client: S3Client) -> str | None:
            asked: Any = {"Bucket": self._bucket, "Key": key, **condition}
            try:
                if content is None:
                    client.delete_object(**asked)
                    return ""
                answer = client.put_object(Body=content, **asked, **more(client))
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if not condition or "Expired" in code:  # those credentials are renewed
                    raise
                if code in _ANOTHER:
                    return None
                if status in _NOT_KNOWN:
                    raise _UnknownError from error
                raise
            return _version(answer, content)

        written: str | None = self._ask(key, send)
        return written


def _version(answer: Any, content: bytes) -> str:  # noqa: ANN401  (boto3's)
    """The ETag; where a store gives none, one that it does not know."""
    return answer.get("ETag") or f"{_OWN}{hashlib.sha256(content).hexdigest()}"
