"""Readings that were written by hand, and what is left of them."""

import io
from datetime import UTC, datetime

import orjson
import polars as pl
import pytest

from hubspot_assets.forget.forgetting import Places, forget, lines
from hubspot_assets.forget.people import People, Types
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.sources.flatten import RECORDS_SCHEMA, VALUES_SCHEMA, with_columns_of
from hubspot_assets.storage import open_store
from hubspot_assets.storage.folder import _UNFINISHED

TOLD = {"id": pl.Int64(), "name": pl.String(), "value": pl.String(), "sourceLabel": pl.String()}
NAME = "20261123T013000000000Z-a1b2c3"
MOMENT = datetime(2026, 11, 20, tzinfo=UTC).replace(tzinfo=None)
TYPES = Types.of(standard_catalog())


@pytest.fixture
def places(tmp_path):
    return Places(open_store(tmp_path / "export"), open_store(tmp_path / "state"), TYPES, {})


def put(places, source, note="_reading.json", **frames):
    """Puts a reading of one chunk."""
    for name, frame in frames.items():
        packed = io.BytesIO()
        frame.write_parquet(packed)
        places.state.put(f"readings/{source}/{NAME}/00000.{name}.parquet", packed.getvalue())
    places.state.put(f"readings/{source}/{NAME}/{note}", b"{}")


def put_records(places, type_id, values, **more):
    """Puts a reading of records: id, property, value and where it is from."""
    told = pl.DataFrame(values, schema=TOLD, orient="row").with_columns(
        timestamp=pl.lit(MOMENT, pl.Datetime("ms"))
    )
    records = told.select("id").unique().sort("id")
    put(
        places,
        f"objects/{type_id}",
        records=with_columns_of(records, RECORDS_SCHEMA),
        values=with_columns_of(told, VALUES_SCHEMA),
        **more,
    )


def values(places, type_id):
    """What is left, as it was put."""
    data = places.state.get(f"readings/objects/{type_id}/{NAME}/00000.values.parquet")
    return pl.read_parquet(data).select("id", "name", "value", "sourceLabel").rows()


CONTACTS = [
    (1, "email", "ada@x.com", None),
    (1, "firstname", "Ada", None),
    (1, "lastname", "Byron", None),
    (1, "hs_additional_emails", "a.b@x.com;both@x.com", None),
    (2, "email", "bo@x.com", None),
    (2, "firstname", "Bo", None),
    (2, "hs_additional_emails", "both@x.com", None),
]
DEALS = [
    (7, "dealname", "For Ada Byron", "Ada Byron"),
    (7, "description", "by both@x.com and a.b@x.com", None),
    (8, "dealname", "For Bo", None),
]


def people(*ids):
    return People.told([("0-1", each) for each in ids], (), TYPES.names)


def test_what_refers_to_them_goes_and_what_refers_to_another_as_well_stays(places):
    put_records(places, "0-1", CONTACTS)
    put_records(places, "0-3", DEALS)
    report = forget(places, people(1), redact=True)
    assert values(places, "0-1") == CONTACTS[4:]
    assert values(places, "0-3") == [
        (7, "dealname", "For [forgotten]", "[forgotten]"),
        (7, "description", "by both@x.com and [forgotten]", None),
        DEALS[2],
    ]
    assert report.readings.cells == 3
    assert report.readings.references == {
        "objects/0-1 hs_additional_emails": 1,
        "objects/0-3 description": 1,
    }
    assert "redacted 0 cells of others in tables, 3 in readings" in [*lines(report, dry_run=False)]
    assert "forgotten" in orjson.loads(
        places.state.get(f"readings/objects/0-3/{NAME}/_reading.json")
    )


def test_a_name_that_another_contact_has_stays(places):
    same = [(2, "firstname", "Ada", None), (2, "lastname", "Byron", None)]
    put_records(places, "0-1", [*CONTACTS[:3], *same])
    put_records(places, "0-3", DEALS)
    report = forget(places, people(1), redact=True)
    assert values(places, "0-3") == DEALS
    assert report.readings.references == {"objects/0-3 dealname": 1}


def test_who_was_called_so_before_does_not_have_the_name(places):
    former = [
        (2, "firstname", "Ada", None), (2, "firstname", "Bo", None), (2, "lastname", "Byron", None)
    ]  # fmt: skip
    put_records(places, "0-1", [*CONTACTS[:3], *former])
    put_records(places, "0-3", DEALS)
    forget(places, people(1), redact=True)
    assert values(places, "0-3")[0] == (7, "dealname", "For [forgotten]", "[forgotten]")


