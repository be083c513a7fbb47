"""The event log in SQLite that stays open: Dagster's own files, whoever else is at them."""

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.event_log import SqliteEventLogStorage

from hubspot_assets.event_log import SqliteEventLog
from hubspot_assets_tests.operating import ROOT

OWNERS = dg.AssetKey("OWNERS")


@dg.asset(key=OWNERS)
def owners(context):
    context.log.info("two owners")


def materialize(instance):
    return dg.materialize([owners], instance=instance).run_id


def told(instance, run):
    return [each.message for each in instance.all_logs(run)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def as_deployed(home):
    """What makes the instance that the project's dagster.yaml describes."""
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    return dg.DagsterInstance.get


def test_it_reads_what_dagsters_own_has_written_and_the_other_way_round(home):
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        first = materialize(instance)
        before = told(instance, first)
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLog
        assert told(instance, first) == before
        second = materialize(instance)
        after = told(instance, second)
    assert "two owners" in after
    (home / "dagster.yaml").unlink()
    with dg.DagsterInstance.get() as instance:
        assert told(instance, second) == after
        records = instance.fetch_materializations(OWNERS, limit=10).records
        assert [each.run_id for each in records] == [second, first]


def test_what_one_writes_another_reads_at_once(as_deployed):
    with as_deployed() as writer, as_deployed() as reader:
        for number in range(1, 4):
            run = materialize(writer)
            assert told(reader, run) == told(writer, run)
            assert len(reader.fetch_materializations(OWNERS, limit=10).records) == number


def test_many_write_at_once_from_threads_and_instances(as_deployed):
    with as_deployed() as one, as_deployed() as other, ThreadPoolExecutor(8) as pool:
        told = [dg.AssetMaterialization(OWNERS, metadata={"number": n}) for n in range(40)]
        list(pool.map(dg.DagsterInstance.report_runless_asset_event, [one, other] * 20, told))
        records = one.fetch_materializations(OWNERS, limit=100).records
    numbers = [each.asset_materialization.metadata["number"].value for each in records]
    assert sorted(numbers) == list(range(40))


DAYS = dg.StaticPartitionsDefinition(["a", "b"])
with pytest.warns(dg.PreviewWarning):
    ROWS = dg.AssetCheckSpec("rows", asset="TEAMS", partitions_def=DAYS)


@dg.asset(key="TEAMS", deps=[OWNERS], partitions_def=DAYS, check_specs=[ROWS])
def teams(context):
    checked = dg.AssetCheckResult(passed=context.partition_key == "a")
    tags = {DATA_VERSION_TAG: context.run.run_id}
    return dg.MaterializeResult(tags=tags, metadata={"rows": 2}, check_results=[checked])


@dg.asset
def failing():
    raise dg.Failure("in vain")


def stored_events(instance):
    """The events of four runs, as Dagster has them stored."""
    runs = [materialize(instance)]
    for day in ("a", "a", "b"):
        done = dg.materialize(
            [owners, teams, failing], partition_key=day, instance=instance, raise_on_error=False
        )
        runs.append(done.run_id)
    instance.report_runless_asset_event(dg.AssetObservation(OWNERS, metadata={"seen": 1}))
    observed = instance.event_log_storage.fetch_observations(OWNERS, limit=1).records
    return [*(e for run in runs for e in instance.all_logs(run)), observed[0].event_log_entry]


def rows_of(folder):
    """The rows of each table of each database, but for when they were made."""
    found = {}
    for file in folder.glob("*.db"):
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.row_factory = sqlite3.Row
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in tables.fetchall():
                rows = [dict(row) for row in database.execute(f"SELECT * FROM {name}")]
                found[file.name, name] = [row | {"create_timestamp": None} for row in rows]
    return found


def test_it_stores_what_dagsters_own_stores(as_deployed, tmp_path):
    with as_deployed() as instance:
        events = stored_events(instance)
    stored = {}
    for log in (SqliteEventLogStorage, SqliteEventLog):
        folder = tmp_path / log.__name__
        storage = log(str(folder))
        for event in events:
            storage.store_event(event)
        storage.dispose()
        stored[log] = rows_of(folder)
    assert {name for _, name in stored[SqliteEventLog]} > {"event_logs", "asset_event_tags"}
    assert all(stored[SqliteEventLog]["index.db", name] for name in ("asset_keys", "event_logs"))
    # How far migrations are is of no event.
    for of_log in stored.values():
        of_log.pop(("index.db", "secondary_indexes"))
    assert stored[SqliteEventLog] == stored[SqliteEventLogStorage]
    together = tmp_path / "together"
    storage = SqliteEventLog(str(together))
    storage.store_event_batch(events)
    storage.dispose()
    del (at_once := rows_of(together))["index.db", "secondary_indexes"]
    assert at_once == stored[SqliteEventLog]


def of_assets(instance, day):
    """The records of assets, and the versions and the newest materialization of a day of each."""
    keys, event = [OWNERS, dg.AssetKey("TEAMS")], dg.DagsterEventType.ASSET_MATERIALIZATION
    tags = instance.event_log_storage.get_latest_tags_by_partition
    versions = [tags(key, event, [DATA_VERSION_TAG], [day]) for key in keys]
    asked = [dg.AssetRecordsFilter(key, asset_partitions=[day]) for key in keys]
    newest = [instance.fetch_materializations(each, limit=1) for each in asked]
    return instance.get_asset_records(keys), versions, newest


def test_what_it_knows_of_an_asset_is_what_the_database_tells(as_deployed):
    with as_deployed() as ours:
        for day in ("a", "b"):
            dg.materialize([owners, teams], partition_key=day, instance=ours)
            known = {each: of_assets(ours, each) for each in ("a", day)}
            with as_deployed() as other:
                assert known == {each: of_assets(other, each) for each in known}
            _, versions, newest = known[day]
            assert versions[1].keys() == {day}
            assert newest[1].records[0].partition_key == day


def test_what_could_not_be_stored_is_not_known(as_deployed, monkeypatch):
    with as_deployed() as ours:
        first = materialize(ours)
        told = dg.AssetMaterialization(OWNERS)

        def fail(*_, **__):
            raise OSError("no space left")

        monkeypatch.setattr(SqliteEventLog, "_construct_asset_record_from_row", fail)
        with pytest.raises(OSError, match="no space"):
            ours.report_runless_asset_event(told)
        monkeypatch.undo()
        assert run_of(ours) == first
        assert len(ours.fetch_materializations(OWNERS, limit=10).records) == 1
        ours.report_runless_asset_event(told)
        assert len(ours.fetch_materializations(OWNERS, limit=10).records) == 2


def test_what_a_run_is_to_make_is_stored_at_once(as_deployed, monkeypatch):
    batches = []
    store = SqliteEventLog.store_event_batch

    def counted(self, events):
        batches.append([each.dagster_event_type for each in events])
        store(self, events)

    monkeypatch.setattr(SqliteEventLog, "store_event_batch", counted)
    with as_deployed() as instance:
        dg.materialize([owners, teams], partition_key="a", instance=instance)
    planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    (batch,) = [each for each in batches if planned in each]
    assert len(batch) == 3


def run_of(instance):
    (record,) = instance.get_asset_records([OWNERS])
    return record.asset_entry.last_run_id


def versions(instance):
    return instance.event_log_storage.get_latest_tags_by_partition(
        OWNERS, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG], ["a"]
    )


