"""S3's side of the preflight: every permission on its own, tried with an object of no meaning."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from hubspot_assets.aws import iam
from hubspot_assets.check.finding import Finding, Status
from hubspot_assets.settings import Settings
from hubspot_assets.storage import Store, StoreError, open_store
from hubspot_assets.storage.s3_resource import aws_settings, sts_region

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Where the objects that are tried with lie, below the folder of the export.
FOLDER = "_check"
CONTENT = b"hubspot-assets check\n"
_DENIED = {"AccessDenied", "AccessDeniedException", "403"}

Attempt = Callable[[], object]


def check_folder(url: str) -> Iterator[Finding]:
    """The row of a local folder: that it can be written, read and cleared."""
    store = open_store(url)
    path = f"{FOLDER}/{secrets.token_hex(8)}"

    def write() -> None:
        store.put(path, CONTENT)
        store.get(path)
        store.delete([path])

    yield _tried(url, "write, read and delete", write)


def check_role(settings: Settings) -> Iterator[Finding]:
    """The rows of the role that is assumed: that it lets us in, and only by the external id."""
    role, external_id = settings.export_role_arn, settings.export_external_id
    if not role:
        return
    tried = f"AssumeRole {role}"
    try:
        with aws_settings():
            session = boto3.Session()  # the default one would keep credentials that have changed
            region = settings.s3_region or session.region_name or sts_region(role)
            sts = session.client("sts", region_name=region)
    except StoreError as error:
        yield Finding("STS", tried, "failed", str(error))
        return

    def assume(shown: str | None) -> None:
        session = "hubspot-assets-check"
        if shown is None:
            sts.assume_role(RoleArn=role, RoleSessionName=session)
        else:
            sts.assume_role(RoleArn=role, RoleSessionName=session, ExternalId=shown)

    found = _tried("STS", tried, lambda: assume(external_id), iam.TRUST, _WHY_NOT_ASSUMED)
    yield found
    if found.status != "ok":
        return
    if not external_id:
        detail = "EXPORT_EXTERNAL_ID is not set: a role without one may be let to others as well"
        yield Finding("STS", "external id", "warning", detail)
        return
    try:
        assume(iam.new_external_id())
    except (ClientError, BotoCoreError) as error:
        if _code(error) in _DENIED:
            yield Finding("STS", "external id", "ok", "the role refuses any other")
        else:
            yield Finding("STS", "external id", "warning", f"not known: {error}")
    else:
        detail = f"the role takes any: its trust policy lacks the condition of {iam.TRUST}"
        yield Finding("STS", "external id", "warning", detail)


_WHY_NOT_ASSUMED = (
    f"the trust policy's statement {iam.TRUST} does not let in who runs this, or not with this "
    f"EXPORT_EXTERNAL_ID; or their own policy lacks {iam.CALLER}"
)


def check_bucket(
    url: str, region: str | None, new_client: Callable[[], S3Client]
) -> Iterator[Finding]:
    """The rows of a bucket, each naming the statement of the role's policy that is missing.

    It leaves nothing behind where it may delete what it wrote.
    """
    try:
        client, store = new_client(), open_store(url, new_client)
    except StoreError as error:  # the role could be assumed a moment ago
        yield Finding(url, "connect", "failed", str(error))
        return
    yield _located(client, url, region)
    listed = _tried(url, "ListBucket", lambda: list(store.list(FOLDER)), iam.LIST)
    yield listed
    path = f"{FOLDER}/{secrets.token_hex(8)}"
    put = _tried(url, "PutObject", lambda: store.put(path, CONTENT), iam.OBJECTS)
    yield put
    if put.status != "ok":
        return
    got = _tried(url, "GetObject", lambda: _same(store, path), iam.OBJECTS)
    yield got
    if listed.status == got.status == "ok":
        yield _tried(
            url, "HeadObject of none", lambda: store.exists(f"{path}-none"), iam.LIST,
            f"S3 does not say that an object is missing: the condition of {iam.LIST} is too narrow",
        )  # fmt: skip
    yield from _removed(client, url, store.url_of(path), readable=got.status == "ok")
    yield from _outside(client, url)


def _same(store: Store, path: str) -> None:
    if store.get(path) != CONTENT:
        raise StoreError(f"{store.url_of(path)}: other bytes came back than were put")


def _located(client: S3Client, url: str, region: str | None) -> Finding:
    """Which region the bucket is in; an export does without knowing."""
    try:
        answer = client.get_bucket_location(Bucket=_bucket(url))
    except (ClientError, BotoCoreError) as error:
        absent = _code(error) == "NoSuchBucket"
        return Finding(
            url, "GetBucketLocation", "failed" if absent else "warning", _why(error, iam.LOCATE)
        )
    found = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
        answer.get("LocationConstraint"), answer.get("LocationConstraint")
    )
    if region and found != region:
        detail = f"the bucket is in {found}, S3_REGION is {region}: every request goes twice"
        return Finding(url, "GetBucketLocation", "warning", detail)
    return Finding(url, "GetBucketLocation", "ok", str(found))


def _removed(client: S3Client, url: str, path: str, *, readable: bool) -> Iterator[Finding]:
    """Deleting the object; where the bucket keeps versions, also those that this made."""
    bucket, key = _bucket(url), _key(path)
    versions: list[str] = []

    def read_version() -> None:
        client.get_object(Bucket=bucket, Key=key, VersionId=versions[0])["Body"].read()

    def delete() -> None:
        marker = client.delete_object(Bucket=bucket, Key=key).get("VersionId")
        versions.extend([marker] if marker else [])

    def list_versions() -> None:
        client.list_object_versions(Bucket=bucket, Prefix=key)

    def delete_versions() -> None:
        for version in versions:
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)

    if readable:
        with suppress(ClientError, BotoCoreError):
            version = client.head_object(Bucket=bucket, Key=key).get("VersionId")
            versions.extend([version] if version else [])
    if versions:
        yield _lesser(_tried(url, "GetObjectVersion", read_version, iam.OBJECTS))
    yield _tried(url, "DeleteObject", delete, iam.OBJECTS)
    if versions:
        yield _lesser(_tried(url, "ListBucketVersions", list_versions, iam.VERSIONS))
        yield _lesser(_tried(url, "DeleteObjectVersion", delete_versions, iam.OBJECTS))


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
    except (ClientError, BotoCoreError) as error:
        if _code(error) in _DENIED:
            yield Finding(url, tried, "ok", "refused, as it should be")
        else:
            yield Finding(url, tried, "warning", f"not known: {_why(error, iam.OBJECTS)}")
        return
    detail = f"allowed: narrow the Resource of {iam.OBJECTS} to {url}/*"
    try:
        if version:  # no marker is left so
            client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        else:
            client.delete_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError) as error:
        detail += f"; s3://{bucket}/{key} could not be deleted again ({_code(error)})"
    yield Finding(url, tried, "warning", detail)


def _tried(where: str, tried: str, attempt: Attempt, sid: str = "", advice: str = "") -> Finding:
    status: Status = "ok"
    detail = ""
    try:
        attempt()
    except (ClientError, BotoCoreError, StoreError) as error:
        status, detail = "failed", _why(error, sid, advice)
    return Finding(where, tried, status, detail)


def _why(error: Exception, sid: str, advice: str = "") -> str:
    """The statement that is missing where access was denied; else what went wrong."""
    cause = error.__cause__ if isinstance(error.__cause__, ClientError) else error
    if not sid or _code(cause) not in _DENIED:
        return str(error)
    text = str(cause)
    if "kms:" in text or "KMS" in text:
        return f"access denied to the bucket's key: the statement {iam.KEY} is missing ({text})"
    return f"access denied: {advice or f'the statement {sid} is missing from the policy'}"


def _code(error: BaseException) -> str:
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def _bucket(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[0]


def _key(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[2]
