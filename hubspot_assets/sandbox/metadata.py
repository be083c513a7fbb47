"""What a portal says about itself: account, object library, schemas, properties, pipelines."""

from typing import Any

import orjson

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.errors import ApiError, missing_scopes, not_found, object_not_found
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.pipelines import Pipeline, pipeline_told, stage_told
from hubspot_assets.sandbox.properties import (
    SENSITIVITIES,
    Property,
    definition,
    groups,
)
from hubspot_assets.sandbox.scopes import SCHEMAS, schema_scopes
from hubspot_assets.sandbox.stamps import DAY, iso, moment

_MADE_AT = 1_685_600_000_000
_MOST_RECORDS = 15_000_000
_MOST_CUSTOM_RECORDS = 1_500_000
_ACTIVITIES = ("0-18", "0-27", "0-46", "0-47", "0-48", "0-49", "0-116")


def account_details(call: Call) -> Answer:
    """`GET /account-info/details`."""
    config = call.portal.config
    offset = config.utc_offset(call.portal.clock.datetime())
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return told({
        "portalId": config.portal_id,
        "accountType": "STANDARD",
        "timeZone": config.time_zone,
        "companyCurrency": "EUR",
        "additionalCurrencies": ["USD"],
        "utcOffset": f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}",
        "utcOffsetMilliseconds": minutes * 60_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    })  # fmt: skip


def daily_usage(call: Call) -> Answer:
    """`GET /account-info/api-usage/daily/private-apps`: the day's quota and what is used of it."""
    usage = {
        "name": "private-apps-api-calls-daily",
        "usageLimit": call.portal.config.daily_limit,
        "currentUsage": call.budgets.used_today,
        "collectedAt": iso(call.now),
        "fetchStatus": "SUCCESS",
        "resetsAt": iso(call.budgets.next_midnight()),
    }
    return told({"results": [usage]})


def record_limits(call: Call) -> Answer:
    """`GET /crm/limits/records`: live records of every type that the token can read."""
    portal = call.portal
    readable = [
        kind
        for kind in portal.object_types()
        if portal.is_enabled(kind) and kind.read_scope in portal.scopes
    ]
    if not readable:
        raise missing_scopes(sorted({kind.read_scope for kind in portal.object_types()}))
    at = moment(call.now)
    usage = {kind: portal.live_count(kind.object_type_id, at) for kind in readable}
    told_of = {
        kind: {
            "objectTypeId": kind.object_type_id,
            "singularLabel": kind.singular_label,
            "pluralLabel": kind.plural_label or kind.singular_label,
            "usage": count,
        }
        for kind, count in usage.items()
    }
    custom = sum(count for kind, count in usage.items() if kind.custom)
    return told({
        "hubspotDefinedObjectTypes": [
            {**each, "limit": _MOST_RECORDS, "percentage": _percentage(usage[kind], _MOST_RECORDS)}
            for kind, each in told_of.items()
            if not kind.custom
        ],
        "customObjectTypes": {
            "overallLimit": _MOST_CUSTOM_RECORDS,
            "overallUsage": custom,
            "overallPercentage": _percentage(custom, _MOST_CUSTOM_RECORDS),
            "byObjectType": [each for kind, each in told_of.items() if kind.custom],
        },
    })  # fmt: skip


def _percentage(usage: int, limit: int) -> float:
    return round(100 * usage / limit, 2)


def enablement(call: Call) -> Answer:
    """`GET /crm/object-library/enablement`: the types one can switch on or off, and only those."""
    library = [kind for kind in call.portal.object_types() if kind.needs_activation]
    enabled = {kind.object_type_id: call.portal.is_enabled(kind) for kind in library}
    return told({"enablementByObjectTypeId": enabled})


def enablement_of(call: Call) -> Answer:
    """`GET /crm/object-library/enablement/{objectTypeId}`."""
    kind = call.portal.find_type(call.params["objectTypeId"])
    if kind is None or kind.custom:
        raise not_found()
    return told({"enablement": call.portal.is_enabled(kind)})


