"""Budgets that hosts share through a Redis server, which may be away."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from redis import Redis

from hubspot_assets.hubspot import shared
from hubspot_assets.hubspot.auth import RefreshToken
from hubspot_assets.hubspot.budgets import DEFAULTS, MARGIN_SECONDS, MARGIN_SHARE
from hubspot_assets.hubspot.errors import DailyLimitReached
from hubspot_assets.hubspot.shared import BudgetServer, SharedBudgets, SharedTokens
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.hubspot.test_budgets import RollingServer, pairs
from hubspot_assets_tests.servers import redis_server
from hubspot_assets_tests.test_commands import fails, run

#: So short a window that tests may wait for it.
LIMIT, INTERVAL = 20, 1.0
WIDTH = INTERVAL * (1 + MARGIN_SHARE) + MARGIN_SECONDS


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def host(redis, tmp_path, monkeypatch):
    """Gives the budgets of a host by its name; the clocks of hosts differ."""

    def of(name, ahead=0.0, **more):
        monkeypatch.setattr(socket, "gethostname", lambda: name)
        (tmp_path / name).mkdir(exist_ok=True)
        clock = {"clock": lambda: time.time() + ahead}
        return SharedBudgets(BudgetServer(redis.url), tmp_path / name, **clock | more)

    return of


def learn(budgets, remaining=LIMIT, name="general"):
    """What an answer told that has just come."""
    told = RollingServer(LIMIT, INTERVAL).headers(remaining)
    budgets.learn(name, told, budgets._clock())


SENDS = """
import sys, time
from pathlib import Path
from hubspot_assets.hubspot.shared import BudgetServer, SharedBudgets
url, folder, ahead, calls = sys.argv[1:]
budgets = SharedBudgets(
    BudgetServer(url), Path(folder), clock=lambda: time.time() + float(ahead)
)
for _ in range(int(calls)):
    budgets.acquire("general")
    print(time.time(), flush=True)
