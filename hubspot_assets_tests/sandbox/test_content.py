"""Pages, posts, files, sequences, conversations and deal splits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hubspot_assets.sandbox import Portal
from hubspot_assets_tests.sandbox.conftest import NOW, every_page, walk

PAGES = {
    "landing-page": "/cms/pages/2026-09/landing-pages",
    "site-page": "/cms/pages/2026-09/site-pages",
    "blog-post": "/cms/blogs/2026-09/posts",
}
FILES = "/files/2026-09/files/search"
SEQUENCES = "/automation/sequences/2026-09"
THREADS = "/conversations/conversations/2026-09/threads"
SPLITS = "/deal-splits/2026-09/batch/read"
USERS = [9586504, 9586505, 9586506, 9586511, 9586519, 9586523, 9586531]


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# CMS


@pytest.mark.parametrize("kind", PAGES)
def test_pages_of_every_kind(http: httpx.Client, portal: Portal, kind: str) -> None:
    live = portal.pages(kind, NOW)
    found = walk(http, PAGES[kind], limit=3)
    assert found == sorted(live, key=lambda each: (each["created"], each["id"]))
    assert http.get(PAGES[kind]).json()["total"] == len(live)
    archived = portal.pages(kind, NOW, archived=True)
    assert archived
    assert walk(http, PAGES[kind], limit=1, archived="true") == archived
    assert all(each["archivedInDashboard"] for each in archived)
    assert not set(ids(live)) & set(ids(archived))
    assert all(each["archivedAt"] in (0, "1970-01-01T00:00:00Z") for each in live)


@pytest.mark.asks(
    "hubspot-api-client",
    "GET /cms/pages/landing-pages",
    "GET /cms/pages/site-pages",
    "GET /cms/blogs/posts",
    "GET /files/files/search",
)
def test_the_official_client_reads_pages_posts_and_files(official: Any, portal: Portal) -> None:
    pages = official.cms.pages
    for api, kind in (
        (pages.landing_pages_api, "landing-page"),
        (pages.site_pages_api, "site-page"),
        (official.cms.blogs.blog_posts.basic_api, "blog-post"),
    ):
        truth = {each["id"]: each for each in portal.pages(kind, NOW)}
        found, after = [], None
        while True:
            page = api.get_page(limit=4, after=after)
            assert page.total == len(truth)
            found += page.results
            if page.paging is None:
                break
            after = page.paging.next.after
        assert {each.id for each in found} == set(truth)
        for each in found:
            true = truth[each.id]
            assert (each.name, each.slug, each.language) == (
                true["name"], true["slug"], true["language"],
            )  # fmt: skip
            assert each.created == moment(true["created"])
            assert each.updated == moment(true["updated"])
            if kind == "blog-post":
                assert each.post_body == true["postBody"]
    files = every_page(official.files.files_api.do_search, limit=30)
    assert [each.id for each in files] == ids(portal.files(NOW))
    assert {each.type for each in files} == {"IMG", "DOCUMENT", "MOVIE", "AUDIO", "OTHER"}


def test_pages_change_and_are_published_with_time(portal: Portal) -> None:
    early, late = (portal.pages("site-page", NOW - timedelta(days=d)) for d in (400, 0))
    before, after = ({each["id"]: each for each in found} for found in (early, late))
    changed = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    assert changed
    for key in changed:
        assert before[key]["updated"] < after[key]["updated"]
    assert after.keys() - before.keys()
    assert {each["currentState"] for each in portal.posts(NOW)} == {
        "PUBLISHED", "SCHEDULED", "DRAFT",
    }  # fmt: skip
    made = datetime(2026, 12, 11, 12, tzinfo=UTC)
    assert len(portal.posts(made)) == len(portal.posts(NOW)) + 1


def test_filters_and_orders_of_pages(http: httpx.Client, portal: Portal) -> None:
    path, posts = PAGES["blog-post"], portal.posts(NOW)
    middle = sorted(each["created"] for each in posts)[5]
    later = walk(http, path, createdAfter=middle, limit=2)
    assert set(ids(later)) == {each["id"] for each in posts if each["created"] > middle}
    sooner = walk(http, path, createdBefore=middle, sort="-updatedAt")
    assert [each["updated"] for each in sooner] == sorted(
        (each["updated"] for each in posts if each["created"] < middle), reverse=True
    )
    exact = walk(http, path, createdAt=middle)
    assert [each["created"] for each in exact] == [middle]
    for odd in ({"limit": 101}, {"sort": "odd"}, {"after": "%"}, {"updatedAfter": "odd"}):
        assert http.get(path, params=odd).status_code == 400


def test_names_of_dates(served: Any) -> None:
    _, http = served(page_dates_at=True)
    for path in PAGES.values():
        for each in walk(http, path):
            assert each["createdAt"] <= each["updatedAt"]
            assert not {"created", "updated"} & each.keys()


def test_older_versions_tell_when_a_post_was_published(http: httpx.Client) -> None:
    for version, telling in (("v3/blogs", True), ("blogs/2026-03", True), ("blogs/2026-09", False)):
        posts = walk(http, f"/cms/{version}/posts", limit=3)
        assert {"publishedAt" in each for each in posts if each["currentState"] == "PUBLISHED"} == {
            telling
        }


def test_some_bodies_are_megabytes_of_hostile_html(http: httpx.Client, portal: Portal) -> None:
    [post] = [each for each in walk(http, PAGES["blog-post"]) if len(each["postBody"]) > 2_000_000]
    body = post["postBody"]
    assert all(text in body for text in ('"', ",", "\n", "\r", "日本語", "مرحبا", "👩‍👩‍👧"))
    for kind in ("landing-page", "site-page"):
        [page] = [
            each for each in portal.pages(kind, NOW) if len(str(each["layoutSections"])) > 2_000_000
        ]
        section = page["layoutSections"]["dnd_area"]
        assert section["rows"][0]["0"]["params"]["html"]["value"].startswith("<div")


# Files


def test_files_by_offset_and_by_slices(http: httpx.Client, portal: Portal) -> None:
    truth = portal.files(NOW)
    assert 110 < len(truth) < 170
    assert walk(http, FILES, limit=37) == truth
    bound = truth[40]["id"]
    assert walk(http, FILES, idGte=bound, limit=100) == truth[40:]
    assert walk(http, FILES, idLte=bound, limit=100) == truth[:41]
    since = truth[90]["createdAt"]
    assert walk(http, FILES, createdAtGte=since, limit=100) == truth[90:]
    pictures = walk(http, FILES, type="IMG", sort="-createdAt", limit=100)
    assert pictures == [each for each in truth if each["type"] == "IMG"][::-1]
    for each in truth:
        assert (each["type"] in ("IMG", "MOVIE")) == ("height" in each)
    assert any(each["createdAt"] < each["updatedAt"] for each in truth)


def test_more_files_than_a_search_reaches(served: Any) -> None:
    sandbox, http = served(records=1, files=12_000)
    assert len(sandbox.portal.files(NOW)) > 10_000
    last = http.get(FILES, params={"limit": 100, "after": 9_900}).json()
    assert last["paging"]["next"]["after"] == "10000"
    assert http.get(last["paging"]["next"]["link"]).status_code == 400
    bound = last["results"][-1]["id"]
    rest = walk(http, FILES, limit=100, idGte=bound)
    assert ids(rest) == ids(sandbox.portal.files(NOW))[9_999:]


# Sequences


def test_sequences_of_every_user(http: httpx.Client, portal: Portal) -> None:
    found: dict[str, dict[str, Any]] = {}
    seen = 0
    for user in USERS:
        mine = walk(http, SEQUENCES, userId=user, limit=2)
        assert http.get(SEQUENCES, params={"userId": user}).json()["total"] == len(mine)
        found |= {each["id"]: each for each in mine}
        seen += len(mine)
    assert sorted(found.values(), key=lambda each: each["id"]) == portal.sequences(NOW)
    assert seen > len(found), "some are shared"
    assert http.get("/automation/v4/sequences", params={"userId": 9586504}).json()["results"]
    assert http.get(SEQUENCES, params={"userId": 5}).json()["total"] == 0


def test_sequences_need_a_user(http: httpx.Client) -> None:
    assert http.get(SEQUENCES).status_code == 400
    assert http.get(SEQUENCES, params={"userId": 9586504, "limit": 101}).status_code == 400


# Conversations


def test_threads_by_id_and_by_their_latest_message(http: httpx.Client, portal: Portal) -> None:
    truth = portal.threads(NOW)
    assert walk(http, THREADS, limit=7) == truth
    latest = {"sort": "latestMessageTimestamp", "latestMessageTimestampAfter": "2025-01-01"}
    found = walk(http, THREADS, limit=5, **latest)
    assert found == sorted(
        (each for each in truth if each["latestMessageTimestamp"] > "2025-01-01"),
        key=lambda each: (each["latestMessageTimestamp"], int(each["id"])),
    )
    assert http.get(THREADS, params={"sort": "latestMessageTimestamp"}).status_code == 400
    assert http.get(THREADS, params={"limit": 501}).status_code == 400
    archived = walk(http, THREADS, archived="true")
    assert archived == portal.threads(NOW, archived=True)
    legacy = http.get("/conversations/v3/conversations/threads", params={"limit": 500}).json()
    assert legacy["results"] == truth


def test_filters_of_threads(http: httpx.Client, portal: Portal) -> None:
    truth = portal.threads(NOW)
    for status in ("OPEN", "CLOSED"):
        found = walk(http, THREADS, threadStatus=status)
        assert found == [each for each in truth if each["status"] == status] != []
        assert all(("closedAt" in each) == (status == "CLOSED") for each in found)
    inbox = truth[0]["inboxId"]
    assert walk(http, THREADS, inboxId=inbox) == [e for e in truth if e["inboxId"] == inbox]
    contact = truth[0]["associatedContactId"]
    mine = [each for each in truth if each["associatedContactId"] == contact]
    assert walk(http, THREADS, associatedContactId=contact) == mine
    assert http.get(THREADS, params={"threadStatus": "ODD"}).status_code == 400


def test_threads_are_told_as_their_messages_say(http: httpx.Client, portal: Portal) -> None:
    for thread in portal.threads(NOW)[:12]:
        path = f"{THREADS}/{thread['id']}"
        assert http.get(path).json() == thread
        said = walk(http, f"{path}/messages", limit=2)
        times = [each["createdAt"] for each in said]
        assert times == sorted(times, reverse=True)
        assert (times[-1], times[0]) == (thread["createdAt"], thread["latestMessageTimestamp"])
        for direction, name in (("INCOMING", "Received"), ("OUTGOING", "Sent")):
            way = [each["createdAt"] for each in said if each["direction"] == direction]
            told = thread.get(f"latestMessage{name}Timestamp")
            assert told == (way[0] if way else None)
    assert http.get(f"{THREADS}/5").status_code == 404


# Deal splits


@pytest.mark.parametrize(
    "path",
    [SPLITS, "/crm/v3/objects/deals/splits/batch/read", "/crm/objects/v3/deals/splits/batch/read"],
)
def test_splits_of_all_deals(http: httpx.Client, portal: Portal, path: str) -> None:
    deals = list(portal.live_ids("0-3", NOW))
    assert len(deals) <= 100
    answer = http.post(path, json={"inputs": [{"id": str(deal)} for deal in deals]})
    assert answer.status_code == 200
    body = answer.json()
    assert ids(body["results"]) == [str(deal) for deal in deals]
    found = {int(each["id"]): each["splits"] for each in body["results"] if each["splits"]}
    assert found == portal.deal_splits(NOW)
    assert 0 < len(found) < len(deals) / 4
    for splits in found.values():
        shares = [float(each["properties"]["hs_deal_split_percentage"]) for each in splits]
        assert 1 < len(shares) < 4
        assert sum(shares) == pytest.approx(1)
        assert all(moment(each["createdAt"]) <= NOW for each in splits)


def test_unknown_deals_and_too_many(served: Any) -> None:
    sandbox, http = served(records=100)
    deal, gone = map(str, list(sandbox.portal.live_ids("0-3", NOW))[:2])
    sandbox.portal.archive("0-3", int(gone), NOW)
    answer = http.post(SPLITS, json={"inputs": [{"id": deal}, {"id": "5"}, {"id": gone}]})
    assert answer.status_code == 207
    body = answer.json()
    assert ids(body["results"]) == [deal]
    assert body["errors"][0]["context"]["ids"] == ["5", gone]
    many = [{"id": str(number)} for number in range(101)]
    assert http.post(SPLITS, json={"inputs": many}).status_code == 400
    assert http.post(SPLITS, json={}).status_code == 400


# All of it


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        (PAGES["landing-page"], {"content", "content.landing_pages.read"}),
        (PAGES["site-page"], {"content", "content.site_pages.read"}),
        (PAGES["blog-post"], {"content"}),
        (FILES, {"files", "files.read"}),
        (f"{SEQUENCES}?userId=9586504", {"automation.sequences.read"}),
        (THREADS, {"conversations.read"}),
        (SPLITS, {"crm.dealsplits.read_write"}),
    ],
)
def test_scopes(served: Any, path: str, scopes: set[str]) -> None:
    method, body = ("POST", {"inputs": []}) if path == SPLITS else ("GET", None)
    _, without = served(records=5, without_scopes=frozenset(scopes))
    answer = without.request(method, path, json=body)
    assert answer.status_code == 403
    told = answer.json()["errors"][0]["context"]["requiredGranularScopes"]
    assert set(told) == scopes
    for scope in scopes:
        _, granted = served(records=5, scopes=frozenset({scope}))
        assert granted.request(method, path, json=body).status_code == 200


def test_the_plan_tells_what_there_is(http: httpx.Client, portal: Portal) -> None:
    plan = http.get("/_sandbox/plan", params={"day": "2026-11-19"}).json()
    at = datetime(2026, 11, 19, 23, 59, 59, 999_000, tzinfo=UTC)
    told = {
        "0-45": len(portal.lists(at)),
        "0-25": len(portal.pages("landing-page", at)),
        "0-38": len(portal.pages("site-page", at)),
        "0-39": len(portal.posts(at)),
        "0-57": len(portal.files(at)),
        "0-58": len(portal.sequences(at)),
        "0-11": len(portal.threads(at)),
        "0-72": sum(map(len, portal.deal_splits(at).values())),
    }
    assert {each: plan["content"][each] for each in told} == told
    assert plan["members"] == {
        str(each.facts.list_id): len(portal.members(each.facts.list_id, at))
        for each in portal.lists(at)
    }
    assert all(plan["content"].values())


def test_a_portal_of_nobody(served: Any) -> None:
    _, http = served(records=0, files=0)
    assert http.get(THREADS).json()["results"] == []
    assert http.get(FILES).json()["results"] == []
    assert set(http.get("/_sandbox/plan").json()["members"].values()) <= set(range(10))
