"""Forms, submissions, marketing emails, campaigns and e-mail events."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import hubspot
import pytest

from hubspot_assets.sandbox import Portal, PortalConfig, Sandbox
from hubspot_assets_tests.sandbox.conftest import NOW, walk

FORMS = "/marketing/v3/forms"
SUBMISSIONS = "/form-integrations/v1/submissions/forms"
EMAILS = "/marketing/v3/emails"
CAMPAIGNS = "/marketing/v3/campaigns"
EVENTS = "/email/public/v1/events"
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
CONTACT_US = "3f1c9d52-0a4e-4b7e-9a53-0c2b1f6f7a10"
Serve = Callable[..., tuple[Sandbox, httpx.Client]]


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def form_of(portal: Portal, form_type: str) -> Any:
    return next(form for form in portal.forms() if form.told["formType"] == form_type)


def events_of(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """Every event that a query gives, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        page = http.get(EVENTS, params=params).json()
        found += page["events"]
        if not page["hasMore"]:
            return found
        params["offset"] = page["offset"]


# Forms


@pytest.mark.asks("hubspot-api-client", "GET /marketing/forms")
def test_forms_through_the_official_client(sandbox: Sandbox, portal: Portal) -> None:
    def factory(package: Any, api_name: str, config: dict[str, Any]) -> Any:
        configuration = package.Configuration(host=sandbox.url)
        configuration.access_token = config["access_token"]
        # Its model of a field knows but one field type.
        configuration.client_side_validation = False
        return getattr(package, api_name)(api_client=package.ApiClient(configuration))

    client: Any = hubspot.Client.create(access_token=sandbox.token, api_factory=factory)
    for archived in (False, True):
        truth = {
            form.asset_id: form
            for form in portal.forms()
            if form.told["formType"] == "hubspot" and form.archived == archived
        }
        found, after = [], None
        while True:
            page = client.marketing.forms.forms_api.get_page(
                limit=2, archived=archived, after=after
            )
            found += page.results
            if page.paging is None:
                break
            after = page.paging.next.after
        assert {form.id for form in found} == set(truth)
        assert len(found) == len(truth) > 0
        for form in found:
            assert form.name == truth[form.id].told["name"]
            assert form.created_at == truth[form.id].created_at
            assert form.updated_at == truth[form.id].updated_at
            assert form.archived_at == truth[form.id].archived_at
            assert form.field_groups[0].fields[0].name
            assert form.configuration.post_submit_action.value
            assert form.display_options.style.font_family
            assert form.legal_consent_options.type


def test_form_types_and_versions(http: httpx.Client, portal: Portal) -> None:
    live = [form.told for form in portal.forms() if not form.archived]
    assert walk(http, FORMS, formTypes="all", limit=500) == live
    assert walk(http, "/marketing/forms/2026-09-beta", formTypes="all", limit=3) == live
    assert Counter(form["formType"] for form in live).keys() == {
        "hubspot", "captured", "flow", "blog_comment",
    }  # fmt: skip
    some = walk(http, FORMS, formTypes="captured,flow")
    assert some == [form for form in live if form["formType"] in ("captured", "flow")]
    assert {form["formType"] for form in walk(http, FORMS)} == {"hubspot"}
    assert http.get("/marketing/forms/2026-09").status_code == 404
    assert http.get(FORMS, params={"limit": 501}).status_code == 400
    assert http.get(FORMS, params={"formTypes": "nonsense"}).status_code == 400


# Submissions


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_submissions_come_newest_first(http: httpx.Client, portal: Portal, limit: int) -> None:
    truth = [each.told() for each in portal.submissions(CONTACT_US, EPOCH, NOW)]
    assert walk(http, f"{SUBMISSIONS}/{CONTACT_US}", limit=limit) == truth[::-1]
    assert len(truth) > 50
    members = {"conversionId", "submittedAt", "values", "pageUrl"}
    assert all(each.keys() == members for each in truth)
    assert len({each["conversionId"] for each in truth}) == len(truth)


def test_old_submissions_have_no_id(served: Serve) -> None:
    _, http = served(conversion_ids=False)
    found = walk(http, f"{SUBMISSIONS}/{CONTACT_US}", limit=50)
    assert found[0].keys() == {"submittedAt", "values", "pageUrl"}


