"""How types, events and properties are called in the export, whatever a portal calls them."""

import json
import re
from dataclasses import replace

import dagster as dg
import duckdb
import pytest

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.deliver import deliver
from hubspot_assets.hubspot.catalog import ObjectType, standard_catalog
from hubspot_assets.hubspot.events import EventType
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets_tests.conftest import DAY, END, READ_AT, set_environment

LONG = "Very long labels of things " * 12  # 324 characters
CUT = "OBJECTS_" + "VERY_LONG_LABELS_OF_THINGS_" * 6 + "VERY_LONG_"  # 180 characters
#: Labels in the order of the types' ids, and the tables that the contract wants.
LABELS = {
    "2-101": ("Pop-Tart & Waffle Leads", "OBJECTS_POP_TART___WAFFLE_LEADS"),
    "2-102": ("船", "OBJECTS_2_102"),
    "2-103": ("🎪 — ?", "OBJECTS_2_103"),
    "2-104": (" ", "OBJECTS_2_104"),
    "2-105": (LONG, f"{CUT}_2_105"),
    "2-106": (LONG, f"{CUT}_2_106"),
    "2-107": ("船" * 300, "OBJECTS_2_107"),
    "2-108": ("船 7", "OBJECTS___7"),
    "2-109": ("_hidden", "OBJECTS__HIDDEN"),
    "2-110": (".Hidden", "OBJECTS__HIDDEN_2_110"),
    "2-111": ("T_hidden", "OBJECTS_T_HIDDEN"),
    # In upper case some letters are two, and a dotless i is one that has no dot.
    "2-112": ("Straßen", "OBJECTS_STRASSEN"),
    "2-113": ("\u0131s\u0131", "OBJECTS_ISI"),
    "2-114": ("İstanbul", "OBJECTS__STANBUL"),
    "2-115": ("ﬁelds", "OBJECTS_FIELDS"),
    "2-116": ("Łódź", "OBJECTS___D_"),
    # As HubSpot's own types and the fixed tables are called.
    "2-117": ("Lists", "OBJECTS_LISTS_2_117"),
    "2-118": ("CONTACTS", "OBJECTS_CONTACTS_2_118"),
    "2-119": ("Properties history", "OBJECTS_PROPERTIES_HISTORY"),
    "2-120": ("2 102", "OBJECTS_2_102_2_120"),
    "2-121": ("x" * 192, "OBJECTS_" + "X" * 192),
    "2-122": ("x" * 193, "OBJECTS_" + "X" * 172 + "_2_122"),
}
#: Events of HubSpot's names, and the tables that the contract wants.
EVENTS = {
    ("pe17_key.interactions — EMEA", "6-1"): "EVENTS_KEY_INTERACTIONS___EMEA",
    ("pe17_船", "6-2"): "EVENTS_6_2",
    ("pe17_" + "a long name " * 20, "6-3"): "EVENTS_" + "A_LONG_NAME_" * 14 + "A_LON_6_3",
    ("ae99_Visited page", "5-4"): "EVENTS_VISITED_PAGE_5_4",
    ("pe17_pe17_twice", "6-5"): "EVENTS_PE17_TWICE",
    ("pe17_" + "no id " * 50, None): "EVENTS_" + "NO_ID_" * 28 + "NO_ID",
}


def custom(type_id, label, singular=None):
    name = f"type_{type_id.partition('-')[2]}"
    return ObjectType(type_id, name, name, f"p17_{name}", singular, label, None, pipelines=True)


def catalog_of(types, events=(), pairs=()):
    standard = standard_catalog()
    return replace(
        standard,
        object_types=(*standard.object_types, *types),
        event_types=(*standard.event_types, *events),
        associations=(*standard.associations, *pairs),
        portal_id=17,
    )


@pytest.fixture(scope="module")
def odd():
    """A catalog of the oddest names, in which every type can be linked to every other one."""
    types = [custom(type_id, label) for type_id, (label, _) in LABELS.items()]
    events = [EventType(name, type_id, custom=True) for name, type_id in EVENTS]
    ids = [*LABELS, "0-1"]
    return catalog_of(types, events, [(near, far) for near in ids for far in ids])


