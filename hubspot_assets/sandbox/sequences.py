"""Sequences, as the automation API tells them."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from hubspot_assets.sandbox.facts import rows
from hubspot_assets.sandbox.people import users
from hubspot_assets.sandbox.stamps import given, given_or_none, iso


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence; `user_ids` can use it, the first of them made it. Moments are epoch
    milliseconds."""

    sequence_id: int
    name: str
    user_ids: tuple[int, ...]
    folder_id: str | None
    created: int
    updated: int
    deleted: int | None

    def exists(self, now: int) -> bool:
        """Whether anybody can find it at a moment: only active users are asked about."""
        reachable = any(user.user_id in self.user_ids for user in users())
        return reachable and self.created <= now and (self.deleted is None or self.deleted > now)


@cache
def all_sequences() -> tuple[Sequence, ...]:
    """All sequences that there ever are, by id."""
    found = (
        Sequence(
            sequence_id=int(row["sequence_id"]),
            name=row["name"],
            user_ids=tuple(map(int, row["user_ids"].split())),
            folder_id=row["folder_id"] or None,
            created=given(row["created_at"]),
            updated=given(row["updated_at"]),
            deleted=given_or_none(row["deleted_at"]),
        )
        for row in rows("sequences.csv")
    )
    return tuple(sorted(found, key=lambda each: each.sequence_id))


def sequence_told(each: Sequence, now: int) -> dict[str, Any]:
    """A sequence as it is at a moment."""
    body: dict[str, Any] = {
        "id": str(each.sequence_id),
        "name": each.name,
        "createdAt": iso(each.created),
        "updatedAt": iso(each.updated if each.updated <= now else each.created),
        "userId": str(each.user_ids[0]),
    }
    if each.folder_id is not None:
        body["folderId"] = each.folder_id
    return body
