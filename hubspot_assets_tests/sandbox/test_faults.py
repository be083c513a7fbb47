"""Faults and the sandbox's own endpoints."""

import time
from collections import Counter
from typing import Any

import httpx
import pytest

from hubspot_assets_tests.sandbox.conftest import NOW, walk

LIST = "/crm/objects/2026-09/contacts"


@pytest.mark.parametrize(
    ("kind", "settings", "status"),
    [
        ("internal_error", {}, 500),
        ("bad_gateway", {}, 502),
        ("unavailable", {}, 503),
        ("gateway_timeout", {}, 504),
        ("edge_timeout", {}, 524),
        ("locked", {}, 423),
        ("expired_token", {}, 401),
        ("rate_limited", {}, 429),
        ("rate_limited", {"policy": "DAILY"}, 429),
        ("rate_limited", {"policy": "SECONDLY", "retry_after": 2}, 429),
        ("migrating", {"retry_after": 3}, 477),
    ],
)
def test_answers_that_are_errors(
    served: Any, kind: str, settings: dict[str, Any], status: int
) -> None:
    sandbox, http = served(records=5)
    sandbox.faults.add(kind, times=2, path="GET .*/contacts", **settings)
    assert http.get("/crm/objects/2026-09/deals").status_code == 200
    for _ in range(2):
        answer = http.get(LIST)
        assert answer.status_code == status
        if status in (502, 503, 504, 524):
            assert answer.headers["content-type"] == "text/html"
        else:
            assert answer.json()["status"] == "error"
        if "policy" in settings:
            assert answer.json()["policyName"] == settings["policy"]
        if "retry_after" in settings:
            assert answer.headers["Retry-After"] == str(settings["retry_after"])
    assert http.get(LIST).status_code == 200
    assert sandbox.requests["GET /crm/objects/{objectType}", status] == 2


def test_answers_that_are_no_json(served: Any) -> None:
    sandbox, http = served(records=5)
    for kind in ("truncated", "not_json"):
        sandbox.faults.add(kind)
        answer = http.get(LIST)
        assert answer.status_code == 200
        with pytest.raises(ValueError, match=r".*"):
            answer.json()
    assert http.get(LIST).json()["results"]


def test_a_dropped_connection(served: Any) -> None:
    sandbox, http = served(records=5)
    sandbox.faults.add("dropped")
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(LIST)
    assert http.get(LIST).status_code == 200