# Schemas


def list_schemas(call: Call) -> Answer:
    """`GET /crm-object-schemas/schemas`: custom types only, unpaged."""
    call.need(SCHEMAS)
    if call.flag("archived"):
        return told({"results": []})
    kinds = [k for k in call.portal.object_types() if k.custom and call.portal.is_enabled(k)]
    return told({"results": [_schema(call, kind) for kind in kinds]})


def read_schema(call: Call) -> Answer:
    """`GET /crm-object-schemas/schemas/{objectType}`: any type, by id or name."""
    kind = call.portal.find_type(call.params["objectType"])
    if kind is None or not call.portal.is_enabled(kind):
        raise object_not_found(f"Object type {call.params['objectType']}")
    call.need(SCHEMAS if kind.custom else schema_scopes(kind))
    return told(_schema(call, kind))


def _schema(call: Call, kind: ObjectType) -> dict[str, Any]:
    labels = {"singular": kind.singular_label}
    if kind.plural_label is not None:
        labels["plural"] = kind.plural_label
    defined = [p for p in call.portal.properties(kind.object_type_id) if not p.archived]
    schema: dict[str, Any] = {
        "labels": labels,
        "requiredProperties": [kind.primary_property],
        "searchableProperties": [kind.primary_property, "external_key"],
        "primaryDisplayProperty": kind.primary_property,
        "secondaryDisplayProperties": ["external_key"],
        "archived": False,
        "allowsSensitiveProperties": any(p.sensitivity != "non_sensitive" for p in defined),
        "id": kind.object_type_id.partition("-")[2],
        "fullyQualifiedName": kind.fully_qualified_name or kind.name.upper(),
        "objectTypeId": kind.object_type_id,
        "name": kind.name,
        "properties": [],
        "associations": [],
    }
    if kind.description is not None:
        schema["description"] = kind.description
    if call.flag("includePropertyDefinitions", default=True):
        schema["properties"] = [definition(p) for p in defined if p.sensitivity == "non_sensitive"]
    if call.flag("includeAssociationDefinitions", default=True):
        schema["associations"] = _associations(call, kind)
    if call.flag("includeAuditMetadata", default=True):
        schema |= {"createdByUserId": 9586504, "updatedByUserId": 9586505}
        schema |= {"createdAt": iso(_MADE_AT), "updatedAt": iso(_MADE_AT + 7 * DAY)}
    return schema


def _associations(call: Call, kind: ObjectType) -> list[dict[str, Any]]:
    """The association types of a type, in both directions."""
    own = kind.object_type_id
    others = [k.object_type_id for k in call.portal.object_types() if call.portal.is_enabled(k)]
    pairs = dict.fromkeys(pair for other in others for pair in ((own, other), (other, own)))
    return [
        {
            "id": str(each.type_id),
            "fromObjectTypeId": pair[0],
            "toObjectTypeId": pair[1],
            "name": each.name,
            "createdAt": iso(_MADE_AT),
            "updatedAt": iso(_MADE_AT),
        }
        for pair in pairs
        for each in call.portal.association_definitions(*pair)
    ]


# Properties


def list_properties(call: Call) -> Answer:
    """`GET /crm/properties/{objectType}`: unpaged; archived ones and each sensitivity apart."""
    kind = _schema_type(call)
    sensitivity = sensitivity_of(call.one("dataSensitivity"))
    archived = call.flag("archived")
    found = [
        each
        for each in call.portal.properties(kind.object_type_id)
        if each.archived == archived and each.sensitivity == sensitivity
    ]
    if call.one("properties"):
        wanted = set(call.many("properties"))
        found = [each for each in found if each.name in wanted]
    return told({"results": [definition(each) for each in found]})


def legacy_properties(call: Call) -> Answer:
    """`GET /properties/v2/{objectType}/properties`: a bare list of what is not archived."""
    kind = _schema_type(call)
    found = call.portal.properties(kind.object_type_id)
    return told([
        definition(each)
        for each in found
        if not each.archived and each.sensitivity == "non_sensitive"
    ])  # fmt: skip


