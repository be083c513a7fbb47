"""Days of a portal in which records are archived, restored, merged and erased at all hours, and
what readings of it show of each day."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import cycle

import polars as pl
import time_machine

from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox.stamps import milliseconds
from hubspot_assets.sources.flatten import epoch_milliseconds
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.known_properties import KnownProperties
from hubspot_assets.sources.properties import extract_properties
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets.tables.records import as_of, history_cap
from hubspot_assets_tests.days import day_of

FIRST = datetime(2026, 11, 9, tzinfo=UTC)
TYPES = ("0-1", "0-2", "0-3")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LONG_AFTER = datetime(2036, 1, 1, tzinfo=UTC)
JUST_BEFORE = timedelta(milliseconds=1)


@cache
def kind(type_id):
    return next(each for each in standard_catalog().object_types if each.id == type_id)


def day_number(number):
    return day_of((FIRST + timedelta(number)).date().isoformat())


Cell = tuple[int, str]
Entry = tuple[datetime, str]


@dataclass
class Shown:
    """What there is of a type at the end of a day: when each record was updated, values of cells,
    and how they changed (moment and value). `unknown` are the cells that are counted, `untold` the
    records whose last reading was before, and `unseen` counts records."""

    updated: dict[int, datetime] = field(default_factory=dict)
    cells: dict[Cell, str] = field(default_factory=dict)
    histories: dict[Cell, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    unknown: set[Cell] = field(default_factory=set)
    untold: set[int] = field(default_factory=set)
    unseen: int = 0

    def wrong(self, true: Shown) -> set[Cell]:
        """Cells that are not as they were, and not counted."""
        both = true.updated.keys() & self.updated.keys()
        wrong = {
            cell
            for cell in true.cells.keys() | self.cells.keys()
            if cell[0] in both and true.cells.get(cell) != self.cells.get(cell)
        }
        # Of those nobody knows either what they had besides.
        more = {cell for cell in wrong - self.cells.keys() if cell[0] in self.untold}
        return wrong - more - self.unknown

    def change(self, cell: Cell, entry: Entry) -> None:
        """Adds to a history; HubSpot writes values that are the same, too."""
        known = self.histories[cell]
        if not known or known[-1][1] != entry[1]:
            known.append(entry)


class Fortnight:
    """The days of a portal that `sandbox` serves."""

    def __init__(self, sandbox, types=TYPES):
        self.sandbox = sandbox
        self.portal = sandbox.portal
        self.types = types
        self.requests = 0
        self._truth = {}

    def at(self, moment):
        """Sets the portal's clock, and ours for as long as the context lasts."""
        self.portal.clock.set(moment)
        return time_machine.travel(moment, tick=True)

    @contextmanager
    def client(self):
        with HubSpot(
            BearerToken(self.sandbox.token), self.sandbox.url, max_attempts=2, sleep=lambda _: None
        ) as client:
            yield client
            self.requests = client.stats.requests

    def read(self, root, day, moment, incremental="sweep", *, portal="here", again=False):
        """Has a day read at a moment, as far as no reading serves it."""
        with self.at(moment), self.client() as client:
            staging = Staging(open_store(root), day, read_again=again)
            self.extract(client, staging, incremental, portal=portal)
        return staging

    def extract(self, client, staging, incremental="sweep", *, portal="here"):
        """Reads what `staging` lacks."""
        for of in map(kind, self.types):
            if staging.read_again or staging.serving(properties_source(of)) is None:
                extract_properties(client, staging, of)
            if staging.read_again or staging.serving(object_source(of)) is None:
                extract_records(
                    client, staging, of, portal=portal, workers=4, incremental=incremental
                )

    def shown(self, staging, type_id):
        """What the reading that serves the day shows of it."""
        of, shown, end = kind(type_id), Shown(), staging.day.end_naive
        names = self._names(staging, type_id)
        for chunk in staging.complete(object_source(of)).chunks():
            state = as_of(
                chunk.read("records"),
                chunk.read("values"),
                end,
                cap=history_cap(type_id),
                modified_property=of.modified_property,
            )
            shown.unseen += state.unseen
            shown.unknown |= set(state.unknown.rows())
            shown.updated |= dict(state.records.select("id", "updatedAt").iter_rows())
            gone = state.records.filter(pl.col("gone") != "archived", pl.col("readAt") < end)
            shown.untold |= set(gone["id"])
            for *cell, value in state.values.select("id", "name", "value").iter_rows():
                if cell[1] in names:
                    shown.cells[tuple(cell)] = value
            rows = state.until.drop_nulls("timestamp").select("id", "name", "timestamp", "value")
            for record_id, name, *entry in rows.iter_rows():
                if name in names:
                    shown.change((record_id, name), tuple(entry))
        return shown

    def known(self, staging, type_id):
        """What the day's readings know of its properties."""
        items = read_items(staging.complete(properties_source(kind(type_id))))
        return KnownProperties.of([each.content for each in items], set())

    def _names(self, staging, type_id):
        known = self.known(staging, type_id)
        return set(known.names) - known.running

    def truth(self, staging, type_id):
        """What there was at the end of the day."""
        key = staging.day.name, type_id
        if key not in self._truth:
            self._truth[key] = self._true(staging, type_id)
        return self._truth[key]

    def _true(self, staging, type_id):
        names, true = self._names(staging, type_id), Shown()
        moments = self.known(staging, type_id).moments
        # What happens at the very end of a day is of the next one.
        at = staging.day.end - JUST_BEFORE

        def raw(name, value):
            return (epoch_milliseconds(value) or value) if name in moments else value

        for record_id in self.portal.live_ids(type_id, at):
            record = self.portal.record(type_id, record_id, at)
            true.updated[record_id] = record.updated_at.replace(tzinfo=None)
            for name in names & record.properties.keys():
                if (value := record.properties[name]) != "":
                    true.cells[record_id, name] = raw(name, value)
            for name in names & record.histories.keys():
                for each in reversed(record.histories[name]):
                    entry = each.timestamp.replace(tzinfo=None), raw(name, each.value)
                    true.change((record_id, name), entry)
        return true

    def end_of(self, type_id, record_id, at):
        """What became of a record in the end: of the one that it lives on in, if it was merged."""
        fate = self.portal.fate(type_id, record_id, at)
        while fate and fate.kind == "merged":
            following = self.portal.fate(type_id, fate.merged_into, at)
            if following is None:
                return fate
            fate = following
        return fate


