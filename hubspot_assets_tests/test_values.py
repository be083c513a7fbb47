"""Values that HubSpot tells in odd forms, changed on the wire, delivered and read back."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import duckdb
import httpx
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, END, FEW_EVENTS, READ_AT, set_environment

DEALS = "0-3"
RECORDS = 450
PROPERTIES, WHOLE = "OBJECT_PROPERTIES", "OBJECT_WITH_OBJECT_PROPERTIES"
TABLES = (
    "OBJECTS",
    "OBJECTS_DEALS",
    "OBJECT_PROPERTIES",
    "OBJECT_PROPERTIES_HISTORY",
    "OBJECT_WITH_OBJECT_PROPERTIES",
    "PROPERTY_DEFINITIONS",
    "PIPELINES",
    "PIPELINE_STAGES",
    "OWNERS",
    "OWNER_TEAM",
    "OBJECTS_FORMS",
)
#: What follows stands in an answer as it is, without quotes.
RAW = "raw "
#: Properties of stages that the list of properties leaves out: type, and value of a deal.
UNLISTED = {
    "hs_v2_date_entered_closedwon": ("datetime", "2026-10-05T08:00:00.000Z"),
    "hs_v2_date_exited_81001": ("datetime", "2026-10-05T08:00:00.000Z"),
    "hs_v2_latest_time_in_81001": ("number", "1330124"),
    "hs_v2_cumulative_time_in_81001": ("number", "1330124.5"),
}
#: One that no deal has a value of.
UNSEEN = "hs_v2_date_entered_closedlost"
ODD = {"odd_number": "number", "odd_date": "date", "odd_datetime": "datetime", "odd_json": "json",
       "odd_text": "string"}  # fmt: skip
#: Numbers as told, and as the export writes them: None for those that are none.
NUMBERS = {
    "67340.0": "67340.0",
    "1.50": "1.50",
    "-0": "-0",
    "007": "007",
    " 7 ": "7",
    "1e3": "1000",
    "1.0E7": "10000000",
    "1e-7": "0.0000001",
    "+7": "7",
    "5.": "5",
    ".5": "0.5",
    "-.5": "-0.5",
    "9" * 38: "9" * 38,
    "-1." + "9" * 37: "-1." + "9" * 37,
    "9" * 45: None,
    "1e38": None,
    "1e400": None,
    "1e99999999999999999999": None,
    "\u0661\u0662\u0663": None,
    "\uff11\uff12\uff13": None,
    "1_000": None,
    "12;34": None,
    "NaN": None,
    RAW + "12345678901234567890123": "12345678901234567890123",
    RAW + "1.10": "1.10",
    RAW + "-5": "-5",
    RAW + "0": "0",
}
#: Values of datetime properties, and the moments they are.
MOMENTS = {
    "2022-02-23T09:27:45.123Z": "2022-02-23 09:27:45.123",
    "2022-02-23T09:27:45Z": "2022-02-23 09:27:45.000",
    "2022-02-23T11:27:45.123456789+02:00": "2022-02-23 09:27:45.123",
    "2022-02-23T09:27:45+00:00 ": "2022-02-23 09:27:45.000",
    "1970-01-20T01:06:48.465Z": "1970-01-20 01:06:48.465",
    "1645608465000": "2022-02-23 09:27:45.000",
    RAW + "1645608465000": "2022-02-23 09:27:45.000",
    "-86400000": "1969-12-31 00:00:00.000",
    "1645608465": None,
    RAW + "1645608465": None,
    "20220223": None,
    "1645608465000.0": None,
    RAW + "1.6456E12": None,
    "99999999999999999": None,
    "soon": None,
}
DATES = {
    "2022-02-23": "2022-02-23",
    "1970-06-15": "1970-06-15",
    "14256000000": "1970-06-15",
    "1645574400000": "2022-02-23",
    "1645574400": None,
    "20220223": None,
}
RAW_OBJECT = RAW + '{"b":1.10,"a":[12345678901234567890123,1e400]}'
#: Values of json properties: those that are JSON stay as they are.
DOCUMENTS = {
    '{"b": 1.10, "a": [12345678901234567890123]}': True,
    '{"b":1, "b":2}': True,
    "{'b': 1}": False,
    RAW_OBJECT: True,
}  # fmt: skip
#: Texts as told, and as the export writes them.
TEXTS = {
    "cut \ud83d end": "cut \ufffd end",
    "\udd00": "\ufffd",
    "a\0b": "a\ufffdb",
    RAW + '"bytes \xed\xa0\xbd"': "bytes \ufffd",
    RAW + '"latin \xe9"': "latin \ufffd",
    "fine \U0001f600 \ufffd": "fine \U0001f600 \ufffd",
    RAW + "true": "true",
    RAW + "false": "false",
    RAW + '["x", 1.10]': '["x",1.10]',
    RAW + '{"b": null, "a": "\\u0000"}': '{"a":"\ufffd","b":null}',
}
TEAMS = [{"id": "9", "name": "Told twice", "primary": primary} for primary in (True, False)]
FORM = {
    "oddNumber": RAW + "1.10",
    "bigNumber": RAW + "12345678901234567890123",
    "configuration": {"b": RAW + "1.10", "a": RAW + "12345678901234567890123"},
    "publishedAt": 1_645_608_465,
}
CASES: dict[str, dict[str, Any]] = {
    "odd_number": NUMBERS,
    "odd_datetime": MOMENTS,
    "odd_date": DATES,
    "odd_json": DOCUMENTS,
    "odd_text": TEXTS,
}


def on_the_wire(body):
    """JSON as bytes; text that begins with RAW as it is, its characters being bytes."""
    text = json.dumps(body)
    for told in (told for cases in CASES.values() for told in cases if told.startswith(RAW)):
        text = text.replace(json.dumps(told), told.removeprefix(RAW))
    return text.encode("latin-1")


class Changed:
    """What is changed of a portal's answers, and which deal has which oddity."""

    def __init__(self, portal):
        self.ids = list(map(str, portal.live_ids(DEALS, END)))
        self.cases = {n: dict(zip(cases, self.ids, strict=False)) for n, cases in CASES.items()}
        rest = iter(self.ids[max(map(len, CASES.values())) :])
        self.dateless, self.undated, self.bare, self.again, self.archived, self.numeric = (
            next(rest) for _ in range(6)
        )
        self.owner = None
        self.odd_entries, self.staged = next(rest), next(rest)
        self.no_objects, self.no_histories, self.no_values = (next(rest) for _ in range(3))

    def __call__(self, request, body):
        """Changes the body of an answer."""
        path = request.url.path
        if path.endswith("/properties/2026-09/0-3"):
            told = [each for each in body["results"] if each["name"] not in {*UNLISTED, UNSEEN}]
            if told and not told[0].get("archived"):
                told += [
                    {"name": name, "label": name, "type": kind, "fieldType": "text"}
                    for name, kind in ODD.items()
                ]
            body["results"] = told
        elif path.endswith("/objects/2026-09/0-3/batch/read"):
            for record in body["results"]:
                for told in (record["properties"], record["propertiesWithHistory"]):
                    told.pop(UNSEEN, None)
                self.record(record)
                if record["id"] == self.staged:
                    asked = json.loads(request.content)["propertiesWithHistory"]
                    of_stages = {name: value for name, (_, value) in UNLISTED.items()}
                    record["properties"] |= {n: v for n, v in of_stages.items() if n in asked}
        elif path.endswith("/objects/2026-09/0-3") and "paging" not in body:
            # The first pages have had these; all pages of ids are read as batches.
            body["results"] += [{"id": self.again, "properties": {}, "archived": False}]
        elif path.endswith("/pipelines/2026-09/0-3"):
            first, second = body["results"]
            body["results"].append(first | {"label": "Told last"})
            second |= {"createdAt": 1_645_608_465, "updatedAt": 1_645_608_465_000}
            second |= {"displayOrder": "1.0", "label": 5}
            second["stages"][0]["metadata"] = {"probability": RAW + "1.10", "a": "cut \ud83d"}
        elif "/owners/" in path:
            live = [each for each in body["results"] if not each["archived"]]
            self.owner = self.owner or live[0] | {"lastName": "Told last", "teams": TEAMS}
            if "archived=true" in str(request.url):
                body["results"].append(self.owner)
        elif "/forms" in path and body["results"]:
            body["results"][0] |= FORM

    def record(self, record):
        for name, cases in self.cases.items():
            for told, deal in cases.items():
                if record["id"] == deal:
                    record["properties"][name] = told
        histories = record["propertiesWithHistory"]
        match record["id"]:
            case self.dateless:
                del record["createdAt"], record["updatedAt"]
            case self.undated:
                record["createdAt"], record["updatedAt"] = "in spring", "lately"
            case self.numeric:
                for name in ("createdAt", "updatedAt"):
                    moment = datetime.fromisoformat(record[name])
                    record[name] = int(moment.timestamp() * 1000)
                for entry in histories["dealname"]:
                    moment = datetime.fromisoformat(entry["timestamp"])
                    entry["timestamp"] = int(moment.timestamp() * 1000)
                    entry["updatedByUserId"] = "77"
            case self.bare:
                record["properties"] = record["propertiesWithHistory"] = None
            case self.archived:
                record["archived"] = True
            case self.no_objects:
                histories["dealname"] = [None, "a string", *histories["dealname"], ["a list"], 5]
                histories["amount"] = "no list"
                histories["dealstage"] = {"0": {"value": "an object"}}
            case self.no_histories:
                record["propertiesWithHistory"] = "none"
            case self.no_values:
                record["properties"] = ["none"]
            case self.odd_entries:
                entry = {"sourceType": "API", "sourceId": 5}
                histories["dealname"] = [
                    entry | {"value": "newest", "timestamp": "2026-11-01T00:00:00Z"},
                    entry | {"timestamp": "2026-10-03T00:00:00.000000001Z"},
                    entry | {"value": "no time"},
                    entry | {"value": RAW + "1.10", "timestamp": "2026-10-01T00:00:00+00:00"},
                    entry | {"value": "out of order", "timestamp": "2026-10-02T00:00:00Z"},
                ]
                record["properties"]["dealname"] = "newest"