def read_property(call: Call) -> Answer:
    """`GET /crm/properties/{objectType}/{propertyName}`."""
    kind = _schema_type(call)
    sensitivity_of(call.one("dataSensitivity"))
    found = _property(call, kind, call.params["propertyName"])
    if found is None or found.archived != call.flag("archived"):
        raise object_not_found(f"Property {call.params['propertyName']}")
    return told(definition(found))


def batch_read_properties(call: Call) -> Answer:
    """`POST /crm/properties/{objectType}/batch/read`."""
    kind = _schema_type(call)
    asked = call.json()
    sensitivity_of(str(asked.get("dataSensitivity") or ""))
    names = [str(each.get("name")) for each in asked.get("inputs", [])]
    found = [_property(call, kind, name) for name in names]
    archived = bool(asked.get("archived"))
    return call.batch([orjson.dumps(definition(p)) for p in found if p and p.archived == archived])


def list_groups(call: Call) -> Answer:
    """`GET /crm/properties/{objectType}/groups`."""
    kind = _schema_type(call)
    return told({"results": groups(call.portal.properties(kind.object_type_id))})


def read_group(call: Call) -> Answer:
    """`GET /crm/properties/{objectType}/groups/{groupName}`."""
    kind = _schema_type(call)
    for group in groups(call.portal.properties(kind.object_type_id)):
        if group["name"] == call.params["groupName"]:
            return told(group)
    raise object_not_found(f"Property group {call.params['groupName']}")


def sensitivity_of(asked: str) -> str:
    """The sensitivity that is asked for; 400 for one that there is not."""
    sensitivity = asked.lower() or SENSITIVITIES[0]
    if sensitivity not in SENSITIVITIES:
        raise ApiError(400, f"Invalid value for dataSensitivity: {sensitivity}")
    return sensitivity


def _schema_type(call: Call) -> ObjectType:
    kind = call.object_type(call.params["objectType"])
    call.need(schema_scopes(kind))
    return kind


def _property(call: Call, kind: ObjectType, name: str) -> Property | None:
    found = call.portal.properties(kind.object_type_id)
    return next((each for each in found if each.name == name.lower()), None)


# Pipelines


def list_pipelines(call: Call) -> Answer:
    """`GET /crm/pipelines/{objectType}`."""
    return told({"results": pipelines_told(call)})


def pipelines_told(call: Call) -> list[dict[str, Any]]:
    """The pipelines of the type that a path names."""
    return [pipeline_told(each, order) for order, each in enumerate(_pipelines(call))]


def read_pipeline(call: Call) -> Answer:
    """`GET /crm/pipelines/{objectType}/{pipelineId}`."""
    order, found = _pipeline(call)
    return told(pipeline_told(found, order))


def list_stages(call: Call) -> Answer:
    """`GET /crm/pipelines/{objectType}/{pipelineId}/stages`."""
    _, found = _pipeline(call)
    return told({"results": [stage_told(each, order) for order, each in enumerate(found.stages)]})


def read_stage(call: Call) -> Answer:
    """`GET /crm/pipelines/{objectType}/{pipelineId}/stages/{stageId}`."""
    _, found = _pipeline(call)
    for order, stage in enumerate(found.stages):
        if stage.stage_id == call.params["stageId"]:
            return told(stage_told(stage, order))
    raise not_found()


def _pipelines(call: Call) -> list[Pipeline]:
    kind = _schema_type(call)
    if kind.object_type_id in _ACTIVITIES:
        raise ApiError(403, f"Pipelines of {kind.plural_name} cannot be read", category="FORBIDDEN")
    if not (kind.pipelines or kind.custom):
        raise not_found()
    return call.portal.pipelines(kind.object_type_id)


def _pipeline(call: Call) -> tuple[int, Pipeline]:
    for order, each in enumerate(_pipelines(call)):
        if each.pipeline_id == call.params["pipelineId"]:
            return order, each
    raise not_found()
