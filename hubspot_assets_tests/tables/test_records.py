"""Record tables as of the end of a day, from records as HubSpot's API gives them."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from hubspot_assets.sources.flatten import (
    RECORDS_SCHEMA,
    VALUES_SCHEMA,
    records_frame,
    values_frame,
    with_columns_of,
)
from hubspot_assets.tables import records, typed
from hubspot_assets.tables.counts import SAME_MOMENT, UNPARSED
from hubspot_assets.tables.typed import PropertyType

END = datetime(2026, 11, 22)
READ = datetime(2026, 11, 22, 2, 0, 0, 123000)


def entry(value, stamp, **more):
    return {"value": value, "timestamp": stamp, "sourceType": "CRM_UI"} | more


def record(
    record_id=101,
    histories=None,
    properties=None,
    created="2026-01-05T08:00:00.000Z",
    updated="2026-11-01T10:00:00.000Z",
):
    histories = histories or {}
    newest = {name: values[0].get("value") for name, values in histories.items() if values}
    return {
        "id": str(record_id),
        "properties": newest | (properties or {}),
        "propertiesWithHistory": histories,
        "createdAt": created,
        "updatedAt": updated,
        "archived": False,
    }


def as_of(*given, moments=(), cap=20, modified="hs_lastmodifieddate"):
    values = values_frame(given, set(moments), Counter())
    frame = records_frame(given, [READ] * len(given), Counter())
    return records.as_of(frame, values, END, cap=cap, modified_property=modified)


def properties_of(state):
    rows = records.object_properties(state, "0-3")
    return {(row["OBJECTID"], row["NAME"]): row["VALUE"] for row in rows.to_dicts()}


def test_a_value_is_the_newest_one_stamped_before_the_end_of_the_day():
    state = as_of(
        record(
            histories={
                "dealstage": [
                    entry("closedwon", "2026-11-22T00:00:00.000Z"),
                    entry("contract", "2026-11-21T23:59:59.999Z"),
                    entry("new", "2026-11-01T10:00:00.000Z"),
                ]
            },
            updated="2026-11-22T00:00:00.000Z",
        )
    )
    assert properties_of(state)[101, "dealstage"] == "contract"
    history = records.object_properties_history(state, "0-3", newest=20, counts=Counter())
    assert history["VALUE"].to_list() == ["new", "contract"]
    assert state.unknown.height == 0


def test_a_record_created_since_is_absent_with_all_its_values():
    state = as_of(
        record(1, {"a": [entry("x", "2026-11-01T10:00:00.000Z")]}),
        record(2, {"a": [entry("y", "2026-11-22T00:00:00.000Z")]}, created="2026-11-22T00:00:00Z"),
    )
    assert records.objects(state, "0-3")["OBJECTID"].to_list() == [1]
    assert properties_of(state) == {(1, "a"): "x"}
    assert records.object_with_object_properties(state, "0-3").height == 1


def test_a_property_first_set_since_was_not_set():
    state = as_of(
        record(
            histories={"amount": [entry("5", "2026-11-22T01:00:00.000Z")]},
            updated="2026-11-22T01:00:00.000Z",
        )
    )
    assert (101, "amount") not in properties_of(state)
    assert state.unknown.height == 0


def test_a_value_older_than_all_that_hubspot_retained_is_the_oldest_retained_and_counted():
    newer = [entry(f"v{minute}", f"2026-11-22T01:{minute:02d}:00.000Z") for minute in range(20)]
    state = as_of(
        record(histories={"score": newer[::-1]}, updated="2026-11-22T01:19:00.000Z"), cap=20
    )
    assert properties_of(state)[101, "score"] == "v0"
    assert state.unknown.height == 1


def test_a_property_without_history_is_unknown_only_if_the_record_changed_since():
    unchanged = record(1, properties={"hs_score": "7"})
    changed = record(2, properties={"hs_score": "8"}, updated="2026-11-22T01:00:00.000Z")
    state = as_of(unchanged, changed)
    assert properties_of(state)[1, "hs_score"] == "7"
    assert properties_of(state)[2, "hs_score"] == "8"
    assert state.unknown.height == 1


def test_a_record_changed_since_shows_its_last_update_before():
    state = as_of(
        record(
            histories={
                "a": [
                    entry("2", "2026-11-22T05:00:00.000Z"),
                    entry("1", "2026-11-20T05:00:00.000Z"),
                ],
                "hs_lastmodifieddate": [
                    entry("2026-11-22T05:00:00.000Z", "2026-11-22T05:00:00.000Z")
                ],
            },
            updated="2026-11-22T05:00:00.000Z",
        ),
        moments={"hs_lastmodifieddate"},
    )
    assert records.objects(state, "0-3")["UPDATEDAT"].to_list() == [datetime(2026, 11, 20, 5)]
    expected = str(int(datetime(2026, 11, 20, 5, tzinfo=UTC).timestamp()) * 1000)
    assert properties_of(state)[101, "hs_lastmodifieddate"] == expected


def test_a_cleared_value_stays_in_the_history_alone():
    state = as_of(
        record(
            histories={
                "phone": [
                    entry("", "2026-11-03T10:00:00.000Z"),
                    entry("123", "2026-11-02T10:00:00.000Z"),
                ]
            }
        )
    )
    assert properties_of(state) == {}
    history = records.object_properties_history(state, "0-3", newest=20, counts=Counter())
    assert history["VALUE"].to_list() == ["123", ""]
    documents = records.object_with_object_properties(state, "0-3")
    assert documents["PROPERTIES"].to_list() == ["{}"]


def test_history_keeps_the_newest_values_and_tells_of_those_it_can_not_tell_apart():
    many = [entry(f"v{day}", f"2026-11-{day:02d}T10:00:00.000Z") for day in range(1, 21)]
    twice = [
        entry("later", "2026-11-02T10:00:00.000Z"),
        entry("earlier", "2026-11-02T10:00:00.000Z"),
    ]
    state = as_of(record(histories={"many": many[::-1], "twice": twice}))
    counts = Counter()
    history = records.object_properties_history(state, "0-3", newest=3, counts=counts)
    by_name = history.group_by("NAME").agg("VALUE").sort("NAME").rows()
    assert by_name == [("many", ["v18", "v19", "v20"]), ("twice", ["later"])]
    assert counts[SAME_MOMENT] == 1
    whole = records.object_properties_history(state, "0-3", newest=None, counts=Counter())
    assert whole.height == 21


@pytest.mark.parametrize(
    ("given", "raw"),
    [
        ("2024-02-21T03:12:56.388Z", "1708485176388"),
        ("2024-02-21T03:12:56Z", "1708485176000"),
        ("2024-02-21", "1708473600000"),
        ("1708485176388", "1708485176388"),
        ("soon", "soon"),
    ],
)
def test_moments_are_epoch_milliseconds_whatever_form_they_come_in(given, raw):
    state = as_of(
        record(histories={"when": [entry(given, "2026-11-02T10:00:00.000Z")]}), moments={"when"}
    )
    assert properties_of(state)[101, "when"] == raw


def test_the_document_holds_every_value_as_a_string_in_the_order_of_names():
    nasty = 'a "quote", a \\ and\r\na line, 🎉 \u05d0'
    state = as_of(
        record(
            properties={"b": nasty, "a": "1", "c": None, "d": ""},
            histories={"é": [entry(" x ", "2026-11-02T10:00:00.000Z")]},
        )
    )
    document = records.object_with_object_properties(state, "0-3")["PROPERTIES"].item()
    assert json.loads(document) == {"a": "1", "b": nasty, "é": " x "}
    assert list(json.loads(document)) == ["a", "b", "é"]
    assert ": " not in document.replace(nasty, "")


def test_a_document_is_json_whatever_its_properties_are_called():
    odd = {'a "b"': "1", "c\\d": "2", "e\nf": "3", "g": "4"}
    state = as_of(record(properties=odd))
    document = records.object_with_object_properties(state, "0-3")["PROPERTIES"].item()
    assert json.loads(document) == odd


def test_typed_columns_parse_leniently_and_count_what_does_not():
    kinds = [
        PropertyType("amount", "number", "Amount"),
        PropertyType("flag", "bool", "Flag"),
        PropertyType("born", "date", "Born"),
        PropertyType("seen", "datetime", "Seen"),
        PropertyType("blob", "json", "Blob"),
        PropertyType("name", "string", "Name"),
        PropertyType("unset", "string", "Unset"),
    ]
    good = {
        "amount": "67340.0",
        "flag": "TRUE",
        "born": "1708473600000",
        "seen": "1708485176388",
        "blob": '{"b": 1, "a": [2]}',
        "name": " x ",
    }
    dirty = {"amount": "12;34", "flag": "maybe", "born": "soon", "seen": "9" * 18, "blob": "{"}
    state = as_of(record(1, properties=good), record(2, properties=dirty), record(3))
    counts = Counter()
    table = records.objects_of_type(state, "0-3", kinds, counts=counts)
    assert [column.name for column in typed.columns(kinds)] == table.columns[4:]
    rows = {row["OBJECTID"]: row for row in table.to_dicts()}
    assert rows[1]["PROPERTY_AMOUNT"] == "67340.0"
    assert rows[1]["PROPERTY_UNPARSED_AMOUNT"] == "67340.0"
    assert rows[1]["PROPERTY_FLAG"] is True
    assert rows[1]["PROPERTY_BORN"] == datetime(2024, 2, 21).date()
    assert rows[1]["PROPERTY_SEEN"] == datetime(2024, 2, 21, 3, 12, 56, 388000)
    assert rows[1]["PROPERTY_BLOB"] == '{"b": 1, "a": [2]}'
    assert rows[1]["PROPERTY_NAME"] == " x "
    assert rows[2]["PROPERTY_AMOUNT"] is None
    assert rows[2]["PROPERTY_UNPARSED_AMOUNT"] == "12;34"
    assert counts[UNPARSED] == 5
    assert rows[3]["PROPERTY_NAME"] is None
    assert table["PROPERTY_UNSET"].null_count() == 3
    assert table.schema["PROPERTY_UNSET"] == pl.String
    unset = records.objects_of_type(as_of(record(1)), "0-3", kinds, counts=Counter())
    assert unset.schema == table.schema
    assert unset.drop(table.columns[:4]).null_count().rows() == [(1,) * (table.width - 4)]


def test_an_empty_type_gives_typed_columns_without_rows():
    state = as_of()
    kinds = [PropertyType("amount", "number", "Amount"), PropertyType("seen", "datetime", "Seen")]
    table = records.objects_of_type(state, "0-3", kinds, counts=Counter())
    assert table.height == 0
    assert table.schema["PROPERTY_SEEN"] == pl.Datetime("ms")


def test_a_record_updated_or_created_at_midnight_is_of_the_next_day():
    midnight, before = "2026-11-22T00:00:00.000Z", "2026-11-21T23:59:59.999Z"
    histories = {"dealname": [entry("late", midnight), entry("early", before)]}
    state = as_of(
        record(1, histories, updated=midnight),
        record(2, histories, updated=before),
        record(3, created=midnight, updated=midnight),
        record(9223372036854775807, created=before, updated=before),
    )
    rows = {row["OBJECTID"]: row["UPDATEDAT"] for row in records.objects(state, "0-3").to_dicts()}
    assert rows == dict.fromkeys((1, 2, 9223372036854775807), END - timedelta(milliseconds=1))
    assert properties_of(state) == {(1, "dealname"): "early", (2, "dealname"): "early"}


def test_a_record_of_unknown_dates_may_have_changed_since():
    """Its values without history are as they are now, and counted."""
    state = as_of(record(1, properties={"city": "Bonn"}, created=None, updated=None))
    assert properties_of(state) == {(1, "city"): "Bonn"}
    assert state.unknown.height == 1
    assert records.objects(state, "0-3")["UPDATEDAT"].to_list() == [None]


def test_the_newest_entry_of_a_history_without_a_value_has_the_present_one():
    stamp = "2026-11-01T10:00:00.000Z"
    told = record(1, {"city": [{"timestamp": stamp, "sourceType": "API"}]}, {"city": "Bonn"})
    assert properties_of(as_of(told)) == {(1, "city"): "Bonn"}


def of_readings(lives, values=()):
    """As of the end, from what several readings have found."""
    schema = {name: RECORDS_SCHEMA[name] for row in lives for name in row}
    frame = with_columns_of(pl.DataFrame(lives, schema=schema), RECORDS_SCHEMA)
    rows = [{"id": 1, "name": "city", "value": "Bonn"} | each for each in values]
    told = pl.DataFrame(rows, schema={name: VALUES_SCHEMA[name] for row in rows for name in row})
    whole = with_columns_of(told if rows else pl.DataFrame({"id": []}), VALUES_SCHEMA)
    whole = whole.cast({"id": pl.Int64})
    return records.as_of(frame, whole, END, cap=20, modified_property="hs_lastmodifieddate")


HOUR = timedelta(hours=1)
BORN = {"createdAt": END - 999 * HOUR, "updatedAt": END - 99 * HOUR, "readAt": READ}


@pytest.mark.parametrize(
    ("life", "there"),
    [
        ({}, True),
        ({"createdAt": END}, False),
        ({"bornAt": END}, False),
        ({"bornAt": END - HOUR}, True),
        ({"gone": "archived", "goneAt": END}, True),
        ({"gone": "archived", "goneAt": END - HOUR}, False),
        ({"gone": "archived", "goneAt": None}, False),
        ({"awayFrom": END - HOUR, "awayUntil": END}, False),
        ({"awayFrom": END, "awayUntil": END + HOUR}, True),
        ({"awayFrom": END - 2 * HOUR, "awayUntil": END - HOUR}, True),
        ({"readAt": None, "gone": "merged", "goneAt": END}, False),
    ],
)
def test_who_is_there_at_the_end_of_a_day(life, there):
    state = of_readings([{"id": 1} | BORN | life])
    assert (state.records.height == 1) == there


@pytest.mark.parametrize(
    ("life", "unseen"),
    [
        ({"goneAt": END}, 1),
        ({"goneAt": END - HOUR}, 0),
        ({"goneAt": END, "bornAt": END - HOUR}, 1),
        ({"goneAt": END + HOUR, "bornAt": END}, 0),
        ({"goneAt": END, "readAt": READ, "awayFrom": END - HOUR, "awayUntil": END}, 1),
        ({"goneAt": END + HOUR, "readAt": READ, "awayFrom": END, "awayUntil": END + HOUR}, 0),
    ],
)
def test_who_was_merged_before_being_read_is_counted(life, unseen):
    assert of_readings([{"id": 1, "gone": "merged"} | life]).unseen == unseen


def test_what_was_last_read_before_the_end_of_the_day_is_not_known():
    before = {"readAt": END - HOUR, "goneAt": END + HOUR}
    value = {"timestamp": END - 9 * HOUR}
    for gone, unknown in (("merged", 1), ("archived", 0)):
        state = of_readings([{"id": 1} | BORN | before | {"gone": gone}], [value])
        assert (state.unknown.height, state.earlier) == (unknown, unknown)
    state = of_readings([{"id": 1} | BORN | {"gone": "merged", "goneAt": END + 3 * HOUR}], [value])
    assert (state.unknown.height, state.earlier) == (0, 0)
    late = {"timestamp": END, "name": "phone"}
    state = of_readings([{"id": 1} | BORN | before | {"gone": "merged"}], [value, late])
    assert state.unknown.rows() == [(1, "city")]


def test_what_may_have_been_another_between_two_readings_is_not_known():
    held = {"timestamp": END - 9 * HOUR}
    late = {"timestamp": END, "name": "phone"}
    for until, unknown in ((END - HOUR, [(1, "city")]), (END, [])):
        for values in ([held | {"heldUntil": until}], [held | {"heldUntil": until}, late]):
            assert of_readings([{"id": 1} | BORN], values).unknown.rows() == unknown


def test_who_took_another_in_since_and_kept_its_id_has_values_of_both():
    merged = {"name": "hs_merged_object_ids", "value": "7"}
    for at, unknown in ((END, [(1, "city")]), (END - HOUR, [])):
        state = of_readings(
            [{"id": 1} | BORN], [{"timestamp": END - HOUR}, merged | {"timestamp": at}]
        )
        assert state.unknown.rows() == unknown