def through(change):
    """A transport's `handle_request` that lets `change` edit what is answered."""
    send = httpx.HTTPTransport.handle_request

    def handle(self, request):
        answer = send(self, request)
        content = answer.read()
        if answer.is_success and content:
            body = json.loads(content)
            change(request, body)
            content = on_the_wire(body)
        return httpx.Response(answer.status_code, content=content)

    return handle


class Day:
    """A delivered day, what was changed of the answers and what was planned."""

    def __init__(self, folder, changed, portal):
        self.folder, self.changed, self.portal = folder, changed, portal

    def rows(self, table):
        """The rows of a table, text by column; NULL is None."""
        found = duckdb.sql(
            f"FROM read_csv('{self.folder}/{table}/**/*.csv.gz', header=true, all_varchar=true, "
            "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"', "
            "max_line_size=10000000)"
        )
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

    def manifest(self, table):
        return json.loads((self.folder / table / "_manifest.json").read_text())

    def counts(self, table):
        """What the manifest counts, but for zeros."""
        return +Counter(self.manifest(table)["counts"])

    def of(self, table, deal):
        """The rows of a deal."""
        return [row for row in self.rows(table) if row["OBJECTID"] == deal]

    def cells(self, table, column, name):
        """The cells of the deals with an oddity, by what was told; in rows of `name`, if they are
        of a property each."""
        rows = [row for row in self.rows(table) if row.get("NAME") in (None, name)]
        by_deal = {row["OBJECTID"]: row[column] for row in rows}
        return {told: by_deal[deal] for told, deal in self.changed.cases[name].items()}


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    config = PortalConfig(records=RECORDS, now=READ_AT, burst=100_000)
    with serve(config) as sandbox, pytest.MonkeyPatch.context() as patch:
        changed = Changed(sandbox.portal)
        root = tmp_path_factory.mktemp("values")
        folder = set_environment(
            patch, sandbox, root, OBJECT_TYPES="deals,forms", EVENT_TYPES=FEW_EVENTS
        )
        patch.setattr(httpx.HTTPTransport, "handle_request", through(changed))
        deliver(load_settings(), DAY, TABLES, Display())
        yield Day(folder / DAY, changed, sandbox.portal)