def test_submissions_by_window_add_up(portal: Portal) -> None:
    for form in portal.forms():
        whole = portal.submissions(form.asset_id, EPOCH, NOW)
        days = [NOW - timedelta(days=back) for back in range(1400, -1, -20)]
        parts = [
            portal.submissions(form.asset_id, *bounds)
            for bounds in zip([EPOCH, *days], days, strict=False)
        ]
        assert [each for part in parts for each in part] == whole
        assert all(form.created_at <= each.submitted_at < NOW for each in whole)
        if form.archived_at is not None:
            assert whole[-1].submitted_at <= form.archived_at


def test_people_click_twice(portal: Portal) -> None:
    found = portal.submissions(CONTACT_US, EPOCH, NOW)
    by_moment: dict[datetime, list[Any]] = {}
    for each in found:
        by_moment.setdefault(each.submitted_at, []).append(each)
    pairs = [group for group in by_moment.values() if len(group) == 2]
    emails = [[{n: v for n, v, _ in each.values}["email"] for each in p] for p in pairs]
    assert all(first == second for first, second in emails)
    alike = [
        (first.values == second.values, first.page_url == second.page_url)
        for first, second in pairs
    ]
    assert {(True, True), (True, False)} < set(alike)
    assert any(not same_values for same_values, _ in alike)
    assert len({each.conversion_id for each in found}) == len(found)


def test_submitted_values_are_unkind(portal: Portal) -> None:
    values = "\0".join(
        value for each in portal.submissions(CONTACT_US, EPOCH, NOW) for _, value, _ in each.values
    )
    for wanted in ('"', ",", "\n", "\r\n", "é", "😀"):
        assert wanted in values
    types = {
        object_type_id
        for each in portal.submissions(CONTACT_US, EPOCH, NOW)
        for _, _, object_type_id in each.values
    }
    assert types == {"0-1", "0-2"}


def test_new_submissions_do_not_move_the_pages(served: Serve) -> None:
    sandbox, http = served(records=400)
    truth = [e.told() for e in sandbox.portal.submissions(CONTACT_US, EPOCH, NOW)][::-1]
    path = f"{SUBMISSIONS}/{CONTACT_US}"
    first = http.get(path, params={"limit": 30}).json()
    sandbox.portal.clock.set(NOW + timedelta(days=60))
    after = first["paging"]["next"]["after"]
    assert first["results"] + walk(http, path, limit=30, after=after) == truth
    assert len(walk(http, path)) > len(truth)


def test_submissions_that_cannot_be_read(http: httpx.Client, portal: Portal) -> None:
    def ask(form_id: str, **params: Any) -> httpx.Response:
        return http.get(f"{SUBMISSIONS}/{form_id}", params=params)

    refused = ask(form_of(portal, "blog_comment").asset_id)
    assert refused.status_code == 400
    assert "FORM_TYPE_NOT_ALLOWED" in refused.text
    assert ask("no-such-form").status_code == 404
    assert ask(CONTACT_US, limit=51).status_code == 400
    assert ask(CONTACT_US, after="nonsense").status_code == 400
    empty = next(f for f in portal.forms() if f.told["name"] == "Never filled in")
    assert ask(empty.asset_id).json() == {"results": []}


# Marketing emails


@pytest.mark.asks("hubspot-api-client", "GET /marketing/emails")
def test_marketing_emails_through_the_official_client(official: Any, portal: Portal) -> None:
    api = official.marketing.emails.marketing_emails_api
    for archived in (False, True):
        truth = {e.asset_id: e for e in portal.marketing_emails() if e.archived == archived}
        found, after = [], None
        while True:
            page = api.get_page(limit=4, archived=archived, after=after)
            assert page.total == len(truth) > 0
            found += page.results
            if page.paging is None:
                break
            after = page.paging.next.after
        assert [email.id for email in found] == list(truth)
        for email in found:
            told = truth[email.id].told
            assert (email.name, email.subject, email.state) == (
                told["name"], told["subject"], told["state"],
            )  # fmt: skip
            assert email.updated_at == truth[email.id].updated_at
            assert email.content.widgets == told["content"]["widgets"]
            assert email._from.from_name
            assert email.to.contact_ils_lists.include


