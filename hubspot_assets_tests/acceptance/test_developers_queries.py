"""Queries of HubSpot's own developers over the tables of the share: 14 to 33."""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal

import duckdb
import pytest

from hubspot_assets_tests.acceptance.plan import naive, number
from hubspot_assets_tests.acceptance.reader import open_day
from hubspot_assets_tests.conftest import END, READ_AT

CONTACTS, COMPANIES, DEALS, TICKETS, LINE_ITEMS = "0-1", "0-2", "0-3", "0-5", "0-8"
EMAILS, CARS, USERS = "0-49", "2-4410002", "0-115"
TRIALS, PURCHASES = "pe1234567_trial_started", "pe1234567_purchase_made"


def amount(row):
    return number(row["amount"]) or Decimal(0)


def test_14_last_open_and_click_of_contacts(ask, plan):
    rows = ask(
        "SELECT OBJECTID, PROPERTY_FIRSTNAME, PROPERTY_LASTNAME, PROPERTY_HS_EMAIL_LAST_OPEN_DATE, "
        "PROPERTY_HS_EMAIL_LAST_CLICK_DATE, PROPERTY_LIFECYCLESTAGE FROM OBJECTS_CONTACTS "
        "WHERE PROPERTY_HS_EMAIL_LAST_OPEN_DATE IS NOT NULL"
    )
    assert set(rows) == {
        (
            contact,
            row["firstname"],
            row["lastname"],
            naive(row["hs_email_last_open_date"]),
            naive(row["hs_email_last_click_date"]),
            row["lifecyclestage"],
        )
        for contact, row in plan.rows(CONTACTS).items()
        if row["hs_email_last_open_date"]
    }


def test_15_clicks_with_the_names_of_email_and_campaign(ask, plan):
    rows = ask(
        "SELECT k.ID, k.OBJECTID, k.OCCURREDAT, k.PROPERTY_HS_CLICK_ORIGINAL_URL, "
        "e.PROPERTY_HS_NAME, c.PROPERTY_HS_NAME, c.PROPERTY_HS_START_DATE "
        "FROM EVENTS_CLICKED_LINK_IN_EMAIL_V2 k "
        "JOIN OBJECTS_MARKETING_EMAILS e "
        "ON e.PROPERTY_HS_ORIGIN_ASSET_ID = k.PROPERTY_HS_EMAIL_META_CONTENT_ID "
        "LEFT JOIN OBJECTS_CAMPAIGNS c ON c.PROPERTY_HS_ORIGIN_ASSET_ID = e.PROPERTY_CAMPAIGN"
    )
    emails = {
        campaign: each.told
        for each in plan.portal.marketing_emails(READ_AT)
        if not each.archived
        for campaign in each.told["allEmailCampaignIds"]
    }
    campaigns = {each.asset_id: each.told["properties"] for each in plan.portal.campaigns(READ_AT)}
    planned = set()
    for click in plan.email_events("CLICK"):
        email = emails[str(click["emailCampaignId"])]
        campaign = campaigns.get(email.get("campaign"), {})
        start = campaign.get("hs_start_date")
        planned.add((
            click["id"],
            plan.contact_ids.get(click["recipient"].lower()),
            naive(click["created"]),
            click["url"],
            email["name"],
            campaign.get("hs_name"),
            naive(f"{start}T00:00:00Z").date() if start else None,
        ))  # fmt: skip
    assert set(rows) == planned
    assert any(row[5] for row in rows)


