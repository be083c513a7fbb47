"""Reading a long list of records in ranges of ids, several at a time, where that gives the same.

HubSpot documents a list's cursor as opaque. Portals were seen to give the last id and one, by which
a list could be begun at any id. That is believed only where it shows, in this list and now: pages
ascend by id, each names its last id as the cursor, and whoever reads a range goes on until a page
reaches into the next one, whose first records must be those. Where one of these is not so, what
follows is read in sequence, by the cursors that HubSpot gave.

Where to part a list is a guess that makes ranges long or short, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import ahead, in_order
from hubspot_assets.hubspot.errors import (
    BadRequest,
    GaveUp,
    IncompleteAnswer,
    NotServed,
    Refused,
    no_refusals,
)
from hubspot_assets.hubspot.search import REACH, Search

if TYPE_CHECKING:
    from hubspot_assets.hubspot.records import Page

log = logging.getLogger(__name__)

#: So many pages come one after another before it is worth a search to part the rest.
ALONE = 4
#: Pages of a range, the last of which has the first record of the next one. All of several ranges
#: are in memory at once; and search, which parts a list, has a quarter of the lists' budget.
PAGES = 6
#: Searches for where to part a list that are under way at once.
SEARCHES = 4

Cuts = Callable[[int, int], Iterable[int]]
"""Given an id and a number: ids above it, ascending, so many records apart."""
Ask = Callable[[str | None], "Iterator[Page]"]
"""Gives the pages of a list, from a cursor on."""


def by_search(client: HubSpot, object_type_id: str) -> Cuts:
    """By the search's index, as far as it tells: a request for each cut, on the search's budget.

    Several at a time, as ranges are read faster than one search after another is answered.
    """
    index = Search(client, object_type_id)

    def cuts(above: int, apart: int) -> Iterator[int]:
        try:
            while first := index.place(apart, above):
                yield (cut := first.id)
                positions = range(2 * apart, min(first.total, REACH), apart)
                found = in_order(partial(index.place, above=above), positions, SEARCHES)
                with closing(found):
                    for cut in (place.id for place in found if place):
                        yield cut
                if first.total <= REACH:
                    return
                above = cut - 1
        except (Refused, IncompleteAnswer, GaveUp) as error:
            log.info("records of %s are listed in sequence from here: %s", object_type_id, error)

    return cuts


def in_ranges(
    what: str, ask: Ask, cuts: Cuts, size: int, after: str | None, workers: int
) -> Iterator[Page]:
    """The pages of the list `what` from the cursor `after` on, in order; `size` is how many records
    each has. Raises what `ask` does."""
    pages = ask(after)
    leads, last, following = [1, 0], -1, None
    for page in islice(pages, ALONE):
        leads = [each for each in leads if _is_sound([page], each, last)]
        last, following = _last(page, last), page.after
        yield page
    if following is None:
        return
    if not leads:
        log.info("%s: read in sequence, as the cursors are no ids", what)
        yield from pages
        return
    ranges = _Ranges(what, ask, leads[0], workers)
    with no_refusals():
        yield from ranges.behind(_Begin(last + 1, following), cuts(last, PAGES * size - 1))


class _Begin(NamedTuple):
    """Where a range of ids begins, and the cursor that leads there."""

    first: int
    cursor: str


class _Ranges:
    """A list whose cursors are `lead` above the last id of their page."""

    def __init__(self, what: str, ask: Ask, lead: int, workers: int) -> None:
        self._what = what
        self._ask = ask
        self._lead = lead
        self._workers = workers

    def behind(self, begin: _Begin, cuts: Iterable[int]) -> Iterator[Page]:
        """The list from there on: ranges, as long as they meet and ascend, then the rest."""
        begins = chain([begin], (_Begin(cut, str(cut - 1 + self._lead)) for cut in cuts))
        rest: str | None = begin.cursor
        tail = None
        with closing(in_order(self._read, _bounded(ahead(begins)), self._workers)) as ranges:
            for begin, found in ranges:
                if not found or (tail and not _meet(tail, begin, found[0])):
                    self._say(begin, "does not meet the one before")
                    break
                if tail:
                    yield _until(tail, begin)
                yield from found[:-1]
                tail, rest = found[-1], found[-1].after
                if not _is_sound(found, self._lead, begin.first - 1):
                    self._say(begin, "is not in order of ids")
                    break
        if tail:
            yield tail
        if rest is not None:
            yield from self._ask(rest)

    def _read(self, bounds: tuple[_Begin, _Begin | None]) -> tuple[_Begin, list[Page]]:
        """The pages of a range, the last of which reaches into the next, as long as they are few;
        none where the cursor is refused."""
        begin, following = bounds
        found: list[Page] = []
        try:
            for page in islice(self._ask(begin.cursor), 2 * PAGES):
                found.append(page)
                if following and _last(page, -1) >= following.first:
                    break
        except (NotServed, BadRequest):
            if found:
                raise
        return begin, found

    def _say(self, begin: _Begin, why: str) -> None:
        log.warning("%s: what begins with %d %s; the rest is read in sequence",
                    self._what, begin.first, why)  # fmt: skip


def _bounded(begins: Iterable[_Begin]) -> Iterator[tuple[_Begin, _Begin | None]]:
    """Each range's beginning with that of the next one, if there is one."""
    former = None
    for begin in begins:
        if former:
            yield former, begin
        former = begin
    if former:
        yield former, None


def _meet(tail: Page, begin: _Begin, head: Page) -> bool:
    """Whether what a range begins with is what the last page of the one before goes on with."""
    if tail.after == begin.cursor:
        return True
    both = list(zip((i for i in _ids(tail) if i >= begin.first), _ids(head), strict=False))
    return bool(both) and all(one == other for one, other in both)


def _until(tail: Page, begin: _Begin) -> Page:
    """The last page of a range, without what it has of the next one."""
    kept = [each for each in tail.records if int(each["id"]) < begin.first]
    return replace(tail, records=kept, after=begin.cursor)


def _is_sound(pages: Sequence[Page], lead: int, last: int) -> bool:
    """Whether pages ascend, from above the id `last`, and have the cursors that are expected."""
    for page in pages:
        if any(one >= other for one, other in pairwise([last, *_ids(page)])):
            return False
        last = _last(page, last)
        if page.after not in (None, str(last + lead)):
            return False
    return True


def _ids(page: Page) -> list[int]:
    return [int(each["id"]) for each in page.records]


def _last(page: Page, before: int) -> int:
    return int(page.records[-1]["id"]) if page.records else before
