"""The plans behind the marketing APIs of one portal."""

from collections.abc import Callable
from functools import cached_property, lru_cache

from hubspot_assets.sandbox.assets import phase
from hubspot_assets.sandbox.campaigns import CAMPAIGN, Campaigns
from hubspot_assets.sandbox.config import PortalConfig
from hubspot_assets.sandbox.email_events import EmailEvents
from hubspot_assets.sandbox.facts import document
from hubspot_assets.sandbox.forms import SILENT_TYPES, Submissions
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.stamps import moment

#: Contacts whose conversions are worked out together.
_BLOCK = 64


class Marketing:
    """Submissions, campaigns and e-mail events. `life` gives the life of a type's records."""

    def __init__(self, config: PortalConfig, life: Callable[[str], Life]) -> None:
        self._config = config
        self._life = life
        self._submissions: dict[str, Submissions] = {}
        # Contacts are mostly asked for one after the other.
        self._conversions = lru_cache(maxsize=64)(self._conversions_near)

    @cached_property
    def campaigns(self) -> Campaigns:
        """The campaigns."""
        return Campaigns(self._life(CAMPAIGN))

    @cached_property
    def events(self) -> EmailEvents:
        """What becomes of every e-mail that is sent."""
        config = self._config
        return EmailEvents(
            self._life("0-1"),
            records=config.records,
            seed=config.seed,
            portal_id=config.portal_id,
            ids_repeat=config.event_ids_repeat,
        )

    def conversions(self, contact: int) -> list[tuple[int, str]]:
        """When a contact filled in forms, and their names, oldest first."""
        ended = self._life("0-1").interventions
        return self._conversions(contact // _BLOCK, ended).get(contact, [])

    def _conversions_near(self, block: int, _: int) -> dict[int, list[tuple[int, str]]]:
        """The conversions of contacts of a block, by index; worked out anew where contacts were
        ended outside of the plan."""
        found: dict[int, list[tuple[int, str]]] = {}
        for row in document("forms.json")["forms"]:
            if row["members"]["formType"] in SILENT_TYPES:
                continue
            submissions = self.submissions(row["id"])
            for number in submissions.numbers_near(block * _BLOCK, (block + 1) * _BLOCK):
                contact = submissions.contact(number)
                if contact is not None and submissions.is_made(number):
                    at = submissions.submitted(number)
                    # Under the name that the form had then.
                    then = phase(row, moment(at))
                    name = row["members"]["name"] if then is None else then.members["name"]
                    found.setdefault(contact, []).append((at, name))
        return {contact: sorted(made) for contact, made in found.items()}

    def submissions(self, form_id: str) -> Submissions:
        """The submissions of a form; KeyError if there never is such a form."""
        if form_id not in self._submissions:
            rows = {row["id"]: row for row in document("forms.json")["forms"]}
            self._submissions[form_id] = Submissions(
                rows[form_id],
                self._life("0-1"),
                records=self._config.records,
                seed=self._config.seed,
                identified=self._config.conversion_ids,
            )
        return self._submissions[form_id]

    def submission_count(self, at: int) -> int:
        """How many submissions of all forms can be read at a moment, in epoch milliseconds."""
        return sum(
            self.submissions(row["id"]).count(at)
            for row in document("forms.json")["forms"]
            if row["members"]["formType"] not in SILENT_TYPES
        )
