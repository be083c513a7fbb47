"""What is staged: whole or not at all, and gone on from where it was."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import time_machine

from hubspot_assets.availability import Availability
from hubspot_assets.day import Day
from hubspot_assets.readings.staging import NotStagedError, Staging
from hubspot_assets.storage import StoreError, leases, open_store
from hubspot_assets.storage.leases import LeaseError, held
from hubspot_assets_tests.days import day_of

READ_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
AVAILABLE = Availability("available", "")
SOURCE = "objects/0-1"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def staging(root):
    return Staging(open_store(root), day_of("2026-11-22"))


def frame(*numbers):
    return pl.DataFrame({"number": numbers})


def staged(staging, source=SOURCE):
    return [chunk.read("rows")["number"].to_list() for chunk in staging.complete(source).chunks()]


def chunks(root):
    """How many there are, of whatever reading."""
    return len(list(root.glob("readings/**/*.parquet")))


def note(root, name):
    """The only file of that name."""
    (path,) = root.glob(f"readings/objects/0-1/*/{name}")
    return path


def read(staging, *chunks, source=SOURCE):
    """A reading from its beginning to its end."""
    reading = staging.begin(source, "a plan")
    for number, chunk in enumerate(chunks):
        reading.add({"rows": frame(*chunk)}, after=str(number))
    return reading.finish(AVAILABLE, READ_AT)


def test_what_is_complete_is_read_back_in_order(staging):
    reading = staging.begin(SOURCE, "a plan")
    reading.counts["rows"] += 3
    reading.add({"rows": frame(1, 2), "others": frame(7)}, after="2")
    reading.add({"rows": frame(3), "others": frame()}, after=None)
    reading.finish(Availability("missing_scope", "why"), READ_AT)
    found = staging.complete(SOURCE)
    assert staged(staging) == [[1, 2], [3]]
    assert [chunk.read("others").height for chunk in found.chunks()] == [1, 0]
    assert found.availability == Availability("missing_scope", "why")
    assert found.observed_at == READ_AT
    assert found.counts == {"rows": 3}


def test_nothing_is_there_until_all_is(staging):
    with pytest.raises(NotStagedError, match="objects/0-1 is not staged for 2026-11-22"):
        staging.complete(SOURCE)
    reading = staging.begin(SOURCE, "a plan")
    reading.add({"rows": frame(1)}, after=None)
    with pytest.raises(NotStagedError):
        staging.complete(SOURCE)
    reading.finish(AVAILABLE, READ_AT)
    assert staged(staging) == [[1]]


def test_a_reading_goes_on_from_its_checkpoint(staging):
    first = staging.begin(SOURCE, "a plan")
    first.counts["rows"] += 2
    first.add({"rows": frame(1, 2)}, after="2")
    again = staging.begin(SOURCE, "a plan")
    assert (again.after, again.chunks_staged, again.counts) == ("2", 1, {"rows": 2})
    again.add({"rows": frame(3)}, after=None)
    again.finish(AVAILABLE, READ_AT)
    assert staged(staging) == [[1, 2], [3]]


@pytest.mark.parametrize("options", [{"plan": "another"}, {"plan": "a plan", "resume": False}])
def test_another_plan_starts_over_and_nothing_of_the_former_stays(staging, root, options):
    staging.begin(SOURCE, "a plan").add({"rows": frame(1, 2)}, after="2")
    again = staging.begin(SOURCE, **options)
    assert (again.after, again.chunks_staged, again.counts) == (None, 0, {})
    again.add({"rows": frame(5)}, after=None)
    again.finish(AVAILABLE, READ_AT)
    assert staged(staging) == [[5]]
    assert chunks(root) == 1


def test_the_former_reading_serves_until_the_new_one_is_complete(staging, root):
    read(staging, [1], [2])
    reading = staging.begin(SOURCE, "a plan")
    assert reading.after is None
    reading.add({"rows": frame(9)}, after=None)
    assert staged(staging) == [[1], [2]]
    former = staging.complete(SOURCE)
    reading.finish(AVAILABLE, READ_AT)
    assert staged(staging) == [[9]]
    assert [chunk.read("rows")["number"].to_list() for chunk in former.chunks()] == [[1], [2]]


def test_a_reading_without_chunks_is_complete(staging):
    staging.begin(SOURCE, "a plan").finish(Availability("not_enabled", "why"), READ_AT)
    assert staged(staging) == []
    assert staging.complete(SOURCE).availability.status == "not_enabled"


def test_sources_and_days_do_not_touch_each_other(staging, root):
    read(staging, [1])
    read(staging, [2], source="objects/0-11")
    read(Staging(open_store(root), day_of("2026-11-23")), [3])
    read(staging, [4])
    assert staged(staging) == [[4]]
    assert staged(staging, "objects/0-11") == [[2]]
    assert staged(Staging(open_store(root), day_of("2026-11-23"))) == [[3]]


@pytest.mark.parametrize("left", [b"", b'{"source": "objec', b"[]", b'{"source": "objects/0-1"}'])
def test_a_half_written_checkpoint_is_none(staging, root, left):
    staging.begin(SOURCE, "a plan").add({"rows": frame(1)}, after="1")
    note(root, "_checkpoint.json").write_bytes(left)
    assert staging.begin(SOURCE, "a plan").after is None
    read(staging, [5])
    assert staged(staging) == [[5]]
    assert chunks(root) == 1


@pytest.mark.parametrize("left", [b"", b'{"source": "objec', b"[]", b'{"source": "objects/0-1"}'])
def test_a_half_written_note_of_a_reading_is_no_complete_one(staging, root, left):
    read(staging, [1])
    note(root, "_reading.json").write_bytes(left)
    another = Staging(open_store(root), day_of("2026-11-22"))
    with pytest.raises(NotStagedError):
        another.complete(SOURCE)
    assert another.newest(SOURCE) is None


def test_a_disk_that_is_full_on_the_way_is_an_error_of_the_store(staging, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    reading = staging.begin(SOURCE, "a plan")
    reading.add({"rows": frame(1)}, after="1")
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(StoreError, match=r"cannot write .*no space left"):
        reading.add({"rows": frame(2)}, after=None)
    monkeypatch.undo()
    again = staging.begin(SOURCE, "a plan")
    assert (again.after, again.chunks_staged) == ("1", 1)


def test_a_state_folder_that_can_not_be_written_is_an_error_of_the_store(tmp_path):
    (tmp_path / "file").touch()
    staging = Staging(open_store(tmp_path / "file" / "state"), day_of("2026-11-22"))
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        staging.begin(SOURCE, "a plan")


def test_two_that_read_a_source_at_once_do_so_one_after_the_other(root):
    """Neither goes on from the other's checkpoint, nor puts chunks into its folder."""
    begin = threading.Barrier(2)

    def read_some(first):
        begin.wait()
        reading = Staging(open_store(root), day_of("2026-11-22")).begin(SOURCE, "a plan")
        assert reading.after is None
        for number in range(5):
            reading.counts["rows"] += 1
            reading.add({"rows": frame(first + number)}, after=str(number))
        return reading.finish(AVAILABLE, READ_AT).folder

    for _ in range(10):
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(read_some, (100, 200)))
        complete = Staging(open_store(root), day_of("2026-11-22")).complete(SOURCE)
        assert complete.folder in found
        rows = [chunk.read("rows")["number"].item() for chunk in complete.chunks()]
        assert rows in ([*range(100, 105)], [*range(200, 205)])
        assert complete.counts == {"rows": 5}
    assert chunks(root) == 10 * 2 * 5


