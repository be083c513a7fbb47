"""Events: what happens in the portal, and that HubSpot's own client finds all of it."""

import csv
import uuid
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Occurrence, Portal, PortalConfig, Sandbox
from hubspot_assets_tests.sandbox.conftest import NOW, every_page, official_of, walk
from hubspot_assets_tests.sandbox.test_http import failed

LATEST = "/events/event-occurrences/2026-09"
DEFINITIONS = "/events/2026-03/event-definitions"
VIEWS = "e_visited_page"
IMPORTED = "pe1234567_social_media_flow___basic"
COLLIDING = ["pe1234567_key.interactions", "pe1234567_key_interactions"]
EMAIL_EVENTS = {
    "e_hs_scheduled_email_v2", "e_mta_delivered_email_v2", "e_opened_email_v2",
    "e_clicked_link_in_email_v2", "e_mta_bounced_email_v2", "e_reported_spam_email_v2",
}  # fmt: skip
Served = Callable[..., tuple[Sandbox, httpx.Client]]


def facts(name: str) -> list[dict[str, str]]:
    with files("hubspot_assets.facts").joinpath(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def days(count: float) -> datetime:
    return NOW - timedelta(days=count)


def everything(portal: Portal, start: datetime, end: datetime) -> list[Occurrence]:
    return [each for name in portal.event_types() for each in portal.events(name, start, end)]


def ids(occurrences: list[Any]) -> list[str]:
    return [each["id"] if isinstance(each, dict) else each.id for each in occurrences]


def asked(official: Any, **settings: Any) -> list[Any]:
    """Every occurrence that the official client finds, page by page."""
    return every_page(official.events.events_api.get_page, **settings)


# The facts


def test_facts_about_standard_events() -> None:
    events, properties = facts("standard_events.csv"), facts("standard_event_properties.csv")
    names = [row["name"] for row in events]
    assert names == sorted(set(names))
    assert all(name.startswith("e_") for name in names)
    known = [row["event_type_id"] for row in events if row["event_type_id"]]
    assert len(known) == len(set(known))
    assert all(each.startswith("4-") for each in known)
    assert ("e_visited_page", "4-96000") in {(r["name"], r["event_type_id"]) for r in events}
    assert {row["name"] for row in events if row["source"] == "email_events"} == EMAIL_EVENTS
    assert {row["source"] for row in events} == {"events", "email_events"}
    pairs = [(row["event"], row["name"]) for row in properties]
    assert pairs == sorted(set(pairs))
    assert {event for event, _ in pairs} <= set(names)
    types = {"string", "number", "datetime", "bool", "enumeration"}
    assert {row["type"] for row in properties} <= types


# The plan


def test_windows_tile_time(portal: Portal) -> None:
    marks = [days(3), days(2.3), days(2.3) + timedelta(milliseconds=1), days(1.99), days(1)]
    for name in (VIEWS, IMPORTED, "pe1234567_test_drive"):
        whole = list(portal.events(name, marks[0], marks[-1]))
        pieces = [list(portal.events(name, *pair)) for pair in pairwise(marks)]
        assert whole == [each for piece in pieces for each in piece]
        for piece, (start, end) in zip(pieces, pairwise(marks), strict=True):
            assert all(start <= each.occurred_at < end for each in piece)
    assert all(len(list(portal.events(VIEWS, *pair))) > 5 for pair in (marks[:2], marks[3:]))


def test_a_window_may_end_at_an_occurrence(portal: Portal) -> None:
    whole = list(portal.events(VIEWS, days(2), days(1)))
    at = whole[len(whole) // 2].occurred_at
    before, from_then = (
        list(portal.events(VIEWS, days(2), at)),
        list(portal.events(VIEWS, at, days(1))),
    )
    assert before + from_then == whole
    assert from_then[0].occurred_at == at


def test_occurrences_are_in_order_and_have_ids_of_their_own(portal: Portal) -> None:
    found = everything(portal, days(30), NOW)
    assert len(set(ids(found))) == len(found)
    assert all(uuid.UUID(each.id).version == 7 for each in found[:100])
    for name in portal.event_types():
        times = [each.occurred_at for each in found if each.event_type == name]
        assert times == sorted(times)
    assert {each.event_type for each in found} >= {VIEWS, IMPORTED, *COLLIDING}
    assert any(each.event_type == "ae171820_order_synced" for each in found)


def test_they_happen_to_live_records(portal: Portal) -> None:
    found = everything(portal, days(7), NOW)
    for each in found:
        record = portal.record(each.object_type_id, each.object_id, each.occurred_at)
        assert record is not None
        assert record.archived_at is None
    kinds = Counter(each.object_type_id for each in found)
    assert set(kinds) == {"0-1", "0-2", "0-3", "2-4410002"}
    assert kinds["0-1"] > len(found) / 2


def test_nothing_happens_to_a_record_that_was_archived() -> None:
    portal = Portal(PortalConfig(records=30, now=NOW))
    victim = next(portal.events(VIEWS, days(20), NOW))
    portal.archive("0-1", victim.object_id, victim.occurred_at)
    later = everything(portal, victim.occurred_at, NOW)
    assert later
    assert victim.object_id not in {e.object_id for e in later if e.object_type_id == "0-1"}


def test_same_seed_same_events_other_seed_other_events() -> None:
    def told(seed: int, now: datetime) -> list[Occurrence]:
        portal = Portal(PortalConfig(records=200, seed=seed, now=now))
        return everything(portal, days(3), days(1))

    assert told(7, NOW) == told(7, days(1)) == told(7, days(-300))
    assert not set(ids(told(7, NOW))) & set(ids(told(8, NOW)))


@pytest.mark.parametrize(("records", "least", "most"), [(2000, 300, 800), (20_000, 4000, 8000)])
def test_volume_grows_with_the_portal(records: int, least: int, most: int) -> None:
    portal = Portal(PortalConfig(records=records, now=NOW))
    counts = portal.event_counts(days(2), days(1))
    assert least < sum(counts.values()) < most
    assert max(counts, key=counts.__getitem__) == VIEWS
    assert counts["pe1234567_zeppelin_landed"] == 0


def test_many_share_a_millisecond(portal: Portal) -> None:
    imported = Counter(e.occurred_at for e in portal.events(IMPORTED, days(200), NOW))
    assert min(imported.values()) > 100
    large = Portal(PortalConfig(records=5000, now=NOW))
    views = Counter(each.occurred_at for each in large.events(VIEWS, days(2), days(1)))
    assert 1 < max(views.values()) < 10


def test_values_are_hostile_and_incomplete(portal: Portal) -> None:
    views = list(portal.events(VIEWS, days(60), NOW))
    text = "\0".join(value for each in views for value in each.properties.values())
    for wanted in ('"', ",", "\n", "\r\n", "مرحبا", "Ünïcödé", "null"):
        assert wanted in text
    known = {r["name"] for r in facts("standard_event_properties.csv") if r["event"] == VIEWS}
    seen = Counter(name for each in views for name in each.properties)
    assert set(seen) == {*known, "hs_new_tracking_flag"}
    assert all(0 < count < len(views) for count in seen.values())


def test_the_plan_counts_a_days_events(http: httpx.Client, portal: Portal) -> None:
    plan = http.get("/_sandbox/plan", params={"day": "2026-11-21", "timezone": "America/Lima"})
    start = datetime(2026, 11, 21, 5, tzinfo=UTC)
    found = Counter(e.event_type for e in everything(portal, start, start + timedelta(days=1)))
    assert plan.json()["events"] == {
        name: found[name] for name in portal.event_types() if name not in EMAIL_EVENTS
    }
    assert "events" not in http.get("/_sandbox/plan").json()


# Occurrences over HTTP


@pytest.mark.asks("hubspot-api-client", "GET /events/events")
@pytest.mark.parametrize("sort", [None, ["occurredAt"], ["-occurredAt"], ["ASCENDING"]])
def test_the_official_client_reads_every_occurrence(
    official: Any, portal: Portal, sort: list[str] | None
) -> None:
    for name in portal.event_types():
        truth = list(portal.events(name, days(9), days(2)))
        found = asked(
            official,
            event_type=name,
            occurred_after=days(9),
            occurred_before=days(2),
            limit=17,
            **({} if sort is None else {"sort": sort}),
        )
        if sort not in (["occurredAt"], ["ASCENDING"]):
            truth.reverse()
        assert [
            (e.id, e.event_type, e.object_id, e.occurred_at, e.properties) for e in found
        ] == [
            (e.id, e.event_type, str(e.object_id), e.occurred_at, e.properties) for e in truth
        ]  # fmt: skip


@pytest.mark.asks("hubspot-api-client", "GET /events/events/event-types")
def test_the_official_client_reads_the_names_of_all_types(official: Any, portal: Portal) -> None:
    names = official.events.events_api.get_types().event_types
    assert names == portal.event_types()
    assert len(set(names)) == len(names)
    assert {row["name"] for row in facts("standard_events.csv")} <= set(names)


@pytest.mark.parametrize("limit", [7, 50, 120, 1000])
def test_pages_cut_through_a_millisecond(http: httpx.Client, portal: Portal, limit: int) -> None:
    imported = list(portal.events(IMPORTED, days(200), NOW))
    at = imported[-1].occurred_at
    burst = [each for each in imported if each.occurred_at == at]
    window = {
        "eventType": IMPORTED,
        "occurredAfter": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "limit": limit,
    }
    assert ids(walk(http, LATEST, **window, sort="occurredAt")) == ids(burst)
    assert ids(walk(http, LATEST, **window)) == ids(burst[::-1])


def test_all_types_at_once(http: httpx.Client, portal: Portal) -> None:
    window = {"occurredAfter": "2026-11-20", "occurredBefore": "2026-11-22T12:00:00.000Z"}
    found = walk(http, LATEST, **window, limit=33)
    truth = everything(
        portal, datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)
    )
    assert sorted(ids(found)) == sorted(ids(truth))
    times = [each["occurredAt"] for each in found]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    "path",
    [
        "/events/v3/events",
        "/events/v3/events/",
        "/events/event-occurrences/v3",
        "/events/event-occurrences/2026-03",
        "/events/event-occurrences/2026-03/",
    ],
)
def test_every_version_tells_the_same(http: httpx.Client, path: str) -> None:
    params = {"eventType": VIEWS, "limit": "5"}
    assert (
        http.get(path, params=params).json()["results"]
        == http.get(LATEST, params=params).json()["results"]
    )
    types = f"{path.rstrip('/')}/event-types"
    assert http.get(types).json() == http.get(f"{LATEST}/event-types").json()


