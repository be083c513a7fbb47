"""Engagements: seven types of activities, staged apart, as one type in the order of ids."""

import random
from datetime import UTC, datetime

import polars as pl
import pytest

from hubspot_assets.availability import AVAILABLE, Availability
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources import engagements
from hubspot_assets.sources.engagements import (
    ENGAGEMENT_TYPE,
    PROPERTIES,
    SOURCE,
    engagement_types,
    stage_engagements,
)
from hubspot_assets.sources.flatten import records_frame, values_frame
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.source import object_source, properties_source
from hubspot_assets.storage import open_store
from hubspot_assets.tables.counts import ENGAGEMENTS_TWICE
from hubspot_assets_tests.days import day_of

READ_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
CALLS, EMAILS, NOTES, TASKS, COMMUNICATIONS = "0-48", "0-49", "0-46", "0-27", "0-18"
REFUSED = Availability("missing_scope", "the access token lacks a scope")


def kind(type_id):
    return next(each for each in standard_catalog().object_types if each.id == type_id)


def record(record_id, **properties):
    return {
        "id": str(record_id),
        "properties": properties,
        "propertiesWithHistory": {
            name: [
                {"value": value, "timestamp": "2026-10-01T10:00:00.000Z", "sourceType": "CRM_UI"},
                {"value": "", "timestamp": "2026-09-01T10:00:00.000Z", "sourceType": "API"},
            ]
            for name, value in properties.items()
        },
        "createdAt": "2026-01-05T08:00:00.000Z",
        "updatedAt": "2026-11-01T10:00:00.000Z",
    }


class House:
    """A staged day in a folder."""

    def __init__(self, folder):
        self.staging = Staging(open_store(folder), day_of("2026-11-22"))
        self.types = []

    def has(self, type_id, *chunks, availability=AVAILABLE, definitions=()):
        """Stages a type's chunks of records, and its property definitions."""
        of = kind(type_id)
        self.types.append(of)
        told = (Read({"name": name, "label": name} | more, READ_AT) for name, more in definitions)
        stage_items(self.staging.begin(properties_source(of), "items"), told)
        reading = self.staging.begin(object_source(of), "records")
        for records in chunks:
            frames = {
                "records": records_frame(records, [READ_AT] * len(records), reading.counts),
                "values": values_frame(records, (), reading.counts),
            }
            reading.add(frames, after=None)
        reading.finish(availability, READ_AT)

    def chunks(self):
        """The engagements, a pair of frames per chunk."""
        staged = stage_engagements(self.staging, self.types)
        assert self.staging.complete(SOURCE) == staged
        return staged, [(each.read("records"), each.read("values")) for each in staged.chunks()]

    def kinds(self):
        """By id, what the engagements are."""
        _, chunks = self.chunks()
        values = pl.concat(values for _, values in chunks)
        rows = values.filter(pl.col("name") == ENGAGEMENT_TYPE)
        assert rows["timestamp"].null_count() == rows.height
        return dict(rows.select("id", "value").iter_rows())


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_the_seven_types_are_one_in_the_order_of_ids(house):
    for number, type_id in enumerate(engagement_types()):
        house.has(type_id, [record(100 - number), record(200 + number)], [record(300 + number)])
    staged, chunks = house.chunks()
    ids = pl.concat(records for records, _ in chunks)["id"].to_list()
    assert len(engagement_types()) == 7
    assert ids == sorted(ids)
    assert len(ids) == staged.counts["records"] == 21
    assert set(house.kinds().values()) == {
        "CALL", "EMAIL", "MEETING", "NOTE", "TASK", "COMMUNICATION", "POSTAL_MAIL",
    }  # fmt: skip
    assert staged.observed_at == READ_AT


def test_values_come_with_their_histories_by_id_name_and_time(house):
    house.has(NOTES, [record(2, hs_note_body="b", a="x"), record(3)])
    house.has(CALLS, [record(1, z="y"), record(4, a="w")])
    _, [(_, values)] = house.chunks()
    assert values.columns == ["id", "name", "value", "timestamp", *values.columns[4:]]
    assert values.select("id", "name", "value").rows() == [
        (1, ENGAGEMENT_TYPE, "CALL"), (1, "z", ""), (1, "z", "y"),
        (2, "a", ""), (2, "a", "x"), (2, ENGAGEMENT_TYPE, "NOTE"),
        (2, "hs_note_body", ""), (2, "hs_note_body", "b"),
        (3, ENGAGEMENT_TYPE, "NOTE"),
        (4, "a", ""), (4, "a", "w"), (4, ENGAGEMENT_TYPE, "CALL"),
    ]  # fmt: skip
    assert values["sourceType"].drop_nulls().unique().sort().to_list() == ["API", "CRM_UI"]