@pytest.fixture(scope="module")
def loaded(odd, shared_sandbox, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("odd")
        set_environment(patch, shared_sandbox, root, ASSOCIATION_TABLES="all")
        return build_defs(odd, Settings())


def tables_in(loaded):
    keys = loaded.resolve_asset_graph().get_all_asset_keys()
    return [key.path[0] for key in keys if len(key.path) == 1]


def test_tables_are_called_by_the_contract(loaded):
    names = tables_in(loaded)
    assert {wanted for _, wanted in LABELS.values()} <= set(names)
    assert set(EVENTS.values()) <= set(names)
    assert {"OBJECTS_CONTACTS", "OBJECTS_LISTS", "EVENTS_VISITED_PAGE"} <= set(names)
    assert len(names) == len(set(names))
    assert not [name for name in names if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)]


def test_no_name_is_too_long_for_a_part_of_a_path(loaded):
    pairs = [name for name in tables_in(loaded) if name.startswith("ASSOCIATIONS_")]
    # Each of 22 types to each and to contacts, and contacts to each.
    assert len([name for name in pairs if "_TO_" in name]) >= 22 * 22 + 2 * 22
    assert "ASSOCIATIONS_CONTACTS_TO_STRASSEN" in pairs
    cut = f"ASSOCIATIONS_{'X' * 167}_2_121_2_122"
    assert (cut in pairs, len(cut)) == (True, 192)
    assert max(map(len, tables_in(loaded))) <= 230


@pytest.mark.slow
def test_dagster_takes_the_oddest_names(loaded):
    dg.Definitions.validate_loadable(loaded)
    steps = loaded.resolve_job_def(JOB).graph.node_dict
    assert not [name for name in steps if not re.fullmatch(r"[A-Za-z0-9_]+", name)]
    paths = [key.path for key in loaded.resolve_asset_graph().get_all_asset_keys()]
    assert ["hubspot", "custom", "t_hidden"] in paths
    assert not [path for path in paths for part in path if not re.fullmatch(r"\w+", part, re.ASCII)]


def test_a_type_without_a_plural_label_is_called_by_its_singular_or_its_name(
    monkeypatch, shared_sandbox, tmp_path
):
    types = [custom("2-1", None, "Inventory"), custom("2-2", None), custom("2-3", "", "Bus")]
    set_environment(monkeypatch, shared_sandbox, tmp_path)
    names = tables_in(build_defs(catalog_of(types), Settings()))
    assert {"OBJECTS_INVENTORYS", "OBJECTS_TYPE_2", "OBJECTS_BUSS"} <= set(names)


#: Names of properties that a typed table could stumble over, with the column that each gets.
PROPERTIES = {
    "OBJECTID": ("number", "PROPERTY_OBJECTID"),
    "id": ("string", "PROPERTY_ID_2"),
    "ID": ("string", "PROPERTY_ID"),
    "Region": ("string", "PROPERTY_REGION"),
    "region": ("number", "PROPERTY_REGION_3"),
    "region_2": ("string", "PROPERTY_REGION_2"),
    "unparsed_objectid": ("string", "PROPERTY_UNPARSED_OBJECTID"),
    "^.*$": ("string", "PROPERTY_^.*$"),
    "*": ("string", "PROPERTY_*"),
    "name": ("string", "PROPERTY_NAME"),
    "e-mail, work": ("string", "PROPERTY_E-MAIL, WORK"),
    "größe": ("string", "PROPERTY_GRÖSSE"),
    "__c": ("string", "PROPERTY___C"),
}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """The day of a portal with odd labels and odd properties, and the ids of its types."""
    config = PortalConfig(records=60, now=READ_AT, burst=100_000, contact_properties=20)
    with serve(config) as sandbox, pytest.MonkeyPatch.context() as patch:
        portal = sandbox.portal
        labels = ("_hidden", "T_hidden", "船", LONG, "Lists", "Plain")
        ids = {
            label: portal.define_type(f"odd_{n}", label, label) for n, label in enumerate(labels)
        }
        plain = portal.properties(ids["Plain"])
        base = next(each for each in plain if each.type == "string" and each.pool)
        odd = [
            replace(base, name=name, label=f"Label of {name}", type=kind, life="fixed", fill=100,
                    pool=(json.dumps(f"{number}" if kind == "number" else f"of {name}").encode(),))
            for number, (name, (kind, _)) in enumerate(PROPERTIES.items(), 100)
        ]  # fmt: skip
        known = [each for each in plain if each.name not in PROPERTIES]
        ordered = sorted([*known, *odd], key=lambda each: each.name)
        portal._properties[ids["Plain"]] = tuple(
            replace(each, number=number) for number, each in enumerate(ordered)
        )
        folder = set_environment(
            patch, sandbox, tmp_path_factory.mktemp("names"),
            OBJECT_TYPES=",".join(["contacts", *ids.values()]), EVENT_TYPES="e_visited_page",
        )  # fmt: skip
        deliver(Settings(), DAY, [], Display())
        live = {label: list(portal.live_ids(type_id, END)) for label, type_id in ids.items()}
        yield folder / DAY, ids, live


