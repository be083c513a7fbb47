"""Writes docs/tables.md from the specs of the tables: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hubspot_assets.exported import named_events, named_types
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.tables import specs
from hubspot_assets.tables.counts import SENTENCES
from hubspot_assets.tables.parquet_types import parquet_type
from hubspot_assets.tables.spec import Column, TableSpec

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"

#: Each table, or one of its kind: what the section is called, its spec, and a query.
SECTIONS: tuple[tuple[str, TableSpec, str], ...] = (
    (
        "OBJECTS",
        specs.OBJECTS,
        """
SELECT OBJECTTYPEID, count(*) AS records, max(UPDATEDAT) AS last_update
FROM OBJECTS
GROUP BY OBJECTTYPEID
ORDER BY records DESC;
""",
    ),
    (
        "OBJECTS_&lt;type&gt;",
        specs.objects_of_type("OBJECTS_DEALS", "Deals"),
        """
SELECT OBJECTID, PROPERTY_DEALNAME, PROPERTY_AMOUNT, PROPERTY_CLOSEDATE
FROM OBJECTS_DEALS
WHERE PROPERTY_AMOUNT IS NOT NULL
ORDER BY PROPERTY_AMOUNT DESC
LIMIT 10;
""",
    ),
    (
        "OBJECT_PROPERTIES",
        specs.OBJECT_PROPERTIES,
        """
SELECT VALUE AS lifecycle_stage, count(*) AS contacts
FROM OBJECT_PROPERTIES
WHERE OBJECTTYPEID = '0-1' AND NAME = 'lifecyclestage'
GROUP BY VALUE
ORDER BY contacts DESC;
""",
    ),
    (
        "OBJECT_PROPERTIES_HISTORY",
        specs.OBJECT_PROPERTIES_HISTORY,
        """
SELECT SOURCETYPE, count(*) AS changes
FROM OBJECT_PROPERTIES_HISTORY
WHERE OBJECTTYPEID = '0-3' AND NAME = 'dealstage'
GROUP BY SOURCETYPE
ORDER BY changes DESC;
""",
    ),
    (
        "OBJECT_WITH_OBJECT_PROPERTIES",
        specs.OBJECT_WITH_OBJECT_PROPERTIES,
        """
SELECT OBJECTID, PROPERTIES ->> 'email' AS email
FROM OBJECT_WITH_OBJECT_PROPERTIES
WHERE OBJECTTYPEID = '0-1'
LIMIT 10;
""",
    ),
    (
        "RECORD_CHANGES",
        specs.RECORD_CHANGES,
        """
SELECT OBJECTTYPEID, CHANGE, count(*) AS records, sum(PROPERTIES) AS changed_values
FROM RECORD_CHANGES
GROUP BY OBJECTTYPEID, CHANGE
ORDER BY records DESC;
""",
    ),
    (
        "ASSOCIATIONS",
        specs.ASSOCIATIONS,
        """
SELECT FROMOBJECTTYPEID, TOOBJECTTYPEID, count(DISTINCT (FROMOBJECTID, TOOBJECTID)) AS links
FROM ASSOCIATIONS
GROUP BY FROMOBJECTTYPEID, TOOBJECTTYPEID
ORDER BY links DESC;
""",
    ),
    (
        "ASSOCIATIONS_&lt;X&gt;_TO_&lt;Y&gt;",
        specs.associations_of_pair(
            "ASSOCIATIONS_DEALS_TO_COMPANIES",
            ("DEAL_OBJECTID", "COMPANY_OBJECTID"),
            ("Deals", "Companies"),
        ),
        """
SELECT c.PROPERTY_NAME, sum(d.PROPERTY_AMOUNT) AS amount
FROM OBJECTS_DEALS d
JOIN ASSOCIATIONS_DEALS_TO_COMPANIES a
  ON a.DEAL_OBJECTID = d.OBJECTID AND a.LABEL = 'Primary'