def test_a_page_by_default(http: httpx.Client) -> None:
    page = http.get(LATEST).json()
    assert len(page["results"]) == 20
    link = page["paging"]["next"]["link"]
    following = http.get(link).json()
    assert following["results"][0]["occurredAt"] <= page["results"][-1]["occurredAt"]
    cursor = b64decode(page["paging"]["next"]["after"]).decode().split("|")
    assert len(cursor) == 5
    assert cursor[2] == page["results"][-1]["objectId"]
    back = http.get(LATEST, params={"before": following["paging"]["next"]["after"], "limit": 19})
    assert back.json()["results"] == following["results"][:19]


def test_types_of_records_are_told_by_name(http: httpx.Client) -> None:
    def told(name: str) -> set[str]:
        page = http.get(LATEST, params={"eventType": name, "limit": 100}).json()
        return {each["objectType"] for each in page["results"]}

    assert told(VIEWS) == {"CONTACT"}
    assert told("pe1234567_aws_e_commerce_interactions") == {"CONTACT", "DEAL"}
    assert told("e_ad_metrics_imported_v0") == {"COMPANY"}
    assert told("pe1234567_test_drive") == {"p1234567_cars"}


def test_one_record(http: httpx.Client, portal: Portal) -> None:
    truth = everything(portal, days(40), NOW)
    record = Counter(e.object_id for e in truth if e.object_type_id == "0-3").most_common(1)[0][0]
    since = days(40).isoformat().replace("+00:00", "Z")
    found = walk(http, LATEST, objectType="deals", objectId=record, occurredAfter=since, limit=2)
    assert sorted(ids(found)) == sorted(
        e.id for e in truth if e.object_id == record and e.object_type_id == "0-3"
    )
    assert found
    assert not walk(http, LATEST, objectType="deals", objectId=1)
    failed(http.get(LATEST, params={"objectId": record}), 400)


