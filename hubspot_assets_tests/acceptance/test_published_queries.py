"""Queries that HubSpot publishes for the tables of its share: 1 to 13 of the share's users."""

from collections import Counter

from hubspot_assets_tests.acceptance.plan import naive
from hubspot_assets_tests.conftest import READ_AT

CONTACTS, COMPANIES, DEALS, TICKETS = "0-1", "0-2", "0-3", "0-5"


def test_1_type_and_create_date_of_a_deal(ask, plan):
    rows = ask("SELECT OBJECTTYPEID, PROPERTY_CREATEDATE FROM OBJECTS_DEALS LIMIT 1")
    first = next(iter(plan.rows(DEALS).values()))
    assert rows == [(DEALS, naive(first["createdate"]))]


def test_2_ten_deals_in_order_of_ids(ask, plan):
    rows = ask(
        "SELECT OBJECTTYPEID, UPDATEDAT, INGESTEDAT FROM OBJECTS_DEALS ORDER BY OBJECTID LIMIT 10"
    )
    first = list(plan.rows(DEALS).values())[:10]
    assert [row[:2] for row in rows] == [(DEALS, naive(each.updated_at)) for each in first]
    assert all(ingested is not None for _, _, ingested in rows)


def test_3_ids_and_update_times_of_contacts(ask, plan):
    rows = ask("SELECT OBJECTID, UPDATEDAT FROM OBJECTS_CONTACTS")
    assert dict(rows) == {key: naive(row.updated_at) for key, row in plan.rows(CONTACTS).items()}


def test_4_a_combined_table_by_type(ask, plan):
    rows = ask(
        "SELECT OBJECTID, PROPERTIES ->> 'email' FROM OBJECT_WITH_OBJECT_PROPERTIES "
        "WHERE OBJECTTYPEID = '0-1'"
    )
    assert dict(rows) == {key: row["email"] for key, row in plan.rows(CONTACTS).items()}


def test_5_all_records_of_a_type_and_their_create_dates(ask, plan):
    rows = ask(
        "SELECT o.OBJECTID, epoch_ms(CAST(p.PROPERTIES ->> 'createdate' AS BIGINT)) "
        "FROM OBJECTS o JOIN OBJECT_WITH_OBJECT_PROPERTIES p USING (OBJECTTYPEID, OBJECTID) "
        "WHERE o.OBJECTTYPEID = '0-3'"
    )
    assert dict(rows) == {key: naive(row["createdate"]) for key, row in plan.rows(DEALS).items()}


def test_6_latest_values_of_a_record_and_the_history_of_one(ask, plan):
    deal = max(plan.rows(DEALS), key=lambda each: len(plan.history(DEALS, each, "dealstage")))
    values = ask(
        "SELECT NAME, VALUE FROM OBJECT_PROPERTIES WHERE OBJECTTYPEID = '0-3' AND OBJECTID = ?",
        deal,
    )
    assert {name for name, _ in values} == plan.rows(DEALS)[deal].values.keys()
    assert ("dealstage", plan.rows(DEALS)[deal]["dealstage"]) in values
    history = ask(
        "SELECT VALUE, UPDATEDAT FROM OBJECT_PROPERTIES_HISTORY WHERE OBJECTTYPEID = '0-3' "
        "AND OBJECTID = ? AND NAME = 'dealstage' ORDER BY UPDATEDAT DESC",
        deal,
    )
    assert history == plan.history(DEALS, deal, "dealstage")
    assert len(history) > 1


def test_7_contacts_associated_with_deals(ask, plan):
    rows = ask(
        "SELECT DISTINCT c.OBJECTID, c.PROPERTY_EMAIL, d.OBJECTID, d.PROPERTY_DEALNAME "
        "FROM OBJECTS_CONTACTS c "
        "JOIN ASSOCIATIONS_CONTACTS_TO_DEALS a ON a.CONTACT_OBJECTID = c.OBJECTID "
        "JOIN OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID ORDER BY 1, 3"
    )
    assert rows == [
        (
            contact,
            plan.rows(CONTACTS)[contact]["email"],
            deal,
            plan.rows(DEALS)[deal]["dealname"],
        )
        for contact, deal in plan.links_of_the_day(CONTACTS, DEALS)
    ]
    through_all = ask(
        "SELECT DISTINCT c.OBJECTID, c.PROPERTY_EMAIL, d.OBJECTID, d.PROPERTY_DEALNAME "
        "FROM OBJECTS_CONTACTS c JOIN ASSOCIATIONS a ON a.FROMOBJECTID = c.OBJECTID "
        "AND a.COMBINEDASSOCIATIONTYPEID = '0-4' "
        "JOIN OBJECTS_DEALS d ON d.OBJECTID = a.TOOBJECTID ORDER BY 1, 3"
    )
    assert through_all == rows


