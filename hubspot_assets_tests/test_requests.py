"""How many requests a reading takes, as the portal counts them."""

import pytest

from hubspot_assets.assets.resources import connect
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.records import extract_records
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.days import day_of

LIST = ("GET /crm/objects/{objectType}", 200)
BATCH = ("POST /crm/objects/{objectType}/batch/read", 200)
CONTACTS = next(each for each in standard_catalog().object_types if each.id == "0-1")


def read(staging):
    """Stages contacts of the sandbox that the environment reaches."""
    with connect(load_settings()) as client:
        extract_items(staging, "properties/0-1", lambda: metadata.properties(client, "0-1"))
        return extract_records(client, staging, CONTACTS, portal="test", workers=2)


@pytest.mark.samples(1)
@pytest.mark.parametrize(("properties", "most"), [(120, 23), (None, 34)])
def test_requests_per_thousand_records(properties, most, reach, tmp_path):
    config = PortalConfig(
        records=1000, now=READ_AT, burst=100_000, contact_properties=properties, uri_limit=6_000
    )
    with serve(config) as sandbox:
        reach(sandbox)
        staged = read(Staging(open_store(tmp_path / "state"), day_of(DAY)))
        asked = sandbox.requests[LIST] + sandbox.requests[BATCH]
        assert staged.counts["records"] == sandbox.portal.live_count("0-1", READ_AT) > 900
    assert asked / staged.counts["records"] * 1000 <= most
    assert asked >= staged.counts["records"] / 50
