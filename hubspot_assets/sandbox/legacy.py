"""Views of version 1 that still answer: pipelines, and engagements of all kinds in one list."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.errors import not_found
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.metadata import pipelines_told
from hubspot_assets.sandbox.portal import Moment
from hubspot_assets.sandbox.scopes import records_scopes
from hubspot_assets.sandbox.stamps import milliseconds, parse_iso

_ENGAGEMENTS = 250
#: The types of engagements by object type id, in the order of their ids, and what their metadata
#: tells of which property.
_KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "0-27": (
        "TASK",
        {
            "body": "hs_task_body",
            "subject": "hs_task_subject",
            "status": "hs_task_status",
            "taskType": "hs_task_type",
        },
    ),
    "0-46": ("NOTE", {"body": "hs_note_body"}),
    "0-47": (
        "MEETING",
        {
            "body": "hs_meeting_body",
            "title": "hs_meeting_title",
            "startTime": "hs_meeting_start_time",
            "endTime": "hs_meeting_end_time",
        },
    ),
    "0-48": (
        "CALL",
        {
            "body": "hs_call_body",
            "status": "hs_call_status",
            "toNumber": "hs_call_to_number",
            "fromNumber": "hs_call_from_number",
            "durationMilliseconds": "hs_call_duration",
            "disposition": "hs_call_disposition",
        },
    ),
    "0-49": (
        "EMAIL",
        {"subject": "hs_email_subject", "html": "hs_email_html", "text": "hs_email_text"},
    ),
}
_ASSOCIATED = {"contactIds": "0-1", "companyIds": "0-2", "dealIds": "0-3", "ticketIds": "0-5"}
_TIMES = ("startTime", "endTime")


def list_pipelines(call: Call) -> Answer:
    """`GET /crm-pipelines/v1/pipelines/{objectType}`."""
    kind = call.object_type(call.params["objectType"])
    results = []
    for order, each in enumerate(pipelines_told(call)):
        stages = [{"stageId": stage["id"], **_as_of_old(stage)} for stage in each["stages"]]
        results.append({
            "pipelineId": each["id"],
            "objectType": kind.name.upper(),
            "default": order == 0,
            **_as_of_old(each),
            "stages": stages,
        })  # fmt: skip
    return told({"results": results})


def _as_of_old(each: dict[str, Any]) -> dict[str, Any]:
    """The members of a pipeline or stage that both versions have, as version 1 tells them."""
    return {
        "label": each["label"],
        "displayOrder": each["displayOrder"],
        "active": not each["archived"],
        "createdAt": milliseconds(parse_iso(each["createdAt"])),
        "updatedAt": milliseconds(parse_iso(each["updatedAt"])),
        **({"metadata": each["metadata"]} if "metadata" in each else {}),
    }


def list_engagements(call: Call) -> Answer:
    """`GET /engagements/v1/engagements/paged`: by id; a larger `limit` than the most is that."""
    for object_type_id in _KINDS:
        call.need(records_scopes(call.object_type(object_type_id)))
    text = call.one("limit")
    limit = min(int(text), _ENGAGEMENTS) if text.isdecimal() and int(text) else 100
    offset = call.one("offset")
    found = list(islice(_after(call, int(offset) if offset.isdecimal() else 0), limit + 1))
    shown, moment = found[:limit], Moment(call.portal, call.now)
    results = [_engagement(call, moment, kind, index) for kind, index in shown]
    last = results[-1]["engagement"]["id"] if results else 0
    return told({"results": results, "hasMore": len(found) > limit, "offset": last})


def read_engagement(call: Call) -> Answer:
    """`GET /engagements/v1/engagements/{engagementId}`."""
    text = call.params["engagementId"]
    for object_type_id in _KINDS:
        index = (
            _life(call, object_type_id).holder(int(text), call.now) if text.isdecimal() else None
        )
        if index is not None:
            call.need(records_scopes(call.object_type(object_type_id)))
            return told(_engagement(call, Moment(call.portal, call.now), object_type_id, index))
    raise not_found()


def _life(call: Call, object_type_id: str) -> Life:
    return call.portal.life(object_type_id)


def _after(call: Call, offset: int) -> Iterator[tuple[str, int]]:
    """Object type id and index of the live engagements whose ids are beyond the offset."""
    for object_type_id in _KINDS:
        life = _life(call, object_type_id)
        start = life.index_at(offset + 1, call.now)
        yield from ((object_type_id, index) for index in life.live(call.now, start))


def _engagement(call: Call, moment: Moment, object_type_id: str, index: int) -> dict[str, Any]:
    kind, told_of = _KINDS[object_type_id]
    record = _life(call, object_type_id).readable(index, call.now, traced=False)
    numbers = {p.name: p.number for p in call.portal.properties(object_type_id)}
    values = {
        name: orjson.loads(record.values[number])
        for name, number in numbers.items()
        if number in record.values
    }
    owner = values.get("hubspot_owner_id")
    metadata = {name: values[told] for name, told in told_of.items() if values.get(told)}
    for name in metadata.keys() & _TIMES:
        metadata[name] = milliseconds(parse_iso(metadata[name]))
    associations: dict[str, list[int]] = {}
    for name, other in _ASSOCIATED.items():
        links = moment.links(object_type_id, other)
        found = (
            [] if links is None else [links.target.ids[each] for each, _ in links.partners(index)]
        )
        associations[name] = found
    return {
        "engagement": {
            "id": record.record_id,
            "portalId": call.portal.config.portal_id,
            "active": True,
            "createdAt": record.created,
            "lastUpdated": record.updated,
            **({"ownerId": int(owner)} if owner else {}),
            "type": kind,
            "timestamp": record.created,
        },
        "associations": {**associations, "ownerIds": []},
        "attachments": [],
        "metadata": metadata,
    }
