"""Reading all records of an object type, with their histories, by the plan its names allow.

When the names of all properties fit a URL, one list pass of 50 a page brings values and
histories. Else ids are listed, 100 a page, and batch-read 50 at a time with the names in the
body, many in flight. Either way no name is dropped and no URL grows too long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer, NotServed
from hubspot_assets.hubspot.paging import pages

Record = dict[str, Any]
T = TypeVar("T")

#: Bytes of property names in a URL. HubSpot's edge was seen to refuse from about 8 KB on.
NAMES_IN_URL = 5_000
PAGE_WITH_HISTORY = 50
PAGE_OF_IDS = 100
BATCH = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, read at one moment; `after` is the list cursor behind them, None at the end.

    `whole` is False where more of what that cursor covers is still to come. `missing` counts
    records that were listed but gone a moment later. `linked` counts the records that have links
    to each type that was asked for; None where HubSpot would not tell. Records of a page may stand
    in any order; those of a later page have higher ids.
    """

    records: Sequence[Record]
    received_at: datetime
    after: str | None
    whole: bool = True
    missing: int = 0
    linked: Mapping[str, int] | None = None


def fits_url(names: Sequence[str]) -> bool:
    """Whether `names` go into a URL, where commas part them, so that one list pass brings all."""
    joined = ",".join(names)
    return len(joined.encode()) <= NAMES_IN_URL and joined.count(",") == max(0, len(names) - 1)


def read_records(
    client: HubSpot,
    object_type_id: str,
    names: Sequence[str],
    *,
    associations: Sequence[str] = (),
    after: str | None = None,
    workers: int = 8,
) -> Iterator[Page]:
    """All live records with the properties `names`, values and histories, from `after` on.

    Which of them have links to the types `associations` (as they stand in paths) is asked along.
    Raises HubSpotError; IncompleteAnswer when a batch loses a record twice.
    """
    if fits_url(names):
        # A property named in propertiesWithHistory comes with its value, too: named once.
        params = {"limit": str(PAGE_WITH_HISTORY), "propertiesWithHistory": ",".join(names)}
        return _ahead(_pages(client, object_type_id, params, associations, after))
    params = {"limit": str(PAGE_OF_IDS), "properties": "hs_object_id"}
    pages = _ahead(_pages(client, object_type_id, params, associations, after))
    return _read_in_batches(client, object_type_id, names, pages, workers)


def _read_in_batches(
    client: HubSpot, object_type_id: str, names: Sequence[str], listed: Iterator[Page], workers: int
) -> Iterator[Page]:
    def batches() -> Iterator[tuple[list[str], Page, bool]]:
        for page in listed:
            ids = [record["id"] for record in page.records]
            for start in range(0, max(1, len(ids)), BATCH):
                yield ids[start : start + BATCH], page, start + BATCH >= len(ids)

    def read(batch: tuple[list[str], Page, bool]) -> Page:
        ids, page, whole = batch
        records, received_at, missing = batch_read(client, object_type_id, ids, names)
        linked = page.linked if whole or page.linked is None else {}
        return Page(records, received_at, page.after, whole, missing, linked)

    return in_order(read, batches(), workers)


def batch_read(
    client: HubSpot, object_type_id: str, ids: Sequence[str], names: Sequence[str]
) -> tuple[list[Record], datetime, int]:
    """The records `ids`, at most 50, with values and histories of `names`.

    Also the moment of reading and how many of `ids` are gone. Each id must come back or be
    reported missing; those that do neither are asked for once more. Raises IncompleteAnswer
    when that does not help.
    """
    records: dict[str, Record] = {}
    missing: set[str] = set()
    silent = set(ids)
    for _ in range(2):
        body = {
            "inputs": [{"id": each} for each in ids if each in silent],
            "properties": [],
            "propertiesWithHistory": names,
        }
        answer = client.post("objects", "batch_read", json=body, object_type=object_type_id)
        records |= {each["id"]: each for each in answer.items()}
        for error in answer.content.get("errors") or ():
            missing.update((error.get("context") or {}).get("ids") or ())
        silent -= records.keys() | missing
        # A record that was merged away answers under its survivor's id, which is listed, too.
        survivors = records.keys() - set(ids)
        if not silent or len(silent) == len(survivors):
            found = [records[each] for each in ids if each in records]
            return found, answer.received_at, len(ids) - len(found)
    raise IncompleteAnswer(
        f"batch read of {object_type_id}: {len(silent)} of {len(ids)} records were neither "
        "returned nor reported missing, twice; nothing of this type is delivered, try again"
    )


def _pages(
    client: HubSpot,
    object_type_id: str,
    params: dict[str, str],
    associations: Sequence[str],
    after: str | None,
) -> Iterator[Page]:
    """The pages of a list, in order of ids."""
    asked = {"associations": ",".join(associations)} if associations else {}

    def ask(after: str | None) -> Answer:
        nonlocal asked
        request = partial(client.get, "objects", object_type=object_type_id)
        try:
            return request(params={**params, **asked, "after": after})
        except (BadRequest, NotServed):
            if not asked:
                raise
            asked = {}  # one of the types can't be named here; the records can be read all the same
            return request(params={**params, "after": after})

    for answer, following in pages(ask, after):
        records = answer.items()
        linked = _linked(records, associations) if asked or not associations else None
        yield Page(records, answer.received_at, following, linked=linked)


def _linked(records: Sequence[Record], associations: Sequence[str]) -> dict[str, int] | None:
    """How many records told of links to each type; None if they told of a type by a strange name.

    HubSpot answers with the names that were asked for.
    """
    found = Counter(dict.fromkeys(associations, 0))
    for record in records:
        for name, links in (record.get("associations") or {}).items():
            if name not in found:
                return None
            found[name] += bool(links.get("results"))
    return found


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """`items`, the next one fetched while the consumer works on the present one."""
    done = object()
    with ThreadPoolExecutor(1, thread_name_prefix="hubspot-list") as pool:
        pending = pool.submit(next, items, done)
        while (item := pending.result()) is not done:
            pending = pool.submit(next, items, done)
            yield item  # type: ignore[misc]
