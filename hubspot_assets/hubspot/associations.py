"""Reading which records are linked, and how: association definitions and batch reads.

A batch read names up to 1,000 records and answers with the first links of each; a record with
more is asked for again with a cursor of its own, together with all others that have more. That a
record has no link is reported as an error of its own in an answer of status 207: the normal case.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hubspot_assets.hubspot.client import HubSpot, cursor_of
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read

BATCH = 1_000
#: So many records of a pair may be refused one by one; more, and the pair itself is at fault.
MOST_REFUSED = 50

HUBSPOT_DEFINED = "HUBSPOT_DEFINED"
NO_LINKS = "NO_ASSOCIATIONS_FOUND"

Input = dict[str, str]
"""What a batch asks for: `id`, and `after` on the following pages of its links."""


@dataclass(frozen=True, slots=True)
class StandardType:
    """One association type of HubSpot's own; `inverse` is its id seen from the other side."""

    type_id: int
    from_type: str
    to_type: str
    role: str
    inverse: int | None


@dataclass(frozen=True, slots=True)
class Definition:
    """An association type seen from one side; `label` is None for the plain link."""

    category: str
    type_id: int
    label: str | None

    @property
    def key(self) -> tuple[str, int]:
        """What a link tells of its type."""
        return self.category, self.type_id


@dataclass(frozen=True, slots=True)
class LinkPage:
    """Some links of a batch, read at one moment.

    `results` are HubSpot's own: `{"from": {"id"}, "to": [{"toObjectId", "associationTypes"}]}`.
    `refused` tells, by record id, why HubSpot would not tell of its links.
    """

    results: Sequence[Mapping[str, Any]]
    received_at: datetime
    refused: Mapping[str, str]


@cache
def standard_types() -> tuple[StandardType, ...]:
    """HubSpot's association types between object types that have an id, from the facts."""
    return tuple(
        StandardType(
            int(row["type_id"]),
            row["from_object_type_id"],
            row["to_object_type_id"],
            row["role"],
            int(row["inverse_type_id"]) if row["inverse_type_id"] else None,
        )
        for row in facts("association_types.csv")
        if row["from_object_type_id"] and row["to_object_type_id"]
    )


def definitions(client: HubSpot, from_type: str, to_type: str) -> Iterator[Read]:
    """The association types from one object type to another, labelled ones too.

    `{"category", "typeId", "label"}` each. Raises Refused for a pair that can't be linked or read.
    """
    answer = client.get("associations", "labels", object_type=from_type, to_object_type=to_type)
    for content in answer.items():
        yield Read(content, answer.received_at)


def inverses(
    forward: Sequence[Definition], backward: Sequence[Definition]
) -> dict[Definition, Definition]:
    """Which of the types `backward` is which of `forward` seen from the other side.

    Only what follows without doubt: pairs of HubSpot's own from the facts; plain links and labels
    of one category that either side has once; the one label of the portal's or an app's that is
    left on both sides. Of labels that differ by direction, two or more leave open which belongs
    to which.
    """
    facts = {each.type_id: each.inverse for each in standard_types()}
    there = {each.key: each for each in backward}
    found: dict[Definition, Definition] = {}
    for each in forward:
        inverse = facts.get(each.type_id) if each.category == HUBSPOT_DEFINED else None
        if inverse is not None and (other := there.get((HUBSPOT_DEFINED, inverse))):
            found[each] = other
    found |= _alike(forward, backward, found, lambda of: (of.category, of.label))
    ours = [each for each in forward if each.category != HUBSPOT_DEFINED]
    return found | _alike(ours, backward, found, lambda of: of.category)


def _alike(
    forward: Sequence[Definition],
    backward: Sequence[Definition],
    found: Mapping[Definition, Definition],
    look: Callable[[Definition], Hashable],
) -> dict[Definition, Definition]:
    """Of the types not found yet, those that look like just one of the other side's."""
    here = [each for each in forward if each not in found]
    there = [each for each in backward if each not in set(found.values())]
    return {
        mine[0]: theirs[0]
        for kind in {look(each) for each in here}
        if len(mine := [each for each in here if look(each) == kind]) == 1
        and len(theirs := [each for each in there if look(each) == kind]) == 1
    }


def read_batch(
    client: HubSpot, from_type: str, to_type: str, ids: Sequence[str]
) -> Iterator[LinkPage]:
    """All links of the records `ids`, at most 1,000, to records of another type.

    A batch that HubSpot refuses is halved until the ids at fault are alone: those are told in
    `refused`, the others are read. Raises HubSpotError: BadRequest where so many are refused that
    the pair itself is at fault, IncompleteAnswer for an answer that can't be followed.
    """
    pending: list[list[Input]] = [[{"id": each} for each in ids]]
    refused = 0
    while pending:
        inputs = pending.pop()
        try:
            answer = client.post(
                "associations",
                "batch_read",
                json={"inputs": inputs},
                object_type=from_type,
                to_object_type=to_type,
            )
        except BadRequest as error:
            if len(inputs) > 1:
                half = len(inputs) // 2
                pending += [inputs[half:], inputs[:half]]
                continue
            refused += 1
            if refused > MOST_REFUSED:
                raise
            yield LinkPage((), datetime.now(UTC), {inputs[0]["id"]: str(error)})
            continue
        failed = _failed(answer.content)
        if failed and len(inputs) > 1:  # once more, each alone
            pending += [[each] for each in inputs if each["id"] in failed]
            failed = {}
        refused += len(failed)
        if more := _following(answer.items(), inputs):
            pending.append(more)
        yield LinkPage(answer.items(), answer.received_at, failed)


def _following(results: Sequence[Mapping[str, Any]], inputs: Sequence[Input]) -> list[Input]:
    """The inputs that ask for the next page of the records that have one."""
    asked = {each["id"]: each.get("after") for each in inputs}
    following: list[Input] = []
    for result in results:
        record_id = str(result["from"]["id"])
        after = cursor_of(result)
        if after is None:
            continue
        if record_id not in asked or asked[record_id] == after:
            raise IncompleteAnswer("associations: a page of links names itself as the next")
        following.append({"id": record_id, "after": after})
    return following


def _failed(body: Mapping[str, Any]) -> dict[str, str]:
    """Why HubSpot told of no links, by record id, where it was not that there are none."""
    failed: dict[str, str] = {}
    for error in body.get("errors") or ():
        if NO_LINKS in str(error.get("subCategory")):
            continue
        context = error.get("context") or {}
        ids = context.get("fromObjectId") or context.get("ids")
        message = str(error.get("message") or error.get("category"))
        if not ids:
            raise IncompleteAnswer(f"associations: an error that names no record: {message}")
        failed |= dict.fromkeys(map(str, ids), message)
    return failed