def test_threads_that_share_a_staged_day_read_a_source_one_after_the_other(staging, root):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: read(staging, [number], [number]), range(8)))
    assert staging.complete(SOURCE) in found
    assert chunks(root) == 8 * 2


def test_a_reading_that_is_given_up_is_in_nobodys_way(staging, root):
    with pytest.raises(ZeroDivisionError):
        staging.begin(SOURCE, "a plan").add({"rows": frame(1 // 0)}, after="1")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(read, staging, [7]).result(10)
    assert staged(staging) == [[7]]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"less")])
def test_a_reading_that_lost_a_chunk_is_not_complete_and_not_gone_on_with(staging, root, harm):
    read(staging, [9])
    reading = staging.begin(SOURCE, "a plan")
    reading.add({"rows": frame(1)}, after="1")
    reading = staging.begin(SOURCE, "a plan")
    reading.add({"rows": frame(2)}, after=None)
    (chunk,) = root.glob(f"**/{reading.folder.rpartition('/')[2]}/00000.rows.parquet")
    harm(chunk)
    with pytest.raises(StoreError, match=r"00000\.rows.* not as it was written.*run again"):
        reading.finish(AVAILABLE, READ_AT)
    assert staged(staging) == [[9]]
    assert staging.begin(SOURCE, "a plan").chunks_staged == 0


