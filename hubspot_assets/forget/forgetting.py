"""Forgets: notes who, takes them out of readings and days, and tells what was done.

    <state root>/
      forgotten/list.json              who must not come back (`readings.forgotten`)
      forgotten/audit/<run>.json       when, how many, of which tables; nothing of anybody
      forgetting/request.json          who is being forgotten, for as long as that takes
      forgetting/<day>/                what the manifests of a day said (`days`)

The list comes first, so that nothing comes back meanwhile; the request is there until all is done,
and whoever forgets next goes on with it before anything else.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

import orjson

from hubspot_assets import __version__
from hubspot_assets.export.complete import is_day
from hubspot_assets.export.manifest import PARQUET
from hubspot_assets.forget.chunks import ReadingsRewritten, take_out
from hubspot_assets.forget.days import FORGETTING, DayOfPeople, Run, TakenOut
from hubspot_assets.forget.known import known_of
from hubspot_assets.forget.metered import metered
from hubspot_assets.forget.people import People, Types
from hubspot_assets.forget.references import References
from hubspot_assets.readings.forgotten import LIST, Forgotten
from hubspot_assets.readings.reading import READINGS
from hubspot_assets.storage import NotFoundError, Store, leases
from hubspot_assets.storage.errors import KeptError
from hubspot_assets.storage.store import Kept

REQUEST = f"{FORGETTING}/request.json"
AUDIT = "forgotten/audit"
#: For so long what was forgotten is kept from coming back; by then nothing tells of it any more.
REMEMBERED = timedelta(days=730)

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where to forget: export and state, with the portal's `types` and the `pairs` of types that
    tables of links are of, by their names."""

    store: Store
    state: Store
    types: Types
    pairs: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Work:
    """Who is being forgotten, by which run; what is to be `redacted` in others' rows, and what may
    refer to them there."""

    people: People
    redacted: References
    mentioned: References
    run: Run

    def __or__(self, begun: _Work | None) -> _Work:
        """With what was begun before, by its run."""
        if begun is None:
            return self
        return _Work(
            self.people | begun.people,
            self.redacted | begun.redacted,
            self.mentioned | begun.mentioned,
            begun.run,
        )

    @classmethod
    def begun(cls, state: Store) -> _Work | None:
        """That of an attempt that was broken off."""
        try:
            told = orjson.loads(state.get(REQUEST))
        except NotFoundError:
            return None
        return cls(
            People.from_json(told["people"]),
            References.from_json(told["redacted"]),
            References.from_json(told["mentioned"]),
            Run(**told["run"]),
        )

    def to_json(self) -> bytes:
        """What `begun` takes."""
        return orjson.dumps(
            {
                "people": self.people.to_json(),
                "redacted": self.redacted.to_json(),
                "mentioned": self.mentioned.to_json(),
                "run": asdict(self.run),
            }
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, or would be: days from which something went, and readings.

    `unseen` is of how many records no reading tells. `left` says of days why they are as they were;
    `kept` are the versions that stayed, `former` how many went. `calls` are those of the stores, by
    kind.
    """

    days: tuple[TakenOut, ...]
    readings: ReadingsRewritten
    unseen: int
    left: Mapping[str, str] = field(default_factory=dict)
    former: int | None = None
    kept: tuple[Kept, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def tables(self) -> Counter[str]:
        """The rows that went, by table, of all days."""
        return sum((Counter(day.rows) for day in self.days), Counter[str]())

    @property
    def cells(self) -> Counter[str]:
        """The cells of others that were redacted, by table, of all days."""
        return sum((Counter(day.cells) for day in self.days), Counter[str]())


def forget(
    places: Places,
    asked: People,
    *,
    dry_run: bool = False,
    versions: bool = False,
    for_ever: bool = False,
    redact: bool = False,
    told: Told = lambda _: None,
) -> Report:
    """Takes the people that are `asked` for, and all that is theirs, out of export and state.

    What was broken off before is done with it. `for_ever` keeps out records that HubSpot still
    serves. With `redact` what refers to them goes from others' rows, too. `told` hears a line for
    each day that held some of them. A dry run writes nothing and reports the same. Meanwhile nobody
    reads HubSpot or writes days. Raises StoreError.
    """
    calls: Counter[str] = Counter()
    store = metered(places.store, calls, dry=dry_run)
    state = metered(places.state, calls, dry=dry_run)
    metered_places = replace(places, store=store, state=state)

    def alone(where: Store, name: str) -> AbstractContextManager[leases.Lease | None]:
        return nullcontext() if dry_run else leases.held(where, name, told=told)

    with alone(places.state, READINGS):
        known = known_of(state, asked)
        redacted = known.references if redact else References()
        begun = _Work.begun(state)
        work = _Work(known.people, redacted, known.mentions, _new_run()) | begun
        if not work.people:
            return Report((), ReadingsRewritten(), 0, calls=calls)
        _note(state, work, for_ever=for_ever)
        if not dry_run:  # what was broken off in the middle of a file has left that
            for folder in (READINGS, FORGETTING):
                state.sweep(folder)
        readings = take_out(state, work.people, work.redacted, work.mentioned, work.run)
        days, left = _out_of_days(metered_places, work, partial(alone, places.store), told)
        former, kept = _former(places) if versions and not dry_run else (None, ())
        report = Report(days, readings, known.unseen(asked), left, former, kept, calls)
        if not left:
            _put_audit(state, work, report)
            with suppress(KeptError):  # whose reasons were told
                state.delete([REQUEST], versions=versions)
    return report


def _out_of_days(
    places: Places,
    work: _Work,
    alone: Callable[[str], AbstractContextManager[leases.Lease | None]],
    told: Told,
) -> tuple[tuple[TakenOut, ...], dict[str, str]]:
    """Rewrites the days; gives those that held some of them, and why others were left."""
    days: list[TakenOut] = []
    left: dict[str, str] = {}
    store, names = places.store, places.types.in_columns
    beside = _beside(store)
    for name in sorted({*_days(store, places.state), *beside}):
        day = DayOfPeople(
            store, places.state, name, work.people, work.redacted, work.run, places.pairs, names,
            beside[name],
        )  # fmt: skip
        try:
            with alone(name) as lease:
                out = day.take_out(lease)
        except (ValueError, leases.LeaseError) as error:
            left[name] = str(error)
            continue
        if out:
            days.append(out)
            told(str(out))
    return tuple(days), left


def lines(report: Report, *, dry_run: bool) -> Iterator[str]:
    """What a report says beyond the days, in people's words; nothing of anybody."""
    if report.readings.readings or report.readings.given_up:
        yield str(report.readings)
    if report.unseen:
        yield f"{report.unseen:,} of the records are in no reading"
    for label, number in report.readings.references.items():
        yield f"refers to them still: {label}: {number:,}"
    if report.former is not None:
        yield f"{report.former:,} old versions deleted"
    rows = sum(report.tables.values())
    done = "would take out" if dry_run else "took out"
    yield f"{done} {rows:,} rows of {len(report.tables):,} tables on {len(report.days):,} days"
    if report.cells or report.readings.cells:
        done = "would redact" if dry_run else "redacted"
        days, readings = sum(report.cells.values()), report.readings.cells
        yield f"{done} {days:,} cells of others in tables, {readings:,} in readings"
    calls = ", ".join(f"{number:,} {kind}" for kind, number in sorted(report.calls.items()))
    yield f"calls of the store: {calls}"


def warnings(report: Report) -> Iterator[str]:
    """What could not be done, and why."""
    for day, reason in report.left.items():
        yield f"{day}: left as it is: {reason}"
    for reason, of in groupby(sorted(report.kept, key=_reason), key=_reason):
        versions = list(of)
        yield f"{len(versions):,} old versions stayed, as {versions[0].entry.path}: {reason}"


def _reason(kept: Kept) -> str:
    return kept.reason


def _new_run() -> Run:
    return Run(uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="milliseconds"), __version__)


