"""Old versions of objects, of which the present one stays."""

import pytest

from hubspot_assets.storage import open_store
from hubspot_assets.storage.errors import KeptError


@pytest.fixture
def versioned(bucket, s3):
    status = {"Status": "Enabled"}
    s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)
    return open_store(f"s3://{bucket}/a/prefix", s3)


def contents(store):
    """All that the store keeps, deletions without bytes."""
    return sorted((each.path, each.bytes) for each in store.list(versions=True))


def test_all_but_the_present_version_goes_below_a_folder(versioned):
    for text in (b"1", b"22", b"333"):
        versioned.put("day/part", text)
        versioned.put("day2/part", text)
        versioned.put("day/gone", text)
    versioned.delete(["day/gone"])
    before = [each for each in contents(versioned) if each[0] == "day2/part"]
    assert versioned.delete_former("day") == 5
    assert contents(versioned) == sorted([("day/part", 3), *before])
    assert versioned.get("day/part") == b"333"
    assert versioned.delete_former("day") == 0


def test_a_version_that_stays_is_named_with_the_reason(versioned, bucket, s3, monkeypatch):
    versioned.put("day/part", b"1")
    versioned.put("day/part", b"22")
    versioned.put("day/gone", b"1")
    versioned.delete(["day/gone"])
    kept = {"day/part": 1, "day/gone": 1}
    real = type(versioned)._refused

    def refuse(self, versions):
        versions = list(versions)
        real(self, [each for each in versions if each.entry.path not in kept])
        return {each: "it is locked" for each in versions if each.entry.path in kept}

    monkeypatch.setattr(type(versioned), "_refused", refuse)
    with pytest.raises(KeptError) as error:
        versioned.delete_former("day")
    assert {(each.entry.path, each.reason) for each in error.value.kept} == {
        ("day/part", "it is locked"),
        ("day/gone", "it is locked"),
    }
    assert ("day/gone", 0) in contents(versioned)  # it stays hidden


def test_a_folder_keeps_one_version(folder):
    folder.put("day/part", b"1")
    assert folder.delete_former("day") == 0
    assert folder.get("day/part") == b"1"
