"""What an analyst asks of a delivered day: the answers are those of one company."""

from datetime import timedelta

import pytest

from hubspot_assets_tests.conftest import END

CLOSED = "json_extract_string(s.METADATA, '$.isClosed') = 'true'"
CHANCE = "CAST(json_extract_string(s.METADATA, '$.probability') AS DOUBLE)"
#: Types with stages: table, columns of pipeline and stage.
STAGED = [
    ("DEALS", "PIPELINE", "DEALSTAGE"),
    ("TICKETS", "HS_PIPELINE", "HS_PIPELINE_STAGE"),
    ("LEADS", "HS_PIPELINE", "HS_PIPELINE_STAGE"),
    ("ORDERS", "HS_PIPELINE", "HS_PIPELINE_STAGE"),
    ("APPOINTMENTS", "HS_PIPELINE", "HS_PIPELINE_STAGE"),
    ("CARS", "HS_PIPELINE", "HS_PIPELINE_STAGE"),
]


def none_of(sql, query, *, of):
    """Asserts that a query finds nothing, though there is something to be found."""
    [(count,)] = sql(f"SELECT count(*) FROM {of}")
    assert count >= 3
    assert sql(query) == []


@pytest.mark.parametrize(("table", "pipeline", "stage"), STAGED)
def test_every_pair_of_pipeline_and_stage_exists(sql, table, pipeline, stage):
    none_of(
        sql,
        f"SELECT o.OBJECTID FROM $OBJECTS_{table} o LEFT JOIN $PIPELINE_STAGES s "
        f"ON s.OBJECTTYPEID = o.OBJECTTYPEID AND s.PIPELINEID = o.PROPERTY_{pipeline} "
        f"AND s.STAGEID = o.PROPERTY_{stage} WHERE s.STAGEID IS NULL",
        of=f"$OBJECTS_{table} ",
    )


def test_deals_are_closed_won_and_likely_as_their_stage_says(sql):
    deals = (
        "$OBJECTS_DEALS d JOIN $PIPELINE_STAGES s ON s.OBJECTTYPEID = '0-3' "
        "AND s.PIPELINEID = d.PROPERTY_PIPELINE AND s.STAGEID = d.PROPERTY_DEALSTAGE"
    )
    none_of(
        sql,
        f"SELECT d.OBJECTID FROM {deals} WHERE d.PROPERTY_HS_IS_CLOSED <> ({CLOSED})::VARCHAR "
        f"OR d.PROPERTY_HS_IS_CLOSED_WON <> ({CLOSED} AND {CHANCE} = 1)::VARCHAR "
        f"OR CAST(d.PROPERTY_HS_DEAL_STAGE_PROBABILITY AS DOUBLE) <> {CHANCE}",
        of=deals,
    )
    kinds = sql(
        f"SELECT DISTINCT d.PROPERTY_HS_IS_CLOSED, d.PROPERTY_HS_IS_CLOSED_WON FROM {deals}"
    )
    assert sorted(kinds) == [("false", "false"), ("true", "false"), ("true", "true")]


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("type_id", "stage"),
    [("0-3", "dealstage"), ("0-1", "lifecyclestage"), ("0-5", "hs_pipeline_stage")],
)
def test_dates_of_entering_are_those_of_the_stage_history(sql, type_id, stage):
    entered = (
        "(SELECT OBJECTID, replace(NAME, 'hs_v2_date_entered_', '') AS STAGE, "
        "make_timestamp_ms(VALUE::BIGINT) AS AT FROM $OBJECT_PROPERTIES p "
        f"WHERE OBJECTTYPEID = '{type_id}' AND NAME LIKE 'hs_v2_date_entered_%' "
        "AND NAME <> 'hs_v2_date_entered_current_stage') e"
    )
    moved = (
        "(SELECT OBJECTID, VALUE AS STAGE, max(UPDATEDAT::TIMESTAMP) AS AT "
        "FROM $OBJECT_PROPERTIES_HISTORY h "
        f"WHERE OBJECTTYPEID = '{type_id}' AND NAME = '{stage}' GROUP BY ALL) m"
    )
    none_of(
        sql,
        f"SELECT coalesce(e.OBJECTID, m.OBJECTID) FROM {entered} FULL JOIN {moved} "
        "ON e.OBJECTID = m.OBJECTID AND e.STAGE = m.STAGE AND e.AT = m.AT "
        "WHERE e.STAGE IS NULL OR m.STAGE IS NULL",
        of=entered,
    )