def test_16_revenue_of_contacts_who_interacted_with_ads(ask, warehouse, plan):
    """HubSpot has no API of ads: their tables have headers, and their events come from the
    events API."""
    rows = ask(
        "SELECT c.OBJECTID, count(DISTINCT d.OBJECTID), sum(d.PROPERTY_AMOUNT) "
        "FROM (SELECT DISTINCT OBJECTID FROM EVENTS_AD_INTERACTION) e "
        "JOIN OBJECTS_CONTACTS c USING (OBJECTID) "
        "LEFT JOIN (SELECT DISTINCT CONTACT_OBJECTID, DEAL_OBJECTID "
        "FROM ASSOCIATIONS_CONTACTS_TO_DEALS) a ON a.CONTACT_OBJECTID = c.OBJECTID "
        "LEFT JOIN OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID GROUP BY c.OBJECTID"
    )
    interacted = {each.object_id for each in plan.events("e_ad_interaction")}
    deals = defaultdict(list)
    for contact, deal in plan.links_of_the_day(CONTACTS, DEALS):
        deals[contact].append(number(plan.rows(DEALS)[deal]["amount"]))
    planned = {}
    for contact in interacted & plan.rows(CONTACTS).keys():
        amounts = [each for each in deals[contact] if each is not None]
        planned[contact] = (len(deals[contact]), sum(amounts) if amounts else None)
    assert {row[0]: row[1:] for row in rows} == planned
    assert any(revenue for _, _, revenue in rows)
    for table in ("AD_ACCOUNTS", "AD_CAMPAIGNS", "AD_GROUPS", "ADS"):
        empty = warehouse.execute(f"SELECT OBJECTTYPEID, OBJECTID, UPDATEDAT FROM OBJECTS_{table}")
        assert empty.fetchall() == []
    metrics = ask(
        "SELECT PROPERTY_HS_AD_CAMPAIGN_ID, sum(PROPERTY_HS_AD_AMOUNT_SPENT) "
        "FROM EVENTS_AD_METRICS_IMPORTED_V0 GROUP BY ALL"
    )
    spent = defaultdict(list)
    for each in plan.events("e_ad_metrics_imported_v0"):
        amounts = spent[each.properties.get("hs_ad_campaign_id")]
        amounts += filter(None, [number(each.properties.get("hs_ad_amount_spent"))])
    assert dict(metrics) == {
        campaign: sum(amounts) if amounts else None for campaign, amounts in spent.items()
    }


def test_17_custom_events_per_month_and_contact_by_lead_source(ask, plan):
    rows = ask(
        "SELECT strftime(e.OCCURREDAT, '%Y-%m'), c.OBJECTID, e.PROPERTY_LEAD_SOURCE, count(*) "
        "FROM EVENTS_TRIAL_STARTED e JOIN OBJECTS_CONTACTS c USING (OBJECTID) GROUP BY ALL"
    )
    contacts = plan.rows(CONTACTS)
    assert {row[:3]: row[3] for row in rows} == Counter(
        ("2026-11", each.object_id, each.properties.get("lead_source"))
        for each in plan.events(TRIALS)
        if each.object_id in contacts
    )
    effect = ask(
        "SELECT t.PROPERTY_LEAD_SOURCE, count(DISTINCT p.OBJECTID) FROM EVENTS_TRIAL_STARTED t "
        "JOIN EVENTS_PURCHASE_MADE p USING (OBJECTID) WHERE t.PROPERTY_LEAD_SOURCE IS NOT NULL "
        "GROUP BY ALL"
    )
    buyers = {each.object_id for each in plan.events(PURCHASES)}
    pairs = {(e.properties.get("lead_source"), e.object_id) for e in plan.events(TRIALS)}
    assert dict(effect) == Counter(
        source for source, contact in pairs if source is not None and contact in buyers
    )


def test_18_revenue_per_contact_with_deals(ask, plan):
    rows = ask(
        "SELECT c.OBJECTID, sum(coalesce(d.PROPERTY_AMOUNT, 0)), min(d.PROPERTY_CREATEDATE), "
        "max(d.PROPERTY_CLOSEDATE) FROM (SELECT DISTINCT DEAL_OBJECTID, CONTACT_OBJECTID "
        "FROM ASSOCIATIONS_DEALS_TO_CONTACTS) a "
        "JOIN OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID "
        "JOIN OBJECTS_CONTACTS c ON c.OBJECTID = a.CONTACT_OBJECTID GROUP BY c.OBJECTID"
    )
    deals = defaultdict(list)
    for deal, contact in plan.links_of_the_day(DEALS, CONTACTS):
        deals[contact].append(plan.rows(DEALS)[deal])
    assert {row[0]: row[1:] for row in rows} == {
        contact: (
            sum(map(amount, each)),
            min(naive(deal["createdate"]) for deal in each),
            max((naive(deal["closedate"]) for deal in each if deal["closedate"]), default=None),
        )
        for contact, each in deals.items()
    }


