"""Reading the data files of facts about HubSpot, which are in `hubspot_assets.facts`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources


def facts(name: str) -> Iterator[dict[str, str]]:
    """The rows of a data file, by column."""
    file = resources.files("hubspot_assets.facts") / name
    return csv.DictReader(file.read_text(encoding="utf-8").splitlines())