def test_numbers_are_plain_digits_or_null(day):
    assert day.cells("OBJECTS_DEALS", "PROPERTY_ODD_NUMBER", "odd_number") == NUMBERS
    told = {each: each.removeprefix(RAW) for each in NUMBERS}
    assert day.cells("OBJECTS_DEALS", "PROPERTY_UNPARSED_ODD_NUMBER", "odd_number") == told
    assert day.cells("OBJECT_PROPERTIES", "VALUE", "odd_number") == told


def test_moments_are_read_in_the_forms_that_hubspot_has(day):
    assert day.cells("OBJECTS_DEALS", "PROPERTY_ODD_DATETIME", "odd_datetime") == MOMENTS
    assert day.cells("OBJECTS_DEALS", "PROPERTY_ODD_DATE", "odd_date") == DATES


def test_moments_that_are_none_stay_as_they_were_told(day):
    raw = day.cells("OBJECT_PROPERTIES", "VALUE", "odd_datetime")
    for told, moment in MOMENTS.items():
        if moment:
            at = datetime.fromisoformat(f"{moment}+00:00")
            assert raw[told] == str(round(at.timestamp() * 1000))
        else:
            assert raw[told] == told.removeprefix(RAW)
    assert day.cells("OBJECT_PROPERTIES", "VALUE", "odd_date")["14256000000"] == "14256000000"