def test_19_product_usage_of_contacts(ask, plan):
    rows = ask(
        "SELECT e.ID, e.OCCURREDAT, e.PROPERTY_HS_BROWSER, e.PROPERTY_HS_DEVICE_TYPE, "
        "e.PROPERTY_ACTION, e.PROPERTY_DURATION_SECONDS, c.PROPERTY_EMAIL "
        "FROM EVENTS_SOFTWARE_USAGE_EVENT e JOIN OBJECTS_CONTACTS c USING (OBJECTID)"
    )
    contacts = plan.rows(CONTACTS)
    assert set(rows) == {
        (
            each.id,
            naive(each.occurred_at),
            each.properties.get("hs_browser"),
            each.properties.get("hs_device_type"),
            each.properties.get("action"),
            number(each.properties.get("duration_seconds")),
            contacts[each.object_id]["email"],
        )
        for each in plan.events("pe1234567_software_usage_event")
        if each.object_id in contacts
    }


def test_20_employees_rolled_up_a_tree_of_companies(ask, plan):
    """Of employees, as no company of the portal has revenue; by ids as text, as they are told."""
    rows = ask(
        "SELECT coalesce(PROPERTY_UNPARSED_HS_PARENT_COMPANY_ID, PROPERTY_UNPARSED_HS_OBJECT_ID), "
        "sum(PROPERTY_NUMBEROFEMPLOYEES), sum(PROPERTY_TOTAL_REVENUE) "
        "FROM OBJECTS_COMPANIES GROUP BY ALL"
    )
    companies = plan.rows(COMPANIES)
    planned = defaultdict(list)
    for company, row in companies.items():
        parent = row["hs_parent_company_id"] or str(company)
        planned[parent] += [number(row["numberofemployees"])] if row["numberofemployees"] else []
    assert {row[0]: row[1:] for row in rows} == {
        root: (sum(each) if each else None, None) for root, each in planned.items()
    }
    assert any(row["hs_parent_company_id"] for row in companies.values())
    tree = ask(
        "WITH RECURSIVE children AS (SELECT DISTINCT a.FROM_COMPANY_OBJECTID AS parent, "
        "a.TO_COMPANY_OBJECTID AS child FROM ASSOCIATIONS_COMPANIES_TO_COMPANIES a "
        "WHERE a.LABEL = 'Child Company'), "
        "below(root, company) AS (SELECT OBJECTID, OBJECTID FROM OBJECTS_COMPANIES "
        "UNION SELECT b.root, c.child FROM below b JOIN children c ON c.parent = b.company) "
        "SELECT b.root, c.PROPERTY_NAME FROM below b JOIN OBJECTS_COMPANIES c "
        "ON c.OBJECTID = b.company WHERE b.root <> b.company"
    )
    children = defaultdict(set)
    for link in plan.links(COMPANIES, COMPANIES):
        if link.label == "Child Company":
            children[link.from_id].add(link.to_id)
    assert set(tree) == {
        (root, companies[each]["name"])
        for root in companies
        for each in descendants(children, root) - {root}
        if each in companies
    }


def descendants(children, root):
    found, new = set(), {root}
    while new:
        new = {child for each in new for child in children[each]} - found
        found |= new
    return found


def test_21_retention_by_first_and_later_deals(ask, plan):
    rows = ask(
        "WITH deals AS (SELECT a.CONTACT_OBJECTID AS contact, d.PROPERTY_CREATEDATE AS made "
        "FROM (SELECT DISTINCT DEAL_OBJECTID, CONTACT_OBJECTID FROM ASSOCIATIONS_DEALS_TO_CONTACTS)"
        " a JOIN OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID "
        "JOIN OBJECTS_CONTACTS c ON c.OBJECTID = a.CONTACT_OBJECTID) "
        "SELECT contact, min(made), count(*) - 1 FROM deals GROUP BY contact"
    )
    deals = defaultdict(list)
    for deal, contact in plan.links_of_the_day(DEALS, CONTACTS):
        deals[contact].append(naive(plan.rows(DEALS)[deal]["createdate"]))
    assert set(rows) == {(contact, min(each), len(each) - 1) for contact, each in deals.items()}


