"""Few looks at a store tell what there is of readings."""

from datetime import UTC, datetime, timedelta

import pytest

from hubspot_assets.readings.listing import Listing
from hubspot_assets.readings.reading import Name
from hubspot_assets.storage import open_store

NAMES = [Name.new(datetime(2026, 11, 23, tzinfo=UTC) + timedelta(days=day)) for day in range(3)]


class Looked:
    """A store that notes what is listed."""

    def __init__(self, root):
        self.store = open_store(root)
        self.looks = []

    def put(self, source, name, *files):
        for file in files:
            self.store.put(f"readings/{source}/{name}/{file}", b"{}")

    def list(self, prefix):
        self.looks.append(prefix)
        return self.store.list(prefix)


@pytest.fixture
def store(tmp_path):
    store = Looked(tmp_path)
    for source in ("objects/0-1", "objects/0-11", "objects/0-2", "owners"):
        store.put(source, NAMES[1], "_reading.json")
        store.put(source, NAMES[0], "00000.records.parquet", "_reading.json")
    return store


def test_a_family_is_listed_at_its_second_source(store):
    listing = Listing(store)
    for source in ("objects/0-1", "objects/0-1", "objects/0-11", "objects/0-2", "objects/0-3"):
        listing.of(source)
    assert store.looks == ["readings/objects/0-1", "readings/objects"]
    assert list(listing.of("objects/0-11").items()) == [
        (NAMES[0], ["00000.records.parquet", "_reading.json"]),
        (NAMES[1], ["_reading.json"]),
    ]
    assert listing.of("objects/0-3") == {}
    assert listing.sources("objects") == ["objects/0-1", "objects/0-11", "objects/0-2"]
    assert listing.sources("owners") == ["owners"]
    assert store.looks[2:] == ["readings/owners"]


def test_what_changes_is_looked_at_anew(store):
    listing = Listing(store)
    assert NAMES[2] not in listing.of("objects/0-1")
    listing.forget("objects/0-1")
    store.put("objects/0-1", NAMES[2], "_reading.json")
    assert NAMES[2] in listing.of("objects/0-1")