def test_by_id_and_by_value(http: httpx.Client, portal: Portal) -> None:
    truth = list(portal.events("pe1234567_oauth_login", days(30), NOW))
    wanted = [truth[3], truth[-2]]
    found = walk(http, LATEST, id=ids(wanted))
    assert sorted(ids(found)) == sorted(ids(wanted))
    assert not walk(http, LATEST, id=truth[3].id, eventType=VIEWS)
    assert not walk(http, LATEST, id="nonsense")
    since = days(30).isoformat().replace("+00:00", "Z")
    window = {"eventType": "pe1234567_oauth_login", "occurredAfter": since}
    by_value = walk(http, LATEST, **window, **{"property.hs_device_type": "MOBILE"})
    assert sorted(ids(by_value)) == sorted(
        e.id for e in truth if e.properties.get("hs_device_type") == "MOBILE"
    )
    assert by_value
    chosen = walk(http, LATEST, **window, properties="hs_device_type,unknown")
    assert {name for each in chosen for name in each["properties"]} == {"hs_device_type"}


def test_the_end_of_a_window_is_exclusive_unless_told_otherwise(
    http: httpx.Client, portal: Portal, served: Served
) -> None:
    last = list(portal.events(VIEWS, days(2), days(1)))[-1]
    at = last.occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    params = {"eventType": VIEWS, "occurredBefore": at}
    assert last.id not in ids(http.get(LATEST, params=params).json()["results"])
    _, inclusive = served(records=400, occurred_before_inclusive=True)
    assert last.id in ids(inclusive.get(LATEST, params=params).json()["results"])
    params = {"eventType": VIEWS, "occurredAfter": at, "sort": "occurredAt"}
    assert last.id in ids(http.get(LATEST, params=params).json()["results"])