def test_22_rank_of_owners_by_product(ask, plan):
    rows = ask(
        "SELECT *, rank() OVER (PARTITION BY product ORDER BY revenue DESC) FROM ("
        "SELECT l.PROPERTY_NAME AS product, d.PROPERTY_HUBSPOT_OWNER_ID, "
        "sum(l.PROPERTY_AMOUNT) AS revenue "
        "FROM OBJECTS_DEALS d JOIN (SELECT DISTINCT DEAL_OBJECTID, LINE_ITEM_OBJECTID "
        "FROM ASSOCIATIONS_DEALS_TO_LINE_ITEMS) a ON a.DEAL_OBJECTID = d.OBJECTID "
        "JOIN OBJECTS_LINE_ITEMS l ON l.OBJECTID = a.LINE_ITEM_OBJECTID "
        "WHERE d.PROPERTY_HS_IS_CLOSED_WON GROUP BY ALL)"
    )
    sales = defaultdict(Counter)
    for deal, item in plan.links_of_the_day(DEALS, LINE_ITEMS):
        sold, line = plan.rows(DEALS)[deal], plan.rows(LINE_ITEMS)[item]
        if sold["hs_is_closed_won"] == "true":
            sales[line["name"]][sold["hubspot_owner_id"]] += amount(line)
    assert set(rows) == {
        (product, owner, total, 1 + sum(other > total for other in owners.values()))
        for product, owners in sales.items()
        for owner, total in owners.items()
    }


@pytest.mark.parametrize(
    ("type_id", "name"), [(TICKETS, "hs_pipeline_stage"), (DEALS, "dealstage")]
)
def test_23_time_spent_in_each_stage(ask, plan, type_id, name):
    rows = ask(
        "SELECT OBJECTID, VALUE, UPDATEDAT, lead(UPDATEDAT) OVER (PARTITION BY OBJECTID "
        "ORDER BY UPDATEDAT) - UPDATEDAT FROM OBJECT_PROPERTIES_HISTORY "
        "WHERE OBJECTTYPEID = ? AND NAME = ?",
        type_id,
        name,
    )
    planned = set()
    for record_id in plan.rows(type_id):
        until = None
        for value, since in plan.history(type_id, record_id, name):
            planned.add((record_id, value, since, until and until - since))
            until = since
    assert set(rows) == planned
    assert any(spent for *_, spent in rows)


def test_24_incoming_emails_per_month_to_an_inbox(ask, plan):
    """By the time of the e-mail: INGESTEDAT is when a row was read, which tells nothing here."""
    rows = ask(
        "SELECT strftime(PROPERTY_HS_TIMESTAMP, '%Y-%m'), PROPERTY_HS_EMAIL_TO_EMAIL, count(*) "
        "FROM OBJECTS_ENGAGEMENTS WHERE PROPERTY_HS_ENGAGEMENT_TYPE = 'INCOMING_EMAIL' "
        "AND INGESTEDAT IS NOT NULL GROUP BY ALL"
    )
    assert {row[:2]: row[2] for row in rows} == Counter(
        (naive(row["hs_timestamp"]).strftime("%Y-%m"), row["hs_email_to_email"])
        for row in plan.rows(EMAILS).values()
        if row["hs_email_direction"] == "INCOMING_EMAIL"
    )


def test_25_contacts_with_fewer_than_three_events(ask, plan):
    """On the day: a longer time takes the tables of several days."""
    rows = ask(
        "SELECT c.OBJECTID, count(e.ID) FROM OBJECTS_CONTACTS c "
        "LEFT JOIN EVENTS_TRIAL_STARTED e ON e.OBJECTID = c.OBJECTID "
        "GROUP BY c.OBJECTID HAVING count(e.ID) < 3"
    )
    counted = Counter(each.object_id for each in plan.events(TRIALS))
    assert dict(rows) == {each: counted[each] for each in plan.rows(CONTACTS) if counted[each] < 3}
    assert max(counted.values()) >= 3


def test_26_companies_with_many_tickets(ask, plan):
    rows = ask(
        "SELECT c.PROPERTY_NAME, c.OBJECTID, count(t.OBJECTID), "
        "sum(t.PROPERTY_HS_TIME_TO_CLOSE_IN_OPERATING_HOURS IS NOT NULL), "
        "count(*) FILTER (t.PROPERTY_HS_TICKET_PRIORITY = 'HIGH') "
        "FROM (SELECT DISTINCT TICKET_OBJECTID, COMPANY_OBJECTID "
        "FROM ASSOCIATIONS_TICKETS_TO_COMPANIES) a "
        "JOIN OBJECTS_TICKETS t ON t.OBJECTID = a.TICKET_OBJECTID "
        "JOIN OBJECTS_COMPANIES c ON c.OBJECTID = a.COMPANY_OBJECTID GROUP BY ALL ORDER BY 3 DESC"
    )
    tickets = defaultdict(list)
    for ticket, company in plan.links_of_the_day(TICKETS, COMPANIES):
        tickets[company].append(plan.rows(TICKETS)[ticket])
    assert set(rows) == {
        (
            plan.rows(COMPANIES)[company]["name"],
            company,
            len(each),
            sum("hs_time_to_close_in_operating_hours" in row.values for row in each),
            sum(row["hs_ticket_priority"] == "HIGH" for row in each),
        )
        for company, each in tickets.items()
    }


