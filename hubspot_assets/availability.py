"""Whether HubSpot serves what a table is made of: a word that readings and manifests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether HubSpot serves a table's source, and if not, why not."""

    status: Literal[
        "available", "not_enabled", "missing_scope", "no_public_api", "needs_enterprise"
    ] = "available"
    detail: str = ""


AVAILABLE = Availability()