def test_the_future_is_not_told(served: Served) -> None:
    sandbox, http = served(records=400)
    sandbox.portal.clock.set(days(1))
    assert http.get(LATEST).json()["results"][0]["occurredAt"] <= days(1).isoformat()
    assert any(sandbox.portal.events(VIEWS, days(1), NOW))
    window = {"occurredAfter": days(1).isoformat().replace("+00:00", ".001Z")}
    assert http.get(LATEST, params=window).json() == {"results": []}


def test_email_events_are_named_but_not_given(http: httpx.Client) -> None:
    names = http.get(f"{LATEST}/event-types").json()["eventTypes"]
    assert set(names) >= EMAIL_EVENTS
    for name in EMAIL_EVENTS:
        assert http.get(LATEST, params={"eventType": name}).json() == {"results": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"eventType": "e_nothing"},
        {"eventType": "visited_page"},
        {"objectType": "widgets"},
        {"occurredAfter": "yesterday"},
        {"occurredBefore": "1795000000000"},
        {"after": "nonsense"},
        {"after": "MXwy"},
        {"sort": "id"},
        {"limit": "1001"},
        {"limit": "0"},
        {"objectProperty.email": "a@example.com", "objectType": "contact"},
    ],
)
def test_requests_that_make_no_sense(http: httpx.Client, wrong: dict[str, str]) -> None:
    failed(http.get(LATEST, params=wrong), 400)


def test_a_portal_with_smaller_pages(served: Served) -> None:
    _, http = served(events_page=100)
    failed(http.get(LATEST, params={"limit": 101}), 400)
    assert http.get(LATEST, params={"limit": 100}).status_code == 200


def test_without_an_enterprise_plan(served: Served) -> None:
    _, http = served(plan="pro")
    for path in (LATEST, f"{LATEST}/event-types", DEFINITIONS, f"{DEFINITIONS}/{COLLIDING[0]}"):
        body = failed(http.get(path), 403)
        assert "Enterprise" in body["message"]
        assert "errors" not in body
    plan = http.get("/_sandbox/plan", params={"day": "2026-11-21"}).json()
    assert plan["events"] == {}


# Definitions