def test_8_how_many_associations_each_type_has(ask, plan):
    rows = ask(
        "SELECT d.FROMOBJECTTYPEID, d.TOOBJECTTYPEID, d.ASSOCIATIONCATEGORY, d.ASSOCIATIONTYPEID, "
        "count(*) FROM ASSOCIATIONS a JOIN ASSOCIATION_DEFINITIONS d "
        "USING (COMBINEDASSOCIATIONTYPEID) GROUP BY ALL"
    )
    planned = Counter(
        (*pair, link.category, link.type_id)
        for pair in plan.portal.linked_pairs()
        for link in plan.links(*pair)
    )
    assert {row[:4]: row[4] for row in rows} == planned
    definitions = ask(
        "SELECT ASSOCIATIONTYPEID, LABEL FROM ASSOCIATION_DEFINITIONS "
        "WHERE FROMOBJECTTYPEID = '0-3' AND TOOBJECTTYPEID = '0-1'"
    )
    assert set(definitions) == {
        (each.type_id, each.label) for each in plan.portal.association_definitions(DEALS, CONTACTS)
    }


def test_9_email_opens_and_what_an_open_tells(ask, plan):
    opens = ask("SELECT ID, OBJECTID FROM EVENTS_OPENED_EMAIL_V2")
    assert dict(opens) == {
        each["id"]: plan.contact_ids.get(each["recipient"].lower())
        for each in plan.email_events("OPEN")
    }
    defined = ask(
        "SELECT p.NAME FROM PROPERTY_DEFINITIONS p JOIN OBJECT_AND_EVENT_TYPE_DEFINITIONS t "
        "USING (OBJECTTYPEID) WHERE t.TABLENAME = 'EVENTS_OPENED_EMAIL_V2'"
    )
    assert {("hs_email_campaign_id",), ("hs_recipient",), ("hs_user_agent",)} <= set(defined)


def test_10_owner_of_each_deal(ask, plan):
    rows = ask(
        "SELECT d.OBJECTID, o.FIRSTNAME, o.LASTNAME, o.EMAIL FROM OBJECTS_DEALS d "
        "JOIN OWNERS o ON o.OWNERID = TRY_CAST(d.PROPERTY_HUBSPOT_OWNER_ID AS BIGINT)"
    )
    owners = {str(each.owner_id): each for each in plan.portal.owners()}
    planned = {
        (deal, owner.first_name, owner.last_name, owner.email)
        for deal, row in plan.rows(DEALS).items()
        if (owner := owners.get(row["hubspot_owner_id"]))
    }
    assert {(deal, first or None, last or None, email) for deal, first, last, email in rows} == (
        planned
    )


def test_11_pipeline_and_stage_names_of_deals(ask, plan):
    rows = ask(
        "SELECT d.OBJECTID, p.LABEL, s.LABEL FROM OBJECTS_DEALS d "
        "JOIN PIPELINES p ON p.OBJECTTYPEID = d.OBJECTTYPEID AND p.PIPELINEID = PROPERTY_PIPELINE "
        "JOIN PIPELINE_STAGES s ON s.OBJECTTYPEID = d.OBJECTTYPEID "
        "AND s.PIPELINEID = p.PIPELINEID AND s.STAGEID = PROPERTY_DEALSTAGE"
    )
    labels = {
        (pipeline.pipeline_id, stage.stage_id): (pipeline.label, stage.label)
        for pipeline in plan.portal.pipelines(DEALS)
        for stage in pipeline.stages
    }
    assert set(rows) == {
        (deal, *labels[row["pipeline"], row["dealstage"]])
        for deal, row in plan.rows(DEALS).items()
        if (row["pipeline"], row["dealstage"]) in labels
    }


def test_12_members_of_a_list(ask, plan):
    newsletter = next(
        each
        for each in plan.portal.lists(READ_AT)
        if each.facts.object_type_id == CONTACTS and each.facts.name.startswith("Newsletter")
    )
    rows = ask(
        "SELECT c.OBJECTID, c.PROPERTY_EMAIL, m.UPDATEDAT FROM LISTS l "
        "JOIN LIST_MEMBERSHIPS m USING (LISTID) JOIN OBJECTS_CONTACTS c "
        "ON c.OBJECTID = m.OBJECTID WHERE l.NAME = ?",
        newsletter.facts.name,
    )
    contacts = plan.rows(CONTACTS)
    assert set(rows) == {
        (record_id, contacts[record_id]["email"], naive(joined))
        for record_id, joined in plan.members(newsletter.facts.list_id, CONTACTS)
    }


def test_13_definition_of_a_property_and_all_types(ask, plan):
    (amount,) = ask(
        "SELECT TYPE, LABEL FROM PROPERTY_DEFINITIONS "
        "WHERE OBJECTTYPEID = '0-3' AND NAME = 'amount'"
    )
    (planned,) = (each for each in plan.portal.properties(DEALS) if each.name == "amount")
    assert amount == (planned.type, planned.label)
    types = ask("SELECT OBJECTTYPEID, KIND, SINGULARLABEL FROM OBJECT_AND_EVENT_TYPE_DEFINITIONS")
    told = {type_id: label for type_id, kind, label in types if kind == "OBJECT"}
    for kind in plan.portal.object_types():
        assert told[kind.object_type_id] == kind.singular_label
    custom = {each.event_type_id for each in plan.portal.event_definitions()}
    assert custom <= {type_id for type_id, kind, _ in types if kind == "EVENT"}