def test_json_stays_as_it_was_told(day):
    found = day.cells("OBJECTS_DEALS", "PROPERTY_ODD_JSON", "odd_json")
    ours = '{"a":[12345678901234567890123,1e400],"b":1.10}'
    for told, valid in DOCUMENTS.items():
        # What is no text, but an object, is text of ours.
        assert found[told] == ((ours if told == RAW_OBJECT else told) if valid else None)


def test_texts_have_no_character_that_no_warehouse_takes(day):
    assert day.cells("OBJECTS_DEALS", "PROPERTY_ODD_TEXT", "odd_text") == TEXTS
    assert day.cells("OBJECT_PROPERTIES", "VALUE", "odd_text") == TEXTS
    documents = {row["OBJECTID"]: row["PROPERTIES"] for row in day.rows(WHOLE)}
    for told, deal in day.changed.cases["odd_text"].items():
        assert json.loads(documents[deal])["odd_text"] == TEXTS[told]


def test_what_could_not_be_read_is_counted(day):
    counts = day.counts("OBJECTS_DEALS")
    kinds = {
        row["NAME"]: row["TYPE"]
        for row in day.rows("PROPERTY_DEFINITIONS")
        if row["OBJECTTYPEID"] == DEALS and row["ARCHIVED"] == "false"
    }
    typed = {row["OBJECTID"]: row for row in day.rows("OBJECTS_DEALS")}
    lost = Counter(
        row["NAME"]
        for row in day.rows("OBJECT_PROPERTIES")
        if row["OBJECTTYPEID"] == DEALS
        and kinds[row["NAME"]] in {"number", "bool", "date", "datetime", "json"}
        and typed[row["OBJECTID"]][f"PROPERTY_{row['NAME'].upper()}"] is None
    )
    for name, cases in {"odd_number": NUMBERS, "odd_datetime": MOMENTS, "odd_date": DATES}.items():
        assert lost[name] == list(cases.values()).count(None)
    assert counts["values_not_parsed"] == lost.total()
    assert counts["values_unwritable"] == len(TEXTS) - 4
    warnings = day.manifest("OBJECT_PROPERTIES")["warnings"]
    assert any("U+FFFD" in each for each in warnings)


