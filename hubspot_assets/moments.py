"""Moments as HubSpot's APIs tell them, read in one way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH, _UNIT = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)
_DAY = 86_400_000
#: The years 1 to 9999, which every reader of time stamps takes.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
#: A number nearer to zero than this may as well be seconds, or a date without its hyphens.
_CERTAIN = 100_000_000_000


def milliseconds(told: object) -> int | None:
    """A moment as epoch milliseconds; None for what is none.

    It is told as ISO 8601 text (a date, or a date with a time in any precision and a zone, which
    is UTC where there is none) or as whole milliseconds since 1970, as a number or as text. Blanks
    around it don't matter. Numbers for moments from November 1966 to March 1973 could be seconds
    of any later year: they count only if they are the beginning of a day in UTC, as dates
    (birthdays) are. ISO text is believed for every year. Floats are in no form of HubSpot's.

    >>> milliseconds("2024-02-21T03:12:56.388Z"), milliseconds("2024-02-21")
    (1708485176388, 1708473600000)
    >>> milliseconds(1708485176388), milliseconds("14256000000"), milliseconds("1645608465")
    (1708485176388, 14256000000, None)
    """
    if isinstance(told, str):
        text = told.strip()
        if text[4:5] == "-":
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return None
            number = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _UNIT
            return number if _FIRST <= number <= _LAST else None
        if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
            return None
        number = int(text)
    elif isinstance(told, int) and not isinstance(told, bool):
        number = told
    else:
        return None
    certain = abs(number) >= _CERTAIN or number % _DAY == 0
    return number if certain and _FIRST <= number <= _LAST else None


def moment_of(told: object) -> datetime | None:
    """A moment as naive UTC, to the millisecond; None for what is none."""
    number = milliseconds(told)
    if number is None:
        return None
    return (_EPOCH + number * _UNIT).replace(tzinfo=None)
