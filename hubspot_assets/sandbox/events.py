"""The events API: occurrences, the names of event types, definitions of custom ones."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.errors import ApiError, invalid, object_not_found
from hubspot_assets.sandbox.event_life import Spark, time_of
from hubspot_assets.sandbox.event_types import EventType
from hubspot_assets.sandbox.properties import definition
from hubspot_assets.sandbox.scopes import EVENT_DEFINITIONS
from hubspot_assets.sandbox.stamps import DAY, iso, milliseconds, parse_iso
from hubspot_assets.sandbox.values import text_number

_DEFINED_AT = 1_680_000_000_000
_PAGE = 20
_DEFINITIONS_PAGE, _MOST_DEFINITIONS = 20, 100
#: Whether the newest come first, by what `sort` says; HubSpot's documents tell of both forms.
_SORTS = {
    "": True, "-occurredat": True, "descending": True, "occurredat": False, "ascending": False,
}  # fmt: skip


def list_types(call: Call) -> Answer:
    """`GET /events/event-occurrences/event-types`: every name, of never fired events too."""
    _need_enterprise(call)
    return told({"eventTypes": call.portal.event_types()})


def list_occurrences(call: Call) -> Answer:
    """`GET /events/event-occurrences`: the newest come first unless `sort` says otherwise.

    `occurredAfter` is inclusive and `occurredBefore` exclusive (HubSpot documents neither; the
    portal's settings can make the latter inclusive). Nothing is told of e-mail events.
    """
    _need_enterprise(call)
    limit = call.limit(_PAGE, call.portal.config.events_page)
    newest_first = _newest_first(call)
    if call.one("before") and not call.one("after"):
        found = list(islice(_walk(call, "before", newest_first=not newest_first), limit))[::-1]
        after = _cursor(found[-1]) if found else None
    else:
        found = list(islice(_walk(call, "after", newest_first=newest_first), limit + 1))
        after = _cursor(found[limit - 1]) if len(found) > limit else None
    wanted = set(call.many("properties"))
    return call.paged([_occurrence(call, spark, wanted) for spark in found[:limit]], after)


def _need_enterprise(call: Call) -> None:
    if call.portal.config.plan != "enterprise":
        raise ApiError(
            403,
            "This account does not have access to the events API; it requires an Enterprise "
            "subscription",
        )


def _newest_first(call: Call) -> bool:
    asked = call.one("sort").lower()
    if asked not in _SORTS:
        raise invalid(f"Invalid value for sort: {asked}")
    return _SORTS[asked]


def _walk(call: Call, cursor: str, *, newest_first: bool) -> Iterator[Spark]:
    """What the request asks for, from the cursor of that name on."""
    kinds, keep, (start, end) = _kinds(call), _filter(call), _window(call)
    last = _decoded(call.one(cursor)) if call.one(cursor) else None
    if last is not None and newest_first:
        end = min(end, last.at + 1)
    elif last is not None:
        start = max(start, last.at)
    for spark in call.portal.event_life.sparks(kinds, start, end, newest_first=newest_first):
        passed = last is None or (spark < last if newest_first else spark > last)
        if passed and keep(spark):
            yield spark


def _kinds(call: Call) -> list[EventType]:
    name, kinds = call.one("eventType"), call.portal.event_life.kinds
    if not name:
        return list(kinds.values())
    if name not in kinds:
        raise invalid(f"Unknown event type: {name}")
    return [kinds[name]]


def _window(call: Call) -> tuple[int, int]:
    """First moment and the one after the last: of time, of the ids, and never the future."""
    start, end = _moment(call, "occurredAfter", 0), _moment(call, "occurredBefore", call.now + 1)
    if call.one("occurredBefore") and call.portal.config.occurred_before_inclusive:
        end += 1
    if call.one("objectType") and call.one("objectId"):
        start = max(start, _created(call))
    times = [at for each in call.many("id") if (at := time_of(each)) is not None]
    if call.many("id"):
        start, end = max(start, min(times, default=end)), min(end, max(times, default=start) + 1)
    return start, min(end, call.now + 1)


def _created(call: Call) -> int:
    """When the record was created that is asked for: nothing happened to it before."""
    life = call.portal.life(call.object_type(call.one("objectType")).object_type_id)
    object_id = call.one("objectId")
    index = life.index_of(int(object_id), call.now) if object_id.isdecimal() else None
    return call.now + 1 if index is None else life.created(index)


def _moment(call: Call, name: str, default: int) -> int:
    text = call.one(name)
    try:
        return milliseconds(parse_iso(text)) if text else default
    except ValueError:
        raise invalid(f"Invalid value for {name}: {text}") from None


def _filter(call: Call) -> Callable[[Spark], bool]:
    """The test of records, ids and property values."""
    if any(key.startswith("objectProperty.") for key, _ in call.query):
        raise invalid("objectProperty is not served by the sandbox; use objectId")
    alias, object_id, ids = call.one("objectType"), call.one("objectId"), set(call.many("id"))
    if object_id and not alias:
        raise invalid("objectId requires objectType")
    object_type_id = call.object_type(alias).object_type_id if alias else None
    life, prefix = call.portal.event_life, "property."
    values = {
        (key.removeprefix(prefix), value) for key, value in call.query if key.startswith(prefix)
    }

    def keep(spark: Spark) -> bool:
        return (
            (object_type_id is None or spark.object_type_id == object_type_id)
            and (not object_id or str(spark.object_id) == object_id)
            and (not ids or spark.id in ids)
            and (not values or values <= life.properties(spark).items())
        )

    return keep


def _occurrence(call: Call, spark: Spark, wanted: set[str]) -> dict[str, Any]:
    life = call.portal.event_life
    properties = life.properties(spark)
    if wanted:
        properties = {name: value for name, value in properties.items() if name in wanted}
    record_type = call.object_type(spark.object_type_id)
    return {
        "objectType": record_type.fully_qualified_name or record_type.name.upper(),
        "objectId": str(spark.object_id),
        "eventType": life.kind_of(spark).name,
        "occurredAt": iso(spark.at),
        "id": spark.id,
        "properties": properties,
    }


def _cursor(spark: Spark) -> str:
    """Where a page ends: base64 of `timestamp|objectTypeId|objectId|eventTypeId|hash`."""
    *parts, bits = spark
    return b64encode("|".join([*map(str, parts), f"{bits:016x}"]).encode()).decode()


def _decoded(cursor: str) -> Spark:
    try:
        at, object_type_id, object_id, event_type_id, bits = b64decode(cursor).decode().split("|")
        return Spark(int(at), object_type_id, int(object_id), event_type_id, int(bits, 16))
    except ValueError:
        raise invalid(f"Invalid value for the paging cursor: {cursor}") from None


# Definitions


def list_definitions(call: Call) -> Answer:
    """`GET /events/event-definitions`: custom events only, by name; `after` is an offset."""
    _need_definitions(call)
    limit, start = call.limit(_DEFINITIONS_PAGE, _MOST_DEFINITIONS), call.after()
    asked = call.one("searchString").lower()
    found = sorted(
        (
            each
            for each in call.portal.event_definitions()
            if asked in f"{each.name}\n{each.singular_label}".lower()
        ),
        key=lambda each: each.name,
        reverse=call.one("sortOrder").upper().startswith("DESC"),
    )
    shown = found[start : start + limit]
    after = start + limit if start + limit < len(found) else None
    paging = call.paging(after)
    page: dict[str, Any] = {"total": len(found), "results": [_defined(call, e) for e in shown]}
    return told(page if paging is None else {**page, "paging": paging})


def read_definition(call: Call) -> Answer:
    """`GET /events/event-definitions/{eventName}`, the fully qualified one."""
    _need_definitions(call)
    for each in call.portal.event_definitions():
        if each.name == call.params["eventName"]:
            return told(_defined(call, each, default=True))
    raise object_not_found(f"Event definition {call.params['eventName']}")


def _need_definitions(call: Call) -> None:
    _need_enterprise(call)
    call.need(EVENT_DEFINITIONS)


def _defined(call: Call, each: EventType, *, default: bool = False) -> dict[str, Any]:
    made_at = _DEFINED_AT + text_number(each.own_name) % (30 * DAY)
    labels = {"singular": each.singular_label, "plural": each.plural_label}
    record_type = call.portal.find_type(each.object_type_id)
    answer: dict[str, Any] = {
        "id": each.event_type_id.partition("-")[2],
        "objectTypeId": each.event_type_id,
        "name": each.own_name,
        "fullyQualifiedName": each.name,
        "labels": {form: label for form, label in labels.items() if label},
        "primaryObjectId": each.object_type_id,
        "trackingType": each.tracking_type,
        "properties": [],
        "associations": [],
        "archived": False,
        "createdAt": iso(made_at),
        "updatedAt": iso(made_at + DAY),
        "createdUserId": 9586504,
        "updatedUserId": 9586505,
    }
    if each.description:
        answer["description"] = each.description
    if record_type is not None:
        answer["primaryObject"] = record_type.fully_qualified_name or record_type.name.upper()
    if call.flag("includeProperties", default=default):
        answer["properties"] = [definition(each) for each in each.properties]
    return answer
