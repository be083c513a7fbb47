"""Events: from HubSpot to the staged day.

A chunk of events has three frames:

* `events`: event UInt32, id, eventType, objectType String, objectId Int64, occurredAt, readAt
  Datetime(ms). One row per event as it was told: one that HubSpot told twice has two. `event` is
  its number in the chunk; what identifies an event is id and moment, of e-mail events at least.
* `values`: event UInt32, name, value String. One row per property that an event has a value of.
* `names`: eventType, name String. The properties that are in `values`, by event type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

import polars as pl

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.hubspot import email_events as email
from hubspot_assets.hubspot import events as api
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.events import Event, EventPage
from hubspot_assets.moments import moment_of
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.readings.staging import NotStagedError, Staging
from hubspot_assets.sources.email_contents import stage_contents
from hubspot_assets.sources.fates import live_ids
from hubspot_assets.sources.flatten import MOMENT, epoch_milliseconds, snake_case, text_of
from hubspot_assets.sources.resuming import plan_of, resumed
from hubspot_assets.sources.source import CHUNK_CHARACTERS, CHUNK_VALUES, Report, quiet, unavailable
from hubspot_assets.tables.counts import EVENTS_UNDATED

EVENTS_SCHEMA = {
    "event": pl.UInt32(),
    "id": pl.String(),
    "eventType": pl.String(),
    "objectType": pl.String(),
    "objectId": pl.Int64(),
    "occurredAt": MOMENT,
    "readAt": MOMENT,
}
VALUES_SCHEMA = {"event": pl.UInt32(), "name": pl.String(), "value": pl.String()}
CONTACTS_SCHEMA = {"recipient": pl.String(), "contactId": pl.Int64()}

EMAIL_EVENTS = "email_events"
EMAIL_CONTACTS = "email_contacts"
RECIPIENT = "hs_recipient"

_STRUCTURE = frozenset({"id", "type", "created"})

Window = tuple[datetime, datetime]


class _Flat(NamedTuple):
    """An event on its way into the frames."""

    id: str
    event_type: str
    object_type: str | None
    object_id: int | None
    occurred_at: datetime | None
    read_at: datetime
    values: Mapping[str, str]


def event_source(name: str) -> str:
    """The source that holds the occurrences of an event type."""
    return f"events/{quote(name, safe='')}"


def extract_events(
    client: HubSpot,
    staging: Staging,
    name: str,
    window: Window,
    *,
    portal: str,
    report: Report = quiet,
) -> Staged:
    """Stages the occurrences of an event type within a window of time.

    What can't be read is staged empty with its availability. Goes on from the checkpoint of a
    reading of the same `portal` and window. Raises HubSpotError and StoreError.
    """
    source = event_source(name)
    reading = staging.begin(source, _plan(client, portal, source, window), window=window)
    return _extract(
        reading,
        lambda after: api.occurrences(client, name, *window, after=after),
        _occurrence,
        lambda events: report(source, events),
    )


def extract_email_events(
    client: HubSpot,
    staging: Staging,
    window: Window,
    *,
    portal: str,
    report: Report = quiet,
) -> Staged:
    """Stages the e-mail events of all types, the contacts that they happened to, and what was sent.

    Otherwise as `extract_events`. `counts` has the events of each type.
    """
    plan = _plan(client, portal, EMAIL_EVENTS, window)
    reading = staging.begin(EMAIL_EVENTS, plan, window=window)

    def flat(event: Event, read_at: datetime) -> _Flat:
        flattened = _email_event(event, read_at)
        reading.counts[f"events_{flattened.event_type.lower()}"] += 1
        return flattened

    staged = _extract(
        reading,
        lambda after: email.email_events(client, *window, after=after),
        flat,
        lambda events: report(EMAIL_EVENTS, events),
    )
    _stage_contacts(staging, staged)
    stage_contents(staging, staged)
    return staged


def with_epoch_moments(values: pl.DataFrame, moments: Collection[str]) -> pl.DataFrame:
    """`values` with those of the properties `moments` (dates, datetimes) as epoch milliseconds.

    One that is none becomes "": its digits would look as if they were.
    """
    if not moments:
        return values
    told = pl.col("name").is_in(list(moments))
    raw = values.filter(told)["value"].unique()
    texts = {text: epoch_milliseconds(text) or "" for text in raw}
    return values.with_columns(
        pl.when(told).then(pl.col("value").replace(texts)).otherwise("value").alias("value")
    )


def _plan(client: HubSpot, portal: str, source: str, window: Window) -> str:
    return plan_of(client, portal, source, *(each.isoformat() for each in window))


def _extract(
    reading: Reading,
    pages: Callable[[str | None], Iterator[EventPage]],
    flat: Callable[[Event, datetime], _Flat],
    report: Callable[[int], None],
) -> Staged:
    last = datetime.now(UTC)
    if reading.chunks_staged and reading.after is None:  # it ended between last chunk and end
        return reading.finish(AVAILABLE, last)
    chunk = _Chunk()
    try:
        for page in resumed(reading, pages):
            told = [flat(event, page.received_at) for event in page.events]
            dated = [each for each in told if each.occurred_at]
            chunk.add(dated)
            reading.counts["events"] += len(dated)
            reading.counts[EVENTS_UNDATED] += len(told) - len(dated)
            last = page.received_at
            report(reading.counts["events"])
            if chunk.full or (page.after is None and not chunk.empty):
                reading.add(chunk.take(), after=page.after)
    except NotServed as error:
        if reading.chunks_staged:  # HubSpot served a part of it, to a reading that was cut off
            raise
        return reading.finish(unavailable(error), last)
    return reading.finish(AVAILABLE, last)


class _Chunk:
    """Events on their way into one chunk."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._events: list[_Flat] = []
        self._values = self._characters = 0

    @property
    def empty(self) -> bool:
        return not self._events

    @property
    def full(self) -> bool:
        """Whether it is large enough to be staged."""
        size = len(self._events) + self._values
        return size >= CHUNK_VALUES or self._characters >= CHUNK_CHARACTERS

    def add(self, events: Iterable[_Flat]) -> None:
        for event in events:
            self._events.append(event)
            self._values += len(event.values)
            self._characters += sum(map(len, event.values.values()))

    def take(self) -> dict[str, pl.DataFrame]:
        """The frames of what was added, by name; it is empty afterwards."""
        events = self._events
        self._clear()
        numbers = [number for number, event in enumerate(events) for _ in event.values]
        names = [name for event in events for name in event.values]
        values = [value for event in events for value in event.values.values()]
        types = {(event.event_type, name) for event in events for name in event.values}
        return {
            "events": pl.DataFrame(
                [(number, *event[:-1]) for number, event in enumerate(events)],
                schema=EVENTS_SCHEMA,
                orient="row",
            ),
            "values": pl.DataFrame([numbers, names, values], schema=VALUES_SCHEMA),
            "names": pl.DataFrame(
                sorted(types), schema={"eventType": pl.String, "name": pl.String}, orient="row"
            ),
        }


