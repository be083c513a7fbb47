"""Forms, and what people have entered in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hubspot_assets.sandbox.assets import Asset, phase
from hubspot_assets.sandbox.facts import document, value_pools
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.population import FULL
from hubspot_assets.sandbox.stamps import milliseconds, moment, parse_iso
from hubspot_assets.sandbox.values import GOLDEN, mix, text_number

#: Their submissions are not told by any API.
SILENT_TYPES = ("blog_comment",)
#: A form is filled in by one of so many contacts, of about the submission's place among all.
_NEIGHBOURS = 32
#: Of so many submissions in a row, one shares moment and person with the one before it, and
#: another is its exact copy: people click twice. A third was sent from another page alone.
_CYCLE, _SAME_MOMENT, _SAME, _ELSEWHERE = 20, 7, 13, 17
_REPEATED = (_SAME_MOMENT, _SAME, _ELSEWHERE)


def forms_at(at: datetime) -> list[Asset]:
    """Forms that exist at a moment, archived ones too, in order of creation."""
    found = []
    for row in document("forms.json")["forms"]:
        reached = phase(row, at)
        if reached is not None:
            told = {"id": row["id"], **reached.members, **reached.dates(), **_definition(row)}
            if reached.archived is not None:
                told["archivedAt"] = told["updatedAt"]
            found.append(Asset(row["id"], reached.created, reached.updated, reached.archived, told))
    return sorted(found, key=lambda each: (each.created_at, each.asset_id))


def _definition(row: dict[str, Any]) -> dict[str, Any]:
    known = document("forms.json")
    groups = [
        {
            "groupType": "default_group",
            "richTextType": "text",
            **({"richText": '<p>About <b>you</b>, "really"</p>\n'} if number == 0 else {}),
            "fields": [known["fields"][name] for name in names],
        }
        for number, names in enumerate(row["groups"])
    ]
    return {
        "fieldGroups": groups,
        "configuration": {**known["configuration"], **row["configuration"]},
        "displayOptions": {**known["displayOptions"], **row["displayOptions"]},
        "legalConsentOptions": known["legalConsentOptions"][row["legal"]],
    }


@dataclass(frozen=True, slots=True)
class Submission:
    """What one person entered in a form; `values` are pairs of field name and value with the
    field's object type id. `conversion_id` is None where HubSpot does not tell it."""

    conversion_id: str | None
    submitted_at: datetime
    page_url: str
    values: tuple[tuple[str, str, str], ...]

    def told(self) -> dict[str, Any]:
        """The submission as the API tells it."""
        return {
            **({} if self.conversion_id is None else {"conversionId": self.conversion_id}),
            "submittedAt": milliseconds(self.submitted_at),
            "values": [
                {"name": name, "value": value, "objectTypeId": object_type_id}
                for name, value, object_type_id in self.values
            ],
            "pageUrl": self.page_url,
        }


