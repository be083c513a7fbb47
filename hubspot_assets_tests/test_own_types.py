"""Types with an API of their own, delivered from a sandbox portal and read back by DuckDB."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from hubspot_assets.day import Day as PartitionDay
from hubspot_assets.deliver import DeliveryError, deliver
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.tables.observed import NOT_HISTORY
from hubspot_assets_tests.conftest import DAY, END, READ_AT

RECORDS = 60
#: Read so long after the day that objects were made meanwhile.
MUCH_LATER = datetime(2026, 12, 20, 6, tzinfo=UTC)
TYPES = "0-28,0-15,0-39,0-72,0-3,0-45"


def config(**more):
    settings: dict[str, Any] = {"records": RECORDS, "now": READ_AT, "burst": 100_000}
    return PortalConfig(**settings | more)


class Day:
    """The folder of a delivered day."""

    def __init__(self, folder):
        self.folder = folder

    def rows(self, table, order="OBJECTID"):
        """The rows of a table by column, unset ones left out."""
        found = duckdb.sql(
            f"FROM read_csv('{self.folder}/{table}/**/*.csv.gz', header=true, all_varchar=true, "
            "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"', "
            f"max_line_size=50000000) ORDER BY CAST({order} AS BIGINT)"
        )
        return [
            {name: value for name, value in zip(found.columns, row, strict=True) if value}
            for row in found.fetchall()
        ]

    def manifest(self, table):
        return json.loads((self.folder / table / "_manifest.json").read_text())


@pytest.fixture
def delivered(reach):
    """Delivers tables of a portal."""

    def run(sandbox, types, *tables):
        folder = reach(sandbox, OBJECT_TYPES=types) / DAY
        deliver(load_settings(), DAY, list(tables), Display())
        return Day(folder)

    return run


def moment(text):
    """An API time stamp as the export has it."""
    at = datetime.fromisoformat(text) if isinstance(text, str) else text
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def made_by(end, contents):
    def made(each):
        return datetime.fromisoformat(each.get("created") or each["createdAt"])

    return [each for each in contents if made(each) < end]


@pytest.mark.samples(1)
@pytest.mark.parametrize("now", [READ_AT, MUCH_LATER], ids=["soon", "much later"])
def test_a_day_has_the_objects_that_were_made_before_its_end(delivered, now, monkeypatch):
    # By the portal's clock: that of the machine has nothing to do with the day.
    monkeypatch.setattr(PartitionDay, "was_newest_at", lambda *_: now == READ_AT)
    with serve(config(now=now)) as sandbox:
        portal = sandbox.portal
        day = delivered(sandbox, TYPES)
    forms = made_by(END, (each.told for each in portal.forms(now) if not each.archived))
    found = day.rows("OBJECTS_FORMS")
    assert {row["PROPERTY_SOURCE_ID"] for row in found} == {each["id"] for each in forms}
    assert len(found) == len(forms)
    posts = made_by(END, portal.posts(now))
    assert (len(posts) < len(portal.posts(now))) == (now == MUCH_LATER)
    found = day.rows("OBJECTS_BLOG_POSTS")
    assert [row["OBJECTID"] for row in found] == [each["id"] for each in posts]
    for row, post in zip(found, posts, strict=True):
        assert row["OBJECTTYPEID"] == "0-39"
        assert row["PROPERTY_HS_NAME"] == post["name"]
        assert row.get("PROPERTY_POST_BODY", "") == post["postBody"]
        assert json.loads(row["PROPERTY_TAG_IDS"]) == post["tagIds"]
        assert row["PROPERTY_CURRENTLY_PUBLISHED"] == str(post["currentlyPublished"]).lower()
        assert row["PROPERTY_HS_CREATEDATE"] == moment(post["created"])
        if datetime.fromisoformat(post["updated"]) < END:
            assert row["UPDATEDAT"] == moment(post["updated"])
        assert moment(post["created"]) <= row["UPDATEDAT"] < moment(END)
    lists = {
        str(each.facts.list_id): each
        for each in portal.lists(now)
        if each.facts.created < END.timestamp() * 1000
    }
    found = day.rows("OBJECTS_LISTS")
    assert {row["OBJECTID"] for row in found} == lists.keys()
    for row in found:
        assert row["PROPERTY_HS_LIST_NAME"] == lists[row["OBJECTID"]].facts.name
        assert row["PROPERTY_HS_LIST_SIZE"] == str(lists[row["OBJECTID"]].size)
    assert_shown_as_observed(day, now == READ_AT)


#: The folders of the types that keep no history, as their own APIs tell of them.
OBSERVED = {"forms", "form_submissions", "blog_posts", "deal_splits", "lists"}


def assert_shown_as_observed(day, newest):
    """Only on the newest day types without histories are those of the day; deals always are."""
    tables = {each["table"]: each["point_in_time"] for each in day.manifest("")["tables"]}
    assert tables["OBJECTS_DEALS"]
    for folder in OBSERVED:
        told = day.manifest(f"OBJECTS_{folder.upper()}")
        assert told["point_in_time"] == tables[told["table"]] == newest
        assert told["sources"] == {}
        assert [each for each in told["warnings"] if "no history" in each] == (
            [] if newest else [NOT_HISTORY]
        )
    for table in ("OBJECTS", "OBJECT_PROPERTIES_HISTORY"):
        told = day.manifest(table)
        shown = {name for name, each in told["sources"].items() if each["point_in_time"]}
        assert shown == ({"deals", *OBSERVED} if newest else {"deals"})
        assert told["point_in_time"] == tables[table] == newest
        warned = [each.split(": ")[0] for each in told["warnings"] if NOT_HISTORY in each]
        assert [set(each.split(", ")) for each in warned] == ([] if newest else [OBSERVED])
        for name, each in told["sources"].items():
            alone = day.manifest(f"OBJECTS_{name.upper()}")
            assert each["observed_at"] == alone["observed_at"] <= told["observed_at"]
            assert each["availability"] == alone["availability"]


def submissions(portal, at=MUCH_LATER):
    """All that were made before the day's end, with the id of their form."""
    return [
        (form.asset_id, each)
        for form in portal.forms(at)
        if form.told["formType"] != "blog_comment"
        for each in portal.submissions(form.asset_id, datetime(2020, 1, 1, tzinfo=UTC), END)
    ]


