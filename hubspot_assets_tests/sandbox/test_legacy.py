"""Views of version 1, for other people's clients."""

from collections import defaultdict
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Portal
from hubspot_assets.sandbox.stamps import milliseconds, parse_iso
from hubspot_assets_tests.sandbox.conftest import NOW

ENGAGEMENTS = "/engagements/v1/engagements"
KINDS = {"0-27": "TASK", "0-46": "NOTE", "0-47": "MEETING", "0-48": "CALL", "0-49": "EMAIL"}


@pytest.mark.parametrize("kind", ["deals", "tickets"])
def test_pipelines_are_those_of_today(http: httpx.Client, kind: str) -> None:
    old = http.get(f"/crm-pipelines/v1/pipelines/{kind}").json()["results"]
    new = http.get(f"/crm/v3/pipelines/{kind}").json()["results"]
    assert [each["pipelineId"] for each in old] == [each["id"] for each in new]
    for before, now in zip(old, new, strict=True):
        assert (before["objectType"], before["label"]) == (kind.upper()[:-1], now["label"])
        assert before["createdAt"] == milliseconds(parse_iso(now["createdAt"]))
        assert [
            (each["stageId"], each["metadata"], each["active"]) for each in before["stages"]
        ] == [(each["id"], each["metadata"], True) for each in now["stages"]]
    assert [each["default"] for each in old] == [True, *[False] * (len(old) - 1)]
    assert http.get("/crm-pipelines/v2/pipelines/deals").status_code == 404


def test_engagements_are_all_in_one_list(http: httpx.Client, portal: Portal) -> None:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"hasMore": True, "offset": 0}
    while page["hasMore"]:
        query = {"limit": 40, "offset": page["offset"]}
        page = http.get(f"{ENGAGEMENTS}/paged", params=query).json()
        found += page["results"]
    told = [(each["engagement"]["type"], each["engagement"]["id"]) for each in found]
    assert told == [
        (name, record_id)
        for type_id, name in KINDS.items()
        for record_id in portal.live_ids(type_id, NOW)
    ]
    everything = http.get(f"{ENGAGEMENTS}/paged?limit=1000").json()
    assert everything["results"] == found[:250]
    calls: dict[int, list[int]] = defaultdict(list)
    for link in portal.links("0-48", "0-1", NOW):
        calls[link.from_id].append(link.to_id)
    for each in found:
        told_id = each["engagement"]["id"]
        if each["engagement"]["type"] == "CALL":
            assert each["associations"]["contactIds"] == calls[told_id]
        elif each["engagement"]["type"] == "MEETING":
            assert each["metadata"]["startTime"] < each["metadata"]["endTime"]
    assert calls
    note = next(each for each in found if each["engagement"]["type"] == "NOTE")
    record = portal.record("0-46", note["engagement"]["id"], NOW)
    assert record is not None
    assert note["metadata"] == {"body": record.properties["hs_note_body"]}
    assert note["engagement"]["lastUpdated"] == milliseconds(record.updated_at)
    assert http.get(f"{ENGAGEMENTS}/{record.record_id}").json() == note
    assert http.get(f"{ENGAGEMENTS}/1").status_code == 404
