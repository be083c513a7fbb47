"""What of a portal is exported, under which names: object types, event types, pairs of types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from hubspot_assets.hubspot.catalog import Catalog, ObjectType
from hubspot_assets.hubspot.events import EMAIL_EVENTS, EventType
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.tables.names import (
    pair_suffix,
    suffix,
    type_id_order,
    unique_event_suffixes,
    unique_folders,
    unique_names,
    unique_suffixes,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExportedType:
    """An object type with its name in the export: `suffix` as in OBJECTS_<suffix>.

    `folder` is its sub-folder in the combined tables.
    """

    object_type: ObjectType
    suffix: str
    folder: str

    @property
    def table(self) -> str:
        """`OBJECTS_<suffix>`."""
        return f"OBJECTS_{self.suffix}"

    @property
    def path(self) -> tuple[str, ...]:
        """What people find the type's records by.

        A portal may call its own types what it likes, as another source or the beginning of one.
        """
        return (self.folder,) if self.object_type.standard else ("custom", self.folder)

    @property
    def has_own_api(self) -> bool:
        """Whether HubSpot serves the type outside the CRM objects API."""
        return self.object_type.api not in ("crm", "none")

    @property
    def records(self) -> str:
        """The source that holds the type's records."""
        return object_source(self.object_type)

    @property
    def properties(self) -> str:
        """The source that holds the type's property definitions."""
        return properties_source(self.object_type)

    @property
    def label(self) -> str:
        """What people call the type."""
        return self.object_type.label


def named_types(catalog: Catalog) -> list[ExportedType]:
    """All of the catalog's types under their names in the export."""
    names = unique_suffixes(
        (each.id, suffix(each.id, each.plural_label, each.singular_label, each.plural_name))
        for each in catalog.object_types
    )
    folders = unique_folders(names)
    return [ExportedType(each, names[each.id], folders[each.id]) for each in catalog.object_types]


def exported_types(catalog: Catalog, settings: Settings) -> tuple[ExportedType, ...]:
    """The catalog's types that the settings include. Raises SettingsError where there is none."""
    types = named_types(catalog)
    ids = chosen(
        _names_of_types(types),
        ("OBJECT_TYPES", settings.object_types),
        settings.exclude_object_types,
        [each.folder for each in types],
    )
    if not ids:
        raise SettingsError("EXCLUDE_OBJECT_TYPES: found every type, expected to leave some")
    # The combined tables hold the types in the order of their keys, which are text.
    return tuple(
        sorted(
            (each for each in types if each.object_type.id in ids),
            key=lambda each: each.object_type.id,
        )
    )


def chosen(
    names: Mapping[str, set[str]],
    include: tuple[str, Sequence[str]],
    exclude: Sequence[str],
    examples: Sequence[str],
) -> set[str]:
    """The ids that two settings leave of all in `names`, which has each one's names in lower case.

    `include` is a setting and its words; no words are all. Of a word that names nothing
    `unknown_names` tells. Raises SettingsError where no word to include names anything.
    """

    def named(words: Sequence[str]) -> set[str]:
        lower = {word.lower() for word in words}
        return {key for key, of in names.items() if lower & of}

    setting, words = include
    included = named(words) if words else set(names)
    if not included:
        known = alike(words[0].lower(), examples, examples[:1])
        raise SettingsError(f"{setting}: found {', '.join(words)}, expected names, as {known}")
    return included - named(exclude)


def unknown_names(catalog: Catalog, settings: Settings) -> Iterator[str]:
    """Words of settings that name none of the catalog's types, a line each.

    They stop nothing, as what they named may have been deleted in HubSpot.
    """
    of_types = _names_of_types(named_types(catalog))
    of_events = _names_of_events(named_events(catalog))
    for setting, words, names in (
        ("OBJECT_TYPES", settings.object_types, of_types),
        ("EXCLUDE_OBJECT_TYPES", settings.exclude_object_types, of_types),
        ("EVENT_TYPES", settings.event_types, of_events),
        ("EXCLUDE_EVENT_TYPES", settings.exclude_event_types, of_events),
    ):
        known = {name for each in names.values() for name in each}
        for word in words:
            if word.lower() not in known:
                near = alike(word.lower(), known, ())
                yield (
                    f"{setting}: found {word!r}, which the portal does not have"
                    + (f"; there is {near}" if near else "")
                )


def alike(word: str, known: Iterable[str], otherwise: Sequence[str]) -> str:
    """A few of the names that are `known`, most like a word that is none of them; `otherwise`
    others."""
    return ", ".join(get_close_matches(word, sorted(known), n=5, cutoff=0.5) or otherwise)


def _names_of_types(types: Iterable[ExportedType]) -> Mapping[str, set[str]]:
    return {each.object_type.id: _names(each) for each in types}


