"""Whose a folder or a bucket's prefix is."""

import json
import logging

import pytest

from hubspot_assets.storage import OtherPortalError, StoreError
from hubspot_assets.storage.owner import Owner, owned


@pytest.fixture
def warned(caplog):
    """Gives what has been warned of."""
    return lambda: [each.message for each in caplog.records if each.levelno == logging.WARNING]


def test_a_store_becomes_that_of_the_first_portal_and_of_no_other(store, warned):
    assert owned(store, None, "EXPORT_URL") is None
    assert list(store.list()) == []
    assert owned(store, 7, "EXPORT_URL") == 7
    assert json.loads(store.get("_portal.json")) == {"portal_id": 7, "format": 1}
    assert owned(store, 7, "EXPORT_URL") == owned(store, None, "EXPORT_URL") == 7
    url = store.url_of("_portal.json").removesuffix("/_portal.json")
    with pytest.raises(OtherPortalError, match=f"^EXPORT_URL: found {url}, which is portal 7's"):
        owned(store, 8, "EXPORT_URL")
    assert [entry.path for entry in store.list()] == ["_portal.json"]
    assert not warned()


@pytest.mark.parametrize(
    "path", ["catalog.json", "_state/catalog.json", "2026-11-22/OWNERS/_manifest.json"]
)
def test_a_store_without_a_mark_tells_by_what_is_in_it(store, path, warned):
    store.put(path, b'{"portal_id": 7}')
    store.put("2026-11-21/OWNERS/_manifest.json", b'{"portal_id": 9}')
    with pytest.raises(OtherPortalError):
        owned(store, 8, "EXPORT_URL")
    assert not store.exists("_portal.json")
    assert owned(store, 7, "EXPORT_URL") == 7
    assert store.exists("_portal.json")
    assert not warned()


def test_a_store_that_tells_of_no_portal_is_claimed_aloud(store, warned):
    store.put("2026-11-22/OWNERS/_manifest.json", b'{"day": "2026-11-22"}')
    store.put("catalog.json", b"{half")
    owner = Owner(store, "EXPORT_URL")
    owner.expect(7)
    assert owner.portal_id is None
    for _ in range(2):
        owner.claim(7)
        assert owned(store, 7, "EXPORT_URL") == 7
    (said,) = warned()
    assert "tells of no portal" in said


def test_of_two_portals_that_claim_a_store_at_once_one_is_refused(store):
    first, second, again = (Owner(store, "EXPORT_URL") for _ in range(3))
    first.claim(7)
    with pytest.raises(OtherPortalError, match="which is portal 7's, expected a place of portal 8"):
        second.claim(8)
    again.claim(7)
    assert json.loads(store.get("_portal.json")) == {"portal_id": 7, "format": 1}
    assert [entry.path for entry in store.list()] == ["_portal.json"]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"portal_id": "7"}', b'{"portal_id": true}'])
def test_a_mark_that_names_no_portal_is_an_error(folder, text):
    folder.put("_portal.json", text)
    with pytest.raises(StoreError, match=r"_portal\.json names no portal"):
        owned(folder, 7, "EXPORT_URL")
