"""Deal splits: how the amount of some deals is shared among owners, as the deal splits API tells
it. A pure function of seed, deal and time."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.people import users
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.values import GOLDEN, mix

#: One of so many deals that follow each other is split.
_ONE_OF = 10
_SHARES = (("0.5", "0.5"), ("0.7", "0.3"), ("0.34", "0.33", "0.33"), ("0.6", "0.25", "0.15"))
_FIRST_ID = 311_226_000_017


@dataclass(frozen=True, slots=True)
class Split:
    """One owner's part of a deal, from `created` on; the percentage is a part of one. Moments are
    epoch milliseconds."""

    split_id: int
    owner_id: int
    percentage: str
    created: int
    updated: int


def splits_of(life: Life, index: int, now: int) -> list[Split]:
    """The splits of a live deal at a moment, none for most."""
    group, place = divmod(index, _ONE_OF)
    draw = mix(life.side_seed + (group + 3) * GOLDEN)
    if draw % _ONE_OF != place:
        return []
    created = life.created(index) + (draw >> 8) % (40 * DAY)
    if created > now:
        return []
    changed = created + DAY + (draw >> 16) % (90 * DAY)
    turn = draw >> 4 & 3
    # Some are shared out anew among the same owners.
    renewed = changed <= now and turn % 2 == 0
    shares = _SHARES[turn][::-1] if renewed else _SHARES[turn]
    owners = [each.owner_id for each in users()]
    return [
        Split(
            split_id=_FIRST_ID + index * 8 + number,
            owner_id=owners[(draw + number) % len(owners)],
            percentage=share,
            created=created,
            updated=changed if renewed else created,
        )
        for number, share in enumerate(shares)
    ]


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
