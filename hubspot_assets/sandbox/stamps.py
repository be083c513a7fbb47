"""Epoch milliseconds and HubSpot's text form of them."""

from datetime import UTC, date, datetime

DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES = tuple(f"T{m // 60:02d}:{m % 60:02d}:" for m in range(1440))
_SECONDS = tuple(f"{ms // 1000:02d}.{ms % 1000:03d}Z" for ms in range(60_000))


class _Days(dict[int, str]):
    """ISO dates by day number, made as they are needed."""

    def __missing__(self, day: int) -> str:
        text = self[day] = date.fromordinal(719_163 + day).isoformat()
        return text


_DAYS = _Days()


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def moment(ms: int) -> datetime:
    """Aware datetime in UTC of epoch milliseconds."""
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def day_text(day: int) -> str:
    """ISO date of a day number counted from 1970-01-01."""
    return _DAYS[day]


def iso(ms: int) -> str:
    """`2026-11-22T23:59:59.123Z`, put together from tables: a page has a thousand of them."""
    day, rest = divmod(ms, DAY)
    minute, rest = divmod(rest, 60_000)
    return _DAYS[day] + _MINUTES[minute] + _SECONDS[rest]


def given(text: str) -> int:
    """Epoch milliseconds of an ISO text in a data file."""
    return milliseconds(parse_iso(text))


def given_or_none(text: str) -> int | None:
    """The same, None for no text."""
    return given(text) if text else None


def parse_iso(text: str) -> datetime:
    """Aware datetime of an ISO text; a text without zone is UTC. ValueError if it is none."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
