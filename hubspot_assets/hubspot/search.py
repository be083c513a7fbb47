"""Searching records by their modified date and their ids: how many there are, and which.

HubSpot searches an index that follows the records some seconds behind, and gives at most REACH
results of a search. Going on behind the highest id that was found has no such end, however many
records share a modified date. What a search tells of a record may be older or newer than what it
was found by: it is a hint of which ids to read, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.errors import IncompleteAnswer

RECORD_ID = "hs_object_id"
#: Results that a search gives at a time, at most.
PAGE = 200
#: Results of a search that can be had at all.
REACH = 10_000

Filter = dict[str, str]


@dataclass(frozen=True, slots=True)
class Searched:
    """Some records that a search found, with the values of the properties that were asked for."""

    ids: list[int]
    results: list[dict[str, Any]]
    received_at: datetime


class Place(NamedTuple):
    """The `id` at a position of what a search found, which is a `total` of so many."""

    id: int
    total: int


@dataclass(frozen=True, slots=True)
class Search:
    """The records of a type whose date `modified`, a property, the index has as at or after
    `since`, or else as `before`; all records where neither is given.

    All raise HubSpotError: Refused for a type that can't be searched, or not by that property.
    """

    client: HubSpot
    object_type_id: str
    modified: str = ""
    since: datetime | None = None
    before: datetime | None = None

    def count(self, first: int | None = None, end: int | None = None) -> int:
        """How many there are by HubSpot's total, with ids from `first` until before `end`."""
        bounds = (("GTE", first), ("LT", end))
        answer = self._ask([_is(RECORD_ID, op, bound) for op, bound in bounds if bound], limit=1)
        return _total(answer)

    def place(self, position: int, above: int) -> Place | None:
        """What is at a position, from 0 on and within REACH, of the ids above another; None where
        there are not so many. Raises IncompleteAnswer where it is not above."""
        answer = self._ask([_is(RECORD_ID, "GT", above)], limit=1, after=position)
        ids = [int(each["id"]) for each in answer.identified()]
        if ids and ids[0] <= above + position:
            raise IncompleteAnswer(f"{answer.where}: what was found is not in order of ids")
        return Place(ids[0], _total(answer)) if ids else None

    def pages(
        self, first: int = 0, end: int | None = None, *, names: tuple[str, ...] = ()
    ) -> Iterator[Searched]:
        """Which they are, by id, with ids from `first` until before `end`.

        Raises IncompleteAnswer where HubSpot's order is not that of ids.
        """
        last = max(0, first - 1)
        while True:
            bounds = [_is(RECORD_ID, "GT", last)]
            if end is not None:
                bounds.append(_is(RECORD_ID, "LT", end))
            answer = self._ask(bounds, names=names)
            results = answer.identified()
            ids = [int(each["id"]) for each in results]
            if any(one >= other for one, other in zip([last, *ids], ids, strict=False)):
                raise IncompleteAnswer(f"{answer.where}: what was found is not in order of ids")
            if ids:
                yield Searched(ids, results, answer.received_at)
                last = ids[-1]
            more = answer.following is not None or _total(answer) > len(ids)
            if more and not ids:
                raise IncompleteAnswer(f"{answer.where}: HubSpot counts records that it keeps back")
            if not more:
                return

    def _ask(
        self,
        bounds: list[Filter],
        *,
        names: tuple[str, ...] = (),
        limit: int | None = None,
        after: int = 0,
    ) -> Answer:
        dates = (("GTE", self.since), ("LT", self.before))
        filters = [_is(self.modified, op, _epoch(date)) for op, date in dates if date]
        body = {
            "filterGroups": [{"filters": filters + bounds}],
            "sorts": [{"propertyName": RECORD_ID, "direction": "ASCENDING"}],
            "properties": names or [RECORD_ID],
            "limit": limit or PAGE,
        } | ({"after": str(after)} if after else {})
        return self.client.post("objects", "search", json=body, object_type=self.object_type_id)


def _is(name: str, operator: str, value: int) -> Filter:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _total(answer: Answer) -> int:
    total = answer.content.get("total")
    if not isinstance(total, int):
        raise IncompleteAnswer(f"{answer.where}: HubSpot's answer has no total")
    return total
