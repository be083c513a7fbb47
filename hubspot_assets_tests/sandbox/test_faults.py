"""Faults and the sandbox's own endpoints."""

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
    sandbox, http = served()
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