def test_without_the_option_all_is_counted_and_nothing_changes(places):
    put_records(places, "0-1", CONTACTS)
    put_records(places, "0-3", DEALS)
    items = pl.DataFrame({"item": ['{"email":"ADA@x.com"}', '{"email":"bo@x.com"}']})
    put(places, "owners", items=items)
    report = forget(places, people(1))
    assert values(places, "0-3") == DEALS
    assert report.readings.cells == 0
    assert report.readings.references == {
        "objects/0-1 hs_additional_emails": 1,
        "objects/0-3 dealname": 1,
        "objects/0-3 description": 1,
        "owners": 1,
    }


def test_an_owner_of_the_address_is_redacted(places):
    put_records(places, "0-1", CONTACTS)
    put(places, "owners", items=pl.DataFrame({"item": ['{"email":"ADA@x.com"}']}))
    forget(places, people(1), redact=True)
    left = places.state.get(f"readings/owners/{NAME}/00000.items.parquet")
    assert pl.read_parquet(left)["item"].to_list() == ['{"email":"[forgotten]"}']


@pytest.mark.parametrize("redact", [False, True])
def test_a_reading_under_way_that_refers_to_them_is_given_up_where_that_goes(places, redact):
    put_records(places, "0-1", CONTACTS)
    put_records(places, "0-3", DEALS, note="_checkpoint.json")
    report = forget(places, people(1), redact=redact)
    assert report.readings.given_up == redact
    assert bool(list(places.state.list("readings/objects/0-3"))) != redact
    assert ("objects/0-3 dealname" in report.readings.references) != redact


def test_the_frame_by_which_they_are_found_is_put_last(places, monkeypatch):
    put_records(places, "0-1", CONTACTS)
    event = pl.DataFrame(
        {"event": [1], "occurredAt": [MOMENT], "objectType": ["CONTACT"], "objectId": [1]}
    )
    told = pl.DataFrame({"event": [1], "name": ["hs_recipient"], "value": ["ada@x.com"]})
    for source in ("events/4-1", "email_events"):
        put(places, source, events=event, values=told)
    paths = []
    kind = type(places.state)
    real = kind.put

    def noting(self, path, *args, **kwargs):
        paths.append(path)
        real(self, path, *args, **kwargs)

    monkeypatch.setattr(kind, "put", noting)
    forget(places, people(1))
    files = [path.split("/") for path in paths if path.endswith(".parquet")]
    put_frames = [(source, file.split(".")[1]) for _, source, *_, file in files]
    last = dict(put_frames)
    assert last == {"objects": "records", "events": "events", "email_events": "values"}
    assert len(put_frames) == 6


def test_what_a_complete_reading_does_not_count_on_goes(places):
    put_records(places, "0-1", CONTACTS)
    folder = f"readings/objects/0-1/{NAME}"
    left = f"{folder}/00001.values.parquet"
    places.state.put(left, places.state.get(f"{folder}/00000.values.parquet"))
    forget(places, people(1))
    assert not places.state.exists(left)
    assert values(places, "0-1") == CONTACTS[4:]


@pytest.mark.parametrize("dry_run", [False, True])
def test_half_written_files_go_too(places, tmp_path, dry_run):
    put_records(places, "0-1", CONTACTS)
    places.store.put("2026-11-22/OBJECTS/_manifest.json.old", b"")
    places.store.put("parquet/OBJECTS/day=2026-11-22/part-00000.parquet.old", b"")
    folders = [
        tmp_path / "state/readings/objects/0-1",
        tmp_path / "export/2026-11-22/OBJECTS",
        tmp_path / "export/parquet/OBJECTS/day=2026-11-22",
    ]
    left = [folder / f"{_UNFINISHED}x" for folder in folders]
    for each in left:
        each.write_text("ada@x.com")
    forget(places, people(1), dry_run=dry_run)
    assert [each.exists() for each in left] == [dry_run] * 3


LONG = "9" * 19


def forgotten_of(places, *ids, emails=()):
    """Who is forgotten where some contacts are asked for, as it is noted: ids by type."""
    noted = []
    kind = type(places.state)
    real = kind.put

    def noting(self, path, content, **kwargs):
        noted.extend([orjson.loads(content)["people"]] if path.endswith("request.json") else [])
        real(self, path, content, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "put", noting)
        forget(places, people(*ids) | People.told((), emails))
    return noted[0]