"""


def within_limit(turns, sent, calls):
    """However late a busy machine wakes: none is sent before its turn, and turns are apart."""
    assert len(turns) == len(sent) == calls
    assert all(later - earlier >= WIDTH - 1e-4 for earlier, later in pairs(turns, LIMIT))
    assert all(at >= turn - 0.01 for turn, at in zip(turns, sorted(sent), strict=True))


@pytest.mark.slow
def test_processes_of_hosts_whose_clocks_differ_never_exceed_the_limit(redis, host, tmp_path):
    learn(host("first"))
    processes = []
    for number, ahead in enumerate((0, -7.5, 12, 300)):
        (tmp_path / str(number)).mkdir()
        command = [sys.executable, "-c", SENDS, redis.url, tmp_path / str(number), str(ahead)]
        processes.append(subprocess.Popen([*command, "25"], stdout=subprocess.PIPE, text=True))
    told = [each.communicate(timeout=60)[0] for each in processes]
    sent = sorted(map(float, " ".join(told).split()))
    within_limit(redis.turns(), sent, calls=100)
    assert sent[-1] - sent[0] < 5 * WIDTH + 4, "what is allowed is used"


def test_many_threads_never_exceed_the_limit(redis, host):
    budgets = [host(name, ahead) for name, ahead in (("a", 0), ("b", 9))]
    learn(budgets[0])
    sent = []

    def send(of):
        for _ in range(10):
            of.acquire("general")
            sent.append(time.time())

    threads = [threading.Thread(target=send, args=(budgets[each % 2],)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    within_limit(redis.turns(), sent, calls=80)


def test_what_one_host_learns_others_know(host):
    first, second = host("first"), host("second", ahead=-5)
    assert second.limit("general") == DEFAULTS["general"][0]
    learn(first)
    assert second.limit("general") == LIMIT
    assert second.limit("associations") == DEFAULTS["associations"][0]


def test_room_is_left_for_others_whom_any_host_has_seen(host):
    first, second = host("first", ahead=30), host("second", ahead=-30)
    assert first.acquire("general") == 0
    learn(first, remaining=4)  # 15 of the 16 calls so far were others'
    assert [second.acquire("general") for _ in range(4)] == [0] * 4
    assert second.acquire("general") > 0
    time.sleep(2 * WIDTH)
    assert [first.acquire("general") for _ in range(LIMIT)] == [0] * LIMIT


def test_a_hold_is_everybodys_and_outruns_a_turn_that_was_taken(host):
    first, second = host("first"), host("second", ahead=60)
    learn(first)
    for _ in range(LIMIT):
        first.acquire("general")
    waited = []
    thread = threading.Thread(target=lambda: waited.append(second.acquire("general")))
    thread.start()
    time.sleep(0.3)
    first.hold("general", 2)
    thread.join()
    assert 2 <= waited[0] < 2.3 + WIDTH
    assert first.acquire("search") == 0


def test_the_end_of_the_days_calls_is_known_without_the_server(host, redis):
    first = host("first")
    resumes_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    first.exhaust("general", resumes_at)
    redis.end()
    for each in (first, host("first")):
        with pytest.raises(DailyLimitReached) as found:
            each.acquire("general")
        assert found.value.resumes_at == resumes_at


def test_the_server_tells_others_of_the_days_calls(host, monkeypatch):
    monkeypatch.setattr(shared, "TOLD", 0)
    first, second = host("first"), host("second")
    second.acquire("general")
    first.exhaust("general", datetime.now(UTC) + timedelta(hours=3))
    with pytest.raises(DailyLimitReached):
        second.acquire("general")
    second.acquire("search")


def said(caplog):
    return [each.message for each in caplog.records if "BUDGET_URL" in each.message]


def test_without_the_server_each_host_keeps_to_its_share_and_says_so_once(
    host, redis, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(shared, "LOOKED_FOR", 0.2)
    hosts = [host(name) for name in "abcd"]
    learn(hosts[0])
    for each in hosts:
        each.acquire("general")
    learn(hosts[0])
    sent = [[] for _ in hosts]
    began = time.monotonic()
    redis_ends, redis_begins, until = began + 1.5, began + 6, began + 10

    def send(of, times):
        while time.monotonic() < until:
            of.acquire("general")
            times.append(time.monotonic())
            learn(of)

    threads = [
        threading.Thread(target=send, args=(of, times))
        for of, times in zip(hosts, sent, strict=True)
    ]
    for thread in threads:
        thread.start()
    time.sleep(redis_ends - time.monotonic())
    redis.end()
    time.sleep(redis_begins - time.monotonic())
    redis.begin()
    for thread in threads:
        thread.join()
    every = sorted(at for times in sent for at in times)
    assert all(later - earlier > INTERVAL for earlier, later in pairs(every, LIMIT))
    assert any(redis_ends + WIDTH < at < redis_begins for at in every), "nothing stops"
    assert any(redis_begins + WIDTH < at for at in every)
    assert sum("keeps to its share" in each for each in said(caplog)) == len(hosts)
    assert sum("answers again" in each for each in said(caplog)) == len(hosts)


def test_a_server_that_is_silent_costs_no_more_than_a_moment(host, redis, monkeypatch):
    monkeypatch.setattr(shared, "PATIENCE", 0.2)
    budgets = host("a")
    budgets.acquire("search")
    os.kill(redis.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert budgets.acquire("search") > 0, "a window is waited for"
    for _ in range(3):
        budgets.acquire("search")
    assert time.monotonic() - started < 6


def test_a_server_whose_clock_was_set_back_begins_anew(host, redis):
    budgets = host("a")
    budgets.acquire("general")
    with Redis.from_url(redis.url) as there:
        there.rpush("hubspot-assets:{account.general}:times", str(time.time() + 5000))
    assert budgets.acquire("general") == 0


def test_no_password_is_told(caplog, tmp_path):
    budgets = SharedBudgets(BudgetServer("redis://user:a-5ecret@127.0.0.1:1/0"), tmp_path)
    budgets.acquire("search")
    assert said(caplog)
    assert "5ecret" not in caplog.text


def test_an_export_shares_its_limits(redis, reach, shared_sandbox):
    reach(shared_sandbox, BUDGET_URL=redis.url)
    assert run("export", "--day", DAY, "--select", "OWNERS")[0] == 0
    with Redis.from_url(redis.url, decode_responses=True) as there:
        (times,) = there.keys("hubspot-assets:*.general}:times")
        assert there.llen(times) > 3


def test_redis_is_asked_for_where_it_is_not_installed(reach, shared_sandbox, monkeypatch):
    reach(shared_sandbox, BUDGET_URL="redis://127.0.0.1")
    monkeypatch.delitem(sys.modules, "hubspot_assets.hubspot.shared")
    monkeypatch.setitem(sys.modules, "redis", None)
    fails(2, "run: pip install 'hubspot-assets[redis]'", "discover")


@pytest.fixture
def app(redis, tmp_path):
    """Gives the tokens of an app that rotates them, as a host has them; and the app."""
    given = []

    def exchange(form):
        assert form["refresh_token"] == (f"refresh-{len(given)}" if given else "refresh")
        given.append(form)
        return {"access_token": f"access-{len(given)}", "refresh_token": f"refresh-{len(given)}"}

    def of(name):
        server = BudgetServer(redis.url)
        kept = partial(SharedTokens, server, path=tmp_path / f"{name}.tokens")
        return RefreshToken("client", "secret", "refresh", kept=kept)

    return of, exchange


def test_hosts_share_the_tokens_that_one_has_fetched(app):
    host_of, exchange = app
    first, second = host_of("first"), host_of("second")
    assert first.token(exchange) == second.token(exchange) == "access-1"
    assert second.renew("access-1", exchange)
    assert first.renew("access-1", exchange)
    assert first.token(exchange) == host_of("third").token(exchange) == "access-2"


def test_tokens_are_known_to_a_host_while_the_server_is_away(app, redis):
    host_of, exchange = app
    assert host_of("first").token(exchange) == "access-1"
    redis.end()
    again = host_of("first")
    assert again.token(exchange) == "access-1"
    assert again.renew("access-1", exchange)
    assert again.token(exchange) == "access-2"
    redis.begin()
    assert host_of("first").token(exchange) == "access-2"


def test_hosts_that_renew_at_once_do_so_once(app):
    host_of, exchange = app

    def slowly(form):
        time.sleep(0.3)
        return exchange(form)

    found = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(host_of(each).token(slowly)))
        for each in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["access-1"] * 4
