"""The event types of a portal: HubSpot's own, custom ones, and those of apps."""

from dataclasses import dataclass

from hubspot_assets.sandbox.facts import fact_rows, rows
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.values import pool

#: Standard events whose id nobody knows get one that is good for this sandbox alone.
_FIRST_UNKNOWN = 990_001
_FILL = 75


@dataclass(frozen=True, slots=True)
class Rate:
    """How often an event happens to records of a type: `per_day` events a day and record, so
    many (`burst`) in one millisecond."""

    object_type_id: str
    per_day: float
    burst: int = 1


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type. `name` is the fully qualified one. `served` says whether the events API
    gives its occurrences, which e-mail events are not. `properties` holds what occurrences
    may have, in definitions or not."""

    event_type_id: str
    name: str
    singular_label: str
    plural_label: str
    description: str
    object_type_id: str
    tracking_type: str
    properties: tuple[Property, ...]
    rates: tuple[Rate, ...]
    served: bool = True

    @property
    def custom(self) -> bool:
        """Whether the portal's users made it: only these have a definition."""
        return self.event_type_id.startswith("6-")

    @property
    def own_name(self) -> str:
        """The name without the prefix that tells whose it is."""
        return self.name.partition("_")[2]


def event_types(portal_id: int) -> list[EventType]:
    """Every event type that the portal has from the start."""
    rates = _rates(portal_id)
    found = [_standard(at, row, rates) for at, row in enumerate(fact_rows("standard_events.csv"))]
    return found + [_own(row, portal_id, rates) for row in rows("event_types.csv")]


def custom_event(
    event_type_id: str, name: str, label: str, rate: Rate, properties: dict[str, str]
) -> EventType:
    """A custom event type with properties of these types, by name, and HubSpot's own ones."""
    made = [
        {"name": each, "label": each, "type": kind, "field_type": "text", "values": "",
         "fill": "90", "options": ""}
        for each, kind in properties.items()
    ]  # fmt: skip
    return EventType(
        event_type_id=event_type_id,
        name=name,
        singular_label=label,
        plural_label="",
        description="",
        object_type_id=rate.object_type_id,
        tracking_type="MANUAL",
        properties=_by_name(_shared("pe") + [_property(row, "custom") for row in made]),
        rates=(rate,),
    )


def _standard(at: int, row: dict[str, str], rates: dict[str, tuple[Rate, ...]]) -> EventType:
    values = {each["name"]: each for each in rows("event_values.csv")}
    known = [
        _property({**each, "field_type": "text", "options": "", **_values(values, each["name"])})
        for each in fact_rows("standard_event_properties.csv")
        if each["event"] == row["name"]
    ]
    return EventType(
        event_type_id=row["event_type_id"] or f"4-{_FIRST_UNKNOWN + at}",
        name=row["name"],
        singular_label=row["label"],
        plural_label="",
        description="",
        object_type_id=row["object_type_id"],
        tracking_type="",
        properties=_by_name(_shared("e") + known),
        rates=rates.get(row["name"], ()),
        served=row["source"] == "events",
    )


def _own(row: dict[str, str], portal_id: int, rates: dict[str, tuple[Rate, ...]]) -> EventType:
    """A custom event type, or one of an app."""
    name = row["name"].format(portal_id=portal_id)
    flags = "custom" if row["event_type_id"].startswith("6-") else ""
    own = [
        _property(each, flags)
        for each in rows("event_properties.csv")
        if each["event"] == row["name"]
    ]
    return EventType(
        event_type_id=row["event_type_id"],
        name=name,
        singular_label=row["singular_label"],
        plural_label=row["plural_label"],
        description=row["description"],
        object_type_id=row["object_type_id"],
        tracking_type=row["tracking_type"],
        properties=_by_name((_shared("pe") if flags else []) + own),
        rates=rates.get(name, ()),
    )


def _rates(portal_id: int) -> dict[str, tuple[Rate, ...]]:
    found: dict[str, tuple[Rate, ...]] = {}
    for row in rows("event_rates.csv"):
        name = row["name"].format(portal_id=portal_id)
        rate = Rate(row["object_type_id"], float(row["per_day"]), int(row["burst"]))
        found[name] = (*found.get(name, ()), rate)
    return found


def _shared(prefix: str) -> list[Property]:
    """Properties of every event whose name has this prefix."""
    return [_property(row) for row in rows("event_properties.csv") if row["event"] == prefix]


def _values(values: dict[str, dict[str, str]], name: str) -> dict[str, str]:
    return values.get(name, {"values": "", "fill": str(_FILL)})


def _property(row: dict[str, str], flags: str = "") -> Property:
    pairs = (text.partition("=") for text in row["options"].split(";") if text)
    options = tuple((value, label) for value, _, label in pairs)
    many = row["field_type"] == "checkbox"
    return Property(
        number=0,
        name=row["name"],
        label=row["label"],
        type=row["type"],
        field_type=row["field_type"],
        group="event_information",
        life="plain",
        fill=int(row["fill"]),
        values=row["values"],
        flags=frozenset(filter(None, [flags])),
        references="",
        options=options if row["type"] == "enumeration" else (),
        pool=pool(row["values"], row["type"], tuple(value for value, _ in options), many=many),
    )


def _by_name(properties: list[Property]) -> tuple[Property, ...]:
    return tuple(sorted(properties, key=lambda each: each.name))
