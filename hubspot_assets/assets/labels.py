"""Whose assets are, and by which words they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg


def run_tags(name: str | None) -> dict[str, str]:
    """By which runs of one of several portals are told from those of others."""
    return {"hubspot/portal_name": name} if name else {}


def of_portal(name: str | None) -> str:
    """What a line begins with that tells of one of several portals."""
    return f"{name}: " if name else ""


@dataclass(frozen=True, slots=True)
class Labels:
    """What all assets of a portal have in common; `name` is that of one of several portals."""

    portal_id: int | None
    owners: Sequence[str]
    name: str | None = None

    @property
    def pool(self) -> str:
        """The pool of all that asks the portal, so that one run at a time does."""
        return f"hubspot_{self.portal_id or self.name or 'portal'}"

    def key(self, *path: str) -> dg.AssetKey:
        """The key of an asset, apart from those of other portals."""
        return dg.AssetKey([*([self.name] if self.name else []), *path])

    def tags(self, object_type_ids: Sequence[str], *, api: str | None = None) -> dict[str, str]:
        """The portal's tags: of an object type, or of two that are linked, and of HubSpot's API."""
        names = "hubspot/object_type", "hubspot/to_object_type"
        return {
            **dict(zip(names, object_type_ids, strict=False)),
            **({"hubspot/portal": str(self.portal_id)} if self.portal_id is not None else {}),
            **({"hubspot/api": api} if api else {}),
        }
