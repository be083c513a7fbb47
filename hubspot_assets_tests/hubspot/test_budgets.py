from __future__ import annotations

import heapq
import multiprocessing
import random
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier, Thread

import pytest

from hubspot_assets.hubspot.budgets import Budgets, Daily, Window
from hubspot_assets.hubspot.errors import DailyLimitReached
from hubspot_assets_tests.hubspot.fakes import START, FakeTime


class RollingServer:
    """HubSpot's side of a policy: at most `limit` calls in any `interval` seconds."""

    def __init__(self, limit: int, interval: float) -> None:
        self.limit, self.interval = limit, interval
        self.served = 0
        self.refused = 0
        self._arrivals: deque[float] = deque()

    def arrive(self, now: float, *, ours: bool = True) -> int:
        """One call; returns how many are left, -1 for a 429."""
        while self._arrivals and self._arrivals[0] <= now - self.interval:
            self._arrivals.popleft()
        if len(self._arrivals) < self.limit:
            self._arrivals.append(now)
            self.served += ours
        else:
            self.refused += ours
            return -1
        return self.limit - len(self._arrivals)

    def headers(self, remaining: int) -> dict[bytes, bytes]:
        prefix = b"x-hubspot-ratelimit-"
        return {
            prefix + b"max": b"%d" % self.limit,
            prefix + b"interval-milliseconds": b"%d" % (self.interval * 1000),
            prefix + b"remaining": b"%d" % remaining,
        }


def sync(
    server: RollingServer, name: str, seconds: float, workers: int = 16, others_every: float = 0
) -> None:
    """A sync for `seconds`: workers that call, wait for the answer and call again.

    Calls take 10 to 60 ms to arrive and 20 to 200 ms to be answered. If `others_every` is set,
    somebody else calls, too, once in so many seconds.
    """
    time = FakeTime()
    budgets = Budgets(clock=time.clock, sleep=time.sleep)
    chance = random.Random(7)
    events: list[tuple[float, int, str, tuple[float, int]]] = []

    def later(at: float, what: str, *facts: float) -> None:
        heapq.heappush(events, (at, chance.getrandbits(60), what, facts))  # type: ignore[misc]

    for _ in range(workers):
        later(START, "send")
    if others_every:
        later(START, "other")
    while events and events[0][0] < START + seconds:
        time.now, _, what, facts = heapq.heappop(events)
        now = time.now
        if what == "other":
            server.arrive(now, ours=False)
            later(now + others_every, "other")
        elif what == "send":
            budgets.acquire(name)  # moves the time to the turn, if that lies ahead
            later(time.now + chance.uniform(0.01, 0.06), "arrive", time.now)
        elif what == "arrive":
            remaining = server.arrive(now)
            later(now + chance.uniform(0.02, 0.2), "answer", facts[0], remaining)
        else:
            sent_at, remaining = facts
            budgets.learn(name, server.headers(max(remaining, 0)), sent_at)
            if remaining < 0:
                budgets.hold(name, server.interval)
            later(now, "send")


@pytest.mark.parametrize(
    ("name", "limit", "interval"),
    [
        ("general", 100, 10),
        ("general", 190, 10),
        ("general", 250, 10),
        ("search", 5, 1),
        ("associations", 150, 10),
    ],
)
def test_a_sync_uses_the_allowance_without_429s(name: str, limit: int, interval: float) -> None:
    server = RollingServer(limit, interval)
    sync(server, name, seconds=300)
    assert server.refused == 0
    assert server.served >= 0.9 * limit * 300 / interval


def test_a_sync_leaves_room_for_others_who_use_the_account() -> None:
    server = RollingServer(190, 10)
    sync(server, "general", seconds=300, others_every=0.2)
    left_for_us = (190 - 50) * 300 / 10
    assert server.served >= 0.9 * left_for_us
    assert server.refused <= 0.01 * server.served


def test_room_is_taken_back_when_the_others_are_gone() -> None:
    time = FakeTime()
    window = Window(100, 10, clock=time.clock, sleep=time.sleep)
    window.acquire()
    window.learn(100, 10, 9, time.now)  # 90 of the 91 calls so far were others'
    for _ in range(9):
        assert window.acquire() == 0
    assert window.acquire() > 10
    window.learn(100, 10, 98, time.now)
    time.sleep(20)
    assert [window.acquire() for _ in range(100)] == [0] * 100


