"""S3 on a bad day, and stores that speak it with an accent."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from itertools import islice

import pytest

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.check.bucket import check_bucket
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import KeptError, StoreError, open_store
from hubspot_assets.storage.s3_resource import ExportS3Resource
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.export.test_retention import deliver, purged_by_job, why
from hubspot_assets_tests.storage.aws import LOCKED
from hubspot_assets_tests.storage.conftest import of_settings
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_commands import fails, run


def operations(aws):
    return [operation for operation, _ in aws.calls]


def paths(store, below=""):
    return [entry.path for entry in store.list(below)]


REFUSED_TOGETHER = [
    (501, "NotImplemented", "A header you provided implies functionality that is not implemented."),
    (400, "MissingContentMD5", "Missing required header for this request: Content-Md5."),
    (400, "InvalidRequest", "Missing required header for this request: Content-MD5"),
    (405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    (403, "AccessDenied", "Access Denied"),
]


@pytest.mark.parametrize("refusal", REFUSED_TOGETHER)
def test_where_many_cannot_be_deleted_at_once_they_go_one_by_one(aws, refusal):
    aws.refusals["DeleteObjects"] = refusal
    store = of_settings()
    for name in ("a", "b", "c", "stays"):
        store.put(name, b"1")
    store.delete(["a", "b", "none"])
    store.delete(["c"])
    assert paths(store) == ["stays"]
    # Asked for once, and remembered.
    assert operations(aws).count("DeleteObjects") == 1
    assert operations(aws).count("DeleteObject") == 4


@pytest.mark.slow
def test_a_day_is_delivered_again_and_check_agrees(aws, monkeypatch):
    monkeypatch.setenv("OBJECT_TYPES", "0-101")
    aws.refusals["DeleteObjects"] = (501, "NotImplemented")
    for _ in range(2):
        status, output = run("export", "--day", DAY, "--select", "OWNERS")
        assert status == 0, output
    status, output = run("check")
    assert status == 0, output
    assert re.search("ok +DeleteObject", output)


def test_who_may_not_delete_is_told_so_by_the_answer_to_one(aws):
    aws.refusals["DeleteObjects"] = (501, "NotImplemented")
    aws.refusals["DeleteObject"] = (403, "AccessDenied", "no identity-based policy allows it")
    store = of_settings()
    store.put("a", b"1")
    with pytest.raises(
        StoreError, match=r"allow it to these credentials.*no identity-based policy"
    ):
        store.delete(["a", "b"])
    aws.refusals.clear()
    aws.calls.clear()
    store.delete(["a"])  # it was not DeleteObjects that failed
    assert operations(aws) == ["DeleteObjects"]


def test_a_slow_store_is_not_asked_a_thousand_times(aws):
    aws.refusals["DeleteObjects"] = (503, "SlowDown", "Please reduce your request rate.")
    client = ExportS3Resource(region_name=REGION, endpoint_url=aws.url, max_attempts=1).get_client()
    store = open_store(load_settings().export_url, lambda: client)
    with pytest.raises(StoreError, match="SlowDown: Please reduce your request rate") as caught:
        store.delete(["a", "b"])
    assert caught.value.passing
    assert "DeleteObject" not in operations(aws)


@pytest.mark.parametrize("code", ["InternalError", "AccessDenied", "NoSuchKey"])
def test_a_key_that_is_left_among_many_is_deleted_alone(aws, code):
    aws.not_deleted["/b"] = (code, "as AWS says")
    store = of_settings()
    for name in "abc":
        store.put(name, b"1")
    store.delete(["a", "b", "c"])
    assert paths(store) == []
    assert aws.calls[-2] == ("DeleteObject", "prefix/b")
    assert operations(aws).count("DeleteObject") == 1


def test_a_key_that_is_left_for_good_is_an_error(aws):
    aws.not_deleted["/b"] = ("AccessDenied", LOCKED)
    aws.refusals["DeleteObject"] = (403, "AccessDenied", LOCKED)
    store = of_settings()
    for name in "abc":
        store.put(name, b"1")
    with pytest.raises(StoreError, match=r"prefix/b: the object is locked.*AccessDenied: Access"):
        store.delete(["a", "b", "c"])
    assert paths(store) == ["b"]


def test_at_most_a_thousand_keys_are_deleted_at_once(aws):
    store = of_settings()
    names = [f"{number:04d}" for number in range(2001)]
    for name in (names[0], names[1000], names[2000]):
        store.put(name, b"1")
    aws.calls.clear()
    store.delete(names)
    assert aws.calls == [("DeleteObjects", 1000), ("DeleteObjects", 1000), ("DeleteObjects", 1)]
    assert paths(store) == []


DENIED = "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: "


BY_BUCKET = f"{DENIED}s3:PutObject on resource: b with an explicit deny in a resource-based policy"
BY_KEY = f"{DENIED}kms:GenerateDataKey on resource: k because no identity-based policy allows it"
NO_CHECKSUM = "x-amz-checksum- HTTP header is required for Put requests with Object Lock parameters"


@pytest.mark.parametrize(
    ("status", "code", "words", "advice"),
    [
        (403, "RequestTimeTooSkewed", "The difference is too large.", "the clock of this machine"),
        (403, "RequestExpired", "Request has expired.", "the clock of this machine is wrong"),
        (403, "AccountProblem", "There is a problem with your AWS account.", "must ask AWS's"),
        (403, "AllAccessDisabled", "All access has been disabled.", "must ask AWS's support"),
        (403, "InvalidObjectState", "Not valid for the object's storage class.", "is archived"),
        (403, "NotSignedUp", "Your account is not signed up.", "must sign up for it"),
        (403, "QuotaExceeded", "Quota exceeded", "the store's quota is used up"),
        (403, "SignatureDoesNotMatch", "Check your key and signing method.", "the secret key is"),
        (403, "AccessDenied", BY_BUCKET, "a policy denies it, whatever others allow"),
        (403, "AccessDenied", BY_KEY, "allow it to these credentials, by their policy and the key"),
        (403, "AccessDenied", LOCKED, "the object is locked; it stays until its lock ends"),
        (403, "AccessDenied", "Access Denied", "access denied; allow it to these credentials, by"),
        (403, "SomethingNew", "As nobody knows.", "S3 refused"),
        (400, "KMS.KMSInvalidStateException", "The key is pending deletion.", "the KMS key is"),
        (400, "InvalidRequest", NO_CHECKSUM, "unset AWS_REQUEST_CHECKSUM_CALCULATION"),
        (400, "IllegalLocationConstraintException", "Not this region.", "in another region"),
        (507, "XMinioStorageFull", "Storage backend has reached its limit.", "the store is full"),
    ],
)
def test_what_aws_says_is_told_with_advice_where_it_is_known(aws, status, code, words, advice):
    store = of_settings()
    refusal = (status, code, words)
    aws.refusals |= dict.fromkeys(["PutObject", "GetObject", "HeadObject"], refusal)
    # A HEAD has no words; a GET is asked for them.
    for refused in (store.put, lambda path, _: store.get(path), lambda path, _: store.exists(path)):
        with pytest.raises(StoreError) as caught:
            refused("a", b"1")
        told = str(caught.value)
        assert told.startswith(store.url_of("a") + ": ")
        assert f"{code}: {words}" in told
        assert advice in told
        assert ("allow it to these credentials" in told) == ("allow it" in advice)
        assert not caught.value.passing
        assert "\n" not in told


def test_a_refusal_without_words_claims_no_more_than_it_says(aws):
    aws.refusals["PutObject"] = (403, "", "")
    with pytest.raises(StoreError, match=r"access denied; without a reason, as a proxy.*PutObject"):
        of_settings().put("a", b"1")


def test_what_is_no_s3_is_one_line_with_an_address(aws, monkeypatch, shared_sandbox):
    monkeypatch.setenv("S3_ENDPOINT_URL", shared_sandbox.url)
    store = of_settings()
    for act in (lambda: store.put("x", b"1"), lambda: store.get("x"), lambda: list(store.list())):
        with pytest.raises(
            StoreError, match=r"^s3://.*without a reason; check the endpoint"
        ) as told:
            act()
        assert "\n" not in str(told.value)
        assert "INVALID_AUTHENTICATION" not in str(told.value)  # whoever answered
    found = rows()
    assert {each.status for each in found.values()} == {"failed", "warning"}
    assert "check the endpoint" in found["GetBucketLocation"].detail


def test_a_content_that_was_damaged_on_its_way_here_is_read_again(aws):
    store = of_settings()
    store.put("x", b"12345")
    aws.damages = 1
    assert store.get("x") == b"12345"
    aws.damages = 9
    with pytest.raises(StoreError, match="the content was damaged on the way; ask again") as caught:
        store.get("x")
    assert caught.value.passing


def versioned():
    """The store of the settings, whose bucket keeps versions, and its client."""
    client = s3_resource(load_settings()).get_client()
    bucket = load_settings().export_url.split("/")[2]
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return of_settings(), client, bucket


def everything(client, bucket):
    answer = client.list_object_versions(Bucket=bucket)
    found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    return sorted(each["Key"].removeprefix("prefix/") for each in found)


def test_a_listing_of_several_pages(aws):
    store = of_settings()
    names = [f"d{number}/x" for number in range(5)]
    for name in names:
        store.put(name, b"1")
    aws.page = 2
    aws.calls.clear()
    assert paths(store) == names
    assert operations(aws) == ["ListObjectsV2"] * 3
    assert list(store.folders()) == ["d0", "d1", "d2", "d3", "d4"]
    store.delete(names)
    assert paths(store) == []


def test_a_listing_of_versions_of_several_pages(aws):
    store, client, bucket = versioned()
    for name in ("d/a", "d/a", "d/a", "d/b", "d/b", "d/theirs"):
        store.put(name, b"1")
    store.delete(["d/b"])
    aws.page = 2
    listed = [entry.path for entry in store.list("d", versions=True)]
    assert listed == ["d/a"] * 3 + ["d/b"] * 3 + ["d/theirs"]
    store.delete(["d/a", "d/b"], versions=True)
    aws.page = None
    assert everything(client, bucket) == ["d/theirs"]


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("NextContinuationToken", False),
        ("NextKeyMarker", True),
        ("NextVersionIdMarker", True),
    ],
)
def test_a_listing_that_does_not_say_how_it_goes_on_is_an_error(aws, name, versions):
    store, client, bucket = versioned()
    for each in "abc":
        store.put(each, b"1")
    aws.page = 2
    aws.withheld = {name}
    with pytest.raises(StoreError, match=rf"^s3://.*/prefix.*the listing is cut off.*{name}"):
        list(store.list(versions=versions))
    if versions:
        with pytest.raises(StoreError, match=name):
            store.delete(["a", "b", "c"], versions=True)
    aws.page, aws.withheld = None, set()
    assert len(everything(client, bucket)) >= 3


def test_a_listing_that_goes_in_circles_is_an_error(aws):
    store = of_settings()
    for each in "abc":
        store.put(each, b"1")
    aws.page, aws.in_circles = 2, True
    with pytest.raises(StoreError, match="the listing is cut off"):
        list(islice(store.list(), 9))


@pytest.mark.parametrize("name", ["ETag", "Key", "Size"])
def test_a_listing_without_what_it_must_tell_is_an_error(aws, name):
    store = of_settings()
    store.put("a", b"1")
    aws.withheld = {name}
    with pytest.raises(StoreError, match=rf"^s3://.*prefix/: the store's answer lacks {name}"):
        paths(store)


@pytest.mark.slow
def test_an_export_to_a_store_without_etags_is_one_line(aws):
    aws.withheld = {"ETag"}
    fails(1, "the store's answer lacks ETag", "export", "--day", DAY, "--select", "OWNERS")


def test_an_upload_in_parts_without_etags_is_one_line(aws, tmp_path):
    (tmp_path / "file").write_bytes(b"1" * (8 * 1024 * 1024))
    aws.withheld = {"ETag"}
    with pytest.raises(StoreError, match=r"prefix/x: the store's answer lacks ETag"):
        of_settings().put("x", tmp_path / "file")


def test_a_folder_that_a_console_made_is_no_object(aws):
    store, client, bucket = versioned()
    for key in ("prefix/", f"prefix/{DAY}/", f"prefix/{DAY}/OWNERS/"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert status == 0, output
    assert paths(store, DAY) == [
        f"{DAY}/OWNERS/_manifest.json",
        f"{DAY}/OWNERS/part-00000.csv.gz",
    ]
    assert all(not entry.path.endswith("/") for entry in store.list(versions=True))


@pytest.mark.parametrize("size", [100, 8 * 1024 * 1024, 15_000_000])
def test_a_file_goes_with_the_checksum_of_its_manifest(aws, tmp_path, size):
    data = b"0123456789abcdef" * (size // 16 + 1)
    (tmp_path / "part").write_bytes(data)
    store = of_settings()
    digest = hashlib.sha256(data).hexdigest()
    store.put("part", tmp_path / "part", sha256=digest)
    assert operations(aws) == ["PutObject"]
    assert store.get("part") == data
    with pytest.raises(StoreError, match="damaged on the way; write it again"):
        store.put("part", tmp_path / "part", sha256=hashlib.sha256(b"another").hexdigest())
    assert store.get("part") == data


def test_a_file_too_large_for_one_request_asks_for_no_checksum_of_the_whole(
    aws, tmp_path, monkeypatch
):
    monkeypatch.setattr("hubspot_assets.storage.s3._WHOLE", 9_000_000)
    data = b"0123456789" * 1_000_000
    (tmp_path / "part").write_bytes(data)
    store = of_settings()
    store.put("part", tmp_path / "part", sha256=hashlib.sha256(data).hexdigest())
    assert operations(aws)[0] == "CreateMultipartUpload"
    assert operations(aws).count("UploadPart") == 2
    assert store.get("part") == data


@pytest.fixture
def locking(aws):
    """A store in a bucket whose objects can be locked, and a way to lock one."""
    bucket = f"locking-{uuid.uuid4().hex}"
    client = s3_resource(load_settings()).get_client()
    client.create_bucket(
        Bucket=bucket,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    return client, bucket


def lock(locking, key):
    """Lock the newest version of an object."""
    client, bucket = locking
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2100, 1, 1, tzinfo=UTC)}
    client.put_object_retention(Bucket=bucket, Key=key, Retention=retention)


@pytest.mark.parametrize("together", [True, False])
def test_a_locked_version_stays_and_is_told_and_nothing_old_comes_to_light(aws, locking, together):
    client, bucket = locking
    store = open_store(f"s3://{bucket}", lambda: client)
    if not together:
        aws.refusals["DeleteObjects"] = (501, "NotImplemented")
    for content in (b"1", b"22"):
        store.put("a", content)
        store.put("b", content)
        if content == b"1":
            lock(locking, "a")
    for _ in range(2):  # and again, by the next purge
        with pytest.raises(
            KeptError, match="1 versions stayed, as a: the object is locked"
        ) as told:
            store.delete(["a", "b"], versions=True)
        (kept,) = told.value.kept
        assert (kept.entry.path, kept.entry.bytes) == ("a", 1)
        assert LOCKED in kept.reason
        assert not store.exists("a")
        left = [(each.path, each.bytes) for each in store.list(versions=True)]
        assert sorted(left) == [("a", 0), ("a", 1)]  # what is locked, and what hides it


def test_a_store_that_says_deleted_and_keeps_it_is_found_out(aws):
    store, _, _ = versioned()
    store.put("a", b"1")
    aws.keeps_versions = True
    with pytest.raises(
        KeptError, match="the store still has it, though it said that it was deleted"
    ):
        store.delete(["a"], versions=True)
    assert not store.exists("a")


@pytest.mark.slow
def test_a_purge_says_which_versions_stayed_and_the_next_one_removes_them(
    aws, locking, monkeypatch
):
    client, bucket = locking
    monkeypatch.setenv("EXPORT_URL", f"s3://{bucket}/prefix")
    store = of_settings()
    deliver(store, "2026-01-30", "2026-01-31")
    held = "2026-01-30/NOTES/part-00000.csv.gz"
    hold = {"Bucket": bucket, "Key": f"prefix/{held}"}
    version = client.head_object(**hold)["VersionId"]
    client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})

    def versions(day):
        return [entry.path for entry in store.list(day, versions=True) if entry.bytes]

    for tables, objects in ((1, 3), (0, 0)):  # the second finds nothing more that goes
        status, output = run("purge", "--keep-days", "1", "--versions")
        assert status == 1
        assert f"warning: 2026-01-30: 1 versions stayed: {held}: the object is locked" in output
        assert LOCKED in output
        assert "error: 1 days could not be purged; see the warnings" in output
        assert (f"2026-01-30: {tables} tables, {objects} objects" in output) == (objects > 0)
        assert versions("2026-01-30") == [held]
        assert paths(store, "2026-01-30") == []
    client.put_object_legal_hold(**hold, VersionId=version, LegalHold={"Status": "OFF"})
    status, output = run("purge", "--keep-days", "1", "--versions")
    assert status == 0, output
    assert list(store.list("2026-01-30", versions=True)) == []
    assert list(store.list("_state/purging", versions=True)) == []
    assert len(versions("2026-01-31")) == 3


@pytest.mark.slow
def test_the_job_fails_where_versions_stayed(aws, monkeypatch):
    store, _, _ = versioned()
    monkeypatch.setenv("EXPORT_KEEP_DAYS", "1")
    deliver(store, "2026-01-30", "2026-01-31")
    aws.keeps_versions = True
    assert why(purged_by_job({"versions": True})).startswith("versions stayed of 2026-01-30")
    assert paths(store, "2026-01-30") == []


def rows():
    """What check says of the bucket, by what was tried."""
    settings = load_settings()
    client = s3_resource(settings).get_client
    return {each.tried: each for each in check_bucket(settings.export_url, REGION, client)}


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("operation", "refusal", "tried"),
    [
        ("CreateMultipartUpload", (501, "NotImplemented", "No such call."), "PutObject"),
        ("DeleteObject", (403, "AccessDenied", "No, not this one."), "DeleteObject"),
        ("ListObjectsV2", (501, "NotImplemented", "No such call."), "ListBucket"),
        ("PutObject", (403, "RequestTimeTooSkewed", "Too large a difference."), "PutObject"),
    ],
)
def test_what_a_store_cannot_do_is_found_by_check(aws, operation, refusal, tried):
    aws.refusals["DeleteObjects"] = (501, "NotImplemented")
    aws.refusals[operation] = refusal
    failed = [each for each in rows().values() if each.status == "failed"]
    assert [each.tried for each in failed] == [tried]
    assert refusal[2] in failed[0].detail
    aws.refusals.clear()
    left = [entry.path for entry in of_settings().list()]
    assert (left == []) == (operation != "DeleteObject")


def test_a_store_that_does_not_list_what_was_put_is_found_by_check(aws):
    aws.page, aws.withheld = 1, {"IsTruncated", "NextContinuationToken"}
    found = rows()["GetObject"]
    assert (found.status, found.detail.partition(": ")[2]) == (
        "failed",
        "a listing does not show what was put",
    )


def test_check_says_what_an_object_lock_means_for_purge(aws):
    versioned()
    aws.keeps_versions = True
    found = rows()
    assert {tried for tried, each in found.items() if each.status != "ok"} == {
        "DeleteObjectVersion",
        "PutObject outside",
    }
    assert found["DeleteObjectVersion"].status == "warning"
    assert "versions stayed" in found["DeleteObjectVersion"].detail
