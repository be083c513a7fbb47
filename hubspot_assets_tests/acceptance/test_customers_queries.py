"""Queries that customers run over the tables of the share: 34 to 41."""

from collections import Counter

import pytest

from hubspot_assets_tests.acceptance.plan import naive
from hubspot_assets_tests.conftest import READ_AT

CONTACTS, COMPANIES, DEALS = "0-1", "0-2", "0-3"
CARS, LAPTOPS = "2-4410002", "2-4410011"


@pytest.mark.parametrize(
    ("type_id", "name", "moment"),
    [
        (CONTACTS, "email", "createdate"),
        (COMPANIES, "name", "createdate"),
        (DEALS, "dealname", "closedate"),
    ],
)
def test_34_pivot_of_values_by_name(ask, plan, type_id, name, moment):
    rows = ask(
        "WITH pivoted AS (SELECT OBJECTID, max(VALUE) FILTER (NAME = ?) AS name, "
        "max(VALUE) FILTER (NAME = ?) AS moment "
        "FROM OBJECT_PROPERTIES WHERE OBJECTTYPEID = ? GROUP BY OBJECTID) "
        "SELECT OBJECTID, name, epoch_ms(TRY_CAST(moment AS BIGINT)) FROM pivoted",
        name,
        moment,
        type_id,
    )
    assert {row[0]: row[1:] for row in rows} == {
        key: (row[name], naive(row[moment])) for key, row in plan.rows(type_id).items()
    }
    assert any(found for _, _, found in rows)


def test_35_contacts_of_a_kind_that_are_not_in_a_list(ask, plan):
    listed = {record_id for record_id, _ in plan.members(7, CONTACTS)}
    rows = ask(
        "SELECT p.OBJECTID FROM OBJECT_PROPERTIES p "
        "LEFT JOIN LIST_MEMBERSHIPS m ON m.OBJECTID = p.OBJECTID AND m.LISTID = 7 "
        "WHERE p.OBJECTTYPEID = '0-1' AND p.NAME = 'lifecyclestage' AND p.VALUE = 'lead' "
        "AND m.LISTID IS NULL"
    )
    leads = {key for key, row in plan.rows(CONTACTS).items() if row["lifecyclestage"] == "lead"}
    assert {key for (key,) in rows} == leads - listed
    assert leads & listed


def test_36_metadata_of_lists_and_their_sizes(ask, plan):
    rows = ask(
        "SELECT LISTID, CLASSICLISTID, NAME, LISTTYPE, OBJECTTYPEID, SIZE, CREATEDAT FROM LISTS"
    )
    lists = plan.portal.lists(READ_AT)
    assert set(rows) == {
        (
            each.facts.list_id,
            each.facts.classic_list_id,
            each.facts.name,
            each.facts.processing_type,
            each.facts.object_type_id,
            each.size,
            naive(each.facts.created),
        )
        for each in lists
    }
    unequal = ask(
        "SELECT count(*), count(*) FILTER (l.SIZE <> coalesce(m.members, 0)), sum(l.SIZE) "
        "FROM LISTS l LEFT JOIN (SELECT LISTID, count(*) AS members FROM LIST_MEMBERSHIPS "
        "GROUP BY LISTID) m USING (LISTID)"
    )
    others = [
        each
        for each in lists
        if len(plan.members(each.facts.list_id, each.facts.object_type_id)) != each.size
    ]
    assert len(others) < len(lists)  # those with members who joined since, or are gone
    assert unequal == [(len(rows), len(others), sum(each.size for each in lists))]


@pytest.mark.parametrize(
    ("type_id", "table", "column"),
    [
        (DEALS, "ASSOCIATIONS_DEALS_TO_COMPANIES", "DEAL_OBJECTID"),
        (CONTACTS, "ASSOCIATIONS_CONTACTS_TO_COMPANIES", "CONTACT_OBJECTID"),
    ],
)
def test_37_primary_company_of_each_deal(ask, plan, type_id, table, column):
    """Of contacts, too: some of those have several companies."""
    rows = ask(
        f"SELECT {column}, COMPANY_OBJECTID FROM {table} QUALIFY row_number() OVER "
        f"(PARTITION BY {column} ORDER BY ISMAINASSOCIATIONDEFINITION DESC) = 1"
    )
    links = plan.links(type_id, COMPANIES)
    assert dict(rows) == {each.from_id: each.to_id for each in links if each.label == "Primary"}
    assert len(rows) == len({each.from_id for each in links}) < len(links)


