"""Deal splits: how the amount of some deals is shared among owners. A pure function of seed, deal
and time, told by the deal splits API, and as records of their own where a portal does that."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.life import Life, Record
from hubspot_assets.sandbox.people import users
from hubspot_assets.sandbox.population import BLOCK, Fate
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.sources import CREATED_BY, EDITED_BY
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.values import GOLDEN, mix

#: Their object type.
DEAL_SPLITS = "0-72"
#: One of so many deals that follow each other is split.
_ONE_OF = 10
_SHARES = (("0.5", "0.5"), ("0.7", "0.3"), ("0.34", "0.33", "0.33"), ("0.6", "0.25", "0.15"))
_MOST = max(map(len, _SHARES))
_FIRST_ID, _IDS_OF_A_DEAL = 311_226_000_017, 8
#: An index that no record has.
_NOWHERE = 1 << 48


@dataclass(frozen=True, slots=True)
class Split:
    """One owner's part of a deal; the percentage is a part of one. It was `first` from `created`
    on; all moments are epoch milliseconds."""

    split_id: int
    owner_id: int
    first: str
    percentage: str
    created: int
    updated: int


def splits_of(life: Life, index: int, now: int) -> list[Split]:
    """The splits of a live deal at a moment, none for most."""
    plan = _Plan(life, index // _ONE_OF)
    return plan.splits(now) if plan.deal == index and plan.created <= now else []


class _Plan:
    """How the one deal of ten that has splits is split."""

    def __init__(self, life: Life, group: int) -> None:
        self._draw = mix(life.side_seed + (group + 3) * GOLDEN)
        self._turn = self._draw >> 4 & 3
        self.deal = group * _ONE_OF + self._draw % _ONE_OF
        self.shares = _SHARES[self._turn]
        self.created = life.created(self.deal) + (self._draw >> 8) % (40 * DAY)

    def splits(self, now: int) -> list[Split]:
        """The splits at a moment after their creation: some are shared out anew among the same
        owners."""
        changed = self.created + DAY + (self._draw >> 16) % (90 * DAY)
        renewed = changed <= now and self._turn % 2 == 0
        owners = [each.owner_id for each in users()]
        return [
            Split(
                split_id=_FIRST_ID + self.deal * _IDS_OF_A_DEAL + number,
                owner_id=owners[(self._draw + number) % len(owners)],
                first=first,
                percentage=share,
                created=self.created,
                updated=changed if renewed else self.created,
            )
            for number, (first, share) in enumerate(
                zip(self.shares, self.shares[::-1] if renewed else self.shares, strict=True)
            )
        ]


class SplitLife(Life):
    """Deal splits as records: of every ten deals one has splits, four at most. Indexes that none
    has are those of records that never are. A split is gone with its deal."""

    def __init__(
        self,
        kind: ObjectType,
        properties: tuple[Property, ...],
        *,
        deals: Life,
        amount: Property | None,
        seed: int,
    ) -> None:
        super().__init__(kind, properties, records=0, seed=seed)
        self._deals = deals
        self._amount = amount
        self._numbers = {each.name: each.number for each in properties}

    def record_id(self, index: int, now: int) -> int:  # noqa: ARG002 - as of any record
        """The split's id."""
        plan, number = self._place(index)
        return _FIRST_ID + plan.deal * _IDS_OF_A_DEAL + number

    def index_at(self, record_id: int, now: int) -> int:
        """The first index whose id is not below `record_id`."""
        group = max(0, (record_id - _FIRST_ID) // (_IDS_OF_A_DEAL * _ONE_OF))
        index = group * _MOST
        while self.record_id(index, now) < record_id:
            index += 1
        return index

    def index_of(self, record_id: int, now: int) -> int | None:
        """The index of an id, None if no split ever has it."""
        index = self.index_at(record_id, now)
        return index if self.record_id(index, now) == record_id else None

    def created(self, index: int) -> int:
        """When the split is made: not in order of its index."""
        return self._place(index)[0].created

    def created_count(self, now: int) -> int:
        """An index beyond all splits that have been made up to now."""
        return -(-self._deals.created_count(now) // _ONE_OF) * _MOST

    def ends(self, index: int) -> bool:  # noqa: ARG002 - as of any record
        """A split has no end of its own by plan."""
        return False

    def _plan(self, index: int) -> tuple[Fate, ...]:  # noqa: ARG002 - as of any record
        return ()

    def is_live(self, index: int, now: int) -> bool:
        """Whether there is such a split, of a live deal."""
        plan, number = self._place(index)
        return (
            number < len(plan.shares)
            and self._deals.is_live(plan.deal, now)
            and super().is_live(index, now)
        )

    def gone(self, block: int, now: int) -> set[int]:
        """Indexes of a block of 32 that are no live splits."""
        base = block * BLOCK
        return {index for index in range(base, base + BLOCK) if not self.is_live(index, now)}

    def updated(self, index: int, now: int) -> int:
        """When the split was made or shared out anew."""
        return self._split(index, now).updated

    def _place(self, index: int) -> tuple[_Plan, int]:
        group, number = divmod(index, _MOST)
        return _Plan(self._deals, group), number

    def _split(self, index: int, now: int) -> Split:
        plan, number = self._place(index)
        return plan.splits(now)[number]

    def _set_system_values(self, record: Record, now: int) -> None:
        split = self._split(record.index, now)
        percentages = [(split.created, split.first, CREATED_BY[0])]
        if split.updated > split.created:
            percentages.append((split.updated, split.percentage, EDITED_BY[0]))
        record.updated = split.updated
        told = {
            "hs_deal_split_percentage": percentages,
            "hubspot_owner_id": [(split.created, str(split.owner_id), CREATED_BY[0])],
        }
        for name, changes in told.items():
            number = self._numbers[name]
            record.history[number] = [
                (at, orjson.dumps(value), record.tail(at, source)) for at, value, source in changes
            ]
            record.values[number] = record.history[number][-1][1]
        whole = _amount(self._deals, self._amount, self._place(record.index)[0].deal, now)
        if whole is not None:
            number = self._numbers["hs_deal_split_amount"]
            record.values[number] = orjson.dumps(f"{whole * Decimal(split.percentage):.2f}")
        super()._set_system_values(record, now)


class SplitRoutes:
    """From deals to their splits, and back: the routes of links."""

    def __init__(self, deals: Life) -> None:
        self._deals = deals

    def far(self, index: int, slot: int) -> int:
        """The split of that number of a deal; one that never is, if the deal has none."""
        group, plan = index // _ONE_OF, _Plan(self._deals, index // _ONE_OF)
        there = plan.deal == index and slot < len(plan.shares)
        return group * _MOST + slot if there else _NOWHERE

    def near(self, index: int, slot: int) -> list[int]:
        """The deal of a split, if that is its number."""
        group, number = divmod(index, _MOST)
        plan = _Plan(self._deals, group)
        return [plan.deal] if slot == number < len(plan.shares) else []


def deal_splits_told(
    life: Life, amount: Property | None, index: int, now: int
) -> list[dict[str, Any]]:
    """The splits of a live deal on the wire. `amount` is the deals' property of that name; splits
    of a deal without a number in it have no amount."""
    found = splits_of(life, index, now)
    whole = _amount(life, amount, index, now) if found else None
    return [_told(each, whole) for each in found]


def _amount(life: Life, amount: Property | None, index: int, now: int) -> Decimal | None:
    if amount is None:
        return None
    raw = life.record(index, now, traced=False).values.get(amount.number, b'""')
    try:
        found = Decimal(orjson.loads(raw))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _told(each: Split, whole: Decimal | None) -> dict[str, Any]:
    properties = {
        "hs_createdate": iso(each.created),
        "hs_deal_split_percentage": each.percentage,
        "hs_lastmodifieddate": iso(each.updated),
        "hs_object_id": str(each.split_id),
        "hubspot_owner_id": str(each.owner_id),
    }
    if whole is not None:
        properties["hs_deal_split_amount"] = f"{whole * Decimal(each.percentage):.2f}"
    return {
        "id": str(each.split_id),
        "properties": properties,
        "createdAt": iso(each.created),
        "updatedAt": iso(each.updated),
        "archived": False,
    }
