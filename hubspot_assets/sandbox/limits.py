"""Budgets of requests, and the headers that tell of them."""

from collections import deque
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from hubspot_assets.sandbox.config import Clock, PortalConfig
from hubspot_assets.sandbox.errors import rate_limited
from hubspot_assets.sandbox.stamps import milliseconds

#: Per ten seconds for an app that was authorized with OAuth.
OAUTH_BURST = 110


class Window:
    """So many requests in a rolling window."""

    def __init__(self, limit: int, seconds: float, clock: Clock) -> None:
        self.limit = limit
        self._seconds = seconds
        self._clock = clock
        self._times: deque[float] = deque()

    def take(self) -> bool:
        """Counts a request; False if the window is full (it is not counted then)."""
        now = self._clock.monotonic()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return False
        self._times.append(now)
        return True

    @property
    def remaining(self) -> int:
        """Requests left in the window as of the last one taken."""
        return self.limit - len(self._times)


class Budgets:
    """The budgets of one portal: a burst per app, one more of each app for associations, a
    day's quota and search per account.

    The day's quota starts anew at midnight of the portal's time zone, by the portal's clock.
    """

    def __init__(self, config: PortalConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._bursts = {
            "private": Window(config.burst_limit, 10, clock),
            "oauth": Window(OAUTH_BURST if config.burst is None else config.burst, 10, clock),
        }
        self._associations = {
            app: Window(config.associations_limit, 10, clock) for app in self._bursts
        }
        self._search = Window(config.search_per_second, 1, clock)
        self._zone = ZoneInfo(config.time_zone)
        self._day = ""
        self.used_today = 0

    def today(self) -> str:
        """The day of the portal's time zone; a new one has a new quota."""
        day = self._clock.datetime().astimezone(self._zone).date().isoformat()
        if day != self._day:
            self._day, self.used_today = day, 0
        return day

    def next_midnight(self) -> int:
        """When the day's quota starts anew, in epoch milliseconds."""
        today = self._clock.datetime().astimezone(self._zone).date()
        return milliseconds(datetime.combine(today + timedelta(days=1), time(), self._zone))

    def spend(self, budget: str, app: str) -> dict[str, str]:
        """Counts a request against its budget and gives the headers of its answer.

        `budget` is general, search or associations. Raises ApiError (429) if it is used up.
        """
        self.today()
        if app == "private" and self.used_today >= self._config.daily_limit:
            raise self._refuse("DAILY", app, self._bursts[app])
        if budget == "search":
            if not self._search.take():
                raise rate_limited("SECONDLY", self._config.portal_id)
            self.used_today += 1
            return {}
        burst = (self._associations if budget == "associations" else self._bursts)[app]
        if not burst.take():
            raise self._refuse("TEN_SECONDLY_ROLLING", app, burst)
        self.used_today += 1
        return self._headers(app, burst)

    def _refuse(self, policy: str, app: str, burst: Window) -> Exception:
        refusal = rate_limited(policy, self._config.portal_id)
        refusal.headers.update(self._headers(app, burst))
        return refusal

    def _headers(self, app: str, burst: Window) -> dict[str, str]:
        """The rate limit headers of a normal answer."""
        told = {
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(burst.limit),
            "X-HubSpot-RateLimit-Remaining": str(burst.remaining),
            "X-HubSpot-RateLimit-Secondly": str(burst.limit // 10),
            "X-HubSpot-RateLimit-Secondly-Remaining": str(max(0, burst.limit // 10 - 1)),
        }
        if app == "private":
            daily = self._config.daily_limit
            told["X-HubSpot-RateLimit-Daily"] = str(daily)
            told["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(0, daily - self.used_today))
        return told
