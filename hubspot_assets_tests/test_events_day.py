"""A day's events, delivered and read back by DuckDB, against what the portal holds."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from hubspot_assets.deliver import DeliveryError, deliver
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets_tests.conftest import DAY, READ_AT, set_environment
from hubspot_assets_tests.events_front import events_front, iso

START = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
END = START + timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

PAID, APP_PAID = "pe1234567_paid", "ae5_paid"
UNKNOWN = {"status": "error", "message": "Invalid object or event type id: e_refused"}
TYPES = ["e_visited_page", PAID, APP_PAID, "e_never_heard_of", "e_refused"]
EMAIL_TABLES = [
    "EVENTS_HS_SCHEDULED_EMAIL_V2",
    "EVENTS_MTA_DELIVERED_EMAIL_V2",
    "EVENTS_OPENED_EMAIL_V2",
    "EVENTS_CLICKED_LINK_IN_EMAIL_V2",
    "EVENTS_MTA_BOUNCED_EMAIL_V2",
    "EVENTS_REPORTED_SPAM_EMAIL_V2",
]
PLAIN_TABLES = [
    "EVENTS_PAID",
    "EVENTS_PAID_2",
    "EVENTS_REFUSED",
    "EVENTS_NEVER_HEARD_OF",
    "OBJECT_AND_EVENT_TYPE_DEFINITIONS",
    "PROPERTY_DEFINITIONS",
    *EMAIL_TABLES,
]
NO_ENTERPRISE = (403, {"status": "error", "message": "This portal has no Enterprise subscription"})
DEFINITION = {
    "name": "paid",
    "fullyQualifiedName": PAID,
    "objectTypeId": "6-9",
    "labels": {"singular": "Paid", "plural": "Paid"},
    "primaryObjectId": "0-1",
    "createdAt": "2026-01-02T03:04:05.678Z",
    "properties": [
        {"name": "amount", "label": "Amount", "type": "number"},
        {"name": "due", "label": "Due", "type": "datetime"},
        {"name": "never_set", "label": "Never set", "type": "bool"},
    ],
}


def occurrence(name, number, at, kind="CONTACT", **properties):
    return {
        "id": f"{number:08d}-{name}",
        "eventType": name,
        "objectType": kind,
        "objectId": str(151000000000 + number),
        "occurredAt": iso(at),
        "properties": properties,
    }


def visits():
    """As many as make several pages, in no order, and one on each side of the day's bounds."""
    for number in range(250):
        at = START + timedelta(seconds=(number * 7919) % 86_400)
        yield occurrence(
            "e_visited_page", number * 7919 % 1000, at, hs_url=f'https://x.test/{number}, "a"'
        )
    for number, at in enumerate((START, END - MILLISECOND, START - MILLISECOND, END), start=2000):
        yield occurrence("e_visited_page", number, at, hs_url="edge")


def email_event(number, kind, recipient, at=START, **more):
    return {
        "id": f"m{number:04d}",
        "type": kind,
        "created": round(at.timestamp() * 1000),
        "recipient": recipient,
        "emailCampaignId": 900719925474099301,
        "appName": "Batch",
        **more,
    }


def email_events(addresses):
    for number, address in enumerate(addresses):
        yield email_event(number, "SENT", address, subject="Hello", replyTo=["a@x.test"])
        yield email_event(1000 + number, "PROCESSED", address)
    yield email_event(
        2000, "OPEN", addresses[0].upper(), browser={"name": "Firefox", "version": []}
    )
    yield email_event(2001, "CLICK", addresses[1], url="https://x.test/offer", somethingNew=1.5)
    yield email_event(2002, "BOUNCE", "nobody@x.test", category="SPAM", response="550 no")
    yield email_event(2003, "OPEN", addresses[0], at=END)


@pytest.fixture(scope="module")
def sandbox():
    with serve(
        PortalConfig(records=100, now=READ_AT, burst=100_000, contact_properties=20)
    ) as portal:
        yield portal


