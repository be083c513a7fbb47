"""The tables of records: from the readings of a type to rows as of the end of the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.day import Day
from hubspot_assets.exported import ExportedType
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.own_types import WITHOUT_HISTORY
from hubspot_assets.sources.records import defined_properties
from hubspot_assets.tables import records, specs, typed
from hubspot_assets.tables.batches import ALL, Batch, batches
from hubspot_assets.tables.content import Findings, TableContent, TableSource
from hubspot_assets.tables.counts import (
    CELLS_UNKNOWN,
    RECORDS_ENDED,
    RECORDS_LIVE,
    RECORDS_OF_EARLIER,
    RECORDS_UNSEEN,
    SOURCES_REFUSED,
    VALUES_SET,
    counted,
)
from hubspot_assets.tables.observed import NOT_HISTORY
from hubspot_assets.tables.record_changes import record_changes
from hubspot_assets.tables.records import AsOf
from hubspot_assets.tables.spec import Row, TableSpec
from hubspot_assets.tables.table import Table

Content = Callable[[Staging, Day], TableContent]
Frames = Callable[[Counter[str]], Iterator[pl.DataFrame]]
Rows = Callable[[AsOf, Counter[str]], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class _RecordTable:
    """How a record table is made of a type's staged records.

    `columns` are those it needs of the values; `cells` tells whether it shows values as of the
    day's end, and `values` whether it shows any: OBJECTS needs them only to know when records
    that changed since then had changed before.
    """

    rows: Rows
    columns: tuple[str, ...] = ("id", "name", "value", "timestamp", "seenSince", "heldUntil")
    cells: bool = True
    values: bool = True

    def reader(self, staged: Staged, of: ExportedType, day: Day, kept: Kept) -> Frames:
        """Makes the table's rows of one type, a frame per batch, and fills the counts. A batch and
        what was made of it is let go of before the next is read: no name here may hold it."""
        return lambda counts: map(
            partial(self._rows_of, counts), batches(staged, of, day, kept, self.columns)
        )

    def _rows_of(self, counts: Counter[str], batch: Batch) -> pl.DataFrame:
        state = batch.at_end() if self.values else batch.at_end_without_values()
        if self.cells:
            counts[CELLS_UNKNOWN] += state.unknown.height
            counts[VALUES_SET] += state.values.height
        counts[RECORDS_LIVE] += state.records.height
        counts[RECORDS_ENDED] += batch.ended()
        counts[RECORDS_UNSEEN] += state.unseen
        counts[RECORDS_OF_EARLIER] += state.earlier
        return self.rows(state, counts)


def record_tables(types: Sequence[ExportedType], *, whole_history: bool) -> Iterator[Table]:
    """The combined tables, and a table per type.

    `whole_history` keeps all history values that HubSpot returned, instead of the share's number.
    """
    records_of_all = tuple(of.records for of in types)
    for spec in specs.COMBINED:
        yield Table(spec, records_of_all, _combined(spec, types, whole_history=whole_history))
    with_histories = [of for of in types if not of.has_own_api]
    yield Table(
        specs.RECORD_CHANGES,
        tuple(of.records for of in with_histories),
        _changes(with_histories),
    )
    yield from map(_type_table, types)


def _changes(types: Sequence[ExportedType]) -> Content:
    def content(staging: Staging, day: Day) -> TableContent:
        staged = {of: staging.complete(of.records) for of in types}
        return _content(
            specs.RECORD_CHANGES,
            day,
            {
                of.folder: _changes_of(of, source, day, staging.kept)
                for of, source in staged.items()
            },
            {of.folder: source for of, source in staged.items()},
        )

    return content


def _changes_of(of: ExportedType, staged: Staged, day: Day, kept: Kept) -> Frames:
    began = staged.began.replace(tzinfo=None) if day.was_newest_at(staged.began) else None

    return lambda _: map(partial(record_changes, began=began), batches(staged, of, day, kept))


def _combined(spec: TableSpec, types: Sequence[ExportedType], *, whole_history: bool) -> Content:
    def content(staging: Staging, day: Day) -> TableContent:
        staged = {of: staging.complete(of.records) for of in types}
        return _content(
            spec,
            day,
            {
                of.folder: _combined_table(
                    spec, of.object_type.id, whole_history=whole_history
                ).reader(source, of, day, staging.kept)
                for of, source in staged.items()
            },
            {of.folder: source for of, source in staged.items()},
        )

    return content


def _content(
    spec: TableSpec,
    day: Day,
    folders: Mapping[str, Frames],
    staged: Mapping[str, Staged],
    *,
    availability: Availability = AVAILABLE,
    warnings: Iterable[str] = (),
) -> TableContent:
    """The content of a record table; `folders` make the frames of each sub-folder of `staged`."""
    counts = counted(each.counts for each in staged.values())
    sources = {folder: _source(each, day) for folder, each in staged.items()}
    observed = [folder for folder, each in sources.items() if not each.point_in_time]
    lacking = [each.availability for each in staged.values() if each.availability.lacking]
    counts[SOURCES_REFUSED] += len(lacking)
    findings = Findings(
        observed_at=max((each.observed_at for each in staged.values()), default=None),
        sources={folder: each for folder, each in sources.items() if folder},
        counts=counts,
        warnings=[
            *_not_history(observed),
            *dict.fromkeys(each.detail for each in lacking),
            *warnings,
        ],
    )

    def filled() -> Iterator[tuple[str, Iterator[pl.DataFrame]]]:
        for folder, frames in folders.items():
            yield folder, frames(counts)

    return TableContent(
        settled=all(day.settled(each.began) for each in staged.values()),
        spec=spec,
        folders=filled(),
        as_of=day.end,
        point_in_time=not observed,
        availability=availability,
        findings=findings,
    )


def _not_history(folders: Sequence[str]) -> Iterator[str]:
    """A warning of the sub-folders that are no point in time; there is one where it has no name."""
    if folders:
        named = ", ".join(filter(None, folders))
        yield f"{named}: {NOT_HISTORY}" if named else NOT_HISTORY


def _source(staged: Staged, day: Day) -> TableSource:
    """A type's reading, as the day's. Of what keeps no history it shows the newest day alone."""
    shows = not staged.counts.get(WITHOUT_HISTORY) or day.was_newest_at(staged.observed_at)
    return TableSource(staged.availability, shows, staged.observed_at)


def _combined_table(spec: TableSpec, object_type_id: str, *, whole_history: bool) -> _RecordTable:
    if spec is specs.OBJECTS:
        return _RecordTable(
            lambda state, _: records.objects(state, object_type_id), cells=False, values=False
        )
    if spec is specs.OBJECT_PROPERTIES:
        return _RecordTable(lambda state, _: records.object_properties(state, object_type_id))
    if spec is specs.OBJECT_WITH_OBJECT_PROPERTIES:
        return _RecordTable(
            lambda state, _: records.object_with_object_properties(state, object_type_id)
        )
    newest = None if whole_history else records.history_cap(object_type_id)
    return _RecordTable(
        lambda state, counts: records.object_properties_history(
            state, object_type_id, newest=newest, counts=counts
        ),
        columns=ALL,
        cells=False,
    )


def _type_table(of: ExportedType) -> Table:
    row: Row = "record" if of.object_type.api == "crm" else "thing"
    base = specs.objects_of_type(of.table, of.label, row)

    def content(staging: Staging, day: Day) -> TableContent:
        staged = staging.complete(of.records)
        properties = _property_types(staging, of)
        table = _RecordTable(
            lambda state, counts: records.objects_of_type(
                state, of.object_type.id, properties, counts=counts
            ),
            columns=("id", "name", "value", "timestamp", "unread", "seenSince", "heldUntil"),
        )
        return _content(
            base.with_columns(typed.columns(properties)),
            day,
            {"": table.reader(staged, of, day, staging.kept)},
            {"": staged},
            availability=staged.availability,
            warnings=typed.renamed(properties),
        )

    return Table(base, (of.records, of.properties), content, (of.object_type.id,))


def _property_types(staging: Staging, of: ExportedType) -> list[typed.PropertyType]:
    """The type's live properties as of the day's reading."""
    items = defined_properties(staging.complete(of.properties), staging.complete(of.records))
    return [
        typed.PropertyType(each["name"], each["type"], each.get("label") or each["name"])
        for each, _ in items
        if not each.get("archived")
    ]
