"""What is to be said of a table that was published, by its manifest and the day before.

Nothing is read for it but manifests: what a rule needs to know of rows was counted while they were
made. A flaw is `grave` where readers are not to rely on the table; others are worth a look. What a
portal does not have is none: one without flaws can be had with any subscription.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hubspot_assets.export.manifest import DayTable, TableManifest
from hubspot_assets.tables.counts import (
    CELLS_UNKNOWN,
    ENTRIES_UNREAD,
    EVENTS_UNDATED,
    LINKS_LEFT_OUT,
    LINKS_UNREAD,
    LISTS_KEPT,
    LISTS_OF_ANOTHER_SIZE,
    LISTS_READ,
    LISTS_UNTOLD,
    MEASURES,
    MEMBERS_LEFT_OUT,
    RECORDS_BY_HUBSPOT,
    RECORDS_ENDED,
    RECORDS_LIVE,
    RECORDS_MISSED,
    RECORDS_READ,
    RECORDS_REFUSED,
    RECORDS_UNREAD,
    SENTENCES,
    UNLIKE_HISTORY,
    UNPARSED,
    VALUES_SET,
)
from hubspot_assets.tables.spec import TableSpec

#: Shares above which it is worth a look: rows that the day before had and history does not tell
#: the end of, records that HubSpot counts and tells otherwise, cells, links, members, lists.
FALL, UNEQUAL, CELLS, UNLIKE, NOWHERE, SIZES = 0.2, 0.01, 0.02, 0.01, 0.05, 0.2
#: So few rows, or cells, say nothing by their share; so few events of a day none by their absence.
FEW, FEW_EVENTS = 10, 100
#: So many causes are named.
_NAMED = 3
#: What HubSpot told and could not be read.
_UNREAD = (RECORDS_UNREAD, RECORDS_REFUSED, LINKS_UNREAD, ENTRIES_UNREAD, EVENTS_UNDATED)


@dataclass(frozen=True, slots=True)
class Told:
    """What is judged: a table that was published, what it was to be, and its line in the manifest
    of the day before, if that one is complete."""

    spec: TableSpec
    manifest: TableManifest
    before: DayTable | None = None

    def count(self, name: str) -> int:
        """A count of the manifest; 0 where there is none."""
        return self.manifest.counts.get(name, 0)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is not as it should be, in a line for people."""

    words: str
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, in a line for people, and the numbers that it went by."""

    passed: bool
    grave: bool
    words: str
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Check:
    """Rules that are told of together, on the tables they `apply` to.

    `fine` are the words where no rule finds a flaw; the numbers are those of `counts`.
    """

    name: str
    description: str
    apply: Callable[[TableSpec], bool]
    rules: tuple[Callable[[Told], Iterator[Flaw]], ...]
    fine: Callable[[Told], str]
    counts: tuple[str, ...] = ()

    def verdict(self, told: Told) -> Verdict:
        """What the rules find."""
        flaws = [flaw for rule in self.rules for flaw in rule(told)]
        return Verdict(
            passed=not flaws,
            grave=any(flaw.grave for flaw in flaws),
            words="; ".join(flaw.words for flaw in flaws) or self.fine(told),
            numbers={name: told.count(name) for name in self.counts if told.count(name)},
        )


def checks_of(spec: TableSpec) -> list[Check]:
    """The checks that a table has."""
    return [check for check in CHECKS if check.apply(spec)]


def _adds_up(told: Told) -> Iterator[Flaw]:
    spec, manifest = told.spec, told.manifest
    if sum(part.rows for part in manifest.parts) != manifest.rows:
        yield Flaw(f"the parts don't have the {manifest.rows:,} rows of the manifest", grave=True)
    if sum(part.bytes for part in manifest.parts) != manifest.bytes:
        yield Flaw(f"the parts don't have the {manifest.bytes:,} bytes of the manifest", grave=True)
    if len({part.path for part in manifest.parts}) < max(1, len(manifest.parts)):
        yield Flaw("the manifest names no part, or one twice", grave=True)
    if manifest.key != spec.key:
        yield Flaw(f"the key is {', '.join(manifest.key)}, not {', '.join(spec.key)}", grave=True)
    if manifest.columns[: len(spec.columns)] != spec.columns:
        yield Flaw("the columns are not those that are declared", grave=True)


def _missing_scope(told: Told) -> Iterator[Flaw]:
    manifest = told.manifest
    every = [manifest.availability, *(each.availability for each in manifest.sources.values())]
    details = list(dict.fromkeys(e.detail for e in every if e.status == "missing_scope"))
    if details:
        more = f" (and {len(details) - _NAMED} more)" if len(details) > _NAMED else ""
        yield Flaw("; ".join(details[:_NAMED]) + more)


def _fell(told: Told) -> Iterator[Flaw]:
    """Rows are fewer than the day before, and it is not history that tells why."""
    before, now = _rows_before(told), told.manifest.rows
    if before is None:
        return
    if told.spec.of_its_day:
        if not now and before >= FEW_EVENTS:
            yield Flaw(f"nothing happened; the day before had {before:,} rows")
        return
    live, ended = told.count(RECORDS_LIVE), told.count(RECORDS_ENDED)
    expected = before * live / (live + ended) if ended else before
    if expected < FEW or now >= expected * (1 - FALL):
        return
    of_records = f", and {ended:,} records ended" if ended else ""
    yield Flaw(f"{now:,} rows; the day before had {before:,}{of_records}", grave=not now)


def _unsettled(told: Told) -> Iterator[Flaw]:
    if not told.manifest.settled:
        yield Flaw("read before HubSpot had stored all of the day: the next run reads it again")


def _rows_before(told: Told) -> int | None:
    """The rows of the day before; None where they are not to be compared."""
    before = told.before
    if before is None or not (before.point_in_time and told.manifest.point_in_time):
        return None
    return before.rows


def _unread(told: Told) -> Iterator[Flaw]:
    for name in _UNREAD:
        if number := told.count(name):
            yield Flaw(f"{number:,} {SENTENCES[name] or 'records would not be told of'}")


def _as_published(told: Told) -> str:
    availability, before = told.manifest.availability, _rows_before(told)
    if not availability.served:
        return f"no rows: {availability.detail or availability.status}"
    beside = "" if before is None else f", {before:,} the day before"
    return f"{told.manifest.rows:,} rows{beside}"


def _above(
    name: str, share: float, of: str | None = None, *, of_the_day: bool = False
) -> Callable[[Told], Iterator[Flaw]]:
    """A rule: the count `name` is more than a share of the count `of`, or of what the rows were
    without it; where it is `of_the_day`, if the table is of its point in time."""

    def rule(told: Told) -> Iterator[Flaw]:
        number = told.count(name)
        every = told.count(of) if of else 0
        every = every or told.manifest.rows + number
        if of_the_day and not told.manifest.point_in_time:
            return
        if number >= FEW and number > share * every:
            sentence = SENTENCES.get(name) or MEASURES.get(name)
            yield Flaw(f"{number:,} {sentence} ({number / every:.1%})")

    return rule


def _counted_otherwise(told: Told) -> Iterator[Flaw]:
    counted, read = told.count(RECORDS_BY_HUBSPOT), told.count(RECORDS_READ)
    apart = abs(counted - read)
    if (apart >= FEW and apart > UNEQUAL * max(counted, read)) or (counted and not read):
        yield Flaw(f"{read:,} live records were read, and HubSpot counts {counted:,}")


def _lists(told: Told) -> int:
    return told.count(LISTS_READ) + told.count(LISTS_KEPT)


def _of_another_size(told: Told) -> Iterator[Flaw]:
    lists, others = _lists(told), told.count(LISTS_OF_ANOTHER_SIZE)
    if others > max(1, SIZES * lists):
        yield Flaw(
            f"{others:,} of {lists:,} lists have other members than their SIZE, see warnings"
        )
    if untold := told.count(LISTS_UNTOLD):
        yield Flaw(f"{untold:,} {SENTENCES[LISTS_UNTOLD]}")


def _as_counted(told: Told) -> str:
    if RECORDS_BY_HUBSPOT not in told.manifest.counts:
        return "HubSpot does not tell how many records there are"
    read, counted = told.count(RECORDS_READ), told.count(RECORDS_BY_HUBSPOT)
    return f"{read:,} live records were read, {counted:,} by HubSpot's count"


#: Few, as each costs a run 5 KB of event log: most of a table's flaws are told of together.
CHECKS = (
    Check(
        "published",
        "The manifest is that of the declared table and adds up; no scope is missing; rows are not "
        f"{FALL:.0%} fewer than the day before, unless records ended; what HubSpot told could be "
        f"read, but for {CELLS:.0%} of the values; links and members end at records of the day, "
        f"but for {NOWHERE:.0%}.",
        lambda _: True,
        (
            _adds_up,
            _missing_scope,
            _fell,
            _unsettled,
            _unread,
            _above(UNPARSED, CELLS, VALUES_SET),
            _above(CELLS_UNKNOWN, CELLS, VALUES_SET),
            _above(LINKS_LEFT_OUT, NOWHERE, of_the_day=True),
            _above(MEMBERS_LEFT_OUT, NOWHERE, of_the_day=True),
        ),
        _as_published,
    ),
    Check(
        "hubspots_count",
        f"Live records are as many as HubSpot counts, give or take {UNEQUAL:.0%}, and sweeps find "
        "no more than that which searches had missed.",
        lambda spec: spec.wide and spec.row == "record",
        (_counted_otherwise, _above(RECORDS_MISSED, UNEQUAL, RECORDS_READ)),
        _as_counted,
        (RECORDS_READ, RECORDS_BY_HUBSPOT, RECORDS_MISSED),
    ),
    Check(
        "newest_values",
        f"Current values are the newest of their histories, but for {UNLIKE:.0%}.",
        lambda spec: spec.row == "history",
        (_above(UNLIKE_HISTORY, UNLIKE),),
        lambda told: f"{told.count(UNLIKE_HISTORY):,} differ",
        (UNLIKE_HISTORY,),
    ),
    Check(
        "sizes",
        f"All lists are told of, and have as many members as their SIZE, but for {SIZES:.0%}.",
        lambda spec: spec.row == "member",
        (_of_another_size,),
        lambda told: f"{told.count(LISTS_OF_ANOTHER_SIZE):,} of {_lists(told):,} differ",
        (LISTS_READ, LISTS_KEPT, LISTS_OF_ANOTHER_SIZE, LISTS_UNTOLD),
    ),
)
