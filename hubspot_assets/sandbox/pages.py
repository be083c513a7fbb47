"""Landing pages, site pages and blog posts, as the CMS API tells them."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from hubspot_assets.sandbox.facts import rows, value_pools
from hubspot_assets.sandbox.people import all_owners
from hubspot_assets.sandbox.stamps import DAY, given, given_or_none, iso
from hubspot_assets.sandbox.values import GOLDEN, mix

KINDS = ("landing-page", "site-page", "blog-post")
#: How many pieces of HTML a body has: a few, or a few megabytes of them.
_PIECES = {"none": 0, "short": 12, "long": 44_000}
_CATEGORIES = {"site-page": (1, "1"), "landing-page": (1, "4"), "blog-post": (3, "3")}
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Page:
    """A page or post as it is made. `edit_days` lie between two edits, 0 for none; `body` is
    none, short or long. All moments are epoch milliseconds."""

    kind: str
    page_id: int
    name: str
    slug: str
    language: str
    created: int
    edit_days: int
    published: int | None
    archived: int | None
    user_id: int
    body: str
    summary: str

    def is_archived(self, now: int) -> bool:
        """Whether it has been archived by a moment."""
        return self.archived is not None and self.archived <= now

    def edits(self, now: int) -> int:
        """How often it was edited by a moment; an archived page stays as it was."""
        end = now if self.archived is None else min(now, self.archived)
        return (end - self.created) // (self.edit_days * DAY) if self.edit_days else 0

    def updated(self, now: int) -> int:
        """When it was last edited, published or archived."""
        steps = [self.created + self.edits(now) * self.edit_days * DAY]
        steps += [at for at in (self.published, self.archived) if at is not None and at <= now]
        return max(steps)


@cache
def all_pages(kind: str) -> tuple[Page, ...]:
    """All pages of a kind that there ever are, by id."""
    found = [_page(row) for row in rows("pages.csv") if row["kind"] == kind]
    return tuple(sorted(found, key=lambda each: each.page_id))


def _page(row: dict[str, str]) -> Page:
    return Page(
        kind=row["kind"],
        page_id=int(row["page_id"]),
        name=row["name"],
        slug=row["slug"],
        language=row["language"],
        created=given(row["created_at"]),
        edit_days=int(row["edit_days"]),
        published=given_or_none(row["published_at"]),
        archived=given_or_none(row["archived_at"]),
        user_id=int(row["user_id"]),
        body=row["body"],
        summary=row["summary"],
    )


@lru_cache(maxsize=64)
def html(seed: int, pieces: int) -> str:
    """HTML with quotes, commas, line breaks and letters of many scripts: the same for the same
    seed."""
    pools = value_pools()
    texts = [*pools["html"], *(f"<p>{text}</p>" for text in pools["hostile"])]
    drawn = (mix(seed + piece * GOLDEN) for piece in range(pieces))
    return "\r\n".join(f'<div id="b{n}">{texts[n % len(texts)]}</div>' for n in drawn)


def page_told(page: Page, seed: int, now: int) -> dict[str, Any]:
    """A page or post as it is at a moment."""
    return _common(page, now) | (
        _post(page, seed) if page.kind == "blog-post" else _layout(page, seed)
    )


def _common(page: Page, now: int) -> dict[str, Any]:
    is_public = page.published is not None and page.published <= now
    archived = page.archived if page.is_archived(now) else None
    is_post = page.kind == "blog-post"
    domain = "blog.example.com" if is_post else "www.example.com"
    category, content_type = _CATEGORIES[page.kind]
    revision = page.edits(now) + 1
    return {
        "id": str(page.page_id),
        "name": page.name,
        "slug": page.slug,
        "htmlTitle": f"{page.name} | Pop-Tart & Waffle",
        "metaDescription": f"{page.summary} (revision {revision})".strip(),
        "language": page.language,
        "state": _state(page, is_public=is_public),
        "currentState": "PUBLISHED" if is_public else _state(page, is_public=False),
        "currentlyPublished": is_public and archived is None,
        "created": iso(page.created),
        "updated": iso(page.updated(now)),
        "publishDate": _EPOCH if page.published is None else iso(page.published),
        "archivedAt": _archived_at(archived, is_post=is_post),
        "archivedInDashboard": archived is not None,
        "authorName": _names()[page.user_id],
        "createdById": str(page.user_id),
        "updatedById": str(page.user_id),
        "domain": domain if is_post else "",
        "url": f"https://{domain}/{page.slug}",
        "categoryId": category,
        "contentTypeCategory": content_type,
        "contentGroupId": "154000000007" if is_post else "",
        **_UNUSED,
    }


def _state(page: Page, *, is_public: bool) -> str:
    if is_public:
        return "PUBLISHED" if page.kind == "blog-post" else "PUBLISHED_OR_SCHEDULED"
    return "DRAFT" if page.published is None else "SCHEDULED"


def _archived_at(archived: int | None, *, is_post: bool) -> str | int:
    if is_post:
        return archived or 0
    return _EPOCH if archived is None else iso(archived)


@cache
def _names() -> dict[int, str]:
    return {
        each.user_id: " ".join(filter(None, (each.first_name, each.last_name)))
        for each in all_owners()
        if each.user_id is not None
    }


#: What every page has and hardly any uses.
_UNUSED: dict[str, Any] = {
    "abStatus": "master",
    "abTestId": "",
    "attachedStylesheets": [],
    "campaign": "",
    "dynamicPageDataSourceId": "",
    "dynamicPageDataSourceType": 0,
    "dynamicPageHubDbTableId": "",
    "enableDomainStylesheets": True,
    "enableLayoutStylesheets": True,
    "featuredImage": "",
    "featuredImageAltText": "",
    "folderId": "",
    "footerHtml": "",
    "headHtml": "",
    "includeDefaultCustomCss": True,
    "linkRelCanonicalUrl": "",
    "mabExperimentId": "",
    "pageExpiryDate": 0,
    "pageExpiryEnabled": False,
    "pageExpiryRedirectId": 0,
    "pageExpiryRedirectUrl": "",
    "password": "",
    "publicAccessRules": [],
    "publicAccessRulesEnabled": False,
    "publishImmediately": False,
    "themeSettingsValues": {},
    "translatedFromId": "",
    "translations": {},
    "useFeaturedImage": False,
    "widgetContainers": {},
}


_GREY = {"r": 245, "g": 248, "b": 250, "a": 1.0}
_STYLES: dict[str, Any] = {
    "backgroundColor": _GREY,
    "backgroundGradient": {
        "angle": {"units": "DEGREES", "value": 90.0},
        "colors": [{"color": _GREY}],
        "sideOrCorner": {"horizontalSide": "LEFT", "verticalSide": "TOP"},
    },
    "backgroundImage": {"backgroundPosition": "CENTER", "backgroundSize": "cover", "imageUrl": ""},
    "flexboxPositioning": "TOP_LEFT",
    "forceFullWidthSection": False,
    "maxWidthSectionCentering": 1200,
    "verticalAlignment": "TOP",
}


def _layout(page: Page, seed: int) -> dict[str, Any]:
    body = html(seed + page.page_id, _PIECES[page.body])
    section = _section("dnd_area", "cell", {})
    section["rows"] = (
        [{"0": _section("module-1", "custom_widget", {"html": {"value": body}})}] if body else []
    )
    section["rowMetaData"] = [
        {
            "cssClass": "dnd-section",
            "styles": _STYLES,
        }
        for _ in section["rows"]
    ]
    widget = {"body": {"value": page.name}, "label": "Title", "name": "title", "type": "text"}
    return {
        "subcategory": page.kind.replace("-", "_"),
        "templatePath": "@hubspot/growth/templates/home.html",
        "pageRedirected": False,
        "layoutSections": {"dnd_area": section} if page.body != "none" else {},
        "widgets": {"title": widget},
    }


def _section(name: str, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "label": "Main section",
        "type": kind,
        "params": params,
        "cells": [],
        "rows": [],
        "rowMetaData": [],
        "cssClass": "",
        "cssId": "",
        "cssStyle": "",
        "styles": _STYLES,
        "w": 12,
        "x": 0,
    }


def _post(page: Page, seed: int) -> dict[str, Any]:
    body = html(seed + page.page_id, _PIECES[page.body])
    tags = [155_000_000_011 + tag for tag in range(page.page_id % 4)]
    return {
        "blogAuthorId": str(156_000_000_000 + page.user_id),
        "tagIds": tags,
        "postBody": body,
        "postSummary": f"<p>{page.summary}</p>" if page.summary else "",
        "rssBody": body[:2000],
        "rssSummary": page.summary,
        "enableGoogleAmpOutputOverride": False,
        "layoutSections": {},
        "widgets": {},
    }