def test_marketing_emails_by_date(official: Any, portal: Portal) -> None:
    api = official.marketing.emails.marketing_emails_api
    truth = [email for email in portal.marketing_emails() if not email.archived]
    bound = sorted(truth, key=lambda email: email.updated_at)[5].updated_at
    for params, wanted in (
        ({"updated_after": bound}, [e for e in truth if e.updated_at > bound]),
        ({"updated_before": bound}, [e for e in truth if e.updated_at < bound]),
        ({"updated_at": bound}, [e for e in truth if e.updated_at == bound]),
        ({"created_after": bound}, [e for e in truth if e.created_at > bound]),
    ):
        assert [e.id for e in api.get_page(**params).results] == [e.asset_id for e in wanted]
        assert wanted
    newest = api.get_page(sort=["-updatedAt"]).results
    assert [e.updated_at for e in newest] == sorted((e.updated_at for e in truth), reverse=True)


def test_statistics_leave_some_emails_out(http: httpx.Client, portal: Portal) -> None:
    plain = {email["id"]: email for email in walk(http, EMAILS, limit=300)}
    counted = {email["id"]: email for email in walk(http, EMAILS, includeStats="true")}
    assert counted.keys() < plain.keys()
    for email_id, email in counted.items():
        assert email.pop("stats")["counters"].keys() >= {"sent", "delivered", "open", "click"}
        assert email == plain[email_id]
    assert len(plain) == len([e for e in portal.marketing_emails() if not e.archived])


def test_members_and_sizes_of_marketing_emails(http: httpx.Client) -> None:
    some = walk(http, "/marketing/emails/2026-09", includedProperties="name,content", limit=5)
    assert all(email.keys() == {"id", "isAb", "name", "content"} for email in some)
    bodies = [w["body"]["html"] for e in some for w in e["content"]["widgets"].values()]
    longest = max(bodies, key=len)
    assert len(longest) > 1_500_000
    assert '"' in longest
    assert "\r\n" in longest
    assert http.get(EMAILS, params={"limit": 301}).status_code == 400
    assert http.get(EMAILS, params={"sort": "nonsense"}).status_code == 400
    assert http.get(EMAILS, params={"updatedAfter": "yesterday"}).status_code == 400


# Campaigns


def test_campaigns(http: httpx.Client, portal: Portal) -> None:
    truth = {campaign.asset_id: campaign for campaign in portal.campaigns()}
    names = ["hs_name", "hs_start_date", "hs_object_id"]
    for params in ({"properties": ",".join(names)}, {"properties": names}):
        found = walk(http, CAMPAIGNS, limit=2, sort="-updatedAt", **params)
        assert {each["id"] for each in found} == set(truth)
        assert len(found) == len(truth) >= 6
        for each in found:
            wanted = truth[each["id"]].told["properties"]
            assert each["properties"] == {name: wanted[name] for name in sorted(names)}
            assert each["createdAt"] <= each["updatedAt"]
        updated = [each["updatedAt"] for each in found]
        assert updated == sorted(updated, reverse=True)
    assert {str(each["properties"]) for each in walk(http, CAMPAIGNS)} == {"{}"}
    assert http.get(CAMPAIGNS).json()["total"] == len(truth)
    assert http.get("/marketing/campaigns/2026-09").json() == http.get(CAMPAIGNS).json()
    unknown = http.get(CAMPAIGNS, params={"properties": "hs_name,hs_origin_asset_id"})
    assert unknown.status_code == 400
    assert http.get(CAMPAIGNS, params={"limit": 101}).status_code == 400


def test_a_portal_may_serve_campaigns_as_records(http: httpx.Client, served: Serve) -> None:
    path = "/crm/objects/2026-09/0-35"
    assert http.get(path).status_code == 400
    sandbox, client = served(generic_types=frozenset({"0-35"}))
    assert sandbox.portal.find_type("0-35") is not None
    records = walk(client, path, properties="hs_origin_asset_id,hs_name,hs_campaign_status")
    campaigns = {
        each["properties"]["hs_object_id"]: each
        for each in walk(client, CAMPAIGNS, properties="hs_object_id,hs_name")
    }
    assert {record["id"] for record in records} == set(campaigns)
    for record in records:
        campaign = campaigns[record["id"]]
        assert record["properties"]["hs_name"] == campaign["properties"]["hs_name"]
        assert record["properties"]["hs_origin_asset_id"] == campaign["id"]
        assert record["updatedAt"] == campaign["updatedAt"]
    inputs = {"inputs": [{"id": record["id"]} for record in records], "properties": ["hs_name"]}
    batch = client.post(f"{path}/batch/read", json=inputs).json()
    assert {each["id"] for each in batch["results"]} == set(campaigns)
    defined = client.get("/crm/properties/2026-09/0-35").json()["results"]
    assert {"hs_name", "hs_origin_asset_id", "hs_createdate"} <= {p["name"] for p in defined}
    with pytest.raises(ValueError, match="generic_types has 0-28"):
        PortalConfig(generic_types=frozenset({"0-28"}))


