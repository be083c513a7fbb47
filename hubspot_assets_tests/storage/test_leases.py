"""One writer at a time: those who come next wait, and who was away too long does not publish."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from hubspot_assets.check.bucket import check_bucket
from hubspot_assets.storage import leases, open_store
from hubspot_assets.storage.leases import LeaseError, held, take
from hubspot_assets.storage.process import is_gone, mark
from hubspot_assets_tests.conftest import DAY

LEASE = f"_leases/{DAY}.json"
LATER = "_leases/2026-11-23.json"


@pytest.fixture
def quick(monkeypatch):
    """Leases that end within a moment when nobody renews them."""
    monkeypatch.setattr(leases, "DURATION", 0.6)


def note(store):
    return json.loads(store.get(LEASE))


def anothers(store, **more):
    """A lease of a run on another host, which nobody renews."""
    with held(store, DAY, "theirs"):
        told = note(store)
    told |= {"host": "far-away", "members": {"them": "ffffffffffff-1-1"}, **more}
    store.put(LEASE, json.dumps(told).encode())


def test_the_second_waits_says_for_whom_and_gets_it(store):
    told, waits = [], threading.Event()

    def tell(line):
        told.append(line)
        waits.set()

    with ThreadPoolExecutor(1) as pool:
        first = take(store, DAY, "run-1")
        second = pool.submit(take, store, DAY, "run-2", told=tell)
        assert waits.wait(10)
        assert not second.done()
        first.release()
        second.result(10).release()
    (line,) = told
    assert line.startswith(
        f"waiting: {DAY} in {store.url_of('x')[:-2]} is being written by run run-1"
    )
    assert f"process {os.getpid()}, since 20" in line


def test_who_waits_too_long_is_told_in_one_line(store):
    with held(store, DAY, "run-1"):
        began = time.monotonic()
        with pytest.raises(
            LeaseError, match=f"{DAY} in .* written by run run-1.*run again"
        ) as caught:
            take(store, DAY, "run-2", patience=0.3, told=lambda _: None)
        waited = time.monotonic() - began
        # Each of a run's steps would wait as long otherwise.
        with pytest.raises(LeaseError):
            take(store, DAY, "run-2", told=lambda _: None)
        assert time.monotonic() - began < waited + 5
    assert "\n" not in str(caught.value)
    with held(store, DAY, "run-3"):
        pass


def test_other_names_and_other_stores_are_no_matter(store, tmp_path):
    other = open_store(tmp_path / "other")
    with (
        held(store, DAY, "a"),
        held(store, "2026-11-23", "b", patience=0),
        held(other, DAY, "c", patience=0),
    ):
        assert [each.path for each in store.list()] == [LEASE, LATER]


def test_nothing_is_left_once_it_is_given_up(store):
    with held(store, DAY, "run"):
        assert store.exists(LEASE)
    assert list(store.list()) == []


def test_a_run_takes_its_lease_once_and_gives_it_up_with_its_last_user(store):
    with held(store, DAY, "run") as outer:
        before = note(store)
        with ThreadPoolExecutor(4) as pool:
            inner = list(pool.map(lambda _: take(store, DAY, "run"), range(8)))
        assert all(each is outer for each in inner)
        for each in inner:
            each.release()
        assert note(store) == before
    assert not store.exists(LEASE)


def test_threads_without_a_run_are_kept_apart(store):
    inside, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal inside, most
        with held(store, DAY, told=lambda _: None):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert most == 1


PROCESS = """
import sys, time
from hubspot_assets.storage import open_store
from hubspot_assets.storage.leases import take
lease = take(open_store(sys.argv[1]), sys.argv[2], sys.argv[3])
print("taken", flush=True)
sys.stdin.read()
lease.release()
"""


def another_process(folder, run):
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, folder, DAY, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "taken\n"
    return process


def test_processes_of_a_run_share_its_lease_and_the_last_removes_it(folder):
    root = folder.url_of("x")[:-2]
    with held(folder, DAY, "run"):
        process = another_process(root, "run")
        with pytest.raises(LeaseError):
            take(folder, DAY, "another", patience=0)
    assert len(note(folder)["members"]) == 1
    with pytest.raises(LeaseError):
        take(folder, DAY, "a-third", patience=0)
    process.communicate("")
    assert not folder.exists(LEASE)


def test_the_lease_of_a_process_that_was_killed_is_no_ones(folder):
    process = another_process(folder.url_of("x")[:-2], "theirs")
    with pytest.raises(LeaseError):
        take(folder, DAY, "early", patience=0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(folder, DAY, "mine", patience=0):
        assert note(folder)["by"] == "mine"


def test_what_was_left_half_written_is_swept_by_the_next_run_but_not_within_one(folder):
    path = f"{DAY}/NOTES/.unfinished-0a1b"
    folder.put(path, b"half")
    with held(folder, DAY, "run"):
        assert not folder.exists(path)
        folder.put(path, b"by another process of the run, which is at it")
        process = another_process(folder.url_of("x")[:-2], "run")
        assert folder.exists(path)
        process.communicate("")


def test_a_process_that_got_the_number_of_a_dead_one_is_another():
    machine, number, started = mark().split("-")
    assert not is_gone(mark())
    assert is_gone(f"{machine}-{number}-{int(started) - 1}")
    assert not is_gone(f"ffffffffffff-{number}-{int(started) - 1}")
    assert not is_gone("no mark")


def test_the_lease_of_another_host_ends_once_nobody_renews_it(store, quick):
    anothers(store)
    told = []
    began = time.monotonic()
    with held(store, DAY, "mine", told=told.append):
        assert time.monotonic() - began >= leases.DURATION
    assert "run theirs on far-away" in told[0]


def test_a_clock_that_is_wrong_ends_no_lease(folder, quick, monkeypatch):
    anothers(folder, since="2001-01-01 00:00:00 UTC")
    with pytest.raises(LeaseError):
        take(folder, DAY, "mine", patience=0)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with pytest.raises(LeaseError):
        take(folder, DAY, "others", patience=0)


def test_a_lease_is_renewed_for_as_long_as_it_is_held(folder, monkeypatch):
    monkeypatch.setattr(leases, "DURATION", 1.5)
    with held(folder, DAY, "run"), pytest.raises(LeaseError):
        take(folder, DAY, "another", patience=2.0, told=lambda _: None)


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"by": 1}'])
def test_a_lease_that_can_not_be_read_ends_as_well(folder, quick, damaged):
    folder.put(LEASE, damaged)
    with held(folder, DAY, "mine"):
        assert note(folder)["by"] == "mine"


@pytest.fixture
def stands_still(monkeypatch):
    """No lease is renewed by itself, as while a machine sleeps."""
    monkeypatch.setattr(leases.Lease, "renew_if_due", lambda _: None)


def test_who_stood_still_for_too_long_has_lost_it(store, quick, stands_still):
    mine = take(store, DAY, "mine")
    mine.check()
    # Another host's, that has waited for as long as a lease lasts.
    anothers_note = {**note(store), "by": "theirs", "members": {"them": "ffffffffffff-1-1"}}
    time.sleep(leases.DURATION)
    store.put(LEASE, json.dumps(anothers_note).encode())
    for _ in range(2):
        with pytest.raises(
            LeaseError, match=r"taken over by run theirs .*not published: run again"
        ):
            mine.check()
    mine.release()
    assert note(store)["by"] == "theirs"


def test_who_stood_still_and_was_not_missed_goes_on(store, quick, stands_still):
    with held(store, DAY, "mine") as mine:
        time.sleep(leases.DURATION)
        mine.check()


def test_a_change_is_made_by_one_at_a_time(store):
    """Each adds one to what is there: nobody's is lost."""

    def add(_):
        for _ in range(200):
            found = store.versioned("n")
            number = int(found.content) if found else 0
            if store.swap("n", str(number + 1).encode(), found.version if found else None):
                return
        raise AssertionError

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(24)))
    assert store.get("n") == b"24"
    assert [each.path for each in store.list()] == ["n"]


