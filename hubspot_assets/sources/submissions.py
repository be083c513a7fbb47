"""Submissions of forms: new ones, read up to some way past those that are known.

HubSpot tells a form's submissions newest first, and what was sent does not change. So a form is
read until so many in a row are known that they reach well before the earlier reading. Of what is
older a deletion shows at the next reading of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.errors import NotFound, NotServed, Refused
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.hubspot.own_apis import form_submissions
from hubspot_assets.moments import milliseconds
from hubspot_assets.readings.reading import Reading, Staged
from hubspot_assets.sources.look import seen_since
from hubspot_assets.sources.own_changes import known_objects, stage_changes
from hubspot_assets.sources.own_types import record_of
from hubspot_assets.sources.source import Ask
from hubspot_assets.tables.counts import PARTS_GONE, PARTS_REFUSED

SUBMISSIONS = "form_submissions"
#: A form is read until so many of its submissions, one after another, are known.
PAST = 25


def read_new_submissions(
    ask: Ask, object_type: ObjectType, base: Staged, defined: Sequence[Read]
) -> Staged | None:
    """Stages what has been submitted since `base`, and what is seen to be gone.

    None where all is to be read. Raises HubSpotError and StoreError.
    """
    known = known_objects(base, "form_id")
    forms = _Forms(object_type, known, int(seen_since(base).timestamp() * 1000))

    def read(reading: Reading) -> Iterator[Read]:
        for each in form_submissions(ask.client, partial(_count, reading), forms.enough):
            if not forms.is_known(each):
                yield each
            ask.report(object_type.plural_name, forms.read)

    try:
        return stage_changes(
            ask.staging, object_type, base, known["id"], read, forms.gone, defined=defined
        )
    except NotServed:
        return None


def _count(reading: Reading, error: Refused) -> None:
    reading.counts[PARTS_GONE if isinstance(error, NotFound) else PARTS_REFUSED] += 1


@dataclass(slots=True)
class _Form:
    """What has been read of a form's submissions: ids, moments in milliseconds, and which of them
    were `before`, newest first. `known` are those of an earlier reading by id."""

    known: pl.DataFrame
    ids: list[int] = field(default_factory=list)
    moments: list[int | None] = field(default_factory=list)
    before: list[bool] = field(default_factory=list)
    in_order: bool = True
    until: int | None = None

    def add(self, record_id: int, moment: int | None) -> bool:
        """Takes a submission in; tells whether it was known."""
        last = self.moments[-1] if self.moments else moment
        self.in_order &= moment is not None and last is not None and moment <= last
        ids = self.known["id"]
        place = ids.search_sorted(record_id)
        self.ids.append(record_id)
        self.moments.append(moment)
        self.before.append(place < len(ids) and ids[place] == record_id)
        return self.before[-1]

    def missing(self) -> pl.Series:
        """The ids of those that were known and are there no more, as far as it was read."""
        read = pl.Series(self.ids, dtype=pl.Int64).implode()
        missing = self.known.filter(~pl.col("id").is_in(read))
        if self.until is not None:
            sent = pl.col("createdAt").dt.timestamp("ms")
            missing = missing.filter((sent > self.until).fill_null(value=False))
        return missing["id"]


class _Forms:
    """What of each form is known, and what of it is read; `since` then all was known."""

    def __init__(self, object_type: ObjectType, known: pl.DataFrame, since: int) -> None:
        self._type = object_type
        self._since = since
        by_form = known.sort("id").partition_by("value", as_dict=True)
        self._forms = {str(form): _Form(frame) for (form,), frame in by_form.items()}
        self._none = known.clear()
        self.read = 0

    def is_known(self, submission: Read) -> bool:
        """Takes a submission in; tells whether the earlier reading had it."""
        content = submission.content
        form = self._forms.setdefault(content["formId"], _Form(self._none))
        record_id = int(record_of(self._type, content)["id"])
        self.read += 1
        return form.add(record_id, milliseconds(content.get("submittedAt")))

    def enough(self, form_id: str) -> bool:
        """Whether what is older than what was read of a form is known."""
        form = self._forms.get(form_id)
        if (
            form is None
            or not form.in_order
            or len(form.ids) < PAST
            or not all(form.before[-PAST:])
        ):
            return False
        newest = form.moments[-PAST]
        if newest is not None and newest < self._since:
            form.until = form.moments[-1]
        return form.until is not None

    def gone(self) -> pl.Series:
        """The ids that were known and, where their form was read, are there no more."""
        return pl.concat([self._none["id"], *(each.missing() for each in self._forms.values())])
