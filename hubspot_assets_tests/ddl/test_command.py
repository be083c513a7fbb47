"""`hubspot-assets ddl` as a person types it."""

import json
import re

import pytest

from hubspot_assets.ddl.engines import ENGINES
from hubspot_assets.export import complete_day
from hubspot_assets.storage import open_store
from hubspot_assets_tests.export.tables import AS_OF, notes, write
from hubspot_assets_tests.test_commands import fails, run

EARLIER, DAY, INCOMPLETE = "2026-11-21", "2026-11-22", "2026-11-23"
ELSEWHERE = ("--url", "s3://my-bucket/hubspot/")


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Two complete days of a table, and one that a run is at; the later one has Parquet, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORT_URL", "out")
    store = open_store(tmp_path / "out")
    for day in (EARLIER, DAY, INCOMPLETE):
        write(store, ("", [notes(["x"])]), day=day, parquet=day == DAY)
    for day in (EARLIER, DAY):
        complete_day(store, day, ["NOTES"], AS_OF, "run", "1.0")
    return store


def ddl(*arguments):
    status, output = run("ddl", *arguments)
    assert status == 0, output
    return output


def test_the_newest_complete_day_is_told(export):
    assert f"{DAY}/NOTES/part-00000.csv.gz" in ddl("postgres")
    assert f"parquet/NOTES/day={DAY}/part-00000.parquet" in ddl("duckdb")
    assert f"/{EARLIER}/NOTES/part-00000.csv.gz" in ddl("postgres", "--day", EARLIER)


def test_projection_begins_with_the_first_day(export):
    (glued,) = json.loads(ddl("glue", *ELSEWHERE))["TableInputs"]
    assert glued["Parameters"]["projection.day.range"] == f"{EARLIER},NOW+1DAY"
    assert glued["StorageDescriptor"]["Location"] == "s3://my-bucket/hubspot/parquet/NOTES/"


def test_a_day_without_parquet_is_read_by_who_reads_csv_rightly(export):
    for engine in ("athena", "glue"):
        fails(
            2,
            "EXPORT_FORMATS: found no Parquet of NOTES",
            "ddl",
            engine,
            "--day",
            EARLIER,
            *ELSEWHERE,
        )
    assert f"{EARLIER}/NOTES/part-" in ddl("redshift", "--day", EARLIER, *ELSEWHERE)
    fails(2, "found no Parquet", "ddl", "duckdb", "--day", EARLIER, "--format", "parquet")


def test_what_is_not_there_is_one_line(export):
    fails(
        2, "select: found NOTE, expected any of the 1 tables", "ddl", "duckdb", "--select", "NOTE"
    )
    fails(2, f"day: {INCOMPLETE} is not complete", "ddl", "duckdb", "--day", INCOMPLETE)
    fails(2, "format: found csv, expected parquet", "ddl", "athena", "--format", "csv", *ELSEWHERE)
    fails(2, "url: found 'out', expected s3://bucket/prefix", "ddl", "athena")
    fails(2, "url: found 's3://b/c', expected gs://", "ddl", "bigquery", "--url", "s3://b/c")
    fails(2, "day: found '../x', expected a day", "ddl", "duckdb", "--day", "../x")
    fails(2, "schema: found 'a-b', expected letters", "ddl", "duckdb", "--schema", "a-b")
    fails(2, "engine: found 'oracle', expected athena, glue, ", "ddl", "oracle")


def test_help_names_every_engine():
    _, output = run("ddl", "--help")
    named = output.split("ENGINE is ")[1].split(".")[0]
    assert set(re.findall(r"[a-z]+", named)) - {"or"} == {*ENGINES, "dbt"}


def test_an_export_without_a_complete_day(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPORT_URL", str(tmp_path / "none"))
    fails(2, "EXPORT_URL: found no complete day", "ddl", "duckdb")


def test_dbt_gets_files(export, tmp_path):
    output = ddl("dbt", "--schema", "raw", "--out", "project/models")
    assert output.splitlines() == ["project/models/sources.yml", "project/models/README.md"]
    sources = (tmp_path / "project/models/sources.yml").read_text()
    assert 'schema: "raw"' in sources
    assert "      - name: NOTES\n" in sources
    described = '          - name: "ID"\n            description: "Id"\n'
    assert f"{described}            data_tests: [not_null, unique]\n" in sources
