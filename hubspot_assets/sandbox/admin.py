"""`/_sandbox`: what a test or a person can ask of the sandbox itself."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from hubspot_assets.sandbox.call import Answer, told
from hubspot_assets.sandbox.stamps import iso, milliseconds, moment, parse_iso

if TYPE_CHECKING:
    from hubspot_assets.sandbox.app import Application


def answer(app: "Application", method: str, path: str, query: str, body: bytes) -> Answer:
    """Answers a request to `/_sandbox/...`; 400 with a message for one that is wrong."""
    asked = dict(parse_qsl(query))
    try:
        match method, path.removeprefix("/_sandbox"):
            case "GET", "/plan":
                return told(_plan(app, asked))
            case "GET", "/clock":
                return told({"now": iso(app.portal.clock.now())})
            case "POST", "/clock":
                return told(_set_clock(app, _json(body)))
            case "GET", "/faults":
                return told([_fault(each) for each in app.faults.pending()])
            case "POST", "/faults":
                app.faults.add(**_json(body))
                return told([_fault(each) for each in app.faults.pending()])
            case "DELETE", "/faults":
                app.faults.clear()
                return told([])
            case "GET", "/requests":
                return told([
                    {"request": request, "status": status, "count": count}
                    for (request, status), count in sorted(app.requests.items())
                ])  # fmt: skip
            case "DELETE", "/requests":
                app.requests.clear()
                return told([])
    except (ValueError, TypeError, ZoneInfoNotFoundError) as error:
        return told({"message": str(error)}, 400)
    return told({"message": f"{method} {path}: no such sandbox request"}, 404)


def end_of_day(day: date, time_zone: str) -> datetime:
    """The moment a calendar day ends in a time zone."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(time_zone)).astimezone(UTC)


def _plan(app: "Application", asked: dict[str, str]) -> dict[str, Any]:
    """Live records per enabled type as of the end of a day, what happened on that day, and links
    (counted per type) per ordered pair; `links=false` leaves those out, for they take a while in
    a large portal."""
    portal, events = app.portal, {}
    if "day" in asked:
        day, time_zone = date.fromisoformat(asked["day"]), asked.get("timezone", "UTC")
        end = end_of_day(day, time_zone)
        start = end_of_day(day - timedelta(days=1), time_zone)
        events = {"events": portal.event_counts(start, end)}
        # A record created at the very end of the day belongs to the next one.
        at = end - timedelta(milliseconds=1)
    else:
        at = end = portal.clock.datetime()
    kinds = [kind for kind in portal.object_types() if portal.is_enabled(kind)]
    live = {k.object_type_id: portal.live_count(k.object_type_id, at) for k in kinds}
    lists = portal.lists(at)
    marketing = _marketing_plan(app, asked, end)
    plan: dict[str, Any] = {
        "as_of": end.isoformat(),
        "live": live,
        "total": sum(live.values()),
        "content": {
            "0-45": len(lists),
            **portal.content.counts(milliseconds(at)),
            **marketing["content"],
        },
        "email_events": marketing["email_events"],
        "members": {str(each.facts.list_id): each.size for each in lists},
        **events,
    }
    if asked.get("links") != "false":
        counts = portal.link_counts(at)
        plan["links"] = {f"{near}>{far}": count for (near, far), count in counts.items()}
    return plan


def _marketing_plan(app: "Application", asked: dict[str, str], end: datetime) -> dict[str, Any]:
    """What is live in the marketing tools by the end of a day, and the day's e-mail events."""
    portal, zone = app.portal, ZoneInfo(asked.get("timezone", "UTC"))
    at = end - timedelta(milliseconds=1) if "day" in asked else end
    start = datetime.combine(at.astimezone(zone).date(), time(), zone)
    first, last = milliseconds(start), milliseconds(at)
    return {
        "content": {
            "0-28": sum(not form.archived for form in portal.forms(at)),
            "0-15": portal.marketing.submission_count(last),
            "0-29": sum(not email.archived for email in portal.marketing_emails(at)),
            "0-35": len(portal.campaigns(at)),
        },
        "email_events": portal.marketing.events.counts(first, last),
    }


def _set_clock(app: "Application", asked: dict[str, Any]) -> dict[str, str]:
    """`{"now": ISO}` pins the clock, `{"now": null}` frees it, `{"advance": seconds}` moves it."""
    clock = app.portal.clock
    if "advance" in asked:
        clock.set(moment(clock.now() + int(float(asked["advance"]) * 1000)))
    elif "now" in asked:
        clock.set(None if asked["now"] is None else parse_iso(str(asked["now"])))
    else:
        raise ValueError("expected now or advance")
    return {"now": iso(clock.now())}


def _fault(fault: Any) -> dict[str, Any]:  # noqa: ANN401 - a Fault's fields
    return {name: getattr(fault, name) for name in fault.__slots__}


def _json(body: bytes) -> dict[str, Any]:
    asked = orjson.loads(body or b"{}")
    if not isinstance(asked, dict):
        raise ValueError("expected a JSON object")
    return asked
