"""Which properties a type has in this portal, and their definitions on the wire."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hubspot_assets.sandbox.facts import ObjectType, rows
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.values import encode, pool, text_number

#: Long before the first record.
_DEFINED_AT = 1_672_531_200_000
SENSITIVITIES = ("non_sensitive", "sensitive", "highly_sensitive")


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a type. `number` is its position among the type's properties,
    `pool` the JSON texts it takes its values from (none: each value is unique)."""

    number: int
    name: str
    label: str
    type: str
    field_type: str
    group: str
    life: str
    fill: int
    values: str
    flags: frozenset[str]
    references: str
    options: tuple[tuple[str, str], ...]
    pool: tuple[bytes, ...]

    @property
    def archived(self) -> bool:
        """Archived properties are defined, but hold no values."""
        return "archived" in self.flags

    @property
    def custom(self) -> bool:
        """Made by the portal's users."""
        return "custom" in self.flags

    @property
    def sensitivity(self) -> str:
        """non_sensitive, sensitive or highly_sensitive."""
        return next((s for s in SENSITIVITIES[1:] if s in self.flags), "non_sensitive")


@cache
def properties_of(kind: ObjectType, contact_properties: int | None) -> tuple[Property, ...]:
    """The type's properties in order of their names; for contacts limited or extended to
    `contact_properties` that are neither archived nor sensitive."""
    merged: dict[str, dict[str, str]] = {}
    for name in kind.property_sets:
        merged |= {row["name"]: row for row in rows(f"properties/{name}.csv")}
    found = [_property(kind, row) for row in merged.values()]
    if kind.object_type_id == "0-1" and contact_properties is not None:
        found = _limited(found, contact_properties)
    found.sort(key=lambda each: each.name)
    return tuple(replace(each, number=number) for number, each in enumerate(found))


@cache
def unvalued_properties(name: str) -> tuple[Property, ...]:
    """The properties of a set (lists, forms) in order of their names; their values are told by an
    API of their own."""
    return tuple(
        Property(
            number=number,
            name=row["name"],
            label=row["label"],
            type=row["type"],
            field_type=row["field_type"],
            group=row["group"],
            life="",
            fill=0,
            values="",
            flags=frozenset(),
            references="",
            options=_given_options(row["options"]),
            pool=(),
        )
        for number, row in enumerate(rows(f"properties/{name}.csv"))
    )


def _limited(found: list[Property], count: int) -> list[Property]:
    plain = [p for p in found if not p.archived and p.sensitivity == "non_sensitive"]
    # The system sets the first three on every record, however few properties there are.
    system = {"hs_object_id", "createdate", "lastmodifieddate"}
    plain.sort(key=lambda p: (p.name not in system, not p.life, p.name))
    extra = [_made_up(number) for number in range(1, count - len(plain) + 1)]
    return [*plain[:count], *extra, *(p for p in found if p not in plain)]


def _made_up(number: int) -> Property:
    name = f"custom_field_{number:04d}"
    return Property(
        0, name, f"Custom field {number}", "string", "text", "custom_contact_properties",
        "", 0, "", frozenset({"custom"}), "", (), (b'"x"',),
    )  # fmt: skip


def _property(kind: ObjectType, row: dict[str, str]) -> Property:
    options = _options(kind, row)
    values = row["values"]
    texts: tuple[bytes, ...] = ()
    if values in _PEOPLE:
        file, column = _PEOPLE[values]
        texts = encode([each[column] for each in rows(file)])
    elif values not in _UNIQUE:
        source = "" if options else values
        many = row["field_type"] == "checkbox"
        texts = pool(source, row["type"], tuple(value for value, _ in options), many=many)
    return Property(
        number=0,
        name=row["name"],
        label=row["label"],
        type=row["type"],
        field_type=row["field_type"],
        group=row["group"],
        life=row["life"],
        fill=int(row["fill"] or 0),
        values=values,
        flags=frozenset(filter(None, row["flags"].split(";"))),
        references=row["references"],
        options=options,
        pool=texts,
    )


_PEOPLE = {"owner_id": ("owners.csv", "owner_id"), "team_id": ("teams.csv", "team_id")}
_UNIQUE = ("email", "external_key", "company_domain", "campaign_id", "campaign_utm")


def _options(kind: ObjectType, row: dict[str, str]) -> tuple[tuple[str, str], ...]:
    which = row["values"].rpartition("_")[2]
    if row["values"].partition("_")[0] in ("deal", "ticket", "own") and which in _STEPS:
        column, label = _STEPS[which]
        own = [
            each for each in rows("pipelines.csv") if each["object_type_id"] == kind.object_type_id
        ]
        return tuple({each[column]: each[label] for each in own}.items())
    return _given_options(row["options"])


def _given_options(options: str) -> tuple[tuple[str, str], ...]:
    pairs = (text.partition("=") for text in options.split(";") if text)
    return tuple((value, label) for value, _, label in pairs)


_STEPS = {"pipeline": ("pipeline_id", "label"), "stage": ("stage_id", "stage_label")}


def definition(each: Property) -> dict[str, Any]:
    """A property as the properties API tells it; keys without a value are left out."""
    at = _DEFINED_AT + text_number(each.name) % (100 * DAY)
    calculated = "calculated" in each.flags or each.life == "rollup"
    told: dict[str, Any] = {
        "updatedAt": iso(at + 5000),
        "createdAt": iso(at),
        "name": each.name,
        "label": each.label,
        "type": each.type,
        "fieldType": each.field_type,
        "description": "" if each.custom else f"{each.label} of the record",
        "groupName": each.group,
        "options": [
            {"label": label, "value": value, "displayOrder": order, "hidden": False}
            for order, (value, label) in enumerate(each.options)
        ],
        "displayOrder": -1,
        "calculated": calculated,
        "externalOptions": each.references == "OWNER",
        "archived": each.archived,
        "hasUniqueValue": "unique" in each.flags,
        "hidden": each.name.startswith("hs_test"),
        "modificationMetadata": {
            "archivable": each.custom,
            "readOnlyDefinition": not each.custom,
            "readOnlyValue": calculated or "read_only" in each.flags,
        },
        "formField": not calculated,
        "dataSensitivity": each.sensitivity,
    }
    if each.references:
        told["referencedObjectType"] = each.references
    if not each.custom:
        told["hubspotDefined"] = True
    else:
        told["createdUserId"] = told["updatedUserId"] = "9586504"
    if each.archived:
        told["archivedAt"] = iso(at + 300 * DAY)
    return told


def groups(found: tuple[Property, ...]) -> list[dict[str, Any]]:
    """Property groups of a type as the properties API tells them."""
    names = sorted({each.group for each in found})
    return [
        {"name": name, "label": name.replace("_", " ").capitalize(), "displayOrder": order,
         "archived": False}
        for order, name in enumerate(names)
    ]  # fmt: skip
