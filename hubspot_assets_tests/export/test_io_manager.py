"""Assets hand over their content; the IO manager does the rest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import dagster as dg
import polars as pl
import pytest
from dagster_aws.s3 import S3Resource

from hubspot_assets import __version__
from hubspot_assets.export import io_manager, manifest_path, read_manifest
from hubspot_assets.export.days import complete_day
from hubspot_assets.export.io_manager import of_whole_days
from hubspot_assets.storage import open_store
from hubspot_assets.tables.content import Findings
from hubspot_assets.tables.spec import Column
from hubspot_assets_tests.export.tables import DAY, NOTES, content, notes
from hubspot_assets_tests.stores import REGION

WIDE = replace(NOTES, name="WIDE", wide=True)
DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_offset=10_000)


def spec(table, deps=()):
    asset = dg.AssetSpec(["hubspot", table], partitions_def=DAYS, deps=deps)
    return asset.with_io_manager_key("export")


def asset_of(table, make, tries=0):
    policy = dg.RetryPolicy(max_retries=tries) if tries else None

    @dg.multi_asset(name=table.lower(), specs=[spec(table)], retry_policy=policy)
    def made():
        yield dg.MaterializeResult(value=make())

    return made


def two_notes():
    findings = Findings(counts={"values_unparsed": 3})
    return content(("", [notes(["a secret", "b"])]), findings=findings)


def materialize(assets, url, *, tables=(), s3=None, day=DAY, raising=True):
    manager = of_whole_days(tables)(url=str(url), s3=s3 or S3Resource())
    return dg.materialize(
        assets,
        resources={"export": manager},
        partition_key=day,
        raise_on_error=raising,
        selection=[asset for asset in assets if isinstance(asset, dg.AssetsDefinition)],
    )


def metadata_of(result, table):
    (event,) = result.asset_materializations_for_node(table.lower())
    return {key: value.value for key, value in event.metadata.items()}


def failure_of(result):
    (event,) = result.get_step_failure_events()
    return event.step_failure_data


def test_a_table_and_its_metadata(tmp_path):
    result = materialize([asset_of("NOTES", two_notes)], tmp_path)
    manifest = read_manifest(open_store(tmp_path), DAY, "NOTES")
    assert (manifest.rows, manifest.run_id, manifest.code_version) == (
        2,
        result.run_id,
        __version__,
    )
    metadata = metadata_of(result, "NOTES")
    assert metadata.pop("seconds") >= 0
    assert metadata == {
        "dagster/uri": f"{tmp_path}/{DAY}/NOTES",
        "dagster/row_count": 2,
        "dagster/partition_row_count": 2,
        "dagster/size_bytes": manifest.bytes,
        "parts": 1,
        "manifest": f"{tmp_path}/{DAY}/NOTES/_manifest.json",
        "availability": "available",
        "warnings": len(manifest.warnings),
        "values_unparsed": 3,
    }
    assert "a secret" not in "".join(str(event) for event in result.all_events)


def test_a_wide_table_tells_how_many_properties_have_columns(tmp_path):
    properties = [
        Column(name, "VARCHAR", name)
        for name in ("PROPERTY_A", "PROPERTY_B", "PROPERTY_UNPARSED_B", "PROPERTY_C")
    ]
    wide = WIDE.with_columns(tuple(properties))
    result = materialize([asset_of("WIDE", lambda: content(spec=wide))], tmp_path)
    metadata = metadata_of(result, "WIDE")
    assert metadata["property_columns"] == 3
    assert metadata["values_not_parsed"] == 0  # a plot shows the days without any, too


def test_a_table_with_sub_folders_tells_the_rows_of_each(tmp_path):
    folders = [("few", [notes(["a"])]), ("many", [notes(["a", "b"])]), ("none", [notes([])])]
    result = materialize([asset_of("NOTES", lambda: content(*folders))], tmp_path)
    table = metadata_of(result, "NOTES")["rows_by_folder"]
    told = [tuple(each.data.values()) for each in table.records]
    assert told == [("many", 2), ("few", 1), ("none", 0)]


def test_a_bucket(endpoint, bucket, s3):
    resource = S3Resource(
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    url = f"s3://{bucket}/export"
    result = materialize([asset_of("NOTES", two_notes)], url, s3=resource)
    assert metadata_of(result, "NOTES")["dagster/uri"] == f"{url}/{DAY}/NOTES"
    assert read_manifest(open_store(url, s3), DAY, "NOTES").rows == 2


def test_the_day_is_complete_with_its_last_table(tmp_path):
    wanted = ["NOTES", "WIDE"]
    store = open_store(tmp_path)
    wide = asset_of("WIDE", lambda: content(spec=WIDE))
    materialize([asset_of("NOTES", two_notes)], tmp_path, tables=wanted)
    assert not store.exists(manifest_path(DAY))
    materialize([wide], tmp_path, tables=wanted)
    assert store.exists(manifest_path(DAY))
    materialize([asset_of("NOTES", two_notes)], tmp_path, tables=wanted)
    assert store.exists(manifest_path(DAY))
    materialize([wide], tmp_path, tables=wanted, day="2026-11-21")
    assert not store.exists(manifest_path("2026-11-21"))


def test_a_run_publishes_the_day_once_with_its_last_table(tmp_path, monkeypatch):
    completed = []

    def counted(*arguments, **options):
        completed.append(sorted(path.name for path in (tmp_path / DAY).iterdir()))
        return complete_day(*arguments, **options)

    monkeypatch.setattr(io_manager, "complete_day", counted)
    names = ["AAA", "BBB", "CCC"]

    def run(make):
        specs = [replace(NOTES, name=name) for name in names]
        assets = [
            dg.multi_asset(name=of.name, specs=[spec(of.name)])(partial(make, of)) for of in specs
        ]
        return materialize(assets, tmp_path, tables=names, raising=False)

    def made(of):
        yield dg.MaterializeResult(value=content(spec=of))

    def made_but_the_last(of):
        if of.name == "CCC":
            raise dg.Failure("not this time", allow_retries=False)
        yield from made(of)

    store = open_store(tmp_path)
    assert not run(made_but_the_last).success
    assert not store.exists(manifest_path(DAY))
    assert run(made).success
    assert completed == [["AAA", "BBB"], names]
    assert not run(made_but_the_last).success
    assert store.exists(manifest_path(DAY)), "what was there before is complete"


def test_a_table_is_loaded_for_the_asset_that_reads_it(tmp_path):
    seen = {}

    @dg.asset(partitions_def=DAYS, ins={"notes": dg.AssetIn(["hubspot", "NOTES"])})
    def reader(notes) -> None:
        assert isinstance(notes, pl.LazyFrame)
        seen["texts"] = notes.collect()["TEXT"].to_list()

    materialize([asset_of("NOTES", two_notes), reader], tmp_path)
    assert seen["texts"] == ["a secret", "b"]


def test_an_input_that_was_never_written(tmp_path):
    @dg.asset(partitions_def=DAYS, ins={"notes": dg.AssetIn(["hubspot", "NOTES"])})
    def reader(notes) -> None: ...

    result = materialize([reader, spec("NOTES")], tmp_path, raising=False)
    assert "is not complete" in str(failure_of(result).user_failure_data)


def test_anything_but_content_is_refused(tmp_path):
    result = materialize([asset_of("NOTES", lambda: notes(["x"]))], tmp_path, raising=False)
    said = failure_of(result).error.cause.message
    assert "hubspot/NOTES must give a TableContent, but gave a DataFrame" in said


def test_an_asset_that_gives_another_table(tmp_path):
    result = materialize([asset_of("OTHER", two_notes)], tmp_path, raising=False)
    said = str(failure_of(result).user_failure_data)
    assert "hubspot/OTHER gave the table NOTES" in said


@pytest.mark.parametrize(
    ("make", "url", "said"),
    [
        (two_notes, "/proc/export", "cannot write /proc/export/"),
        (lambda: content(("", [notes(["x"]), notes(["x"])])), None, "each key once"),
    ],
)
def test_what_no_retry_can_mend_fails_once_and_says_why(tmp_path, make, url, said):
    asset = asset_of("NOTES", make, tries=3)
    result = materialize([asset], url or tmp_path, raising=False)
    assert said in failure_of(result).user_failure_data.description
    assert not [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