def test_a_record_that_does_not_tell_its_dates_is_there(day):
    [row] = day.of("OBJECTS", day.changed.undated)
    assert row["UPDATEDAT"] is None
    assert day.of("OBJECT_PROPERTIES", day.changed.undated)
    # Both of its dates, and the moment that an entry of a history lacks.
    assert day.counts("OBJECTS")["moments_unread"] == 3
    # The modified date is a property, too.
    [row] = day.of("OBJECTS_DEALS", day.changed.dateless)
    assert row["UPDATEDAT"] == row["PROPERTY_HS_LASTMODIFIEDDATE"]
    assert row["UPDATEDAT"]


def test_a_record_that_tells_its_dates_as_numbers_is_as_any_other(day):
    [row] = day.of("OBJECTS", day.changed.numeric)
    assert row["UPDATEDAT"] > "2020"
    history = [
        row
        for row in day.of("OBJECT_PROPERTIES_HISTORY", day.changed.numeric)
        if row["NAME"] == "dealname"
    ]
    assert history
    assert {row["UPDATEDBYUSERID"] for row in history} == {"77"}
    assert all(row["UPDATEDAT"] > "2020" for row in history)


def test_a_record_without_properties_is_there(day):
    assert len(day.of("OBJECTS_DEALS", day.changed.bare)) == 1
    assert day.of("OBJECT_PROPERTIES", day.changed.bare) == []


def test_entries_of_a_history_are_put_in_order_and_counted_where_they_say_too_little(day):
    rows = [
        row
        for row in day.of("OBJECT_PROPERTIES_HISTORY", day.changed.odd_entries)
        if row["NAME"] == "dealname"
    ]
    assert [(row["UPDATEDAT"], row["VALUE"], row["SOURCEID"]) for row in rows] == [
        ("2026-10-01 00:00:00.000", "1.10", "5"),
        ("2026-10-02 00:00:00.000", "out of order", "5"),
        ("2026-10-03 00:00:00.000", None, "5"),
        ("2026-11-01 00:00:00.000", "newest", "5"),
    ]
    counts = day.counts("OBJECT_PROPERTIES_HISTORY")
    assert counts["values_untold"] == 1
    [name] = [
        row["VALUE"]
        for row in day.of("OBJECT_PROPERTIES", day.changed.odd_entries)
        if row["NAME"] == "dealname"
    ]
    assert name == "newest"


def test_what_is_no_entry_of_a_history_costs_itself_alone(day):
    planned = day.portal.record(DEALS, int(day.changed.no_objects), END)
    rows = day.of("OBJECT_PROPERTIES_HISTORY", day.changed.no_objects)
    entries = Counter(row["NAME"] for row in rows)
    assert entries["dealname"] == len(planned.histories["dealname"]) > 0
    raw = {row["NAME"]: row["VALUE"] for row in day.of(PROPERTIES, day.changed.no_objects)}
    for name in ("dealname", "amount", "dealstage"):
        assert raw[name] == planned.properties[name]
    raw = {row["NAME"]: row["VALUE"] for row in day.of(PROPERTIES, day.changed.no_histories)}
    planned = day.portal.record(DEALS, int(day.changed.no_histories), READ_AT)
    assert raw["dealname"] == planned.properties["dealname"]
    assert day.of("OBJECTS_DEALS", day.changed.no_values)
    # Four entries, two histories, all of a record's histories, all of its values.
    assert day.counts("OBJECTS_DEALS")["history_entries_unread"] == 8
    warnings = day.manifest("OBJECT_PROPERTIES")["warnings"]
    assert any(
        each.startswith("8 histories, or entries of them, were told in") for each in warnings
    )


