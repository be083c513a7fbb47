"""Reading which records are linked, and how: association definitions and batch reads.

A batch read names up to 1,000 records and answers with the first links of each; a record with
more is asked for again with a cursor of its own, together with all others that have more. That a
record has no link is reported as an error of its own in an answer of status 207: the normal case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hubspot_assets.hubspot.batches import Batch, Input, read_batch
from hubspot_assets.hubspot.client import Answer, HubSpot, cursor_of
from hubspot_assets.hubspot.errors import IncompleteAnswer, Refused, Unexplained
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read

BATCH = 1_000
#: So many records of a pair may be refused one by one; more, and the pair itself is at fault.
MOST_REFUSED = 50

NO_LINKS = "NO_ASSOCIATIONS_FOUND"


@dataclass(frozen=True, slots=True)
class StandardType:
    """One association type of HubSpot's own; `role` is what a link of it means."""

    type_id: int
    from_type: str
    to_type: str
    role: str


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


@cache
def standard_types() -> tuple[StandardType, ...]:
    """HubSpot's association types between object types that have an id, from the facts."""
    return tuple(
        StandardType(
            int(row["type_id"]),
            row["from_object_type_id"],
            row["to_object_type_id"],
            row["role"],
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


def own_labels(client: HubSpot) -> Sequence[tuple[str, str, int, tuple[str, ...]]] | None:
    """The labels that the portal has made, by ordered pair of types that has some: the ids of the
    two types, how many labels there are, and how they read, in order.

    None where HubSpot does not tell: it needs a subscription that has labels.
    """
    try:
        answer = client.get("limits", "association_labels")
        return sorted(
            (
                str(each["fromObjectType"]["objectTypeId"]),
                str(each["toObjectType"]["objectTypeId"]),
                int(each["usage"]),
                tuple(sorted(map(str, each["allLabels"]))),
            )
            for each in answer.items()
        )
    except (Refused, Unexplained, KeyError, TypeError, ValueError):
        return None


def inverses(
    forward: Sequence[Definition], backward: Sequence[Definition]
) -> dict[Definition, Definition]:
    """Which of the types `backward` is which of `forward` seen from the other side.

    Only what can't be wrong: a type and its inverse are of one category, and both are plain or
    both have a label. So it follows where either side has just one such type. What labels say
    proves nothing: "Parent" may be the inverse of "Child" or of another "Parent".
    """
    here, there = _by_kind(forward), _by_kind(backward)
    return {
        mine[0]: there[kind][0]
        for kind, mine in here.items()
        if len(mine) == len(there.get(kind, ())) == 1
    }


def _by_kind(types: Sequence[Definition]) -> dict[tuple[str, bool], list[Definition]]:
    found: dict[tuple[str, bool], list[Definition]] = {}
    for each in types:
        found.setdefault((each.category, each.label is None), []).append(each)
    return found


def read_links(
    client: HubSpot, from_type: str, to_type: str, ids: Sequence[str]
) -> Iterator[Batch]:
    """All links of the records `ids`, at most 1,000, to records of another type.

    Results are HubSpot's own: `{"from": {"id"}, "to": [{"toObjectId", "associationTypes"}]}`.
    A batch that HubSpot refuses is halved until the ids at fault are alone: those are told in
    `refused`, the others are read. Raises HubSpotError: BadRequest where so many are refused that
    the pair itself is at fault, IncompleteAnswer for an answer that can't be followed, or that
    tells nothing of a record.
    """

    def ask(inputs: list[Input]) -> Answer:
        return client.post(
            "associations",
            "batch_read",
            json={"inputs": inputs},
            object_type=from_type,
            to_object_type=to_type,
        )

    what = f"associations of {from_type} with {to_type}"
    pending: list[Input] = [{"id": each} for each in ids]
    seen: set[tuple[str, str]] = set()
    while pending:
        following: dict[tuple[str, str], Input] = {}
        for batch in read_batch(
            what,
            ask,
            pending,
            id_of=lambda result: result["from"]["id"],
            absent=_has_none,
            most_refused=MOST_REFUSED,
        ):
            yield batch
            following |= _following(batch)
        if seen & following.keys():
            raise IncompleteAnswer(f"{what}: a page of links names itself as the next")
        seen |= following.keys()
        pending = list(following.values())


def _following(batch: Batch) -> dict[tuple[str, str], Input]:
    """What asks for the next page of the records that have one."""
    found: dict[tuple[str, str], Input] = {}
    for result in batch.results:
        if after := cursor_of(result):
            record_id = str(result["from"]["id"])
            found[record_id, after] = {"id": record_id, "after": after}
    return found


def _has_none(error: Mapping[str, Any]) -> bool:
    """Whether an error says that a record has no links: any other is a failure."""
    return NO_LINKS in str(error.get("subCategory"))