def test_line_items_come_to_price_times_quantity(sql):
    none_of(
        sql,
        "SELECT l.OBJECTID FROM $OBJECTS_LINE_ITEMS l WHERE PROPERTY_AMOUNT::DECIMAL(18, 2) "
        "IS DISTINCT FROM PROPERTY_PRICE::DECIMAL(18, 2) * PROPERTY_QUANTITY::INT",
        of="$OBJECTS_LINE_ITEMS ",
    )


def test_line_items_are_of_products_at_their_price_or_a_discount(sql, portal):
    lines = (
        "$OBJECTS_LINE_ITEMS l LEFT JOIN $OBJECTS_PRODUCTS p "
        "ON p.OBJECTID = l.PROPERTY_HS_PRODUCT_ID"
    )
    none_of(
        sql,
        f"SELECT l.OBJECTID FROM {lines} WHERE p.OBJECTID IS NOT NULL AND "
        "l.PROPERTY_PRICE::DOUBLE / p.PROPERTY_PRICE::DOUBLE NOT BETWEEN 0.8999 AND 1",
        of=f"{lines} WHERE p.OBJECTID IS NOT NULL",
    )
    gone = sql(f"SELECT l.PROPERTY_HS_PRODUCT_ID FROM {lines} WHERE p.OBJECTID IS NULL")
    live = set(portal.portal.live_ids("0-7", END))
    assert len(gone) < 0.3 * sql(f"SELECT count(*) FROM {lines}")[0][0]
    for (product,) in gone:
        assert product is None or int(product) not in live


def test_a_deal_comes_to_the_sum_of_its_line_items(sql):
    sums = (
        "(SELECT a.DEAL_OBJECTID AS DEAL, sum(l.PROPERTY_AMOUNT::DECIMAL(18, 2)) AS AMOUNT "
        "FROM $ASSOCIATIONS_LINE_ITEMS_TO_DEALS a "
        "JOIN $OBJECTS_LINE_ITEMS l ON l.OBJECTID = a.LINE_ITEM_OBJECTID GROUP BY ALL) s"
    )
    none_of(
        sql,
        f"SELECT d.OBJECTID FROM {sums} JOIN $OBJECTS_DEALS d ON d.OBJECTID = s.DEAL "
        "WHERE d.PROPERTY_AMOUNT::DECIMAL(18, 2) IS DISTINCT FROM s.AMOUNT",
        of=sums,
    )


@pytest.mark.parametrize(
    ("table", "name", "amount"),
    [("QUOTES", "QUOTE", "HS_QUOTE_AMOUNT"), ("INVOICES", "INVOICE", "HS_AMOUNT_BILLED")],
)
def test_quotes_and_invoices_come_to_what_their_deal_does(sql, table, name, amount):
    pairs = (
        f"$ASSOCIATIONS_{table}_TO_DEALS a JOIN $OBJECTS_{table} q "
        f"ON q.OBJECTID = a.{name}_OBJECTID JOIN $OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID"
    )
    none_of(
        sql,
        f"SELECT q.OBJECTID FROM {pairs} WHERE q.PROPERTY_{amount} "
        "IS DISTINCT FROM d.PROPERTY_AMOUNT",
        of=pairs,
    )


def test_invoices_belong_to_quotes_and_to_their_deal(sql):
    invoices = (
        "$ASSOCIATIONS_INVOICES_TO_QUOTES i JOIN $ASSOCIATIONS_QUOTES_TO_DEALS q "
        "ON q.QUOTE_OBJECTID = i.QUOTE_OBJECTID JOIN $ASSOCIATIONS_INVOICES_TO_DEALS d "
        "ON d.INVOICE_OBJECTID = i.INVOICE_OBJECTID"
    )
    none_of(
        sql,
        f"SELECT i.INVOICE_OBJECTID FROM {invoices} WHERE q.DEAL_OBJECTID <> d.DEAL_OBJECTID",
        of=invoices,
    )
    # Nothing is billed twice.
    assert (
        sql(
            "SELECT DEAL_OBJECTID FROM $ASSOCIATIONS_INVOICES_TO_DEALS d GROUP BY ALL "
            "HAVING count(DISTINCT INVOICE_OBJECTID) > 1"
        )
        == []
    )


def test_projected_and_closed_amounts_follow_from_amount_and_chance(sql):
    none_of(
        sql,
        "SELECT OBJECTID FROM $OBJECTS_DEALS d WHERE PROPERTY_AMOUNT IS NOT NULL AND ("
        "abs(PROPERTY_HS_PROJECTED_AMOUNT::DOUBLE - PROPERTY_AMOUNT::DOUBLE "
        "* PROPERTY_HS_DEAL_STAGE_PROBABILITY::DOUBLE) > 0.01 OR PROPERTY_HS_CLOSED_AMOUNT::DOUBLE "
        "<> if(PROPERTY_HS_IS_CLOSED_WON = 'true', PROPERTY_AMOUNT::DOUBLE, 0))",
        of="$OBJECTS_DEALS d",
    )