def test_who_has_lost_the_day_meanwhile_does_not_publish(staging, root, monkeypatch):
    read(staging, [9])
    store = open_store(root)
    reading = staging.begin(SOURCE, "a plan")
    reading.add({"rows": frame(1)}, after="1")
    store.delete(["_leases/readings.json"])
    with held(store, "readings", "another"):
        monkeypatch.setattr(leases, "DURATION", 0)  # so long ago was it renewed
        with pytest.raises(LeaseError, match="taken over by run another"):
            reading.add({"rows": frame(2)}, after="2")
        with pytest.raises(LeaseError, match="taken over by run another"):
            reading.finish(AVAILABLE, READ_AT)
        monkeypatch.undo()
    assert staged(staging) == [[9]]
    assert staging.begin(SOURCE, "a plan").after == "1"


def test_what_a_killed_reading_left_half_written_is_swept_by_the_next(staging, root):
    staging.begin(SOURCE, "a plan").add({"rows": frame(1)}, after="1")
    left = note(root, "_checkpoint.json").with_name(".unfinished-0a1b")
    left.write_bytes(b"half")
    staging.begin(SOURCE, "a plan")
    assert not left.exists()


def test_a_pointer_that_a_killed_run_left_half_written_is_swept_by_the_next(staging, root):
    staging.begin(SOURCE, "a plan").finish(AVAILABLE, READ_AT)
    (pointer,) = (root / "days/2026-11-22" / SOURCE).iterdir()
    left = pointer.rename(pointer.with_name(".unfinished-0a1b"))
    assert Staging(open_store(root), staging.day).serving(SOURCE)
    assert not left.exists()
    assert pointer.exists()


AT_ONCE = datetime(2026, 11, 23, 0, 10, tzinfo=UTC)
THE_NIGHT_AFTER = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
TWO_NIGHTS_AFTER = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
LATER = datetime(2026, 12, 6, 9, tzinfo=UTC)


@pytest.fixture
def at(root):
    """A day's readings as a run at some moment sees them."""

    @contextmanager
    def run(moment, day="2026-11-22", **options):
        with time_machine.travel(moment, tick=False):
            yield Staging(open_store(root), day_of(day), **options)

    return run


def read_at(at, moment, number, day="2026-11-22", **options):
    with at(moment, day) as staging:
        reading = staging.begin(SOURCE, "a plan", **options)
        reading.add({"rows": frame(number)}, after=None)
        return reading.finish(AVAILABLE, moment)


def served(at, moment, day="2026-11-22"):
    with at(moment, day) as staging:
        found = staging.serving(SOURCE)
        return found and next(found.chunks()).read("rows")["number"].item()


def test_a_reading_serves_every_day_that_had_ended_half_an_hour_before(at):
    read_at(at, THE_NIGHT_AFTER, 1)
    assert [served(at, LATER, f"2026-11-{day}") for day in ("01", 21, 22, 23)] == [1, 1, 1, None]


