"""The source tables of Fivetran's package dbt_hubspot, made of ours, in DuckDB's SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hubspot_assets.ddl.delivered import DeliveredTable
from hubspot_assets.ddl.sql import quoted

SOURCE = "hubspot"
_PLAIN = re.compile(r"[A-Z_][A-Z0-9_]*")
_CONTACT, _COMPANY, _DEAL, _TICKET = "0-1", "0-2", "0-3", "0-5"
_ENGAGEMENTS = {
    "0-48": "CALL",
    "0-49": "EMAIL",
    "0-47": "MEETING",
    "0-46": "NOTE",
    "0-27": "TASK",
    "0-18": "COMMUNICATION",
}
_SYNCED = "INGESTEDAT AS _fivetran_synced"
_LIVE = "FALSE AS _fivetran_deleted"


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its name in the package: the tables that it is made of, and its SQL, which takes
    the tables by name."""

    name: str
    sources: tuple[str, ...]
    sql: Callable[[Mapping[str, DeliveredTable]], str]


def column_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)


def _selected(columns: Sequence[str], table: str, rest: str = "") -> str:
    listed = ",\n  ".join(columns)
    source = f"{{{{ source('{SOURCE}', '{table}') }}}}"
    return f"SELECT\n  {listed}\nFROM {source}{rest and chr(10) + rest}"


def _properties(table: DeliveredTable, needed: Sequence[str]) -> list[str]:
    """All properties by Fivetran's names; NULL where the portal has none that is needed."""
    known = {
        each.name: f"property_{each.name.removeprefix('PROPERTY_').lower()}"
        for each in table.columns
        if each.name.startswith("PROPERTY_") and not each.name.startswith("PROPERTY_UNPARSED_")
    }
    return [
        *(f"{column_name(name)} AS {_alias(alias)}" for name, alias in known.items()),
        *(
            f"CAST(NULL AS VARCHAR) AS property_{name}"
            for name in needed
            if f"property_{name}" not in known.values()
        ),
    ]


def _alias(name: str) -> str:
    return name if _PLAIN.fullmatch(name.upper()) else quoted(name)


def _column(table: DeliveredTable, name: str) -> str:
    there = any(each.name == name for each in table.columns)
    return column_name(name) if there else "CAST(NULL AS VARCHAR)"


def _records(name: str, table: str, columns: Sequence[str], needed: Sequence[str]) -> Model:
    def sql(tables: Mapping[str, DeliveredTable]) -> str:
        of = tables[table]
        return _selected([*columns, *_properties(of, needed), _SYNCED, _LIVE], table)

    return Model(name, (table,), sql)


def _fixed(name: str, table: str, columns: Sequence[str], rest: str = "") -> Model:
    return Model(name, (table,), lambda _: _selected([*columns, _SYNCED], table, rest))


def _deal() -> Model:
    table = "OBJECTS_DEALS"
    needed = ("dealname", "description", "amount", "closedate", "createdate")

    def sql(tables: Mapping[str, DeliveredTable]) -> str:
        of = tables[table]
        columns = [
            "OBJECTID AS deal_id",
            "FALSE AS is_deleted",
            f"{of.portal_id or 'NULL'} AS portal_id",
            f"{_column(of, 'PROPERTY_PIPELINE')} AS deal_pipeline_id",
            f"{_column(of, 'PROPERTY_DEALSTAGE')} AS deal_pipeline_stage_id",
            f"CAST({_column(of, 'PROPERTY_HUBSPOT_OWNER_ID')} AS BIGINT) AS owner_id",
        ]
        return _selected([*columns, *_properties(of, needed), _SYNCED, _LIVE], table)

    return Model("deal", (table,), sql)