@pytest.mark.samples(1)
@pytest.mark.parametrize("identified", [True, False], ids=["with ids", "without ids"])
def test_every_submission_that_hubspot_lists_is_a_row(delivered, identified):
    with serve(config(records=200, conversion_ids=identified)) as sandbox:
        planned = submissions(sandbox.portal, READ_AT)
        day = delivered(sandbox, "0-15", "OBJECTS", "OBJECTS_FORM_SUBMISSIONS")
    said = Counter(
        (form, moment(each.submitted_at), each.page_url, json.dumps(each.told()["values"]))
        for form, each in planned
    )
    assert max(said.values()) == 2
    found = day.rows("OBJECTS_FORM_SUBMISSIONS")
    assert said == Counter(
        (
            row["PROPERTY_FORM_ID"],
            row["PROPERTY_HS_CREATEDATE"],
            row["PROPERTY_PAGE_URL"],
            json.dumps(told(row["PROPERTY_VALUES"])),
        )
        for row in found
    )
    assert len({row["OBJECTID"] for row in found}) == len(planned) == len(day.rows("OBJECTS"))
    ids = {row["PROPERTY_SOURCE_ID"] for row in found}
    if identified:
        assert ids == {each.conversion_id for _, each in planned}
    else:
        assert all(form in " ".join(ids) for form, _ in planned)
    assert not day.manifest("OBJECTS_FORM_SUBMISSIONS")["counts"]["objects_alike"]


def test_a_submission_that_is_told_twice_is_one_row_and_counted(delivered, change):
    repeated = set()

    def edit(path, _, body):
        if path.startswith("/form-integrations/"):
            again = body["results"][:2]
            repeated.update(each["conversionId"] for each in again)
            body["results"] += again

    change(edit)
    with serve(config()) as sandbox:
        planned = submissions(sandbox.portal, READ_AT)
        tables = ("OBJECTS", "OBJECT_PROPERTIES", "OBJECTS_FORM_SUBMISSIONS")
        day = delivered(sandbox, "0-15", *tables)
    found = [row["PROPERTY_SOURCE_ID"] for row in day.rows("OBJECTS_FORM_SUBMISSIONS")]
    assert sorted(found) == sorted(each.conversion_id for _, each in planned)
    for table in tables:
        manifest = day.manifest(table)
        assert manifest["counts"]["objects_alike"] == len(repeated) > 2
        assert (
            f"{len(repeated)} objects had the id of another one: one of them is here"
            in (manifest["warnings"])
        )


@pytest.mark.samples(1)
@pytest.mark.parametrize("lost", ["absent", None, ""])
def test_objects_without_the_id_that_they_always_have_are_an_error(delivered, change, lost):
    def edit(path, _, body):
        for each in body.get("results", ()) if path.startswith("/marketing/emails") else ():
            each["id"] = lost
            if lost == "absent":
                del each["id"]

    change(edit)
    with (
        serve(config()) as sandbox,
        pytest.raises(DeliveryError, match="marketing_emails: HubSpot told an object without"),
    ):
        delivered(sandbox, "0-29", "OBJECTS_MARKETING_EMAILS")


