"""The portal's catalog: its object types, as discovered, and the standard ones without asking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.associations import standard_types
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import (
    BadRequest,
    HubSpotError,
    NotEnabled,
    NotServed,
    Unexplained,
)
from hubspot_assets.hubspot.events import (
    EventType,
    discover_event_types,
    standard_event_types,
)
from hubspot_assets.hubspot.facts import facts
from hubspot_assets.storage.formats import all_known, check_format, known_fields

FORMAT = 2
#: Object types that HubSpot documents by name, without an id, and that few portals have.
RARE = ("contracts", "partner_clients", "partner_services")
#: Ids of types that HubSpot or an app defines; those of the portal's own have schemas.
_HUBSPOTS = re.compile(r"[01]-[0-9]+")
#: Requests in flight while HubSpot is asked about types that the facts don't know.
_WORKERS = 8


class CatalogError(Exception):
    """What is no catalog, or one that this version can't read."""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One object type. Labels are None where the portal has none.

    `api` is `crm` for the types of the CRM objects API, `none` for those that HubSpot is not known
    to serve (they are tried all the same), else the API of its own that serves the type where the
    CRM objects API does not. `modified_property` is the property that mirrors a record's updatedAt.
    `enabled` is False where the portal's object library has the type switched off.
    """

    id: str
    name: str
    plural_name: str
    fully_qualified_name: str
    singular_label: str | None
    plural_label: str | None
    primary_property: str | None
    modified_property: str = "hs_lastmodifieddate"
    read_scope: str = ""
    pipelines: bool = False
    api: str = "crm"
    enabled: bool = True
    description: str | None = None
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def custom(self) -> bool:
        """Whether the portal's users made it."""
        return self.id.startswith("2-")

    @property
    def standard(self) -> bool:
        """Whether the facts know it, so that no portal calls it otherwise."""
        return self.id in _standard_ids()

    @property
    def label(self) -> str:
        """What people call records of it: the plural label where it has one."""
        return self.plural_label or self.singular_label or self.name


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a portal holds. `portal_id` is None in the standard catalog, which is no portal's.

    `associations` are the ordered pairs of object type ids whose records can be linked. `linked`
    are those of which records have been seen linked, in whichever order: once it is seen, it is
    known for good. `discovered_at` is when the portal was discovered first (ISO, UTC).
    """

    object_types: tuple[ObjectType, ...]
    event_types: tuple[EventType, ...] = ()
    associations: tuple[tuple[str, str], ...] = ()
    portal_id: int | None = None
    account_type: str | None = None
    time_zone: str | None = None
    warnings: tuple[str, ...] = ()
    linked: tuple[tuple[str, str], ...] = ()
    discovered_at: str | None = None

    def has_linked(self, first: str, second: str) -> bool:
        """Whether records of the two types have ever been seen linked."""
        return bool({(first, second), (second, first)} & set(self.linked))

    def with_linked(self, pairs: Iterable[tuple[str, str]]) -> Catalog:
        """The same, in which these pairs of object type ids have links."""
        ordered = {(min(pair), max(pair)) for pair in (*self.linked, *pairs)}
        return replace(self, linked=tuple(sorted(ordered)))

    def to_json(self) -> bytes:
        """The catalog as indented JSON."""
        return orjson.dumps({"format": FORMAT} | asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "the catalog") -> Catalog:
        """The catalog that `to_json` made. Raises CatalogError, and NewerFormatError."""
        try:
            content: dict[str, Any] = orjson.loads(text)
            check_format(content, FORMAT, where)
            if content.pop("format") != FORMAT:
                raise CatalogError("of another format")
            types = all_known(ObjectType, content.pop("object_types"))
            events = all_known(EventType, content.pop("event_types"))
            pairs = tuple((first, second) for first, second in content.pop("associations"))
            warnings = tuple(content.pop("warnings"))
            linked = tuple((first, second) for first, second in content.pop("linked", ()))
            more = known_fields(cls, content)
            return cls(types, events, pairs, warnings=warnings, linked=linked, **more)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CatalogError(f"no portal catalog ({error!r})") from error


def known_zone(name: str | None) -> ZoneInfo | None:
    """The time zone of a name; None for one that this machine does not know."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(name or "")
    return None


