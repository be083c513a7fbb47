"""Threads of the conversations inbox and their messages, as the conversations API tells them."""

from dataclasses import dataclass
from typing import Any

from hubspot_assets.sandbox.facts import value_pools
from hubspot_assets.sandbox.people import users
from hubspot_assets.sandbox.population import Population
from hubspot_assets.sandbox.series import Series
from hubspot_assets.sandbox.stamps import DAY, iso

#: Threads per contact.
SHARE = 0.14
INBOXES = (481_939, 481_940, 490_112)
_CHANNELS = ((1000, 148_662), (1002, 148_663), (1007, 150_001))
_KEPT_ARCHIVED = 30 * DAY


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a thread; `at` in epoch milliseconds."""

    number: int
    at: int
    incoming: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as it will be once everything has been said in it. `closed` and `archived` are
    None for never; all moments are epoch milliseconds."""

    thread_id: int
    draw: int
    contact_id: int
    messages: tuple[Message, ...]
    closed: int | None
    archived: int | None

    @property
    def created(self) -> int:
        """When the first message came in."""
        return self.messages[0].at

    @property
    def inbox(self) -> int:
        """The inbox it is in."""
        return INBOXES[self.draw % len(INBOXES)]

    def exists(self, now: int) -> bool:
        """Whether it can be seen, archived or not: archived ones are deleted after a month."""
        return self.created <= now and (
            self.archived is None or now < self.archived + _KEPT_ARCHIVED
        )

    def is_archived(self, now: int) -> bool:
        """Whether it has been archived."""
        return self.archived is not None and self.archived <= now

    def is_closed(self, now: int) -> bool:
        """Whether it has been closed."""
        return self.closed is not None and self.closed <= now

    def said(self, now: int) -> list[Message]:
        """The messages so far, oldest first."""
        return [each for each in self.messages if each.at <= now]


def all_threads(records: int, seed: int, contacts: Population) -> list[Thread]:
    """All threads that there ever are, by id."""
    series = Series("threads", round(records * SHARE), seed, 9_170_000_011, 7_919)
    return [_thread(series, index, contacts) for index in range(series.count)]


def _thread(series: Series, index: int, contacts: Population) -> Thread:
    draw = series.draw(index)
    # Not before there is anybody to write.
    at = created = max(series.made(index), contacts.created(0))
    contact = (draw >> 7) % contacts.created_count(created)
    messages = [Message(0, at, incoming=True)]
    for number in range(1, 1 + (draw >> 11) % 6):
        bits = series.draw(index, number + 10)
        at += 30_000 + bits % (2 * DAY)
        messages.append(Message(number, at, incoming=bits >> 40 & 1 == 0))
    closed = at + 1 + (draw >> 17) % (9 * DAY) if draw >> 3 & 3 else None
    archived = at + 1 + (draw >> 23) % (300 * DAY) if draw & 7 == 0 else None
    return Thread(
        thread_id=series.id(index),
        draw=draw >> 5,
        contact_id=contacts.record_id(contact, created),
        messages=tuple(messages),
        closed=closed,
        archived=archived,
    )


def thread_told(thread: Thread, now: int) -> dict[str, Any]:
    """A thread as it is at a moment; what it has not is left out."""
    channel, account = _CHANNELS[thread.draw % len(_CHANNELS)]
    said = thread.said(now)
    received = [each.at for each in said if each.incoming]
    sent = [each.at for each in said if not each.incoming]
    body: dict[str, Any] = {
        "id": str(thread.thread_id),
        "createdAt": iso(thread.created),
        "status": "CLOSED" if thread.is_closed(now) else "OPEN",
        "originalChannelId": str(channel),
        "originalChannelAccountId": str(account),
        "latestMessageTimestamp": iso(said[-1].at),
        "latestMessageReceivedTimestamp": iso(received[-1]),
        "spam": thread.draw % 31 == 0,
        "inboxId": str(thread.inbox),
        "associatedContactId": str(thread.contact_id),
        "archived": thread.is_archived(now),
    }
    if sent:
        body["latestMessageSentTimestamp"] = iso(sent[-1])
    if thread.closed is not None and thread.is_closed(now):
        body["closedAt"] = iso(thread.closed)
    if thread.draw % 3:
        body["assignedTo"] = f"A-{_agent(thread)}"
    return body


def message_told(thread: Thread, each: Message) -> dict[str, Any]:
    """A message of a thread."""
    channel, account = _CHANNELS[thread.draw % len(_CHANNELS)]
    texts = value_pools()["hostile"]
    writer = f"V-{thread.contact_id}" if each.incoming else f"A-{_agent(thread)}"
    text = texts[(thread.draw + each.number) % len(texts)]
    return {
        "id": f"{thread.thread_id:x}-{each.number}",
        "type": "MESSAGE",
        "conversationsThreadId": str(thread.thread_id),
        "createdAt": iso(each.at),
        "createdBy": writer,
        "client": {"clientType": "HUBSPOT"},
        "senders": [{"actorId": writer}],
        "recipients": [],
        "archived": False,
        "text": text,
        "richText": f"<div>{text}</div>",
        "attachments": [],
        "truncationStatus": "NOT_TRUNCATED",
        "status": {"statusType": "RECEIVED" if each.incoming else "SENT"},
        "direction": "INCOMING" if each.incoming else "OUTGOING",
        "channelId": str(channel),
        "channelAccountId": str(account),
    }


def _agent(thread: Thread) -> int | None:
    found = users()
    return found[thread.draw % len(found)].user_id