def test_records_that_were_merged_into_theirs_are_theirs_however_far_back(places):
    values = [
        (1, "hs_merged_object_ids", f"4;{LONG}", None),
        (4, "hs_merged_object_ids", "5", None),
        (6, "email", "x@x.com", None),
    ]
    put_records(places, "0-1", values)
    path = f"readings/objects/0-1/{NAME}/00000.records.parquet"
    records = pl.read_parquet(places.state.get(path))
    into = pl.when(pl.col("id") == 6).then(4).cast(pl.Int64)
    packed = io.BytesIO()
    records.with_columns(mergedInto=into).write_parquet(packed)
    places.state.put(path, packed.getvalue())
    assert forgotten_of(places, 1)["ids"] == {"0-1": [1, 4, 5, 6]}


def test_a_contact_that_has_the_address_is_forgotten_and_one_that_had_it_is_not(places):
    former = [(3, "email", "ada@x.com", None), (3, "email", "cy@x.com", None)]
    put_records(places, "0-1", [*CONTACTS, *former])
    noted = forgotten_of(places, emails=["ada@x.com"])
    assert noted["ids"] == {"0-1": [1]}
    assert noted["emails"] == ["a.b@x.com", "ada@x.com"]


def test_an_address_that_is_asked_for_is_theirs_whoever_has_it(places):
    put_records(places, "0-1", CONTACTS)
    noted = forgotten_of(places, emails=["both@x.com"])
    assert noted["ids"] == {"0-1": [1, 2]}
    assert noted["emails"] == ["a.b@x.com", "ada@x.com", "bo@x.com", "both@x.com"]


def test_submissions_are_theirs_by_address_and_by_link(places):
    put_records(places, "0-1", CONTACTS)
    put_records(
        places,
        "0-15",
        [
            (51, "values", '[{"name":"email","value":"Ada@x.com"}]', None),
            (52, "values", '[{"name":"email","value":"bo@x.com"}]', None),
            (53, "values", "[]", None),
        ],
    )
    links = pl.DataFrame({"fromId": [1, 2], "toId": [53, 52]})
    refused = pl.DataFrame(schema={"id": pl.String})
    backward = links.select(fromId="toId", toId="fromId")
    put(places, "associations/0-1_0-15", forward=links, backward=backward, refused=refused)
    assert forgotten_of(places, 1)["ids"]["0-15"] == [51, 53]
    assert [each for each, *_ in values(places, "0-15")] == [52]


@pytest.mark.parametrize(
    ("left", "goes"), [({}, False), ({"after": "2"}, False), ({"after": "1"}, True)]
)
def test_a_reading_under_way_goes_where_its_checkpoint_tells_of_them(places, left, goes):
    put_records(places, "0-1", CONTACTS[4:], note="_checkpoint.json")
    note = f"readings/objects/0-1/{NAME}/_checkpoint.json"
    places.state.put(note, orjson.dumps(left))
    assert forget(places, people(1)).readings.given_up == goes
    assert places.state.exists(note) != goes


def test_a_torn_reading_under_way_goes_and_its_checkpoint_first(places, monkeypatch):
    put_records(places, "0-1", CONTACTS[4:], note="_checkpoint.json")
    folder = f"readings/objects/0-1/{NAME}"
    places.state.put(f"{folder}/00001.values.parquet", b"half a chunk")
    gone = []
    kind = type(places.state)
    real = kind.delete

    def noting(self, paths, **kwargs):
        paths = list(paths)
        gone.extend(path for path in paths if path.startswith("readings/"))
        real(self, paths, **kwargs)

    monkeypatch.setattr(kind, "delete", noting)
    assert forget(places, people(1)).readings.given_up == 1
    assert gone[0] == f"{folder}/_checkpoint.json"
    assert len(gone) == 4
    assert not list(places.state.list(folder))


def test_the_note_of_a_reading_tells_of_each_time_once(places):
    put_records(places, "0-1", CONTACTS)
    for each in (1, 2):
        forget(places, people(each))
    note = orjson.loads(places.state.get(f"readings/objects/0-1/{NAME}/_reading.json"))
    assert len({each["run"] for each in note["forgotten"]}) == len(note["forgotten"]) == 2