@pytest.mark.parametrize("days", [7, 30, 90])
def test_27_most_changed_properties(ask, plan, days):
    rows = ask(
        "SELECT NAME, count(*) FROM OBJECT_PROPERTIES_HISTORY WHERE OBJECTTYPEID = '0-3' "
        "AND UPDATEDAT >= TIMESTAMP '2026-11-23' - to_days(CAST(? AS INTEGER)) "
        "GROUP BY NAME ORDER BY 2 DESC",
        days,
    )
    since = naive(END) - timedelta(days=days)
    names = [each.name for each in plan.portal.properties(DEALS) if not each.archived]
    assert dict(rows) == Counter(
        name
        for deal in plan.rows(DEALS)
        for name in names
        for _, moment in plan.history(DEALS, deal, name)
        if moment >= since
    )


def test_28_records_of_a_custom_type_of_contacts(ask, plan):
    rows = ask(
        "SELECT DISTINCT c.PROPERTY_EMAIL, r.OBJECTID, r.PROPERTY_LABEL_TEXT FROM OBJECTS_CARS r "
        "JOIN ASSOCIATIONS_CARS_TO_CONTACTS a ON a.CARS_OBJECTID = r.OBJECTID "
        "JOIN OBJECTS_CONTACTS c ON c.OBJECTID = a.CONTACT_OBJECTID"
    )
    cars, contacts = plan.rows(CARS), plan.rows(CONTACTS)
    assert set(rows) == {
        (contacts[contact]["email"], car, cars[car]["label_text"])
        for car, contact in plan.links_of_the_day(CARS, CONTACTS)
    }


def test_29_lists_by_who_made_them(ask, plan):
    """By job title: users have no business unit in the portal."""
    rows = ask(
        "SELECT l.PROPERTY_HS_LIST_NAME, u.PROPERTY_HS_EMAIL, u.PROPERTY_HS_JOB_TITLE, "
        "l.PROPERTY_HS_IS_READ_ONLY, l.PROPERTY_HS_IS_PUBLIC FROM OBJECTS_LISTS l "
        "LEFT JOIN OBJECTS_USERS u ON u.PROPERTY_UNPARSED_HS_INTERNAL_USER_ID = "
        "CAST(CAST(l.PROPERTY_HS_CREATED_BY_USER_ID AS BIGINT) AS VARCHAR)"
    )
    users = defaultdict(list)
    for row in plan.rows(USERS).values():
        users[row["hs_internal_user_id"]].append((row["hs_email"], row["hs_job_title"]))
    assert set(rows) == {
        (each.facts.name, *user, each.facts.read_only, each.facts.public)
        for each in plan.portal.lists(READ_AT)
        for user in users.get(each.facts.created_by, [(None, None)])
    }
    assert any(email for _, email, *_ in rows)


def test_30_share_of_closed_tickets_in_two_portals(day, plan):
    """Two portals are two databases; here the second is the first once more."""
    connection = duckdb.connect()
    for schema in ("first_portal", "second_portal"):
        open_day(day, schema, connection, only=["OBJECTS_TICKETS"])
    rows = connection.execute(
        "SELECT count(*), count(PROPERTY_CLOSED_DATE) FROM ("
        "SELECT OBJECTID, PROPERTY_CLOSED_DATE FROM first_portal.OBJECTS_TICKETS "
        "UNION ALL SELECT OBJECTID, PROPERTY_CLOSED_DATE FROM second_portal.OBJECTS_TICKETS)"
    ).fetchall()
    tickets = plan.rows(TICKETS).values()
    closed = sum(bool(row["closed_date"]) for row in tickets)
    assert rows == [(2 * len(tickets), 2 * closed)]
    assert 0 < closed < len(tickets)


