"""Extractions that die go on from where they were, and never spoil what was complete."""

import polars as pl
import pytest

from hubspot_assets.assets.resources import connect
from hubspot_assets.export import open_store
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.staging import extract
from hubspot_assets.staging.stage import NotStagedError, Staging
from hubspot_assets_tests.conftest import DAY, READ_AT

LIST = ("GET /crm/objects/{objectType}", 200)
BATCH = ("POST /crm/objects/{objectType}/batch/read", 200)
CONTACTS = next(each for each in standard_catalog().object_types if each.id == "0-1")
RECORDS = 700


@pytest.fixture(params=[120, None], ids=["names fit a URL", "names don't"])
def portal(request):
    config = PortalConfig(
        records=RECORDS, now=READ_AT, burst=100_000, contact_properties=request.param
    )
    with serve(config) as sandbox:
        yield sandbox


@pytest.fixture
def small_chunks(monkeypatch):
    """A checkpoint for every page."""
    monkeypatch.setattr(extract, "CHUNK_VALUES", 1)
    monkeypatch.setattr(extract, "FLATTENED_AT_ONCE", 1)


def read(staging):
    """Stages contacts of the sandbox that the environment reaches."""
    with connect(load_settings()) as client:
        extract.extract_items(staging, "properties/0-1", lambda: metadata.properties(client, "0-1"))
        return extract.extract_records(client, staging, CONTACTS, portal="test", workers=2)


def frames(staged):
    values = pl.concat([chunk.read("values") for chunk in staged.chunks()])
    records = pl.concat([chunk.read("records") for chunk in staged.chunks()])
    return records.drop("readAt"), values


def test_a_reading_that_died_goes_on_from_its_checkpoint(
    portal, reach, impatient, small_chunks, tmp_path
):
    reach(portal)
    whole = read(Staging(open_store(tmp_path / "whole"), DAY))
    undisturbed = portal.requests[LIST] + portal.requests[BATCH]
    assert whole.counts["records"] == portal.portal.live_count("0-1", READ_AT)

    staging = Staging(open_store(tmp_path / "broken"), DAY)
    portal.faults.add("bad_gateway", times=1000, path="/crm/objects/.*/(0-1|contacts)", skip=11)
    with pytest.raises(HubSpotError):
        read(staging)
    with pytest.raises(NotStagedError):
        staging.complete("objects/0-1")
    portal.faults.clear()
    before = portal.requests[LIST] + portal.requests[BATCH]
    staged = read(staging)
    again = portal.requests[LIST] + portal.requests[BATCH] - before
    assert again < undisturbed
    for found, expected in zip(frames(staged), frames(whole), strict=True):
        assert found.equals(expected)


def test_a_new_reading_replaces_the_former_one_only_when_it_is_complete(
    portal, reach, impatient, small_chunks, tmp_path
):
    reach(portal)
    staging = Staging(open_store(tmp_path / "state"), DAY)
    former = frames(read(staging))
    portal.faults.add("bad_gateway", times=1000, path="/crm/objects/.*/(0-1|contacts)", skip=4)
    with pytest.raises(HubSpotError):
        read(staging)
    for found, expected in zip(frames(staging.complete("objects/0-1")), former, strict=True):
        assert found.equals(expected)
    portal.faults.clear()
    read(staging)
    folders = [path for path in (tmp_path / "state").rglob("objects/0-1/*") if path.is_dir()]
    assert len(folders) == 1


def test_a_record_that_ends_while_it_is_read_does_no_harm(portal, reach, small_chunks, tmp_path):
    reach(portal)
    live = portal.portal.live_count("0-1", READ_AT)
    portal.faults.add("merge_first", path="/crm/objects/.*/(0-1|contacts)", skip=3)
    staged = read(Staging(open_store(tmp_path / "state"), DAY))
    records, values = frames(staged)
    assert live - 1 <= records.height <= live
    assert records["id"].is_sorted()
    assert records["id"].n_unique() == records.height
    assert set(values["id"]) == set(records["id"])


def test_a_batch_that_loses_a_record_is_asked_again_and_then_refused(
    sandbox, reach, impatient, tmp_path
):
    reach(sandbox)
    staging = Staging(open_store(tmp_path / "state"), DAY)
    sandbox.faults.add("lost_id", times=1)
    staged = read(staging)
    assert staged.counts["records"] == sandbox.portal.live_count("0-1", READ_AT)
    sandbox.faults.add("lost_id", times=1000)
    with pytest.raises(HubSpotError, match="neither returned nor reported missing"):
        read(staging)


@pytest.mark.parametrize(("properties", "most"), [(120, 22), (None, 32)])
def test_requests_per_thousand_records(properties, most, reach, tmp_path):
    config = PortalConfig(
        records=1000, now=READ_AT, burst=100_000, contact_properties=properties, uri_limit=6_000
    )
    with serve(config) as sandbox:
        reach(sandbox)
        staged = read(Staging(open_store(tmp_path / "state"), DAY))
        asked = sandbox.requests[LIST] + sandbox.requests[BATCH]
        assert staged.counts["records"] == sandbox.portal.live_count("0-1", READ_AT) > 900
    assert asked / staged.counts["records"] * 1000 <= most
    assert asked >= staged.counts["records"] / 50
