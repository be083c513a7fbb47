"""Sources are read ahead, several at a time, and never before what they need."""

import subprocess
import sys
from contextlib import closing
from threading import Barrier, Event, Lock, Thread

import pytest

from hubspot_assets.assets.ahead import ReadAhead, by_need
from hubspot_assets.hubspot.stopping import Stopped
from hubspot_assets.sources.source import Source


def source(name, *needs, also=(), **more):
    told = {"needs": needs, "also": also, "group": "events", "api": "events"} | more
    return Source(name, (name,), name, None, **told)


class Reads:
    """A `read` that notes what was read, and whose reading of some sources waits until let go."""

    def __init__(self, *held):
        self.names = []
        self.at_once = self.most_at_once = 0
        self._held = {each: Event() for each in held}
        self._begun = {}
        self._lock = Lock()

    def __call__(self, each):
        with self._lock:
            self.names.append(each.name)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            self._begun.setdefault(each.name, Event()).set()
        if each.name in self._held:
            assert self._held[each.name].wait(20)
        with self._lock:
            self.at_once -= 1
        return each.name

    def let(self, name):
        self._held[name].set()

    def until_begun(self, name):
        with self._lock:
            begun = self._begun.setdefault(name, Event())
        assert begun.wait(20)


def test_what_is_due_is_read_at_once():
    first, second = source("first"), source("second")
    both = Barrier(2, timeout=20)

    def read(each):
        both.wait()
        return each.name

    with closing(ReadAhead([first, second], 2)) as ahead:
        assert [ahead.take(each, read) for each in (first, second)] == ["first", "second"]


@pytest.mark.parametrize("needed", ["contacts", "addresses"])
def test_what_is_needed_comes_first_and_what_needs_it_is_begun_by_itself(needed):
    contacts, events = source("contacts", also=("addresses",)), source("events", needed)
    owners = source("owners")
    read = Reads("contacts", "owners")
    with closing(ReadAhead([events, owners, contacts], 3)) as ahead:
        waiting = Thread(target=ahead.take, args=(owners, read))
        waiting.start()
        read.until_begun("contacts")
        assert "events" not in read.names
        read.let("contacts")
        read.until_begun("events")
        read.let("owners")
        waiting.join()
        assert ahead.take(events, read) == "events"
    assert sorted(read.names) == ["contacts", "events", "owners"]


def test_what_was_not_read_costs_what_needs_it_and_nothing_else():
    contacts, links, owners = source("contacts"), source("links", "contacts"), source("owners")
    tries = []

    def read(each):
        tries.append(each.name)
        if tries.count("contacts") == 1 and each is contacts:
            raise OSError("no")
        return each.name

    with closing(ReadAhead([contacts, links, owners], 1)) as ahead:
        assert ahead.take(owners, read) == "owners"
        with pytest.raises(OSError, match="no"):
            ahead.take(contacts, read)
        assert "links" not in tries
        assert ahead.take(contacts, read) == "contacts"
        assert ahead.take(links, read) == "links"
    assert sorted(tries) == ["contacts", "contacts", "links", "owners"]


def test_so_many_sources_are_read_ahead_at_a_time_and_no_more():
    every = [source(str(each)) for each in range(6)]
    read = Reads(*(each.name for each in every))
    with closing(ReadAhead(every, 2)) as ahead:
        last = Thread(target=ahead.take, args=(every[-1], read))
        last.start()
        for each in every:
            read.until_begun(each.name)
            read.let(each.name)
        last.join()
        assert [ahead.take(each, read) for each in every[:-1]] == ["0", "1", "2", "3", "4"]
    assert read.most_at_once <= 3  # that of the step, too


def test_links_wait_for_no_place_among_others_nor_others_for_one_among_links():
    pair = ("0-1", "0-2")
    owners, teams, last = source("owners"), source("teams"), source("last")
    links, more_links = source("links", pair=pair), source("more links", pair=pair)
    every = [owners, teams, links, more_links, last]
    read = Reads("owners", "links", "last")
    with closing(ReadAhead(every, 1)) as ahead:
        step = Thread(target=ahead.take, args=(last, read))
        step.start()
        for name in ("owners", "links", "last"):
            read.until_begun(name)
        assert sorted(read.names) == ["last", "links", "owners"]
        read.let("links")
        read.until_begun("more links")
        assert "teams" not in read.names
        read.let("owners")
        read.until_begun("teams")
        read.let("last")
        step.join()


def test_records_come_before_what_nothing_waits_for():
    every = [source("events"), source("calls", object_type_id="0-48")]
    assert [each.name for each in by_need(every)] == ["calls", "events"]


def test_what_most_others_wait_for_comes_first():
    every = [source("owners"), source("deals", "types"), source("types"), source("links", "types")]
    every.append(source("labels", "deals", also=("more",)))
    assert [each.name for each in by_need(every)] == ["types", "deals", "owners", "links", "labels"]


def test_a_run_that_is_stopped_begins_nothing_more():
    first, *others = (source(str(each)) for each in range(9))
    tries = []

    def read(each):
        tries.append(each.name)
        raise Stopped

    ahead = ReadAhead([*others, first], 1)
    with pytest.raises(Stopped):
        ahead.take(first, read)
    ahead.close()
    assert len(tries) == 2  # its own, and what had been begun with it


INTERRUPTED = """
import logging, signal, threading
from hubspot_assets.assets.ahead import ReadAhead
from hubspot_assets.sources.source import Source

class Loggers(dict):
    def values(self):
        signal.raise_signal(signal.SIGINT)
        return super().values()

def read(each):
    if each is ahead_of_it:
        begun.set()
        interrupted.wait()
        logging.getLogger("of it").isEnabledFor(logging.DEBUG)

begun, interrupted = threading.Event(), threading.Event()
now, ahead_of_it = (Source(x, (x,), x, None, needs=(), group="", api="") for x in "ab")
ahead = ReadAhead([now, ahead_of_it], 1)
ahead.take(now, read)
begun.wait()
signal.signal(signal.SIGINT, signal.default_int_handler)
logging.Logger.manager.loggerDict = Loggers(logging.Logger.manager.loggerDict)
try:
    logging.getLogger().setLevel(logging.INFO)
except KeyboardInterrupt:
    interrupted.set()
    ahead.close()
    print("ended")
"""


def test_it_ends_though_an_interrupt_came_while_logging_had_its_lock():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("ended\n", "")
