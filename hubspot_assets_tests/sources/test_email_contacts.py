"""Whose addresses e-mail events were sent to, as contacts are staged."""

from datetime import UTC, datetime

import polars as pl
import pytest

from hubspot_assets.availability import AVAILABLE
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.events import EMAIL_CONTACTS, extract_email_events
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, VALUES_SCHEMA, with_columns_of
from hubspot_assets.storage import open_store
from hubspot_assets_tests.days import day_of
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, ok

WINDOW = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
READ_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def found(tmp_path):
    """The contact of each address that events were sent to: those of `values`, by id."""

    def read(values, recipients):
        staging = Staging(open_store(tmp_path), day_of("2026-11-22"))
        frame = pl.DataFrame(
            [
                {"id": contact, "name": name, "value": value, "timestamp": datetime(2026, 1, day)}
                for day, (contact, name, value) in enumerate(values, start=1)
            ],
            schema=VALUES_SCHEMA,
        ).sort("id", "name", "timestamp")
        reading = staging.begin("objects/0-1", "contacts")
        records = with_columns_of(frame.select(pl.col("id").unique()).sort("id"), RECORDS_SCHEMA)
        reading.add({"records": records, "values": frame}, after=None)
        reading.finish(AVAILABLE, READ_AT)
        start = int(WINDOW[0].timestamp() * 1000)
        events = [
            {"id": str(number), "type": "SENT", "created": start + number}
            | ({} if address is None else {"recipient": address})
            for number, address in enumerate(recipients)
        ]
        with client_of(Script(ok({"events": events, "hasMore": False})), FakeTime()) as client:
            extract_email_events(client, staging, WINDOW, portal="a portal")
        chunks = staging.complete(EMAIL_CONTACTS).chunks()
        return dict(row for chunk in chunks for row in chunk.read("contacts").iter_rows())

    return read


def test_an_address_is_that_of_who_has_it_now(found):
    changed = [(1, "email", "old@x.test"), (1, "email", "New@x.test"), (2, "email", "b@x.test")]
    assert found(changed, ["new@x.test", "old@x.test"]) == {"new@x.test": 1}


def test_an_address_of_two_is_that_of_whose_main_one_it_is(found):
    shared = [
        (1, "hs_additional_emails", "ann@x.test;other@x.test"),
        (2, "email", "ann@x.test"),
        (3, "email", "ann@x.test"),
    ]
    assert found(shared, ["ann@x.test", "other@x.test"]) == {"ann@x.test": 2, "other@x.test": 1}


def test_an_event_of_no_address_is_of_nobody_though_contacts_have_none_either(found):
    assert found([(1, "email", ""), (2, "firstname", "Ann")], ["", None, "a@x.test"]) == {}