def rows(folder, table, columns="*", where="true"):
    return (
        duckdb.connect()
        .sql(
            f"SELECT {columns} FROM read_csv('{folder}/{table}/**/*.csv.gz', header=true, "
            "all_varchar=true, allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', "
            f"escape='\"') WHERE {where}"
        )
        .fetchall()
    )


def manifest(folder, table):
    return json.loads((folder / table / "_manifest.json").read_text())


@pytest.mark.slow
def test_no_sub_folder_is_one_that_readers_pass_over(delivered):
    folder, ids, live = delivered
    for table in ("OBJECTS", "OBJECT_PROPERTIES", "ASSOCIATIONS"):
        folders = {path.parent.name for path in (folder / table).rglob("*.csv.gz")}
        assert not [name for name in folders if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name)]
    folders = {path.parent.name for path in (folder / "OBJECTS").rglob("*.csv.gz")}
    assert {"t_hidden", "t_hidden_2", "contacts", "plain"} < folders
    assert len(folders) == len(ids) + 1
    counted = dict(rows(folder, "OBJECTS", "OBJECTTYPEID, count(*)", "true GROUP BY 1"))
    for label, type_id in ids.items():
        assert counted[type_id] == len(live[label]) > 0
    assert set(manifest(folder, "OBJECTS")["sources"]) == folders
    links = {path.parent.name for path in (folder / "ASSOCIATIONS").rglob("*.csv.gz")}
    assert {"t_hidden_to_contacts", "t_hidden_to_contacts_2", "contacts_to__hidden"} < links


def test_every_property_is_delivered_whatever_it_is_called(delivered):
    folder, _, live = delivered
    told = manifest(folder, "OBJECTS_PLAIN")
    names = [each["name"] for each in told["columns"]]
    assert len(names) == len(set(names))
    (first, *_), count = rows(folder, "OBJECTS_PLAIN"), len(live["Plain"])
    row = dict(zip(names, first, strict=True))
    assert told["rows"] == count > 0
    for number, (name, (kind, column)) in enumerate(PROPERTIES.items(), 100):
        assert row[column] == (f"{number}" if kind == "number" else f"of {name}"), name
    assert row["OBJECTID"] in map(str, live["Plain"])
    assert row["OBJECTID"] == row["PROPERTY_HS_OBJECT_ID"]
    assert row["PROPERTY_UNPARSED_OBJECTID_2"] == row["PROPERTY_OBJECTID"] == "100"
    assert row["PROPERTY_UNPARSED_REGION_3"] == row["PROPERTY_REGION_3"] == "104"


def test_columns_that_another_property_kept_from_their_names_are_told(delivered):
    folder, *_ = delivered
    warnings = manifest(folder, "OBJECTS_PLAIN")["warnings"]
    assert {
        told[1]: told[2]
        for each in warnings
        if (
            told := re.fullmatch(r"the property (.+) is in (.+): another one is called alike", each)
        )
    } == {
        "OBJECTID": "PROPERTY_OBJECTID and PROPERTY_UNPARSED_OBJECTID_2",
        "id": "PROPERTY_ID_2",
        "region": "PROPERTY_REGION_3 and PROPERTY_UNPARSED_REGION_3",
    }
    assert not [each for each in manifest(folder, "OBJECTS__HIDDEN")["warnings"] if "alike" in each]


def test_documents_hold_every_property_whatever_it_is_called(delivered):
    folder, ids, live = delivered
    where = f"OBJECTTYPEID = '{ids['Plain']}'"
    documents = rows(folder, "OBJECT_WITH_OBJECT_PROPERTIES", "PROPERTIES", where)
    assert len(documents) == len(live["Plain"])
    for (text,) in documents:
        assert json.loads(text).keys() >= PROPERTIES.keys()