def test_splits_are_those_of_the_portal(delivered):
    with serve(config(records=200, now=MUCH_LATER)) as sandbox:
        portal = sandbox.portal
        day = delivered(sandbox, TYPES, "OBJECTS_DEAL_SPLITS")
    splits = {
        each["id"]: each["properties"] | {"deal": str(deal)}
        for deal, told in portal.deal_splits(MUCH_LATER).items()
        for each in made_by(END, told)
    }
    found = day.rows("OBJECTS_DEAL_SPLITS")
    assert {row["OBJECTID"] for row in found} == splits.keys() != set()
    for row in found:
        split = splits[row["OBJECTID"]]
        assert row["PROPERTY_DEAL_ID"] == split["deal"]
        assert row["PROPERTY_HUBSPOT_OWNER_ID"] == split["hubspot_owner_id"]
        share = float(row["PROPERTY_HS_DEAL_SPLIT_PERCENTAGE"])
        assert share == float(split["hs_deal_split_percentage"])


def told(values):
    """Submitted values with their members in the portal's order: ours are sorted."""
    return [
        {name: each[name] for name in ("name", "value", "objectTypeId")}
        for each in json.loads(values)
    ]


@pytest.mark.slow
def test_the_combined_tables_and_the_definitions_hold_them_too(delivered, shared_sandbox):
    tables = ("OBJECTS", "OBJECT_PROPERTIES", "OBJECTS_FORMS", "PROPERTY_DEFINITIONS")
    day = delivered(shared_sandbox, TYPES, *tables)
    ids = [row["OBJECTID"] for row in day.rows("OBJECTS_FORMS")]
    assert [row["OBJECTID"] for row in day.rows("OBJECTS") if row["OBJECTTYPEID"] == "0-28"] == ids
    values = {
        (row["OBJECTTYPEID"], row["NAME"])
        for row in day.rows("OBJECT_PROPERTIES")
        if row["OBJECTTYPEID"] != "0-3"
    }
    definitions = {
        (row["OBJECTTYPEID"], row["NAME"]): row
        for row in day.rows("PROPERTY_DEFINITIONS", "DISPLAYORDER")
    }
    assert {type_id for type_id, _ in values} == {"0-15", "0-28", "0-39", "0-45", "0-72"}
    assert values <= definitions.keys()
    assert definitions["0-28", "source_id"]["TYPE"] == "string"
    assert definitions["0-15", "values"]["TYPE"] == "json"
    # What HubSpot defines is as it says, and not as the facts do.
    assert definitions["0-45", "hs_list_name"]["GROUPNAME"]


@pytest.mark.samples(1)
@pytest.mark.parametrize("generic", [frozenset(), frozenset({"0-35"})], ids=["own", "generic"])
def test_campaigns_are_read_where_the_portal_serves_them(delivered, generic):
    with serve(config(generic_types=generic)) as sandbox:
        delivered(sandbox, "0-35", "OWNERS")
        sandbox.app.requests.clear()  # the first discovery looks at all types
        day = delivered(sandbox, "0-35", "OBJECTS_CAMPAIGNS", "OBJECT_PROPERTIES_HISTORY")
        by_own_api = sandbox.requests["GET /marketing/campaigns", 200]
        by_objects_api = sandbox.requests["GET /crm/objects/{objectType}", 200]
        assert (by_own_api > 0, by_objects_api > 0) == (not generic, bool(generic))
        planned = list(map(str, sandbox.portal.live_ids("0-35", END)))
    found = day.rows("OBJECTS_CAMPAIGNS")
    assert [row["OBJECTID"] for row in found] == planned
    assert all(row["PROPERTY_HS_NAME"] for row in found)
    # Only the CRM objects API tells histories.
    assert bool(day.rows("OBJECT_PROPERTIES_HISTORY")) is bool(generic)


def test_splits_do_not_need_the_deals_to_be_exported(delivered):
    with serve(config(records=200)) as sandbox:
        day = delivered(sandbox, "0-72", "OBJECTS_DEAL_SPLITS")
        splits = [each for found in sandbox.portal.deal_splits(READ_AT).values() for each in found]
    planned = {each["id"] for each in made_by(END, splits)}
    assert {row["OBJECTID"] for row in day.rows("OBJECTS_DEAL_SPLITS")} == planned != set()


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("types", "scope", "table"),
    [
        ("0-28", "forms", "OBJECTS_FORMS"),
        ("0-72", "crm.dealsplits.read_write", "OBJECTS_DEAL_SPLITS"),
        ("0-72,0-3", "crm.objects.deals.read", "OBJECTS_DEAL_SPLITS"),
    ],
)
def test_a_missing_scope_stands_in_the_manifest(delivered, types, scope, table):
    with serve(config(records=200, without_scopes=frozenset({scope}))) as sandbox:
        day = delivered(sandbox, types, table)
    availability = day.manifest(table)["availability"]
    assert availability["status"] == "missing_scope"
    assert scope in availability["detail"]
    assert day.rows(table) == []
