"""What a sandbox portal is: its settings, its clock, its subscription plans."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hubspot_assets.sandbox.facts import generic_types
from hubspot_assets.sandbox.stamps import milliseconds


class Allowance(NamedTuple):
    """Allowed requests: per rolling ten seconds, per day, and per rolling ten seconds of the
    associations API, which has a budget of its own."""

    burst: int
    daily: int
    associations: int


#: Allowances by subscription.
PLANS = {
    "free": Allowance(100, 250_000, 100),
    "starter": Allowance(100, 250_000, 100),
    "pro": Allowance(190, 625_000, 150),
    "enterprise": Allowance(190, 1_000_000, 150),
}


@dataclass(frozen=True, slots=True)
class PortalConfig:
    """Settings of a portal. The same settings and the same clock give the same bytes.

    `records` is the number of contacts that are live around the end of 2026; other types
    scale with it. `now` pins the portal's clock; without it the portal lives in real time.
    `contact_properties` limits (or extends) the contact properties to that many.
    `big_list` is how many members the largest list of contacts has, as long as that many contacts
    are there; None for a share of them. `newest_joined_first` turns the order of joining round.
    `files` is the number of files made until the end of 2026.
    `scopes` None grants every scope; `without_scopes` takes some away. `burst`, `daily` and
    `associations_burst` replace what the plan allows; a `burst` above the plan's raises that of
    the associations API as well, unless that is given. `events_page` is the most occurrences a
    page of events can have, and `occurred_before_inclusive` whether an event at that very moment
    is told: HubSpot documents neither. `generic_types` are ids of object types that this portal
    serves on the CRM objects path and most do not: types with an API of their own, and those that
    hardly any portal has (`data/generic_object_types.csv`).
    `odd_lists` adds a list whose members are refused, and one that is not yet worked out.
    `conversion_ids` tells the ids of form submissions, which old answers lack.
    `strict_associations` refuses names in `associations=` that stand for no type of the portal;
    HubSpot's documents say that they are ignored, portals have been seen to answer 400.
    `page_dates_at`: pages and posts have `createdAt` and `updatedAt`, as examples in HubSpot's
    documents do, instead of `created` and `updated`.
    `primary_ids_last`: a merge leaves the surviving record its id. Otherwise it gives a new one,
    under which both are found, except for contacts and companies before 2025.
    `merged_ids_lead_on`: a batch read tells the survivor of a merged-away record, under its own id,
    as portals have been seen to do, instead of missing the id.
    `stored_late`: values can be read up to five minutes after they are stamped, and modified dates
    up to one minute.
    `tick_ms`: the portal's time goes on by so much with every request. `latency_ms`: each answer
    takes so much longer, by the real clock.
    `opaque_cursors`: those of lists of records say nothing, where portals have been seen to give
    the last id and one; HubSpot documents no form.
    `archived_linger`: records stay in the search until its index has caught up with their end.
    `email_offsets_last_ms`: how long an offset of e-mail events is good for; HubSpot documents that
    they are short-lived, and no number. None: for ever.
    `event_ids_repeat`: some e-mail events have one id, and differ in `created` alone.
    `multi_status` lets batch answers of 2026-09 be 207 where parts fail: its documents know 200
    alone.
    """

    seed: int = 7
    records: int = 1000
    plan: str = "enterprise"
    now: datetime | None = None
    time_zone: str = "Europe/Dublin"
    portal_id: int = 1234567
    token: str = "pat-na1-5a2d0b0c-0000-4000-8000-5a4d0b0c5a4d"  # noqa: S105 - opens nothing real
    scopes: frozenset[str] | None = None
    without_scopes: frozenset[str] = frozenset()
    contact_properties: int | None = None
    burst: int | None = None
    associations_burst: int | None = None
    daily: int | None = None
    search_per_second: int = 5
    uri_limit: int = 16_000
    index_lag_ms: int = 0
    generic_types: frozenset[str] = frozenset()
    client_id: str = "sandbox-client-id"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - opens nothing real
    refresh_token: str = "sandbox-refresh-token"  # noqa: S105 - opens nothing real
    access_token_seconds: float = 1800.0
    big_list: int | None = None
    newest_joined_first: bool = False
    files: int = 160
    events_page: int = 1000
    occurred_before_inclusive: bool = False
    odd_lists: bool = False
    conversion_ids: bool = True
    strict_associations: bool = False
    multi_status: bool = True
    page_dates_at: bool = False
    primary_ids_last: bool = False
    merged_ids_lead_on: bool = True
    stored_late: bool = True
    tick_ms: int = 0
    latency_ms: int = 0
    opaque_cursors: bool = False
    archived_linger: bool = False
    event_ids_repeat: bool = False
    email_offsets_last_ms: int | None = None

    def __post_init__(self) -> None:
        if self.plan not in PLANS:
            raise ValueError(f"plan is {self.plan!r}; expected one of {', '.join(PLANS)}")
        if self.records < 0:
            raise ValueError(f"records is {self.records}; expected zero or more")
        if unknown := self.generic_types - generic_types().keys():
            raise ValueError(f"generic_types has {', '.join(sorted(unknown))}, of no known type")
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError(f"now is {self.now}, without a time zone; expected an aware datetime")

    def utc_offset(self, moment: datetime) -> timedelta:
        """How far the portal's time zone is from UTC at a moment."""
        return moment.astimezone(ZoneInfo(self.time_zone)).utcoffset() or timedelta()

    @property
    def burst_limit(self) -> int:
        """Requests per rolling ten seconds."""
        return PLANS[self.plan].burst if self.burst is None else self.burst

    @property
    def associations_limit(self) -> int:
        """Requests to the associations API per rolling ten seconds."""
        if self.associations_burst is not None:
            return self.associations_burst
        return max(PLANS[self.plan].associations, self.burst or 0)

    @property
    def daily_limit(self) -> int:
        """Requests per day of the portal's time zone."""
        return PLANS[self.plan].daily if self.daily is None else self.daily


class Clock:
    """The one source of time: the portal's now, and a monotonic clock for budgets."""

    def __init__(
        self, now: datetime | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.monotonic = monotonic
        self._pinned = None if now is None else milliseconds(now)
        self._ahead = 0

    def now(self) -> int:
        """The portal's now, in epoch milliseconds."""
        if self._pinned is not None:
            return self._pinned
        return time.time_ns() // 1_000_000 + self._ahead

    def set(self, now: datetime | None) -> None:
        """Pins the portal's now, or lets it follow real time again (None)."""
        self._pinned = None if now is None else milliseconds(now)

    def tick(self, ms: int) -> None:
        """Lets time go on by so much more."""
        if self._pinned is None:
            self._ahead += ms
        else:
            self._pinned += ms

    def datetime(self) -> datetime:
        """The portal's now as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.now() / 1000, UTC)
