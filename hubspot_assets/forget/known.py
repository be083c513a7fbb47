"""Who is to be forgotten, with all that readings tell to be theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from hubspot_assets.forget.chunks import Stored, stored_readings
from hubspot_assets.forget.people import CONTACTS, People
from hubspot_assets.forget.references import References
from hubspot_assets.readings.people import addresses_in, without
from hubspot_assets.sources.fates import MERGED_IDS
from hubspot_assets.storage import Store

_ADDRESSES = ("email", "hs_additional_emails")
_NAMES = ("firstname", "lastname")
_SUBMISSIONS = "0-15"
_FILLED_IN = f"associations/{CONTACTS}_{_SUBMISSIONS}"
#: An id has fewer digits.
_LONG = 19


@dataclass(frozen=True, slots=True)
class Known:
    """Some people, with all that readings tell to be theirs, and what else readings tell of them.

    `seen` are those of the records that were found there. In texts of others stand their addresses
    and `names`; those that are `shared` another contact has, too.
    """

    people: People
    seen: frozenset[tuple[str, int]]
    names: frozenset[str]
    shared: frozenset[str]

    @property
    def references(self) -> References:
        """What refers to them and to nobody else."""
        return References(self.people, self.people.emails | self.names)

    @property
    def mentions(self) -> References:
        """What may refer to them."""
        return self.references | References(texts=self.shared)

    def unseen(self, asked: People) -> int:
        """How many of the records that were `asked` for no reading tells of."""
        unseen = {type_id: {*ids} - self._seen_of(type_id) for type_id, ids in asked.ids.items()}
        return People({of: frozenset(ids) for of, ids in unseen.items()}).number

    def _seen_of(self, type_id: str) -> set[int]:
        return {each for of, each in self.seen if of == type_id}


def known_of(state: Store, asked: People) -> Known:
    """The people that are `asked` for: with contacts that have one of their addresses, records that
    were merged into theirs, all addresses of their contacts, and submissions of forms.

    Raises StoreError.
    """
    found = _Found(asked)
    readings = [each for each in stored_readings(state) if each.type_id]
    while True:
        before = found.people
        for reading in readings:
            if found.people.of_type(reading.type_id) or reading.type_id == CONTACTS:
                for number in reading.chunks:
                    found.look(state, reading, number)
        if found.people == before:
            break
    contacts = [each for each in readings if each.type_id == CONTACTS]
    addresses = found.told - asked.emails
    shared = _shared(state, contacts, addresses | found.names, found.people)
    people = found.people | People.told((), found.told - shared)
    submissions = set(_submissions(state, people))
    return Known(
        people | People.told(submissions),
        frozenset({*found.seen, *submissions}),
        frozenset(found.names - shared),
        frozenset(shared),
    )


class _Found:
    """What was found by now of the people that are asked for."""

    def __init__(self, asked: People) -> None:
        self.people = asked
        self.told: set[str] = set()
        self.seen: set[tuple[str, int]] = set()
        self.names: set[str] = set()
        self._emails = list(asked.emails)

    def look(self, state: Store, reading: Stored, number: int) -> None:
        """Looks into a chunk of records."""
        type_id = reading.type_id
        records = reading.read(state, number, "records", "id", "mergedInto")
        ids = pl.concat(
            records["id"].filter(self.people.records(type_id, records[column]))
            for column in ("id", "mergedInto")
        )
        by_address = type_id == CONTACTS and self._emails
        if ids.is_empty() and not by_address:
            return
        values = reading.read(state, number, "values", "id", "name", "value")
        if by_address:
            present = _present_addresses(values)
            ids = pl.concat([ids, present.filter(pl.col("address").is_in(self._emails))["id"]])
        mine = values.filter(pl.col("id").is_in(ids.implode()))
        merged = mine.filter(pl.col("name") == MERGED_IDS)["value"].str.extract_all("[0-9]+")
        others = [int(each) for each in merged.explode().drop_nulls() if len(each) < _LONG]
        self.people |= People.told((type_id, each) for each in [*ids, *others])
        self.seen.update((type_id, each) for each in ids)
        self.names.update(_full_names(mine))
        if type_id == CONTACTS:
            addresses = addresses_in(mine.filter(pl.col("name").is_in(_ADDRESSES)), "value")
            self.told.update(addresses["address"])


def _present_addresses(values: pl.DataFrame) -> pl.DataFrame:
    """The `id` and the `address` of contacts, by what was told last."""
    return addresses_in(_present(values, _ADDRESSES), "value").select("id", "address")


def _present(values: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Of each of these properties the value that was told last."""
    of = values.filter(pl.col("name").is_in(names))
    return of.unique(["id", "name"], keep="last", maintain_order=True)


def _shared(
    state: Store, contacts: Iterable[Stored], texts: Collection[str], people: People
) -> set[str]:
    """Those of the addresses and names in `texts` that another contact has."""
    shared: set[str] = set()
    if not texts:
        return shared
    for reading in contacts:
        for number in reading.chunks:
            values = reading.read(state, number, "values", "id", "name", "value")
            others = values.filter(~people.records(CONTACTS, values["id"]))
            shared.update(
                _present_addresses(others)["address"], _full_names(_present(others, _NAMES))
            )
    return shared & set(texts)


def _submissions(state: Store, people: People) -> Iterator[tuple[str, int]]:
    """Submissions that hold an address of theirs, or that are linked to a contact of theirs."""
    for reading in stored_readings(state):
        for number in reading.chunks:
            if reading.type_id == _SUBMISSIONS and people.emails:
                frames = {
                    "records": reading.read(
                        state, number, "records", "id", "mergedInto", "createdAt"
                    ),
                    "values": reading.read(state, number, "values", "id", "name", "value"),
                }
                left, _ = without(reading.source, frames, people)
                for each in set(frames["records"]["id"]) - set(left["records"]["id"]):
                    yield _SUBMISSIONS, each
            elif reading.source == _FILLED_IN:
                links = reading.read(state, number, "forward", "fromId", "toId")
                for each in links["toId"].filter(people.records(CONTACTS, links["fromId"])):
                    yield _SUBMISSIONS, each


def _full_names(values: pl.DataFrame) -> pl.Series:
    """First and last names as they stand together in texts."""
    present = values.filter(pl.col("value") != "")
    first, last = (
        present.filter(pl.col("name") == name).select("id", part="value") for name in _NAMES
    )
    together = pl.format("{} {}", "part", "part_last")
    return first.join(last, on="id", suffix="_last").select(together.unique()).to_series()