def materialized(instance, version):
    tags = {DATA_VERSION_TAG: version}
    told = dg.AssetMaterialization(OWNERS, partition="a", tags=tags)
    instance.report_runless_asset_event(told)


def test_an_answer_holds_until_somebody_writes(as_deployed, monkeypatch):
    asked = []

    def count(name):
        look = getattr(SqliteEventLogStorage, name)

        def counted(*given):
            asked.append(name)
            return look(*given)

        monkeypatch.setattr(SqliteEventLogStorage, name, counted)

    with as_deployed() as ours, as_deployed() as theirs:
        assert not ours.get_asset_records([OWNERS])
        for instance in (theirs, ours, ours, theirs, theirs):
            run = materialize(instance)
            assert run_of(ours) == run_of(theirs) == run
        for version, instance in enumerate((theirs, ours, ours, theirs)):
            materialized(instance, str(version))
            expected = {"a": {DATA_VERSION_TAG: str(version)}}
            assert versions(ours) == versions(theirs) == expected
        ours.wipe_assets([OWNERS])
        assert not ours.get_asset_records([OWNERS])
        assert not theirs.get_asset_records([OWNERS])
        run = materialize(ours)
        for name in ("get_asset_records", "get_latest_tags_by_partition", "fetch_materializations"):
            count(name)
        newest = dg.AssetRecordsFilter(OWNERS, asset_partitions=["a"])
        for _ in range(3):
            assert run_of(ours) == run
            versions(ours)
            ours.fetch_materializations(newest, limit=1)
            ours.report_runless_asset_event(dg.AssetMaterialization("another"))
        assert asked == ["get_latest_tags_by_partition", "fetch_materializations"]


@pytest.mark.slow
def test_no_answer_outlives_a_change_though_many_other_databases_were_opened(as_deployed):
    with as_deployed() as writer, as_deployed() as reader:
        runs = [materialize(writer) for _ in range(12)]
        assert run_of(reader) == runs[-1]
        last = materialize(writer)
        for run in runs:
            told(reader, run)
        assert run_of(reader) == last
        reader.event_log_storage.dispose()
        last = materialize(writer)
        assert run_of(reader) == last


@pytest.mark.slow
def test_databases_of_many_runs_do_not_stay_open(as_deployed):
    with as_deployed() as instance:
        runs = [materialize(instance) for _ in range(12)]
        assert 0 < len(open_databases()) <= 8
        assert "two owners" in told(instance, runs[0])
        assert {f"{runs[0]}.db", f"{runs[-1]}.db", "index.db"} <= open_databases()
    assert not open_databases()


def open_databases():
    """The files of event logs that this process holds open."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of this listing
            found.add(each.readlink())
    return {each.name for each in found if each.match("history/runs/*.db")}