def test_38_deals_per_pipeline_in_a_month(ask, plan):
    rows = ask(
        "SELECT p.VALUE, strftime(epoch_ms(CAST(c.VALUE AS BIGINT)), '%Y-%m'), count(*) "
        "FROM OBJECT_PROPERTIES p JOIN OBJECT_PROPERTIES c USING (OBJECTTYPEID, OBJECTID) "
        "WHERE OBJECTTYPEID = '0-3' AND p.NAME = 'pipeline' AND c.NAME = 'createdate' GROUP BY ALL"
    )
    planned = Counter(
        (row["pipeline"], naive(row["createdate"]).strftime("%Y-%m"))
        for row in plan.rows(DEALS).values()
    )
    assert {(pipeline, month): count for pipeline, month, count in rows} == planned


def test_39_owner_pipeline_and_stage_labels_of_a_deal(ask, plan):
    rows = ask(
        "WITH deals AS (SELECT OBJECTID, max(VALUE) FILTER (NAME = 'hubspot_owner_id') AS owner, "
        "max(VALUE) FILTER (NAME = 'pipeline') AS pipeline, "
        "max(VALUE) FILTER (NAME = 'dealstage') AS stage "
        "FROM OBJECT_PROPERTIES WHERE OBJECTTYPEID = '0-3' GROUP BY OBJECTID) "
        "SELECT d.OBJECTID, o.EMAIL, p.LABEL, s.LABEL FROM deals d "
        "LEFT JOIN OWNERS o ON CAST(o.OWNERID AS VARCHAR) = d.owner "
        "LEFT JOIN PIPELINES p ON p.OBJECTTYPEID = '0-3' AND p.PIPELINEID = d.pipeline "
        "LEFT JOIN PIPELINE_STAGES s ON s.OBJECTTYPEID = '0-3' AND s.PIPELINEID = d.pipeline "
        "AND s.STAGEID = d.stage"
    )
    emails = {str(each.owner_id): each.email for each in plan.portal.owners()}
    pipelines = {each.pipeline_id: each for each in plan.portal.pipelines(DEALS)}
    stages = {
        (each.pipeline_id, stage.stage_id): stage.label
        for each in pipelines.values()
        for stage in each.stages
    }
    assert set(rows) == {
        (
            deal,
            emails.get(row["hubspot_owner_id"]),
            pipelines[row["pipeline"]].label if row["pipeline"] in pipelines else None,
            stages.get((row["pipeline"], row["dealstage"])),
        )
        for deal, row in plan.rows(DEALS).items()
    }
    assert any(all(row) for row in rows)


def test_40_two_custom_types_joined(ask, plan):
    rows = ask(
        "SELECT c.OBJECTID, c.PROPERTY_LABEL_TEXT, l.OBJECTID, l.PROPERTY_LABEL_TEXT, a.LABEL "
        "FROM OBJECTS_CARS c JOIN ASSOCIATIONS_CARS_TO_ASSETS a ON a.CARS_OBJECTID = c.OBJECTID "
        "JOIN OBJECTS_ASSETS l ON l.OBJECTID = a.ASSET_LAPTOPS_OBJECTID"
    )
    cars, laptops = plan.rows(CARS), plan.rows(LAPTOPS)
    assert set(rows) == {
        (each.from_id, cars[each.from_id]["label_text"], each.to_id,
         laptops[each.to_id]["label_text"], each.label)
        for each in plan.links(CARS, LAPTOPS)
    }  # fmt: skip


def test_41_deleted_deals_are_nowhere(warehouse, plan):
    deleted = plan.deleted(DEALS)
    assert deleted
    ids = ", ".join(map(str, deleted))
    for table, where in {
        "OBJECTS_DEALS": "OBJECTID",
        "OBJECTS": "OBJECTTYPEID = '0-3' AND OBJECTID",
        "OBJECT_PROPERTIES": "OBJECTTYPEID = '0-3' AND OBJECTID",
        "OBJECT_PROPERTIES_HISTORY": "OBJECTTYPEID = '0-3' AND OBJECTID",
        "OBJECT_WITH_OBJECT_PROPERTIES": "OBJECTTYPEID = '0-3' AND OBJECTID",
        "ASSOCIATIONS": "FROMOBJECTTYPEID = '0-3' AND FROMOBJECTID",
        "ASSOCIATIONS_DEALS_TO_CONTACTS": "DEAL_OBJECTID",
        "LIST_MEMBERSHIPS": "OBJECTTYPEID = '0-3' AND OBJECTID",
    }.items():
        rows = warehouse.execute(f"SELECT * FROM {table} WHERE {where} IN ({ids})").fetchall()
        assert rows == [], table
