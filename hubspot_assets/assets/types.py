"""Which object types are exported, under which names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from hubspot_assets.hubspot.catalog import Catalog, ObjectType
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets.tables.names import suffix, unique_suffixes


@dataclass(frozen=True, slots=True)
class ExportedType:
    """An object type with its name in the export: `suffix` as in OBJECTS_<suffix>."""

    object_type: ObjectType
    suffix: str

    @property
    def table(self) -> str:
        """`OBJECTS_<suffix>`."""
        return f"OBJECTS_{self.suffix}"

    @property
    def folder(self) -> str:
        """The sub-folder in the combined tables."""
        return self.suffix.lower()

    @property
    def records_key(self) -> dg.AssetKey:
        """The asset that reads the type's records.

        A portal may call its own types what it likes, as another asset or the beginning of one.
        """
        path = ["custom", self.folder] if self.object_type.custom else [self.folder]
        return dg.AssetKey(["hubspot", *path])

    @property
    def has_own_api(self) -> bool:
        """Whether HubSpot serves the type outside the CRM objects API."""
        return self.object_type.api not in ("crm", "none")

    @property
    def properties_key(self) -> dg.AssetKey:
        """The asset that reads the type's property definitions."""
        if self.has_own_api:
            return self.records_key
        return dg.AssetKey(["hubspot", "properties", self.folder])

    @property
    def label(self) -> str:
        """What people call the type."""
        return self.object_type.label


def named_types(catalog: Catalog) -> list[ExportedType]:
    """All of the catalog's types under their names in the export."""
    names = unique_suffixes(
        (each.id, suffix(each.plural_label, each.singular_label, each.plural_name))
        for each in catalog.object_types
    )
    return [ExportedType(each, names[each.id]) for each in catalog.object_types]


def exported_types(catalog: Catalog, settings: Settings) -> tuple[ExportedType, ...]:
    """The catalog's types that the settings include. Raises SettingsError for an unknown one."""
    types = named_types(catalog)
    names = {each.object_type.id: _names(each) for each in types}
    ids = chosen(
        names,
        ("OBJECT_TYPES", settings.object_types),
        ("EXCLUDE_OBJECT_TYPES", settings.exclude_object_types),
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
    names: Mapping[str, Collection[str]],
    include: tuple[str, Sequence[str]],
    exclude: tuple[str, Sequence[str]],
    examples: Sequence[str],
) -> set[str]:
    """The ids that two settings leave of all in `names`, which has each one's names in lower case.

    A setting is its name and its words; no words to include are all. Raises SettingsError for a
    word that names nothing.
    """

    def found(setting: str, words: Sequence[str]) -> set[str]:
        ids: set[str] = set()
        for word in words:
            named = {key for key, of in names.items() if word.lower() in of}
            if not named:
                known = ", ".join(examples)
                raise SettingsError(f"{setting}: found {word!r}, expected any of {known}")
            ids |= named
        return ids

    return (found(*include) or set(names)) - found(*exclude)


def _names(of: ExportedType) -> set[str]:
    each = of.object_type
    names = {each.id, each.name, each.plural_name, each.fully_qualified_name, of.folder}
    return {name.lower() for name in names}
