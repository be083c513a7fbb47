"""What a portal has can change from one day to the next: discovered, told, and delivered."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._core.definitions.reconstruct import (
    initialize_repository_def_from_pointer,
    reconstruct_repository_def_from_pointer,
)

from hubspot_assets.definitions import JOB, defs
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import DAY, END, READ_AT, START, place
from hubspot_assets_tests.test_commands import digests, fails, run

DAY_BEFORE = "2026-11-21"
CARS, CONTACTS = "2-4410002", "0-1"
TYPES = "OBJECT_AND_EVENT_TYPE_DEFINITIONS"
#: HubSpot's own types that are enough for most tests.
OWN_TYPES = {"contacts", "companies", "deals"}
OWN_EVENTS = {"e_visited_page"}
E_MAIL_TABLES = {
    "EVENTS_HS_SCHEDULED_EMAIL_V2",
    "EVENTS_MTA_DELIVERED_EMAIL_V2",
    "EVENTS_OPENED_EMAIL_V2",
    "EVENTS_CLICKED_LINK_IN_EMAIL_V2",
    "EVENTS_MTA_BOUNCED_EMAIL_V2",
    "EVENTS_REPORTED_SPAM_EMAIL_V2",
}


@pytest.fixture
def sandbox():
    """A small portal of the test's own, whose types it changes."""
    config = PortalConfig(records=60, now=READ_AT, burst=100_000, contact_properties=60)
    with serve(config) as own:
        yield own


@pytest.fixture
def all_discovered(sandbox, reach):
    """The export folder of that portal, which has been discovered; all types are exported."""
    folder = reach(sandbox, OBJECT_TYPES="")
    assert run("discover")[0] == 0
    return folder


@pytest.fixture
def discovered(all_discovered, monkeypatch):
    """The same, but that of HubSpot's own types few are exported, which is quicker."""
    catalog = place().load()
    types = [
        each.id
        for each in catalog.object_types
        if not each.custom and each.plural_name not in OWN_TYPES
    ]
    events = [
        each.name for each in catalog.event_types if not each.custom and each.name not in OWN_EVENTS
    ]
    monkeypatch.setenv("EXCLUDE_OBJECT_TYPES", ",".join(types))
    monkeypatch.setenv("EXCLUDE_EVENT_TYPES", ",".join(events))
    return all_discovered


def tables(loaded=None):
    """The tables of the code location, freshly loaded, or of these definitions."""
    graph = (loaded or defs()).resolve_asset_graph()
    return {key.path[0] for key in graph.get_all_asset_keys() if len(key.path) == 1}


def discover():
    """What `hubspot-assets discover` prints of changes, behind what it does and has found."""
    status, output = run("discover")
    assert status == 0, output
    return output.splitlines()[2:]


def materialize(loaded, day, *names, read_again=False):
    """Runs the export job over tables and what they are made of, all of them without names."""
    selection = None
    if names:
        wanted = dg.AssetSelection.assets(*names).upstream()
        selection = sorted(wanted.resolve(loaded.resolve_asset_graph()))
    with dg.DagsterInstance.ephemeral() as instance:
        result = loaded.resolve_job_def(JOB).execute_in_process(
            instance=instance,
            partition_key=day,
            asset_selection=selection,
            run_config={"resources": {"reading": {"config": {"read_again": read_again}}}},
        )
    assert result.success


def manifest(folder, table, day=DAY):
    return json.loads((folder / day / table / "_manifest.json").read_text())


def changes_told(folder, day=DAY):
    """The warnings about custom types in the table of types."""
    found = manifest(folder, TYPES, day)["warnings"]
    return [each for each in found if each.startswith("the custom type")]


def select(folder, table, columns, day=DAY):
    path = f"{folder}/{day}/{table}/*.csv.gz"
    return (
        duckdb.connect()
        .sql(
            f"SELECT {columns} FROM read_csv('{path}', header=true, all_varchar=true, "
            "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"')"
        )
        .fetchall()
    )


