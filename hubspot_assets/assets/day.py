"""What a partition means: a calendar day in the export time zone, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, from `start` until before `end`, UTC."""

    name: str
    start: datetime
    end: datetime
    end_of_next: datetime

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> Day:
        """The day of the partition that is being materialized."""
        return cls._within(context.partition_key, context.partition_time_window)

    @classmethod
    def named(cls, day: str, partitions: dg.TimeWindowPartitionsDefinition) -> Day:
        """The day of the partition `day`."""
        return cls._within(day, partitions.time_window_for_partition_key(day))

    @classmethod
    def _within(cls, name: str, window: dg.TimeWindow) -> Day:
        start, end = window.start, window.end
        following = datetime.combine(end.date() + timedelta(days=1), time(), end.tzinfo)
        return cls(name, start.astimezone(UTC), end.astimezone(UTC), following.astimezone(UTC))

    @property
    def window(self) -> tuple[datetime, datetime]:
        """`start` and `end`."""
        return self.start, self.end

    @property
    def end_naive(self) -> datetime:
        """`end` without a time zone, as frames have it."""
        return self.end.replace(tzinfo=None)

    def was_newest_at(self, moment: datetime) -> bool:
        """Whether the day was the newest complete one at `moment`."""
        return moment < self.end_of_next


def newest_complete_day(zone: ZoneInfo, now: datetime | None = None) -> date:
    """The last day that is over in `zone`."""
    return (now or datetime.now(UTC)).astimezone(zone).date() - timedelta(days=1)


def daily_partitions(start: date, zone: ZoneInfo) -> dg.DailyPartitionsDefinition:
    """A partition per complete day, from `start`."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone=zone.key)
