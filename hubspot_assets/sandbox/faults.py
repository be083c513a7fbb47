"""Faults that can be switched on, for the next requests or for some of them."""

import re
import threading
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from hubspot_assets.sandbox.values import GOLDEN, mix

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
    "status": "`status` of a `form`: html, envelope (with `message` and `category`) or empty",
    "trickle": "the right answer, a tenth every tenth of `seconds`",
    "expired_cursor": "400 INVALID_CURSOR for a request that goes on from a page; others not hit",
    "repeated_page": "the entries of the answer before, of the same path, once more",
    "repeated_record": "the last entry of the answer before, of the same path, once more",
    "required_only": "no members but those that are always there, and what was asked for",
    "nulls": "null for every member that is absent",
    "odd_end": "a last page with `form`: paging (null), next (null) or after (empty)",
    "unknown_members": "members that nobody has heard of, in every object",
    "lost_id": "the last entry of a list or batch is left out without a word",
    "archive_first": "the first record that is asked for is archived just before",
    "merge_first": "the first record that is asked for is merged away just before",
    "delete_list": "the list of the path is deleted just before",
}

#: The forms that some kinds have, the usual one first.
FORMS = {"status": ("html", "envelope", "empty"), "odd_end": ("paging", "next", "after")}
_CURSOR = re.compile(r"(^|&)(after|before|offset)=[^&]")
_CURSOR_IN_BODY = re.compile(rb'"(after|offset)":\s*("[^"]|[1-9])')


@dataclass(slots=True)
class Fault:
    """A fault for the next `times` (1) requests whose method and path (`GET /crm/...`) match the
    regular expression `path`; the first `skip` of them stay unharmed. With a `share`, for that
    part of all of them without end, unless `times` says so: which ones, `seed` decides, for each
    request and every time that it is repeated, in whatever order they come."""

    kind: str
    times: int | None = None
    path: str = ""
    skip: int = 0
    seconds: float = 1.0
    policy: str = "TEN_SECONDLY_ROLLING"
    retry_after: int | None = None
    record_id: str = ""
    share: float = 1.0
    seed: int = 0
    status: int = 403
    form: str = ""
    message: str = "The request was refused"
    category: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault is {self.kind!r}; expected one of {', '.join(KINDS)}")
        if self.kind == "poisoned_id" and not self.record_id:
            raise ValueError("fault poisoned_id needs a record_id")
        forms = FORMS.get(self.kind, ("",))
        self.form = self.form or forms[0]
        if self.form not in forms:
            raise ValueError(f"form is {self.form!r}; expected one of {', '.join(forms)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; expected more than 0 and at most 1")
        if self.times is None and self.share == 1:
            self.times = 1
        re.compile(self.path)

    def hits(self, request: str, query: str, body: bytes) -> bool:
        """Whether the fault is meant for a request."""
        if self.kind == "expired_cursor" and not (
            _CURSOR.search(query) or _CURSOR_IN_BODY.search(body)
        ):
            return False
        if self.record_id and not re.search(rb'"id":\s*"?%b\b' % self.record_id.encode(), body):
            return False
        return re.search(self.path, request) is not None


class Faults:
    """The faults that are switched on; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._seen: Counter[int] = Counter()

    def add(self, kind: str, **settings: Any) -> None:  # noqa: ANN401 - see Fault
        """Switches a fault on; settings are those of `Fault`."""
        with self._lock:
            self._active.append(Fault(kind, **settings))

    def clear(self) -> None:
        """Switches all faults off."""
        with self._lock:
            self._active.clear()
            self._seen.clear()

    def any(self) -> bool:
        """Whether a fault is switched on."""
        return bool(self._active)

    def pending(self) -> list[Fault]:
        """Faults that have requests left to hit."""
        with self._lock:
            return list(self._active)

    def take(self, request: str, query: str, body: bytes) -> Fault | None:
        """The fault that hits this request (`GET /crm/...`), counted down."""
        with self._lock:
            if not self._active:
                return None
            said = f"{request}?{query}\n".encode() + body
            digest = int.from_bytes(blake2b(said, digest_size=8).digest(), "big")
            self._seen[digest] += 1
            for fault in self._active:
                if not fault.hits(request, query, body):
                    continue
                drawn = mix(digest + self._seen[digest] * GOLDEN ^ mix(fault.seed))
                if drawn >= fault.share * (1 << 64):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._active.remove(fault)
                return fault
        return None