def eventful(portal, seed, days, types=TYPES):
    """Has half of all records archived, restored, merged and erased at all hours of some days,
    many of them in those after midnight, when days are read."""
    draw = random.Random(seed)
    plots = cycle(draw.sample(PLOTS, len(PLOTS)))
    for type_id in types:
        life = portal.life(type_id)
        now = portal.clock.now()
        indexes = {each: life.index_of(each, now) for each in portal.live_ids(type_id, FIRST)}
        ids = [each for each, index in indexes.items() if not _has_plans(life, index)]
        for _ in range(len(indexes) // 5):
            moments = sorted(_moment(draw, days - 3) for _ in range(3))
            if draw.random() < 0.3:
                # All of it within some hours.
                step = draw.randint(1, 9) * HOUR / 3
                moments = [moments[0] + turn * step for turn in range(3)]
            chosen = [ids.pop(draw.randrange(len(ids))) for _ in range(3)]
            next(plots)(portal, type_id, chosen, moments)


def _has_plans(life, index):
    """Whether a record ends, or takes another in, by itself."""
    return life.ends(index) or life.merged_into(index, milliseconds(LONG_AFTER))


def _moment(draw, days):
    midnight = FIRST + timedelta(draw.randrange(days + 1))
    if draw.random() < 0.5:
        return (
            midnight + draw.randint(-10, 100) * MINUTE + timedelta(milliseconds=draw.randrange(999))
        )
    return midnight + timedelta(milliseconds=draw.randrange(86_400_000))


def _archive(portal, type_id, ids, at):
    portal.archive(type_id, ids[0], at[0])


def _restore(portal, type_id, ids, at):
    portal.archive(type_id, ids[0], at[0])
    portal.restore(type_id, ids[0], at[1])


def _restore_later(portal, type_id, ids, at):
    portal.archive(type_id, ids[0], at[0])
    portal.restore(type_id, ids[0], at[0] + timedelta(2))


def _archive_again(portal, type_id, ids, at):
    _restore(portal, type_id, ids, at)
    portal.archive(type_id, ids[0], at[2])


def _erase(portal, type_id, ids, at):
    portal.erase(type_id, ids[0], at[0])


def _erase_archived(portal, type_id, ids, at):
    portal.archive(type_id, ids[0], at[0])
    portal.erase(type_id, ids[0], at[1])


def _merge(portal, type_id, ids, at):
    portal.merge(type_id, ids[0], ids[1], at[0])
    return portal.fate(type_id, ids[0], at[0]).merged_into


def _merge_twice(portal, type_id, ids, at):
    made = _merge(portal, type_id, ids, at)
    portal.merge(type_id, ids[2], made, at[1])


def _chain(portal, type_id, ids, at):
    made = _merge(portal, type_id, ids, at)
    portal.merge(type_id, made, ids[2], at[1])


def _archive_merged(portal, type_id, ids, at):
    portal.archive(type_id, _merge(portal, type_id, ids, at), at[1])


def _restore_merged(portal, type_id, ids, at):
    made = _merge(portal, type_id, ids, at)
    portal.archive(type_id, made, at[1])
    portal.restore(type_id, made, at[2])


def _erase_merged(portal, type_id, ids, at):
    portal.erase(type_id, _merge(portal, type_id, ids, at), at[1])


def _merge_restored(portal, type_id, ids, at):
    _restore(portal, type_id, ids, at)
    portal.merge(type_id, ids[0], ids[1], at[2])


PLOTS = (
    _archive,
    _restore,
    _restore_later,
    _archive_again,
    _erase,
    _erase_archived,
    _merge,
    _merge_twice,
    _chain,
    _archive_merged,
    _restore_merged,
    _erase_merged,
    _merge_restored,
)
