"""By which way a contact came, and came back to fill in a form: a pure function of its draws. All
moments are epoch milliseconds."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from hubspot_assets.sandbox.campaigns import CAMPAIGN
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix

_DAYS = 2_000
OFFLINE, DIRECT = "OFFLINE", "DIRECT_TRAFFIC"


class Origin(NamedTuple):
    """A traffic source with its two drill-downs; `campaign` is the `hs_utm` of one that ran then,
    and `utm` its source and medium, where it came by one."""

    source: str
    first: str
    second: str
    campaign: str | None = None
    utm: tuple[str, str] = ("", "")


#: Of sixteen contacts so many come by each way.
_WAYS = (
    *(Origin("ORGANIC_SEARCH", "Unknown keywords (SSL)", "GOOGLE"),) * 3,
    Origin("ORGANIC_SEARCH", "crm export", "BING"),
    *(Origin(DIRECT, "https://www.example.com/", ""),) * 2,
    Origin("SOCIAL_MEDIA", "LinkedIn", ""),
    Origin("REFERRALS", "partner.example.org", "partner.example.org/blog"),
    *(Origin("PAID_SEARCH", "", "crm; export", "", ("google", "cpc")),) * 2,
    *(Origin("EMAIL_MARKETING", "", "Newsletter 💌", "", ("hs_email", "email")),) * 2,
    Origin("OTHER_CAMPAIGNS", "", "display", "", ("partner, inc.", "display")),
    Origin(OFFLINE, "IMPORT", 'contacts, "final".csv'),
    Origin(OFFLINE, "CRM_UI", "userId:9586505"),
    Origin(OFFLINE, "INTEGRATION", "171820"),
)
_ONLINE = 13


class Origins:
    """The ways of all contacts. `life` gives the records of a type."""

    def __init__(self, life: Callable[[str], Life]) -> None:
        self._life = life
        self._running = lru_cache(maxsize=_DAYS)(self._newest)

    def first(self, contact: int, created: int) -> Origin:
        """The way by which a contact came."""
        bits = mix(self._life("0-1").side_seed ^ contact * GOLDEN)
        return self._by_campaign(_WAYS[bits % len(_WAYS)], created)

    def returned(self, contact: int, at: int) -> Origin:
        """The way by which it came back to fill in a form."""
        bits = mix(self._life("0-1").side_seed ^ contact * GOLDEN ^ at)
        return self._by_campaign(_WAYS[bits % _ONLINE], at)

    def _by_campaign(self, way: Origin, at: int) -> Origin:
        if way.campaign is None:
            return way
        running = self._running(at // DAY, self._life(CAMPAIGN).interventions)
        if running is None:
            return Origin(DIRECT, "https://www.example.com/", "")
        return way._replace(first=running, campaign=running)

    def _newest(self, day: int, _: int) -> str | None:
        """The `hs_utm` of the newest of the campaigns that are there when a day begins; worked
        out anew where some were ended outside of the plan."""
        campaigns, at = self._life(CAMPAIGN), day * DAY
        for index in range(campaigns.created_count(at) - 1, -1, -1):
            if campaigns.is_live(index, at):
                return campaigns.unique_value("campaign_utm", index)
        return None