def test_what_is_another_by_now_is_neither_replaced_nor_deleted(store):
    first = store.swap("x", b"1", None)
    assert store.swap("x", b"2", None) is None
    second = store.swap("x", b"2", first)
    assert store.swap("x", b"3", first) is None
    assert store.swap("x", None, first) is None
    assert store.versioned("x") == (b"2", second)
    assert store.swap("x", None, second) == ""
    assert store.versioned("x") is None
    assert store.swap("x", b"4", second) is None
    assert list(store.list()) == []
    store.put("y", b"")
    assert store.keeps_conditions("y")


def test_a_writer_that_died_at_it_is_not_in_the_way(folder, tmp_path):
    (tmp_path / "export/_leases").mkdir(parents=True)
    (tmp_path / "export/_leases" / f".guard-{DAY}.json").write_bytes(b"half")
    assert list(folder.list()) == []
    with held(folder, DAY, "mine"):
        pass
    assert not (tmp_path / "export/_leases").exists()


def test_who_waited_for_a_guard_that_is_gone_waits_for_the_next(folder, tmp_path):
    """Else two would have the lock: one of the file that was removed, one of the new one."""
    guard = tmp_path / "export" / ".guard-x"
    guard.parent.mkdir()
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        with guard.open("w") as old:
            fcntl.flock(old, fcntl.LOCK_EX)
            swapped = pool.submit(folder.swap, "x", b"1", None)
            time.sleep(0.1)
            guard.rename(tmp_path / "gone")
            new = stack.enter_context(guard.open("w"))
            fcntl.flock(new, fcntl.LOCK_EX)
        time.sleep(0.1)
        assert not swapped.done()
        fcntl.flock(new, fcntl.LOCK_UN)
        assert swapped.result(10)
    assert folder.get("x") == b"1"


