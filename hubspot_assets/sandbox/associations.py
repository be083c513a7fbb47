"""The associations API, and the links that come inline with records."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from itertools import islice, product
from typing import Any

import orjson

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.errors import ApiError, invalid, missing_scopes, not_found
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.links import Links, Partner
from hubspot_assets.sandbox.portal import Moment
from hubspot_assets.sandbox.render import enclosed

BATCH = 1_000
PAGE = 500
INLINE = 100
MOST_LABELS = 50

#: A record asked for, and the id of the first partner to be told.
_Input = tuple[int, int]


def batch_read(call: Call) -> Answer:
    """`POST /crm/associations/{fromObjectType}/{toObjectType}/batch/read`: 500 partners per
    record, by ascending ids; 207 with an error for each record that has none."""
    source, target = _open_pair(call)
    inputs = _inputs(call.json())
    links = Moment(call.portal, call.now).links(source.object_type_id, target.object_type_id)
    results, errors = [], []
    for record_id, start in inputs:
        found = [] if links is None else _page(links, record_id, start, PAGE)
        if links is None or not (found or start):
            errors.append(_no_links(source, target, record_id))
        else:
            results.append(_result(links, record_id, found))
    return call.batch(results, errors)


def list_links(call: Call) -> Answer:
    """`GET /crm/objects/{objectType}/{objectId}/associations/{toObjectType}`."""
    links, record_id = _of_one(call)
    limit, start = call.limit(PAGE, PAGE), _start(call.one("after"))
    if links is None:
        return told({"results": []})
    found = _page(links, record_id, start, limit)
    paging = call.paging(_cursor(links, found.pop()) if len(found) > limit else None)
    rest = {} if paging is None else {"paging": paging}
    return Answer(200, enclosed(_partners(links, found), rest))


def list_named_links(call: Call) -> Answer:
    """The same in version 3: an entry per link and type, which has a name; `after` is an id."""
    links, record_id = _of_one(call)
    limit, start = call.limit(PAGE, PAGE), call.after()
    if links is None:
        return told({"results": []})
    found = _page(links, record_id, start, limit)
    after = links.target.ids[found.pop()[0]] if len(found) > limit else None
    return call.paged(_named(links, found), after)


def list_labels(call: Call) -> Answer:
    """`GET /crm/associations/{fromObjectType}/{toObjectType}/labels`: unpaged."""
    source, target = _open_pair(call)
    return told({
        "results": [
            {"category": each.category, "typeId": each.type_id, "label": each.label}
            for each in call.portal.association_definitions(
                source.object_type_id, target.object_type_id
            )
        ]
    })  # fmt: skip


def label_limits(call: Call) -> Answer:
    """`GET /crm/limits/associations/labels`: the portal's own labels, by ordered pair of types that
    the token can read. It needs a Professional subscription."""
    portal = call.portal
    if portal.config.plan not in ("pro", "enterprise"):
        raise ApiError(403, "This account does not have access to association labels")
    kinds = [
        kind
        for kind in portal.object_types()
        if portal.is_enabled(kind) and kind.read_scope in portal.scopes
    ]
    found = []
    for near, far in product(kinds, kinds):
        types = portal.association_definitions(near.object_type_id, far.object_type_id)
        labels = [each.label for each in types if each.label and each.category == "USER_DEFINED"]
        if labels:
            found.append({
                "fromObjectType": _labelled(near),
                "toObjectType": _labelled(far),
                "allLabels": labels,
                "limit": MOST_LABELS,
                "usage": len(labels),
                "percentage": 100 * len(labels) / MOST_LABELS,
            })  # fmt: skip
    return told({"results": found})


def _labelled(kind: ObjectType) -> dict[str, str]:
    return {
        "objectTypeId": kind.object_type_id,
        "singularLabel": kind.singular_label,
        "pluralLabel": kind.plural_label or kind.singular_label,
    }


class Inline:
    """The links that `associations=` asks for with the records of a type; 403 without the scope
    of one. A name that is no type of the portal is passed over, or 400 where that is strict."""

    def __init__(self, call: Call, kind: ObjectType) -> None:
        self._address = f"{call.origin}/crm/v3/objects/{kind.object_type_id}"
        self._asked: list[tuple[str, Links]] = []
        moment = Moment(call.portal, call.now)
        for alias in dict.fromkeys(call.many("associations")):
            try:
                target = call.object_type(alias)
            except ApiError:
                if call.portal.config.strict_associations:
                    raise
                continue
            _need(call, target)
            links = moment.links(kind.object_type_id, target.object_type_id)
            if links is not None:
                self._asked.append((alias, links))

    def add(self, index: int, rendered: bytes) -> bytes:
        """A record as JSON, with the first hundred links of each type if it has any."""
        told = {}
        for alias, links in self._asked:
            found = list(islice(links.partners(index), INLINE + 1))
            if found:
                told[alias] = self._collection(alias, links, index, found)
        if not told:
            return rendered
        return b'%b,"associations":%b}' % (rendered[:-1], orjson.dumps(told))

    def _collection(
        self, alias: str, links: Links, index: int, found: list[Partner]
    ) -> dict[str, Any]:
        if len(found) <= INLINE:
            return {"results": _named(links, found)}
        after = str(links.target.ids[found.pop()[0]])
        path = f"{self._address}/{links.source.ids[index]}/associations/{alias}"
        paging = {"next": {"after": after, "link": f"{path}?after={after}"}}
        return {"results": _named(links, found), "paging": paging}


def _open_pair(call: Call) -> tuple[ObjectType, ObjectType]:
    """The types a path names; 400 if they cannot be linked, 403 if one cannot be read."""
    source = call.object_type(call.params["objectType"])
    target = call.object_type(call.params["toObjectType"])
    _need(call, source, target)
    ids = source.object_type_id, target.object_type_id
    if not call.portal.association_definitions(*ids):
        raise invalid(f"{source.name} and {target.name} cannot be associated: {ids[0]}, {ids[1]}")
    return source, target


def _need(call: Call, *kinds: ObjectType) -> None:
    """403 unless the records of all the types can be read."""
    scopes = dict.fromkeys(kind.read_scope for kind in kinds)
    missing = [scope for scope in scopes if scope not in call.portal.scopes]
    if missing:
        raise missing_scopes(missing)


def _of_one(call: Call) -> tuple[Links | None, int]:
    """The links of the pair a path names, and the id of the record; 404 if that is not live."""
    source, target = _open_pair(call)
    life, text = call.portal.life(source.object_type_id), call.params["objectId"]
    index = life.index_of(int(text), call.now) if text.isdecimal() else None
    index = None if index is None else life.survivor(index, call.now)
    if index is None or not life.is_live(index, call.now):
        raise not_found()
    moment = Moment(call.portal, call.now)
    links = moment.links(source.object_type_id, target.object_type_id)
    return links, life.record_id(index, call.now)


def _inputs(asked: dict[str, Any]) -> list[_Input]:
    """What a batch asks for, each once, by ascending ids; one wrong id spoils it."""
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(i, dict) and "id" in i for i in inputs):
        raise invalid("Some required fields were not set: [inputs]")
    if len(inputs) > BATCH:
        raise invalid(f"The maximum number of inputs supported in a batch request is {BATCH}")
    texts = [str(each["id"]) for each in inputs]
    wrong = [text for text in texts if not (text.isascii() and text.isdecimal())]
    if wrong:
        raise invalid(f"Invalid object id: {wrong[0]}", context={"id": wrong})
    starts = [_start(each.get("after")) for each in inputs]
    return sorted(set(zip(map(int, texts), starts, strict=True)))


def _page(links: Links, record_id: int, start: int, limit: int) -> list[Partner]:
    """Partners from the id `start` on, one more than `limit` if there are more."""
    now = links.source.now
    index = links.source.population.holder(record_id, now)
    if index is None:
        return []
    first = links.target.population.index_at(start, now) if start else 0
    return list(islice(links.partners(index, first), limit + 1))


def _result(links: Links, record_id: int, found: list[Partner]) -> bytes:
    paging = b""
    if len(found) > PAGE:
        after = _cursor(links, found.pop())
        told = {"next": {"after": after, "link": f"?after={after}"}}
        paging = b',"paging":' + orjson.dumps(told)
    to = b",".join(_partners(links, found))
    return b'{"from":{"id":"%d"},"to":[%b]%b}' % (record_id, to, paging)


def _partners(links: Links, found: list[Partner]) -> list[bytes]:
    ids, types = links.target.ids, links.pair.told
    return [
        b'{"toObjectId":%d,"associationTypes":%b}' % (ids[index], types[key])
        for index, key in found
    ]


def _named(links: Links, found: Iterable[Partner]) -> list[dict[str, str]]:
    """An entry for each type of each link."""
    ids = links.target.ids
    return [
        {"id": str(ids[index]), "type": name}
        for index, key in found
        for name in links.pair.names[key]
    ]


def _no_links(source: ObjectType, target: ObjectType, record_id: int) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {target.name} is associated with {source.name} {record_id}.",
        "context": {
            "fromObjectId": [str(record_id)],
            "fromObjectType": [source.name],
            "toObjectType": [target.name],
        },
    }


def _cursor(links: Links, partner: Partner) -> str:
    """The cursor that leads to a partner: opaque, as HubSpot's are."""
    return urlsafe_b64encode(b"%d.0" % links.target.ids[partner[0]]).decode().rstrip("=")


def _start(after: object) -> int:
    """The id that a cursor leads to; 0 without one, 400 for one that is none."""
    if after in (None, ""):
        return 0
    try:
        return int(urlsafe_b64decode(f"{after}==").decode().removesuffix(".0"))
    except (NotBase64, ValueError):
        raise invalid(f"Invalid value for after: {after}") from None
