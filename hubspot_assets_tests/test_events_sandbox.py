"""A day's events of a sandbox portal, delivered and read back by DuckDB, against its plan."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.hubspot.email_events import email_event_types
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets.tables.names import unique_event_suffixes
from hubspot_assets_tests.conftest import DAY, READ_AT

START = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
END = START + timedelta(days=1)


@pytest.fixture(scope="module")
def sandbox():
    with serve(PortalConfig(records=100, now=READ_AT, burst=100_000)) as portal:
        yield portal


@pytest.fixture
def delivered(reach, sandbox):
    """Delivers tables of the day, and gives their manifests and rows by ID."""

    def run(names):
        folder = reach(sandbox, OBJECT_TYPES="contacts", EVENT_TYPES="")
        tables = deliver(Settings(), DAY, names, Display()).tables
        return {
            manifest.table: (manifest, rows_of(f"{folder}/{DAY}/{manifest.table}/*.csv.gz"))
            for manifest, _ in tables
        }

    return run


def rows_of(path):
    table = duckdb.connect().sql(
        f"SELECT * FROM read_csv('{path}', header=true, all_varchar=true, "
        "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"')"
    )
    return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]


def told(kind, row, name):
    """A property of a row in the API's own form."""
    value = row[f"PROPERTY_{name.upper()}"]
    if kind == "NUMBER":
        return row[f"PROPERTY_UNPARSED_{name.upper()}"]
    if value is not None and kind == "TIMESTAMP":
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


def planned(kind, value):
    return datetime.fromisoformat(value) if kind == "TIMESTAMP" else value


def test_every_event_of_the_day_is_delivered_as_it_happened(delivered, sandbox):
    portal = sandbox.portal
    ids = {each.name: each.event_type_id for each in portal.event_life.kinds.values()}
    suffixes = unique_event_suffixes((name, ids[name] or None) for name in portal.event_types())
    email = set(email_event_types().values())
    plan = {
        f"EVENTS_{suffixes[name]}": {each.id: each for each in portal.events(name, START, END)}
        for name in portal.event_types()
        if name not in email
    }
    tables = delivered(list(plan))
    for table, events in plan.items():
        manifest, rows = tables[table]
        kinds = {column.name: column.type for column in manifest.columns}
        assert [row["ID"] for row in rows] == sorted(events), table
        for row in rows:
            event = events[row["ID"]]
            assert (row["OBJECTTYPEID"], int(row["OBJECTID"])) == (
                event.object_type_id,
                event.object_id,
            )
            assert datetime.fromisoformat(row["OCCURREDAT"]) == event.occurred_at.replace(
                tzinfo=None
            )
            for name, value in event.properties.items():
                kind = kinds[f"PROPERTY_{name.upper()}"]
                assert told(kind, row, name) == planned(kind, value), (table, name)
    assert sum(map(len, plan.values())) > 20
    assert len([table for table, events in plan.items() if events]) > 3


@pytest.mark.slow
def test_every_email_event_is_delivered_with_its_contact(delivered, sandbox):
    portal = sandbox.portal
    events = portal.email_events(START, END)
    kinds = email_event_types()
    counts = Counter(kinds[each["type"]] for each in events if each["type"] in kinds)
    tables = delivered([f"EVENTS_{name[2:].upper()}" for name in kinds.values()])
    contacts = {}
    for record_id in portal.live_ids("0-1", END):
        record = portal.record("0-1", record_id, READ_AT)
        if record and not record.archived_at:
            contacts[record.properties.get("email", "").lower()] = str(record_id)
    found = 0
    by_id = {each["id"]: each for each in events}
    for name in kinds.values():
        _, rows = tables[f"EVENTS_{name[2:].upper()}"]
        assert len(rows) == counts[name], name
        for row in rows:
            recipient = by_id[row["ID"]]["recipient"].lower()
            assert row["PROPERTY_HS_RECIPIENT"].lower() == recipient
            if recipient in contacts:
                assert row["OBJECTID"] == contacts[recipient]
                found += 1
    assert found > 0