def test_the_earliest_of_several_serves_a_day_whoever_made_it(at):
    read_at(at, TWO_NIGHTS_AFTER, 2, "2026-11-23")
    assert served(at, LATER) == 2
    read_at(at, LATER, 3, "2026-12-05")
    assert [served(at, LATER, day) for day in ("2026-11-21", "2026-11-23")] == [2, 2]
    assert served(at, LATER, "2026-11-24") == 3


def test_what_has_served_a_day_goes_on_to(at):
    """An earlier one that turns up, as from a copy of the state, doesn't change it."""
    read_at(at, LATER, 3)
    read_at(at, THE_NIGHT_AFTER, 1, "2026-11-21")
    assert served(at, LATER) == 3


def test_one_that_was_made_too_early_serves_until_there_can_be_another(at):
    read_at(at, AT_ONCE, 1)
    assert served(at, AT_ONCE) == 1
    assert served(at, THE_NIGHT_AFTER) is None
    with at(THE_NIGHT_AFTER) as staging:
        assert not staging.day.settled(staging.complete(SOURCE).began)
    read_at(at, TWO_NIGHTS_AFTER, 2, "2026-11-23")
    assert served(at, TWO_NIGHTS_AFTER) == 2


def test_a_reading_that_is_asked_for_again_serves_the_day_that_asked(at):
    read_at(at, THE_NIGHT_AFTER, 1)
    assert served(at, THE_NIGHT_AFTER, "2026-11-21") == 1
    read_at(at, LATER, 2)
    assert [served(at, LATER, day) for day in ("2026-11-21", "2026-11-22")] == [1, 2]


def test_one_of_a_window_serves_its_own_day_alone(at):
    window = day_of("2026-11-22").window
    read_at(at, THE_NIGHT_AFTER, 1, window=window)
    assert [served(at, LATER, f"2026-11-{day}") for day in (21, 22, 23)] == [None, 1, None]


def test_a_window_of_another_time_zone_does_not_serve(root, at):
    read_at(at, THE_NIGHT_AFTER, 1, window=day_of("2026-11-22").window)
    tokyo = Staging(open_store(root), Day.named("2026-11-22", ZoneInfo("Asia/Tokyo")))
    assert tokyo.serving(SOURCE) is None


def test_an_unfinished_reading_is_gone_on_with_for_any_day_that_it_can_serve(at):
    with at(THE_NIGHT_AFTER) as staging:
        staging.begin(SOURCE, "a plan").add({"rows": frame(1)}, after="1")
    with at(LATER, "2026-11-21") as staging:
        assert staging.begin(SOURCE, "a plan").after == "1"
    with at(LATER, "2026-11-23") as staging:
        assert staging.begin(SOURCE, "a plan").after is None


def test_an_unfinished_reading_of_a_window_waits_for_its_day(at):
    window = day_of("2026-11-22").window
    with at(THE_NIGHT_AFTER) as staging:
        staging.begin(SOURCE, "a plan", window=window).add({"rows": frame(1)}, after="1")
    with at(TWO_NIGHTS_AFTER, "2026-11-23") as staging:
        staging.begin(SOURCE, "another", window=staging.day.window)
    with at(TWO_NIGHTS_AFTER) as staging:
        assert staging.begin(SOURCE, "a plan", window=window).after == "1"


def test_a_pointer_to_a_reading_that_is_gone_serves_nobody(root, at):
    read_at(at, THE_NIGHT_AFTER, 1)
    for path in root.glob("readings/objects/0-1/*/*"):
        path.unlink()
    assert served(at, LATER) is None
    with at(LATER) as staging, pytest.raises(NotStagedError):
        staging.complete(SOURCE)


def test_sources_whose_names_begin_alike_are_apart(at):
    with at(THE_NIGHT_AFTER) as staging:
        read(staging, [1], source="lists")
        read(staging, [2], source="lists/members")
        assert staged(staging, "lists") == [[1]]
    with at(LATER, "2026-11-20") as staging:
        assert staged(staging, "lists/members") == [[2]]
        assert staged(staging, "lists") == [[1]]
