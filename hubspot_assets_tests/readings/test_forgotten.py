"""The list of who must not come back."""

from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest

from hubspot_assets.forget.people import People
from hubspot_assets.readings.forgotten import LIST, Forgotten
from hubspot_assets.readings.people import without
from hubspot_assets.storage import StoreError

NOW = datetime.now(UTC)
BEFORE, LATER = NOW.isoformat(), (NOW + timedelta(days=9)).isoformat()
ADA = People.told([("0-1", 151)], ["ada@x.com"], {"0-1": ("0-1", "CONTACT")})


def kept(store, people=ADA, *, until=LATER, for_ever=False):
    """The list of a state to which people were added."""
    more = Forgotten.of(store).with_more(people, before=BEFORE, until=until, for_ever=for_ever)
    store.put(LIST, more.to_json())
    return Forgotten.of(store)


def ids(*values):
    return pl.Series(values, dtype=pl.Int64)


def test_records_are_known_by_type_and_id(folder):
    assert not Forgotten.of(folder)
    found = kept(folder)
    for name in ("0-1", "CONTACT", "contact"):
        assert found.records(name, ids(150, 151, None)).to_list() == [False, True, False]
    assert not found.records("0-2", ids(151)).any()


def test_addresses_are_known_of_what_happened_before(folder):
    moments = pl.Series([NOW - timedelta(1), NOW + timedelta(1), None]).cast(pl.Datetime("ms"))
    texts = pl.Series(["ada@x.com"] * 3)
    assert kept(folder).addresses(texts, moments).to_list() == [True, False, False]
    assert not kept(folder).addresses(pl.Series(["bo@x.com"] * 3), moments).any()


def test_nobody_is_on_it_in_clear_nor_alike_on_two_lists(folder, tmp_path):
    from hubspot_assets.storage import open_store

    kept(folder)
    text = folder.get(LIST).decode()
    assert "151" not in orjson.loads(text)["records"]
    assert "@" not in text
    other = open_store(tmp_path / "other")
    kept(other)
    assert (
        not orjson.loads(text)["records"].keys() & orjson.loads(other.get(LIST))["records"].keys()
    )


def test_entries_expire_but_for_those_of_records_that_hubspot_serves(folder):
    past = (NOW - timedelta(1)).isoformat()
    assert not kept(folder, until=past)
    assert kept(folder, for_ever=True).records("0-1", ids(151)).all()
    assert kept(folder, until=past).records("0-1", ids(151)).all()


def test_a_list_that_can_t_be_read_is_an_error(folder):
    folder.put(LIST, b"[]")
    with pytest.raises(StoreError, match="who must not come back"):
        Forgotten.of(folder)


def frames(**columns):
    return {name: pl.DataFrame(each) for name, each in columns.items()}


@pytest.mark.parametrize("listed", [False, True])
def test_links_go_from_both_sides(folder, listed):
    who = kept(folder) if listed else ADA
    link = {"fromId": [151, 7, 8], "toId": [9, 151, 8]}
    chunk = frames(forward=link, backward=link, refused={"id": ["151", "9"], "message": ["", ""]})
    left, rows = without("associations/0-1_0-3", chunk, who)
    assert left["forward"].rows() == [(7, 151), (8, 8)]
    assert left["backward"].rows() == [(151, 9), (8, 8)]
    assert left["refused"]["id"].to_list() == ["9"]
    assert rows == 3


@pytest.mark.parametrize("listed", [False, True])
def test_events_go_with_their_values(folder, listed):
    who = kept(folder) if listed else ADA
    happened = pl.Series([NOW - timedelta(1)] * 3).cast(pl.Datetime("ms"))
    events = {
        "event": [0, 1, 2], "objectType": ["CONTACT", "0-2", None], "objectId": [151, 151, None],
        "occurredAt": happened,
    }  # fmt: skip
    values = {
        "event": [0, 1, 2], "name": ["x", "hs_recipient", "hs_recipient"],
        "value": ["", "Ada@X.com", "bo@x.com"],
    }  # fmt: skip
    left, rows = without("events/e_x", frames(events=events, values=values), who)
    assert (left["events"]["event"].to_list(), left["values"]["event"].to_list(), rows) == (
        [1, 2],
        [1, 2],
        1,
    )
    left, rows = without("email_events", frames(events=events, values=values), who)
    assert (left["events"]["event"].to_list(), left["values"]["event"].to_list(), rows) == (
        [0, 2],
        [0, 2],
        1,
    )
