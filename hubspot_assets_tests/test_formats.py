"""Versions follow one another, and stand beside each other, over one export and its state."""

import json
import shutil

import pytest

from hubspot_assets.export import read_manifest
from hubspot_assets.storage import StoreError, open_store
from hubspot_assets_tests.conftest import DAY, FEW_EVENTS, set_environment
from hubspot_assets_tests.test_commands import digests, fails, run

EXPORT = ("export", "--day", DAY, "--select", "OWNERS", "--select", "PIPELINES")


@pytest.fixture(scope="module")
def first(shared_sandbox, tmp_path_factory):
    """An export of some tables of a day, made once."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"OBJECT_TYPES": "deals,companies", "EVENT_TYPES": FEW_EVENTS}
        folder = set_environment(patch, shared_sandbox, tmp_path_factory.mktemp("first"), **few)
        assert run(*EXPORT)[0] == 0
    return folder


@pytest.fixture
def exported(first, reach, shared_sandbox):
    """The folder of a copy of it, to which is exported."""
    return shutil.copytree(first, reach(shared_sandbox))


def rewrite(folder, change, pattern="**/*.json"):
    """Changes what JSON files hold; gives how many there are."""
    files = [each for each in folder.glob(pattern) if "_leases" not in each.parts]
    for file in files:
        file.write_text(json.dumps(change(json.loads(file.read_text()))))
    return len(files)


def parts(folder):
    return {path: digest for path, digest in digests(folder).items() if path.endswith(".gz")}


def without_formats(told):
    return {name: each for name, each in told.items() if name != "format"}


def with_more(told):
    """The same, in which a later version has added something everywhere."""
    if isinstance(told, list):
        return [with_more(each) for each in told]
    if not isinstance(told, dict):
        return told
    as_they_are = {name: told[name] for name in ("counts", "sources") if name in told}
    return {name: with_more(each) for name, each in told.items()} | {"more": [1]} | as_they_are


def test_what_versions_without_formats_kept_is_read(exported, shared_sandbox):
    before, asked = parts(exported), shared_sandbox.requests["GET /crm/owners/2026-09"]
    catalog = (exported / "_state" / "catalog.json").read_text()
    assert rewrite(exported, without_formats) > 5
    (exported / "_state" / "catalog.json").write_text(catalog)  # which always told its own
    assert run(*EXPORT)[0] == 0
    assert parts(exported) == before
    assert shared_sandbox.requests["GET /crm/owners/2026-09"] == asked


def test_what_a_later_version_has_added_is_left_out(exported):
    before = parts(exported)
    for name in ("_portal.json", f"{DAY}/**/_manifest.json", "_state/**/_reading.json"):
        assert rewrite(exported, with_more, name)
    rewrite(exported, lambda told: told | {"more": 1}, "_state/catalog.json")
    assert run(*EXPORT)[0] == 0
    assert parts(exported) == before


@pytest.mark.parametrize(
    "name",
    [
        "_portal.json",
        "_state/_portal.json",
        "_state/catalog.json",
        "_state/readings/owners/*/_reading.json",
    ],
)
def test_what_a_newer_version_keeps_otherwise_is_refused_and_left(exported, name):
    assert rewrite(exported, lambda told: told | {"format": 99}, name) == 1
    (file,) = exported.glob(name)
    before = parts(exported), file.read_text()
    fails(1, f"{file} is of format 99, of a newer version of hubspot-assets; this one", *EXPORT)
    assert (parts(exported), file.read_text()) == before


def test_a_reader_refuses_a_newer_manifest(exported):
    rewrite(exported, lambda told: told | {"format": 2}, f"{DAY}/OWNERS/_manifest.json")
    with pytest.raises(StoreError, match=r"of OWNERS, .*, is of format 2, of a newer"):
        read_manifest(open_store(exported), DAY, "OWNERS")
