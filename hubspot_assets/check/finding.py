"""What one step of the preflight found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was tried where, whether it went well, and what to know or to do.

    A warning is something to look at that does not stop an export.
    """

    where: str
    tried: str
    status: Status
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.tried}: {self.detail or self.status}"