def _note(state: Store, work: _Work, *, for_ever: bool) -> None:
    """Sees to it that they do not come back, then that whoever forgets next goes on."""
    until = (datetime.now(UTC) + REMEMBERED).isoformat()
    before = work.run.at
    kept = Forgotten.of(state).with_more(work.people, before=before, until=until, for_ever=for_ever)
    state.put(LIST, kept.to_json())
    state.put(REQUEST, work.to_json())


def _days(store: Store, state: Store) -> list[str]:
    """The days that are there, or were begun with."""
    begun = {entry.path.split("/")[1] for entry in state.list(FORGETTING)}
    return sorted(filter(is_day, {*store.folders(), *begun}))


def _beside(store: Store) -> defaultdict[str, set[str]]:
    """By day the tables that have Parquet files of it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for entry in store.list(PARQUET):
        _, table, *of = entry.path.split("/")
        day = of[0].removeprefix("day=") if of else ""
        if is_day(day):
            found[day].add(table)
    return found


def _former(places: Places) -> tuple[int, tuple[Kept, ...]]:
    """Deletes the old versions of all that may have held them; gives how many, and what stayed."""
    gone = 0
    kept: list[Kept] = []
    every = {entry.path.split("/")[0] for entry in places.store.list(versions=True)}
    delivered = sorted(name for name in every if is_day(name) or name == PARQUET)
    for store, folders in ((places.store, delivered), (places.state, [READINGS, FORGETTING])):
        for folder in folders:
            try:
                gone += store.delete_former(folder)
            except KeptError as error:
                kept += error.kept
    return gone, tuple(kept)


def _put_audit(state: Store, work: _Work, report: Report) -> None:
    run = work.run
    told = {
        "run": run.run,
        "at": run.at,
        "records": work.people.number,
        "addresses": len(work.people.emails),
        "days": len(report.days),
        "tables": dict(sorted(report.tables.items())),
        "redacted": dict(sorted(report.cells.items())),
        "versions": report.former,
    }
    name = f"{run.at.replace(':', '')}-{run.run}"
    state.put(f"{AUDIT}/{name}.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
