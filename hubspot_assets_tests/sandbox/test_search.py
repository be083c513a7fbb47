"""The search API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Portal
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.stamps import milliseconds as ms
from hubspot_assets_tests.sandbox.conftest import NOW

PATH = "/crm/objects/2026-09"


def search(http: httpx.Client, kind: str, **asked: Any) -> dict[str, Any]:
    answer = http.post(f"{PATH}/{kind}/search", json=asked)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def refused(http: httpx.Client, status: int = 400, **asked: Any) -> str:
    answer = http.post(f"{PATH}/contacts/search", json=asked)
    assert answer.status_code == status, answer.text
    return str(answer.json()["message"])


def one(name: str, operator: str, value: object = None, **more: Any) -> dict[str, Any]:
    given = {} if value is None else {"value": value}
    return {"propertyName": name, "operator": operator, **given, **more}


def truth(portal: Portal, kind: str, name: str) -> dict[str, str | None]:
    records = (portal.record(kind, each, NOW) for each in portal.live_ids(kind, NOW))
    return {str(each.record_id): each.properties.get(name) or None for each in records if each}


def found(http: httpx.Client, kind: str, *filters: dict[str, Any]) -> set[str]:
    page = search(http, kind, filters=list(filters), limit=200)
    assert page["total"] == len(page["results"])
    return {each["id"] for each in page["results"]}


def test_everything_by_default_oldest_first(http: httpx.Client, portal: Portal) -> None:
    page = search(http, "contacts")
    assert page["total"] == portal.live_count("0-1", NOW)
    assert len(page["results"]) == 10
    assert page["paging"] == {"next": {"after": "10"}}
    rest = search(http, "contacts", after=10, limit=200)
    assert rest["results"] == search(http, "contacts", after="10", limit=200)["results"]
    ids = [int(each["id"]) for each in page["results"] + rest["results"]]
    assert ids == list(portal.live_ids("0-1", NOW))[: len(ids)]
    assert "propertiesWithHistory" not in page["results"][0]


def test_operators(http: httpx.Client, portal: Portal) -> None:
    stages = truth(portal, "0-3", "dealstage")
    won = {each for each, stage in stages.items() if stage == "closedwon"}
    assert won
    assert found(http, "deals", one("dealstage", "EQ", "closedwon")) == won
    assert found(http, "deals", one("dealstage", "NEQ", "closedwon")) == set(stages) - won
    some = ["closedwon", "closedlost"]
    chosen = {each for each, stage in stages.items() if stage in some}
    assert found(http, "deals", one("dealstage", "IN", values=some)) == chosen
    assert found(http, "deals", one("dealstage", "NOT_IN", values=some)) == set(stages) - chosen

    amounts = truth(portal, "0-3", "amount")
    having = {each: float(value) for each, value in amounts.items() if value}
    assert found(http, "deals", one("amount", "HAS_PROPERTY")) == set(having)
    assert found(http, "deals", one("amount", "NOT_HAS_PROPERTY")) == set(amounts) - set(having)
    tests: dict[str, Callable[[float, float], bool]] = {"GT": gt, "GTE": ge, "LT": lt, "LTE": le}
    for operator, test in tests.items():
        expected = {each for each, value in having.items() if test(value, 50_000)}
        assert found(http, "deals", one("amount", operator, 50_000)) == expected
    between = one("amount", "BETWEEN", "20000", highValue="50000")
    expected = {each for each, value in having.items() if 20_000 <= value <= 50_000}
    assert found(http, "deals", between) == expected

    names = truth(portal, "0-3", "dealname")
    renewals = {each for each, name in names.items() if name and "renewal" in name.lower()}
    assert renewals
    assert found(http, "deals", one("dealname", "CONTAINS_TOKEN", "Renewal")) == renewals
    assert found(http, "deals", one("dealname", "CONTAINS_TOKEN", "renew*")) == renewals
    without = found(http, "deals", one("dealname", "NOT_CONTAINS_TOKEN", "renewal"))
    assert without == set(names) - renewals


def test_groups_are_alternatives(http: httpx.Client, portal: Portal) -> None:
    first, second, *_ = map(str, portal.live_ids("0-1", NOW))
    page = search(
        http,
        "contacts",
        filterGroups=[
            {"filters": [one("hs_object_id", "EQ", first)]},
            {"filters": [one("hs_object_id", "EQ", int(second)), one("email", "HAS_PROPERTY")]},
        ],
    )
    assert {first} <= {each["id"] for each in page["results"]} <= {first, second}


@pytest.mark.samples(1)
@pytest.mark.parametrize("form", ["text", "number", "iso"])
def test_times_in_every_form(http: httpx.Client, portal: Portal, form: str) -> None:
    since = 1_795_000_000_000
    value = {"text": str(since), "number": since, "iso": "2026-11-18T11:06:40.000Z"}[form]
    records = [portal.record("0-1", each, NOW) for each in portal.live_ids("0-1", NOW)]
    expected = {
        str(each.record_id)
        for each in records
        if each and each.updated_at.timestamp() * 1000 > since
    }
    assert expected
    assert found(http, "contacts", one("lastmodifieddate", "GT", value)) == expected
    # Contacts keep their modified date under another name than all other types.
    assert not found(http, "contacts", one("hs_lastmodifieddate", "GT", value))


def test_sorting(http: httpx.Client) -> None:
    def by(name: str, direction: str) -> list[Any]:
        rule = {"propertyName": name, "direction": direction}
        page = search(http, "deals", sorts=[rule], properties=[name], limit=200)
        return [each["properties"][name] for each in page["results"]]

    ids = by("hs_object_id", "DESCENDING")
    assert ids == by("hs_object_id", "ASCENDING")[::-1]
    stamps = by("hs_lastmodifieddate", "DESCENDING")
    assert stamps == sorted(stamps, reverse=True)
    amounts = [float(value) for value in by("amount", "ASCENDING") if value]
    assert amounts == sorted(amounts)


def test_query_text(http: httpx.Client) -> None:
    page = search(http, "contacts", query="ada.0@")
    assert [each["properties"]["email"] for each in page["results"]] == ["ada.0@ada.example.com"]


def test_caps(http: httpx.Client) -> None:
    refused(http, limit=201)
    refused(http, limit=0)
    assert "10000" in refused(http, after="9990", limit=11)
    assert search(http, "contacts", after="9990", limit=10)["results"] == []
    a_filter = one("email", "HAS_PROPERTY")
    refused(http, filterGroups=[{"filters": [a_filter]}] * 6)
    refused(http, filterGroups=[{"filters": [a_filter] * 7}])
    refused(http, filterGroups=[{"filters": [a_filter] * 4}] * 5)
    refused(http, sorts=[{"propertyName": "email"}, {"propertyName": "phone"}])
    assert "3000" in refused(http, properties=["x" * 3_000])
    refused(http, filters=[one("email", "LIKE", "x")])
    refused(http, filters=[one("email", "EQ")])
    refused(http, filters=[one("no_such_property", "EQ", "x")])
    refused(http, 500, filters=[one("lastmodifieddate", "GT", 0)])


def test_the_index_lags_behind(served: Any) -> None:
    day = 86_400_000
    sandbox, http = served(records=400, index_lag_ms=30 * day)
    portal = sandbox.portal
    listed = portal.live_count("0-1", NOW)
    page = search(
        http, "contacts", sorts=[{"propertyName": "createdate", "direction": "DESCENDING"}]
    )
    assert page["total"] < listed
    now = portal.clock.now()
    newest = portal.life("0-1").index_of(int(page["results"][0]["id"]), now)
    assert newest is not None
    assert portal.life("0-1").created(newest) <= now - 30 * day


def by_id(operator: str, value: object, **more: Any) -> dict[str, Any]:
    return one("hs_object_id", operator, value, **more)


def test_counting_ranges_of_ids(http: httpx.Client, portal: Portal) -> None:
    """The same totals whether the filters are ids alone, or something that all records pass."""
    ids = list(portal.live_ids("0-1", NOW))
    low, high = ids[37], ids[301]
    ranges = {
        (low, high): [by_id("GTE", low), by_id("LT", high)],
        (low + 1, high + 1): [by_id("GT", str(low)), by_id("LTE", str(high))],
        (low, high + 1): [by_id("BETWEEN", low, highValue=high)],
        (0, low): [by_id("LT", low)],
        (high, high + 1): [by_id("EQ", high)],
        (low - 1, low): [by_id("EQ", low - 1)],
        (high, low): [by_id("GTE", high), by_id("LT", low)],
        (0, 10**15): [by_id("LT", 10**15)],
    }
    for (first, end), filters in ranges.items():
        expected = [str(each) for each in ids if first <= each < end]
        for more in ([], [one("createdate", "HAS_PROPERTY")]):
            page = search(http, "contacts", filters=[*filters, *more], limit=200)
            assert page["total"] == len(expected)
            assert [each["id"] for each in page["results"]] == expected[:200]
    either = [{"filters": [by_id("EQ", low)]}, {"filters": [by_id("EQ", high)]}]
    assert search(http, "contacts", filterGroups=either)["total"] == 2


def test_going_on_by_id_tells_everything_once(http: httpx.Client, portal: Portal) -> None:
    ids, last = list[str](), 0
    window = [one("lastmodifieddate", "GTE", ms(NOW - timedelta(days=300)))]
    by = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    expected = [
        record_id
        for record_id in portal.live_ids("0-1", NOW)
        if (told := portal.record("0-1", record_id, NOW))
        and told.updated_at >= NOW - timedelta(days=300)
    ]
    while True:
        page = search(
            http, "contacts", filters=[*window, by_id("GT", last)], sorts=by, limit=50
        )  # fmt: skip
        assert page["total"] == len(expected) - len(ids)
        if not page["results"]:
            break
        ids += [each["id"] for each in page["results"]]
        last = int(ids[-1])
    assert [int(each) for each in ids] == expected
    assert len(ids) > 100


def test_the_index_finds_what_was_and_tells_what_is(served: Any) -> None:
    sandbox, http = served(records=400, index_lag_ms=30 * DAY)
    portal, then = sandbox.portal, NOW - timedelta(days=30)
    until = one("lastmodifieddate", "LT", ms(then - timedelta(days=10)))
    page = search(http, "contacts", filters=[until], limit=200)
    moved = [each for each in page["results"] if each["updatedAt"] > iso(ms(then))]
    assert moved, "changed since, so that it lies outside of what was asked for"
    for each in moved:
        told = portal.record("0-1", int(each["id"]), NOW)
        assert told.updated_at == datetime.fromisoformat(each["updatedAt"])
    life, moments = portal.life("0-1"), (ms(then), ms(NOW))
    both = sum(all(life.is_live(index, at) for at in moments) for index in range(450))
    assert both < life.live_count(ms(then))
    assert search(http, "contacts")["total"] == both
    assert search(http, "contacts", filters=[by_id("GT", 0)])["total"] == both