@cache
def standard_catalog() -> Catalog:
    """HubSpot's standard object and event types, from the data files of facts."""
    types = tuple(map(_standard_type, facts("object_types.csv")))
    known = {each.id for each in types}
    pairs = {
        (each.from_type, each.to_type)
        for each in standard_types()
        if each.from_type in known and each.to_type in known
    }
    return Catalog(types, standard_event_types(), associations=tuple(sorted(pairs)))


@cache
def _standard_ids() -> frozenset[str]:
    return frozenset(each.id for each in standard_catalog().object_types)


def _standard_type(row: dict[str, str]) -> ObjectType:
    return ObjectType(
        id=row["object_type_id"],
        name=row["name"],
        plural_name=row["plural_name"],
        fully_qualified_name=row["fully_qualified_name"],
        singular_label=row["singular_label"],
        plural_label=row["plural_label"],
        primary_property=row["primary_property"],
        modified_property=row["modified_property"],
        read_scope=row["read_scope"],
        pipelines=row["pipelines"] == "true",
        api=row["api"],
    )


def discover(client: HubSpot, former: Catalog | None = None) -> Catalog:
    """Asks the portal for its account details, object library, custom object types and event types.

    What HubSpot refuses to tell is as the `former` catalog of the portal has it, if there is one,
    with a warning. Raises HubSpotError where the portal can't be asked at all.
    """
    details = client.get("account", "details").content
    standard = standard_catalog()
    discovered_at: str | None = datetime.now(UTC).isoformat(timespec="seconds")
    if former is None or former.portal_id != details.get("portalId"):
        former = standard
    else:
        discovered_at = former.discovered_at
    warnings: tuple[str, ...] = ()
    with ThreadPoolExecutor(2, thread_name_prefix="hubspot") as pool:
        schemas_told = pool.submit(lambda: client.get("schemas").items())
        events_told = pool.submit(
            discover_event_types, client, details.get("portalId"), former.event_types
        )
        library = _library(client, former)
        others = _other_types(client, library, former)
    custom = tuple(each for each in former.object_types if each.custom)
    pairs = set(former.associations) - set(standard.associations)
    try:
        schemas = schemas_told.result()
    except NotServed as error:
        warnings = (f"custom object types are unknown: {error}",)
        schemas = []
    else:
        custom = tuple(map(_custom_type, schemas))
        pairs = {pair for pair in pairs if not any(end.startswith("2-") for end in pair)}
    pairs |= {
        (str(each["fromObjectTypeId"]), str(each["toObjectTypeId"]))
        for schema in (*schemas, *others.schemas)
        for each in schema.get("associations") or ()
    }
    events, refused = events_told.result()
    time_zone = details.get("timeZone")
    if time_zone and not known_zone(time_zone):
        unknown = f"the portal's time zone {time_zone!r} is not known here: install a newer tzdata"
        warnings += (f"{unknown}; until then its daily limit is taken to end at midnight UTC",)
    return Catalog(
        object_types=(
            *(replace(each, enabled=library.get(each.id, True)) for each in standard.object_types),
            *sorted(others.types, key=_number),
            *sorted(custom, key=_number),
        ),
        event_types=events,
        associations=(*standard.associations, *sorted(pairs)),
        portal_id=details.get("portalId"),
        account_type=details.get("accountType"),
        time_zone=time_zone,
        warnings=warnings + refused + tuple(others.warnings),
        linked=former.linked,
        discovered_at=discovered_at,
    )


def changed_types(client: HubSpot, known: Iterable[ObjectType]) -> Iterator[str]:
    """What is different now of the custom types among all that were discovered, a line each.

    Nothing where the token may not read schemas.
    """
    try:
        schemas = client.get("schemas").items()
    except NotServed:
        return
    now = {each.id: each for each in map(_custom_type, schemas)}
    old = {each.id: each for each in known if each.custom}
    for type_id, each in now.items():
        what = f"the custom type {each.name} ({type_id})"
        if type_id not in old:
            yield f"{what} is new, and not known here until it is discovered"
        elif (former := old[type_id].label) != each.label:
            yield (
                f"{what} is called {each.label} now, and {former} here until it is discovered again"
            )
    for type_id, each in old.items():
        if type_id not in now:
            yield f"the custom type {each.name} ({type_id}) is gone"


