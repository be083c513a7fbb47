"""Marketing e-mail events, which have an API of their own: all types of them in one sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.events import EventPage, within
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.paging import by_offset, pages

PAGE = 1000

_EPOCH, _MILLISECOND = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class EmailField:
    """A field of e-mail events, and the event property that it is in the share.

    `field` has a dot where the field stands in an object (`browser.name`). `event_types` are the
    e-mail event types (`OPEN`, ...) that it is so in; empty for all.
    """

    field: str
    name: str
    label: str
    type: str
    event_types: frozenset[str]


@cache
def email_event_types() -> dict[str, str]:
    """The API's e-mail event types that the share has, with the names of their event types."""
    return {row["type"]: row["event"] for row in facts("email_event_types.csv")}


@cache
def email_fields(email_event_type: str) -> tuple[EmailField, ...]:
    """The known fields of an e-mail event type."""
    rows = (
        EmailField(
            field=row["field"],
            name=row["property"],
            label=row["label"],
            type=row["type"],
            event_types=frozenset(row["event_types"].split()),
        )
        for row in facts("email_event_properties.csv")
    )
    return tuple(row for row in rows if not row.event_types or email_event_type in row.event_types)


def email_events(
    client: HubSpot, start: datetime, end: datetime, *, after: str | None = None
) -> Iterator[EventPage]:
    """The e-mail events of all types from `start` until before `end`, from `after` on.

    In no order that could be relied on; an event may come twice. Those whose moment can't be read
    are among them. Raises HubSpotError; IncompleteAnswer when the pages run in a circle.
    """
    first, last = _milliseconds(start), _milliseconds(end) - 1
    params = {"limit": str(PAGE), "startTimestamp": str(first), "endTimestamp": str(last)}
    for answer, following in pages(
        lambda offset: client.get("email_events", params={**params, "offset": offset}),
        after,
        by_offset,
    ):
        inside = [
            each for each in answer.items("events") if within(start, each.get("created"), end)
        ]
        yield EventPage(inside, answer.received_at, following)


def probe(client: HubSpot) -> datetime:
    """Reads one event. Raises what HubSpot answers where that can't be done."""
    return client.get("email_events", params={"limit": "1"}).received_at


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