def test_definitions_are_those_of_custom_events(http: httpx.Client, portal: Portal) -> None:
    found, after = [], None
    while True:
        params = {"limit": "3", "includeProperties": "true", **({"after": after} if after else {})}
        page = http.get(DEFINITIONS, params=params).json()
        assert page["total"] == len(portal.event_definitions())
        found += page["results"]
        if "paging" not in page:
            break
        after = page["paging"]["next"]["after"]
    names = [name for name in portal.event_types() if name.startswith("pe")]
    assert [each["fullyQualifiedName"] for each in found] == sorted(names)
    assert all(each["objectTypeId"] == f"6-{each['id']}" for each in found)
    by_name = {each["name"]: each for each in found}
    aws = by_name["aws_e_commerce_interactions"]
    assert aws["labels"]["singular"] == "AWS E-Commerce Interactions"
    assert (aws["primaryObject"], aws["primaryObjectId"]) == ("CONTACT", "0-1")
    assert "description" not in aws
    assert by_name["test_drive"]["primaryObject"] == "p1234567_cars"
    for each in found:
        seen = {
            name
            for event in portal.events(each["fullyQualifiedName"], days(60), NOW)
            for name in event.properties
        }
        assert seen <= {defined["name"] for defined in each["properties"]}
    properties = {each["name"]: each for each in aws["properties"]}
    assert properties["delivery_day"]["type"] == "date"
    assert [o["value"] for o in properties["interaction"]["options"]] == [
        "view", "cart", "purchase",
    ]  # fmt: skip
    assert properties["hs_browser"]["hubspotDefined"]


def test_two_names_that_differ_in_one_character(http: httpx.Client, portal: Portal) -> None:
    found = [http.get(f"{DEFINITIONS}/{name}").json() for name in COLLIDING]
    assert [each["fullyQualifiedName"] for each in found] == COLLIDING
    assert found[0]["id"] != found[1]["id"]
    mapped = {"".join(c if c.isalnum() else "_" for c in each["name"]) for each in found}
    assert len(mapped) == 1
    events = [set(ids(list(portal.events(name, days(90), NOW)))) for name in COLLIDING]
    assert all(events)
    assert not events[0] & events[1]


def test_definitions_can_be_searched_and_sorted(http: httpx.Client) -> None:
    def names(**params: str) -> list[str]:
        results = http.get(DEFINITIONS, params=params).json()["results"]
        return [each["name"] for each in results]

    assert names(searchString="INTERACTIONS", sortOrder="DESC") == [
        "key_interactions", "key.interactions", "aws_e_commerce_interactions",
    ]  # fmt: skip
    assert names(searchString="nothing") == []
    assert names(sortOrder="DESC") == names()[::-1]
    plain = http.get(DEFINITIONS).json()["results"]
    assert all(each["properties"] == [] for each in plain)


def test_where_definitions_are_not_served(http: httpx.Client, served: Served) -> None:
    assert http.get("/events/v3/event-definitions").json() == http.get(DEFINITIONS).json()
    failed(http.get("/events/2026-09/event-definitions"), 404)
    for name in (VIEWS, "ae171820_order_synced", "pe1234567_nothing"):
        failed(http.get(f"{DEFINITIONS}/{name}"), 404)
    scope = "behavioral_events.event_definitions.read_write"
    _, closed = served(without_scopes=frozenset({scope}))
    body = failed(closed.get(DEFINITIONS), 403)
    assert body["errors"][0]["context"]["requiredGranularScopes"] == [scope]
    assert closed.get(LATEST).status_code == 200


def test_an_event_that_is_defined_later(served: Served) -> None:
    sandbox, http = served()
    official = official_of(sandbox)
    name = sandbox.portal.define_event(
        "rocket_launched",
        "Rocket launched",
        object_type_id="0-2",
        per_day=2,
        properties={"height": "number", "crew": "string"},
    )
    assert name == "pe1234567_rocket_launched"
    assert name in official.events.events_api.get_types().event_types
    found = asked(official, event_type=name, occurred_after=days(2), limit=9)
    assert ids(found) == ids(list(sandbox.portal.events(name, days(2), NOW)))[::-1]
    assert {each.object_type for each in found} == {"COMPANY"}
    definition = http.get(f"{DEFINITIONS}/{name}").json()
    types = {each["name"]: each["type"] for each in definition["properties"]}
    assert types["height"] == "number"
    assert {name for each in found for name in each.properties} == set(types)
    others = [
        e["id"] for e in http.get(DEFINITIONS).json()["results"] if e["id"] != definition["id"]
    ]
    assert definition["id"] not in others
    assert len(others) == len(sandbox.portal.event_definitions()) - 1
