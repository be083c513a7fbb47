"""What becomes of records, as portals have been seen to tell it: restored ones, ids of merged ones,
archived ones in the search, e-mail events that share an id."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from hubspot_assets_tests.sandbox.conftest import NOW, walk

LIST = "/crm/objects/2026-09/contacts"


def test_a_restored_record_is_back_under_its_id(served: Any) -> None:
    sandbox, http = served(records=200)
    portal = sandbox.portal
    before = [each["id"] for each in walk(http, LIST, limit=100)]
    member = next(record_id for record_id, _ in portal.members(7, NOW))
    then = http.get(f"{LIST}/{member}").json()
    portal.archive("0-1", member, NOW - timedelta(days=3))
    assert str(member) not in [each["id"] for each in walk(http, LIST, limit=100)]
    with pytest.raises(ValueError, match="no archived record"):
        portal.restore("0-1", int(before[-1]), NOW)
    portal.restore("0-1", member, NOW - timedelta(days=1))
    assert [each["id"] for each in walk(http, LIST, limit=100)] == before
    now = http.get(f"{LIST}/{member}").json()
    assert (now["createdAt"], now["archived"]) == (then["createdAt"], False)
    assert now["updatedAt"] == "2026-11-22T15:30:00.000Z"
    assert str(member) not in [each["id"] for each in walk(http, LIST, archived="true")]
    assert portal.live_count("0-1", NOW) == len(before)
    assert portal.live_count("0-1", NOW - timedelta(days=2)) == sum(
        1 for _ in portal.live_ids("0-1", NOW - timedelta(days=2))
    )
    assert member not in dict(portal.members(7, NOW)), "it is on no list any more"
    searched = http.post(
        f"{LIST}/search",
        json={
            "filters": [{"propertyName": "hs_object_id", "operator": "EQ", "value": str(member)}],
            "limit": 1,
        },
    ).json()
    assert searched["results"][0]["updatedAt"] == now["updatedAt"]


def test_merged_ids_may_lead_to_their_survivor(served: Any) -> None:
    sandbox, http = served(merged_ids_lead_on=True)
    first, second, third, *_ = [each["id"] for each in walk(http, LIST, limit=100)]
    sandbox.portal.merge("0-1", int(first), int(third), NOW)
    sandbox.portal.merge("0-1", int(second), int(third), NOW)
    for asked in ([first], [first, second], [first, third]):
        answer = http.post(f"{LIST}/batch/read", json={"inputs": [{"id": each} for each in asked]})
        assert answer.status_code == 200
        assert [each["id"] for each in answer.json()["results"]] == [third]


def test_archived_records_may_linger_in_the_search(served: Any) -> None:
    for lingers in (False, True):
        sandbox, http = served(records=40, index_lag_ms=60_000, archived_linger=lingers)
        gone = next(iter(sandbox.portal.live_ids("0-1", NOW)))
        sandbox.portal.archive("0-1", gone, NOW - timedelta(seconds=30))
        found = http.post(f"{LIST}/search", json={"limit": 200}).json()["results"]
        assert (str(gone) in [each["id"] for each in found]) == lingers
        sandbox.portal.clock.set(NOW + timedelta(seconds=31))
        found = http.post(f"{LIST}/search", json={"limit": 200}).json()["results"]
        assert str(gone) not in [each["id"] for each in found]


def test_email_events_may_share_an_id(served: Any) -> None:
    sandbox, _ = served(records=400, event_ids_repeat=True)
    events = sandbox.portal.email_events(NOW - timedelta(days=9), NOW)
    ids = Counter(each["id"] for each in events)
    assert {2} < {*ids.values(), 2}
    twice = {key for key, count in ids.items() if count > 1}
    assert {each["type"] for each in events if each["id"] in twice} == {"OPEN"}
    assert len({(each["id"], each["created"]) for each in events}) == len(events)
