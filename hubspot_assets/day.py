"""What a partition means: a calendar day in the export time zone, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: After its end all that HubSpot stamped on a day is stored: it stores some values minutes later.
SETTLING = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, from `start` until before `end`, UTC."""

    name: str
    start: datetime
    end: datetime
    end_of_next: datetime

    @classmethod
    def named(cls, name: str, zone: ZoneInfo) -> Day:
        """The day `name` (ISO) in a time zone.

        It begins with the first moment of its date, where a clock that is set back gives it two,
        or none because the clock was set forward over midnight.
        """
        midnights = [
            datetime.combine(date.fromisoformat(name) + timedelta(days), time(), zone)
            for days in range(3)
        ]
        return cls(name, *(each.astimezone(UTC) for each in midnights))

    @property
    def window(self) -> tuple[datetime, datetime]:
        """`start` and `end`."""
        return self.start, self.end

    @property
    def start_naive(self) -> datetime:
        """`start` without a time zone, as frames have it."""
        return self.start.replace(tzinfo=None)

    @property
    def end_naive(self) -> datetime:
        """`end` without a time zone, as frames have it."""
        return self.end.replace(tzinfo=None)

    def settled(self, began: datetime) -> bool:
        """Whether what began to be read then tells all that was stamped on the day."""
        return began >= self.end + SETTLING

    def was_newest_at(self, moment: datetime) -> bool:
        """Whether the day was the newest complete one at `moment`."""
        return moment < self.end_of_next


def newest_complete_day(zone: ZoneInfo, now: datetime | None = None) -> date:
    """The last day that is over in `zone`."""
    return (now or datetime.now(UTC)).astimezone(zone).date() - timedelta(days=1)


def days_between(first: date, last: date) -> list[str]:
    """Every day from the first to the last, both included; none where the last comes before."""
    return [(first + timedelta(each)).isoformat() for each in range((last - first).days + 1)]
