"""The CRM objects API: list, read one, batch read."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from hubspot_assets.sandbox.associations import Inline
from hubspot_assets.sandbox.call import Answer, Call
from hubspot_assets.sandbox.cursors import cursor, cursor_numbers
from hubspot_assets.sandbox.errors import invalid, missing_records, not_found
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.portal import Portal
from hubspot_assets.sandbox.render import Selection, enclosed
from hubspot_assets.sandbox.scopes import records_scopes
from hubspot_assets.sandbox.stamps import moment

PAGE = 100
PAGE_WITH_HISTORY = 50
#: Recent answers to the same set of names share their prepared texts.
_SELECTIONS = 256


@lru_cache(maxsize=_SELECTIONS)
def selection(
    portal: Portal, kind: ObjectType, names: tuple[str, ...], with_history: tuple[str, ...]
) -> Selection:
    """Prepared texts for the properties a request asks for; the type's default ones if none."""
    url = (
        f"https://app.hubspot.com/contacts/{portal.config.portal_id}/record/{kind.object_type_id}/"
    )
    return Selection(
        kind,
        portal.readable_properties(kind),
        names or kind.default_properties,
        with_history,
        url=url,
        size=len(portal.properties(kind.object_type_id)),
    )


def open_type(call: Call) -> tuple[ObjectType, Life]:
    """The type a path names, and its records; 400 or 403 if they cannot be read."""
    kind = call.object_type(call.params["objectType"])
    call.need(records_scopes(kind))
    return kind, call.portal.life(kind.object_type_id)


def list_records(call: Call) -> Answer:
    """`GET /crm/objects/{objectType}`: live (or archived) records in order of their ids."""
    kind, life = open_type(call)
    with_history = call.many("propertiesWithHistory")
    if with_history:
        limit = call.limit(10, PAGE_WITH_HISTORY, why=" for requests with propertiesWithHistory")
    else:
        limit = call.limit(10, PAGE)
    inline = Inline(call, kind)
    chosen = selection(call.portal, kind, call.many("properties"), with_history)
    start = life.index_at(_after(call), call.now)
    walk = life.archived if call.flag("archived") else life.live
    _interfere(call, life, walk(call.now, start))
    found = list(islice(walk(call.now, start), limit + 1))
    after = life.record_id(found[limit - 1], call.now) + 1 if len(found) > limit else None
    rendered = _rendered(call, life, chosen, found[:limit])
    rendered = list(map(inline.add, found, rendered))
    opaque = after is not None and call.portal.config.opaque_cursors
    paging = call.paging(cursor(after or 0) if opaque else after)
    return Answer(200, enclosed(rendered, {} if paging is None else {"paging": paging}))


def _after(call: Call) -> int:
    """The id from which a list is to go on."""
    if call.one("after") and call.portal.config.opaque_cursors:
        return cursor_numbers(call.one("after"), 1)[0]
    return call.after()


def read_record(call: Call) -> Answer:
    """`GET /crm/objects/{objectType}/{id}`; a merged-away id gives the survivor."""
    kind, life = open_type(call)
    inline = Inline(call, kind)
    chosen = selection(
        call.portal, kind, call.many("properties"), call.many("propertiesWithHistory")
    )
    index = _find(call, kind, life, call.params["objectId"], call.one("idProperty"))
    index = None if index is None else life.survivor(index, call.now)
    if index is None or not _visible(life, index, call.now, archived=call.flag("archived")):
        raise not_found()
    return Answer(200, inline.add(index, _rendered(call, life, chosen, [index])[0]))