def test_a_folder_whose_files_can_not_be_locked(folder, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    folder.put("x", b"")
    monkeypatch.setattr("hubspot_assets.storage.folder.fcntl.flock", refuse)
    assert not folder.keeps_conditions("x")
    with held(folder, DAY, "mine"), pytest.raises(LeaseError):
        take(folder, DAY, "another", patience=0)
    assert [each.path for each in folder.list()] == ["x"]


CONDITIONS = ("If-None-Match", "If-Match")


def refusing(status):
    """Lets a store answer a write under a condition with `status`."""

    def refuse(request, **_):
        if not any(name in request.headers for name in CONDITIONS):
            return None
        text = b"<Error><Code>NotImplemented</Code><Message>A header is odd</Message></Error>"
        raw = SimpleNamespace(stream=lambda *_, **__: iter([text]))
        headers = HTTPHeaders()
        headers["Content-Type"] = "application/xml"
        return AWSResponse(request.url, status, headers, raw)

    return "before-send.s3", refuse


def ignoring():
    """Lets a store take no notice of conditions."""

    def ignore(params, **_):
        for name in CONDITIONS:
            params["headers"].pop(name, None)

    return "before-call.s3", ignore


ODD = [refusing(501), refusing(400), refusing(405), ignoring()]


@pytest.fixture(params=ODD, ids=["501", "400", "405", "ignored"])
def odd(request, bucket, s3):
    """A bucket of a store that knows no conditions."""
    event, manner = request.param

    def new_client():
        client = s3()
        client.meta.events.register(event, manner)
        return client

    return open_store(f"s3://{bucket}/a/prefix", new_client)


def test_a_store_that_knows_no_conditions_keeps_writers_apart_but_for_a_moment(odd):
    with held(odd, DAY, "mine") as mine:
        with pytest.raises(LeaseError, match="run mine"):
            take(odd, DAY, "another", patience=0)
        mine._renew()
    with held(odd, DAY, "another", patience=0):
        pass
    assert list(odd.list()) == []


def test_of_two_that_write_at_the_same_moment_the_last_has_it(odd):
    """A read, B reads, A writes, B writes: A sees it when it looks again."""
    read = odd.versioned
    with held(odd, DAY, "them"):
        theirs = odd.get(LEASE)
    looks = []

    def late(path):
        found = read(path)
        looks.append(found)
        if len(looks) == 2:  # after the first writing
            odd.put(LEASE, theirs)
            return read(path)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(odd, "versioned", late)
        with pytest.raises(LeaseError, match="run them"):
            take(odd, DAY, "mine", patience=0)


def test_a_store_without_etags_compares_what_there_is(bucket, s3):
    def new_client():
        client = s3()
        for operation in ("GetObject", "PutObject"):
            client.meta.events.register(
                f"after-call.s3.{operation}", lambda parsed, **_: parsed.pop("ETag", None)
            )
        return client

    store = open_store(f"s3://{bucket}", new_client)
    with held(store, DAY, "mine") as mine:
        with pytest.raises(LeaseError):
            take(store, DAY, "another", patience=0)
        mine._renew()
    assert list(store.list()) == []


def test_check_tells_of_it_once(odd):
    url = odd.url_of("x")[:-2]
    odd.put("x", b"")
    assert not odd.keeps_conditions("x")
    found = [each for each in check_bucket(url, None, odd._new_client) if each.status != "ok"]
    told = [each for each in found if each.tried == "one writer at a time"]
    assert [each.status for each in told] == ["warning"]
    assert "does not know If-None-Match: two exports of one day" in told[0].detail
