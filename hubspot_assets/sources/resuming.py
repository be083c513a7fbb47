"""Going on with a reading that was broken off: what it must have asked, and where that ends."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import orjson

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import AuthenticationError, GaveUp, HubSpotError, Refused
from hubspot_assets.readings.reading import Reading

P = TypeVar("P")

log = logging.getLogger(__name__)


def plan_of(client: HubSpot, *asked: Any) -> str:  # noqa: ANN401  (whatever is JSON)
    """What a checkpoint must be of to be gone on from: all that is asked, and of which APIs."""
    return hashlib.sha256(orjson.dumps([client.versions, *asked])).hexdigest()


def resumed(reading: Reading, pages: Callable[[str | None], Iterator[P]]) -> Iterator[P]:
    """`pages` from where `reading` is; from the beginning where HubSpot takes that no longer.

    Cursors do not live for ever, those of e-mail events for hours. So where the first request of
    a reading that is gone on with is refused, but not that of one from the beginning, what was
    read before is dropped. Where both are, that is raised, and the next reading begins anew.
    """
    going_on = pages(reading.after)
    try:
        first = next(going_on, None)
    except HubSpotError as error:
        if reading.after is None or not _says_no(error):
            raise
        going_on = pages(None)
        try:
            first = next(going_on, None)
        except Refused as refused:
            if _says_no(refused):
                reading.forget_checkpoint()
            raise
        log.warning("%s is read anew, as it can't be gone on with: %s", reading.source, error)
        reading.begin_anew()
    if first is not None:
        yield first
        yield from going_on


def _says_no(error: HubSpotError) -> bool:
    """Whether it may be our cursor that is refused: any 4xx but for those of tokens and limits."""
    if isinstance(error, AuthenticationError) or not isinstance(error, Refused | GaveUp):
        return False
    return 400 <= (error.status or 0) < 500 and error.status != 429
