"""`hubspot-assets glue sync` and the asset `glue/catalog`, against moto's catalog."""

import json
import uuid
from dataclasses import replace
from typing import Any

import boto3
import dagster as dg
import pytest

from hubspot_assets.assets.glue import glue_asset
from hubspot_assets.assets.labels import Labels
from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.definitions import build_defs
from hubspot_assets.export import complete_day
from hubspot_assets.export.writer import write_table
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets.tables.spec import Column
from hubspot_assets_tests.aws.iam_account import ACCOUNT
from hubspot_assets_tests.export.tables import AS_OF, NOTES, content, notes
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_commands import fails, run

PORTAL = 123
DAYS = ("2026-11-21", "2026-11-22")


@pytest.fixture
def glue(endpoint):
    """An administrator's client of the catalog."""
    key = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    make: Any = boto3.client  # else every service is a type to check
    return make("glue", endpoint_url=endpoint, region_name=REGION, **key)


@pytest.fixture
def database(glue):
    """The name of a database that is not there yet."""
    return f"hubspot_{uuid.uuid4().hex}"


@pytest.fixture
def store(bucket, s3, endpoint, monkeypatch, tmp_path):
    """An export in a bucket, and the settings that reach it."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "EXPORT_URL": f"s3://{bucket}/export",
        "S3_ENDPOINT_URL": endpoint,
        "S3_REGION": REGION,
        "AWS_ENDPOINT_URL_GLUE": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{bucket}/export", s3)


def deliver(store, day, spec=NOTES, *, portal_id=PORTAL, parquet=True):
    """A day of one table whose rows are of no interest."""
    empty = [notes([]).select(*(each.name for each in NOTES.columns if each in spec.columns))]
    if spec is not NOTES:
        empty = []
    what = content(("", empty), spec=spec)
    write_table(store, day, what, "run", "1.0", portal_id=portal_id, parquet=parquet)
    complete_day(store, day, [spec.name], AS_OF, "run", "1.0", portal_id=portal_id)


def sync(database, *more):
    status, output = run("glue", "sync", "--database", database, *more)
    assert status == 0, output
    return output


def table(glue, database, name="notes"):
    return glue.get_table(DatabaseName=database, Name=name)["Table"]


def columns(of):
    return {each["Name"]: each["Type"] for each in of["StorageDescriptor"]["Columns"]}


def test_tables_are_made_with_their_days_projected(store, glue, database, bucket):
    for day in DAYS:
        deliver(store, day)
    assert f"{DAYS[1]}: 1 tables created, 0 updated, 0 as they were" in sync(database)
    made = table(glue, database)
    assert columns(made) == {"id": "bigint", "text": "string", "at": "timestamp"}
    assert made["StorageDescriptor"]["Location"] == f"s3://{bucket}/export/parquet/NOTES/"
    assert made["Parameters"]["projection.day.range"] == f"{DAYS[0]},NOW+1DAY"
    assert made["Parameters"]["hubspot_assets.portal_id"] == str(PORTAL)
    assert [each["Name"] for each in made["PartitionKeys"]] == ["day"]
    assert "0 tables created, 0 updated, 1 as they were" in sync(database)
    versions = glue.get_table_versions(DatabaseName=database, TableName="notes")
    assert len(versions["TableVersions"]) == 1


def test_new_columns_come_at_the_end_and_retyped_ones_are_reported(store, glue, database):
    deliver(store, DAYS[0])
    sync(database)
    by_name = {each.name: each for each in NOTES.columns}
    grown = replace(
        NOTES,
        columns=(
            by_name["ID"],
            Column("BEFORE", "DATE", "New"),
            replace(by_name["TEXT"], type="BOOLEAN"),
        ),
    )
    deliver(store, DAYS[1], grown)
    output = sync(database)
    assert "1 updated" in output
    assert "warning: notes.text is string there, and now boolean" in output
    merged = columns(table(glue, database))
    assert list(merged.items()) == [
        ("id", "bigint"),
        ("text", "string"),
        ("at", "timestamp"),
        ("before", "date"),
    ]
    assert "1 as they were" in sync(database)


def test_what_others_added_to_a_table_stays(store, glue, database):
    deliver(store, DAYS[0])
    sync(database)
    known = table(glue, database)
    kept = ("Name", "TableType", "PartitionKeys", "StorageDescriptor")
    changed = {name: known[name] for name in kept} | {
        "Description": "By hand",
        "Parameters": {**known["Parameters"], "owner": "sales", "projection.enabled": "false"},
    }
    glue.update_table(DatabaseName=database, TableInput=changed)
    assert "1 updated" in sync(database)
    mended = table(glue, database)
    assert mended["Description"] == "By hand"
    assert mended["Parameters"]["owner"] == "sales"
    assert mended["Parameters"]["projection.enabled"] == "true"


@pytest.mark.parametrize("mark", [{}, {"hubspot_assets.portal_id": "999"}])
def test_tables_of_somebody_else_are_refused_before_anything_is_made(store, glue, database, mark):
    other = replace(NOTES, name="LISTS")
    for spec in (other, NOTES):
        what = content(("", []), spec=spec)
        write_table(store, DAYS[0], what, "run", "1.0", portal_id=PORTAL, parquet=True)
    complete_day(store, DAYS[0], ["NOTES", "LISTS"], AS_OF, "run", "1.0", portal_id=PORTAL)
    glue.create_database(DatabaseInput={"Name": database})
    theirs = {"Name": "notes", "Parameters": mark, "StorageDescriptor": {"Columns": []}}
    glue.create_table(DatabaseName=database, TableInput=theirs)
    fails(2, f"GLUE_DATABASE: found notes in {database}", "glue", "sync", "--database", database)
    assert [each["Name"] for each in glue.get_tables(DatabaseName=database)["TableList"]] == [
        "notes"
    ]
    assert table(glue, database)["Parameters"] == mark


def test_what_can_not_be_synced_is_one_line(store, glue, database, monkeypatch):
    asked = ("glue", "sync", "--database", database)
    fails(2, "EXPORT_URL: found no complete day", *asked)
    deliver(store, DAYS[0], parquet=False)
    fails(2, "EXPORT_FORMATS: found no Parquet of NOTES", *asked)
    fails(2, "GLUE_DATABASE: found nothing", "glue", "sync")
    fails(2, "database: found the database 'Sales-1'", "glue", "sync", "--database", "Sales-1")
    names = [each["Name"] for each in glue.get_databases()["DatabaseList"]]
    assert database not in names
    monkeypatch.setenv("GLUE_DATABASE", "hubspot")
    monkeypatch.setenv("EXPORT_URL", "./export")
    fails(2, "EXPORT_URL: found ./export, expected s3://", "glue", "sync")


def test_the_policy_grants_one_database(store):
    status, output = run("iam", "policy", "--url", "s3://my-bucket/a", "--glue", "hubspot")
    assert status == 0, output
    *_, granted = json.loads(output)["Statement"]
    assert granted["Sid"] == "SyncTables"
    assert granted["Resource"] == [
        "arn:aws:glue:*:*:catalog",
        "arn:aws:glue:*:*:database/hubspot",
        "arn:aws:glue:*:*:table/hubspot/*",
    ]
    fails(
        2,
        "glue: found the database 'a*'",
        "iam",
        "policy",
        "--url",
        "s3://my-bucket",
        "--glue",
        "a*",
    )


def test_every_call_of_a_sync_is_granted(store, database, monkeypatch):
    """By the policy's actions: moto does not hold Glue's resources against policies."""
    called = set()
    resource = s3_resource(load_settings())
    client = resource.get_glue_client()
    client.meta.events.register(
        "before-call.glue", lambda model, **_: called.add(f"glue:{model.name}")
    )
    monkeypatch.setattr(type(resource), "get_glue_client", lambda _: client)
    deliver(store, DAYS[0])
    sync(database)
    deliver(store, DAYS[1], replace(NOTES, columns=(*NOTES.columns, Column("NEW", "DATE", ""))))
    sync(database)
    _, output = run("iam", "policy", "--url", "s3://my-bucket/a", "--glue", database)
    assert called == set(json.loads(output)["Statement"][-1]["Action"])


def test_a_refusal_is_one_line_that_names_the_statement(store, database, monkeypatch):
    deliver(store, DAYS[0])
    resource = s3_resource(load_settings())
    client = resource.get_glue_client()

    def deny(**_):
        raise client.exceptions.ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": f"{ACCOUNT} may not"}},
            "GetDatabase",
        )

    client.meta.events.register("before-call.glue.GetDatabase", deny)
    monkeypatch.setattr(type(resource), "get_glue_client", lambda _: client)
    fails(1, "the statement SyncTables is missing", "glue", "sync", "--database", database)


def test_the_asset_comes_after_every_table_where_a_database_is_set(store, monkeypatch):
    key = dg.AssetKey(["glue", "catalog"])
    catalog = standard_catalog()
    graph = build_defs(catalog, load_settings()).resolve_asset_graph()
    assert not graph.has(key)
    tables = {each for each in graph.get_all_asset_keys() if len(each.path) == 1}
    monkeypatch.setenv("GLUE_DATABASE", "hubspot")
    graph = build_defs(catalog, load_settings()).resolve_asset_graph()
    assert graph.get(key).parent_keys == tables
    assert len(tables) > 50


def test_the_asset_keeps_the_catalog_after_a_day(store, glue, database, monkeypatch):
    monkeypatch.setenv("GLUE_DATABASE", database)
    settings = load_settings()
    partitions = dg.DailyPartitionsDefinition(DAYS[0], end_offset=1)
    asset = glue_asset(["NOTES"], database, settings, partitions, Labels(PORTAL, ["team:data"]))
    assert asset.asset_deps[asset.key] == {dg.AssetKey("NOTES")}

    def materialize():
        return dg.materialize(
            [asset],
            partition_key=DAYS[0],
            resources={"s3": s3_resource(settings)},
            raise_on_error=False,
        )

    assert not materialize().success  # there is no complete day
    deliver(store, DAYS[0])
    done = materialize()
    assert done.success
    (event,) = done.get_asset_materialization_events()
    assert event.materialization.metadata["created"].value == 1
    assert "id" in columns(table(glue, database))