def test_somebody_who_takes_all_does_not_stop_us() -> None:
    time = FakeTime()
    window = Window(100, 10, clock=time.clock, sleep=time.sleep)
    window.learn(100, 10, 0, time.now)
    assert [window.acquire() for _ in range(10)] == [0] * 10
    assert window.acquire() > 0


def test_the_size_is_learned_from_headers_whatever_they_hold() -> None:
    budgets = Budgets()
    learned = RollingServer(190, 10).headers(190)
    assert budgets.limit("general") == 100
    for nonsense in (
        {},
        {b"x-hubspot-ratelimit-max": b"190"},
        {**learned, b"x-hubspot-ratelimit-max": b"many"},
        {**learned, b"x-hubspot-ratelimit-interval-milliseconds": b"0"},
    ):
        budgets.learn("general", nonsense, START)
        assert budgets.limit("general") == 100
    budgets.learn("general", learned, START)
    assert budgets.limit("general") == 190
    # Search tells nothing of itself; what an associations answer tells may be the general size.
    budgets.learn("search", learned, START)
    budgets.learn("associations", learned, START)
    assert budgets.limit("search") == 5
    assert budgets.limit("associations") == 150


def test_a_size_beyond_what_is_remembered_is_kept_to_in_a_shorter_window() -> None:
    time = FakeTime()
    budgets = Budgets(clock=time.clock, sleep=time.sleep)
    budgets.learn("general", RollingServer(10_000, 10).headers(9_000), START)
    assert [budgets.acquire("general") for _ in range(500)] == [0] * 500
    assert 0.5 < budgets.acquire("general") < 0.6


def test_a_larger_size_is_used_at_once_and_a_smaller_one_too() -> None:
    time = FakeTime()
    window = Window(100, 10, clock=time.clock, sleep=time.sleep)
    assert sum(window.acquire() for _ in range(100)) == 0
    window.learn(190, 10, None, time.now)
    assert sum(window.acquire() for _ in range(90)) == 0
    assert window.acquire() > 10
    window.learn(20, 10, None, time.now)
    assert sum(window.acquire() for _ in range(19)) == 0
    assert window.acquire() > 10


def test_a_hold_is_for_all_calls_on_the_budget() -> None:
    time = FakeTime()
    budgets = Budgets(clock=time.clock, sleep=time.sleep)
    budgets.hold("general", 20)
    budgets.hold("general", 10)
    assert budgets.acquire("search") == 0
    assert budgets.acquire("general") == 20


def test_a_hold_forfeits_turns_that_were_taken_before_it() -> None:
    time = FakeTime()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if len(time.slept) == 1:  # while we sleep another thread is answered 429
            window.hold(30)

    window = Window(1, 10, clock=time.clock, sleep=sleep)
    assert window.acquire() == 0
    assert window.acquire() > 10 + 30
    assert len(time.slept) == 2


def test_the_day_ends_for_one_budget_until_midnight() -> None:
    time = FakeTime()
    budgets = Budgets(clock=time.clock, sleep=time.sleep)
    midnight = datetime.fromtimestamp(START + 3600, timezone(timedelta(hours=2)))
    budgets.exhaust("general", midnight)
    with pytest.raises(DailyLimitReached, match=r"resume at 2026-11-24T02:59\+02:00$") as raised:
        budgets.acquire("general")
    assert raised.value.resumes_at == midnight
    assert budgets.acquire("associations") == 0
    time.sleep(3600)
    assert budgets.acquire("general") == 0


