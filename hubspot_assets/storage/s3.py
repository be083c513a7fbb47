"""A store in an S3 bucket, or in anything that speaks S3."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from hubspot_assets.storage.conditions import Conditions
from hubspot_assets.storage.copies import Copies
from hubspot_assets.storage.deletions import Deletions
from hubspot_assets.storage.errors import KeptError, NotFoundError, StoreError
from hubspot_assets.storage.refusals import BOTO_ERRORS, code_of, of_s3
from hubspot_assets.storage.store import Entry, Kept, Versioned, checked, is_plain
from hubspot_assets.storage.temporary import temporary_folder

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

#: From this many bytes a file goes in parts, each with a checksum of its own.
IN_PARTS = 8 * 1024 * 1024
#: Up to this many a file of a known SHA-256 goes whole: S3 can't hold parts against it.
_WHOLE = 64 * 1024 * 1024

_READ_ATTEMPTS = 3  # botocore retries a request, but not a body that breaks off
_CHUNK = 1 << 20

_NOT_GONE = (
    "the store still has it, though it said that it was deleted; a lock, a retention or a legal "
    "hold may keep it"
)

_BROKEN_OFF = (
    *(IncompleteReadError, ResponseStreamingError, HTTPClientError),
    *(ChecksumError, FlexibleChecksumError),
)
# 400: what HeadObject, which has no body, says of it
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "400"}


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of an object, or a deletion that hides those before it."""

    key: str
    entry: Entry
    newest: bool
    deletion: bool

    @property
    def asked(self) -> dict[str, str]:
        """As DeleteObjects has it."""
        return {"Key": self.key, "VersionId": self.entry.version}


