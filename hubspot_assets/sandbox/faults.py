"""Faults that can be switched on, for the next requests or for some of them."""

import re
import threading
from dataclasses import dataclass
from typing import Any

#: What a fault does to a request it hits.
KINDS = {
    "internal_error": "500 with the usual envelope",
    "bad_gateway": "502 as HTML",
    "unavailable": "503 as HTML",
    "gateway_timeout": "504 as HTML",
    "edge_timeout": "524 as HTML",
    "locked": "423",
    "migrating": "477 with Retry-After",
    "rate_limited": "429 of a policy (TEN_SECONDLY_ROLLING, SECONDLY, DAILY)",
    "expired_token": "401 EXPIRED_AUTHENTICATION",
    "truncated": "200 with the JSON cut in the middle",
    "not_json": "200 with an HTML page",
    "dropped": "connection closed in the middle of the answer",
    "slow": "the right answer, after `seconds`",
    "poisoned_id": "400 for a request whose body has the id `record_id`; others are not hit",
    "lost_id": "the last entry of a list or batch is left out without a word",
    "archive_first": "the first record that is asked for is archived just before",
    "merge_first": "the first record that is asked for is merged away just before",
    "delete_list": "the list of the path is deleted just before",
}


@dataclass(slots=True)
class Fault:
    """A fault for the next `times` requests whose method and path (`GET /crm/...`) match the
    regular expression `path`. The first `skip` of them stay unharmed."""

    kind: str
    times: int = 1
    path: str = ""
    skip: int = 0
    seconds: float = 1.0
    policy: str = "TEN_SECONDLY_ROLLING"
    retry_after: int | None = None
    record_id: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault is {self.kind!r}; expected one of {', '.join(KINDS)}")
        if self.kind == "poisoned_id" and not self.record_id:
            raise ValueError("fault poisoned_id needs a record_id")
        re.compile(self.path)

    def hits(self, request: str, body: bytes) -> bool:
        """Whether the fault is meant for a request."""
        if self.record_id and not re.search(rb'"id":\s*"?%b\b' % self.record_id.encode(), body):
            return False
        return re.search(self.path, request) is not None


class Faults:
    """The faults that are switched on; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []

    def add(self, kind: str, **settings: Any) -> None:  # noqa: ANN401 - see Fault
        """Switches a fault on; settings are those of `Fault`."""
        with self._lock:
            self._active.append(Fault(kind, **settings))

    def clear(self) -> None:
        """Switches all faults off."""
        with self._lock:
            self._active.clear()

    def pending(self) -> list[Fault]:
        """Faults that have requests left to hit."""
        with self._lock:
            return list(self._active)

    def take(self, request: str, body: bytes) -> Fault | None:
        """The fault that hits this request (`GET /crm/...`), counted down."""
        with self._lock:
            for fault in self._active:
                if not fault.hits(request, body):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self._active.remove(fault)
                return fault
        return None
