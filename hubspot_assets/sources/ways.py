"""Which way a type's records are looked at for what has changed: by sweep or by search.

A sweep sees everything and costs a request for each hundred records; a search costs little, and
lets what moves no modified date wait. So a sweep is what is done as long as all of them together
take a small share of the day's calls; and where search is, a type's sweep comes in its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.records import PAGE_OF_IDS
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.asked import Asked
from hubspot_assets.sources.turns import is_due

log = logging.getLogger(__name__)

#: So many records cost hardly more to sweep than to search.
FEW = 10_000
#: What the sweeps of a day may take of its calls.
SHARE = 0.05
#: The day's calls where HubSpot does not tell: those of a professional subscription, by its usage
#: guidelines.
CALLS = 625_000


def searches(
    asked: Asked, staging: Staging, base: Staged, incremental: str, sweep_days: int
) -> bool:
    """Whether to search, by what the readings tell; `incremental` is "auto", "sweep" or "search".

    Raises StoreError.
    """
    if incremental == "sweep" or _records(base) < FEW:
        return False
    if is_due(base, datetime.now(UTC), sweep_days):
        log.info("%s: it is time to look through all records", asked.source)
        return False
    return incremental == "search" or not _is_affordable(base, staging, asked.client)


def _is_affordable(base: Staged, staging: Staging, client: HubSpot) -> bool:
    """Whether the sweeps of all types that are no larger fit the share of the day's calls."""
    own = _requests(base), base.source
    spent = sum(cost for cost, source in _costs(base, staging) if (cost, source) <= own)
    daily = client.budgets.daily
    return spent <= SHARE * (daily.limit if daily else CALLS)


def _costs(base: Staged, staging: Staging) -> Iterator[tuple[int, str]]:
    """What a sweep of each type costs, in requests."""
    for source in staging.sources(base.source.partition("/")[0]):
        if newest := staging.newest(source):
            yield _requests(newest), source


def _requests(of: Staged) -> int:
    return -(-_records(of) // PAGE_OF_IDS)


def _records(of: Staged) -> int:
    return of.counts.get("records", 0)