def batch_read(call: Call) -> Answer:
    """`POST /crm/objects/{objectType}/batch/read`; 207 with one error that has all missing
    ids, those of merged-away records among them unless the portal gives their survivors."""
    kind, life = open_type(call)
    asked = call.json()
    inputs = _inputs(asked)
    with_history = _names(asked, "propertiesWithHistory")
    if with_history and len(inputs) > PAGE_WITH_HISTORY:
        raise invalid(
            "The maximum number of inputs supported in a batch request for property histories is "
            f"{PAGE_WITH_HISTORY}. Please reduce the number of items and try again"
        )
    if len(inputs) > PAGE:
        raise invalid(f"The maximum number of inputs supported in a batch request is {PAGE}")
    archived = call.flag("archived")
    chosen = selection(call.portal, kind, _names(asked, "properties"), with_history)
    id_property = asked.get("idProperty") or ""
    indexes = {key: _find(call, kind, life, key, id_property) for key in inputs}
    _interfere(call, life, (index for index in indexes.values() if index is not None))
    lead_on = call.portal.config.merged_ids_lead_on
    for key, index in indexes.items():
        if index is None:
            continue
        if lead_on:
            indexes[key] = life.survivor(index, call.now)
        elif not id_property and life.record_id(index, call.now) != int(key):
            indexes[key] = None
    found = {
        key: index
        for key, index in indexes.items()
        if index is not None and _visible(life, index, call.now, archived=archived)
    }
    missing = [key for key in inputs if key not in found]
    unique = sorted(set(found.values()))
    rendered = _rendered(call, life, chosen, unique)
    return call.batch(rendered, [missing_records(kind, missing)] if missing else [])


def _rendered(call: Call, life: Life, chosen: Selection, indexes: list[int]) -> list[bytes]:
    now, traced = call.now, chosen.traced
    if chosen.bare:
        return [chosen.render(life.bare(index, now)) for index in indexes]
    return [chosen.render(life.readable(index, now, traced=traced)) for index in indexes]


def _inputs(asked: dict[str, Any]) -> list[str]:
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(i, dict) and "id" in i for i in inputs):
        raise invalid("Some required fields were not set: [inputs]")
    return list(dict.fromkeys(str(each["id"]) for each in inputs))


def _names(asked: dict[str, Any], member: str) -> tuple[str, ...]:
    names = asked.get(member) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(f"Invalid value for {member}: expected a list of names")
    return tuple(names)


def _find(call: Call, kind: ObjectType, life: Life, key: str, id_property: str) -> int | None:
    """Index of the record an id stands for; with `idProperty`, the value of a unique one."""
    if id_property and id_property != "hs_object_id":
        return _find_unique(call, kind, life, key, id_property)
    if not key.isdecimal():
        return None
    return life.index_of(int(key), call.now)


def _find_unique(
    call: Call, kind: ObjectType, life: Life, key: str, id_property: str
) -> int | None:
    each = call.portal.readable_properties(kind).get(id_property)
    if each is None or "unique" not in each.flags:
        raise invalid(f"Property {id_property} of {kind.name} does not have unique values")
    digits = "".join(c if c.isdigit() else " " for c in key).split()
    for candidate in digits[:1]:
        index = int(candidate)
        if life.unique_value(each.values, index).lower() == key.lower():
            exists = life.created(index) <= call.now
            if exists and each.number in life.record(index, call.now).values:
                return index
    return None


def _visible(life: Life, index: int, now: int, *, archived: bool) -> bool:
    if archived:
        return life.created(index) <= now and life.archived_at(index, now) is not None
    return life.is_live(index, now)


def _interfere(call: Call, life: Life, indexes: Iterator[int]) -> None:
    """The faults that end the first record asked for, just before it is read."""
    if call.fault is None or call.fault.kind not in ("archive_first", "merge_first"):
        return
    living = [index for index in islice(indexes, 2) if life.is_live(index, call.now)]
    object_type_id, at = life.kind.object_type_id, moment(call.now)
    if call.fault.kind == "archive_first" and living:
        call.portal.archive(object_type_id, life.record_id(living[0], call.now), at)
    elif len(living) > 1:
        first, second = (life.record_id(each, call.now) for each in living)
        call.portal.merge(object_type_id, first, second, at)