def _history(name: str, type_id: str) -> Model:
    moment = "timestamp_instant" if name == "ticket" else "timestamp"
    values = "PARTITION BY OBJECTID, NAME ORDER BY UPDATEDAT"
    columns = [
        f"OBJECTID AS {name}_id",
        "NAME AS name",
        "SOURCETYPE AS source",
        "SOURCEID AS source_id",
        f"UPDATEDAT AS {moment}",
        "VALUE AS value",
        "UPDATEDAT AS _fivetran_start",
        f"lead(UPDATEDAT) OVER ({values}) AS _fivetran_end",
    ]
    where = f"WHERE OBJECTTYPEID = '{type_id}'"
    return _fixed(f"{name}_property_history", "OBJECT_PROPERTIES_HISTORY", columns, where)


_DEAL_STAGE = _fixed(
    "deal_stage",
    "OBJECT_PROPERTIES_HISTORY",
    [
        "OBJECTID AS deal_id",
        "VALUE AS value",
        "SOURCETYPE AS source",
        "SOURCEID AS source_id",
        "UPDATEDAT AS date_entered",
        "UPDATEDAT AS _fivetran_start",
        "lead(UPDATEDAT) OVER stages AS _fivetran_end",
        "lead(UPDATEDAT) OVER stages IS NULL AS _fivetran_active",
    ],
    f"WHERE OBJECTTYPEID = '{_DEAL}' AND NAME = 'dealstage'\n"
    "WINDOW stages AS (PARTITION BY OBJECTID ORDER BY UPDATEDAT)",
)


def _links(one: str, other: str, one_types: Sequence[str], other_types: Sequence[str]) -> Model:
    columns = [
        f"FROMOBJECTID AS {one}_id",
        f"TOOBJECTID AS {other}_id",
        "ASSOCIATIONTYPEID AS type_id",
        "ASSOCIATIONCATEGORY AS category",
    ]
    where = (
        f"WHERE FROMOBJECTTYPEID IN ({_listed(one_types)})\n"
        f"  AND TOOBJECTTYPEID IN ({_listed(other_types)})"
    )
    return _fixed(f"{one}_{other}", "ASSOCIATIONS", columns, where)


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in values)


def _engagement() -> Model:
    kinds = " ".join(f"WHEN '{key}' THEN '{kind}'" for key, kind in _ENGAGEMENTS.items())

    def sql(tables: Mapping[str, DeliveredTable]) -> str:
        portal_id = tables["OBJECTS"].portal_id or "NULL"
        case = f"CASE OBJECTTYPEID {kinds} END AS type"
        columns = ["OBJECTID AS id", f"{portal_id} AS portal_id", case, _SYNCED]
        where = f"WHERE OBJECTTYPEID IN ({_listed(tuple(_ENGAGEMENTS))})"
        return _selected(columns, "OBJECTS", where)

    return Model("engagement", ("OBJECTS",), sql)


def _engagements() -> Iterator[Model]:
    needed = ("hs_createdate", "hs_timestamp", "hubspot_owner_id", "hubspot_team_id")
    for kind in _ENGAGEMENTS.values():
        columns = ["OBJECTID AS engagement_id", f"'{kind}' AS type"]
        yield _records(f"engagement_{kind.lower()}", f"OBJECTS_{kind}S", columns, needed)


def _pipelines(name: str, type_id: str, metadata: Sequence[str]) -> Iterator[Model]:
    same = [
        "PIPELINEID AS pipeline_id",
        "LABEL AS label",
        "DISPLAYORDER AS display_order",
        "NOT ARCHIVED AS active",
        "CREATEDAT AS created_at",
        "UPDATEDAT AS updated_at",
        _LIVE,
    ]
    where = f"WHERE OBJECTTYPEID = '{type_id}'"
    of_type = ["OBJECTTYPEID AS object_type_id", *same]
    yield _fixed(f"{name}_pipeline", "PIPELINES", of_type, where)
    stages = ["STAGEID AS stage_id", *same, *metadata]
    yield _fixed(f"{name}_pipeline_stage", "PIPELINE_STAGES", stages, where)


