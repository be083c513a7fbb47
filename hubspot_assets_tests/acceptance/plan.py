"""What a day's tables should hold: from the sandbox portal's plan, never from the export."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from hubspot_assets.sandbox import Portal, PortalRecord
from hubspot_assets_tests.conftest import END, READ_AT, START

EPOCH = datetime.fromtimestamp(0, UTC)


class Row(NamedTuple):
    """A record at the end of the day: its set properties as HubSpot tells them."""

    updated_at: datetime
    values: Mapping[str, str]

    def __getitem__(self, name):
        return self.values.get(name)


@dataclass
class Plan:
    """Questions about a portal as it was at the end of the day, and was read some hours later."""

    portal: Portal
    _rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    _read: dict[tuple[str, int], PortalRecord | None] = field(default_factory=dict)

    def rows(self, type_id):
        """The records of the day by id, ascending.

        What HubSpot keeps no history of is as it was when it was read. Records that ended
        between the day and the reading were not there to be read.
        """
        if type_id not in self._rows:
            self._rows[type_id] = dict(self._of_the_day(type_id))
        return self._rows[type_id]

    def _of_the_day(self, type_id):
        archived = {p.name for p in self.portal.properties(type_id) if p.archived}
        for record_id in self.portal.live_ids(type_id, END):
            then = self.portal.record(type_id, record_id, END)
            now = self._now(type_id, record_id)
            if now is None or now.archived_at:
                continue
            values = {
                name: (then if name in now.histories else now).properties.get(name, "")
                for name in then.properties.keys() | now.properties.keys()
                if name not in archived
            }
            yield record_id, Row(then.updated_at, {k: v for k, v in values.items() if v != ""})

    def _now(self, type_id, record_id):
        """A record as it was read; None if it was not there to be read."""
        key = type_id, record_id
        if key not in self._read:
            self._read[key] = self.portal.record(*key, READ_AT)
        return self._read[key]

    def deleted(self, type_id):
        """Ids of records that once were live, and no longer at the end of the day."""
        months = (END - timedelta(days=30 * number) for number in range(1, 36))
        once = {each for month in months for each in self.portal.live_ids(type_id, month)}
        return once - set(self.portal.live_ids(type_id, END))

    def history(self, type_id, record_id, name):
        """(value, moment) of each value that a property had before the end of the day, newest
        first, as far back as HubSpot keeps them."""
        entries = self._now(type_id, record_id).histories.get(name, [])
        return [(each.value, naive(each.timestamp)) for each in entries if each.timestamp < END]

    def links(self, from_type_id, to_type_id):
        """The links of an ordered pair both of whose records are of the day, one per label."""
        near, far = self.rows(from_type_id), self.rows(to_type_id)
        return [
            each
            for each in self.portal.links(from_type_id, to_type_id, READ_AT)
            if each.from_id in near and each.to_id in far
        ]

    def links_of_the_day(self, from_type_id, to_type_id):
        """(from id, to id) of `links`, each once."""
        links = self.links(from_type_id, to_type_id)
        return sorted({(each.from_id, each.to_id) for each in links})

    def members(self, list_id, type_id):
        """(record id, moment of joining) of a list of records of the day who had joined by then."""
        rows = self.rows(type_id)
        return [
            (record_id, joined)
            for record_id, joined in self.portal.members(list_id, READ_AT)
            if record_id in rows and joined < END
        ]

    def events(self, name):
        """The day's occurrences of an event type of the events API."""
        return list(self.portal.events(name, START, END))

    def email_events(self, kind):
        """The day's e-mail events of a type (OPEN, ...), as the API tells them."""
        return [each for each in self.portal.email_events(START, END) if each["type"] == kind]

    @property
    def contact_ids(self):
        """Contact id by e-mail address in lower case."""
        return {
            row["email"].lower(): record_id
            for record_id, row in self.rows("0-1").items()
            if row["email"]
        }


def naive(moment):
    """A moment (ISO text, epoch milliseconds or datetime) as the export's TIMESTAMP: UTC,
    without a zone."""
    if moment is None:
        return None
    if isinstance(moment, int):
        moment = EPOCH + timedelta(milliseconds=moment)
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(UTC).replace(tzinfo=None)


def number(text):
    """A number as HubSpot tells it; None where there is none."""
    return None if text is None else Decimal(text)