@pytest.fixture(scope="module")
def contacts(sandbox):
    """E-mail address to contact id."""
    records = {
        each: sandbox.portal.record("0-1", each, READ_AT)
        for each in sandbox.portal.live_ids("0-1", END)
    }
    return {
        record.properties["email"]: each
        for each, record in records.items()
        if record and not record.archived_at and record.properties.get("email")
    }


@contextmanager
def front_of(sandbox, contacts):
    """What answers for the portal where it is asked for events."""
    with events_front(sandbox.url) as events:
        events.types = list(TYPES)
        events.definitions = [DEFINITION]
        events.refusals = {"e_refused": (400, UNKNOWN)}
        paid = {"amount": "1.50", "due": "2026-12-01T10:00:00.000Z", "hs_browser": "Firefox"}
        events.occurrences = [
            *visits(),
            occurrence(PAID, 1, START, kind="COMPANY", **paid),
            occurrence(PAID, 2, START, kind="SPACESHIP", amount="a lot"),
            occurrence(APP_PAID, 3, START, amount="2"),
        ]
        events.email_events = list(email_events(list(contacts)[:5]))
        yield events


@pytest.fixture
def front(sandbox, contacts):
    with front_of(sandbox, contacts) as events:
        yield events


@pytest.fixture
def deliver_day(reach, sandbox):
    """Delivers the day's tables, and gives a way to ask them in SQL."""

    def run(front, select=(), *, read_again=False, **environment):
        settings = {"OBJECT_TYPES": "contacts", "EVENT_TYPES": "", **environment}
        folder = reach(sandbox, HUBSPOT_BASE_URL=front.url, **settings)
        tables = deliver(Settings(), DAY, select, Display(), read_again=read_again).tables
        return Delivered(folder / DAY, {manifest.table: manifest for manifest, _ in tables})

    return run


@pytest.fixture(scope="module")
def plain_day(sandbox, contacts, tmp_path_factory):
    """Tables of a portal in which nothing is out of order, delivered once."""
    with front_of(sandbox, contacts) as front, pytest.MonkeyPatch.context() as patch:
        everything = {"HUBSPOT_BASE_URL": front.url, "OBJECT_TYPES": "contacts"}
        folder = set_environment(patch, sandbox, tmp_path_factory.mktemp("plain"), **everything)
        tables = deliver(Settings(), DAY, PLAIN_TABLES, Display()).tables
    return Delivered(folder / DAY, {manifest.table: manifest for manifest, _ in tables})


class Delivered:
    def __init__(self, folder, manifests):
        self.folder = folder
        self.manifests = manifests

    def rows(self, table, columns):
        path = f"{self.folder}/{table}/*.csv.gz"
        return (
            duckdb.connect()
            .sql(
                f"SELECT {columns} FROM read_csv('{path}', header=true, all_varchar=true, "
                "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"')"
            )
            .fetchall()
        )


@pytest.mark.samples(1)
@pytest.mark.parametrize("exclusive", [False, True])
def test_the_events_of_the_day_are_all_there_and_no_others(front, deliver_day, exclusive):
    front.exclusive = exclusive
    day = deliver_day(front, ["EVENTS_VISITED_PAGE"])
    rows = day.rows(
        "EVENTS_VISITED_PAGE",
        "ID, EVENTTYPEID, OBJECTTYPEID, OBJECTID, CAST(OCCURREDAT AS TIMESTAMP), PROPERTY_HS_URL",
    )
    planned = {
        each["id"]: (
            "4-96000",
            "0-1",
            each["objectId"],
            datetime.fromisoformat(each["occurredAt"]).replace(tzinfo=None),
            each["properties"]["hs_url"],
        )
        for each in front.occurrences
        if each["eventType"] == "e_visited_page"
        and START <= datetime.fromisoformat(each["occurredAt"]) < END
    }
    assert {row[0]: row[1:] for row in rows} == planned
    assert [row[0] for row in rows] == sorted(planned)
    manifest = day.manifests["EVENTS_VISITED_PAGE"]
    assert manifest.point_in_time
    assert manifest.availability.status == "available"


