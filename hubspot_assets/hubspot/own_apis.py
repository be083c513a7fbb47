"""Object types that HubSpot serves outside the CRM objects API, each through an API of its own.

A reader gives the objects as that API does, in whatever order; those that page by a cursor are
followed to the end. All raise NotServed where the portal or the token does not have the API. A
reader is told what to tell of refusals that leave out a part of its objects.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from hubspot_assets import json_text
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.batches import Input, read_batch, tolerated
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.concurrent import begun
from hubspot_assets.hubspot.errors import (
    BadRequest,
    IncompleteAnswer,
    NotEnabled,
    NotFound,
    NotServed,
    Refused,
    Unexplained,
    no_refusals,
)
from hubspot_assets.hubspot.lists import lists
from hubspot_assets.hubspot.metadata import Read, Tell, ignore, lister, paged
from hubspot_assets.hubspot.paging import pages
from hubspot_assets.hubspot.paths import Params

PAGE = 100
FORMS_PAGE = 500
SUBMISSIONS_PAGE = 50
DEALS_AT_ONCE = 100
FILES_IN_REACH = 9_000
#: Forms, or users, of which something is asked at once.
AT_ONCE = 8
CONTACTS, DEALS, CALLS = "0-1", "0-3", "0-48"

#: The properties of campaigns that HubSpot lets be asked for; any other name is refused.
CAMPAIGN_PROPERTIES = (
    "hs_name,hs_campaign_status,hs_start_date,hs_end_date,hs_utm,hs_owner,hs_goal,hs_audience,"
    "hs_notes,hs_color_hex,hs_currency_code,hs_created_by_user_id,hs_object_id,"
    "hs_budget_items_sum_amount,hs_spend_items_sum_amount"
)

Reader = Callable[[HubSpot, Tell], Iterator[Read]]
Enough = Callable[[str], bool]
"""Asked after each page of a form's submissions whether no more of them are needed."""


def no_form(_: str) -> bool:
    """No form of which less than all is needed."""
    return False


def forms(client: HubSpot, _: Tell = ignore, *, archived: bool = False) -> Iterator[Read]:
    """Live forms of every kind, or archived ones; HubSpot's default is its own kind alone."""
    params: Params = {"limit": FORMS_PAGE, "formTypes": "all", "archived": archived}
    return paged(client, "forms", params)


def form_submissions(
    client: HubSpot, refused: Tell = ignore, enough: Enough = no_form
) -> Iterator[Read]:
    """Every submission of every form, archived forms too, newest first within a form.

    Each has its `formId`, and as its `id` what HubSpot identifies it by, its `conversionId`; where
    it tells none, form, moment and all that the submission says, and the number that it has among
    exact copies. `refused` is told of forms that HubSpot keeps no submissions of (those
    for blog comments), and of those that are gone since they were listed. Where more follow a page,
    `enough` may say of the form that they are not needed.
    """

    def of(form: Read) -> Iterator[Read]:
        form_id, params = own_id("forms", form.content), {"limit": str(SUBMISSIONS_PAGE)}
        copies: Counter[str] = Counter()
        for answer, more in pages(lister(client, "form_submissions", params, form_id=form_id)):
            for content in answer.items():
                told = content | {"formId": form_id}
                known = told.get("conversionId") or _said(told, copies)
                yield Read(told | {"id": known}, answer.received_at)
            if more and enough(form_id):
                return

    # A form that is archived meanwhile is in both listings.
    every = _once("forms", chain(forms(client), forms(client, archived=True)))
    return _each(map(of, every), (NotFound, NotEnabled), refused)


def _said(submission: Mapping[str, Any], copies: Counter[str]) -> str:
    """What stands for the id of a submission that has none; `copies` numbers exact copies."""
    digest = hashlib.sha256(json_text.told(submission).encode()).hexdigest()
    copies[digest] += 1
    moment = submission.get("submittedAt")
    return f"{submission['formId']}:{moment}:{digest}:{copies[digest] - 1}"


def campaigns(client: HubSpot, _: Tell = ignore) -> Iterator[Read]:
    """Marketing campaigns with their properties."""
    for read in paged(client, "campaigns", {"limit": str(PAGE), "properties": CAMPAIGN_PROPERTIES}):
        yield _spread(read)


def modified(client: HubSpot, api: str, since: datetime) -> Iterator[Read]:
    """The live objects of an API of pages, posts or e-mails that were updated after a moment."""
    after = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return paged(client, api, {"limit": str(PAGE), "updatedAfter": after})


def count(client: HubSpot, api: str) -> int | None:
    """How many live objects such an API says that it has; None where it does not."""
    total = client.get(api, params={"limit": "1"}).content.get("total")
    return total if isinstance(total, int) else None


def files(client: HubSpot, _: Tell = ignore) -> Iterator[Read]:
    """All files. HubSpot's cursor reaches so many alone, so that each slice begins with an id.

    Raises IncompleteAnswer where there are more, and they are not listed by id.
    """
    last = -1
    while True:
        number, by_id = 0, True
        params = {"limit": str(PAGE), "sort": "id", "idGte": str(last + 1) if last >= 0 else None}
        for number, read in enumerate(paged(client, "files", params), 1):
            found = int(own_id("files", read.content))
            by_id = by_id and found > last
            last = max(last, found)
            yield read
            if number == FILES_IN_REACH:
                break
        if number < FILES_IN_REACH:
            return
        if not by_id:
            raise IncompleteAnswer("files: there are many, and HubSpot does not list them by id")