def test_a_slow_answer(served: Any) -> None:
    sandbox, http = served(records=5)
    sandbox.faults.add("slow", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        http.get(LIST, timeout=0.1)
    assert http.get(LIST).status_code == 200


def test_a_batch_that_loses_a_record(served: Any) -> None:
    sandbox, http = served()
    ids = [each["id"] for each in http.get(LIST, params={"limit": 5}).json()["results"]]
    sandbox.faults.add("lost_id")
    asked = {"inputs": [{"id": each} for each in ids]}
    answer = http.post(f"{LIST}/batch/read", json=asked)
    assert answer.status_code == 200
    assert [each["id"] for each in answer.json()["results"]] == ids[:-1]
    assert len(http.post(f"{LIST}/batch/read", json=asked).json()["results"]) == 5


@pytest.mark.parametrize("status", [302, 403, 404, 405, 408, 409, 410, 421, 425, 451, 488])
@pytest.mark.parametrize("form", ["html", "envelope", "empty"])
def test_any_status_in_any_form(served: Any, status: int, form: str) -> None:
    _, http = served(records=5)
    fault = {"kind": "status", "status": status, "form": form, "message": "Hub is unknown"}
    http.post("/_sandbox/faults", json=fault)
    answer = http.get(LIST)
    assert answer.status_code == status
    assert ("location" in answer.headers) == (status == 302 and form != "envelope")
    if form == "envelope":
        told = answer.json()
        assert told.pop("correlationId") == answer.headers["X-HubSpot-Correlation-Id"]
        assert told == {"status": "error", "message": "Hub is unknown"}
    else:
        assert answer.headers["content-type"] == "text/html"
        assert answer.text.startswith("<html>") == (form == "html")
    assert http.get(LIST).status_code == 200


def test_an_envelope_with_a_category(served: Any) -> None:
    sandbox, http = served(records=5)
    sandbox.faults.add("status", status=403, form="envelope", category="MISSING_SCOPES")
    assert http.get(LIST).json()["category"] == "MISSING_SCOPES"


@pytest.mark.slow
def test_a_share_of_all_requests(served: Any) -> None:
    """Which ones are hit depends on the seed, not on the order in which they come."""
    sandbox, http = served(records=5)
    paths = [f"/crm/v3/objects/contacts/{number}" for number in range(200)]

    def hit(seed: int, order: list[str]) -> dict[str, int]:
        sandbox.faults.clear()
        sandbox.faults.add("status", status=451, share=0.1, seed=seed)
        return {path: http.get(path).status_code for path in order}

    first = hit(1, paths)
    assert 8 < sum(status == 451 for status in first.values()) < 36
    assert hit(1, paths[::-1]) == first
    assert hit(2, paths) != first
    again = {path: http.get(path).status_code for path in paths}
    assert sum(again[path] == 404 for path, status in first.items() if status == 451) > 0
    sandbox.faults.clear()
    sandbox.faults.add("status", status=451, share=0.5, times=3)
    assert [http.get(path).status_code for path in paths].count(451) == 3


def test_the_last_entry_is_left_out_of_any_list_or_batch(served: Any) -> None:
    sandbox, http = served(records=60)
    paths = [
        "/crm/owners/2026-09",
        "/crm/properties/2026-09/deals",
        "/crm/pipelines/2026-09/deals",
        "/events/event-occurrences/2026-09/event-types",
        "/properties/v2/deals/properties",
    ]
    for path in paths:
        whole = http.get(path).json()
        sandbox.faults.add("lost_id")
        part = http.get(path).json()
        kept, all_of_them = (
            each if isinstance(each, list) else each.get("results", each.get("eventTypes"))
            for each in (part, whole)
        )
        assert kept == all_of_them[:-1]
        if isinstance(whole, dict):
            assert part.get("paging") == whole.get("paging")


def test_a_page_and_a_record_told_twice(served: Any) -> None:
    sandbox, http = served()
    ids = [each["id"] for each in walk(http, LIST, limit=10)]
    sandbox.faults.add("repeated_page", skip=1, path="GET")
    twice = [each["id"] for each in walk(http, LIST, limit=10)]
    assert twice == [*ids[:10], *ids[:10], *ids[20:]]
    sandbox.faults.add("repeated_record", skip=2, path="GET")
    assert [each["id"] for each in walk(http, LIST, limit=10)] == [
        *ids[:20], ids[19], *ids[20:],
    ]  # fmt: skip
    sandbox.faults.add("repeated_record")
    found = http.get("/crm/owners/2026-09").json()["results"]
    assert found[0] == found[-1] != found[1]


def test_a_cursor_that_has_expired(served: Any) -> None:
    sandbox, http = served()
    sandbox.faults.add("expired_cursor", times=3)
    events = "/email/public/v1/events"
    first, page = http.get(LIST).json(), http.get(events).json()
    searched = http.post(f"{LIST}/search", json={"limit": 5, "after": 0}).json()
    assert len(searched["results"]) == 5
    for refused in (
        http.get(LIST, params={"after": first["paging"]["next"]["after"]}),
        http.post(f"{LIST}/search", json={"limit": 5, "after": "5"}),
        http.get(events, params={"offset": page["offset"]}),
    ):
        assert refused.status_code == 400
        assert refused.json()["subCategory"] == "INVALID_CURSOR"
    assert http.get(first["paging"]["next"]["link"]).status_code == 200


def test_a_body_that_trickles(served: Any) -> None:
    sandbox, http = served(records=5)
    whole = http.get(LIST)
    sandbox.faults.add("trickle", seconds=0.3)
    started = time.monotonic()
    answer = http.get(LIST)
    assert time.monotonic() - started >= 0.3
    assert answer.json() == whole.json()
    assert answer.headers["content-length"] == whole.headers["content-length"]
    assert answer.headers["X-HubSpot-RateLimit-Max"]


def test_null_for_what_is_absent(served: Any) -> None:
    sandbox, http = served(records=5)
    plain = http.get(f"{LIST}?limit=100").json()
    sandbox.faults.add("nulls", times=2)
    told = http.get(f"{LIST}?limit=100").json()
    assert told["paging"] is None
    assert "paging" not in plain
    record = told["results"][0]
    assert record["archivedAt"] is record["associations"] is record["propertiesWithHistory"] is None
    assert {k: v for k, v in record.items() if v is not None} == plain["results"][0]
    owners = http.get("/crm/owners/2026-09").json()["results"]
    assert any(each["email"] is None for each in owners)


@pytest.mark.parametrize(
    ("form", "paging"),
    [
        ("paging", None),
        ("next", {"next": None}),
        ("after", {"next": {"after": "", "link": ""}}),
    ],
)
def test_how_a_last_page_ends(served: Any, form: str, paging: Any) -> None:
    sandbox, http = served(records=20)
    sandbox.faults.add("odd_end", times=2, form=form)
    assert http.get(f"{LIST}?limit=2").json()["paging"]["next"]["after"]
    assert http.get(f"{LIST}?limit=100").json()["paging"] == paging


def test_no_more_than_is_required(served: Any) -> None:
    sandbox, http = served(records=20)
    sandbox.faults.add("required_only", times=3)
    page = http.get(f"{LIST}?limit=2&propertiesWithHistory=lastname").json()
    assert page["paging"]["next"]["after"]
    for record in page["results"]:
        assert record.keys() == {
            "id", "properties", "createdAt", "updatedAt", "archived", "propertiesWithHistory",
        }  # fmt: skip
        assert all(
            entry.keys() == {"value", "timestamp", "sourceType"}
            for entries in record["propertiesWithHistory"].values()
            for entry in entries
        )
    defined = http.get("/crm/properties/2026-09/deals").json()["results"]
    assert {frozenset(each) for each in defined} == {
        frozenset({"name", "label", "type", "fieldType", "groupName", "description", "options"})
    }
    lists = http.post("/crm/v3/lists/search", json={"count": 500}).json()
    assert all("createdAt" not in each and "listId" in each for each in lists["lists"])


def test_members_that_nobody_has_heard_of(served: Any) -> None:
    sandbox, http = served(records=20)
    sandbox.faults.add("unknown_members")
    page = http.get(f"{LIST}?limit=2").json()
    assert page["unheardOf"] == page["results"][1]["unheardOf"] == page["paging"]["unheardOf"]
    assert "unheardOf" not in page["results"][1]["properties"]


def test_settings_that_make_no_fault(served: Any) -> None:
    _, http = served(records=5)
    for wrong in ({"kind": "status", "form": "pdf"}, {"kind": "status", "share": 0}):
        assert http.post("/_sandbox/faults", json=wrong).status_code == 400


def test_a_record_archived_between_two_pages(served: Any) -> None:
    sandbox, http = served()
    before = list(sandbox.portal.live_ids("0-1", NOW))
    sandbox.faults.add("archive_first", path="GET", skip=2)
    listed = [int(each["id"]) for each in walk(http, LIST, limit=10)]
    assert listed == before[:20] + before[21:]
    gone = str(before[20])
    assert http.get(f"{LIST}/{gone}").status_code == 404
    assert http.get(f"{LIST}/{gone}?archived=true").json()["archivedAt"]
    assert gone in [each["id"] for each in walk(http, LIST, archived="true")]
    assert sandbox.portal.live_count("0-1", NOW) == len(before) - 1


def test_a_record_merged_between_list_and_batch(served: Any) -> None:
    sandbox, http = served(primary_ids_last=True, merged_ids_lead_on=False)
    first, second, *rest = [each["id"] for each in walk(http, LIST, limit=100)]
    sandbox.faults.add("merge_first", path="batch/read")
    asked = {"inputs": [{"id": first}, {"id": second}], "properties": ["hs_merged_object_ids"]}
    answer = http.post(f"{LIST}/batch/read", json=asked)
    assert answer.status_code == 207
    assert answer.json()["errors"][0]["context"] == {"ids": [first]}
    survivor = answer.json()["results"][0]
    assert survivor["id"] == second
    assert first in survivor["properties"]["hs_merged_object_ids"].split(";")
    assert http.get(f"{LIST}/{first}").json()["id"] == second
    assert [each["id"] for each in walk(http, LIST, limit=100)] == [second, *rest]
    assert sandbox.portal.live_count("0-1", NOW) == len(rest) + 1


def test_faults_over_http(served: Any) -> None:
    _, http = served(records=5)
    told = http.post("/_sandbox/faults", json={"kind": "locked", "times": 1, "path": "/deals"})
    assert told.json()[0]["kind"] == "locked"
    assert http.get(LIST).status_code == 200
    assert http.get("/crm/v3/objects/deals").status_code == 423
    assert http.get("/_sandbox/faults").json() == []
    http.post("/_sandbox/faults", json={"kind": "locked"})
    http.delete("/_sandbox/faults")
    assert http.get(LIST).status_code == 200
    wrong = http.post("/_sandbox/faults", json={"kind": "tornado"})
    assert wrong.status_code == 400
    assert "tornado" in wrong.json()["message"]
    assert http.get("/_sandbox/nothing").status_code == 404


def test_the_clock_over_http(served: Any) -> None:
    sandbox, http = served()
    told = http.post("/_sandbox/clock", json={"now": "2025-01-01T00:00:00Z"}).json()
    assert told == {"now": "2025-01-01T00:00:00.000Z"}
    ids = [int(each["id"]) for each in walk(http, LIST, limit=100)]
    assert ids == list(sandbox.portal.live_ids("0-1", sandbox.portal.clock.datetime()))
    advanced = http.post("/_sandbox/clock", json={"advance": 86_400}).json()
    assert advanced == {"now": "2025-01-02T00:00:00.000Z"}
    assert http.post("/_sandbox/clock", json={"now": "soon"}).status_code == 400


def test_the_plan_over_http(served: Any) -> None:
    _, http = served()
    day = http.get("/_sandbox/plan", params={"day": "2026-11-20", "timezone": "Asia/Tokyo"}).json()
    assert day["as_of"] == "2026-11-20T15:00:00+00:00"
    http.post("/_sandbox/clock", json={"now": "2026-11-20T14:59:59.999Z"})
    assert "0-410" not in day["live"]
    for object_type_id, count in day["live"].items():
        assert len(walk(http, f"/crm/v3/objects/{object_type_id}", limit=100)) == count
    assert day["total"] == sum(day["live"].values())
    assert http.get("/_sandbox/plan", params={"day": "x"}).status_code == 400
    assert http.get("/_sandbox/plan?day=2026-01-01&timezone=Mars/Base").status_code == 400


def test_requests_are_counted(served: Any) -> None:
    sandbox, http = served(records=5)
    for path in ("/crm/v3/objects/deals", "/crm/objects/2026-09/0-1", "/crm/v3/objects/widgets"):
        http.get(path)
    assert http.get("/_sandbox/requests").json() == [
        {"request": "GET /crm/objects/{objectType}", "status": 200, "count": 2},
        {"request": "GET /crm/objects/{objectType}", "status": 400, "count": 1},
    ]
    http.delete("/_sandbox/requests")
    assert not sandbox.requests


def test_a_share_of_the_times_that_one_request_is_repeated(served: Any) -> None:
    sandbox, http = served(records=5)
    sandbox.faults.add("internal_error", share=0.5, seed=3)
    statuses = Counter(http.get(LIST).status_code for _ in range(60))
    assert statuses.keys() == {200, 500}
    assert min(statuses.values()) > 15
