"""The portal's catalog is kept where every host finds it."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer

from hubspot_assets.catalog_place import CatalogPlace
from hubspot_assets.definitions import JOB
from hubspot_assets.hubspot.catalog import Catalog, CatalogError, standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import StoreError, open_store
from hubspot_assets_tests.conftest import place
from hubspot_assets_tests.test_commands import run

PORTAL = replace(standard_catalog(), portal_id=7, linked=(("0-1", "0-2"),), discovered_at="2026")
FORMER = Path(".hubspot-assets/catalog.json")


def loaded():
    """The code location, as Dagster loads it."""
    pointer = CodePointer.from_module("hubspot_assets.definitions", "defs", working_directory=None)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        return initialize_repository_def_from_pointer(pointer)


def test_it_is_the_same_when_loaded(store):
    assert CatalogPlace(store).load() == standard_catalog()
    assert CatalogPlace(store).save(PORTAL) == PORTAL
    assert CatalogPlace(store).load() == PORTAL
    assert [each.path for each in store.list()] == ["catalog.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"format": 0}', b'{"format": 1, "object_types": [{}]}'],
)
def test_what_is_no_catalog_is_an_error_that_says_what_to_do(content, store):
    store.put("catalog.json", content)
    kept = CatalogPlace(store)
    for ask in (kept.load, lambda: kept.note_linked([("0-1", "0-2")])):
        with pytest.raises(CatalogError, match="run: hubspot-assets discover") as found:
            ask()
        assert kept.url in str(found.value)
    assert kept.save(PORTAL) == kept.load() == PORTAL


def test_one_that_can_not_be_written_leaves_the_former(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        CatalogPlace(open_store(tmp_path / "file")).save(PORTAL)
    kept = CatalogPlace(open_store(tmp_path))
    kept.save(PORTAL)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="no space left"):
        kept.save(Catalog(()))
    assert kept.load() == PORTAL


def test_what_many_see_linked_at_once_is_all_kept(store):
    CatalogPlace(store).save(PORTAL)
    pairs = [("0-1", f"0-{number}") for number in range(3, 27)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: CatalogPlace(store).note_linked([pair]), pairs))
    assert set(CatalogPlace(store).load().linked) == {*PORTAL.linked, *pairs}


def test_what_is_known_to_be_linked_is_not_asked_for_again(folder):
    kept = CatalogPlace(folder)
    kept.save(PORTAL)
    assert kept.note_linked([("0-2", "0-1")]) == []
    folder.put("catalog.json", b"{half")
    assert kept.note_linked([("0-1", "0-2")]) == []


@pytest.fixture
def former():
    """Notes a catalog where earlier versions kept it for a state root in a bucket."""

    def note(catalog):
        FORMER.parent.mkdir(exist_ok=True)
        FORMER.write_bytes(catalog.to_json())

    return note


def test_hosts_of_a_bucket_find_what_one_of_them_has_discovered(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("OBJECT_TYPES", "cars")
    assert f"kept in {place().url}" in run("discover")[1]
    (tmp_path / "another host").mkdir()
    monkeypatch.chdir(tmp_path / "another host")
    assert "OBJECTS_CARS" in loaded().get_job(JOB).graph.node_dict


def test_the_code_location_reads_one_object_of_a_bucket(aws):
    assert run("discover")[0] == 0
    aws.calls.clear()
    loaded()
    assert len(aws.calls) == 1, aws.calls


def test_a_former_catalog_is_taken_over_and_left(aws, former):
    assert run("discover")[0] == 0
    there = place().load()
    seen = ("0-1", "0-999")
    former(there.with_linked([seen]))
    assert seen in place().load().linked
    assert run("discover")[0] == 0
    assert FORMER.exists(), "an earlier version goes on with it"
    FORMER.unlink()
    assert seen in place().load().linked
    former(replace(there, portal_id=1).with_linked([("0-1", "0-998")]))
    assert ("0-1", "0-998") not in place().load().linked
    FORMER.write_text("{half")
    assert seen in place().load().linked


def test_a_former_catalog_serves_a_bucket_that_has_none_yet(aws, former):
    former(PORTAL)
    assert place().load() == PORTAL
    assert place().note_linked([("0-1", "0-3")]) == [("0-1", "0-3")]
    FORMER.unlink()
    assert place().load() == PORTAL.with_linked([("0-1", "0-3")])


def test_a_former_catalog_is_none_of_several_portals(aws, former, monkeypatch, tmp_path):
    former(PORTAL)
    url = load_settings().export_url
    (tmp_path / "portals.toml").write_text(f"[acme]\nEXPORT_URL = '{url}/acme'\n")
    monkeypatch.setenv("PORTALS_FILE", str(tmp_path / "portals.toml"))
    monkeypatch.setenv("PORTAL_NAME", "acme")
    assert place().load() == standard_catalog()


def test_a_former_catalog_of_another_portal_is_no_obstacle(aws, former):
    former(PORTAL)
    assert run("discover")[0] == 0
    assert place().load().portal_id not in (None, PORTAL.portal_id)


def test_a_store_that_can_not_be_reached_is_told_soon_and_in_one_line(aws, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("hubspot_assets.assets.resources._IMPATIENT", 1)
        started = time.monotonic()
        with pytest.raises(StoreError, match=r"^s3://.*catalog.json: cannot reach S3; [^\n]*$"):
            loaded()
        assert time.monotonic() - started < 30


def test_a_bucket_that_refuses_is_no_portal_that_was_not_discovered(aws, monkeypatch):
    monkeypatch.setenv("EXPORT_URL", "s3://no-such-bucket/prefix")
    with pytest.raises(StoreError, match="the bucket does not exist"):
        loaded()


def test_a_file_of_one_s_own_is_read_without_the_store(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("CATALOG_FILE", str(tmp_path / "mine.json"))
    assert run("discover")[0] == 0
    assert json.loads((tmp_path / "mine.json").read_bytes())["portal_id"]
    aws.calls.clear()
    loaded()
    assert aws.calls == []
