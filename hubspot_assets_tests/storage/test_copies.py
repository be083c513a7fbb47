"""Copies of a bucket's files spare reading them again, and never tell of what was before."""

import pytest

from hubspot_assets.storage import NotFoundError, open_store
from hubspot_assets.storage.copies import Copies
from hubspot_assets_tests.store_calls import noted_calls


@pytest.fixture
def copies():
    copies = Copies(most_bytes=100)
    yield copies
    copies.close()


@pytest.fixture
def near(bucket, s3, copies):
    return open_store(f"s3://{bucket}/a/prefix", s3, copies=copies)


def content(store, path):
    with store.local_copy(path) as file:
        return file.read_bytes()


def put(store, path, text, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(text)
    store.put(path, file)
    file.unlink()


def gets(calls):
    return [call for call in calls if call.operation == "GetObject"]


def test_what_was_put_or_read_is_not_asked_for_again(near, bucket, s3, tmp_path):
    put(near, "a", b"first", tmp_path)
    put(open_store(f"s3://{bucket}/a/prefix", s3), "b", b"another's", tmp_path)
    with noted_calls() as calls:
        assert [content(near, "a"), content(near, "b"), content(near, "b")] == [
            b"first",
            b"another's",
            b"another's",
        ]
    assert [call.key for call in gets(calls)] == ["a/prefix/b"]


def test_what_is_put_again_or_deleted_is_no_longer_what_it_was(near, tmp_path):
    put(near, "a", b"first", tmp_path)
    put(near, "a", b"second", tmp_path)
    assert content(near, "a") == b"second"
    near.delete(["a"])
    with pytest.raises(NotFoundError):
        content(near, "a")


def test_those_used_last_are_kept_and_no_more_than_fit(near, copies, tmp_path):
    for path in ("a", "b"):
        put(near, path, b"x" * 40, tmp_path)
    content(near, "a")
    put(near, "c", b"x" * 40, tmp_path)
    with noted_calls() as calls:
        for path in ("a", "c", "b"):
            assert content(near, path) == b"x" * 40
    assert [call.key for call in gets(calls)] == ["a/prefix/b"]


def test_a_copy_that_can_not_be_kept_costs_a_request_alone(near, copies, tmp_path):
    copies.close()
    put(near, "a", b"first", tmp_path)
    assert content(near, "a") == b"first"
