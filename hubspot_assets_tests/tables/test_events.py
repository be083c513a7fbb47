"""The tables of events: from a batch of events to rows."""

from collections import Counter
from datetime import datetime

import polars as pl
import pytest

from hubspot_assets.sources.events import EVENTS_SCHEMA, VALUES_SCHEMA
from hubspot_assets.tables import events as tables
from hubspot_assets.tables import specs, typed
from hubspot_assets.tables.counts import OBJECT_TYPES_UNKNOWN, RECIPIENTS_UNKNOWN, UNPARSED
from hubspot_assets.tables.names import unique_event_suffixes
from hubspot_assets.tables.typed import PropertyType

AT = datetime(2026, 11, 22, 12)
READ_AT = datetime(2026, 11, 23, 6)
OBJECT_TYPES = {"CONTACT": "0-1", "P17_CARS": "2-5"}
PROPERTIES = (
    PropertyType("hs_url", "string", "URL"),
    PropertyType("amount", "number", "Amount"),
    PropertyType("due", "datetime", "Due"),
)


def events_of(*rows):
    """Events of (id, object type, object id)."""
    return pl.DataFrame(
        [(place, row[0], "e_x", *row[1:], AT, READ_AT) for place, row in enumerate(rows)],
        schema=EVENTS_SCHEMA,
        orient="row",
    )


def values_of(*rows):
    return pl.DataFrame(rows, schema=VALUES_SCHEMA, orient="row")


def table_of(events, values, properties=PROPERTIES, type_id="4-1"):
    counts = Counter()
    table = tables.events_of_type(
        events, values, properties, event_type_id=type_id, object_types=OBJECT_TYPES, counts=counts
    )
    return table, counts


def test_an_event_is_a_row_with_a_typed_column_per_property():
    table, counts = table_of(
        events_of(("b", "CONTACT", 7), ("a", "p17_cars", 8)),
        values_of(
            (0, "hs_url", "https://x.test"),
            (0, "amount", "1.50"),
            (1, "due", "1795348800000"),
        ),
    )
    spec = specs.events_of_type("EVENTS_X", "X").with_columns(typed.columns(PROPERTIES))
    assert table.columns == [column.name for column in spec.columns]
    assert table.rows() == [
        ("4-1", "b", "0-1", 7, AT, READ_AT, "1.50", "1.50", None, "https://x.test"),
        ("4-1", "a", "2-5", 8, AT, READ_AT, None, None, datetime(2026, 11, 22, 12), None),
    ]
    assert not +counts


def test_a_number_that_is_none_stays_as_text():
    table, counts = table_of(events_of(("a", "CONTACT", 7)), values_of((0, "amount", "lots")))
    row = table.row(0, named=True)
    assert (row["PROPERTY_AMOUNT"], row["PROPERTY_UNPARSED_AMOUNT"]) == (None, "lots")
    assert counts[UNPARSED] == 1


def test_an_unknown_object_type_is_null_and_counted():
    table, counts = table_of(
        events_of(("a", "SPACESHIP", 7), ("b", None, None)), values_of(), type_id=None
    )
    assert table["OBJECTTYPEID"].to_list() == [None, None]
    assert table["OBJECTID"].to_list() == [7, None]
    assert table["EVENTTYPEID"].to_list() == [None, None]
    assert counts[OBJECT_TYPES_UNKNOWN] == 1


def test_properties_without_a_definition_are_text():
    properties = tables.all_properties(PROPERTIES, ["hs_new", "amount"])
    assert [(each.name, each.type) for each in properties] == [
        ("hs_url", "string"),
        ("amount", "number"),
        ("due", "datetime"),
        ("hs_new", "string"),
    ]


def test_email_events_are_of_the_contact_who_got_them():
    counts = Counter()
    recipients = pl.DataFrame(
        {"event": [0, 1], "recipient": ["ann@x.test", "nobody@x.test"]},
        schema_overrides={"event": pl.UInt32},
    )
    contacts = pl.DataFrame({"recipient": ["ann@x.test"], "contactId": [7]})
    events = tables.with_contacts(
        events_of(("a", None, None), ("b", None, None)), recipients, contacts, counts
    )
    table, unknown = table_of(events, values_of())
    assert table.select("ID", "OBJECTTYPEID", "OBJECTID").rows() == [
        ("a", "0-1", 7),
        ("b", None, None),
    ]
    assert counts[RECIPIENTS_UNKNOWN] == 1
    assert not unknown[OBJECT_TYPES_UNKNOWN]


@pytest.mark.parametrize(
    ("events", "suffixes"),
    [
        ([("e_visited_page", "4-96000")], ["VISITED_PAGE"]),
        ([("pe1_a.b", "6-10"), ("pe1_a b", "6-9")], ["A_B_6_10", "A_B"]),
        (
            [("ae2_paid", None), ("ae1_paid", None), ("pe1_paid", "6-9")],
            ["PAID_3", "PAID_2", "PAID"],
        ),
    ],
)
def test_every_event_has_a_table_name_of_its_own(events, suffixes):
    named = unique_event_suffixes(events)
    assert [named[name] for name, _ in events] == suffixes