# E-mail events


@pytest.mark.parametrize("limit", [3, 1000])
def test_no_event_is_lost_where_pages_meet(http: httpx.Client, portal: Portal, limit: int) -> None:
    start = NOW - timedelta(days=4)
    truth = portal.email_events(start, NOW)
    found = events_of(http, startTimestamp=ms(start), endTimestamp=ms(NOW) - 1, limit=limit)
    assert found == truth
    created = [event["created"] for event in found]
    assert created == sorted(created, reverse=True)
    assert max(Counter(created).values()) > 3
    assert len({event["id"] for event in found}) == len(found) > 100


def test_both_bounds_of_a_window_belong_to_it(http: httpx.Client, portal: Portal) -> None:
    created = sorted({e["created"] for e in portal.email_events(NOW - timedelta(days=3), NOW)})
    first, last = created[3], created[20]
    found = events_of(http, startTimestamp=first, endTimestamp=last, limit=1000)
    assert {event["created"] for event in found} == set(created[3:21])
    later = events_of(http, startTimestamp=ms(NOW) - 3_600_000, limit=1000)
    assert all(event["created"] <= ms(NOW) for event in later)
    assert not events_of(http, endTimestamp=ms(EPOCH))


def test_filters_of_events(http: httpx.Client, portal: Portal) -> None:
    start = NOW - timedelta(days=10)
    truth = portal.email_events(start, NOW)
    window = {"startTimestamp": ms(start), "endTimestamp": ms(NOW) - 1, "limit": 1000}
    types = Counter(event["type"] for event in truth)
    assert {"SENT", "DELIVERED", "OPEN", "CLICK", "BOUNCE", "DROPPED"} <= types.keys()
    for kind, count in types.items():
        found = events_of(http, eventType=kind, **window)
        assert {event["type"] for event in found} == {kind}
        assert len(found) == count
    one = truth[50]
    found = events_of(http, recipient=one["recipient"].lower(), **window)
    assert one in found
    assert {event["recipient"].lower() for event in found} == {one["recipient"].lower()}
    found = events_of(http, campaignId=one["emailCampaignId"], **window)
    assert found == [e for e in truth if e["emailCampaignId"] == one["emailCampaignId"]]
    kept = events_of(http, excludeFilteredEvents="true", **window)
    assert kept == [event for event in truth if not event.get("filteredEvent")]
    assert len(kept) < len(truth)
    assert len(http.get(EVENTS).json()["events"]) == 10
    for params in (
        {"limit": 1001},
        {"eventType": "open"},
        {"offset": "!"},
        {"startTimestamp": "x"},
    ):
        assert http.get(EVENTS, params=params).status_code == 400


def test_what_follows_from_what(portal: Portal) -> None:
    start = NOW - timedelta(days=20)
    found = portal.email_events(start, NOW)
    by_id = {event["id"]: event for event in found}
    clicks = followed = 0
    for event in found:
        sent_by = event.get("sentBy")
        assert (sent_by is None) == (event["type"] == "SENT")
        clicks += event["type"] == "CLICK" and event["url"].startswith("https://")
        if sent_by and sent_by["created"] >= ms(start):
            sent = by_id[sent_by["id"]]
            assert sent["type"] == "SENT"
            assert sent["created"] == sent_by["created"] <= event["created"]
            assert sent["recipient"] == event["recipient"]
            assert sent["emailCampaignId"] == event["emailCampaignId"]
            followed += 1
    assert clicks
    assert followed > len(found) / 2


def test_events_join_emails_and_contacts(portal: Portal) -> None:
    found = portal.email_events(NOW - timedelta(days=30), NOW)
    known = {
        campaign_id
        for email in portal.marketing_emails()
        for campaign_id in email.told["allEmailCampaignIds"]
    }
    assert {str(event["emailCampaignId"]) for event in found} <= known
    contacts = [portal.record("0-1", each, NOW) for each in portal.live_ids("0-1", NOW)]
    emails = {c.properties["email"] for c in contacts if c and "email" in c.properties}
    recipients = {event["recipient"] for event in found}
    of_contacts = {each for each in recipients if each.lower() in emails}
    assert len(of_contacts) > len(recipients) / 2
    assert of_contacts - emails
    assert any(each.lower() not in emails for each in recipients)


