"""Whose assets are, and by which words they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """What all assets of a portal have in common."""

    portal_id: int | None
    owners: Sequence[str]

    @property
    def pool(self) -> str:
        """The pool of all that asks the portal, so that one run at a time does."""
        return f"hubspot_{self.portal_id or 'portal'}"

    def tags(self, object_type_ids: Sequence[str], *, api: str | None = None) -> dict[str, str]:
        """The portal's tags: of an object type, or of two that are linked, and of HubSpot's API."""
        names = "hubspot/object_type", "hubspot/to_object_type"
        return {
            **dict(zip(names, object_type_ids, strict=False)),
            **({"hubspot/portal": str(self.portal_id)} if self.portal_id is not None else {}),
            **({"hubspot/api": api} if api else {}),
        }
