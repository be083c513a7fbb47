"""When what could be read by what has changed is read in full: each source in its turn."""

from __future__ import annotations

import logging
import zlib
from datetime import UTC, datetime, timedelta

from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging

log = logging.getLogger(__name__)

#: Nightly runs don't begin at the same minute.
_NEARLY = timedelta(hours=12)


def is_due(base: Staged, now: datetime, days: int) -> bool:
    """Whether a source was last read in full so many days ago, or today is its turn: not that of
    all."""
    age = now - base.swept_at
    turn = (now.date().toordinal() + zlib.crc32(base.source.encode())) % days == 0
    return age >= timedelta(days=days) - _NEARLY or (turn and age >= _NEARLY)


def base_of(
    staging: Staging, source: str, plan: str, incremental: str, sweep_days: int
) -> Staged | None:
    """The earlier reading of a source on which another may build; None where all is to be read.

    That is where there is none whose plan is, or begins with, this one, where it is the source's
    turn, or where everything is asked for: by the run, or with `incremental` "off". Raises
    StoreError.
    """
    if staging.read_again or incremental == "off":
        return None
    base = staging.newest(source)
    if base is None or not base.availability.served or not base.plan.startswith(plan):
        return None
    if is_due(base, datetime.now(UTC), sweep_days):
        log.info("%s: it is time to read all of it", source)
        return None
    return base