# The portal


@pytest.mark.parametrize(
    ("path", "without"),
    [
        (FORMS, {"forms"}),
        (f"{SUBMISSIONS}/{CONTACT_US}", {"forms"}),
        (EMAILS, {"content", "marketing.email.read"}),
        (CAMPAIGNS, {"marketing.campaigns.read"}),
        (EVENTS, {"content"}),
    ],
)
def test_scopes(served: Serve, path: str, without: set[str]) -> None:
    _, http = served(without_scopes=frozenset(without))
    refused = http.get(path)
    assert refused.status_code == 403
    body = refused.json()
    assert body["category"] == "MISSING_SCOPES"
    needed = body["errors"][0]["context"]["requiredGranularScopes"]
    assert set(needed) == without
    _, open_to_one = served(scopes=frozenset({needed[-1]}))
    assert open_to_one.get(path).status_code == 200


@pytest.mark.parametrize("day", ["2026-11-22", "2025-01-31"])
def test_the_plan_tells_what_can_be_read(served: Serve, day: str) -> None:
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    sandbox, http = served(records=100, now=end - timedelta(milliseconds=1))
    plan = http.get("/_sandbox/plan", params={"day": day}).json()
    forms = walk(http, FORMS, formTypes="all")
    gone = walk(http, FORMS, formTypes="all", archived="true")
    submissions = [
        each
        for form in forms + gone
        if form["formType"] != "blog_comment"
        for each in walk(http, f"{SUBMISSIONS}/{form['id']}", limit=50)
    ]
    told = {
        "0-28": len(forms),
        "0-15": len(submissions),
        "0-29": len(walk(http, EMAILS)),
        "0-35": len(walk(http, CAMPAIGNS)),
    }
    assert {each: plan["content"][each] for each in told} == told
    start = ms(end - timedelta(days=1))
    events = events_of(http, startTimestamp=start, endTimestamp=ms(end) - 1, limit=1000)
    counted = {kind: count for kind, count in plan["email_events"].items() if count}
    assert counted == Counter(event["type"] for event in events)
    # A plan of the same day, told much later, is the same.
    sandbox.portal.clock.set(end + timedelta(days=200))
    assert http.get("/_sandbox/plan", params={"day": day}).json() == plan


def test_assets_have_a_life(portal: Portal) -> None:
    then = datetime(2024, 6, 1, tzinfo=UTC)
    for read in (portal.forms, portal.marketing_emails, portal.campaigns):
        before = {each.asset_id: each for each in read(then)}
        now = {each.asset_id: each for each in read()}
        assert 0 < len(before) < len(now)
        assert all(each.created_at <= each.updated_at <= then for each in before.values())
        assert any(
            now[asset_id].told != each.told for asset_id, each in before.items() if asset_id in now
        )
        assert all(each.updated_at <= NOW for each in now.values())
        assert not read(EPOCH)
    later = portal.forms(datetime(2026, 12, 31, tzinfo=UTC))
    assert len(later) > len(portal.forms())


def test_seeds_and_sizes() -> None:
    def told(**settings: Any) -> tuple[Any, ...]:
        portal = Portal(PortalConfig(**{"records": 50, "now": NOW, **settings}))
        start = NOW - timedelta(days=2)
        return portal.submissions(CONTACT_US, EPOCH, NOW), portal.email_events(start, NOW)

    first, again, other, big = told(), told(), told(seed=8), told(records=500)
    assert first == again
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))
    assert all(len(many) > 2 * len(few) for few, many in zip(first, big, strict=True))
    assert not told(records=0)[1]


def test_offsets_of_email_events_may_expire(served: Any) -> None:
    for lasts in (None, 60_000):
        sandbox, http = served(records=400, email_offsets_last_ms=lasts)
        path = "/email/public/v1/events"
        first = http.get(path, params={"limit": 5}).json()
        clock = sandbox.portal.clock
        clock.set(clock.datetime() + timedelta(seconds=60))
        query = {"limit": 5, "offset": first["offset"]}
        second = http.get(path, params=query)
        assert second.status_code == 200
        assert not {e["id"] for e in first["events"]} & {e["id"] for e in second.json()["events"]}
        clock.set(clock.datetime() + timedelta(milliseconds=1))
        later = http.get(path, params=query)
        assert later.status_code == (200 if lasts is None else 400)