def _library(client: HubSpot, former: Catalog) -> dict[str, bool]:
    """By object type id whether it is switched on in the object library; as it was in the `former`
    catalog where HubSpot refuses to tell."""
    try:
        told = client.get("object_library").content
    except NotServed:
        return {each.id: each.enabled for each in former.object_types}
    return {
        type_id: bool(on) for type_id, on in (told.get("enablementByObjectTypeId") or {}).items()
    }


class _Others(NamedTuple):
    """Object types of HubSpot's that the facts don't know, what they say of themselves, and which
    of them can't be read."""

    types: list[ObjectType]
    schemas: list[dict[str, Any]]
    warnings: list[str]


def _other_types(client: HubSpot, library: Mapping[str, bool], former: Catalog) -> _Others:
    """The types beyond the facts that the portal has on.

    Those of the object library are there, and named, whether or not they can be read; one that
    HubSpot merely documents is not where it answers that there is no such type. What HubSpot
    refuses to tell of a type is as it was in the `former` catalog.
    """
    known = set(_standard_ids())
    others = _Others([], [], [])
    on = {type_id for type_id, is_on in library.items() if is_on and _HUBSPOTS.fullmatch(type_id)}
    names = (*sorted(on - known), *RARE)
    told = in_order(lambda name: _schema(client, name), names, _WORKERS)
    for name, (schema, refusal) in zip(names, told, strict=True):
        kept = _kept(former, name) if refusal and not isinstance(refusal, NotEnabled) else None
        type_id = str(schema.get("objectTypeId") or (kept.id if kept else name))
        if not schema and not kept and name in RARE:
            if not isinstance(refusal, NotEnabled):
                others.warnings.append(f"whether there are {name} is unknown: {refusal}")
            continue
        if type_id in known:
            continue
        known.add(type_id)
        found = kept or _described({"objectTypeId": type_id, "name": name} | schema)
        try:
            metadata.probe(client, type_id)
        except NotServed as error:
            served = error.availability != "not_enabled"
            if not served and name in RARE:
                continue
            others.warnings.append(f"{found.label} ({type_id}) can't be read: {error}")
            found = found if served else replace(found, api="none")
        others.types.append(found)
        others.schemas.append(schema)
    return others


def _schema(client: HubSpot, name: str) -> tuple[dict[str, Any], HubSpotError | None]:
    """What HubSpot tells of a type by id or name; nothing, and what it said, where it refuses.

    What it answers for a type that nobody knows is not known, either.
    """
    try:
        return client.get("schemas", "one", object_type=name).content, None
    except (NotServed, BadRequest, Unexplained) as error:
        return {}, error


def _kept(former: Catalog, name: str) -> ObjectType | None:
    """What a catalog has by this id or name, beyond the facts."""
    names = ((each, (each.id, each.name, each.plural_name)) for each in former.object_types)
    return next((each for each, of in names if name in of and not each.standard), None)


def _number(of: ObjectType) -> tuple[int, ...]:
    return tuple(int(part) for part in of.id.split("-"))


def _custom_type(schema: dict[str, Any]) -> ObjectType:
    return replace(_described(schema), read_scope="crm.objects.custom.read")


def _described(schema: Mapping[str, Any]) -> ObjectType:
    """A type as its schema tells of it. That it has no pipelines is known by asking alone."""
    labels = schema.get("labels") or {}
    return ObjectType(
        id=schema["objectTypeId"],
        name=schema["name"],
        plural_name=schema["name"],
        fully_qualified_name=schema.get("fullyQualifiedName") or schema["name"],
        singular_label=labels.get("singular"),
        plural_label=labels.get("plural"),
        primary_property=schema.get("primaryDisplayProperty"),
        pipelines=True,
        description=schema.get("description"),
        created_at=schema.get("createdAt"),
        updated_at=schema.get("updatedAt"),
    )