class Submissions:
    """All submissions of one form, by number: a pure function of seed, form and number.
    `identified`: they are told with their ids."""

    def __init__(
        self, row: dict[str, Any], contacts: Life, *, records: int, seed: int, identified: bool
    ) -> None:
        self._row = row
        self._identified = identified
        self._contacts = contacts
        self._salt = mix(text_number(row["id"]) ^ seed * GOLDEN)
        self._fields = [
            document("forms.json")["fields"][name] for names in row["groups"] for name in names
        ]
        self._population: int = max(row["at_least"], round(records * row["per_contact"]))
        self._first = milliseconds(parse_iso(row["created"]))
        self._end = milliseconds(parse_iso(row["archived"])) if row["archived"] else None

    def submitted(self, number: int) -> int:
        """When the submission of a number is made; ascending with the number."""
        if number % _CYCLE in _REPEATED:
            number -= 1
        span, jitter = FULL - self._first, mix(self._salt + number) & 0xFFFF
        return self._first + (number * span + (jitter * span >> 16)) // self._population

    def is_made(self, number: int) -> bool:
        """Whether a submission comes before the form is archived."""
        return self._end is None or self.submitted(number) <= self._end

    def count(self, at: int) -> int:
        """How many there are up to a moment, that one included."""
        at = at if self._end is None else min(at, self._end)
        if not self._population or at < self._first:
            return 0
        count = (at - self._first) * self._population // (FULL - self._first)
        while self.submitted(count) <= at:
            count += 1
        while count and self.submitted(count - 1) > at:
            count -= 1
        return count

    def between(self, start: int, end: int) -> Iterator[Submission]:
        """Those from `start` until before `end`, oldest first."""
        for number in range(self.count(start - 1), self.count(end - 1)):
            yield self.submission(number)

    def submission(self, number: int) -> Submission:
        """Submission of a number; they are numbered from 0 in order of time."""
        place = number % _CYCLE
        answers = mix(self._salt ^ (number - (place in (_SAME, _ELSEWHERE))) * GOLDEN ^ 0xA5)
        at = self.submitted(number)
        values = []
        for position, field in enumerate(self._fields):
            bits = mix(answers + position)
            # Most fields may stay empty, and an empty one is left out.
            if field["required"] or bits % 10 < 7:
                value = self._email(number) if field["name"] == "email" else _value(field, bits)
                values.append((field["name"], value, field["objectTypeId"]))
        page = f"{self._row['page']}{(answers + (place == _ELSEWHERE)) % 5 or ''}"
        return Submission(self._id(number), moment(at), page, tuple(values))

    def _id(self, number: int) -> str | None:
        if not self._identified:
            return None
        high, low = (mix(self._salt + turn ^ number * GOLDEN) for turn in (1, 2))
        return str(UUID(int=high << 64 | low, version=4))

    def contact(self, number: int) -> int | None:
        """The index of the contact who made a submission: one who is live then and has an e-mail
        address; None if there is nobody near."""
        number -= number % _CYCLE in _REPEATED
        at, contacts = self.submitted(number), self._contacts
        drawn = self._drawn(number)
        last = min(drawn, contacts.created_count(at) - 1)
        for index in range(last, max(-1, last - _NEIGHBOURS), -1):
            if contacts.is_live(index, at) and contacts.held_value("email", index) is not None:
                return index
        return None

    def numbers_near(self, first: int, end: int) -> range:
        """The submissions that contacts from an index up to before another can have made."""
        if not self._population:
            return range(0)
        share, margin = self._population / max(1, self._contacts.population), 3 * _NEIGHBOURS
        start = int(first * share) - 2
        return range(max(0, start), int((end + margin) * share) + 2)

    def _drawn(self, number: int) -> int:
        place = number * self._contacts.population // self._population
        return place + mix(self._salt ^ number) % _NEIGHBOURS

    def _email(self, number: int) -> str:
        """That of the contact, now and then in capitals."""
        index = self.contact(number)
        if index is None:
            return f"visitor{self._drawn(number)}@elsewhere.example"
        email = self._contacts.unique_value("email", index)
        return email.title() if index % 13 == 0 else email


def _value(field: dict[str, Any], bits: int) -> str:
    """A value for a field, from its options or from the pool of its kind."""
    choices = [option["value"] for option in field.get("options", ())]
    if field["fieldType"] == "multiple_checkboxes":
        return ";".join(choices[: 1 + bits % len(choices)])
    if not choices:
        name = _POOLS.get(field["name"], "words")
        choices = value_pools()[name]
    return choices[(bits >> 8) % len(choices)]


_POOLS = {
    "firstname": "first_name",
    "lastname": "last_name",
    "jobtitle": "job_title",
    "phone": "phone",
    "company": "company",
    "numemployees": "dirty_number",
    "message": "hostile",
    "favourite_quote": "hostile",
    "gdpr_ok": "bool",
    "country": "country_code",
}
