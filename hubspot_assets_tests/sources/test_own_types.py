"""Objects of APIs of their own, staged from a sandbox portal, against what the portal holds."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from hubspot_assets.hubspot import own_apis
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    Forbidden,
    GaveUp,
    MissingScope,
    NeedsEnterprise,
    NotEnabled,
    NotFound,
)
from hubspot_assets.hubspot.lists import list_records
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources import nested, own_types
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.own_types import extract_own
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.days import day_of

THREADS, SUBMISSIONS, LANDING_PAGES, FORMS, EMAILS = "0-11", "0-15", "0-25", "0-28", "0-29"
CAMPAIGNS, SITE_PAGES, POSTS, LISTS = "0-35", "0-38", "0-39", "0-45"
FILES, SEQUENCES, SPLITS = "0-57", "0-58", "0-72"
READ = (
    THREADS, SUBMISSIONS, LANDING_PAGES, FORMS, EMAILS, CAMPAIGNS,
    SITE_PAGES, POSTS, FILES, SEQUENCES, SPLITS,
)  # fmt: skip

#: Fields whose property has another name than the field's in snake case.
NAMES = {
    "createdAt": "hs_createdate",
    "created": "hs_createdate",
    "submittedAt": "hs_createdate",
    "updatedAt": "hs_lastmodifieddate",
    "updated": "hs_lastmodifieddate",
    "latestMessageTimestamp": "hs_lastmodifieddate",
    "name": "hs_name",
    "campaignName": "hs_campaign_name",
}
MOMENTS = {
    "archived_at", "closed_at", "deleted_at", "hs_createdate", "hs_end_date",
    "hs_lastmodifieddate", "hs_start_date", "latest_message_received_timestamp",
    "latest_message_sent_timestamp", "publish_date", "published_at",
}  # fmt: skip


def kind(type_id):
    return next(each for each in standard_catalog().object_types if each.id == type_id)


def client_to(sandbox):
    return HubSpot(BearerToken(sandbox.token), sandbox.url)


class House:
    """A staged day in a folder."""

    def __init__(self, folder):
        self.staging = Staging(open_store(folder), day_of(DAY))

    def stage(self, type_id, read, **more):
        """Stages what `read` gives; a list of contents, too."""
        if not callable(read):
            contents = list(read)
            return extract_own(
                self.staging,
                kind(type_id),
                lambda _: iter([Read(each, READ_AT) for each in contents]),
                **more,
            )
        return extract_own(self.staging, kind(type_id), read, **more)

    def stage_from(self, sandbox, type_id):
        """Stages what a portal has."""
        with client_to(sandbox) as client:
            match type_id:
                case "0-45":
                    return self.stage(
                        type_id, lambda _: list_records(client, ["0-1", "0-2", "0-3"])
                    )
                case "0-72":
                    ids = own_apis.deal_ids(client)
                    return self.stage(type_id, lambda _: own_apis.deal_splits(client, ids))
                case _:
                    reader = own_apis.READERS[kind(type_id).api]
                    return self.stage(type_id, lambda tell: reader(client, tell))

    def chunks(self, type_id):
        staged = self.staging.complete(object_source(kind(type_id)))
        return [(each.read("records"), each.read("values")) for each in staged.chunks()]

    def records(self, type_id):
        return pl.concat([records for records, _ in self.chunks(type_id)])

    def values(self, type_id):
        """By id, the values by name; no property has two."""
        found = {}
        for record_id, name, value in pl.concat(
            [values.select("id", "name", "value") for _, values in self.chunks(type_id)]
        ).iter_rows():
            assert name not in found.setdefault(record_id, {})
            found[record_id][name] = value
        return found

    def definitions(self, type_id):
        staged = self.staging.complete(properties_source(kind(type_id)))
        return {each.content["name"]: each.content for each in read_items(staged)}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture(scope="module")
def staged(shared_sandbox, tmp_path_factory):
    """A day of the shared portal with all types staged once."""
    house = House(tmp_path_factory.mktemp("staged"))
    for type_id in (*READ, LISTS):
        house.stage_from(shared_sandbox, type_id)
    return house


def contents(portal, type_id, at=READ_AT):
    """What the portal holds of a type, each as its API tells it, with members of its own type's
    reading: the form of a submission, the deal of a split."""
    match type_id:
        case "0-11":
            return portal.threads(at)
        case "0-15":
            return [
                each.told() | {"formId": form.asset_id}
                for form in portal.forms(at)
                if form.told["formType"] != "blog_comment"
                for each in portal.submissions(
                    form.asset_id, datetime(2020, 1, 1, tzinfo=UTC), at + timedelta(milliseconds=1)
                )
            ]
        case "0-25":
            return portal.pages("landing-page", at)
        case "0-28":
            return [each.told for each in portal.forms(at) if not each.archived]
        case "0-29":
            return [each.told for each in portal.marketing_emails(at) if not each.archived]
        case "0-35":
            return [flat(each.told) for each in portal.campaigns(at)]
        case "0-38":
            return portal.pages("site-page", at)
        case "0-39":
            return portal.posts(at)
        case "0-57":
            return portal.files(at)
        case "0-58":
            return portal.sequences(at)
        case "0-72":
            found = portal.deal_splits(at).items()
            return [flat(each) | {"dealId": str(deal)} for deal, all_ in found for each in all_]
    raise AssertionError(type_id)


def flat(told):
    return {name: value for name, value in told.items() if name != "properties"} | told[
        "properties"
    ]


def hashed(text):
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) >> (256 - 62)


#: Members that tell when an object was created and changed; the first that there is counts.
CREATED = ("createdAt", "created", "submittedAt")
UPDATED = ("updatedAt", "updated", "latestMessageTimestamp")


def source_id(type_id, content):
    """The own id of an object without a number."""
    if type_id == FORMS:
        return content["id"]
    return content["conversionId"]


def milliseconds(value):
    if isinstance(value, int) or value.isdecimal():
        return int(value)
    moment = datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def snake(name):
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name)


def expected(type_id, content):
    """Id and properties of an object in the export."""
    properties = {}
    for field, value in content.items():
        name = NAMES.get(field, snake(field))
        if value is None or value == "" or field == "id":
            continue
        if name in MOMENTS:
            properties[name] = str(milliseconds(value))
        elif isinstance(value, str):
            properties[name] = value
        else:
            properties[name] = json.dumps(
                value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )
    if type_id in (FORMS, SUBMISSIONS):
        properties["source_id"] = source_id(type_id, content)
        number = hashed(f"{type_id}:{properties['source_id']}")
    else:
        number = int(content.get("hs_object_id") or content["id"])
    if type_id in (EMAILS, CAMPAIGNS):
        properties["hs_origin_asset_id"] = content["id"]
    properties["hs_object_id"] = str(number)
    return number, properties


# What is staged of a portal


@pytest.mark.parametrize("type_id", READ)
def test_the_live_objects_are_staged_once_each_with_all_they_tell(staged, shared_sandbox, type_id):
    told = contents(shared_sandbox.portal, type_id)
    # Submissions are listed newest first: of those that are alike the oldest is told last.
    listed = told[::-1] if type_id == SUBMISSIONS else told
    planned = dict(expected(type_id, each) for each in listed)
    assert len(planned) > 1
    assert staged.records(type_id)["id"].to_list() == sorted(planned)
    found = staged.values(type_id)
    assert found.keys() == planned.keys()
    for number, properties in planned.items():
        assert found[number] == properties


@pytest.mark.parametrize("type_id", READ)
def test_values_lie_by_id_and_name_and_have_no_history(staged, type_id):
    rows = [row for _, values in staged.chunks(type_id) for row in values.rows()]
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    assert {row[3:] for row in rows} == {(None,) * 8}


@pytest.mark.parametrize("type_id", READ)
def test_moments_are_those_that_the_portal_tells(staged, shared_sandbox, type_id):
    planned = {}
    for content in contents(shared_sandbox.portal, type_id):
        number, _ = expected(type_id, content)
        created, *_ = (content[name] for name in CREATED if name in content)
        updated, *_ = (content[name] for name in (*UPDATED, *CREATED) if name in content)
        planned[number] = milliseconds(created), milliseconds(updated)
    records = staged.records(type_id).with_columns(
        pl.col("createdAt", "updatedAt").dt.timestamp("ms")
    )
    assert {row[0]: row[1:3] for row in records.rows()} == planned
    assert records["readAt"].null_count() == 0
    assert staged.staging.complete(object_source(kind(type_id))).counts["records"] == len(planned)


def test_lists_are_staged_with_what_hubspot_defines_of_them(staged, shared_sandbox):
    planned = {each.facts.list_id: each for each in shared_sandbox.portal.lists(READ_AT)}
    found = staged.values(LISTS)
    assert staged.records(LISTS)["id"].to_list() == sorted(planned)
    for number, each in planned.items():
        assert found[number]["hs_list_name"] == each.facts.name
        assert found[number]["hs_list_size"] == str(each.size)
        assert found[number]["hs_object_id"] == found[number]["hs_list_id"] == str(number)
        assert found[number]["hs_createdate"] == str(each.facts.created)
        assert found[number]["hs_lastmodifieddate"] == str(each.updated)
        assert found[number].get("hs_folder_name") == each.facts.folder


def test_submissions_of_archived_forms_are_still_there(staged, shared_sandbox):
    archived = {each.asset_id for each in shared_sandbox.portal.forms(READ_AT) if each.archived}
    found = {values["form_id"] for values in staged.values(SUBMISSIONS).values()}
    assert archived
    assert archived <= found


@pytest.mark.parametrize("type_id", [LANDING_PAGES, SITE_PAGES, POSTS])
def test_pages_of_megabytes_are_kept_whole(staged, type_id):
    longest = max(
        (value for values in staged.values(type_id).values() for value in values.values()), key=len
    )
    assert len(longest) > 2_000_000
    assert '"' in longest
    # JSON escapes line breaks.
    assert ("\r\n" if type_id == POSTS else "\\r\\n") in longest


# Chunks and order


def test_chunks_are_bounded_in_characters_and_in_values(house, shared_sandbox, monkeypatch):
    monkeypatch.setattr(nested, "CHUNK_CHARACTERS", 20_000)
    monkeypatch.setattr(nested, "CHUNK_VALUES", 300)
    house.stage_from(shared_sandbox, FILES)
    chunks = house.chunks(FILES)
    largest = max(sum(map(len, each.values())) for each in house.values(FILES).values())
    assert len(chunks) > 3
    for records, values in chunks:
        assert values["value"].str.len_bytes().sum() < 20_000 + 2 * largest
        assert values.height < 300 + 2 * 20
        assert values["id"].unique(maintain_order=True).to_list() == records["id"].to_list()
    planned = sorted(int(each["id"]) for each in shared_sandbox.portal.files(READ_AT))
    assert house.records(FILES)["id"].to_list() == planned


def test_objects_that_do_not_fit_into_memory_come_out_in_order_once_each(
    house, shared_sandbox, monkeypatch
):
    monkeypatch.setattr(own_types, "SPOOLED_AT_ONCE", 7)
    house.stage_from(shared_sandbox, SUBMISSIONS)
    told = contents(shared_sandbox.portal, SUBMISSIONS)
    planned = {number for number, _ in (expected(SUBMISSIONS, each) for each in told)}
    assert house.records(SUBMISSIONS)["id"].to_list() == sorted(planned)
    assert house.values(SUBMISSIONS).keys() == planned


def test_of_objects_of_one_id_the_last_stays(house, monkeypatch):
    monkeypatch.setattr(own_types, "SPOOLED_AT_ONCE", 2)
    told = [{"id": "9", "name": "a"}, {"id": "8"}, {"id": "9", "name": "b"}]
    staged = house.stage(SEQUENCES, told)
    assert [values.get("hs_name") for values in house.values(SEQUENCES).values()] == [None, "b"]
    assert staged.counts == {
        "records": 2,
        "records_without_history": 2,
        "objects_alike": 1,
        "moments_unread": 6,
    }


# Single objects


def staged_alone(house, type_id, content):
    """The record, as (id, created, updated), and the properties of one object."""
    house.stage(type_id, [content])
    [row] = house.records(type_id).rows()
    [properties] = house.values(type_id).values()
    return row[:3], properties


MOMENT = datetime(2026, 10, 1, 9, 30, 0, 123000)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("told", "moments"),
    [
        ({"createdAt": "2026-10-01T09:30:00.123Z"}, (MOMENT, MOMENT)),
        ({"created": "2026-10-01T09:30:00.123456Z"}, (MOMENT, MOMENT)),
        ({"created": 1_790_847_000_123, "updated": 1_790_847_001_123}, (MOMENT, MOMENT + SECOND)),
        ({"createdAt": "1790847000123"}, (MOMENT, MOMENT)),
        ({"createdAt": "2026-10-01T11:30:00.123+02:00"}, (MOMENT, MOMENT)),
        (
            {"createdAt": "2026-10-01T09:30:00.123Z", "updatedAt": "2026-10-01T09:30:01.123Z"},
            (MOMENT, MOMENT + SECOND),
        ),
        ({"updatedAt": "2026-10-01T09:30:00.123Z"}, (MOMENT, MOMENT)),
        ({"createdAt": "soon", "updatedAt": None}, (None, None)),
        ({"createdAt": 1_790_847_000}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_moments_are_told_in_many_ways(house, told, moments):
    (number, *found), _ = staged_alone(house, SEQUENCES, {"id": 7} | told)
    assert number == 7
    assert tuple(found) == moments


def test_what_the_facts_do_not_list_is_kept_in_snake_case_and_defined(house):
    told = {
        "id": "7", "name": "x", "newFieldOf2027": True, "a-b.c": 3.5,
        "nested": {"b": [1], "a": "é"}, "none": None, "empty": "", "zero": 0, "nothing": [],
    }  # fmt: skip
    _, properties = staged_alone(house, SEQUENCES, told)
    assert properties == {
        "hs_name": "x", "new_field_of2027": "true", "a_b_c": "3.5", "nested": '{"a":"é","b":[1]}',
        "zero": "0", "nothing": "[]", "hs_object_id": "7",
    }  # fmt: skip
    definitions = house.definitions(SEQUENCES)
    assert definitions["new_field_of2027"] == {
        "name": "new_field_of2027", "label": "new_field_of2027", "type": "string",
    }  # fmt: skip
    assert "none" not in definitions


def test_a_campaign_that_hides_its_number_has_its_guid(house):
    guid = "8f5d1a3c-0000-4000-8000-000000000000"
    (number, *_), properties = staged_alone(house, CAMPAIGNS, {"id": guid, "hs_name": "x"})
    assert number == hashed(f"{CAMPAIGNS}:{guid}")
    assert properties["source_id"] == properties["hs_origin_asset_id"] == guid


# Definitions


@pytest.mark.parametrize("type_id", READ)
def test_all_that_is_staged_is_defined(staged, type_id):
    definitions = staged.definitions(type_id)
    seen = {name for values in staged.values(type_id).values() for name in values}
    assert seen <= definitions.keys()
    assert {"hs_object_id", "hs_createdate", "hs_lastmodifieddate"} <= definitions.keys()
    for name in seen & MOMENTS:
        assert definitions[name]["type"] in ("date", "datetime")


def test_known_properties_are_defined_where_there_are_no_objects(house):
    house.stage(SUBMISSIONS, [])
    assert {"source_id", "form_id", "values", "page_url"} <= house.definitions(SUBMISSIONS).keys()
    assert house.staging.complete(object_source(kind(SUBMISSIONS))).chunks_staged == 0


def test_hubspots_own_definitions_go_before_the_facts(house):
    own_one = {"name": "hs_name", "label": "Its name", "type": "enumeration", "options": []}
    due = {"name": "due", "label": "Due", "type": "date"}
    house.stage(
        SEQUENCES,
        [{"id": "1", "name": "x", "due": "2026-10-01"}],
        defined=[Read(own_one, READ_AT), Read(due, READ_AT)],
    )
    definitions = house.definitions(SEQUENCES)
    assert definitions["hs_name"] == own_one
    assert definitions["due"] == due
    assert definitions["hs_object_id"]["type"] == "number"
    assert house.values(SEQUENCES)[1]["due"] == "1790812800000"


# Refusals


def refusing(error, *contents):
    def read(_):
        yield from (Read(each, READ_AT) for each in contents)
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingScope("the token lacks forms", scopes=("forms",)), "missing_scope"),
        (Forbidden("not for you", status=403), "missing_scope"),
        (NeedsEnterprise("not in your plan", status=403), "needs_enterprise"),
        (NotEnabled("nothing there", status=404), "not_enabled"),
    ],
)
def test_what_is_refused_is_staged_empty_with_its_availability(house, error, status):
    staged = house.stage(FORMS, refusing(error))
    assert (staged.availability.status, staged.availability.detail) == (status, str(error))
    assert staged.chunks_staged == 0
    assert "hs_name" in house.definitions(FORMS)


@pytest.mark.parametrize(
    "error", [NotEnabled("no", status=404), NotFound("gone"), BadRequest("no"), GaveUp("not now")]
)
def test_a_reading_that_ends_in_the_middle_is_not_staged(house, error):
    house.stage(FORMS, [{"id": "a-b"}])
    before = house.staging.complete(object_source(kind(FORMS)))
    with pytest.raises(type(error)):
        house.stage(FORMS, refusing(error, {"id": "c-d"}))
    assert house.staging.complete(object_source(kind(FORMS))) == before


def test_objects_are_reported_as_they_come(house):
    told = []
    house.stage(FILES, [{"id": "2"}, {"id": "1"}], report=lambda *each: told.append(each))
    assert told == [("objects/0-57", 1), ("objects/0-57", 2)]
