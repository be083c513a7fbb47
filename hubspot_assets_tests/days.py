"""Days of UTC."""

from zoneinfo import ZoneInfo

from hubspot_assets.day import Day


def day_of(name: str) -> Day:
    """The day of that date."""
    return Day.named(name, ZoneInfo("UTC"))