def test_a_record_told_twice_is_there_once_and_an_archived_one_is_not(day):
    ids = [row["OBJECTID"] for row in day.rows("OBJECTS_DEALS")]
    live = sorted(set(day.changed.ids) - {day.changed.archived}, key=int)
    assert ids == live
    counts = day.counts("OBJECTS")
    assert counts["told_twice"] == 1
    assert counts["records_archived_among_live"] == 1


def test_properties_of_stages_that_the_list_leaves_out_are_delivered(day):
    [row] = day.of("OBJECTS_DEALS", day.changed.staged)
    assert row["PROPERTY_HS_V2_DATE_ENTERED_CLOSEDWON"] == "2026-10-05 08:00:00.000"
    assert row["PROPERTY_HS_V2_DATE_EXITED_81001"] == "2026-10-05 08:00:00.000"
    assert row["PROPERTY_HS_V2_LATEST_TIME_IN_81001"] == "1330124"
    assert row["PROPERTY_HS_V2_CUMULATIVE_TIME_IN_81001"] == "1330124.5"
    assert f"PROPERTY_{UNSEEN.upper()}" not in row
    kinds = {row["NAME"]: row["TYPE"] for row in day.rows("PROPERTY_DEFINITIONS")}
    assert {name: kinds.get(name) for name in UNLISTED} == {
        name: kind for name, (kind, _) in UNLISTED.items()
    }
    assert UNSEEN not in kinds
    raw = {row["NAME"]: row["VALUE"] for row in day.of("OBJECT_PROPERTIES", day.changed.staged)}
    assert raw["hs_v2_date_entered_closedwon"] == "1791187200000"


def test_a_pipeline_is_as_it_was_told_last_and_read_where_it_is_clear(day):
    second, first = day.rows("PIPELINES")
    assert first["LABEL"] == "Told last"
    told = {name: second[name] for name in ("LABEL", "DISPLAYORDER", "CREATEDAT", "UPDATEDAT")}
    assert told == {
        "LABEL": "5",
        "DISPLAYORDER": "1",
        "CREATEDAT": None,
        "UPDATEDAT": "2022-02-23 09:27:45.000",
    }
    counts = day.counts("PIPELINES")
    assert counts == {"told_twice": 1, "moments_unread": 1, "values_unwritable": 1}
    stages = [r for r in day.rows("PIPELINE_STAGES") if r["PIPELINEID"] == second["PIPELINEID"]]
    assert '{"a":"cut \ufffd","probability":1.10}' in {row["METADATA"] for row in stages}


def test_an_owner_among_the_archived_is_live_and_there_once(day):
    [row] = [row for row in day.rows("OWNERS") if row["OWNERID"] == day.changed.owner["id"]]
    assert (row["LASTNAME"], row["ARCHIVED"]) == ("Told last", "false")
    assert day.counts("OWNERS") == {"told_twice": 1}
    teams = [row for row in day.rows("OWNER_TEAM") if row["OWNERID"] == day.changed.owner["id"]]
    assert [(row["TEAMID"], row["ISTEAMPRIMARY"]) for row in teams] == [("9", "false")]
    assert day.counts("OWNER_TEAM") == {"told_twice": 2}


def test_numbers_of_other_apis_stay_as_they_were_told(day):
    [row] = [row for row in day.rows("OBJECTS_FORMS") if row["PROPERTY_ODD_NUMBER"]]
    assert row["PROPERTY_ODD_NUMBER"] == "1.10"
    assert row["PROPERTY_BIG_NUMBER"] == "12345678901234567890123"
    assert row["PROPERTY_CONFIGURATION"] == '{"a":12345678901234567890123,"b":1.10}'
    assert row["PROPERTY_PUBLISHED_AT"] is None
    raw = {r["NAME"]: r["VALUE"] for r in day.of("OBJECT_PROPERTIES", row["OBJECTID"])}
    assert raw["published_at"] == "1645608465"
    assert raw["big_number"] == "12345678901234567890123"
