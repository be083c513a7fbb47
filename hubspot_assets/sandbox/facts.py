"""Reads the facts about HubSpot's object types and the sandbox's own data files."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def rows(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file under `sandbox/data`, as dicts of text; shared, not to be changed."""
    return _read(files("hubspot_assets.sandbox").joinpath("data", name).read_text("utf-8"))


@cache
def fact_rows(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file of facts about HubSpot, as dicts of text; shared, not to be changed."""
    return _read(files("hubspot_assets.facts").joinpath(name).read_text("utf-8"))


@cache
def document(name: str) -> dict[str, Any]:
    """A JSON file under `sandbox/data`; shared, not to be changed."""
    text = files("hubspot_assets.sandbox").joinpath("data", name).read_text("utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def value_pools() -> dict[str, list[str]]:
    """Pools of property values by name."""
    return document("values.json")


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A CRM object type as this portal has it.

    `names` are the words that stand for the type in a path besides its id. `plans` are the
    subscription plans that have it switched on; a type that `needs_activation` is in the object
    library; one that is not `searchable` is listed alone. `per_contact` and `at_least` size it.
    """

    object_type_id: str
    name: str
    plural_name: str
    names: tuple[str, ...]
    singular_label: str
    plural_label: str | None
    description: str | None
    read_scope: str
    schema_scope: str
    pipelines: bool
    created_property: str
    modified_property: str
    primary_property: str
    property_sets: tuple[str, ...]
    default_properties: tuple[str, ...]
    per_contact: float
    at_least: int
    first_id: int
    id_step: int
    edit_days: int
    merges: bool
    needs_activation: bool
    searchable: bool
    plans: tuple[str, ...]
    fully_qualified_name: str | None

    @property
    def custom(self) -> bool:
        """Whether the type was made by the portal's users."""
        return self.object_type_id.startswith("2-")

    @property
    def history_cap(self) -> int:
        """How many values of a property's history HubSpot keeps."""
        return 45 if self.object_type_id == "0-1" else 20


def object_types(portal_id: int) -> dict[str, ObjectType]:
    """Every object type that the CRM objects API serves in this portal, by id."""
    facts = {
        row["object_type_id"]: row for row in fact_rows("object_types.csv") if row["api"] == "crm"
    }
    found = [_standard(facts[row["object_type_id"]], row) for row in rows("object_types.csv")]
    found += [_custom(row, portal_id) for row in rows("custom_object_types.csv")]
    return {each.object_type_id: each for each in found}


def generic_types() -> dict[str, ObjectType]:
    """Object types that some portals serve on the generic objects path and others do not, by id:
    types with an API of their own, and documented ones that hardly any portal has."""
    found = [_standard(row, row) for row in rows("generic_object_types.csv")]
    return {each.object_type_id: each for each in found}


def custom_type(
    portal_id: int, number: int, name: str, singular: str, plural: str | None, records: int
) -> ObjectType:
    """A custom object type of the id `2-<number>` that has so many records by the end of 2026."""
    sizes = {"per_contact": 0, "at_least": records, "id_step": 43, "edit_days": 90}
    row = {
        "object_type_id": f"2-{number}", "name": name, "singular_label": singular,
        "plural_label": plural or "", "description": "", "primary_property": "label_text",
        "pipelines": "false", "first_id": str(number * 1_000_000),
        **{key: str(value) for key, value in sizes.items()},
    }  # fmt: skip
    return _custom(row, portal_id)


def _standard(fact: dict[str, str], row: dict[str, str]) -> ObjectType:
    return ObjectType(
        object_type_id=fact["object_type_id"],
        name=fact["name"],
        plural_name=fact["plural_name"],
        names=(fact["name"], fact["plural_name"]),
        singular_label=fact["singular_label"],
        plural_label=fact["plural_label"],
        description=None,
        read_scope=fact["read_scope"],
        schema_scope=f"crm.schemas.{fact['plural_name']}.read",
        pipelines=fact.get("pipelines") == "true",
        created_property=fact["created_property"],
        modified_property=fact["modified_property"],
        primary_property=fact["primary_property"],
        property_sets=tuple(row["property_sets"].split()),
        default_properties=tuple(row["default_properties"].split()),
        plans=tuple(row["plans"].split()),
        fully_qualified_name=None,
        **_sizes(row),
        merges=row["merges"] == "true",
        needs_activation=row["needs_activation"] == "true",
        searchable=row.get("searchable") != "false",
    )


def _custom(row: dict[str, str], portal_id: int) -> ObjectType:
    qualified = f"p{portal_id}_{row['name']}"
    return ObjectType(
        object_type_id=row["object_type_id"],
        name=row["name"],
        plural_name=row["name"],
        names=(qualified, f"p_{row['name']}"),
        singular_label=row["singular_label"],
        plural_label=row["plural_label"] or None,
        description=row["description"] or None,
        read_scope="crm.objects.custom.read",
        schema_scope="crm.schemas.custom.read",
        pipelines=row["pipelines"] == "true",
        created_property="hs_createdate",
        modified_property="hs_lastmodifieddate",
        primary_property=row["primary_property"],
        property_sets=("every", "custom", "pipelined")
        if row["pipelines"] == "true"
        else ("every", "custom"),
        default_properties=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
        plans=("enterprise",),
        fully_qualified_name=qualified,
        **_sizes(row),
        merges=False,
        needs_activation=False,
        searchable=True,
    )


def _sizes(row: dict[str, str]) -> dict[str, Any]:
    return {
        "per_contact": float(row["per_contact"]),
        "at_least": int(row["at_least"]),
        "first_id": int(row["first_id"]),
        "id_step": int(row["id_step"]),
        "edit_days": int(row["edit_days"]),
    }