JOIN OBJECTS_COMPANIES c ON c.OBJECTID = a.COMPANY_OBJECTID
GROUP BY c.OBJECTID, c.PROPERTY_NAME
ORDER BY amount DESC NULLS LAST;
""",
    ),
    (
        "ASSOCIATION_DEFINITIONS",
        specs.ASSOCIATION_DEFINITIONS,
        """
SELECT FROMOBJECTTYPEID, TOOBJECTTYPEID, LABEL
FROM ASSOCIATION_DEFINITIONS
WHERE ASSOCIATIONCATEGORY = 'USER_DEFINED';
""",
    ),
    (
        "EVENTS_&lt;name&gt;",
        specs.events_of_type("EVENTS_VISITED_PAGE", "Visited page"),
        """
SELECT date_trunc('hour', OCCURREDAT) AS hour, count(DISTINCT OBJECTID) AS visitors
FROM EVENTS_VISITED_PAGE
GROUP BY hour
ORDER BY hour;
""",
    ),
    (
        "LISTS",
        specs.LISTS,
        """
SELECT NAME, LISTTYPE, SIZE
FROM LISTS
ORDER BY SIZE DESC NULLS LAST;
""",
    ),
    (
        "LIST_MEMBERSHIPS",
        specs.LIST_MEMBERSHIPS,
        """
SELECT l.NAME, c.PROPERTY_EMAIL, m.UPDATEDAT AS joined
FROM LIST_MEMBERSHIPS m
JOIN LISTS l USING (LISTID)
JOIN OBJECTS_CONTACTS c ON m.OBJECTTYPEID = '0-1' AND c.OBJECTID = m.OBJECTID
ORDER BY joined DESC
LIMIT 10;
""",
    ),
    (
        "OWNERS",
        specs.OWNERS,
        """
SELECT o.EMAIL, count(*) AS deals
FROM OBJECTS_DEALS d
JOIN OWNERS o ON CAST(o.OWNERID AS VARCHAR) = d.PROPERTY_HUBSPOT_OWNER_ID
GROUP BY o.EMAIL
ORDER BY deals DESC;
""",
    ),
    (
        "OWNER_TEAM",
        specs.OWNER_TEAM,
        """
SELECT t.TEAMNAME, count(*) AS owners
FROM OWNER_TEAM
JOIN TEAMS t USING (TEAMID)
GROUP BY t.TEAMNAME;
""",
    ),
    (
        "TEAMS",
        specs.TEAMS,
        """
SELECT t.TEAMNAME, above.TEAMNAME AS part_of
FROM TEAMS t
LEFT JOIN TEAMS above ON above.TEAMID = t.PARENTTEAMID;
""",
    ),
    (
        "PIPELINES",
        specs.PIPELINES,
        """
SELECT OBJECTTYPEID, PIPELINEID, LABEL
FROM PIPELINES
WHERE NOT ARCHIVED
ORDER BY OBJECTTYPEID, DISPLAYORDER;
""",
    ),
    (
        "PIPELINE_STAGES",
        specs.PIPELINE_STAGES,
        """
SELECT s.LABEL AS stage, METADATA ->> 'probability' AS probability, count(d.OBJECTID) AS deals
FROM PIPELINE_STAGES s
LEFT JOIN OBJECTS_DEALS d
  ON d.PROPERTY_PIPELINE = s.PIPELINEID AND d.PROPERTY_DEALSTAGE = s.STAGEID
WHERE s.OBJECTTYPEID = '0-3'
GROUP BY ALL
ORDER BY probability;
""",
    ),
    (
        "PROPERTY_DEFINITIONS",
        specs.PROPERTY_DEFINITIONS,
        """
SELECT NAME, LABEL, TYPE, CALCULATED
FROM PROPERTY_DEFINITIONS
WHERE OBJECTTYPEID = '0-3' AND NOT ARCHIVED
ORDER BY NAME;
""",
    ),
    (
        "OBJECT_AND_EVENT_TYPE_DEFINITIONS",
        specs.OBJECT_AND_EVENT_TYPE_DEFINITIONS,
        """