def test_submissions_are_of_contacts_and_counted_with_them(sql):
    contacts = (
        "(SELECT OBJECTID, lower(PROPERTY_EMAIL) AS EMAIL, PROPERTY_NUM_CONVERSION_EVENTS AS N "
        "FROM $OBJECTS_CONTACTS c WHERE PROPERTY_EMAIL IS NOT NULL) c"
    )
    made = (
        "(SELECT lower(json_extract_string(v.value, '$.value')) AS EMAIL, count(*) AS N "
        "FROM $OBJECTS_FORM_SUBMISSIONS s, json_each(s.PROPERTY_VALUES) v "
        "WHERE json_extract_string(v.value, '$.name') = 'email' GROUP BY ALL) s"
    )
    none_of(
        sql,
        f"SELECT c.OBJECTID FROM {contacts} LEFT JOIN {made} ON s.EMAIL = c.EMAIL "
        "WHERE s.N <> coalesce(c.N::INT, 0) OR (s.N IS NULL) <> (c.N IS NULL)",
        of=made,
    )
    # Who is no contact any more, was one.
    [(known, all_of_them)] = sql(
        f"SELECT count(c.EMAIL), count(*) FROM {made} LEFT JOIN {contacts} ON s.EMAIL = c.EMAIL"
    )
    assert known > 0.8 * all_of_them
    assert sql(f"SELECT EMAIL FROM {made} WHERE EMAIL NOT SIMILAR TO '[a-z]+\\.[0-9]+@.*'") == []


def test_meetings_end_after_they_begin_and_have_an_outcome_once_they_are_over(sql):
    none_of(
        sql,
        "SELECT OBJECTID FROM $OBJECTS_MEETINGS m "
        "WHERE PROPERTY_HS_MEETING_END_TIME <= PROPERTY_HS_MEETING_START_TIME "
        "OR PROPERTY_HS_MEETING_START_TIME < PROPERTY_HS_CREATEDATE "
        "OR (PROPERTY_HS_MEETING_OUTCOME = 'SCHEDULED') <> "
        "(PROPERTY_HS_MEETING_END_TIME::TIMESTAMP + INTERVAL 5 MINUTE >= TIMESTAMP '2026-11-23')",
        of="$OBJECTS_MEETINGS m",
    )


def test_the_outcome_of_a_meeting_is_known_five_minutes_after_its_end(sql):
    outcomes = (
        "$OBJECTS_MEETINGS m JOIN $OBJECT_PROPERTIES_HISTORY h ON h.OBJECTTYPEID = '0-47' "
        "AND h.OBJECTID = m.OBJECTID AND h.NAME = 'hs_meeting_outcome' AND h.VALUE <> 'SCHEDULED'"
    )
    none_of(
        sql,
        f"SELECT m.OBJECTID FROM {outcomes} WHERE h.UPDATEDAT::TIMESTAMP "
        "<> m.PROPERTY_HS_MEETING_END_TIME::TIMESTAMP + INTERVAL 5 MINUTE",
        of=outcomes,
    )


def test_tickets_are_closed_when_and_as_long_after_as_they_say(sql):
    closed = (
        "$OBJECTS_TICKETS t JOIN $PIPELINE_STAGES s ON s.OBJECTTYPEID = '0-5' "
        "AND s.STAGEID = t.PROPERTY_HS_PIPELINE_STAGE"
    )
    none_of(
        sql,
        f"SELECT t.OBJECTID FROM {closed} WHERE (PROPERTY_CLOSED_DATE IS NOT NULL) <> ({CLOSED}) "
        "OR epoch_ms(PROPERTY_CLOSED_DATE::TIMESTAMP) - epoch_ms(PROPERTY_CREATEDATE::TIMESTAMP) "
        "<> PROPERTY_TIME_TO_CLOSE::BIGINT "
        "OR PROPERTY_TIME_TO_FIRST_AGENT_REPLY::BIGINT > PROPERTY_TIME_TO_CLOSE::BIGINT",
        of=closed,
    )


def test_lifecycles_go_forward(sql):
    order = "['subscriber','lead','marketingqualifiedlead','salesqualifiedlead','opportunity',"
    order += "'customer','evangelist']"
    moves = (
        f"(SELECT OBJECTID, list_position({order}, VALUE) AS PLACE, lead(PLACE) OVER "
        "(PARTITION BY OBJECTID ORDER BY UPDATEDAT) AS NEXT FROM $OBJECT_PROPERTIES_HISTORY h "
        "WHERE OBJECTTYPEID = '0-1' AND NAME = 'lifecyclestage') m"
    )
    none_of(sql, f"SELECT OBJECTID FROM {moves} WHERE NEXT <= PLACE", of=moves)


