"""Every table of the export, as data. The columns are the export contract's."""

from __future__ import annotations

from hubspot_assets.tables.spec import Column, ColumnType, Row, TableSpec

_WORDS = {
    "OBJECTTYPEID": "Type of the record: 0-n HubSpot's, 2-n custom",
    "OBJECTID": "HubSpot's record id (hs_object_id)",
    "UPDATEDAT": "Last update in HubSpot, UTC",
    "CREATEDAT": "Creation in HubSpot, UTC",
    "INGESTEDAT": "When the row's content was read from HubSpot, UTC",
    "ARCHIVED": "Archived in HubSpot",
    "LABEL": "Label shown in HubSpot",
    "NAME": "Internal name",
    "DISPLAYORDER": "Position in HubSpot's lists; -1: after all others",
    "DESCRIPTION": "Description given in HubSpot",
}


def _columns(text: str) -> tuple[Column, ...]:
    """Columns from lines of `NAME TYPE description`; common names need no description."""
    columns = []
    for line in text.strip().splitlines():
        name, kind, *words = line.split(maxsplit=2)
        column_type: ColumnType = "TIMESTAMP" if kind == "TS" else kind  # type: ignore[assignment]
        columns.append(Column(name, column_type, words[0] if words else _WORDS[name]))
    return tuple(columns)


