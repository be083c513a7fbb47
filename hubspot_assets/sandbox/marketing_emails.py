"""Marketing emails, and what of them is sent when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from hubspot_assets.sandbox.assets import Asset, phase, stamp
from hubspot_assets.sandbox.facts import document
from hubspot_assets.sandbox.stamps import DAY, milliseconds, parse_iso

#: Gives id and name of the campaign that was the newest at a moment, as of another one.
NewestCampaign = Callable[[datetime, datetime], tuple[str, str] | None]


def marketing_emails_at(at: datetime, newest: NewestCampaign) -> list[Asset]:
    """Marketing emails that exist at a moment, archived ones too, in order of creation."""
    found = []
    for row in document("marketing_emails.json")["emails"]:
        reached = phase(row, at)
        if reached is not None:
            campaign = newest(reached.created, at) if row["campaign"] else None
            told = {"id": row["id"], **_common(), **reached.members, **reached.dates()}
            told |= _publishing(row, at) | _campaigns(row, campaign) | _testing(row)
            told["content"] = _content(row["id"])
            if reached.archived is not None:
                told["deletedAt"] = told["updatedAt"]
            found.append(Asset(row["id"], reached.created, reached.updated, reached.archived, told))
    return sorted(found, key=lambda each: (each.created_at, int(each.asset_id)))


def _common() -> dict[str, Any]:
    members: dict[str, Any] = document("marketing_emails.json")["members"]
    return members


def _publishing(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """State and dates of publishing; an email is a draft until then."""
    if row["published"] is None:
        return {"state": row["state"], "isPublished": False}
    published = parse_iso(row["published"])
    told = {"publishDate": stamp(published)}
    if published > at:
        scheduled = row["state"] in ("PUBLISHED", "SCHEDULED")
        return told | {"state": "SCHEDULED" if scheduled else "DRAFT", "isPublished": False}
    state = "PUBLISHED" if row["state"] == "SCHEDULED" else row["state"]
    told |= {"publishedAt": stamp(published), "publishedById": "9586504"}
    return {**told, "state": state, "isPublished": True}


def _testing(row: dict[str, Any]) -> dict[str, Any]:
    """Whether it is one of two that are tried against each other, and which of them."""
    is_tested, is_variation = row["members"]["type"] == "AB_EMAIL", row.get("variation", False)
    testing = {**_common()["testing"], "isAbVariation": is_variation}
    if is_tested:
        testing |= {"testId": "77001", "abStatus": "variant" if is_variation else "master"}
    return {"isAb": is_tested, "testing": testing}


def _campaigns(row: dict[str, Any], campaign: tuple[str, str] | None) -> dict[str, Any]:
    """The marketing campaign it belongs to, and its email campaigns: what events point to."""
    told: dict[str, Any] = {"allEmailCampaignIds": [str(each) for each in row["emailCampaignIds"]]}
    if campaign is not None:
        told |= {"campaign": campaign[0], "campaignName": campaign[1]}
    if row["emailCampaignIds"]:
        first = row["emailCampaignIds"][0]
        told |= {"primaryEmailCampaignId": str(first), "emailCampaignGroupId": str(first - 1)}
    return told


@cache
def _content(email_id: str) -> dict[str, Any]:
    """The body: one widget per block of text; the last one has most of the blocks."""
    known = document("marketing_emails.json")
    row = next(each for each in known["emails"] if each["id"] == email_id)
    texts = [known["block"][number % len(known["block"])] for number in range(row["blocks"])]
    bodies = [*texts[:2], "".join(texts[2:])]
    widgets = {
        f"module-{number}-0-0": {
            "id": f"module-{number}-0-0",
            "name": f"module-{number}-0-0",
            "type": "module",
            "module_id": 1155639,
            "order": number,
            "css": {},
            "body": {"html": body, "css_class": "dnd-module", "i18nKey": "richText.widget"},
        }
        for number, body in enumerate(bodies)
    }
    columns = [{"id": f"column-{name}", "widgets": [name], "width": 12} for name in widgets]
    return {
        "templatePath": "@hubspot/email/dnd/Start_from_scratch.html",
        "plainTextVersion": f'Hello,\nthis is "plain text", no. {email_id}\r\n',
        "flexAreas": {"main": {"boxed": False, "sections": [{"id": "s-0", "columns": columns}]}},
        "widgets": widgets,
        "widgetContainers": {},
        "smartFields": {},
        "themeSettingsValues": {},
        "styleSettings": known["styleSettings"],
    }


def lost_with_stats() -> frozenset[str]:
    """Ids of the emails that a list with statistics leaves out: a bug that HubSpot has."""
    emails = document("marketing_emails.json")["emails"]
    return frozenset(row["id"] for row in emails if row["lost_with_stats"])


def statistics(email: Asset, at: datetime) -> dict[str, Any]:
    """Made-up figures that grow day by day; they do not add up to the email's events."""
    sent = 0
    if email.told["isPublished"]:
        days = milliseconds(at) - milliseconds(parse_iso(email.told["publishDate"]))
        sent = 100 + int(email.asset_id) % 97 * (days // DAY)
    counters = {"sent": sent, "delivered": sent * 96 // 100, "open": sent * 30 // 100}
    counters |= {"click": sent * 5 // 100, "bounce": sent - counters["delivered"]}
    return {
        "counters": counters,
        "ratios": {
            "openratio": 31.25 if sent else 0.0,
            "clickratio": 5.2083333333333 if sent else 0.0,
        },
        "deviceBreakdown": {"open_device_type": {"computer": counters["open"], "mobile": 0}},
        "qualifierStats": {},
    }


@dataclass(frozen=True, slots=True)
class Mailing:
    """A marketing email as it is sent. `email_campaign_ids` are its email campaigns, `start`
    and `end` (None: not ended) when it is sent, in epoch milliseconds."""

    email_id: str
    subject: str
    automated: bool
    email_campaign_ids: tuple[int, ...]
    start: int
    end: int | None


@cache
def mailings() -> tuple[Mailing, ...]:
    """All emails that are ever sent, in order of publishing."""
    found = [
        Mailing(
            email_id=row["id"],
            subject=row["members"]["subject"],
            automated=row["members"]["type"] not in ("BATCH_EMAIL", "AB_EMAIL", "RSS_EMAIL"),
            email_campaign_ids=tuple(row["emailCampaignIds"]),
            start=milliseconds(parse_iso(row["published"])),
            end=milliseconds(parse_iso(row["archived"])) if row["archived"] else None,
        )
        for row in document("marketing_emails.json")["emails"]
        if row["sends"]
    ]
    return tuple(sorted(found, key=lambda each: each.start))