def test_a_day_that_has_ended_is_known_to_all_processes_of_the_account(tmp_path: Path) -> None:
    time = FakeTime()
    first, second = (Budgets(tmp_path, "one", clock=time.clock, sleep=time.sleep) for _ in range(2))
    assert second.acquire("general") == 0
    midnight = datetime.fromtimestamp(START + 3600, UTC)
    first.exhaust("general", midnight)
    for knows in (second, Budgets(tmp_path, "one", clock=time.clock, sleep=time.sleep)):
        with pytest.raises(DailyLimitReached, match="resume at 2026-11-24T00:59") as raised:
            knows.acquire("general")
        assert raised.value.resumes_at == midnight
        assert knows.acquire("associations") == 0
    assert Budgets(tmp_path, "another", clock=time.clock).acquire("general") == 0
    time.sleep(3600)
    assert second.acquire("general") == 0


@pytest.mark.parametrize(
    "left", [b"", b"{", b"[1]", b'{"general": 7}', b'{"general": "2027-11-24T00:00:00+00:00"}']
)
def test_what_makes_no_sense_of_the_day_stops_nobody(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "account.daily").write_bytes(left)
    assert Budgets(tmp_path, clock=lambda: START).acquire("general") == 0


def test_the_calls_of_the_day_are_known_when_told() -> None:
    budgets = Budgets()
    assert budgets.daily is None
    prefix = b"x-hubspot-ratelimit-daily"
    budgets.learn("general", {prefix: b"250000", prefix + b"-remaining": b"249999"}, START)
    assert budgets.daily == Daily(250_000, 249_999)


def test_threads_never_exceed_a_budget_together(tmp_path: Path) -> None:
    slept: list[float] = []
    budgets = Budgets(tmp_path, clock=lambda: START, sleep=slept.append)
    together = Barrier(8)

    def work() -> None:
        together.wait()
        for _ in range(25):
            budgets.acquire("general")

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slept) == 100


def _send_for_a_while(path: Path, calls: int, out: multiprocessing.Queue[list[float]]) -> None:
    time = FakeTime()
    window = Window(100, 10, path=path, clock=time.clock, sleep=time.sleep)
    sent = []
    for _ in range(calls):
        window.acquire()
        sent.append(time.now)
    out.put(sent)


def test_two_processes_share_a_budget(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[float]] = context.Queue()
    path = tmp_path / "account.general"
    processes = [context.Process(target=_send_for_a_while, args=(path, 400, out)) for _ in "ab"]
    for process in processes:
        process.start()
    sent = sorted(out.get(timeout=30) + out.get(timeout=30))
    for process in processes:
        process.join()
    assert len(sent) == 800
    assert all(later - earlier > 10 for earlier, later in pairs(sent, 100))
    assert sent[-1] - sent[0] < 8 * 10 / 0.9


def pairs(times: list[float], apart: int) -> Iterator[tuple[float, float]]:
    return zip(times, times[apart:], strict=False)


def test_a_budget_outlives_the_process_and_knows_its_account(tmp_path: Path) -> None:
    time = FakeTime()
    first = Budgets(tmp_path / "new", "one", clock=time.clock, sleep=time.sleep)
    first.learn("general", RollingServer(190, 10).headers(190), time.now)
    for _ in range(190):
        first.acquire("general")
    again = Budgets(tmp_path / "new", "one", clock=time.clock, sleep=time.sleep)
    other = Budgets(tmp_path / "new", "two", clock=time.clock, sleep=time.sleep)
    assert again.limit("general") == 190
    assert other.acquire("general") == 0
    assert again.acquire("general") > 10
    assert sorted(path.name for path in (tmp_path / "new").iterdir())[:3] == [
        "one.associations",
        "one.general",
        "one.search",
    ]
    assert (tmp_path / "new" / "one.general").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 4056, b"\x00" * 4056, b"7" * 9000])
def test_a_file_that_is_no_log_becomes_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "account.general"
    path.write_bytes(content)
    time = FakeTime()
    window = Window(100, 10, path=path, clock=time.clock, sleep=time.sleep)
    assert sum(window.acquire() for _ in range(100)) == 0
    path.write_bytes(content)  # and while it is in use, too
    assert window.acquire() == 0
    assert window.limit == 100


def test_a_log_from_the_future_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "account.general"
    late = FakeTime(START + 5000)
    Window(1, 10, path=path, clock=late.clock, sleep=late.sleep).acquire()
    time = FakeTime()
    assert Window(1, 10, path=path, clock=time.clock, sleep=time.sleep).acquire() == 0
