"""What becomes of records, as portals have been seen to tell it: restored ones, ids of merged ones,
archived ones in the search, e-mail events that share an id."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from hubspot_assets.sandbox.stamps import DAY, iso, milliseconds, moment
from hubspot_assets_tests.sandbox.conftest import NOW, walk

LIST = "/crm/objects/2026-09/contacts"
MERGED = "hs_merged_object_ids"


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


def batch(http: Any, *ids: object, **query: str) -> Any:
    asked = {"inputs": [{"id": str(each)} for each in ids], "propertiesWithHistory": [MERGED]}
    return http.post(f"{LIST}/batch/read", json=asked, params=query)


def test_a_merge_gives_a_new_id_under_which_both_are_found(served: Any) -> None:
    sandbox, http = served(records=80)
    portal = sandbox.portal
    first, second, third, *rest = portal.live_ids("0-1", NOW)
    portal.merge("0-1", first, second, NOW - timedelta(hours=2))
    made = portal.fate("0-1", second, NOW).merged_into
    portal.merge("0-1", made, third, NOW - timedelta(hours=1))
    last = portal.fate("0-1", third, NOW).merged_into
    assert len({first, second, third, made, last}) == 5
    assert [int(each["id"]) for each in walk(http, LIST, limit=100)] == [last, *rest]
    for asked in (first, second, made, third, last):
        assert http.get(f"{LIST}/{asked}").json()["id"] == str(last)
    answer = batch(http, first, second, made, third, rest[0])
    assert answer.status_code == 200
    assert [each["id"] for each in answer.json()["results"]] == [str(last), str(rest[0])]
    told = answer.json()["results"][0]["propertiesWithHistory"][MERGED]
    assert {
        tuple(map(int, each["value"].split(";"))): each["timestamp"]
        for each in told
        if each["timestamp"] > "2026-11-23"
    } == {
        (second, first): "2026-11-23T13:30:00.000Z",
        (third, made): "2026-11-23T14:30:00.000Z",
    }
    later = [(portal.fate("0-1", each, NOW).at.hour, each) for each in (first, second, made, third)]
    assert [hour for hour, _ in later] == [13, 13, 14, 14]
    then = NOW - timedelta(minutes=90)
    assert [made, third, *rest] == list(portal.live_ids("0-1", then))
    assert portal.record("0-1", last, then) is None
    assert portal.record("0-1", made, NOW) is None
    assert http.get(f"{LIST}/{last + 1}").status_code == 404


def test_a_merge_by_plan_leads_on_and_tells_when(portal: Any, http: Any) -> None:
    chains = merges = 0
    for type_id in ("0-1", "0-2", "0-3", "0-5"):
        life, now = portal.life(type_id), portal.clock.now()
        for index in range(life.created_count(now)):
            fate = life.away(index, now)
            if fate is None or fate.kind != "merged":
                continue
            lost = life.record_id(index, fate.at - 1)
            survivor = life.survivor(index, now)
            chains += survivor != fate.survivor
            path = f"/crm/v3/objects/{type_id}/{lost}"
            told = http.get(path, params={"propertiesWithHistory": MERGED}).json()
            assert told["id"] == str(life.record_id(survivor, now))
            entries = told["propertiesWithHistory"][MERGED]
            found = [e["timestamp"] for e in entries if str(lost) in e["value"].split(";")]
            assert min(found) == iso(fate.at)
            merges += 1
    assert merges > 10
    assert chains


def test_contacts_kept_their_ids_once_and_always_where_that_is_set(served: Any) -> None:
    old, new = (served(records=400, primary_ids_last=each)[0].portal for each in (True, False))
    for each in (old, new):
        life = each.life("0-1")
        mergers = [m for i in range(400) for m in life.mergers(i, each.clock.now())]
        kept = {moment(m.at).year < 2025: m.before == m.after for m in mergers}
        assert kept == {True: True, False: each is old}


def test_the_history_of_both_is_in_what_a_merge_leaves(served: Any) -> None:
    sandbox, _ = served(records=80)
    portal = sandbox.portal
    first, second, *_ = portal.live_ids("0-1", NOW)
    before = [portal.record("0-1", each, NOW) for each in (first, second)]
    portal.merge("0-1", first, second, NOW)
    made = portal.record("0-1", portal.fate("0-1", second, NOW).merged_into, NOW)
    taken = 0
    for name, entries in before[0].histories.items():
        mine = before[1].histories.get(name, [])
        if mine:
            assert made.properties[name] == before[1].properties[name]
        taken += {*entries} <= {*made.histories.get(name, ())} and {*entries} != {*mine}
    assert taken > 10


def test_merged_ids_may_be_missing_instead(served: Any) -> None:
    sandbox, http = served(primary_ids_last=True, merged_ids_lead_on=False)
    first, second, *_ = sandbox.portal.live_ids("0-1", NOW)
    sandbox.portal.merge("0-1", first, second, NOW)
    answer = batch(http, first, second)
    assert answer.status_code == 207
    assert answer.json()["errors"][0]["context"] == {"ids": [str(first)]}
    assert [each["id"] for each in answer.json()["results"]] == [str(second)]


def test_a_record_can_be_archived_restored_and_archived_again(served: Any) -> None:
    sandbox, http = served(records=40)
    portal, (contact, *_) = sandbox.portal, sandbox.portal.live_ids("0-1", NOW)
    for hours, do in ((5, portal.archive), (4, portal.restore), (3, portal.archive)):
        do("0-1", contact, NOW - timedelta(hours=hours))
    there = [
        contact in portal.live_ids("0-1", NOW - timedelta(minutes=minutes))
        for minutes in (330, 270, 210, 150)
    ]
    assert there == [True, False, True, False]
    archived = http.post(
        f"{LIST}/batch/read?archived=true",
        json={"inputs": [{"id": str(contact)}], "propertiesWithHistory": ["createdate"]},
    ).json()["results"]
    assert [each["archivedAt"] for each in archived] == ["2026-11-23T12:30:00.000Z"]
    assert archived[0]["propertiesWithHistory"]["createdate"]
    changes = portal.record_changes("0-1", NOW - timedelta(hours=15), NOW)
    assert [each.kind for each in changes if each.record_id == contact] == [
        "archived", "restored", "archived",
    ]  # fmt: skip
    portal.erase("0-1", contact, NOW - timedelta(hours=1))
    assert portal.fate("0-1", contact, NOW).kind == "erased"
    assert str(contact) not in [each["id"] for each in walk(http, LIST, archived="true")]


def test_nobody_edits_what_is_in_the_bin(served: Any) -> None:
    portal = served(records=40)[0].portal
    edited = [each.name for each in portal.properties("0-1") if each.life == "edited"]
    start, end = NOW - timedelta(days=80), NOW - timedelta(days=1)
    ids = [
        each
        for each in portal.live_ids("0-1", start)
        if (record := portal.record("0-1", each, NOW))
        and record.archived_at is None
        and MERGED not in record.properties
    ]

    def edits() -> int:
        records = [portal.record("0-1", each, NOW, full_history=True) for each in ids]
        return sum(
            start < entry.timestamp < end
            for record in records
            for name in edited
            for entry in record.histories.get(name, ())
        )

    assert edits() > 10
    for each in ids:
        portal.archive("0-1", each, start)
        portal.restore("0-1", each, end)
    assert edits() == 0


def test_some_are_restored_by_plan_and_worked_out_anew(portal: Any) -> None:
    life, now, restored = portal.life("0-1"), portal.clock.now(), 0
    for index in range(life.created_count(now)):
        back = life.restored(index, now)
        if back is None:
            continue
        ended = life.fate(index)
        assert ended.kind == "archived"
        assert ended.at < back < ended.at + 90 * DAY
        record = portal.record("0-1", life.record_id(index, now), NOW)
        assert record.updated_at >= moment(back)
        rollups = record.histories.get("num_associated_deals")
        restored += bool(rollups and moment(back) in {each.timestamp for each in rollups})
    assert restored


def test_a_lower_id_may_be_created_later(portal: Any) -> None:
    made = [portal.record("0-1", each, NOW).created_at for each in portal.live_ids("0-1", NOW)]
    later = [(a - b).total_seconds() for a, b in pairwise(made) if a > b]
    assert later
    assert max(later) < 9_000
    missing = 0
    life = portal.life("0-1")
    for index in range(400):
        at = moment(life.created(index + 1))
        if life.created(index) > life.created(index + 1):
            ids = [life.record_id(each, milliseconds(at)) for each in (index, index + 1)]
            live = set(portal.live_ids("0-1", at))
            assert (ids[0] in live, ids[1] in live) == (False, True)
            assert len(live) == portal.live_count("0-1", at)
            missing += 1
    assert missing


def test_values_are_stored_later_than_they_are_stamped(served: Any) -> None:
    """What is stamped can be read after five minutes; by then nothing is missing."""
    sandbox, _ = served(records=300)
    portal, life = sandbox.portal, sandbox.portal.life("0-1")
    names = portal.properties("0-1")
    waits = list[int]()
    dates = 0
    for index in range(0, 300, 3):
        record = life.record(index, milliseconds(NOW))
        merged = life.mergers(index, milliseconds(NOW))
        if merged or not life.is_live(index, milliseconds(NOW)):
            continue
        for number, changes in record.history.items():
            at = changes[-1][0]
            if at == record.created:
                continue
            for wait in (0, 7_001, 60_001, 303_500):
                seen = life.readable(index, at + wait).history.get(number, [])
                if seen and seen[-1][0] >= at:
                    waits.append(wait)
                    break
            else:
                raise AssertionError((index, names[number].name))
        dates += life.dated(index, record.updated) < record.updated
        assert life.dated(index, record.updated + 60_200) >= record.updated
        assert life.readable(index, record.updated).updated == life.dated(index, record.updated)
    shares = {wait: count / len(waits) for wait, count in Counter(waits).items()}
    assert 0.6 < shares[0] < 0.8
    assert shares[7_001] > shares[60_001] > shares[303_500] > 0
    assert dates > 50


def test_time_may_go_on_while_records_are_read(served: Any) -> None:
    sandbox, http = served(records=40, tick_ms=2_000)
    walk(http, LIST, limit=10)
    calls = sum(sandbox.requests.values())
    assert calls > 3
    assert sandbox.portal.clock.datetime() == NOW + timedelta(seconds=2 * calls)


@pytest.mark.slow
def test_what_happens_on_a_day_leads_from_one_state_to_the_next(served: Any) -> None:
    """The changes of a day, applied to the records before it, give those after it."""
    portal = served(records=400)[0].portal
    kinds = Counter[str]()
    for type_id in ("0-1", "0-3", "0-5"):
        for days in range(0, 700, 70):
            end = NOW - timedelta(days=days)
            start = end - timedelta(days=70)
            there, gone = set(portal.live_ids(type_id, start)), timedelta(milliseconds=1)
            changes = portal.record_changes(type_id, start + gone, end + gone)
            kinds.update(each.kind for each in changes)
            order = sorted(
                (each for each in changes if each.kind != "updated"),
                key=lambda each: (each.at, each.kind == "merged"),
            )
            for each in order:
                if each.kind in ("created", "restored"):
                    there.add(each.record_id)
                else:
                    there.discard(each.record_id)
            assert there == set(portal.live_ids(type_id, end))
            for each in changes[::10]:
                if each.kind == "updated":
                    values = [portal.record(type_id, each.record_id, at) for at in (start, end)]
                    for name in each.properties:
                        before, after = (it.properties.get(name) or None for it in values)
                        assert before != after
                elif each.kind == "merged":
                    assert portal.fate(type_id, each.record_id, end).at == each.at
    assert {*kinds} == {"created", "updated", "archived", "restored", "erased", "merged"}


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
