"""How many records each object type has by HubSpot's own count."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import HubSpotError

log = logging.getLogger(__name__)

#: Seconds for which an answer is good enough.
_LATELY = 300.0


class RecordCounts:
    """The count of every type, which HubSpot tells at once: asked for when it is needed, and again
    after five minutes; no more once HubSpot has not told.

    It is a hint: nobody says how it is made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: Mapping[str, int] = {}
        self._good_until = 0.0

    def of(self, client: HubSpot, object_type_id: str) -> int | None:
        """The live records of a type; None where HubSpot does not tell."""
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._ask(client)
            return self._told.get(object_type_id)

    def _ask(self, client: HubSpot) -> None:
        try:
            content = client.get("limits", "records").content
        except HubSpotError as error:
            log.info("HubSpot's count of records is not known: %s", error)
            self._told, self._good_until = {}, float("inf")
        else:
            self._told = dict(_usage(content))
            self._good_until = time.monotonic() + _LATELY


def _usage(content: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    custom = content.get("customObjectTypes") or {}
    for each in [
        *(content.get("hubspotDefinedObjectTypes") or ()),
        *(custom.get("byObjectType") or ()),
    ]:
        if isinstance(usage := each.get("usage"), int):
            yield each["objectTypeId"], usage