def test_the_day_is_one_of_the_export_time_zone(front, deliver_day):
    day = deliver_day(front, ["EVENTS_VISITED_PAGE"], EXPORT_TIMEZONE="Europe/Warsaw")
    shift = timedelta(hours=1)
    planned = [
        each["id"]
        for each in front.occurrences
        if each["eventType"] == "e_visited_page"
        and START - shift <= datetime.fromisoformat(each["occurredAt"]) < END - shift
    ]
    assert [row[0] for row in day.rows("EVENTS_VISITED_PAGE", "ID")] == sorted(planned)


def test_one_table_needs_only_what_it_is_made_of(front, deliver_day):
    deliver_day(front, ["EVENTS_VISITED_PAGE"])
    front.paths.clear()  # the first discovery looks at all types
    day = deliver_day(front, ["EVENTS_VISITED_PAGE"], read_again=True)
    asked = {path.partition("?")[0] for path in front.paths}
    assert not [path for path in asked if path.startswith("/crm/objects") or "email" in path]
    types = {path.partition("eventType=")[2].partition("&")[0] for path in front.paths}
    assert types - {""} == {"e_visited_page"}
    assert [path.name for path in sorted(day.folder.iterdir())] == ["EVENTS_VISITED_PAGE"]


def test_events_that_come_twice_are_one_row(front, deliver_day):
    front.occurrences += [each for each in front.occurrences if "visited" in each["id"]]
    day = deliver_day(front, ["EVENTS_VISITED_PAGE"])
    rows = day.rows("EVENTS_VISITED_PAGE", "ID")
    assert len(rows) == len(set(rows)) == 252


@pytest.mark.slow
def test_moments_of_events_are_read_where_they_are_clear(front, deliver_day):
    at = START + timedelta(hours=10)
    number = round(at.timestamp() * 1000)
    told = [at.isoformat(), at.isoformat(timespec="seconds")[:-6] + "Z", number, "soon", None]
    front.refusals["e_visited_page"] = 200, {
        "results": [occurrence("e_visited_page", n, at) | {"occurredAt": each}
                    for n, each in enumerate(told)]
    }  # fmt: skip
    due = {1: "2022-02-23T09:27:45+00:00", 2: "1645608465", 3: 1_645_608_465_000}
    front.refusals[PAID] = (
        200,
        {"results": [occurrence(PAID, n, at, due=each) for n, each in due.items()]},
    )
    opened = email_event(1, "OPEN", "a@x.test", at=at)
    front.refusals["email_events"] = (
        200,
        {
            "events": [opened | {"created": str(number)}, opened | {"id": "m2", "created": "soon"}],
            "hasMore": False,
        },
    )
    day = deliver_day(front, ["EVENTS_VISITED_PAGE", "EVENTS_PAID", "EVENTS_OPENED_EMAIL_V2"])
    moment = ("2026-11-22 10:00:00.000",)
    assert day.rows("EVENTS_VISITED_PAGE", "OCCURREDAT") == [moment] * 3
    assert day.manifests["EVENTS_VISITED_PAGE"].counts["events_undated"] == 2
    assert day.rows("EVENTS_OPENED_EMAIL_V2", "OCCURREDAT") == [moment]
    assert day.manifests["EVENTS_OPENED_EMAIL_V2"].counts["events_undated"] == 1
    due_at = ("2022-02-23 09:27:45.000",)
    assert day.rows("EVENTS_PAID", "PROPERTY_DUE") == [due_at, (None,), due_at]
    assert day.manifests["EVENTS_PAID"].counts["values_not_parsed"] == 1


