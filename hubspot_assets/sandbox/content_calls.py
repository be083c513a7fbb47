"""The APIs of content: CMS, files, sequences, conversations, deal splits."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.conversations import Thread, message_told, thread_told
from hubspot_assets.sandbox.cursors import cursor, cursor_numbers
from hubspot_assets.sandbox.errors import invalid, missing_records, not_found
from hubspot_assets.sandbox.media import File
from hubspot_assets.sandbox.pages import Page
from hubspot_assets.sandbox.scopes import (
    BLOG_POSTS,
    CONVERSATIONS,
    DEAL_SPLITS,
    FILES,
    LANDING_PAGES,
    SEQUENCES,
    SITE_PAGES,
)
from hubspot_assets.sandbox.sequences import all_sequences, sequence_told
from hubspot_assets.sandbox.stamps import milliseconds, parse_iso

#: How far the search for files reaches.
CEILING = 10_000
_DEALS = "0-3"
Item = TypeVar("Item")

# CMS


def list_landing_pages(call: Call) -> Answer:
    """`GET /cms/pages/landing-pages`."""
    return _pages(call, "landing-page", LANDING_PAGES)


def list_site_pages(call: Call) -> Answer:
    """`GET /cms/pages/site-pages`."""
    return _pages(call, "site-page", SITE_PAGES)


def list_posts(call: Call) -> Answer:
    """`GET /cms/blogs/posts`."""
    return _pages(call, "blog-post", BLOG_POSTS)


def _pages(call: Call, kind: str, scopes: tuple[str, ...]) -> Answer:
    call.need(scopes)
    limit = call.limit(100, 100)
    (start,) = cursor_numbers(call.one("after"), 1) if call.one("after") else (0,)
    content, now = call.portal.content, call.now
    found = [
        each
        for each in content.pages(kind, now, archived=call.flag("archived"))
        if _within(call, "created", each.created) and _within(call, "updated", each.updated(now))
    ]
    sorts: dict[str, Callable[[Page], Any]] = {
        "createdAt": lambda each: (each.created, each.page_id),
        "updatedAt": lambda each: (each.updated(now), each.page_id),
        "name": lambda each: (each.name, each.page_id),
        "id": lambda each: each.page_id,
    }
    _sort(call, found, sorts, "createdAt")
    page = found[start : start + limit]
    more = start + limit < len(found)
    body: dict[str, Any] = {
        "total": len(found),
        "results": [_page_told(call, each) for each in page],
    }
    return _paged(call, body, cursor(start + limit) if more else None)


def _page_told(call: Call, page: Page) -> dict[str, Any]:
    """A page as the version and the portal tell it."""
    told = call.portal.content.page_told(page, call.now)
    if page.kind == "blog-post" and call.version != "2026-09" and told["state"] == "PUBLISHED":
        told["publishedAt"] = told["publishDate"]
    if call.portal.config.page_dates_at:
        told |= {"createdAt": told.pop("created"), "updatedAt": told.pop("updated")}
    return told


def _within(call: Call, name: str, at: int) -> bool:
    """Whether a moment is the one asked for by `createdAt`, `createdAfter`, `createdBefore`."""
    exact, after, before = (_moment(call, f"{name}{end}") for end in ("At", "After", "Before"))
    return (
        (exact is None or at == exact)
        and (after is None or at > after)
        and (before is None or at < before)
    )


def _moment(call: Call, name: str) -> int | None:
    """A moment in the query, ISO or epoch milliseconds; None without one."""
    text = call.one(name)
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        return milliseconds(parse_iso(text))
    except ValueError:
        raise invalid(f"Invalid value for {name}: {text}") from None


def _sort(
    call: Call, found: list[Item], sorts: dict[str, Callable[[Item], Any]], default: str
) -> None:
    """Sorts by the field asked for, `-` before it for the other way round."""
    sort = call.one("sort", default) or default
    if sort.removeprefix("-") not in sorts:
        raise invalid(f"Invalid value for sort: {sort}")
    found.sort(key=sorts[sort.removeprefix("-")], reverse=sort.startswith("-"))


def _paged(call: Call, body: dict[str, Any], after: str | None) -> Answer:
    paging = call.paging(after)
    return told({**body, **({} if paging is None else {"paging": paging})})


# Files


def search_files(call: Call) -> Answer:
    """`GET /files/files/search`: by offset, and no further than the ceiling."""
    call.need(FILES)
    limit, start = call.limit(10, 100), call.after()
    if start + limit > CEILING:
        raise invalid(f"The maximum offset is {CEILING}, but after is {start} and limit {limit}")
    content, now = call.portal.content, call.now
    found = _files(call, content.files(now))
    sorts: dict[str, Callable[[File], Any]] = {
        "id": lambda each: each.file_id,
        "createdAt": lambda each: (each.created, each.file_id),
        "updatedAt": lambda each: (each.updated(now), each.file_id),
        "size": lambda each: (each.size, each.file_id),
    }
    _sort(call, found, sorts, "id")
    after = str(start + limit) if start + limit < len(found) else None
    results = [content.file_told(each, now) for each in found[start : start + limit]]
    return _paged(call, {"results": results}, after)


def _files(call: Call, found: Sequence[File]) -> list[File]:
    """The files that the bounds in the query leave."""
    now, ids = call.now, {int(each) for each in call.many("ids") if each.isdecimal()}
    bounds: list[tuple[str, Callable[[File], int]]] = [
        ("id", lambda each: each.file_id),
        ("createdAt", lambda each: each.created),
        ("updatedAt", lambda each: each.updated(now)),
        ("size", lambda each: each.size),
    ]
    kept = [each for each in found if not ids or each.file_id in ids]
    for name, value in bounds:
        low, high = _moment(call, f"{name}Gte"), _moment(call, f"{name}Lte")
        exact = _moment(call, name)
        if low is not None:
            kept = [each for each in kept if value(each) >= low]
        if high is not None:
            kept = [each for each in kept if value(each) <= high]
        if exact is not None:
            kept = [each for each in kept if value(each) == exact]
    for at, name in enumerate(("type", "extension")):
        wanted = call.one(name).lower()
        if wanted:
            kept = [each for each in kept if each.format[at].lower() == wanted]
    return kept


# Sequences


def list_sequences(call: Call) -> Answer:
    """`GET /automation/sequences`: those that one user can use."""
    call.need(SEQUENCES)
    user = call.one("userId")
    if not user.isdecimal():
        raise invalid("Some required fields were not set: [userId]")
    limit = call.limit(10, 100)
    (start,) = cursor_numbers(call.one("after"), 1) if call.one("after") else (0,)
    found = [
        each for each in all_sequences() if int(user) in each.user_ids and each.exists(call.now)
    ]
    after = cursor(start + limit) if start + limit < len(found) else None
    results = [sequence_told(each, call.now) for each in found[start : start + limit]]
    return _paged(call, {"total": len(found), "results": results}, after)


# Conversations


def list_threads(call: Call) -> Answer:
    """`GET /conversations/conversations/threads`: by id, or by the time of the latest message."""
    call.need(CONVERSATIONS)
    limit, now = call.limit(100, 500), call.now
    since = _moment(call, "latestMessageTimestampAfter")
    sorts: dict[str, Callable[[Thread], tuple[int, int]]] = {
        "id": lambda each: (0, each.thread_id),
        "latestMessageTimestamp": lambda each: (each.said(now)[-1].at, each.thread_id),
    }
    sort = call.one("sort") or "id"
    name = sort.removeprefix("-")
    if name == "latestMessageTimestamp" and since is None:
        raise invalid("latestMessageTimestampAfter is required when sorting by it")
    found = _threads(call, since)
    _sort(call, found, sorts, "id")
    key = sorts[name]
    if call.one("after"):
        bound = cursor_numbers(call.one("after"), 2)
        back = sort.startswith("-")
        found = [each for each in found if (key(each) < bound if back else key(each) > bound)]
    after = cursor(*key(found[limit - 1])) if len(found) > limit else None
    return call.paged([thread_told(each, now) for each in found[:limit]], after)


def _threads(call: Call, since: int | None) -> list[Thread]:
    now, inboxes, contact = call.now, call.many("inboxId"), call.one("associatedContactId")
    status = call.one("threadStatus").upper()
    if status not in ("", "OPEN", "CLOSED"):
        raise invalid(f"Invalid value for threadStatus: {status}")
    return [
        each
        for each in call.portal.content.threads(now, archived=call.flag("archived"))
        if (since is None or each.said(now)[-1].at > since)
        and (not inboxes or str(each.inbox) in inboxes)
        and (not contact or str(each.contact_id) == contact)
        and (not status or each.is_closed(now) == (status == "CLOSED"))
    ]


def read_thread(call: Call) -> Answer:
    """`GET /conversations/conversations/threads/{threadId}`."""
    call.need(CONVERSATIONS)
    return told(thread_told(_thread(call), call.now))


def list_messages(call: Call) -> Answer:
    """`GET /conversations/conversations/threads/{threadId}/messages`: newest first."""
    call.need(CONVERSATIONS)
    thread, limit = _thread(call), call.limit(100, 500)
    (start,) = cursor_numbers(call.one("after"), 1) if call.one("after") else (0,)
    said = thread.said(call.now)[::-1]
    after = cursor(start + limit) if start + limit < len(said) else None
    return call.paged([message_told(thread, each) for each in said[start : start + limit]], after)


def _thread(call: Call) -> Thread:
    archived = call.flag("archived")
    for each in call.portal.content.threads(call.now, archived=archived):
        if str(each.thread_id) == call.params["threadId"]:
            return each
    raise not_found()


# Deal splits


def read_deal_splits(call: Call) -> Answer:
    """`POST /deal-splits/batch/read`: splits by deal id; 207 if some deals are unknown."""
    call.need(DEAL_SPLITS)
    inputs = call.json().get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(i, dict) and "id" in i for i in inputs):
        raise invalid("Some required fields were not set: [inputs]")
    if len(inputs) > 100:
        raise invalid("The maximum number of inputs supported in a batch request is 100")
    life = call.portal.life(_DEALS)
    results, missing = [], []
    for deal in dict.fromkeys(str(each["id"]) for each in inputs):
        index = life.holder(int(deal), call.now) if deal.isdecimal() else None
        if index is None:
            missing.append(deal)
        else:
            splits = call.portal.content.splits_of(index, call.now)
            results.append(orjson.dumps({"id": deal, "splits": splits}))
    return call.batch(results, [missing_records(life.kind, missing)] if missing else [])