def test_31_page_views_by_url_and_source_and_hour(ask, plan):
    rows = ask(
        "SELECT *, rank() OVER (PARTITION BY hour ORDER BY views DESC) FROM ("
        "SELECT hour(OCCURREDAT) AS hour, PROPERTY_HS_BASE_URL, PROPERTY_HS_URL, "
        "PROPERTY_HS_UTM_SOURCE, PROPERTY_HS_UTM_MEDIUM, count(*) AS views "
        "FROM EVENTS_VISITED_PAGE GROUP BY ALL)"
    )
    names = ("hs_base_url", "hs_url", "hs_utm_source", "hs_utm_medium")
    views = Counter(
        (naive(each.occurred_at).hour, *(each.properties.get(name) for name in names))
        for each in plan.events("e_visited_page")
    )
    assert set(rows) == {
        (*key, count, 1 + sum(n > count for other, n in views.items() if other[0] == key[0]))
        for key, count in views.items()
    }


def test_32_time_between_two_events_of_a_contact(ask, plan):
    rows = ask(
        "SELECT t.OBJECTID, min(t.EVENTTYPEID), min(p.EVENTTYPEID), "
        "min(p.OCCURREDAT) - min(t.OCCURREDAT) FROM EVENTS_TRIAL_STARTED t "
        "JOIN EVENTS_PURCHASE_MADE p USING (OBJECTID) GROUP BY t.OBJECTID"
    )
    first = {}
    for name in (TRIALS, PURCHASES):
        first[name] = {}
        for each in plan.events(name):
            first[name].setdefault(each.object_id, naive(each.occurred_at))
    ids = {each.name: each.event_type_id for each in plan.portal.event_definitions()}
    assert set(rows) == {
        (contact, ids[TRIALS], ids[PURCHASES], first[PURCHASES][contact] - started)
        for contact, started in first[TRIALS].items()
        if contact in first[PURCHASES]
    }


def test_33_unloading_interactions_as_csv(warehouse, plan, tmp_path):
    target = tmp_path / "interactions.csv"
    warehouse.execute(
        "COPY (SELECT c.OBJECTID AS USER_ID, l.PROPERTY_NAME AS ITEM, "
        "epoch_ms(d.PROPERTY_CREATEDATE) AS TIMESTAMP FROM OBJECTS_CONTACTS c "
        "JOIN (SELECT DISTINCT DEAL_OBJECTID, CONTACT_OBJECTID FROM ASSOCIATIONS_DEALS_TO_CONTACTS)"
        " a ON a.CONTACT_OBJECTID = c.OBJECTID "
        "JOIN OBJECTS_DEALS d ON d.OBJECTID = a.DEAL_OBJECTID "
        "JOIN (SELECT DISTINCT LINE_ITEM_OBJECTID, DEAL_OBJECTID "
        "FROM ASSOCIATIONS_LINE_ITEMS_TO_DEALS) i ON i.DEAL_OBJECTID = d.OBJECTID "
        "JOIN OBJECTS_LINE_ITEMS l ON l.OBJECTID = i.LINE_ITEM_OBJECTID) "
        f"TO '{target}' (FORMAT csv, HEADER true)"
    )
    rows = duckdb.connect().sql(f"FROM read_csv('{target}', header=true)").fetchall()
    items = defaultdict(list)
    for item, deal in plan.links_of_the_day(LINE_ITEMS, DEALS):
        items[deal].append(plan.rows(LINE_ITEMS)[item]["name"])
    planned = Counter(
        (contact, item, naive(plan.rows(DEALS)[deal]["createdate"]))
        for deal, contact in plan.links_of_the_day(DEALS, CONTACTS)
        for item in items[deal]
    )
    epoch = naive(0)
    assert Counter(
        (who, what, epoch + timedelta(milliseconds=when)) for who, what, when in rows
    ) == (planned)
    assert planned
    interactions = warehouse.execute(
        "SELECT OBJECTTYPEID, count(*) FROM EVENTS_AWS_E_COMMERCE_INTERACTIONS GROUP BY ALL"
    ).fetchall()
    assert dict(interactions) == Counter(
        each.object_type_id for each in plan.events("pe1234567_aws_e_commerce_interactions")
    )
    assert interactions