_CLOSED = "CAST(json_extract_string(METADATA, '$.isClosed') AS BOOLEAN) AS is_closed"
_PROBABILITY = "CAST(json_extract_string(METADATA, '$.probability') AS DOUBLE)"
_NAMED = [
    "EMAIL AS email",
    "FIRSTNAME AS first_name",
    "LASTNAME AS last_name",
]


def _organisation() -> Iterator[Model]:
    def owner(tables: Mapping[str, DeliveredTable]) -> str:
        portal_id = f"{tables['OWNERS'].portal_id or 'NULL'} AS portal_id"
        ids = ["OWNERID AS owner_id", "USERID AS active_user_id", portal_id, "TYPE AS type"]
        moments = ["CREATEDAT AS created_at", "UPDATEDAT AS updated_at", _SYNCED]
        return _selected([*ids, *_NAMED, *moments], "OWNERS")

    yield Model("owner", ("OWNERS",), owner)
    team = ["OWNERID AS owner_id", "TEAMID AS team_id", "ISTEAMPRIMARY AS is_team_primary"]
    yield _fixed("owner_team", "OWNER_TEAM", team)
    yield _fixed("team", "TEAMS", ["TEAMID AS id", "TEAMNAME AS name"])
    no_role = ["CAST(NULL AS BIGINT) AS primary_team_id", "CAST(NULL AS BIGINT) AS role_id"]
    users = ["USERID AS id", *no_role, *_NAMED]
    yield _fixed("users", "OWNERS", users, "WHERE USERID IS NOT NULL")
    yield Model(
        "team_user",
        ("OWNER_TEAM", "OWNERS"),
        lambda _: _selected(
            [
                "t.TEAMID AS team_id",
                "o.USERID AS user_id",
                "NOT t.ISTEAMPRIMARY AS is_secondary_user",
                "t.INGESTEDAT AS _fivetran_synced",
            ],
            "OWNER_TEAM",
            f"AS t\nJOIN {{{{ source('{SOURCE}', 'OWNERS') }}}} AS o USING (OWNERID)\n"
            "WHERE o.USERID IS NOT NULL",
        ),
    )


def _definitions() -> Iterator[Model]:
    kinds = {_CONTACT: "contact", _COMPANY: "company", _DEAL: "deal", _TICKET: "ticket"}
    of_type = " ".join(f"WHEN '{key}' THEN '{kind}'" for key, kind in kinds.items())
    where = f"WHERE OBJECTTYPEID IN ({_listed(tuple(kinds))})"
    key = "OBJECTTYPEID || '.' || NAME"
    yield _fixed(
        "property",
        "PROPERTY_DEFINITIONS",
        [
            f"{key} AS _fivetran_id",
            f"CASE OBJECTTYPEID {of_type} END AS hubspot_object",
            "NAME AS name",
            "LABEL AS label",
            "DESCRIPTION AS description",
            "TYPE AS type",
            "FIELDTYPE AS field_type",
            "GROUPNAME AS group_name",
            "CALCULATED AS calculated",
            "HUBSPOTDEFINED AS hubspot_defined",
            "CREATEDAT AS created_at",
            "UPDATEDAT AS updated_at",
        ],
        where,
    )
    yield _fixed(
        "property_option",
        "PROPERTY_DEFINITIONS",
        [
            f"{key} AS property_id",
            "json_extract_string(option.value, '$.label') AS label",
            "json_extract_string(option.value, '$.value') AS value",
            "CAST(json_extract_string(option.value, '$.displayOrder') AS BIGINT) AS display_order",
            "CAST(json_extract_string(option.value, '$.hidden') AS BOOLEAN) AS hidden",
        ],
        f", json_each(OPTIONS) AS option\n{where}",
    )


