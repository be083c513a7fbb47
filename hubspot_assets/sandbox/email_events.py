"""E-mail events: what becomes of every e-mail that is sent.

Each day has so many sends, known by day and number; everything that follows from a send is a
pure function of them, and comes within `_REACH` days.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from hubspot_assets.sandbox.facts import document
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.marketing_emails import Mailing, mailings
from hubspot_assets.sandbox.population import START
from hubspot_assets.sandbox.stamps import DAY
from hubspot_assets.sandbox.values import GOLDEN, mix

TYPES = (
    "SENT", "PROCESSED", "DELIVERED", "DEFERRED", "DROPPED", "BOUNCE", "OPEN", "CLICK",
    "SPAMREPORT", "STATUSCHANGE",
)  # fmt: skip
#: An e-mail's last event comes at most so many days after it was sent.
_REACH = 3
_PER_CONTACT = 0.045
#: So many e-mails of one mailing leave in the same millisecond.
_BURST = 8


class Event(NamedTuple):
    """One event: the send it belongs to is number `number` of day `day` (counted from 1970);
    `turn` is its position among the send's events. Sorts by time, and then as HubSpot's ids
    would: in an order that says nothing."""

    created: int
    key: int
    day: int
    number: int
    turn: int
    type: str


class Send(NamedTuple):
    """One e-mail to one recipient."""

    at: int
    bits: int
    recipient: str
    mailing: Mailing
    email_campaign_id: int


class EmailEvents:
    """All events of a portal."""

    def __init__(
        self,
        contacts: Life,
        *,
        records: int,
        seed: int,
        portal_id: int,
        ids_repeat: bool,
    ) -> None:
        self._contacts = contacts
        self._records = records
        self._seed = mix(seed * GOLDEN ^ 0xE4A11)
        self._portal_id = portal_id
        self._ids_repeat = ids_repeat
        # Pages come newest first, so a day is asked for many times and then never again.
        self.on_day = lru_cache(maxsize=4)(self._on_day)
        self._sent_on = lru_cache(maxsize=8)(self._sent)

    def between(self, first: int, last: int) -> Iterator[Event]:
        """Events from a moment to another, both included, in epoch milliseconds; newest first."""
        for day in range(last // DAY, max(first, START) // DAY - 1, -1):
            for event in self.on_day(day):
                if first <= event.created <= last:
                    yield event

    def counts(self, first: int, last: int) -> dict[str, int]:
        """How many events of each type there are from a moment to another, both included."""
        counted = Counter(event.type for event in self.between(first, last))
        return {kind: counted[kind] for kind in TYPES}

    def _on_day(self, day: int) -> tuple[Event, ...]:
        events = (event for sent in range(day - _REACH, day + 1) for event in self._sent_on(sent))
        return tuple(sorted((e for e in events if e.created // DAY == day), reverse=True))

    def _sent(self, day: int) -> tuple[Event, ...]:
        """All events of the e-mails that are sent on a day."""
        found = []
        for number in range(self._sends(day)):
            send = self._send(day, number)
            if send is None:
                continue
            for turn, (kind, after) in enumerate(_course(send.bits)):
                key = mix(send.bits + turn * GOLDEN)
                found.append(Event(send.at + after, key, day, number, turn, kind))
        return tuple(found)

    def _sends(self, day: int) -> int:
        """How many e-mails leave on a day: fewer at weekends."""
        usual = self._records * _PER_CONTACT * (0.8 + mix(self._seed + day) % 40 / 100)
        return round(usual * (0.6 if (day + 3) % 7 > 4 else 1))

    def _send(self, day: int, number: int) -> Send | None:
        burst = mix(self._seed ^ (day * 1_000_003 + number // _BURST) * GOLDEN)
        at = day * DAY + 6 * 3_600_000 + burst % (14 * 3_600_000)
        mailing = _mailing(at, burst >> 8)
        known = self._contacts.created_count(at)
        if mailing is None or not known:
            return None
        bits = mix(burst + number)
        campaigns = mailing.email_campaign_ids
        recipient = self._recipient(bits >> 16, known)
        return Send(at, bits, recipient, mailing, campaigns[(bits >> 5) % len(campaigns)])

    def _recipient(self, bits: int, known: int) -> str:
        """Mostly the address of a contact, now and then written otherwise; or a stranger's."""
        if bits % 25 == 0:
            strangers = document("email_events.json")["strangers"]
            return str(strangers[(bits >> 8) % len(strangers)])
        email = self._contacts.unique_value("email", (bits >> 8) % known)
        return (email, email.title(), email.upper())[max(0, bits % 20 - 17)]

    # On the wire

    def event_id(self, event: Event) -> str:
        """The event's id; where they repeat, the second time that an e-mail is opened has that of
        the first."""
        if self._ids_repeat and event.type == "OPEN":
            send = self._sending(event)
            turns = [turn for turn, (kind, _) in enumerate(_course(send.bits)) if kind == "OPEN"]
            key = mix(send.bits + turns[0] * GOLDEN)
            return str(UUID(int=key << 64 | mix(key ^ send.at), version=4))
        return str(UUID(int=event.key << 64 | mix(event.key ^ event.created), version=4))

    def recipient(self, event: Event) -> str:
        """The address the e-mail was sent to."""
        return self._sending(event).recipient

    def email_campaign_id(self, event: Event) -> int:
        """The email campaign the e-mail was sent for."""
        return self._sending(event).email_campaign_id

    def filtered(self, event: Event) -> bool:
        """Whether the portal's filters take the event for that of a machine."""
        return event.type in ("OPEN", "CLICK") and event.key % 11 == 0

    def told(self, event: Event) -> dict[str, Any]:
        """The event as the API tells it; what does not apply to its type is left out."""
        send = self._sending(event)
        known = document("email_events.json")
        told = {
            "id": self.event_id(event),
            "created": event.created,
            "type": event.type,
            "recipient": send.recipient,
            "portalId": self._portal_id,
            **known["apps"]["automated" if send.mailing.automated else "batch"],
            "emailCampaignId": send.email_campaign_id,
            "emailCampaignGroupId": send.mailing.email_campaign_ids[0] - 1,
            "sendId": str(UUID(int=send.bits << 64 | mix(send.bits), version=4)),
        }
        if event.turn:
            sent = Event(send.at, mix(send.bits), event.day, event.number, 0, "SENT")
            told["sentBy"] = {"id": self.event_id(sent), "created": send.at}
        return told | self._particulars(event, send, known)

    def _sending(self, event: Event) -> Send:
        send = self._send(event.day, event.number)
        assert send is not None, "an event without a send"  # noqa: S101 - by construction
        return send

    def _particulars(self, event: Event, send: Send, known: dict[str, Any]) -> dict[str, Any]:
        """The members that only some types have."""
        bits = event.key
        match event.type:
            case "SENT" | "PROCESSED":
                sender = "Example Corp. <hello@example.com>"
                return {"subject": send.mailing.subject, "from": sender, "cc": [], "bcc": []}
            case "DROPPED":
                return {"subject": send.mailing.subject, **_one(known["dropped"], bits)}
            case "DELIVERED":
                return {"response": "250 2.0.0 OK", "smtpId": f"<{bits:016x}@mx.example.com>"}
            case "DEFERRED":
                return {"response": _one(known["deferrals"], bits), "attempt": 1}
            case "BOUNCE":
                bounce = {k: v for k, v in _one(known["bounces"], bits).items() if v is not None}
                if "response" in bounce:
                    bounce["response"] = bounce["response"].replace("{recipient}", send.recipient)
                return bounce
            case "STATUSCHANGE":
                return {
                    "source": "SOURCE_RECIPIENT",
                    "requestedBy": send.recipient,
                    "portalSubscriptionStatus": "UNSUBSCRIBED",
                    "subscriptions": [{"id": 88010001, "status": "UNSUBSCRIBED"}],
                    "bounced": False,
                }
            case "OPEN":
                return {**self._client(event, known), "duration": (0, 0, 1507, 64_000)[bits % 4]}
            case "CLICK":
                return {
                    **self._client(event, known),
                    "url": _one(known["links"], bits >> 5),
                    "linkId": bits % 3,
                    "referer": _one(known["referers"], bits >> 9),
                }
        return {}

    def _client(self, event: Event, known: dict[str, Any]) -> dict[str, Any]:
        """What is known of the program that opened the e-mail or the link in it."""
        bits = event.key >> 3
        client = {**_one(known["agents"], bits), "location": _one(known["locations"], bits >> 7)}
        if bits % 3:
            client["ipAddress"] = f"203.0.113.{bits % 256}"
        return client | {"filteredEvent": self.filtered(event)}


