"""Forms, their submissions, marketing emails, campaigns and e-mail events over HTTP."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from hubspot_assets.sandbox.assets import Asset
from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.campaigns import campaign_properties
from hubspot_assets.sandbox.email_events import TYPES, Event
from hubspot_assets.sandbox.errors import ApiError, invalid, not_found
from hubspot_assets.sandbox.forms import SILENT_TYPES
from hubspot_assets.sandbox.marketing_emails import lost_with_stats, statistics
from hubspot_assets.sandbox.population import START
from hubspot_assets.sandbox.properties import definition, unvalued_properties
from hubspot_assets.sandbox.scopes import CAMPAIGNS, EMAIL_EVENTS, FORMS, MARKETING_EMAILS
from hubspot_assets.sandbox.stamps import moment, parse_iso

_FORM_TYPES = frozenset({"hubspot", "captured", "flow", "blog_comment"})
_EMAIL_SORTS = ("name", "createdAt", "updatedAt", "createdById", "updatedById")
_CAMPAIGN_SORTS = ("hs_name", "createdAt", "updatedAt")


def list_forms(call: Call) -> Answer:
    """`GET /marketing/forms`: HubSpot's own forms, unless `formTypes` asks for others."""
    call.need(FORMS)
    limit, after, archived = call.limit(20, 500), call.after(), call.flag("archived")
    types = frozenset(call.many("formTypes") or ("hubspot",))
    if "all" in types:
        types = _FORM_TYPES
    elif unknown := types - _FORM_TYPES:
        raise invalid(f"Invalid value for formTypes: {', '.join(sorted(unknown))}")
    found = [
        form.told
        for form in call.portal.forms(moment(call.now))
        if form.archived == archived and form.told["formType"] in types
    ]
    page, following = _cut(found, after, limit)
    return call.paged(page, following)


def legacy_properties(call: Call) -> Answer:
    """`GET /properties/v2/forms/properties`: a bare list."""
    call.need(FORMS)
    return told([definition(each) for each in unvalued_properties("forms")])


def list_submissions(call: Call) -> Answer:
    """`GET /form-integrations/v1/submissions/forms/{formId}`: newest first. The cursor is the
    place in the row of all submissions, so new ones do not move the pages."""
    call.need(FORMS)
    limit = call.limit(20, 50)
    forms = {form.asset_id: form for form in call.portal.forms(moment(call.now))}
    form = forms.get(call.params["formId"])
    if form is None:
        raise not_found()
    if form.told["formType"] in SILENT_TYPES:
        message = f"Submissions of {form.told['formType']} forms cannot be read"
        raise ApiError(
            400, message, errors=[{"message": message, "errorType": "FORM_TYPE_NOT_ALLOWED"}]
        )
    submissions = call.portal.marketing.submissions(form.asset_id)
    count = submissions.count(call.now)
    if call.one("after"):
        count = min(count, _opened(call, "after", 1)[0])
    rest = max(0, count - limit)
    page = [submissions.submission(n).told() for n in range(count - 1, rest - 1, -1)]
    return call.paged(page, _sealed(rest) if rest else None)


def list_emails(call: Call) -> Answer:
    """`GET /marketing/emails`. `includeStats=true` leaves some emails out, as HubSpot does."""
    call.need(MARKETING_EMAILS)
    limit, after, archived = call.limit(100, 300), call.after(), call.flag("archived")
    at, stats = moment(call.now), call.flag("includeStats")
    lost = lost_with_stats() if stats else frozenset[str]()
    found = [
        email
        for email in call.portal.marketing_emails(at)
        if email.archived == archived and email.asset_id not in lost and _is_asked(call, email)
    ]
    found = _sorted(call, found, _EMAIL_SORTS, "createdAt")
    page, following = _cut(found, after, limit)
    names = call.many("includedProperties")
    results = []
    for email in page:
        members = {**email.told, "stats": statistics(email, at)} if stats else email.told
        if names:
            members = {k: v for k, v in members.items() if k in ("id", "isAb", *names)}
        results.append(members)
    return _totalled(call, len(found), results, following)


def _is_asked(call: Call, email: Asset) -> bool:
    """Whether an email passes the filters; those by date leave out their bounds."""
    for name, at in (("created", email.created_at), ("updated", email.updated_at)):
        exactly, after = _moment(call, f"{name}At"), _moment(call, f"{name}After")
        before = _moment(call, f"{name}Before")
        if (
            (exactly is not None and at != exactly)
            or (after is not None and at <= after)
            or (before is not None and at >= before)
        ):
            return False
    types = call.many("type")
    if types and email.told["type"] not in types:
        return False
    published = email.told["isPublished"]
    return bool(published == call.flag("isPublished", default=published))


