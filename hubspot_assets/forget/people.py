"""Who is to be forgotten: records by type and id, and addresses; and all that is theirs, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from hubspot_assets.exported import alike, named_types
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.settings import SettingsError
from hubspot_assets.sources.engagements import ENGAGEMENTS, engagement_types
from hubspot_assets.tables.names import type_name

CONTACTS = "0-1"


@dataclass(frozen=True, slots=True)
class Types:
    """The object types of a portal: their ids by all that people and APIs call them."""

    ids: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    in_columns: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, catalog: Catalog) -> Types:
        """Those of the catalog."""
        ids: dict[str, str] = {}
        names: dict[str, tuple[str, ...]] = {}
        in_columns: dict[str, tuple[str, ...]] = {}
        for of in named_types(catalog):
            each = of.object_type
            api_names = (each.id, each.name, each.fully_qualified_name)
            names[each.id] = tuple(name.upper() for name in api_names)
            for name in (*api_names, each.plural_name, of.folder):
                ids.setdefault(name.lower(), each.id)
            column = type_name(each.name)
            in_columns[column] = (*in_columns.get(column, ()), each.id)
        return cls(ids, names, in_columns)

    def named(self, text: str) -> str:
        """The id of a type. Raises SettingsError for one that the portal does not have."""
        found = self.ids.get(text.lower())
        if found is None:
            known = {name for name in self.ids if name[:1].isalpha()}
            near = alike(text.lower(), known, ("contacts", "companies"))
            raise SettingsError(
                f"type: found {text!r}, expected one that the portal has, as {near}"
            )
        if found == ENGAGEMENTS:
            raise SettingsError(
                f"type: found {text!r}, which are made of other types; expected the type of the "
                "activity, as calls"
            )
        return found


@dataclass(frozen=True, slots=True)
class People:
    """Records by type id, and e-mail addresses in lower case. `type_names` are names of the types,
    upper case, by their ids."""

    ids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    emails: frozenset[str] = frozenset()
    type_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def told(
        cls,
        records: Iterable[tuple[str, int]],
        emails: Iterable[str] = (),
        type_names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> People:
        """Those of pairs of type id and id; an activity is an engagement, too."""
        ids: dict[str, set[int]] = {}
        for type_id, each in records:
            ids.setdefault(type_id, set()).add(each)
            if type_id in engagement_types():
                ids.setdefault(ENGAGEMENTS, set()).add(each)
        frozen = {type_id: frozenset(each) for type_id, each in ids.items()}
        return cls(frozen, frozenset(each.lower() for each in emails), type_names or {})

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> People:
        """As `to_json` gives it."""
        return cls(
            {type_id: frozenset(ids) for type_id, ids in told["ids"].items()},
            frozenset(told["emails"]),
            {type_id: tuple(names) for type_id, names in told["type_names"].items()},
        )

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {
            "ids": {type_id: sorted(ids) for type_id, ids in self.ids.items()},
            "emails": sorted(self.emails),
            "type_names": self.type_names,
        }

    def __or__(self, other: People) -> People:
        ids = {
            type_id: self.ids.get(type_id, frozenset()) | other.ids.get(type_id, frozenset())
            for type_id in {*self.ids, *other.ids}
        }
        return People(ids, self.emails | other.emails, {**self.type_names, **other.type_names})

    def but(self, others: People) -> People:
        """Without the records of `others`."""
        ids = {of: each - others.ids.get(of, frozenset()) for of, each in self.ids.items()}
        kept = {of: each for of, each in ids.items() if each}
        return People(kept, self.emails, self.type_names)

    def __bool__(self) -> bool:
        return bool(self.ids or self.emails)

    @property
    def number(self) -> int:
        """How many records, activities not twice."""
        return sum(len(ids) for type_id, ids in self.ids.items() if type_id != ENGAGEMENTS)

    def of_type(self, object_type: str) -> frozenset[int]:
        """The ids of a type, by its id or a name of it."""
        wanted = object_type.upper()
        for type_id, ids in self.ids.items():
            if wanted == type_id or wanted in self.type_names.get(type_id, ()):
                return ids
        return frozenset()

    def records(self, object_type: str, ids: pl.Series) -> pl.Series:
        """Which of the ids are theirs; see `readings.people.Who`."""
        theirs = pl.Series(list(self.of_type(object_type)), dtype=pl.Int64)
        return ids.is_in(theirs.implode()).fill_null(value=False)

    def addresses(self, texts: pl.Series, moments: pl.Series) -> pl.Series:  # noqa: ARG002
        """Which of the addresses are theirs, whenever; see `readings.people.Who`."""
        theirs = pl.Series(list(self.emails), dtype=pl.String)
        return texts.is_in(theirs.implode()).fill_null(value=False)