class S3Store:
    """Objects are keys below `prefix`. A key appears whole, as S3 has it.

    S3's faults are retried by botocore, as its client is configured. Keys that are no paths of
    a store, as the empty object that a console makes for a folder, are not seen. Files that are
    put and read are read again from `copies`, where nobody else writes them meanwhile.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        new_client: Callable[[], S3Client] | None = None,
        copies: Copies | None = None,
    ) -> None:
        self._bucket = bucket
        self._below = f"{prefix}/" if prefix else ""
        self._new_client = new_client or (lambda: boto3.session.Session().client("s3"))
        self._opened: S3Client | None = None
        self._opening = threading.Lock()
        self._copies = copies
        self._conditions = Conditions(bucket, lambda key, ask: self._ask(self._path(key), ask))
        self._deletions = Deletions(bucket, lambda key, ask: self._ask(self._path(key), ask))

    def put(
        self,
        path: str,
        source: Path | bytes,
        *,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        key = self._key(path)

        def send(client: S3Client) -> None:
            whole = isinstance(source, bytes) or source.stat().st_size < _WHOLE
            more = {
                "Metadata": dict(metadata or {}),
                **_checksum(client, sha256 if whole else None),
            }
            if isinstance(source, bytes):
                client.put_object(Bucket=self._bucket, Key=key, Body=source, **more)
                return
            in_parts = TransferConfig(
                multipart_threshold=_WHOLE if sha256 else IN_PARTS, multipart_chunksize=IN_PARTS
            )
            with source.open("rb") as file:
                client.upload_fileobj(file, self._bucket, key, ExtraArgs=more, Config=in_parts)

        self._ask(path, send)
        if self._copies and isinstance(source, Path):
            self._copies.keep(path, source)

    def get(self, path: str) -> bytes:
        content = io.BytesIO()
        self._download(path, content)
        return content.getvalue()

    def beginning(self, path: str, size: int) -> bytes:
        key = self._key(path)

        def read(client: S3Client) -> bytes:
            found = client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{size - 1}")
            return found["Body"].read()

        return self._ask(path, read)

    def exists(self, path: str) -> bool:
        key = self._key(path)
        try:
            self._ask(path, lambda client: client.head_object(Bucket=self._bucket, Key=key))
        except NotFoundError:
            return False
        except StoreError as error:
            if code_of(error.__cause__).isdigit() and not error.passing:
                # HEAD has no body that could say why it was refused; GET, refused alike, has.
                with suppress(NotFoundError):
                    self._ask(path, lambda client: self._opened_at(client, key).close())
            raise
        return True

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with temporary_folder() as folder:
            copy = folder / Path(path).name
            if not (self._copies and self._copies.link(path, copy)):
                with copy.open("wb") as file:
                    self._download(path, file)
                if self._copies:
                    self._copies.keep(path, copy)
            yield copy

    def list(self, prefix: str = "", *, versions: bool = False) -> Iterator[Entry]:
        below = f"{self._key(prefix.rstrip('/'))}/" if prefix else self._below
        if versions:
            found = (each.entry for each in self._versions(below))
            yield from (entry for entry in found if is_plain(entry.path))
            return
        for page in self._pages(below):
            with self._told(prefix):
                entries = [
                    Entry(path, item["Size"], f"{item['ETag']}-{item['LastModified']}")
                    for item in page.get("Contents", ())
                    if is_plain(path := self._path(item["Key"]))
                ]
            yield from entries

    def folders(self) -> Iterator[str]:
        for page in self._pages(self._below, Delimiter="/"):
            with self._told(""):
                names = [self._path(each["Prefix"]) for each in page.get("CommonPrefixes", ())]
            yield from (name.rstrip("/") for name in names)

    def delete(self, paths: Iterable[str], *, versions: bool = False) -> None:
        gone = list(paths)
        if self._copies:
            for path in gone:
                self._copies.drop(path)
        keys = dict.fromkeys(self._key(path) for path in gone)
        if versions and keys:
            self._delete_versions(keys)
        else:
            self._hide(keys)

    def delete_former(self, prefix: str) -> int:
        below = f"{self._key(prefix)}/" if prefix else self._below
        found = list(self._versions(below))
        hidden = {each.key for each in found if each.deletion and each.newest}
        former = [each for each in found if each.key in hidden or not each.newest]
        self._delete_for_good(former, lambda: self._versions(below))
        return sum(not each.deletion for each in former)

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

    def _hide(self, keys: Iterable[str]) -> None:
        """Delete objects; what a bucket with versions keeps of them is seen no more."""
        for _, refused in self._deletions.delete([{"Key": key} for key in keys]):
            raise refused

    def _delete_versions(self, keys: Collection[str]) -> None:
        """Delete all versions of objects. Raises `KeptError` for those that are there still.

        Objects are hidden first, and what hides them goes last, or stays with what is kept: no
        old version must come to light.
        """
        found = self._versions_of(keys)
        hidden = {each.key for each in found if each.deletion and each.newest}
        if visible := sorted({each.key for each in found} - hidden):
            self._hide(visible)
            found = self._versions_of(keys)
        self._delete_for_good(found, lambda: self._versions_of(keys))

    def _delete_for_good(
        self, doomed: Sequence[_Version], left: Callable[[], Iterable[_Version]]
    ) -> None:
        """Delete versions, then the deletions among them that hide none that is `left`."""
        contents = [each for each in doomed if not each.deletion]
        refused = self._refused(contents)
        there = set(left()) if contents else set()
        kept = [each for each in contents if each in there]
        of_kept = {each.key for each in kept}
        deletions = [each for each in doomed if each.deletion and each.key not in of_kept]
        refused |= self._refused(deletions)
        kept += [each for each in deletions if each in refused]
        if kept:
            raise KeptError([Kept(each.entry, refused.get(each, _NOT_GONE)) for each in kept])

    def _versions_of(self, keys: Collection[str]) -> Sequence[_Version]:
        return [each for each in self._versions(commonpath(keys)) if each.key in keys]

    def _refused(self, versions: Iterable[_Version]) -> dict[_Version, str]:
        """Delete versions; gives those that were refused, and why."""
        named = {(each.key, each.entry.version): each for each in versions}
        return {
            named[item["Key"], item["VersionId"]]: str(error).partition(": ")[2]
            for item, error in self._deletions.delete([each.asked for each in named.values()])
        }

    def _pages(self, below: str, **more: Any) -> Iterator[Any]:  # noqa: ANN401  (boto3's)
        """Page by page, as credentials may expire between them."""
        path = self._path(below)
        while True:
            page = self._ask(
                path,
                lambda client: client.list_objects_v2(Bucket=self._bucket, Prefix=below, **more),  # noqa: B023
            )
            yield page
            following = self._following(path, page, more, "NextContinuationToken")
            if not following:
                return
            more |= following

    def _versions(self, start: str) -> Iterator[_Version]:
        """Versions and deletions of keys that begin with `start`, ordered by key."""
        path = self._path(start)
        more: dict[str, str] = {}
        while True:
            page = self._ask(
                path,
                lambda client: client.list_object_versions(
                    Bucket=self._bucket,
                    Prefix=start,
                    **more,  # type: ignore[arg-type]  # noqa: B023
                ),
            )
            with self._told(path):
                found = [
                    *(self._version(each) for each in page.get("Versions", ())),
                    *(self._version(each, deletion=True) for each in page.get("DeleteMarkers", ())),
                ]
            yield from sorted(found, key=lambda each: each.key)
            more = self._following(path, page, more, "NextKeyMarker", "NextVersionIdMarker")
            if not more:
                return

    def _version(self, item: Any, *, deletion: bool = False) -> _Version:  # noqa: ANN401  (boto3's)
        entry = Entry(
            self._path(item["Key"]), 0 if deletion else item["Size"], str(item["VersionId"])
        )
        return _Version(item["Key"], entry, bool(item.get("IsLatest")), deletion)

    def _following(
        self,
        path: str,
        page: Any,  # noqa: ANN401  (boto3's)
        before: Mapping[str, str],
        *names: str,
    ) -> dict[str, str]:
        """What the next page is asked for with; nothing after the last.

        Raises `StoreError` where that is not told, or told again: the rest would be lost.
        """
        told = {name.removeprefix("Next"): page.get(name) or "" for name in names}
        if not page.get("IsTruncated", any(told.values())):
            return {}
        if not all(told.values()) or told.items() <= before.items():
            raise StoreError(
                f"{self.url_of(path)}: the listing is cut off, and the store does not tell where it"
                f" goes on ({', '.join(names)}); it takes one that speaks S3 in full"
            )
        return told

    def _ask(self, path: str, ask: Callable[[S3Client], T]) -> T:
        """What `ask` gets; where credentials have expired, once more with a new client's.

        A new client finds them anew, wherever they come from: a role, a profile, a file.
        """
        with self._told(path):
            client = self._client()
            try:
                return ask(client)
            except ClientError as error:
                if code_of(error) not in _EXPIRED:
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
            body = self._ask(path, lambda client: self._opened_at(client, key))
            with self._told(path):
                try:
                    for chunk in body.iter_chunks(_CHUNK):
                        into.write(chunk)
                except _BROKEN_OFF:
                    if attempt == _READ_ATTEMPTS:
                        raise
                    into.seek(0)
                    into.truncate()
                    continue
            return

    def _opened_at(self, client: S3Client, key: str) -> StreamingBody:
        return client.get_object(Bucket=self._bucket, Key=key)["Body"]

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Turn boto's error into one that says what to do."""
        url = self.url_of(path)
        try:
            yield
        except (ClientError, *BOTO_ERRORS) as error:
            raise of_s3(url, error) from error
        except KeyError as error:  # boto3 gives an answer as it comes
            raise StoreError(
                f"{url}: the store's answer lacks {error.args[0]}; it takes one that speaks S3"
            ) from error
        except OSError as error:
            file = f" ({error.filename})" if error.filename else ""
            raise StoreError(
                f"{url}: a local file on the way failed: {error.strerror or error}{file}"
            ) from error


def _checksum(client: S3Client, sha256: str | None = None) -> dict[str, Any]:
    """The arguments by which S3 verifies a content, unless boto3 is told to do without."""
    config: Any = client.meta.config
    if config.request_checksum_calculation == "when_required":
        return {}
    if sha256 is None:
        return {"ChecksumAlgorithm": "SHA256"}
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": digest}
