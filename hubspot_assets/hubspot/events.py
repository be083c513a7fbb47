"""Events: the types that a portal has, their definitions and their occurrences.

The events API serves all types but the marketing e-mail events (see `email_events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hubspot_assets.hubspot.client import Answer, HubSpot
from hubspot_assets.hubspot.errors import IncompleteAnswer, NotServed
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.hubspot.metadata import Read, lister, paged
from hubspot_assets.hubspot.paging import pages
from hubspot_assets.moments import moment_of

#: HubSpot documents no maximum for the pages of occurrences; this many it is known to give.
PAGE = 100
PAGE_OF_DEFINITIONS = 100

EMAIL_EVENTS = "email_events"

_MILLISECOND = timedelta(milliseconds=1)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type, by the name that the events API gives it (`e_visited_page`).

    `id` and `object_type_id` (of the records it happens to) are None where they are not known.
    `api` is `events`, or `email_events` for the marketing e-mail events, which have an API of their
    own. `custom` ones have definitions at the events API.
    """

    name: str
    id: str | None = None
    label: str | None = None
    object_type_id: str | None = None
    api: str = "events"
    custom: bool = False
    description: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, read at one moment; `after` is the cursor behind them, None at the end."""

    events: Sequence[Event]
    received_at: datetime
    after: str | None


@cache
def standard_event_types() -> tuple[EventType, ...]:
    """HubSpot's own event types, from the data file of facts."""
    return tuple(
        EventType(
            name=row["name"],
            id=row["event_type_id"] or None,
            label=row["label"] or None,
            object_type_id=row["object_type_id"] or None,
            api=row["source"],
        )
        for row in facts("standard_events.csv")
    )


@cache
def standard_event_properties() -> dict[str, tuple[dict[str, str], ...]]:
    """Known properties of HubSpot's own event types by the types' names: name, label and type."""
    known: dict[str, list[dict[str, str]]] = {}
    for row in facts("standard_event_properties.csv"):
        known.setdefault(row["event"], []).append(row)
    return {name: tuple(properties) for name, properties in known.items()}


def discover_event_types(
    client: HubSpot, portal_id: int | None, former: Iterable[EventType] = ()
) -> tuple[tuple[EventType, ...], tuple[str, ...]]:
    """The portal's event types, and warnings about what HubSpot refused to tell.

    They are all types that the events API reports, used or not, and the marketing e-mail events.
    Where the portal lacks the events API (it takes an Enterprise subscription): HubSpot's own. What
    is refused is as it was among the `former` types.
    """
    standard = {each.name: each for each in standard_event_types()}
    known = standard | {each.name: each for each in former if each.name not in standard}
    found = {name: each for name, each in known.items() if each.api == EMAIL_EVENTS}
    warnings: list[str] = []
    try:
        names = _names(client.get("events", "types"))
    except NotServed as error:
        return tuple(known.values()), (f"custom event types are unknown: {error}",)
    prefix = f"pe{portal_id}_"
    for name in names:
        new = EventType(name, custom=name.startswith(prefix))
        found.setdefault(name, known.get(name, new))
    try:
        for content, _ in event_definitions(client, properties=False):
            each = _defined(content)
            if each.name in found:
                found[each.name] = each
    except NotServed as error:
        if any(each.custom for each in found.values()):
            warnings.append(f"ids and properties of custom event types are unknown: {error}")
    return tuple(found.values()), tuple(warnings)


def event_definitions(client: HubSpot, *, properties: bool) -> Iterator[Read]:
    """The definitions of custom event types, with or without those of their `properties`."""
    params = {"limit": str(PAGE_OF_DEFINITIONS), "includeProperties": str(properties).lower()}
    return paged(client, "event_definitions", params)


def occurrences(
    client: HubSpot, name: str, start: datetime, end: datetime, *, after: str | None = None
) -> Iterator[EventPage]:
    """The occurrences of an event type from `start` until before `end`, from the cursor `after` on.

    In no order that could be relied on; an event may come twice. Those whose moment can't be read
    are among them. Raises HubSpotError; IncompleteAnswer when the pages run in a circle.
    """
    params = {
        "eventType": name,
        # HubSpot does not say whether it includes these two moments themselves.
        "occurredAfter": _iso(start - _MILLISECOND),
        "occurredBefore": _iso(end + _MILLISECOND),
        "limit": str(PAGE),
    }
    for answer, following in pages(lister(client, "events", params), after):
        inside = [each for each in answer.items() if within(start, each.get("occurredAt"), end)]
        yield EventPage(inside, answer.received_at, following)


def probe(client: HubSpot, name: str) -> datetime:
    """Reads one event of a type. Raises what HubSpot answers where that can't be done."""
    return client.get("events", params={"eventType": name, "limit": "1"}).received_at


def within(start: datetime, told: object, end: datetime) -> bool:
    """Whether a moment, as it is told, is from `start` until before `end`, or can't be read."""
    moment = moment_of(told)
    return moment is None or start <= moment.replace(tzinfo=UTC) < end


def _names(answer: Answer) -> list[str]:
    names = answer.content.get("eventTypes")
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise IncompleteAnswer(f"{answer.where}: HubSpot's answer has no list of eventTypes")
    return names


def _defined(definition: dict[str, Any]) -> EventType:
    labels = definition.get("labels") or {}
    return EventType(
        name=definition["fullyQualifiedName"],
        id=definition.get("objectTypeId"),
        label=labels.get("plural") or labels.get("singular") or definition.get("name"),
        object_type_id=definition.get("primaryObjectId"),
        custom=True,
        description=definition.get("description"),
        created_at=definition.get("createdAt"),
        updated_at=definition.get("updatedAt"),
    )


def _iso(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