def _lists() -> Iterator[Model]:
    where = f"WHERE OBJECTTYPEID = '{_CONTACT}'"
    yield _fixed(
        "contact_list",
        "LISTS",
        [
            "LISTID AS id",
            "NAME AS name",
            "OBJECTTYPEID AS object_type_id",
            "LISTTYPE AS processing_type",
            "PROCESSINGSTATUS AS processing_status",
            "SIZE AS metadata_size",
            "CREATEDAT AS created_at",
            "UPDATEDAT AS updated_at",
            "FILTERSUPDATEDAT AS filters_updated_at",
            _LIVE,
        ],
        where,
    )
    member = ["OBJECTID AS contact_id", "LISTID AS contact_list_id", "UPDATEDAT AS added_at", _LIVE]
    yield _fixed("contact_list_member", "LIST_MEMBERSHIPS", member, where)


def _merged_deal() -> Model:
    def sql(tables: Mapping[str, DeliveredTable]) -> str:
        merged = _column(tables["OBJECTS_DEALS"], "PROPERTY_HS_MERGED_OBJECT_IDS")
        former = f"CAST(unnest(string_split({merged}, ';')) AS BIGINT) AS merged_deal_id"
        where = f"WHERE {merged} <> ''"
        return _selected(["OBJECTID AS deal_id", former, _SYNCED], "OBJECTS_DEALS", where)

    return Model("merged_deal", ("OBJECTS_DEALS",), sql)


_OF_ALL = tuple(_ENGAGEMENTS)
MODELS: tuple[Model, ...] = (
    _records(
        "contact",
        "OBJECTS_CONTACTS",
        ["OBJECTID AS id"],
        (
            *("hs_merged_object_ids", "hs_calculated_merged_vids", "email", "company"),
            *("firstname", "lastname", "createdate", "jobtitle", "annualrevenue"),
        ),
    ),
    _records(
        "company",
        "OBJECTS_COMPANIES",
        ["OBJECTID AS id", "FALSE AS is_deleted"],
        (
            *("name", "description", "createdate", "industry", "address", "address_2", "city"),
            *("state", "country", "annualrevenue"),
        ),
    ),
    _deal(),
    _records(
        "ticket",
        "OBJECTS_TICKETS",
        ["OBJECTID AS id", "FALSE AS is_deleted"],
        (
            *("closed_date", "createdate", "first_agent_reply_date", "hs_pipeline"),
            *("hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority"),
            *("hubspot_owner_id", "subject", "content"),
        ),
    ),
    _history("contact", _CONTACT),
    _history("company", _COMPANY),
    _history("deal", _DEAL),
    _history("ticket", _TICKET),
    _DEAL_STAGE,
    _links("deal", "company", (_DEAL,), (_COMPANY,)),
    _links("deal", "contact", (_DEAL,), (_CONTACT,)),
    _links("ticket", "company", (_TICKET,), (_COMPANY,)),
    _links("ticket", "contact", (_TICKET,), (_CONTACT,)),
    _links("ticket", "deal", (_TICKET,), (_DEAL,)),
    _links("ticket", "engagement", (_TICKET,), _OF_ALL),
    _links("engagement", "company", _OF_ALL, (_COMPANY,)),
    _links("engagement", "contact", _OF_ALL, (_CONTACT,)),
    _links("engagement", "deal", _OF_ALL, (_DEAL,)),
    _engagement(),
    *_engagements(),
    *_pipelines("deal", _DEAL, [
        _CLOSED,
        f"{_PROBABILITY} AS probability",
        f"{_PROBABILITY} = 1 AS closed_won",
    ]),
    *_pipelines("ticket", _TICKET, [
        _CLOSED,
        "json_extract_string(METADATA, '$.ticketState') AS ticket_state",
    ]),
    *_organisation(),
    *_definitions(),
    *_lists(),
    _merged_deal(),
    _fixed("form", "OBJECTS_FORMS", [
        "PROPERTY_SOURCE_ID AS guid",
        "PROPERTY_HS_NAME AS name",
        "PROPERTY_FORM_TYPE AS form_type",
        "PROPERTY_HS_CREATEDATE AS created_at",
        "PROPERTY_HS_LASTMODIFIEDDATE AS updated_at",
        _LIVE,
    ]),
)  # fmt: skip