def test_a_custom_event_has_the_properties_of_its_definition_and_those_that_turn_up(plain_day):
    rows = plain_day.rows(
        "EVENTS_PAID",
        "EVENTTYPEID, OBJECTTYPEID, PROPERTY_AMOUNT, PROPERTY_UNPARSED_AMOUNT, PROPERTY_DUE, "
        "PROPERTY_HS_BROWSER, PROPERTY_NEVER_SET",
    )
    assert rows == [
        ("6-9", "0-2", "1.50", "1.50", "2026-12-01 10:00:00.000", "Firefox", None),
        ("6-9", None, None, "a lot", None, None, None),
    ]
    manifest = plain_day.manifests["EVENTS_PAID"]
    assert manifest.counts["object_types_unknown"] == 1
    assert manifest.counts["values_not_parsed"] == 1
    # The app's event of the same name has a table of its own, and an id that nobody knows.
    assert plain_day.rows("EVENTS_PAID_2", "EVENTTYPEID, PROPERTY_AMOUNT") == [(None, "2")]


def test_event_types_and_their_properties_are_defined(plain_day):
    rows = plain_day.rows(
        "OBJECT_AND_EVENT_TYPE_DEFINITIONS",
        "OBJECTTYPEID, FULLYQUALIFIEDNAME, NAME, SINGULARLABEL, TABLENAME, AVAILABILITY, KIND",
    )
    events = {row[1]: row for row in rows if row[-1] == "EVENT"}
    assert set(TYPES) <= events.keys()
    assert events[PAID][:-1] == ("6-9", PAID, "paid", "Paid", "EVENTS_PAID", "available")
    assert events[APP_PAID][:-1] == (APP_PAID, APP_PAID, "paid", None, "EVENTS_PAID_2", "available")
    assert events["e_refused"][-2] == "not_enabled"
    properties = plain_day.rows("PROPERTY_DEFINITIONS", "OBJECTTYPEID, NAME, TYPE")
    assert {("6-9", "amount", "number"), ("4-96000", "hs_url", "string")} <= set(properties)
    assert ("4-666288", "hs_click_original_url", "string") in properties


def test_email_events_are_tables_of_the_contacts_who_got_them(plain_day, contacts):
    addresses = list(contacts)[:5]
    sent = plain_day.rows(
        "EVENTS_HS_SCHEDULED_EMAIL_V2",
        "OBJECTTYPEID, OBJECTID, PROPERTY_HS_RECIPIENT, PROPERTY_SUBJECT, PROPERTY_REPLY_TO, "
        "PROPERTY_HS_EMAIL_CAMPAIGN_ID",
    )
    assert sent == [
        ("0-1", str(contacts[each]), each, "Hello", '["a@x.test"]', "900719925474099301")
        for each in addresses
    ]
    columns = "OBJECTID, PROPERTY_BROWSER_NAME, PROPERTY_BROWSER_VERSION"
    opened = plain_day.rows("EVENTS_OPENED_EMAIL_V2", columns)
    assert opened == [(str(contacts[addresses[0]]), "Firefox", "[]")]
    clicked = plain_day.rows(
        "EVENTS_CLICKED_LINK_IN_EMAIL_V2", "PROPERTY_HS_CLICK_ORIGINAL_URL, PROPERTY_SOMETHING_NEW"
    )
    assert clicked == [("https://x.test/offer", "1.5")]
    bounced = plain_day.rows(
        "EVENTS_MTA_BOUNCED_EMAIL_V2",
        "OBJECTTYPEID, OBJECTID, PROPERTY_HS_BOUNCE_CATEGORY, PROPERTY_HS_BOUNCE_REASON",
    )
    assert bounced == [(None, None, "SPAM", "550 no")]
    assert plain_day.manifests["EVENTS_MTA_BOUNCED_EMAIL_V2"].counts["recipients_unknown"] == 1
    assert plain_day.manifests["EVENTS_REPORTED_SPAM_EMAIL_V2"].rows == 0