OBJECTS = TableSpec(
    name="OBJECTS",
    description="One row per live record of every object type.",
    group="records",
    row="record",
    point_in_time=True,
    key=("OBJECTTYPEID", "OBJECTID"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        OBJECTID NUMBER
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

OBJECT_PROPERTIES = TableSpec(
    name="OBJECT_PROPERTIES",
    description="One row per set property of a live record: its value at the end of the day.",
    group="records",
    row="value",
    point_in_time=True,
    key=("OBJECTTYPEID", "OBJECTID", "NAME"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        OBJECTID NUMBER
        NAME VARCHAR Internal property name
        VALUE VARCHAR Raw value: datetimes and dates are epoch milliseconds
        UPDATEDAT TS When the value was set; NULL where HubSpot keeps no history of it
        INGESTEDAT TS
    """),
)

OBJECT_PROPERTIES_HISTORY = TableSpec(
    name="OBJECT_PROPERTIES_HISTORY",
    description="One row per value that a property of a live record has had, newest 45 "
    "for contacts and 20 for other types.",
    group="records",
    row="history",
    point_in_time=True,
    key=("OBJECTTYPEID", "OBJECTID", "NAME", "UPDATEDAT"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        OBJECTID NUMBER
        NAME VARCHAR Internal property name
        VALUE VARCHAR Raw value; an empty string where the property was cleared
        UPDATEDAT TS When the value was set
        INGESTEDAT TS
        SOURCETYPE VARCHAR What changed it, as CRM_UI, API, IMPORT, ...
        SOURCEID VARCHAR Which one of that kind
        SOURCELABEL VARCHAR Its label
        UPDATEDBYUSERID NUMBER The user who changed it
    """),
)

OBJECT_WITH_OBJECT_PROPERTIES = TableSpec(
    name="OBJECT_WITH_OBJECT_PROPERTIES",
    description="One row per live record, its set properties as one JSON object of strings.",
    group="records",
    row="record",
    point_in_time=True,
    key=("OBJECTTYPEID", "OBJECTID"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        OBJECTID NUMBER
        PROPERTIES JSON Set properties by name, each value raw text
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

RECORD_CHANGES = TableSpec(
    name="RECORD_CHANGES",
    description="One row per record and what happened to it on the day: created, updated, "
    "archived, restored, merged or erased.",
    group="records",
    row="change",
    point_in_time=True,
    key=("OBJECTTYPEID", "OBJECTID", "CHANGE"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        OBJECTID NUMBER
        CHANGE VARCHAR created, updated, archived, restored, merged or erased
        CHANGEDAT TS When, UTC; NULL where HubSpot does not tell
        MERGEDINTO NUMBER The record that a merged one lives on in; NULL where it is not known
        PROPERTIES NUMBER How many values a created record has, or an update changed
        INGESTEDAT TS
    """),
)

OWNERS = TableSpec(
    name="OWNERS",
    description="One row per owner, archived ones included.",
    group="organisation",
    point_in_time=False,
    key=("OWNERID",),
    columns=_columns("""
        OWNERID NUMBER Equals the property hubspot_owner_id
        TYPE VARCHAR PERSON or QUEUE
        USERID NUMBER The owner's user, deactivated ones included
        EMAIL VARCHAR E-mail address
        FIRSTNAME VARCHAR First name
        LASTNAME VARCHAR Last name
        ARCHIVED BOOLEAN
        CREATEDAT TS
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

OWNER_TEAM = TableSpec(
    name="OWNER_TEAM",
    description="One row per team that an owner belongs to.",
    group="organisation",
    point_in_time=False,
    key=("OWNERID", "TEAMID"),
    columns=_columns("""
        OWNERID NUMBER The owner
        TEAMID NUMBER The team
        ISTEAMPRIMARY BOOLEAN It is the owner's main team
        INGESTEDAT TS
    """),
)

TEAMS = TableSpec(
    name="TEAMS",
    description="One row per team.",
    group="organisation",
    point_in_time=False,
    key=("TEAMID",),
    columns=_columns("""
        TEAMID NUMBER The team
        TEAMNAME VARCHAR Its name
        PARENTTEAMID NUMBER The team above it
        INGESTEDAT TS
    """),
)

PIPELINES = TableSpec(
    name="PIPELINES",
    description="One row per pipeline of an object type.",
    group="definitions",
    point_in_time=False,
    key=("OBJECTTYPEID", "PIPELINEID"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        PIPELINEID VARCHAR Equals the properties pipeline and hs_pipeline
        LABEL VARCHAR
        DISPLAYORDER NUMBER
        ARCHIVED BOOLEAN
        CREATEDAT TS
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

PIPELINE_STAGES = TableSpec(
    name="PIPELINE_STAGES",
    description="One row per stage of a pipeline.",
    group="definitions",
    point_in_time=False,
    key=("OBJECTTYPEID", "PIPELINEID", "STAGEID"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        PIPELINEID VARCHAR The stage's pipeline
        STAGEID VARCHAR Equals the properties dealstage and hs_pipeline_stage
        LABEL VARCHAR
        DISPLAYORDER NUMBER
        METADATA JSON What the stage means, as isClosed, probability, ticketState
        ARCHIVED BOOLEAN
        CREATEDAT TS
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

PROPERTY_DEFINITIONS = TableSpec(
    name="PROPERTY_DEFINITIONS",
    description="One row per property of an object or event type.",
    group="definitions",
    point_in_time=False,
    key=("OBJECTTYPEID", "NAME"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR The object or event type
        NAME VARCHAR
        LABEL VARCHAR
        DESCRIPTION VARCHAR
        TYPE VARCHAR string, number, date, datetime, enumeration, bool, ...
        FIELDTYPE VARCHAR How HubSpot shows it
        GROUPNAME VARCHAR The group it stands in
        DISPLAYORDER NUMBER
        OPTIONS JSON The options of an enumeration
        HASUNIQUEVALUE BOOLEAN No two records have the same value
        CALCULATED BOOLEAN HubSpot works the value out
        HIDDEN BOOLEAN Not shown in HubSpot
        HUBSPOTDEFINED BOOLEAN HubSpot's own, not the portal's
        DATASENSITIVITY VARCHAR non_sensitive, sensitive or highly_sensitive
        ARCHIVED BOOLEAN
        CREATEDAT TS
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

OBJECT_AND_EVENT_TYPE_DEFINITIONS = TableSpec(
    name="OBJECT_AND_EVENT_TYPE_DEFINITIONS",
    description="One row per object type and event type of the portal.",
    group="definitions",
    point_in_time=False,
    key=("OBJECTTYPEID",),
    columns=_columns("""
        OBJECTTYPEID VARCHAR
        FULLYQUALIFIEDNAME VARCHAR As CONTACT or p1234567_cars
        NAME VARCHAR
        SINGULARLABEL VARCHAR Label of one
        PLURALLABEL VARCHAR Label of many
        DESCRIPTION VARCHAR
        KIND VARCHAR OBJECT or EVENT
        TABLENAME VARCHAR The table that holds it
        AVAILABILITY VARCHAR available, or why its records can't be read
        PRIMARYDISPLAYPROPERTY VARCHAR The property that names a record
        CREATEDAT TS
        UPDATEDAT TS
        INGESTEDAT TS
    """),
)

ASSOCIATIONS = TableSpec(
    name="ASSOCIATIONS",
    description="One row per link of two records, direction and label.",
    group="associations",
    row="link",
    point_in_time=False,
    key=("COMBINEDASSOCIATIONTYPEID", "FROMOBJECTID", "TOOBJECTID"),
    columns=_columns("""
        COMBINEDASSOCIATIONTYPEID VARCHAR Category number and type id, as 0-279
        ASSOCIATIONCATEGORY VARCHAR HUBSPOT_DEFINED, USER_DEFINED, INTEGRATOR_DEFINED or WORK
        ASSOCIATIONTYPEID NUMBER Id of the association type within its category
        FROMOBJECTTYPEID VARCHAR Type of the record that the link is seen from
        FROMOBJECTID NUMBER The record that the link is seen from
        TOOBJECTTYPEID VARCHAR Type of the record that it leads to
        TOOBJECTID NUMBER The record that it leads to
        INGESTEDAT TS
    """),
)

ASSOCIATION_DEFINITIONS = TableSpec(
    name="ASSOCIATION_DEFINITIONS",
    description="One row per association type: the links that records can have, and their labels.",
    group="definitions",
    point_in_time=False,
    key=("COMBINEDASSOCIATIONTYPEID",),
    columns=_columns("""
        COMBINEDASSOCIATIONTYPEID VARCHAR Category number and type id, as 0-279
        ASSOCIATIONCATEGORY VARCHAR HUBSPOT_DEFINED, USER_DEFINED, INTEGRATOR_DEFINED or WORK
        ASSOCIATIONTYPEID NUMBER Id of the association type within its category
        FROMOBJECTTYPEID VARCHAR Type of the record that the link is seen from
        TOOBJECTTYPEID VARCHAR Type of the record that it leads to
        NAME VARCHAR As CONTACT_TO_COMPANY
        LABEL VARCHAR Label shown in HubSpot; NULL for the plain link
        ISMAINASSOCIATIONDEFINITION BOOLEAN The primary link of the pair, else the plain one
        INGESTEDAT TS
    """),
)

LISTS = TableSpec(
    name="LISTS",
    description="One row per list (segment) of records.",
    group="lists",
    point_in_time=False,
    key=("LISTID",),
    columns=_columns("""
        OBJECTTYPEID VARCHAR Type of the records it holds
        LISTID NUMBER The list, as in objectLists/<id> of HubSpot's app
        CLASSICLISTID NUMBER Its id in HubSpot's first lists API
        NAME VARCHAR Its name
        LISTTYPE VARCHAR MANUAL, DYNAMIC or SNAPSHOT
        PROCESSINGSTATUS VARCHAR COMPLETE, PROCESSING, ...
        SIZE NUMBER Members, as HubSpot counts them
        CREATEDAT TS
        UPDATEDAT TS
        FILTERSUPDATEDAT TS Last change of its filters, UTC
        INGESTEDAT TS
    """),
)

LIST_MEMBERSHIPS = TableSpec(
    name="LIST_MEMBERSHIPS",
    description="One row per member of a list.",
    group="lists",
    row="member",
    point_in_time=False,
    key=("LISTID", "OBJECTID"),
    columns=_columns("""
        OBJECTTYPEID VARCHAR Type of the member
        LISTID NUMBER The list
        OBJECTID NUMBER The member
        UPDATEDAT TS When it joined, UTC
        INGESTEDAT TS
    """),
)

#: The tables that hold the records of all object types, a sub-folder each.
COMBINED = (
    OBJECTS,
    OBJECT_PROPERTIES,
    OBJECT_PROPERTIES_HISTORY,
    OBJECT_WITH_OBJECT_PROPERTIES,
)


def objects_of_type(table: str, plural_label: str, row: Row = "record") -> TableSpec:
    """`OBJECTS_<type>`: a row per live record, a column per property (added when it is made)."""
    return TableSpec(
        name=table,
        description=f"One row per live record of the type {plural_label}, "
        "a typed column per property.",
        group="records",
        row=row,
        point_in_time=True,
        key=("OBJECTID",),
        columns=OBJECTS.columns,
        wide=True,
    )


def associations_of_pair(
    table: str, columns: tuple[str, str], labels: tuple[str, str]
) -> TableSpec:
    """`ASSOCIATIONS_<X>_TO_<Y>`: links of one ordered pair of types; `columns` name the ids."""
    return TableSpec(
        name=table,
        description=f"One row per link and label from {labels[0]} to {labels[1]}.",
        group="associations",
        row="link",
        point_in_time=False,
        key=(*columns, "COMBINEDASSOCIATIONTYPEID"),
        columns=_columns(f"""
        {columns[0]} NUMBER The record that the link is seen from
        {columns[1]} NUMBER The record that it leads to
        COMBINEDASSOCIATIONTYPEID VARCHAR Category number and type id, as 0-279
        ASSOCIATIONCATEGORY VARCHAR HUBSPOT_DEFINED, USER_DEFINED, INTEGRATOR_DEFINED or WORK
        ASSOCIATIONTYPEID NUMBER Id of the association type within its category
        LABEL VARCHAR Label shown in HubSpot; NULL for the plain link
        ISMAINASSOCIATIONDEFINITION BOOLEAN The primary link of the pair, else the plain one
        INGESTEDAT TS
        """),
    )


def events_of_type(table: str, label: str) -> TableSpec:
    """`EVENTS_<name>`: a row per occurrence, a column per property (added when it is made)."""
    return TableSpec(
        name=table,
        description=f"One row per occurrence of the event {label} on the day.",
        group="events",
        row="event",
        point_in_time=True,
        key=("ID", "OCCURREDAT"),
        columns=_columns("""
        EVENTTYPEID VARCHAR 4-n HubSpot's, 5-n an app's, 6-n custom; NULL where it is not known
        ID VARCHAR The occurrence
        OBJECTTYPEID VARCHAR Type of the record it happened to
        OBJECTID NUMBER The record it happened to
        OCCURREDAT TS When it happened, UTC
        INGESTEDAT TS
        """),
        wide=True,
    )
