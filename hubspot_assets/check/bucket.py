"""S3's side of the preflight: every permission on its own, tried with objects of no meaning.

What an export does to a bucket is done by the same `Store`; a client of boto3 is asked for what no
export needs to know.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from hubspot_assets.aws import iam
from hubspot_assets.check.conditions import check_conditions
from hubspot_assets.check.finding import Finding, Status
from hubspot_assets.settings import Settings
from hubspot_assets.storage import Store, StoreError, open_store
from hubspot_assets.storage.refusals import BOTO_ERRORS, code_of, of_s3, of_sts, words_of
from hubspot_assets.storage.s3 import IN_PARTS
from hubspot_assets.storage.s3_resource import sts_region
from hubspot_assets.storage.temporary import temporary_folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Where the objects that are tried with lie, below the folder of the export.
FOLDER = "_check"
CONTENT = b"hubspot-assets check\n"
_DENIED = {"AccessDenied", "AccessDeniedException"}
_ERRORS = (StoreError, ClientError, *BOTO_ERRORS)

Attempt = Callable[[], object]


def check_folder(url: str) -> Iterator[Finding]:
    """The row of a local folder: that it can be written, read and cleared."""
    store = open_store(url)
    path = f"{FOLDER}/{secrets.token_hex(8)}"

    def write() -> None:
        store.put(path, CONTENT)
        store.get(path)
        doubts.extend(check_conditions(url, store, path))
        store.delete([path])

    doubts: list[Finding] = []
    yield _tried(url, "write, read and delete", write)
    yield from doubts


def check_role(settings: Settings, new_client: Callable[[], S3Client]) -> Iterator[Finding]:
    """The rows of the role that is assumed: that it lets us in, and only by the external id."""
    role, external_id = settings.export_role_arn, settings.export_external_id
    if not role:
        return
    found = _tried("STS", f"AssumeRole {role}", new_client, iam.TRUST, _WHY_NOT_ASSUMED)
    yield found
    if found.status != "ok":
        return
    if not external_id:
        detail = "EXPORT_EXTERNAL_ID is not set: a role without one may be let to others as well"
        yield Finding("STS", "external id", "warning", detail)
        return
    try:
        _assume(role, settings.s3_region, iam.new_external_id())
    except (ClientError, *BOTO_ERRORS) as error:
        if code_of(error) in _DENIED:
            yield Finding("STS", "external id", "ok", "the role refuses any other")
        else:
            detail = f"whether others are refused is not known: {of_sts(role, error)}"
            yield Finding("STS", "external id", "warning", detail)
    else:
        detail = f"the role takes any: its trust policy lacks the condition of {iam.TRUST}"
        yield Finding("STS", "external id", "warning", detail)


def _assume(role: str, region: str | None, external_id: str) -> None:
    session = boto3.Session()  # boto3's default one would keep credentials that have changed
    sts = session.client("sts", region_name=region or session.region_name or sts_region(role))
    sts.assume_role(RoleArn=role, RoleSessionName="hubspot-assets-check", ExternalId=external_id)


_WHY_NOT_ASSUMED = (
    f"the trust policy's statement {iam.TRUST} does not let in who runs this, or not with this "
    f"EXPORT_EXTERNAL_ID; or their own policy lacks {iam.CALLER}"
)


def check_bucket(
    url: str, region: str | None, new_client: Callable[[], S3Client]
) -> Iterator[Finding]:
    """The rows of a bucket, each naming the statement of the role's policy that is missing.

    It leaves nothing behind where it may delete what it wrote; a bucket with versions whose
    versions it may not list keeps that there was something.
    """
    try:
        client, store = new_client(), open_store(url, new_client)
    except _ERRORS as error:  # the role could be assumed a moment ago
        yield Finding(url, "connect", "failed", _why(url, error, ""))
        return
    yield _located(client, url, region)
    listed = _tried(url, "ListBucket", lambda: _listed(store), iam.LIST)
    yield listed
    with temporary_folder() as folder:
        objects = _objects(folder)
        put = _tried(url, "PutObject", lambda: _put(store, objects), iam.OBJECTS)
        yield put
        if put.status != "ok":
            with suppress(StoreError):
                store.delete(objects)
            return
        seen = listed.status == "ok"
        got = _tried(url, "GetObject", lambda: _same(store, objects, seen=seen), iam.OBJECTS)
    yield got
    told_apart = seen and got.status == "ok"
    if told_apart:
        yield _tried(
            url, "HeadObject of none", lambda: _told_apart(store, objects), iam.LIST,
            f"S3 does not say that an object is missing: the condition of {iam.LIST} is too narrow",
        )  # fmt: skip
        yield from check_conditions(url, store, next(iter(objects)))
    yield from _removed(client, store, list(objects), told_apart=told_apart)
    yield from _outside(client, url)


def _objects(folder: Path) -> Mapping[str, bytes | Path]:
    """What is tried with, by path: some bytes, as a manifest, and a file that goes in parts."""
    large = folder / "large"
    large.write_bytes(CONTENT * (IN_PARTS // len(CONTENT) + 1))
    top = f"{FOLDER}/{secrets.token_hex(8)}"
    return {f"{top}/large": large, f"{top}/small": CONTENT}


def _listed(store: Store) -> None:
    list(store.list(FOLDER))
    list(store.folders())


def _put(store: Store, objects: Mapping[str, bytes | Path]) -> None:
    """As parts and manifests are put, and what is staged."""
    for path, content in objects.items():
        known = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else None
        store.put(path, content, sha256=known, metadata={"run-id": "check"})


def _same(store: Store, objects: Mapping[str, bytes | Path], *, seen: bool) -> None:
    """Read back, and found in listings where those may be `seen`."""
    sizes = {}
    for path, content in objects.items():
        if isinstance(content, bytes):
            same, sizes[path] = store.get(path) == content, len(content)
        else:
            with store.local_copy(path) as copy:
                same, sizes[path] = (
                    copy.read_bytes() == content.read_bytes(),
                    content.stat().st_size,
                )
        if not same:
            raise StoreError(f"{store.url_of(path)}: other bytes came back than were put")
    if not seen:
        return
    top = next(iter(objects)).rpartition("/")[0]
    if {entry.path: entry.bytes for entry in store.list(top)} != sizes:
        raise StoreError(f"{store.url_of(top)}: a listing does not show what was put")
    if FOLDER not in store.folders():
        raise StoreError(f"{store.url_of(FOLDER)}: a listing of folders does not show it")


def _told_apart(store: Store, objects: Mapping[str, bytes | Path]) -> None:
    for path in objects:
        if store.exists(f"{path}-none") or not store.exists(path):
            raise StoreError(f"{store.url_of(path)}: the store does not tell what is there")


def _located(client: S3Client, url: str, region: str | None) -> Finding:
    """Which region the bucket is in; an export does without knowing."""
    try:
        answer = client.get_bucket_location(Bucket=_bucket(url))
    except (ClientError, *BOTO_ERRORS) as error:
        status: Status = "failed" if code_of(error) == "NoSuchBucket" else "warning"
        return Finding(url, "GetBucketLocation", status, _why(url, error, iam.LOCATE))
    found = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
        answer.get("LocationConstraint"), answer.get("LocationConstraint")
    )
    if region and found != region:
        detail = f"the bucket is in {found}, S3_REGION is {region}: every request goes twice"
        return Finding(url, "GetBucketLocation", "warning", detail)
    return Finding(url, "GetBucketLocation", "ok", str(found))


def _removed(
    client: S3Client, store: Store, paths: list[str], *, told_apart: bool
) -> Iterator[Finding]:
    """Deleting the objects; where the bucket keeps versions, also those that this made."""
    url = store.url_of("").rstrip("/")
    bucket, keys = _bucket(url), [_key(store.url_of(path)) for path in paths]
    versions = dict(_versions(client, bucket, keys))

    def read_version() -> None:
        for key, version in versions.items():
            client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].close()

    def delete() -> None:
        store.delete(paths)
        if told_apart and any(map(store.exists, paths)):
            raise StoreError(f"{store.url_of(paths[0])}: is there after it was deleted")

    def list_versions() -> None:
        list(store.list(FOLDER, versions=True))

    def purge() -> None:
        store.delete(paths, versions=True)

    def delete_versions() -> None:
        for key, version in versions.items():
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)

    if versions:
        yield _lesser(_tried(url, "GetObjectVersion", read_version, iam.OBJECTS))
    deleted = _tried(url, "DeleteObject", delete, iam.OBJECTS)
    yield deleted
    if versions:
        listed = _tried(url, "ListBucketVersions", list_versions, iam.VERSIONS)
        yield _lesser(listed)
        attempt = purge if deleted.status == listed.status == "ok" else delete_versions
        yield _lesser(_tried(url, "DeleteObjectVersion", attempt, iam.OBJECTS))


def _versions(client: S3Client, bucket: str, keys: list[str]) -> Iterator[tuple[str, str]]:
    """The versions that were made, by key; none where the bucket keeps none, or does not tell."""
    with suppress(ClientError, *BOTO_ERRORS):
        for key in keys:
            version = client.head_object(Bucket=bucket, Key=key).get("VersionId")
            if version:
                yield key, version


def _lesser(found: Finding) -> Finding:
    """A failure that stops the purging of old versions, but no export."""
    if found.status == "ok":
        return found
    return Finding(found.where, found.tried, "warning", found.detail)


def _outside(client: S3Client, url: str) -> Iterator[Finding]:
    """That nothing can be written beside the folder; where it can, the object goes again."""
    bucket, key = _bucket(url), f"hubspot-assets-check-{secrets.token_hex(8)}"
    if not _key(url):
        return
    tried = "PutObject outside"
    try:
        version = client.put_object(Bucket=bucket, Key=key, Body=CONTENT).get("VersionId")
    except (ClientError, *BOTO_ERRORS) as error:
        if code_of(error) in _DENIED:
            yield Finding(url, tried, "ok", "refused, as it should be")
        else:
            detail = f"whether it is refused is not known: {_why(url, error, iam.OBJECTS)}"
            yield Finding(url, tried, "warning", detail)
        return
    detail = f"allowed: narrow the Resource of {iam.OBJECTS} to {url}/*"
    try:
        if version:  # no marker is left so
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        else:
            client.delete_object(Bucket=bucket, Key=key)
    except (ClientError, *BOTO_ERRORS) as error:
        detail += f"; what was put there stayed: {of_s3(f's3://{bucket}/{key}', error)}"
    yield Finding(url, tried, "warning", detail)


def _tried(where: str, tried: str, attempt: Attempt, sid: str = "", advice: str = "") -> Finding:
    status: Status = "ok"
    detail = ""
    try:
        attempt()
    except _ERRORS as error:
        status, detail = "failed", _why(where, error, sid, advice)
    return Finding(where, tried, status, detail)


def _why(where: str, error: Any, sid: str, advice: str = "") -> str:  # noqa: ANN401  (any of _ERRORS)
    """The statement that is missing where access was denied; else what went wrong."""
    cause = error.__cause__ if isinstance(error.__cause__, ClientError) else error
    told = str(error if isinstance(error, StoreError) else of_s3(where, error))
    if not sid or not isinstance(cause, ClientError) or code_of(cause) not in {*_DENIED, "403"}:
        return told
    words = words_of(cause)
    if "kms:" in words:
        return f"access denied to the bucket's key: the statement {iam.KEY} is missing ({words})"
    if "explicit deny" in words or "object lock" in words:
        return told
    said = (
        f" ({words})" if words.strip(". ").lower() not in {"", "access denied", "forbidden"} else ""
    )
    return f"access denied: {advice or f'the statement {sid} is missing from the policy'}{said}"


def _bucket(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[0]


def _key(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[2]
