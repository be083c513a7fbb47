"""What a reading of records is given: of what, from whom, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.record_counts import RecordCounts
from hubspot_assets.hubspot.records import BATCH, Page, answering_for, batch_read
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.source import Report, object_source, quiet
from hubspot_assets.tables.counts import RECORDS_BY_HUBSPOT, RECORDS_READ


@dataclass(frozen=True, slots=True)
class Asked:
    """The records of a type, with the properties that are known of it.

    What was known of records that are erased is kept for `keep_erased_days`.
    """

    client: HubSpot
    object_type: ObjectType
    known: KnownProperties
    workers: int = 8
    report: Report = quiet
    own_counts: RecordCounts | None = None
    keep_erased_days: int = 30

    @property
    def kept_since(self) -> datetime:
        """What was erased before is not kept any more."""
        return datetime.now(UTC) - timedelta(self.keep_erased_days)

    @property
    def source(self) -> str:
        """What their reading is called."""
        return object_source(self.object_type)

    def note_own_count(self, counts: Counter[str]) -> None:
        """Puts how many live records HubSpot counts, if it does, beside how many were read."""
        if self.own_counts is None:
            return
        if (told := self.own_counts.of(self.client, self.object_type.id)) is not None:
            counts[RECORDS_BY_HUBSPOT] = told
            counts[RECORDS_READ] = counts["records"]

    def batches(
        self, ids: Sequence[int], *, archived: bool = False, silent: bool = False
    ) -> Iterator[tuple[list[str], Page]]:
        """The records of those ids, live or archived, in batches, each with the ids asked for.

        Of those that are gone HubSpot may be `silent`.
        """
        texts = [str(each) for each in ids]
        parts = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))

        def read(part: list[str]) -> tuple[list[str], Page]:
            found = batch_read(
                self.client,
                self.object_type.id,
                part,
                self.known.names,
                served=True,
                archived=archived,
                silent=silent,
            )
            return part, found

        return in_order(read, parts, self.workers)

    def answering(self, ids: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        """Of each of those ids the one of the record that answers for it, if another does."""

        def ask(record_id: int) -> tuple[int, str | None]:
            found = answering_for(self.client, self.object_type.id, str(record_id))
            return record_id, found

        return in_order(ask, ids, self.workers)