def sequences(client: HubSpot, refused: Tell = ignore) -> Iterator[Read]:
    """Sequences of all users; one that several users can see comes once.

    `refused` is told of users that HubSpot has none for, or that are gone.
    """

    def of(user: Read) -> Iterator[Read]:
        params = {"limit": str(PAGE), "userId": own_id("users", user.content)}
        return paged(client, "sequences", params)

    users = paged(client, "users", {"limit": str(PAGE)})
    return _once("sequences", _each(map(of, users), (NotFound, BadRequest), refused))


def deal_ids(client: HubSpot) -> Iterator[str]:
    """Ids of all live deals, from the CRM objects API."""
    params = {"limit": str(PAGE), "properties": "hs_object_id"}
    for deal in paged(client, "objects", params, object_type=DEALS):
        yield own_id("deals", deal.content)


def deal_splits(client: HubSpot, ids: Iterable[str], refused: Tell = ignore) -> Iterator[Read]:
    """The splits of the deals with these ids, each with its `dealId`.

    `refused` is told of deals at which HubSpot refuses a batch.
    """

    def ask(inputs: list[Input]) -> Answer:
        return client.post("deal_splits", "batch_read", json={"inputs": inputs})

    remaining = iter(ids)
    given = False
    while inputs := [{"id": each} for each in islice(remaining, DEALS_AT_ONCE)]:
        with no_refusals() if given else nullcontext():
            batches = list(
                read_batch(
                    "deal splits",
                    ask,
                    inputs,
                    id_of=lambda deal: deal["id"],
                    most_refused=tolerated(len(inputs), served=given),
                )
            )
        given = True
        for batch in batches:
            for why in batch.refused.values():
                refused(BadRequest(why))
            for deal in batch.results:
                for split in deal["splits"]:
                    told = split | {"dealId": str(deal["id"])}
                    yield _spread(Read(told, batch.received_at))


def probe(client: HubSpot, object_type: ObjectType) -> datetime:
    """Reads something of a type, from the CRM objects API or else from its own.

    Raises what HubSpot answers where that can't be done.
    """
    try:
        return probe_crm(client, object_type)
    except NotServed:
        if object_type.api in ("crm", "none"):
            raise
    return _probe_own(client, object_type.api)


def probe_crm(client: HubSpot, object_type: ObjectType) -> datetime:
    """Reads a record of a type from the CRM objects API.

    Raises what HubSpot answers where that can't be done.
    """
    with unsure_of(object_type):
        return metadata.probe(client, object_type.id)


@contextmanager
def unsure_of(*object_types: ObjectType) -> Iterator[None]:
    """Within, an answer that nobody knows is NotEnabled for a type that HubSpot need not serve.

    What it answers for a type that the portal has switched off, or that no document names among
    those of the CRM objects API, is not known. Nothing is lost by it: the former has no records,
    the latter an API of its own, or none at all.
    """
    try:
        yield
    except (BadRequest, Unexplained) as error:
        if all(each.api == "crm" and each.enabled for each in object_types):
            raise
        raise NotEnabled(str(error), status=error.status or 0, where=error.where) from error


def _probe_own(client: HubSpot, api: str) -> datetime:
    asked = datetime.now(UTC)
    if api == "engagements":
        return metadata.probe(client, CALLS)
    if api == "deal_splits":
        found = deal_splits(client, ["1"])
    else:
        found = (
            iter(lists(client, [CONTACTS], ()).lists)
            if api == "lists"
            else READERS[api](client, ignore)
        )
    first = next(found, None)
    return first.received_at if first else asked


def _listed(api: str) -> Reader:
    """The reader of an API that pages like most do."""

    def read(client: HubSpot, _: Tell = ignore) -> Iterator[Read]:
        return paged(client, api, {"limit": str(PAGE)})

    return read


def _each(
    readings: Iterable[Iterator[Read]], known: tuple[type[Refused], ...], refused: Tell
) -> Iterator[Read]:
    """What all readings give; `refused` is told of those that HubSpot refuses for a `known` reason.

    What is gone in the middle keeps what was read of it. Raises what HubSpot answered if it refused
    all of them. Most have one page, so several are begun at once; the first one by itself, for who
    wants no more than something.
    """
    refusal: Refused | None = None
    answered = False
    remaining = iter(readings)
    with closing(begun(remaining, AT_ONCE)) as others:
        for reading in chain(islice(remaining, 1), others):
            try:
                for read in reading:
                    answered = True
                    yield read
                answered = True
            except known as error:
                refusal = error
                refused(error)
    if refusal and not answered and not isinstance(refusal, NotEnabled):
        raise refusal


def own_id(api: str, content: Mapping[str, Any]) -> str:
    """What an API identifies one of its objects by. Raises IncompleteAnswer where it tells none."""
    known = content.get("hs_object_id") or content.get("id")
    if known in (None, ""):
        raise IncompleteAnswer(f"{api}: HubSpot told an object without its id")
    return str(known)


def _once(api: str, reads: Iterable[Read]) -> Iterator[Read]:
    """The first of the objects of each id."""
    seen: set[str] = set()
    for read in reads:
        known = own_id(api, read.content)
        if known not in seen:
            seen.add(known)
            yield read


def _spread(read: Read) -> Read:
    """An object whose `properties` are an object of their own, beside its other fields."""
    rest: dict[str, Any] = {k: v for k, v in read.content.items() if k != "properties"}
    return Read(rest | (read.content.get("properties") or {}), read.received_at)


#: By the name of the API in the facts about object types.
READERS: dict[str, Reader] = {
    "blog_posts": _listed("blog_posts"),
    "campaigns": campaigns,
    "conversations": _listed("conversations"),
    "files": files,
    "form_submissions": form_submissions,
    "forms": forms,
    "landing_pages": _listed("landing_pages"),
    "marketing_emails": _listed("marketing_emails"),
    "sequences": sequences,
    "site_pages": _listed("site_pages"),
}