def _occurrence(event: Event, read_at: datetime) -> _Flat:
    object_id = str(event.get("objectId") or "")
    return _Flat(
        id=str(event["id"]),
        event_type=event["eventType"],
        object_type=event.get("objectType"),
        object_id=int(object_id) if object_id.isdecimal() else None,
        occurred_at=moment_of(event.get("occurredAt")),
        read_at=_naive(read_at),
        values=_texts(event.get("properties") or {}),
    )


def _email_event(event: Event, read_at: datetime) -> _Flat:
    kind = str(event["type"]).upper()
    known = _names(kind)
    fields = {path: value for path, value in _leaves(event) if path not in _STRUCTURE}
    return _Flat(
        id=str(event["id"]),
        event_type=kind,
        object_type=None,
        object_id=None,
        occurred_at=moment_of(event.get("created")),
        read_at=_naive(read_at),
        values=_texts(
            {known.get(path) or snake_case(path.replace(".", "_")): fields[path] for path in fields}
        ),
    )


@cache
def _names(email_event_type: str) -> dict[str, str]:
    return {each.field: each.name for each in email.email_fields(email_event_type)}


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values of what is no object."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as text; those that are not set are left out."""
    texts = ((name, text_of(value)) for name, value in values.items())
    return {name: text for name, text in texts if text}


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _stage_contacts(staging: Staging, events: Staged) -> Staged:
    """Stages the contacts whose e-mail addresses the `events` were sent to.

    One frame `contacts`: recipient String in lower case, contactId Int64. It is staged empty,
    with the reason as its availability, where the contacts themselves are not staged.
    """
    reading = staging.begin(EMAIL_CONTACTS, "", resume=False, window=events.window)
    try:
        contacts = staging.complete("objects/0-1")
    except NotStagedError as error:
        return reading.finish(Availability("not_enabled", str(error)), events.observed_at)
    recipients = _recipients(events)
    found = [pl.DataFrame(schema=CONTACTS_SCHEMA | {"name": pl.String})]
    for chunk in contacts.chunks():
        live = live_ids(chunk).to_frame()
        values = chunk.read("values", ["id", "name", "value"]).join(
            live, on="id", how="semi", maintain_order="left"
        )
        found.append(_addresses(values).join(recipients, on="recipient", how="semi"))
    known = (
        # An address is one contact's; should two have it all the same, the main one counts.
        pl.concat(found)
        .sort("recipient", "name", "contactId")
        .unique("recipient", keep="first", maintain_order=True)
        .drop("name")
    )
    reading.counts["recipients"] = recipients.height
    reading.add({"contacts": known}, after=None)
    return reading.finish(contacts.availability, contacts.observed_at)


def _recipients(events: Staged) -> pl.DataFrame:
    found = pl.DataFrame(schema={"recipient": pl.String})
    for chunk in events.chunks():
        values = chunk.read("values", ["name", "value"]).filter(pl.col("name") == RECIPIENT)
        found = pl.concat([found, values.select(recipient=address("value"))]).unique()
    return found


def _addresses(values: pl.DataFrame) -> pl.DataFrame:
    """recipient, contactId and name of the property, of the present addresses of contacts."""
    return (
        values.filter(pl.col("name").is_in(["email", "hs_additional_emails"]))
        .unique(["id", "name"], keep="last", maintain_order=True)
        .with_columns(pl.col("value").str.split(";"))
        .explode("value")
        .select(recipient=address("value"), contactId="id", name="name")
        .filter(pl.col("recipient") != "")
    )


def address(column: str) -> pl.Expr:
    """E-mail addresses as they are compared."""
    return pl.col(column).str.strip_chars().str.to_lowercase()