CAMPAIGN_SOURCES = "('PAID_SEARCH', 'EMAIL_MARKETING', 'OTHER_CAMPAIGNS')"


def test_contacts_came_by_campaigns_that_were_running(sql, portal):
    came = (
        "(SELECT OBJECTID, PROPERTY_UTM_CAMPAIGN AS UTM, PROPERTY_CREATEDATE AS AT "
        "FROM $OBJECTS_CONTACTS c WHERE PROPERTY_UTM_CAMPAIGN IS NOT NULL) c"
    )
    campaigns = f"{came} LEFT JOIN $OBJECTS_CAMPAIGNS k ON k.PROPERTY_HS_UTM = c.UTM"
    none_of(
        sql,
        f"SELECT c.OBJECTID FROM {campaigns} WHERE k.PROPERTY_HS_CREATEDATE > c.AT",
        of=f"{campaigns} WHERE k.OBJECTID IS NOT NULL",
    )
    life = portal.portal.life("0-35")
    ended = {life.unique_value("campaign_utm", index) for index in range(20) if life.fate(index)}
    gone = {utm for (utm,) in sql(f"SELECT c.UTM FROM {campaigns} WHERE k.OBJECTID IS NULL")}
    assert gone <= ended


def test_sources_campaigns_and_their_parameters_tell_one_story(sql):
    none_of(
        sql,
        "SELECT OBJECTID FROM $OBJECTS_CONTACTS c WHERE (PROPERTY_UTM_CAMPAIGN IS NOT NULL) "
        f"<> (PROPERTY_HS_ANALYTICS_SOURCE IN {CAMPAIGN_SOURCES}) "
        "OR PROPERTY_UTM_CAMPAIGN <> PROPERTY_HS_ANALYTICS_SOURCE_DATA_1 "
        "OR (PROPERTY_UTM_CAMPAIGN IS NULL) <> (PROPERTY_UTM_MEDIUM IS NULL) "
        "OR (PROPERTY_HS_ANALYTICS_SOURCE = 'PAID_SEARCH') "
        "<> (coalesce(PROPERTY_UTM_MEDIUM, '') = 'cpc')",
        of="$OBJECTS_CONTACTS c",
    )
    sources = sql("SELECT DISTINCT PROPERTY_HS_ANALYTICS_SOURCE FROM $OBJECTS_CONTACTS c")
    assert len(sources) == 8


def test_who_filled_in_a_form_came_back_for_that(sql):
    none_of(
        sql,
        "SELECT OBJECTID FROM $OBJECTS_CONTACTS c WHERE PROPERTY_HS_LATEST_SOURCE_TIMESTAMP "
        "<> coalesce(PROPERTY_RECENT_CONVERSION_DATE, PROPERTY_CREATEDATE) OR if("
        "PROPERTY_RECENT_CONVERSION_DATE IS NULL, "
        "PROPERTY_HS_LATEST_SOURCE <> PROPERTY_HS_ANALYTICS_SOURCE, "
        "PROPERTY_HS_LATEST_SOURCE = 'OFFLINE')",
        of="$OBJECTS_CONTACTS c WHERE PROPERTY_RECENT_CONVERSION_DATE IS NOT NULL",
    )


def test_conversions_are_named_as_the_forms_were_that_were_filled_in(sql, portal):
    made = (
        "(SELECT lower(json_extract_string(v.value, '$.value')) AS EMAIL, "
        "arg_min(s.PROPERTY_FORM_ID, s.PROPERTY_HS_CREATEDATE) AS FIRST, "
        "arg_max(s.PROPERTY_FORM_ID, s.PROPERTY_HS_CREATEDATE) AS LAST "
        "FROM $OBJECTS_FORM_SUBMISSIONS s, json_each(s.PROPERTY_VALUES) v "
        "WHERE json_extract_string(v.value, '$.name') = 'email' GROUP BY ALL) s"
    )
    told = sql(
        "SELECT s.FIRST, c.PROPERTY_FIRST_CONVERSION_EVENT_NAME, s.LAST, "
        "c.PROPERTY_RECENT_CONVERSION_EVENT_NAME FROM $OBJECTS_CONTACTS c "
        f"JOIN {made} ON s.EMAIL = lower(c.PROPERTY_EMAIL)"
    )
    names = {
        (form.asset_id, form.told["name"])
        for months in range(42)
        for form in portal.portal.forms(END - timedelta(days=30 * months))
    }
    assert len(names) > len({form for form, _ in names}), "some were renamed"
    assert len(told) > 30
    assert {each[:2] for each in told} | {each[2:] for each in told} <= names
