"""Searching: past the end of what a search gives, and what is no answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from hubspot_assets.hubspot import search as searching
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import IncompleteAnswer
from hubspot_assets.hubspot.search import Search
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sandbox import search as sandbox_search
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, ok

CONTACTS, MODIFIED = "0-1", "lastmodifieddate"
#: A bulk update has just touched nearly all records in one millisecond.
AFTER_A_MASS_UPDATE = datetime(2026, 7, 12, 3, 30, tzinfo=UTC)


def test_more_than_a_search_gives_in_one_millisecond_are_all_found(monkeypatch):
    monkeypatch.setattr(searching, "PAGE", 20)
    monkeypatch.setattr(sandbox_search, "CEILING", 60)
    config = PortalConfig(records=250, now=AFTER_A_MASS_UPDATE, search_per_second=10_000)
    with serve(config) as sandbox, HubSpot(BearerToken(sandbox.token), sandbox.url) as client:
        portal = sandbox.portal
        records = [
            portal.record(CONTACTS, each, AFTER_A_MASS_UPDATE)
            for each in portal.live_ids(CONTACTS, AFTER_A_MASS_UPDATE)
        ]
        moments = [each.updated_at for each in records]
        moment = max(set(moments), key=moments.count)
        same = [each.record_id for each in records if each.updated_at == moment]
        assert len(same) > 2 * 60
        found = Search(client, CONTACTS, MODIFIED, moment, moment + timedelta(milliseconds=1))
        assert [each for page in found.pages() for each in page.ids] == same
        assert found.count() == len(same)
        middle = same[len(same) // 2]
        assert found.count(middle) == len(same) - len(same) // 2
        assert found.count(None, middle) == len(same) // 2
        within = [each for page in found.pages(same[3], middle) for each in page.ids]
        assert within == same[3 : len(same) // 2]
        since = Search(client, CONTACTS, MODIFIED, since=moment)
        assert since.count() == sum(each.updated_at >= moment for each in records)


def test_what_is_searched_by_and_how_far_is_in_each_request():
    script = Script(ok({"total": 3, "results": [{"id": "7"}], "paging": {"next": {"after": "1"}}}),
                    ok({"total": 2, "results": [{"id": "9"}, {"id": "12"}]}))  # fmt: skip
    since = datetime(2026, 11, 22, tzinfo=UTC)
    found = Search(client_of(script, FakeTime()), "2-3", "hs_lastmodifieddate", since)
    assert [each.ids for each in found.pages(5, 20)] == [[7], [9, 12]]
    asked = [json.loads(each.content) for each in script.requests]
    for each, last in zip(asked, ("4", "7"), strict=True):
        (group,) = each["filterGroups"]
        assert [tuple(one.values()) for one in group["filters"]] == [
            ("hs_lastmodifieddate", "GTE", "1795305600000"),
            ("hs_object_id", "GT", last),
            ("hs_object_id", "LT", "20"),
        ]
        assert each["sorts"] == [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
        assert each["limit"] == 200
        assert "after" not in each


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"id": "7"}]},
        {"total": 2, "results": [{"id": "9"}, {"id": "7"}]},
        {"total": 1, "results": [{"id": "3"}]},
        {"total": 4, "results": []},
        {"total": 1, "results": [{"properties": {}}]},
    ],
    ids=["no total", "not in order", "below the bound", "kept back", "no id"],
)
def test_an_answer_that_is_none(body):
    found = Search(client_of(lambda _: httpx.Response(200, json=body), FakeTime()), "0-1", MODIFIED)
    with pytest.raises(IncompleteAnswer):
        list(found.pages(5))


def test_a_page_that_does_not_say_that_there_is_more_is_no_end():
    script = Script(ok({"total": 3, "results": [{"id": "7"}]}), ok({"total": 0, "results": []}))
    found = Search(client_of(script, FakeTime()), "0-1", MODIFIED)
    assert [each.ids for each in found.pages()] == [[7]]
    assert len(script.requests) == 2
