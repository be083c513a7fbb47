"""The files of a day against their manifests, and the tables that the share lists."""

import csv
import gzip
import hashlib
import io

import pytest

from hubspot_assets_tests.acceptance.reader import manifest
from hubspot_assets_tests.conftest import DAY

BASE = {
    "ASSOCIATIONS", "ASSOCIATION_DEFINITIONS", "LISTS", "LIST_MEMBERSHIPS", "OBJECTS",
    "OBJECT_AND_EVENT_TYPE_DEFINITIONS", "OBJECT_PROPERTIES", "OBJECT_PROPERTIES_HISTORY",
    "OBJECT_WITH_OBJECT_PROPERTIES", "OWNERS", "OWNER_TEAM", "PIPELINES", "PIPELINE_STAGES",
    "PROPERTY_DEFINITIONS", "TEAMS",
}  # fmt: skip
#: By object type id, what follows OBJECTS_ in the share.
TYPES = {
    "0-1": "CONTACTS", "0-2": "COMPANIES", "0-3": "DEALS", "0-4": "ENGAGEMENTS",
    "0-5": "TICKETS", "0-8": "LINE_ITEMS", "0-11": "CONVERSATIONS", "0-14": "QUOTES",
    "0-15": "FORM_SUBMISSIONS", "0-19": "FEEDBACK_SUBMISSIONS", "0-25": "LANDING_PAGES",
    "0-27": "TASKS", "0-28": "FORMS", "0-29": "MARKETING_EMAILS", "0-30": "AD_ACCOUNTS",
    "0-31": "AD_CAMPAIGNS", "0-32": "AD_GROUPS", "0-33": "ADS", "0-35": "CAMPAIGNS",
    "0-38": "SITE_PAGES", "0-39": "BLOG_POSTS", "0-45": "LISTS", "0-48": "CALLS",
    "0-53": "INVOICES", "0-57": "MEDIA", "0-58": "SEQUENCES", "0-69": "SUBSCRIPTIONS",
    "0-72": "DEAL_SPLITS", "0-83": "SALES_DOCUMENTS", "0-101": "PAYMENTS",
    "2-4410001": "POP_TART___WAFFLE_LEADS", "2-4410002": "CARS", "2-4410007": "INVENTORYS",
    "2-4410011": "ASSETS", "2-4410012": "ASSETS_2_4410012", "2-4410020": "ZEPPELINS",
}  # fmt: skip
#: Those that HubSpot serves through no public API.
CLOSED = {"0-30", "0-31", "0-32", "0-33", "0-83"}
EVENTS = {
    "AD_CLICKED", "AD_INTERACTION", "AD_METRICS_IMPORTED_V0", "AWS_E_COMMERCE_INTERACTIONS",
    "CLICKED_LINK_IN_EMAIL_V2", "CLICKED_LINK_IN_TRACKED_INBOX_EMAIL_V8", "COOKIE_BANNER_CLICKED",
    "DOCUMENT_SHARED_V2", "HS_SCHEDULED_EMAIL_V2", "MB_MEDIA_PLAYED", "MTA_BOUNCED_EMAIL_V2",
    "MTA_DELIVERED_EMAIL_V2", "OAUTH_LOGIN", "OPENED_EMAIL_V2", "OPENED_TRACKED_INBOX_EMAIL_V8",
    "REPORTED_SPAM_EMAIL_V2", "SOCIAL_MEDIA_FLOW___BASIC", "SOFTWARE_USAGE_EVENT",
    "UPDATED_EMAIL_SUBSCRIPTION_STATUS_V2", "V2_CONTACT_ENROLLED_IN_SEQUENCE", "VISITED_PAGE",
}  # fmt: skip


@pytest.fixture(scope="module")
def tables(day):
    """The manifests of all tables of the day, by name."""
    return {each["table"]: manifest(day / each["table"]) for each in manifest(day)["tables"]}


def test_the_manifest_of_the_day_sums_up_those_of_its_tables(day, tables):
    told = manifest(day)
    assert {path.name for path in day.iterdir() if path.is_dir()} == tables.keys()
    for each in told["tables"]:
        own = tables[each["table"]]
        assert own["day"] == told["day"] == DAY
        for name in ("rows", "bytes", "point_in_time", "availability"):
            assert each[name] == own[name]
        assert each["parts"] == len(own["parts"])
        assert (day / each["manifest"]).is_file()
    for name in ("rows", "bytes"):
        assert told[name] == sum(each[name] for each in tables.values())


def test_parts_are_what_manifests_tell(day, tables):
    for name, told in tables.items():
        columns = [each["name"] for each in told["columns"]]
        for part in told["parts"]:
            content = (day / part["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == part["sha256"], part
            assert len(content) == part["bytes"] <= 15_000_000
            with io.TextIOWrapper(gzip.open(io.BytesIO(content)), "utf-8", newline="") as text:
                assert next(csv.reader(text)) == columns, part
        assert sum(part["rows"] for part in told["parts"]) == told["rows"], name
        assert sum(part["bytes"] for part in told["parts"]) == told["bytes"]
        files = {path for path in (day / name).rglob("*") if path.is_file()}
        assert files == {day / part["path"] for part in told["parts"]} | {
            day / name / "_manifest.json"
        }


def test_every_table_loads_with_the_types_of_its_manifest(warehouse, tables):
    for name, told in tables.items():
        # Every column of every row, so that every value is parsed.
        rows = warehouse.execute(f'SELECT COLUMNS(*) FROM "{name}"').fetchall()
        assert len(rows) == told["rows"], name
        assert all(len(row) == len(told["columns"]) for row in rows[:1])
        places = [[each["name"] for each in told["columns"]].index(key) for key in told["key"]]
        keys = {tuple(row[place] for place in places) for row in rows}
        assert len(keys) == len(rows), name


def test_every_table_that_the_share_lists_is_there(tables, plan):
    assert tables.keys() >= BASE
    assert {f"OBJECTS_{each}" for each in TYPES.values()} <= tables.keys()
    assert {f"EVENTS_{each}" for each in EVENTS} <= tables.keys()
    served = {each.object_type_id for each in plan.portal.object_types()}
    custom = {each for each in served if each.startswith("2-")}
    assert custom <= TYPES.keys()


def test_types_without_a_public_api_have_headers_that_say_so(tables):
    for type_id, name in TYPES.items():
        told = tables[f"OBJECTS_{name}"]
        expected = "no_public_api" if type_id in CLOSED else "available"
        assert told["availability"]["status"] == expected, name
        if type_id in CLOSED:
            assert told["rows"] == 0
            assert [each["name"] for each in told["columns"]][:2] == ["OBJECTTYPEID", "OBJECTID"]


def test_types_are_told_with_the_names_of_their_tables(ask, tables):
    rows = ask("SELECT OBJECTTYPEID, KIND, TABLENAME FROM OBJECT_AND_EVENT_TYPE_DEFINITIONS")
    objects = {type_id: table for type_id, kind, table in rows if kind == "OBJECT"}
    for type_id, name in TYPES.items():
        assert objects[type_id] == f"OBJECTS_{name}"
    families = {each for each in tables if each.startswith(("OBJECTS_", "EVENTS_"))}
    assert {table for _, _, table in rows} == families
