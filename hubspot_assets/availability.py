"""Whether HubSpot serves what a table is made of: a word that readings and manifests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether HubSpot serves a table's source, and if not, why not.

    A source that is served may have a `detail`, too: what of it was refused.
    """

    status: Literal[
        "available", "not_enabled", "missing_scope", "no_public_api", "needs_enterprise"
    ] = "available"
    detail: str = ""

    @property
    def served(self) -> bool:
        """Whether there is anything of the source."""
        return self.status == "available"

    @property
    def lacking(self) -> bool:
        """Whether the portal may have what is not here: it was refused for what the token, or the
        subscription, does not include."""
        return self.status in ("missing_scope", "needs_enterprise") or bool(
            self.served and self.detail
        )


AVAILABLE = Availability()