def _names(of: ExportedType) -> set[str]:
    each = of.object_type
    names = {each.id, each.name, each.plural_name, each.fully_qualified_name, of.folder}
    return {name.lower() for name in names}


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """An event type with its name in the export: `suffix` as in EVENTS_<suffix>."""

    event_type: EventType
    suffix: str

    @property
    def table(self) -> str:
        """`EVENTS_<suffix>`."""
        return f"EVENTS_{self.suffix}"

    @property
    def by_mail(self) -> bool:
        """Whether it is a marketing e-mail event, which has an API of its own."""
        return self.event_type.api == EMAIL_EVENTS

    @property
    def label(self) -> str:
        """What people call it."""
        return self.event_type.label or self.event_type.name

    @property
    def definition_id(self) -> str:
        """What stands for it in the tables of definitions: its id, or its name without one."""
        return self.event_type.id or self.event_type.name


def named_events(catalog: Catalog) -> list[ExportedEvent]:
    """All of the catalog's event types under their names in the export, by table name."""
    suffixes = unique_event_suffixes((each.name, each.id) for each in catalog.event_types)
    events = [ExportedEvent(each, suffixes[each.name]) for each in catalog.event_types]
    return sorted(events, key=lambda each: each.suffix)


def exported_events(catalog: Catalog, settings: Settings) -> tuple[ExportedEvent, ...]:
    """The event types that the settings include. Raises SettingsError where EVENT_TYPES names
    none."""
    events = named_events(catalog)
    wanted = chosen(
        _names_of_events(events),
        ("EVENT_TYPES", settings.event_types),
        settings.exclude_event_types,
        [each.suffix.lower() for each in events],
    )
    return tuple(each for each in events if each.event_type.name in wanted)


def _names_of_events(events: Iterable[ExportedEvent]) -> Mapping[str, set[str]]:
    return {
        of.event_type.name: {
            each.lower() for each in (of.event_type.name, of.suffix, of.definition_id)
        }
        for of in events
    }


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """Two exported types whose records can be linked, in the order of their ids.

    `name` is the pair's among the assets, as contacts_and_deals; `directed` are its names in the
    export, as CONTACTS_TO_DEALS: one for a type with itself, else two. It has tables of its own,
    and so has its reading an asset, where `has_tables`.
    """

    first: ExportedType
    second: ExportedType
    name: str
    directed: tuple[str, ...]
    has_tables: bool

    @property
    def types(self) -> tuple[ObjectType, ObjectType]:
        """The two object types."""
        return self.first.object_type, self.second.object_type

    @property
    def records(self) -> tuple[str, ...]:
        """The sources of the records that the links are read by."""
        sides = dict.fromkeys((self.first, self.second))
        return tuple(of.records for of in sides if of.object_type.api == "crm")


def linked_pairs(
    catalog: Catalog, types: Sequence[ExportedType], *, all_tables: bool
) -> list[LinkedPair]:
    """The pairs of exported types that can be linked, by ids.

    One of the two must be served by the CRM objects API, from whose records links are read. Those
    that have ever had a link have tables of their own; all have for `all_tables`.
    """
    by_id = {of.object_type.id: of for of in types}
    ordered = {tuple(sorted(pair, key=type_id_order)) for pair in catalog.associations}
    pairs = [
        (by_id[first], by_id[second])
        for first, second in sorted(ordered, key=lambda pair: [type_id_order(i) for i in pair])
        if first in by_id
        and second in by_id
        and "crm" in (by_id[first].object_type.api, by_id[second].object_type.api)
    ]
    # Labels can be such that two pairs come out alike: A to B_TO_C, and A_TO_B to C.
    names = unique_names((_ids(way), f"{way[0].folder}_and_{way[1].folder}") for way in pairs)
    directed = unique_names((_ids(way), _suffix(way)) for pair in pairs for way in _both(pair))
    return [
        LinkedPair(
            *pair,
            names[_ids(pair)],
            tuple(directed[_ids(way)] for way in _both(pair)),
            all_tables or catalog.has_linked(*(of.object_type.id for of in pair)),
        )
        for pair in pairs
    ]


def _ids(way: tuple[ExportedType, ExportedType]) -> str:
    return "_".join(of.object_type.id for of in way)


def _suffix(way: tuple[ExportedType, ExportedType]) -> str:
    first, second = way
    ids = first.object_type.id, second.object_type.id
    return pair_suffix((first.suffix, second.suffix), ids)


def _both(pair: tuple[T, T]) -> list[tuple[T, T]]:
    """Both directions of a pair: one for a type with itself."""
    return list(dict.fromkeys([pair, (pair[1], pair[0])]))


@dataclass(frozen=True, slots=True)
class Exported:
    """All that is exported of a portal. `portal` says whose it is, for what is read in parts."""

    catalog: Catalog
    portal: str
    types: tuple[ExportedType, ...]
    events: tuple[ExportedEvent, ...]
    pairs: tuple[LinkedPair, ...]

    @classmethod
    def of(cls, catalog: Catalog, settings: Settings) -> Exported:
        """What the settings include of the catalog. Raises SettingsError where that is nothing."""
        types = exported_types(catalog, settings)
        return cls(
            catalog,
            f"{settings.hubspot_base_url} {catalog.portal_id}",
            types,
            exported_events(catalog, settings),
            tuple(linked_pairs(catalog, types, all_tables=settings.association_tables == "all")),
        )