SELECT KIND, OBJECTTYPEID, TABLENAME, AVAILABILITY
FROM OBJECT_AND_EVENT_TYPE_DEFINITIONS
ORDER BY KIND, TABLENAME;
""",
    ),
)

_INTRODUCTION = """\
# The tables

<!-- Written by `make docs` from hubspot_assets/tables/: change it there. -->

One section for each table, or for each kind of table. All queries are in DuckDB's SQL over
[views of a day](querying.md#duckdb), and run in this project's tests.

* **Key** names the columns that identify a row; rows come in its order. Keys hold no NULL.
* **As of the end of the day** means that the table is worked out for that moment, whenever it was
  read, **within the day** that it holds what happened then. **As observed** means that HubSpot
  keeps no history: it is what was there when it was read. [What a day means](days.md) has the whole
  story.
* **In Parquet** is the type in the files below `parquet/`. In the CSV everything is text, as
  [What lands where](layout.md#the-text) says.
"""

_OF_PROPERTIES = """
After these come the properties by name, a column `PROPERTY_<NAME>` each, of the type that the
property has in HubSpot. A number property has another column right behind it,
`PROPERTY_UNPARSED_<NAME>`: the text of a value that is no number. The manifest of the day lists all
columns. In Parquet a property that is a number is a `DECIMAL(38,10)`.
"""

_TYPES = """
## Object types

What HubSpot's own types are called where the portal has not renamed them. Custom types are added by
`hubspot-assets discover`, as `OBJECTS_<plural label>`; so are HubSpot's new ones.

| table | type | name |
|---|---|---|
"""

_EVENTS = """
## Event types

HubSpot's own events. Custom events and those of apps are added by `hubspot-assets discover`.

| table | event |
|---|---|
"""

_COUNTS = """
## What is counted

Whatever is not a row as HubSpot told it is counted in the manifest of the table (`counts`), with a
warning in words. A count that is not there is zero. Besides, there are numbers that these are held
against, as `records_live` and `values_set`.

| count | what the warning says after the number |
|---|---|
"""


def page() -> str:
    """The whole page."""
    catalog = standard_catalog()
    types = "".join(
        f"| `{each.table}` | {each.object_type.id} | {each.label} |\n"
        for each in sorted(named_types(catalog), key=lambda each: each.table)
    )
    events = "".join(
        f"| `{each.table}` | {each.label} |\n"
        for each in sorted(named_events(catalog), key=lambda each: each.table)
    )
    counts = "".join(
        f"| `{name}` | {sentence or '(its warning names what it is about)'} |\n"
        for name, sentence in sorted(SENTENCES.items())
    )
    sections = "".join(line for section in SECTIONS for line in _section(*section))
    return _INTRODUCTION + sections + _TYPES + types + _EVENTS + events + _COUNTS + counts


def _section(title: str, spec: TableSpec, query: str) -> Iterator[str]:
    example = f"`{spec.name}`, for example. " if title != spec.name else ""
    yield f"\n## {title}\n\n{example}{spec.description}"
    key = ", ".join(f"`{name}`" for name in spec.key)
    yield f"\n\n**Key**: {key}. **{_moment(spec)}.**\n\n"
    yield "| column | type | in Parquet | meaning |\n|---|---|---|---|\n"
    for column in spec.columns:
        yield _row(column, spec.key)
    if spec.wide:
        yield _OF_PROPERTIES
    yield f"\n```sql{query}```\n"


def _moment(spec: TableSpec) -> str:
    if spec.group == "events" or spec is specs.RECORD_CHANGES:
        return "Within the day"
    return "As of the end of the day" if spec.point_in_time else "As observed"


def _row(column: Column, key: tuple[str, ...]) -> str:
    stored = parquet_type(column, key)
    return f"| `{column.name}` | {column.type} | {stored} | {column.description} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