def test_emails_and_communications_tell_their_own_kind(house):
    house.has(
        EMAILS,
        [
            record(1, hs_email_direction="INCOMING_EMAIL"),
            record(2, hs_email_direction="FORWARDED_EMAIL"),
            record(3, hs_email_direction="EMAIL"),
            record(4, hs_email_direction=""),
            record(5),
        ],
    )
    house.has(COMMUNICATIONS, [record(6, hs_communication_channel_type="SMS"), record(7)])
    house.has(CALLS, [record(8, hs_engagement_type="CALL_OF_ANOTHER_KIND")])
    _, chunks = house.chunks()
    own = chunks[0][1].filter(pl.col("id") == 8, pl.col("name") == ENGAGEMENT_TYPE)
    assert own["value"].to_list() == ["", "CALL_OF_ANOTHER_KIND"]
    told = chunks[0][1].filter(pl.col("id") < 8, pl.col("name") == ENGAGEMENT_TYPE)
    assert told["value"].to_list() == [
        "INCOMING_EMAIL", "FORWARDED_EMAIL", "EMAIL", "EMAIL", "EMAIL", "SMS", "COMMUNICATION",
    ]  # fmt: skip


@pytest.mark.samples(2)
@pytest.mark.parametrize("seed", range(5))
def test_chunks_are_small_and_keep_records_whole(house, monkeypatch, seed):
    monkeypatch.setattr(engagements, "CHUNK_VALUES", 40)
    dice = random.Random(seed)
    ids = dice.sample(range(10_000), 400)
    records = {
        each: record(each, **{f"p{number}": "v" for number in range(dice.randrange(4))})
        for each in ids
    }
    of = {each: dice.choice([CALLS, EMAILS, NOTES, TASKS]) for each in ids}
    for type_id in (CALLS, EMAILS, NOTES, TASKS):
        mine = sorted(each for each in ids if of[each] == type_id)
        size = dice.choice([7, 30, 200])
        parts = [mine[at : at + size] for at in range(0, len(mine), size)]
        house.has(type_id, *([records[each] for each in part] for part in parts))
    _, chunks = house.chunks()
    assert all(values.height < 40 + 7 for _, values in chunks)
    assert len(chunks) > 10
    seen = [each for frame, _ in chunks for each in frame["id"]]
    assert seen == sorted(ids)
    for frame, values in chunks:
        expected = sum(1 + 2 * len(records[each]["properties"]) for each in frame["id"])
        assert values.height == expected
        assert values["id"].unique().sort().to_list() == frame["id"].to_list()


def test_a_chunk_of_long_texts_is_full_sooner(house, monkeypatch):
    monkeypatch.setattr(engagements, "CHUNK_CHARACTERS", 1_000)
    house.has(NOTES, [record(each, hs_note_body="x" * 400) for each in range(1, 11)])
    _, chunks = house.chunks()
    assert [records.height for records, _ in chunks] == [3, 3, 3, 1]


def test_of_two_records_of_one_id_the_first_stays_and_the_other_is_counted(house):
    house.has(CALLS, [record(1, a="call"), record(2, a="call")])
    house.has(NOTES, [record(2, b="note"), record(3, b="note")])
    staged, [(records, values)] = house.chunks()
    assert records["id"].to_list() == [1, 2, 3]
    assert values.filter(pl.col("id") == 2)["name"].unique().sort().to_list() == [
        "a",
        ENGAGEMENT_TYPE,
    ]
    assert staged.counts[ENGAGEMENTS_TWICE] == 1


def test_refused_types_are_left_out_and_named(house):
    house.has(CALLS, [record(1)])
    house.has(NOTES, availability=REFUSED)
    staged, [(records, _)] = house.chunks()
    assert records["id"].to_list() == [1]
    assert staged.availability == Availability("available", REFUSED.detail)


def test_without_any_type_there_are_none(house):
    house.has(CALLS, availability=REFUSED)
    house.has(NOTES, availability=Availability("not_enabled", "no such type"))
    staged, chunks = house.chunks()
    assert (chunks, staged.availability) == ([], REFUSED)


def test_with_no_type_exported_there_are_none(house):
    staged, chunks = house.chunks()
    assert (chunks, staged.availability.status) == ([], "not_enabled")
    assert house.staging.complete(PROPERTIES).availability.status == "not_enabled"


def test_properties_are_those_of_all_types_by_name(house):
    house.has(
        CALLS,
        definitions=[
            ("hs_timestamp", {"type": "datetime"}),
            ("hs_body", {"type": "string", "archived": True}),
            ("hs_status", {"type": "enumeration"}),
        ],
    )
    house.has(
        NOTES,
        definitions=[
            ("hs_timestamp", {"type": "datetime", "label": "another"}),
            ("hs_body", {"type": "string"}),
            ("hs_status", {"type": "number"}),
        ],
    )
    house.chunks()
    staged = house.staging.complete(PROPERTIES)
    told = {each.content["name"]: each.content for each in read_items(staged)}
    assert list(told) == ["hs_body", ENGAGEMENT_TYPE, "hs_status", "hs_timestamp"]
    assert told["hs_timestamp"] == {
        "name": "hs_timestamp",
        "label": "hs_timestamp",
        "type": "datetime",
    }
    assert "archived" not in told["hs_body"]
    assert told["hs_status"]["type"] == "string"
    assert staged.observed_at == READ_AT