def _one(choices: list[Any], bits: int) -> Any:  # noqa: ANN401 - JSON values
    return choices[bits % len(choices)]


def _mailing(at: int, bits: int) -> Mailing | None:
    """What is sent at a moment: one of the three newest mailings, or one that never ends."""
    going = [m for m in mailings() if m.start <= at and (m.end is None or at < m.end)]
    batches = [each for each in going if not each.automated][-3:]
    choices = batches * 2 + [each for each in going if each.automated]
    return choices[bits % len(choices)] if choices else None


def _course(bits: int) -> Iterator[tuple[str, int]]:
    """What happens to an e-mail: types of events, and milliseconds after it was sent."""
    yield "SENT", 0
    chance = bits % 100
    if chance < 2:
        yield "DROPPED", 3
        return
    yield "PROCESSED", 40 * (bits >> 8 & 1)
    arrival = 1_000 + (bits >> 12) % 59_000
    if chance < 5:
        yield "BOUNCE", arrival
        return
    if chance < 9:
        yield "DEFERRED", arrival
        arrival += 3_600_000
    yield "DELIVERED", arrival
    opened = arrival + (bits >> 20) % (2 * DAY)
    if chance > 55:
        yield "OPEN", opened
    if chance > 80:
        yield "OPEN", opened + 600_000
    if chance > 84:
        clicked = opened + 1 + (bits >> 30) % 300_000
        yield "CLICK", clicked
        # A mail scanner follows all links at once.
        if chance > 94:
            yield "CLICK", clicked
    if chance in (60, 98):
        yield "SPAMREPORT", opened + 5_000
    if chance in (70, 99):
        yield "STATUSCHANGE", opened + 9_000