def test_email_events_of_one_id_and_two_moments_are_two(front, deliver_day, contacts, monkeypatch):
    monkeypatch.setattr("hubspot_assets.sources.events.CHUNK_VALUES", 10)
    address = list(contacts)[5]
    front.email_events = [
        email_event(7, "CLICK", address, at=START + MILLISECOND, url="second"),
        email_event(7, "CLICK", address, url="first", linkId=3),
        email_event(6, "CLICK", address, url="other"),
        email_event(7, "CLICK", address, url="first", linkId=3),
    ]
    # As many as make another page and chunk, so that one is told again there.
    front.email_events += [email_event(100 + each, "OPEN", address) for each in range(50)]
    front.email_events.append(email_event(6, "CLICK", address, url="other"))
    day = deliver_day(front, ["EVENTS_CLICKED_LINK_IN_EMAIL_V2", "EVENTS_OPENED_EMAIL_V2"])
    rows = day.rows(
        "EVENTS_CLICKED_LINK_IN_EMAIL_V2",
        "ID, CAST(OCCURREDAT AS TIMESTAMP), PROPERTY_HS_CLICK_ORIGINAL_URL, PROPERTY_LINK_ID, "
        "OBJECTID",
    )
    contact, start = str(contacts[address]), START.replace(tzinfo=None)
    assert rows == [
        ("m0006", start, "other", None, contact),
        ("m0007", start, "first", "3", contact),
        ("m0007", start + MILLISECOND, "second", None, contact),
    ]
    manifest = day.manifests["EVENTS_CLICKED_LINK_IN_EMAIL_V2"]
    assert tuple(manifest.key) == ("ID", "OCCURREDAT")
    assert manifest.counts["events_repeated"] == 2
    assert "2 events that HubSpot told twice are here once" in manifest.warnings
    assert not day.manifests["EVENTS_OPENED_EMAIL_V2"].counts["events_repeated"]


CONTENT = "PROPERTY_HS_EMAIL_META_CONTENT_ID"


def test_email_events_have_the_content_id_of_the_email_of_their_campaign(
    front, deliver_day, sandbox, contacts
):
    address = list(contacts)[5]
    emails = {
        each.asset_id: each.told
        for each in sandbox.portal.marketing_emails(READ_AT)
        if not each.archived and each.told["allEmailCampaignIds"]
    }
    shared = [c for each in emails.values() for c in each["allEmailCampaignIds"][1:]]
    # The main campaign of one e-mail may be among those of another: a test of two variants.
    main = {each["primaryEmailCampaignId"]: content for content, each in emails.items()}
    assert set(shared) & main.keys()
    planned = {"900719925474099301": None}
    for content, each in emails.items():
        ids = [*each["allEmailCampaignIds"], each["emailCampaignGroupId"]]
        planned |= {campaign: main.get(campaign, content) for campaign in ids}
    front.email_events = [
        email_event(number, "OPEN", address, emailCampaignId=int(campaign))
        for number, campaign in enumerate(planned)
    ]
    told = email_event(9000, "OPEN", address, emailCampaignId=int(shared[0]), contentId=17)
    front.email_events.append(told)
    day = deliver_day(front, ["EVENTS_OPENED_EMAIL_V2"], OBJECT_TYPES="contacts,marketing_emails")
    columns = f"ID, PROPERTY_HS_EMAIL_CAMPAIGN_ID, {CONTENT}"
    *rows, last = day.rows("EVENTS_OPENED_EMAIL_V2", columns)
    assert {campaign: content for _, campaign, content in rows} == planned
    assert last[2] == "17"
    manifest = day.manifests["EVENTS_OPENED_EMAIL_V2"]
    assert manifest.counts["email_contents_unknown"] == 1
    assert any(CONTENT in each for each in manifest.warnings)


