"""Reading all records of an object type, with their histories, by the plan its names allow.

When the names of all properties fit a URL, one list pass of 50 a page brings values and
histories; a page that HubSpot refuses is read by its ids, as a record may be to blame. Else ids
are listed, 100 a page, and batch-read 50 at a time with the names in the body, many in flight.
Either way no name is dropped and no URL grows too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hubspot_assets.hubspot.batches import Input, read_batch, tolerated
from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.concurrent import ahead, in_order
from hubspot_assets.hubspot.errors import (
    BadRequest,
    HubSpotError,
    IncompleteAnswer,
    UriTooLong,
    no_refusals,
)
from hubspot_assets.hubspot.metadata import lister
from hubspot_assets.hubspot.paging import pages
from hubspot_assets.hubspot.ranges import Ask, Cuts, by_search, in_ranges

Record = dict[str, Any]

#: Bytes of property names in a URL. HubSpot's edge was seen to refuse from about 8 KB on.
NAMES_IN_URL = 5_000
PAGE_WITH_HISTORY = 50
PAGE_OF_IDS = 100
BATCH = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, read at one moment; `after` is the list cursor behind them, None at the end.

    `whole` is False where more of what that cursor covers is still to come. `missing` counts
    records that were listed but gone a moment later, `refused` has the ids that HubSpot would
    not tell of, each asked for alone. Records of a page may stand in any order;
    those of a later page have higher ids.
    """

    records: Sequence[Record]
    received_at: datetime
    after: str | None
    whole: bool = True
    missing: int = 0
    refused: frozenset[str] = frozenset()


def fits_url(names: Sequence[str]) -> bool:
    """Whether `names` go into a URL, where commas part them, so that one list pass brings all."""
    joined = ",".join(names)
    return len(joined.encode()) <= NAMES_IN_URL and joined.count(",") == max(0, len(names) - 1)


def read_records(
    client: HubSpot,
    object_type_id: str,
    names: Sequence[str],
    *,
    after: str | None = None,
    workers: int = 8,
    archived: bool = False,
) -> Iterator[Page]:
    """All live records with the properties `names`, values and histories, from `after` on.

    Or all `archived` ones. A record at which HubSpot refuses a page or a batch is left out. Raises
    HubSpotError; IncompleteAnswer when a batch loses a record again and again.
    """
    cuts = None if archived else by_search(client, object_type_id)
    if fits_url(names):
        ask = partial(_whole_pages, client, object_type_id, names, archived=archived)
        what = _what(object_type_id, archived)
        return _listed(what, ask, PAGE_WITH_HISTORY, after, cuts, workers)
    listed = list_records(
        client,
        object_type_id,
        ["hs_object_id"],
        after=after,
        archived=archived,
        cuts=cuts,
        workers=workers,
    )
    read = partial(batch_read, client, object_type_id, names=names, archived=archived)
    return _read_in_batches(read, listed, workers, served=bool(after))


def list_records(
    client: HubSpot,
    object_type_id: str,
    names: Sequence[str],
    *,
    after: str | None = None,
    archived: bool = False,
    cuts: Cuts | None = None,
    workers: int = 8,
) -> Iterator[Page]:
    """All live records, or all `archived` ones, with the present values of the properties `names`,
    which must fit a URL; in ranges of ids where `cuts` tells how to part them. Raises HubSpotError.
    """
    params = {"limit": str(PAGE_OF_IDS), "properties": ",".join(names)} | _of(archived)
    ask = partial(_pages, client, object_type_id, params)
    return _listed(_what(object_type_id, archived), ask, PAGE_OF_IDS, after, cuts, workers)


def _what(object_type_id: str, archived: bool) -> str:  # noqa: FBT001  (HubSpot's parameter)
    return f"{'archived ' if archived else ''}records of {object_type_id}"


def _of(archived: bool) -> dict[str, str]:  # noqa: FBT001  (HubSpot's parameter)
    return {"archived": "true"} if archived else {}


