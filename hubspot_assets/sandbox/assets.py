"""Things of the marketing tools, and their lives by date as the data files tell them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubspot_assets.sandbox.stamps import iso, milliseconds, parse_iso


@dataclass(frozen=True, slots=True)
class Asset:
    """A form, a marketing email or a campaign at one moment; `told` is what its API tells."""

    asset_id: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    told: dict[str, Any]

    @property
    def archived(self) -> bool:
        """Whether it has been archived."""
        return self.archived_at is not None


@dataclass(frozen=True, slots=True)
class Phase:
    """How far the life of an asset has come at one moment: its dates, and the members that
    changes have set by then."""

    created: datetime
    updated: datetime
    archived: datetime | None
    members: dict[str, Any]

    def dates(self) -> dict[str, Any]:
        """The members that tell of them."""
        return {
            "createdAt": stamp(self.created),
            "updatedAt": stamp(self.updated),
            "archived": self.archived is not None,
        }


def phase(row: dict[str, Any], at: datetime) -> Phase | None:
    """The phase of an asset of the data files (`created`, `archived`, `members` and `changes`
    of them); None before its creation. Archiving is its last update."""
    created = parse_iso(row["created"])
    if created > at:
        return None
    archived = parse_iso(row["archived"]) if row["archived"] else None
    if archived is not None and archived > at:
        archived = None
    updated, members = created, dict(row["members"])
    for change in row["changes"]:
        changed = parse_iso(change["at"])
        if changed <= at:
            updated = max(updated, changed)
            members |= change["members"]
    return Phase(created, max(updated, archived or updated), archived, members)


def stamp(moment: datetime) -> str:
    """HubSpot's text of a moment."""
    return iso(milliseconds(moment))
