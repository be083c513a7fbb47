"""What is made once and needed again, as long as there is little of it."""

from datetime import UTC, datetime
from random import Random

import polars as pl
import pytest

from hubspot_assets.availability import Availability
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.staging import Staging
from hubspot_assets.storage import NotFoundError, open_store
from hubspot_assets.storage.leases import held
from hubspot_assets_tests.days import day_of

SOURCE, DAY = "objects/0-1", day_of("2026-11-22")


def test_it_is_made_once_until_there_is_too_much():
    made, kept = [], Kept(10)

    def of(key, size=4):
        def make():
            made.append(key)
            return f"{key} of {size}"

        return kept.of(key, make, lambda _: size)

    assert [of("a"), of("a"), of("b")] == ["a of 4", "a of 4", "b of 4"]
    assert [of("c"), of("c")] == ["c of 4"] * 2
    assert of("d", size=2) == of("d", size=2) == "d of 2"
    assert made == ["a", "b", "c", "c", "d"]


def test_what_is_put_takes_the_place_and_the_room_of_what_was_there():
    kept = Kept(10)
    kept.put("a", "first", 8)
    kept.put("a", "second", 9)
    assert kept.get("a") == "second"
    kept.put("a", "third", 11)
    assert kept.get("a") is None
    kept.put("b", "all", 10)
    assert kept.of("b", lambda: "made", lambda _: 0) == "all"


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "state")


@pytest.fixture
def of_a_run(store):
    """The day as a run has it, which nobody else changes meanwhile."""
    with held(store, "readings") as lease:
        yield Staging(store, DAY, lease)


def write(staging, *texts, begin_anew=False):
    reading = staging.begin(SOURCE, "a plan")
    for text in texts:
        if begin_anew:
            reading.begin_anew()
        reading.add({"rows": pl.DataFrame({"text": [text], "id": [1]})}, after=None)
    return reading.finish(Availability("available", ""), datetime(2026, 11, 23, 6, tzinfo=UTC))


def texts(staging):
    chunks = staging.complete(SOURCE).chunks()
    return [chunk.read("rows", ["text"])["text"].item() for chunk in chunks]


def remove_files(store):
    store.delete([each.path for each in store.list("readings") if each.path.endswith(".parquet")])


def test_what_a_run_has_written_it_need_not_read(store, of_a_run):
    write(of_a_run, "one", "two")
    remove_files(store)
    assert texts(of_a_run) == ["one", "two"]
    with pytest.raises(NotFoundError):
        texts(Staging(store, DAY))


def test_what_a_run_has_read_it_need_not_read_again(store):
    write(Staging(store, DAY), "one")
    with held(store, "readings") as lease:
        staging = Staging(store, DAY, lease)
        assert texts(staging) == ["one"]
        remove_files(store)
        assert texts(staging) == ["one"]


def test_what_is_kept_is_as_it_was_written_last(of_a_run):
    write(of_a_run, "of before", "of \0 now", begin_anew=True)
    assert texts(of_a_run) == ["of \ufffd now"]


def test_of_large_files_nothing_is_kept(store, of_a_run):
    write(of_a_run, Random(1).randbytes(100_000).hex())
    (chunk,) = of_a_run.complete(SOURCE).chunks()
    assert chunk.read("rows", ["id"]).columns == ["id"]
    remove_files(store)
    with pytest.raises(NotFoundError):
        texts(of_a_run)


def test_who_does_not_hold_the_readings_reads_what_is_there_now(store):
    staging = Staging(store, DAY)
    write(staging, "one")
    (chunk,) = staging.complete(SOURCE).chunks()
    assert texts(staging) == ["one"]
    remove_files(store)
    with pytest.raises(NotFoundError):
        chunk.read("rows")
