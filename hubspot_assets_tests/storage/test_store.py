"""A folder and a bucket behave alike, and say what is wrong when they can't."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.export import complete_day, manifest_path, read_manifest
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import NotFoundError, StoreError, open_store
from hubspot_assets.storage.s3_resource import ExportS3Resource
from hubspot_assets_tests.export.tables import AS_OF, DAY, notes, write
from hubspot_assets_tests.storage.conftest import of_settings
from hubspot_assets_tests.stores import REGION


def test_what_is_put_can_be_got_listed_and_deleted(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    store.put("day/b/two", source)
    store.put("day/a", b"1")
    store.put("day/a", b"one")
    store.put("day-after/x", b"")

    assert store.get("day/a") == b"one"
    assert store.get("day/b/two") == b"from a file"
    assert [(entry.path, entry.bytes) for entry in store.list("day")] == [
        ("day/a", 3),
        ("day/b/two", 11),
    ]
    assert [e.path for e in store.list()] == ["day-after/x", "day/a", "day/b/two"]
    assert [e.path for e in store.list("day/b/")] == ["day/b/two"]
    assert list(store.list("nowhere")) == []
    with store.local_copy("day/b/two") as copy:
        assert copy.read_bytes() == b"from a file"

    store.delete(["day/b/two", "day/none"])
    store.delete([])
    assert not store.exists("day/b/two")
    assert store.exists("day/a")
    assert [e.path for e in store.list("day")] == ["day/a"]


def test_the_beginning_of_an_object(store):
    store.put("a/b", b"0123456789")
    assert store.beginning("a/b", 4) == b"0123"
    assert store.beginning("a/b", 400) == b"0123456789"
    with pytest.raises(NotFoundError):
        store.beginning("a/c", 4)


def test_an_object_that_is_not_there(store):
    for read in (store.get, lambda path: store.local_copy(path).__enter__()):
        with pytest.raises(NotFoundError, match=r"no .*nothing/here"):
            read("nothing/here")
        with pytest.raises(FileNotFoundError):
            read("nothing/here")


def test_a_rewritten_object_is_listed_as_another(store):
    store.put("x", b"a")
    (before,) = store.list()
    store.put("x", b"b")
    (after,) = store.list()
    assert before != after
    assert [after] == list(store.list())


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "a//b", "a/", "."])
def test_paths_stay_inside_the_store(store, path):
    with pytest.raises(ValueError, match="relative path"):
        store.put(path, b"")


def test_threads_share_a_store(store):
    names = [f"t/{i:03d}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, name.encode()), names))
        assert list(pool.map(store.get, names)) == [name.encode() for name in names]
        list(pool.map(lambda name: store.delete([name]), names))
    assert list(store.list()) == []


def test_folders_are_those_below_the_root(store):
    assert list(store.folders()) == []
    for path in ("b/x", "b/c/x", "a/x", "x"):
        store.put(path, b"")
    assert list(store.folders()) == ["a", "b"]


def test_more_keys_than_one_request_deletes(bucket, s3):
    store = open_store(f"s3://{bucket}", s3)
    names = [f"n/{i:04d}" for i in range(1005)]
    store.put(names[0], b"")
    store.put(names[-1], b"")
    store.delete(names)
    assert list(store.list("n")) == []


def test_where_objects_are(bucket, s3, tmp_path):
    assert open_store(f"s3://{bucket}/p/", s3).url_of("d/x") == f"s3://{bucket}/p/d/x"
    assert open_store(f"s3://{bucket}", s3).url_of("d/x") == f"s3://{bucket}/d/x"
    assert open_store(tmp_path).url_of("d/x") == f"{tmp_path}/d/x"


def test_objects_in_s3_carry_their_checksum(bucket, s3):
    open_store(f"s3://{bucket}", s3).put("x", b"abc")
    head = s3().head_object(Bucket=bucket, Key="x", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


def test_parts_go_with_the_checksum_of_their_manifest_and_say_who_wrote_them(aws):
    store = of_settings()
    write(store, ("", [notes(["a", "b"])]))
    complete_day(store, DAY, ["NOTES"], AS_OF, "run", "1.0")
    (part,) = read_manifest(store, DAY, "NOTES").parts
    (sent,) = (sent for path, sent in aws.puts.items() if path.endswith(part.path))
    assert base64.b64decode(sent["X_AMZ_CHECKSUM_SHA256"]).hex() == part.sha256
    client, bucket = s3_resource(load_settings()).get_client(), store.url_of("").split("/")[2]
    for path in (f"{DAY}/{part.path}", manifest_path(DAY, "NOTES"), manifest_path(DAY)):
        head = client.head_object(Bucket=bucket, Key=f"prefix/{path}")
        assert head["Metadata"] == {"run-id": "run", "code-version": "1.0"}


def test_a_part_that_was_damaged_on_the_way_is_refused(aws):
    store = of_settings()
    with pytest.raises(StoreError, match="damaged on the way; write it again") as caught:
        store.put("x", b"abd", sha256=hashlib.sha256(b"abc").hexdigest())
    assert caught.value.passing
    assert not store.exists("x")


def test_a_store_that_knows_no_checksums(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    (tmp_path / "file").write_bytes(b"1")
    store = of_settings()
    write(store, ("", [notes(["a", "b"])]))
    store.put("file", tmp_path / "file")
    put = [path.rpartition("/prefix/")[2] for path in aws.puts]
    assert put == [
        f"_leases/{DAY}.json",
        f"{DAY}/NOTES/part-00000.csv.gz",
        f"{DAY}/NOTES/_manifest.json",
        "file",
    ]
    for sent in aws.puts.values():
        assert not [name for name in sent if "CHECKSUM" in name or "TRAILER" in name]


@pytest.mark.parametrize(
    ("settings", "sse", "key"),
    [
        ({}, None, None),
        ({"S3_SSE": "AES256"}, "AES256", None),
        ({"S3_SSE": "aws:kms"}, "aws:kms", None),
        ({"S3_SSE": "aws:kms", "S3_SSE_KMS_KEY_ID": "alias/export"}, "aws:kms", "alias/export"),
    ],
)
def test_every_write_asks_for_the_encryption_that_is_set(
    aws, monkeypatch, tmp_path, settings, sse, key
):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").write_bytes(b"1")
    store = of_settings()
    store.put("bytes", b"1")
    store.put("file", tmp_path / "file")
    assert len(aws.puts) == 2
    for sent in aws.puts.values():
        assert sent.get("X_AMZ_SERVER_SIDE_ENCRYPTION") == sse
        assert sent.get("X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID") == key


def test_a_large_file_is_encrypted_and_told_of_as_well(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("S3_SSE", "AES256")
    (tmp_path / "file").write_bytes(b"1234" * 2_500_000)
    store = of_settings()
    store.put("file", tmp_path / "file", metadata={"run-id": "run"})
    client, bucket = s3_resource(load_settings()).get_client(), store.url_of("").split("/")[2]
    head = client.head_object(Bucket=bucket, Key="prefix/file")
    assert head["ContentLength"] == 10_000_000
    assert head["Metadata"] == {"run-id": "run"}
    assert head["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    "fault",
    [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout"), (0, "broken")],
)
def test_faults_that_pass_are_waited_out(aws, fault):
    store = of_settings()
    aws.faults = [fault]
    store.put("x", b"1")
    aws.faults = [fault]
    assert store.get("x") == b"1"
    assert not aws.faults


def test_a_bucket_that_stays_slow_may_be_well_later(aws):
    store = open_store(
        load_settings().export_url,
        lambda: ExportS3Resource(
            region_name=REGION, endpoint_url=aws.url, max_attempts=1
        ).get_client(),
    )
    aws.faults = [(503, "SlowDown")] * 5
    with pytest.raises(StoreError, match="SlowDown") as caught:
        store.put("x", b"1")
    assert caught.value.passing


@pytest.mark.parametrize(
    ("endpoint", "style", "url"),
    [
        ("", "auto", "https://bucket.s3.amazonaws.com/key"),
        ("", "path", "https://s3.eu-central-1.amazonaws.com/bucket/key"),
        ("https://store.example", "auto", "https://store.example/bucket/key"),
        ("https://store.example", "virtual", "https://bucket.store.example/key"),
    ],
)
def test_where_the_buckets_name_goes(aws, monkeypatch, endpoint, style, url):
    monkeypatch.setenv("S3_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("S3_ADDRESSING_STYLE", style)
    client = s3_resource(load_settings()).get_client()
    signed = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.split("?")[0] == url


@pytest.mark.parametrize("url", ["", "https://bucket/x", "s3://", "s3:///x"])
def test_a_url_that_is_none(url):
    with pytest.raises(StoreError, match="s3://bucket/prefix"):
        open_store(url)


def everything(store):
    return {
        "put": lambda: store.put("d/x", b"1"),
        "get": lambda: store.get("d/x"),
        "list": lambda: list(store.list("d")),
        "delete": lambda: store.delete(["d/x"]),
    }


@pytest.mark.parametrize("operation", ["put", "get", "list", "delete"])
def test_a_missing_bucket(s3, operation):
    store = open_store("s3://no-such-bucket-here/p", s3)
    with pytest.raises(StoreError, match=r"s3://no-such-bucket-here/p/d.* does not exist; create"):
        everything(store)[operation]()


def test_a_closed_bucket(bucket, s3):
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    policy = {"Statement": [{**deny, "Resource": f"arn:aws:s3:::{bucket}/*"}]}
    s3().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    with pytest.raises(StoreError, match=r"access denied; .*PutObject") as caught:
        open_store(f"s3://{bucket}", s3).put("x", b"")
    assert "\n" not in str(caught.value)
    assert not caught.value.passing


def test_no_credentials(bucket, endpoint, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = open_store(
        f"s3://{bucket}",
        lambda: boto3.session.Session().client(
            "s3", endpoint_url=endpoint, region_name="eu-central-1"
        ),
    )
    with pytest.raises(StoreError, match="no AWS credentials; set AWS_ACCESS_KEY_ID"):
        store.put("x", b"")


def test_an_endpoint_that_does_not_answer():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    store = open_store(
        "s3://bucket/p",
        lambda: boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="eu-central-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"max_attempts": 1}),
        ),
    )
    with pytest.raises(StoreError, match="cannot reach S3; check the endpoint") as caught:
        store.put("x", b"")
    assert caught.value.passing


@pytest.mark.parametrize("operation", ["put", "get", "list"])
def test_a_folder_below_a_file(tmp_path, operation):
    (tmp_path / "file").write_text("in the way")
    store = open_store(tmp_path / "file")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        everything(store)[operation]()
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_that_others_remove_while_it_is_made(folder, monkeypatch):
    make, seen = os.mkdir, iter([FileExistsError, FileNotFoundError, FileExistsError])

    def mkdir(path, mode=0o777):
        if error := next(seen, None):
            raise error(errno.EEXIST, "as it was a moment ago", path)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    folder.swap("d/x", b"1", None)
    assert next(seen, None) is None
    assert folder.get("d/x") == b"1"


def test_a_folder_that_cannot_be_written():
    with pytest.raises(StoreError, match="cannot write /proc/export/x"):
        open_store("/proc/export").put("x", b"1")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left on the disk; free some"),
        (errno.EACCES, "permission denied; let this user write there"),
        (errno.EROFS, "read-only"),
    ],
)
def test_a_disk_that_gives_up(folder, monkeypatch, number, said):
    folder.put("d/x", b"old")
    half = Path.write_bytes

    def give_up(self: Path, data: bytes) -> int:
        half(self, data[: len(data) // 2])
        raise OSError(number, "as the system says it")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", give_up)
        with pytest.raises(StoreError, match=said):
            folder.put("d/x", b"new and longer")
    assert folder.get("d/x") == b"old"
    assert [entry.path for entry in folder.list()] == ["d/x"]


def test_no_empty_folders_remain(folder, tmp_path):
    folder.put("day/table/sub/part", b"1")
    folder.put("day/other", b"1")
    folder.delete(["day/table/sub/part"])
    assert [path.name for path in (tmp_path / "export" / "day").iterdir()] == ["other"]


def test_what_a_dead_writer_left_is_not_listed_and_is_swept(folder, tmp_path, monkeypatch):
    folder.put("d/x", b"1")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # as if killed before cleaning up
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "killed")))
        with pytest.raises(StoreError):
            folder.put("d/y", b"2")
    assert len(list((tmp_path / "export" / "d").iterdir())) == 2
    assert [entry.path for entry in folder.list()] == ["d/x"]
    folder.sweep("d")
    assert [path.name for path in (tmp_path / "export" / "d").iterdir()] == ["x"]