def list_campaigns(call: Call) -> Answer:
    """`GET /marketing/campaigns`: with the properties asked for; 400 for any unknown one."""
    call.need(CAMPAIGNS)
    limit, after = call.limit(50, 100), call.after()
    names, known = call.many("properties"), campaign_properties()
    for name in names:
        if name not in known:
            raise invalid(f"Property '{name}' does not exist or cannot be read")
    part = call.one("name").lower()
    found = [
        campaign
        for campaign in call.portal.campaigns(moment(call.now))
        if part in campaign.told["properties"]["hs_name"].lower()
    ]
    found = _sorted(call, found, _CAMPAIGN_SORTS, "hs_name")
    page, following = _cut(found, after, limit)
    results = [
        {**each.told, "properties": {n: each.told["properties"][n] for n in sorted(set(names))}}
        for each in page
    ]
    return _totalled(call, len(found), results, following)


def list_email_events(call: Call) -> Answer:
    """`GET /email/public/v1/events`: newest first. `offset` is the last event told, so that
    events of one millisecond are not lost where pages meet."""
    call.need(EMAIL_EVENTS)
    limit = call.limit(10, 1000)
    found = islice(_events(call), limit + 1)
    page = list(found)
    more = len(page) > limit
    page = page[:limit]
    last = _sealed(call.now, page[-1].created, *page[-1][1:5]) if page else call.one("offset")
    plan = call.portal.marketing.events
    events = [plan.told(event) for event in page]
    return told({"hasMore": more, "offset": last, "events": events})


def _events(call: Call) -> Iterator[Event]:
    plan = call.portal.marketing.events
    kind, recipient = call.one("eventType"), call.one("recipient").lower()
    campaign = _number(call, "campaignId")
    if kind and kind not in TYPES:
        raise invalid(f"Invalid value for eventType: {kind}")
    first, last = _number(call, "startTimestamp"), _number(call, "endTimestamp")
    last = call.now if last is None else min(last, call.now)
    told_before: list[int] | None = None
    unfiltered = call.flag("excludeFilteredEvents")
    if call.one("offset"):
        given, *told_before = _opened(call, "offset", 6)
        lasts = call.portal.config.email_offsets_last_ms
        if lasts is not None and call.now - given > lasts:
            raise invalid("The offset has expired", subCategory="INVALID_OFFSET")
        last = min(last, told_before[0])
    for event in plan.between(START if first is None else first, last):
        if (
            (told_before is None or [*event[:5]] < told_before)
            and (not kind or event.type == kind)
            and (not recipient or plan.recipient(event).lower() == recipient)
            and (campaign is None or plan.email_campaign_id(event) == campaign)
            and not (unfiltered and plan.filtered(event))
        ):
            yield event


# Parameters and pages


def _cut(found: list[Any], after: int, limit: int) -> tuple[list[Any], int | None]:
    """A page, and where the next one begins."""
    end = after + limit
    return found[after:end], end if end < len(found) else None


def _totalled(call: Call, total: int, results: list[Any], after: int | None) -> Answer:
    paging = call.paging(after)
    page = {"total": total, "results": results}
    return told(page if paging is None else {**page, "paging": paging})


def _sorted(call: Call, found: list[Asset], names: tuple[str, ...], usual: str) -> list[Asset]:
    """In the order that `sort` asks for; a minus sign turns it round."""
    for rule in reversed(call.many("sort") or (usual,)):
        name = rule.removeprefix("-")
        if name not in names:
            raise invalid(f"Invalid value for sort: {rule}")
        found = sorted(found, key=lambda each: _key(each, name), reverse=rule != name)
    return found


def _key(asset: Asset, name: str) -> str:
    if name.startswith("hs_"):
        return str(asset.told["properties"][name])
    return str(asset.told[name])


def _moment(call: Call, name: str) -> datetime | None:
    """A moment in epoch milliseconds or as ISO text."""
    text = call.one(name)
    if not text:
        return None
    try:
        return moment(int(text)) if text.isdecimal() else parse_iso(text)
    except ValueError:
        raise invalid(f"Invalid value for {name}: {text}") from None


def _number(call: Call, name: str) -> int | None:
    text = call.one(name)
    if text and not text.isdecimal():
        raise invalid(f"Invalid value for {name}: {text}")
    return int(text) if text else None


def _sealed(*numbers: int) -> str:
    """A cursor that tells a client nothing."""
    return urlsafe_b64encode("|".join(map(str, numbers)).encode()).decode().rstrip("=")


def _opened(call: Call, name: str, size: int) -> tuple[int, ...]:
    """The numbers of a cursor; 400 if it is none of ours."""
    text = call.one(name)
    try:
        numbers = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split("|")
        found = tuple(map(int, numbers))
    except ValueError:
        found = ()
    if len(found) != size:
        raise invalid(f"Invalid value for {name}: {text}")
    return found
