"""Which links there can be: HubSpot's own association types and those that the portal added."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hubspot_assets.sandbox.facts import ObjectType, fact_rows, rows

#: An ordered pair of object type ids.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AssociationType:
    """A type of link, seen in one direction. `label` None is the unlabelled type, which every
    link of a pair has; `name` is the one of the older API versions. `inverse_id` is the type
    that the same link has in the other direction, None if it has none there."""

    type_id: int
    category: str
    label: str | None
    name: str
    inverse_id: int | None

    @property
    def primary(self) -> bool:
        """Whether it is one that a single link of a record has."""
        return self.label == "Primary"


def association_types(kinds: Mapping[str, ObjectType]) -> dict[Pair, tuple[AssociationType, ...]]:
    """The types of every ordered pair of `kinds` that can be linked: the unlabelled one first,
    then Primary, then labels by id."""
    found: dict[Pair, list[AssociationType]] = defaultdict(list)
    for row in fact_rows("association_types.csv"):
        pair = row["from_object_type_id"], row["to_object_type_id"]
        if pair[0] in kinds and pair[1] in kinds:
            found[pair].append(_hubspots(row, kinds[pair[0]], kinds[pair[1]], _primaries()))
    for row in rows("association_types.csv"):
        there = row["from_object_type_id"], row["to_object_type_id"]
        found[there].append(_portals(row, row["type_id"], row["inverse_type_id"], row["label"]))
        if row["inverse_type_id"] != row["type_id"]:
            back = _portals(row, row["inverse_type_id"], row["type_id"], row["inverse_label"])
            found[there[::-1]].append(back)
    return {pair: tuple(sorted(types, key=_order)) for pair, types in found.items()}


def plain_types(
    near: ObjectType, far: ObjectType, type_id: int
) -> tuple[AssociationType, AssociationType]:
    """The unlabelled type of links between a custom type and another one, in both directions;
    the second has the id after `type_id`."""
    names = f"{near.name}_to_{far.name}", f"{far.name}_to_{near.name}"
    ids = type_id, type_id + 1
    return (
        AssociationType(ids[0], "USER_DEFINED", None, names[0], ids[1]),
        AssociationType(ids[1], "USER_DEFINED", None, names[1], ids[0]),
    )


def _order(each: AssociationType) -> tuple[bool, bool, int]:
    return each.label is not None, not each.primary, each.type_id


@cache
def _primaries() -> frozenset[Pair]:
    """Ordered pairs that have a Primary type."""
    return frozenset(
        (row["from_object_type_id"], row["to_object_type_id"])
        for row in fact_rows("association_types.csv")
        if _labels().get(row["role"]) == "Primary"
    )


@cache
def _labels() -> dict[str, str]:
    return {row["role"]: row["label"] for row in rows("association_roles.csv")}


def _hubspots(
    row: dict[str, str], near: ObjectType, far: ObjectType, primaries: frozenset[Pair]
) -> AssociationType:
    label = _labels().get(row["role"])
    name = f"{near.name}_to_{far.name}"
    if label is None and (near.object_type_id, far.object_type_id) in primaries:
        name += "_unlabeled"
    elif label not in (None, "Primary"):
        name = row["role"].replace(" ", "_")
    inverse = row["inverse_type_id"]
    return AssociationType(
        int(row["type_id"]), "HUBSPOT_DEFINED", label, name, int(inverse) if inverse else None
    )


def _portals(row: dict[str, str], type_id: str, inverse: str, label: str) -> AssociationType:
    return AssociationType(int(type_id), row["category"], label or None, row["name"], int(inverse))