def execute_discovery():
    """Runs the job of the code location; gives its result and the warnings it logged."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            defs()
            .resolve_job_def("discover")
            .execute_in_process(instance=instance, raise_on_error=False)
        )
        logged = instance.all_logs(result.run_id)
    return result, [each.user_message for each in logged if each.level == 30]


def test_what_the_portal_makes_is_delivered_once_it_is_discovered(sandbox, discovered):
    portal, before = sandbox.portal, tables()
    boats = portal.define_type("boats", "Boat", "Boats", records=30)
    docked = portal.define_event("docked", per_day=0.5)
    assert tables() == before
    assert discover() == [f"OBJECTS_BOATS is new ({boats})", f"EVENTS_DOCKED is new ({docked})"]
    now = tables()
    new = now - before
    assert new == {
        "OBJECTS_BOATS",
        "ASSOCIATIONS_BOATS_TO_CONTACTS",
        "ASSOCIATIONS_CONTACTS_TO_BOATS",
        "EVENTS_DOCKED",
    }
    assert before <= now
    assert discover() == []
    status, output = run("export", "--day", DAY, "--select", ",".join(new))
    assert status == 0, output
    live = set(portal.live_ids(boats, END)) & set(portal.live_ids(boats, READ_AT))
    rows = select(discovered, "OBJECTS_BOATS", "OBJECTID")
    assert {int(row[0]) for row in rows} == live != set()
    links = {(each.from_id, each.to_id) for each in portal.links(boats, CONTACTS, READ_AT)}
    for table in ("ASSOCIATIONS_BOATS_TO_CONTACTS", "ASSOCIATIONS_CONTACTS_TO_BOATS"):
        rows = select(discovered, table, "BOATS_OBJECTID, CONTACT_OBJECTID")
        assert {(int(boat), int(contact)) for boat, contact in rows} == links != set()
    rows = select(discovered, "EVENTS_DOCKED", "ID")
    assert {row[0] for row in rows} == {each.id for each in portal.events(docked, START, END)}
    assert rows


def test_an_export_discovers_before_it_reads(sandbox, discovered):
    sandbox.portal.define_type("boats", "Boat", "Boats")
    status, output = run("export", "--day", DAY, "--select", "OBJECTS_BOATS")
    assert status == 0, output
    assert "OBJECTS_BOATS is new" in output
    assert (discovered / DAY / "OBJECTS_BOATS" / "_manifest.json").exists()


@pytest.mark.slow
def test_the_job_does_what_the_command_does(sandbox, all_discovered):
    made = sandbox.portal.define_type("boats", "Boat", "Boats")
    sandbox.portal.remove_event(sandbox.portal.event_types()[0])
    result, warnings = execute_discovery()
    assert result.success
    assert f"OBJECTS_BOATS is new ({made})" in warnings
    assert any("is no longer delivered" in each for each in warnings)
    assert any("reload the code location" in each for each in warnings)
    assert "OBJECTS_BOATS" in tables()
    assert discover() == []
    result, warnings = execute_discovery()
    assert (result.success, warnings) == (True, [])


def test_a_discovery_that_fails_leaves_the_catalog(sandbox, discovered, monkeypatch):
    monkeypatch.setenv("OBJECT_TYPES", "deals")
    before = Path(place().url).read_bytes()
    sandbox.portal.define_type("boats", "Boat", "Boats")
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-na1-unknown")
    result, _ = execute_discovery()
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    data = failure.step_failure_data
    assert "does not accept the access token" in data.user_failure_data.description
    fails(1, "does not accept the access token", "discover")
    assert Path(place().url).read_bytes() == before


def refuse(sandbox, path, **answer):
    """Answers all requests to a path so from now on."""
    sandbox.faults.add("status", times=1000, path=path, **answer)


def test_a_refusal_takes_nothing_from_the_catalog(sandbox, discovered):
    kept = place().load()
    scope = {"status": 403, "form": "envelope", "message": "no", "category": "MISSING_SCOPES"}
    for path in ("/schemas$", "object-library", "event-types$", "event-definitions"):
        refuse(sandbox, path, **scope)
    first, second = discover()
    assert "custom object types are unknown" in first
    assert "custom event types are unknown" in second
    now = place().load()
    assert now.object_types == kept.object_types
    assert any(each.custom for each in now.object_types)
    assert not all(each.enabled for each in now.object_types)
    assert set(now.associations) == set(kept.associations)
    by_name = {each.name: each for each in now.event_types}
    assert all(by_name[each.name] == each for each in kept.event_types)


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    "path", ["/schemas$", "object-library", "event-types$", "event-definitions"]
)
def test_an_answer_that_is_none_leaves_the_catalog(sandbox, discovered, path):
    kept = Path(place().url).read_bytes()
    refuse(sandbox, path, status=403)
    status, output = run("discover")
    assert status == 1
    assert len(output.splitlines()) == 2
    assert "gave up after 6 attempts, the last with 403" in output
    assert Path(place().url).read_bytes() == kept


@pytest.mark.parametrize("zone", ["UTC", "Europe/Warsaw"])
def test_discovery_is_scheduled_in_the_evening(sandbox, reach, zone):
    reach(sandbox, EXPORT_TIMEZONE=zone)
    schedule = defs().resolve_schedule_def("daily_discovery")
    assert schedule.job_name == "discover"
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 22 * * *", zone)
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.mark.slow
def test_a_label_that_changes_between_discovery_and_export(sandbox, discovered):
    old = defs()
    sandbox.portal.relabel_type(CARS, "Vehicle", "Vehicles")
    materialize(old, DAY_BEFORE, "OBJECTS_CARS", TYPES)
    assert manifest(discovered, "OBJECTS_CARS", DAY_BEFORE)["rows"] > 0
    (warning,) = changes_told(discovered, DAY_BEFORE)
    assert f"cars ({CARS}) is called Vehicles now, and Cars here" in warning
    before = digests(discovered)
    assert discover() == [
        f"OBJECTS_CARS is called OBJECTS_VEHICLES from now on ({CARS}: its label was changed)"
    ]
    now = tables()
    assert now - tables(old) == {
        "OBJECTS_VEHICLES",
        *(
            f"ASSOCIATIONS_{name}"
            for other in ("CONTACTS", "DEALS", "ASSETS")
            for name in (f"VEHICLES_TO_{other}", f"{other}_TO_VEHICLES")
        ),
    }
    assert not [name for name in now if "CARS" in name]
    materialize(defs(), DAY, "OBJECTS_VEHICLES", TYPES, read_again=True)
    assert manifest(discovered, "OBJECTS_VEHICLES")["rows"] > 0
    assert changes_told(discovered) == []
    assert before.items() <= digests(discovered).items()


def test_a_run_keeps_the_catalog_that_its_code_location_was_loaded_with(sandbox, discovered):
    """Its processes start later, and must find the steps that it was made of."""
    pointer = CodePointer.from_module("hubspot_assets.definitions", "defs", working_directory=None)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        loaded = initialize_repository_def_from_pointer(pointer)
        sandbox.portal.relabel_type(CARS, "Vehicle", "Vehicles")
        assert len(discover()) == 1
        process = reconstruct_repository_def_from_pointer(pointer, loaded.repository_load_data)
    steps = [each.get_job(JOB).graph.node_dict.keys() for each in (loaded, process)]
    assert "OBJECTS_CARS" in steps[0]
    assert steps[0] == steps[1]
    assert "OBJECTS_VEHICLES" in tables()


def test_types_that_are_left_out_are_no_news(sandbox, reach):
    folder = reach(sandbox, OBJECT_TYPES="deals")
    assert run("discover")[0] == 0
    materialize(defs(), DAY, TYPES)
    assert changes_told(folder) == []


@pytest.mark.slow
def test_a_type_that_is_deleted_after_discovery_costs_its_own_tables_alone(
    sandbox, discovered, monkeypatch
):
    monkeypatch.setenv("OBJECT_TYPES", "contacts,cars,asset_laptops,deals")
    old = defs()
    sandbox.portal.remove_type(CARS)
    made = sandbox.portal.define_type("boats", "Boat", "Boats")
    materialize(old, DAY)
    assert (discovered / DAY / "_manifest.json").exists()
    theirs = {name for name in tables(old) if "CARS" in name}
    assert len(theirs) == 7
    for name in theirs:
        told = manifest(discovered, name)
        assert (told["rows"], told["availability"]["status"]) == (0, "not_enabled"), name
        assert told["availability"]["detail"]
        assert len(select(discovered, name, "*")) == 0
    objects = manifest(discovered, "OBJECTS")
    assert objects["sources"]["cars"]["availability"]["status"] == "not_enabled"
    assert objects["sources"]["contacts"]["availability"]["status"] == "available"
    for name in ("OBJECTS_CONTACTS", "OBJECTS_DEALS", "ASSOCIATIONS_DEALS_TO_CONTACTS"):
        assert manifest(discovered, name)["rows"] > 0
    ids = {row[0] for row in select(discovered, "PIPELINES", "OBJECTTYPEID")}
    assert ids == {"0-3"}
    warnings = changes_told(discovered)
    assert len(warnings) == 2
    assert f"boats ({made}) is new" in warnings[0]
    assert f"cars ({CARS}) is gone" in warnings[1]
    monkeypatch.setenv("OBJECT_TYPES", "")
    assert discover() == [
        f"OBJECTS_BOATS is new ({made})",
        f"OBJECTS_CARS is no longer delivered ({CARS} is gone)",
    ]
    assert not [name for name in tables() if "CARS" in name]


@pytest.mark.slow
def test_an_event_type_that_is_deleted_after_discovery(sandbox, discovered):
    docked = sandbox.portal.define_event("docked", per_day=0.5)
    assert discover() == [f"EVENTS_DOCKED is new ({docked})"]
    old = defs()
    sandbox.portal.remove_event(docked)
    materialize(old, DAY, "EVENTS_DOCKED", "EVENTS_VISITED_PAGE", TYPES)
    told = manifest(discovered, "EVENTS_DOCKED")
    assert (told["rows"], told["availability"]["status"]) == (0, "not_enabled")
    assert "Unknown event type" in told["availability"]["detail"]
    assert manifest(discovered, "EVENTS_VISITED_PAGE")["availability"]["status"] == "available"
    rows = select(discovered, TYPES, "TABLENAME, AVAILABILITY")
    assert ("EVENTS_DOCKED", "not_enabled") in rows
    assert discover() == [f"EVENTS_DOCKED is no longer delivered ({docked} is gone)"]
    assert "EVENTS_DOCKED" not in tables()


def test_settings_may_name_types_that_have_been_deleted(sandbox, reach, monkeypatch):
    docked = sandbox.portal.define_event("docked", per_day=0.5)
    reach(
        sandbox,
        OBJECT_TYPES=f"deals,cars,{CARS}",
        EXCLUDE_OBJECT_TYPES="notez",
        EVENT_TYPES="e_visited_page",
        EXCLUDE_EVENT_TYPES=docked,
    )
    (before,) = discover()
    assert before.startswith("warning: EXCLUDE_OBJECT_TYPES: found 'notez', which the portal does ")
    assert before.split("; there is ")[1].startswith("note")
    sandbox.portal.remove_event(docked)
    sandbox.portal.remove_type(CARS)
    told = [line for line in discover() if line.startswith("warning: ")]
    assert [line.split(",")[0] for line in told] == [
        "warning: OBJECT_TYPES: found 'cars'",
        f"warning: OBJECT_TYPES: found '{CARS}'",
        "warning: EXCLUDE_OBJECT_TYPES: found 'notez'",
        f"warning: EXCLUDE_EVENT_TYPES: found '{docked}'",
    ]
    assert told[0] in run("export", "--day", DAY, "--select", "OBJECTS_DEALS")[1]
    assert "OBJECTS_DEALS" in tables()
    assert "OBJECTS_CARS" not in tables()
    output = run("check")[1]
    assert "EXCLUDE_OBJECT_TYPES" in output
    monkeypatch.setenv("OBJECT_TYPES", "cars")
    fails(2, "OBJECT_TYPES: found cars, expected names, as ", "export", "--day", DAY)


def test_the_catalog_holds_what_can_be_linked_and_what_happens(sandbox, discovered):
    portal = sandbox.portal
    catalog = place().load()
    pairs = set(catalog.associations)
    assert len(pairs) == len(catalog.associations)
    custom = {each.object_type_id for each in portal.object_types() if each.custom}
    exported = {each.id for each in catalog.object_types}
    planned = {
        (near, far)
        for near in exported
        for far in exported
        if portal.association_definitions(near, far) and {near, far} & custom
    }
    assert {pair for pair in pairs if set(pair) & custom} == planned
    assert {("2-4410002", "2-4410011"), ("2-4410011", "2-4410002")} <= planned
    assert {pair for pair in planned if set(pair) <= custom}
    assert {each.name for each in catalog.event_types} == set(portal.event_types())
    for kind in portal.event_definitions():
        (found,) = (each for each in catalog.event_types if each.name == kind.name)
        assert (found.id, found.object_type_id) == (kind.event_type_id, kind.object_type_id)
        assert found.custom
    switched = {
        each.object_type_id: portal.is_enabled(each)
        for each in portal.object_types()
        if each.needs_activation
    }
    assert {each.id for each in catalog.object_types if not each.enabled} == {
        type_id for type_id, on in switched.items() if not on
    }


@pytest.mark.slow
def test_a_portal_without_enterprise_is_told_so_and_has_the_tables_of_known_events(reach):
    config = PortalConfig(records=20, now=READ_AT, burst=100_000, plan="pro")
    with serve(config) as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="")
        (line,) = discover()
        assert line.startswith("warning: custom event types are unknown: ")
        assert "Enterprise" in line
        assert tables() > E_MAIL_TABLES | {"EVENTS_VISITED_PAGE"}
        materialize(defs(), DAY, TYPES)
    rows = select(folder, TYPES, "TABLENAME, AVAILABILITY")
    assert set(rows) >= {
        ("EVENTS_OPENED_EMAIL_V2", "available"),
        ("EVENTS_VISITED_PAGE", "needs_enterprise"),
        ("OBJECTS_CONTACTS", "available"),
    }


@pytest.mark.samples(1)
@pytest.mark.parametrize(
    ("scopes", "text"),
    [
        (("crm.schemas.custom.read", "crm.objects.custom.read"), "custom object types are unknown"),
        (("behavioral_events.event_definitions.read_write",), "custom event types are unknown"),
    ],
)
def test_what_the_token_may_not_read_is_told_and_the_rest_discovered(reach, scopes, text):
    config = PortalConfig(records=20, now=READ_AT, burst=100_000, without_scopes=frozenset(scopes))
    with serve(config) as sandbox:
        reach(sandbox, OBJECT_TYPES="")
        (line,) = discover()
    assert line.startswith("warning: ")
    assert text in line
    assert scopes[0] in line
    assert {"OBJECTS_CONTACTS", "EVENTS_VISITED_PAGE"} <= tables()


def test_a_catalog_of_another_format_asks_for_a_discovery(sandbox, discovered):
    path = Path(place().url)
    kept = json.loads(path.read_bytes())
    assert kept.pop("discovered_at")
    path.write_text(json.dumps(kept | {"format": 1}))
    with pytest.raises(Exception, match="of another format; run: hubspot-assets discover"):
        tables()
    assert discover() == []
    assert "OBJECTS_CARS" in tables()
    now = json.loads(path.read_bytes())
    assert now.pop("discovered_at")
    assert now == kept


LABELS = [
    *("Owners", "Teams", "Pipelines", "Lists", "Contacts", "Associations", "Properties", "Events"),
    *("Object types", "Event types", "Event definitions", "E-mail events", "Email events"),
    *("Association definitions", "Custom", "Objects", "Definitions"),
    # Two of one name, and one that is called as the second of them would be.
    *("Boats", "Boats", "BOATS", "Boats 2 {second}", "Boats 2 {second}"),
    # What Dagster would make of a path.
    *("Properties: contacts", "Associations: all", "Lists, all", "Events, all", "Custom: boats"),
    # Pairs that come out alike: A to B_TO_C and A_TO_B to C.
    *("Contacts to boats", "Boats to contacts", "Contacts and boats", "Contacts"),
    *("", "?", "Łódź", "船", "лодка", "ß", "2", "_"),
]  # fmt: skip


@pytest.mark.slow
def test_names_never_collide_whatever_types_are_called(sandbox, all_discovered, monkeypatch):
    monkeypatch.setenv("ASSOCIATION_TABLES", "all")
    portal = sandbox.portal
    first = int(portal.define_type("first", "First").partition("-")[2]) + 1
    for number, label in enumerate(LABELS):
        name = label.format(second=first + LABELS.index("Boats") + 1)
        portal.define_type(f"type_{number}", name, name, records=1)
    before = tables()
    assert len(discover()) == len(LABELS) + 1
    loaded = defs()
    dg.Definitions.validate_loadable(loaded)
    loaded.resolve_job_def(JOB)
    new = tables(loaded) - before
    catalog = place().load()
    assert len(catalog.object_types) == sum(name.startswith("OBJECTS_") for name in tables(loaded))
    # Each can be linked to contacts, and so has a table for either direction.
    assert len(new) == 3 * (len(LABELS) + 1)
    assert before <= tables(loaded)


def test_what_a_killed_discovery_left_goes_with_the_next(sandbox, discovered):
    root = discovered / "_state"
    (root / ".guard-catalog.json").write_bytes(b"{half")
    assert discover() == []
    assert {each.name for each in root.iterdir()} == {"catalog.json", "_portal.json"}
    assert CARS in {each.id for each in place().load().object_types}


def linked_now():
    """The pairs of which the catalog knows that records are linked."""
    return set(place().load().linked)


def test_discovery_sees_which_types_are_linked(sandbox, discovered):
    portal = sandbox.portal
    ids = [each.id for each in place().load().object_types]
    planned = {
        (min(pair), max(pair))
        for pair in ((near, far) for near in ids for far in ids)
        if any(True for _ in portal.links(*pair, READ_AT))
    }
    assert linked_now() == planned
    assert ("0-1", "0-3") in planned


def test_a_type_that_may_not_be_read_hides_no_links_of_others(reach):
    lacking = frozenset({"crm.objects.companies.read"})
    config = PortalConfig(records=60, now=READ_AT, burst=100_000, without_scopes=lacking)
    with serve(config) as sandbox:
        reach(sandbox)
        assert run("discover")[0] == 0
        assert ("0-1", "0-3") in linked_now()
        assert not [pair for pair in linked_now() if "0-2" in pair]


def test_what_has_been_seen_linked_is_known_for_good(sandbox, discovered):
    path = Path(place().url)
    before, seen = place().load(), ("0-1", "0-2")
    old = replace(before, linked=tuple(pair for pair in before.linked if pair != seen))
    place().save(old)
    assert place().load() == before, "another one saw it meanwhile"
    path.unlink()
    place().save(old)
    assert place().note_linked([("0-2", "0-1"), ("0-1", "0-3")]) == [("0-2", "0-1")]
    assert place().load() == before
    path.unlink()
    assert place().note_linked([seen]) == [seen]
    assert not path.exists(), "nothing is noted before a portal was discovered"
    other = replace(old, portal_id=1, linked=())
    place().save(other)
    assert place().save(before) == before
    assert place().save(other).linked == ()