@pytest.mark.slow
def test_a_campaign_of_several_emails_tells_no_content_id(front, deliver_day, contacts, change):
    def edit(path, _, body):
        for each in body.get("results", ()) if path.startswith("/marketing/emails") else ():
            each["primaryEmailCampaignId"] = "5"

    change(edit)
    front.email_events = [email_event(7, "OPEN", list(contacts)[5], emailCampaignId=5)]
    day = deliver_day(front, ["EVENTS_OPENED_EMAIL_V2"], OBJECT_TYPES="contacts,marketing_emails")
    assert day.rows("EVENTS_OPENED_EMAIL_V2", CONTENT) == [(None,)]
    assert day.manifests["EVENTS_OPENED_EMAIL_V2"].counts["email_contents_unknown"] == 1


def test_without_marketing_emails_no_content_id_is_known(plain_day):
    assert plain_day.rows("EVENTS_OPENED_EMAIL_V2", CONTENT) == [(None,)]
    manifest = plain_day.manifests["EVENTS_OPENED_EMAIL_V2"]
    assert manifest.counts["email_contents_unknown"] == 1
    assert any(each.startswith(f"no {CONTENT} is known here: ") for each in manifest.warnings)


def test_without_contacts_email_events_are_of_nobody_and_say_so(front, deliver_day):
    day = deliver_day(front, ["EVENTS_OPENED_EMAIL_V2"], OBJECT_TYPES="deals")
    assert day.rows("EVENTS_OPENED_EMAIL_V2", "OBJECTID") == [(None,)]
    assert "no OBJECTID is known" in day.manifests["EVENTS_OPENED_EMAIL_V2"].warnings[0]


def test_an_event_type_that_is_refused_alone_has_a_header_and_a_reason(plain_day):
    refused = plain_day.manifests["EVENTS_REFUSED"]
    assert (refused.rows, refused.availability.status) == (0, "not_enabled")
    assert UNKNOWN["message"] in refused.availability.detail
    assert plain_day.manifests["EVENTS_NEVER_HEARD_OF"].availability.status == "available"


def test_an_event_type_of_which_hubspot_says_nothing_is_no_empty_table(front, deliver_day):
    for status, body in ((400, {"message": "Not this one"}), (403, {})):
        front.refusals = {"e_refused": (status, body)}
        with pytest.raises(DeliveryError, match="event-occurrences"):
            deliver_day(front, ["EVENTS_REFUSED"])


@pytest.mark.slow
def test_a_portal_without_enterprise_has_its_email_events(front, deliver_day):
    front.refusals = dict.fromkeys(["types", "definitions"], NO_ENTERPRISE)
    assert deliver_day(front, EMAIL_TABLES).manifests["EVENTS_OPENED_EMAIL_V2"].rows == 1
    with pytest.raises(SettingsError, match="EVENTS_PAID"):
        deliver_day(front, ["EVENTS_PAID"])


def test_events_of_a_portal_that_lost_enterprise_are_headers_that_say_so(front, deliver_day):
    front.refusals = dict.fromkeys(TYPES, NO_ENTERPRISE)
    day = deliver_day(front, ["EVENTS_VISITED_PAGE", "EVENTS_PAID"])
    for manifest in day.manifests.values():
        assert (manifest.rows, manifest.availability.status) == (0, "needs_enterprise")
        assert "no Enterprise subscription" in manifest.availability.detail


def test_a_missing_scope_is_told_from_a_missing_subscription(front, deliver_day):
    scopes = (403, {"category": "MISSING_SCOPES", "message": "This app lacks scopes"})
    front.refusals = {"e_visited_page": scopes, "email_events": scopes}
    day = deliver_day(front, ["EVENTS_VISITED_PAGE", "EVENTS_OPENED_EMAIL_V2"])
    assert {each.availability.status for each in day.manifests.values()} == {"missing_scope"}