def _whole_pages(
    client: HubSpot,
    object_type_id: str,
    names: Sequence[str],
    after: str | None,
    *,
    archived: bool,
) -> Iterator[Page]:
    """The pages of a list, from a cursor on; one that is refused is read by ids, in a batch."""
    page_of = {"limit": str(PAGE_WITH_HISTORY)} | _of(archived)
    # A property named in propertiesWithHistory comes with its value, too: named once.
    whole = page_of | {"propertiesWithHistory": ",".join(names)}
    served, refusable = bool(after), True
    while True:
        try:
            for page in _pages(client, object_type_id, whole, after):
                yield page
                after, served, refusable = page.after, True, False
            return
        except (BadRequest, IncompleteAnswer) as error:
            if not _may_be_of_a_record(error):
                raise
        ids_of = page_of | {"properties": "hs_object_id"}
        with nullcontext() if refusable else no_refusals():
            page = next(_pages(client, object_type_id, ids_of, after))
        if ids := [record["id"] for record in page.records]:
            read = batch_read(client, object_type_id, ids, names, served=served, archived=archived)
            page = replace(read, after=page.after)
        yield page
        after, served, refusable = page.after, True, False
        if after is None:
            return


def _may_be_of_a_record(error: HubSpotError) -> bool:
    """Whether a page may be refused for what one of its records holds."""
    refusal = error.__cause__ if isinstance(error, IncompleteAnswer) else error
    return isinstance(refusal, BadRequest) and not isinstance(refusal, UriTooLong)


def _read_in_batches(
    ask: Callable[..., Page], listed: Iterator[Page], workers: int, *, served: bool
) -> Iterator[Page]:
    def batches() -> Iterator[tuple[list[str], Page, bool, bool]]:
        later = served
        for page in listed:
            ids = [record["id"] for record in page.records]
            for start in range(0, max(1, len(ids)), BATCH):
                yield ids[start : start + BATCH], page, start + BATCH >= len(ids), later
                later = True

    def read(batch: tuple[list[str], Page, bool, bool]) -> Page:
        ids, page, whole, later = batch
        if not ids:
            return page
        found = ask(ids, served=later)
        return replace(found, after=page.after, whole=whole)

    return in_order(read, batches(), workers)


def batch_read(
    client: HubSpot,
    object_type_id: str,
    ids: Sequence[str],
    names: Sequence[str],
    *,
    served: bool = False,
    archived: bool = False,
    silent: bool = False,
) -> Page:
    """The records `ids`, at most 50, with values and histories of `names`; only live ones, or only
    `archived` ones.

    `missing` are those that are gone: reported so, or merged into another record. All are refused
    only of a type that was `served` before. Raises HubSpotError: IncompleteAnswer where HubSpot
    tells nothing of one, unless a `silent` answer is one for those that are gone.
    """

    def ask(inputs: list[Input]) -> Answer:
        body = {"inputs": inputs, "properties": [], "propertiesWithHistory": names}
        params = _of(archived)
        return client.post(
            "objects", "batch_read", json=body, params=params, object_type=object_type_id
        )

    records: dict[str, Record] = {}
    received_at = datetime.now(UTC)
    refused: set[str] = set()
    for batch in read_batch(
        f"batch read of {object_type_id}",
        ask,
        [{"id": each} for each in ids],
        id_of=lambda record: record["id"],
        most_refused=tolerated(len(ids), served=served),
        silent=silent,
    ):
        records |= {each["id"]: each for each in batch.results}
        received_at = batch.received_at
        refused.update(batch.refused)
    found = [records[each] for each in ids if each in records]
    missing = len(ids) - len(found) - len(refused)
    return Page(found, received_at, None, missing=missing, refused=frozenset(refused))


def answering_for(client: HubSpot, object_type_id: str, record_id: str) -> str | None:
    """The id of the record that answers for one that was merged away; None if none does.

    Seen at HubSpot: a batch read tells of the survivor, under its own id. Raises HubSpotError.
    """
    body = {"inputs": [{"id": record_id}], "properties": ["hs_object_id"]}
    answer = client.post("objects", "batch_read", json=body, object_type=object_type_id)
    others = [each["id"] for each in answer.items() if each.get("id") not in (None, record_id)]
    return str(others[0]) if len(others) == 1 else None


def _listed(
    what: str,
    ask: Ask,
    size: int,
    after: str | None,
    cuts: Cuts | None,
    workers: int,
) -> Iterator[Page]:
    """The pages of a list, `size` records each, in order of ids; the next one is fetched while one
    is worked on."""
    if cuts is None:
        return ahead(ask(after))
    return ahead(in_ranges(what, ask, cuts, size, after, workers))


def _pages(
    client: HubSpot, object_type_id: str, params: dict[str, str], after: str | None
) -> Iterator[Page]:
    """The pages of a list, in order of ids."""
    ask = lister(client, "objects", params, object_type=object_type_id)
    for answer, following in pages(ask, after):
        yield Page(answer.identified(), answer.received_at, following)
