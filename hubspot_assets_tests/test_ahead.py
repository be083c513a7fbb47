"""Short sources are read ahead, several at a time, and never before what they need."""

from contextlib import closing
from threading import Barrier, BrokenBarrierError

import pytest

from hubspot_assets.assets.ahead import ReadAhead
from hubspot_assets.sources.source import Source


def source(name, *needs, short=True, also=()):
    return Source(
        name, (name,), name, None, needs=needs, short=short, also=also, group="events", api="events"
    )


def test_what_is_due_is_read_at_once():
    first, second = source("first"), source("second")
    both = Barrier(2, timeout=20)

    def read(each):
        both.wait()
        return each.name

    with closing(ReadAhead([first, second], 2)) as ahead:
        assert [ahead.take(each, read) for each in (first, second)] == ["first", "second"]


@pytest.mark.parametrize("needed", ["contacts", "addresses"])
def test_what_is_needed_comes_first(needed):
    contacts = source("contacts", short=False, also=("addresses",))
    owners, events = source("owners"), source("events", needed)
    read = []
    with closing(ReadAhead([events, owners, contacts], 2)) as ahead:
        ahead.take(owners, lambda each: read.append(each.name))
        assert read == ["owners"]
        ahead.take(contacts, lambda each: read.append(each.name))
        assert read == ["owners", "contacts"]
        ahead.take(events, lambda each: read.append(each.name))
    assert read == ["owners", "contacts", "events"]


def test_a_long_source_is_read_when_its_turn_comes():
    alone = Barrier(2, timeout=0.2)
    long = [source("contacts", short=False), source("deals", short=False)]
    with closing(ReadAhead(long, 2)) as ahead, pytest.raises(BrokenBarrierError):
        ahead.take(long[0], lambda _: alone.wait())


def test_a_failure_is_told_in_its_turn_and_the_source_read_again_when_it_is_tried_again():
    good, bad = source("good"), source("bad")
    tries = []

    def read(each):
        tries.append(each.name)
        if tries.count("bad") == 1 and each is bad:
            raise OSError("no")
        return each.name

    with closing(ReadAhead([bad, good], 1)) as ahead:
        assert ahead.take(good, read) == "good"
        with pytest.raises(OSError, match="no"):
            ahead.take(bad, read)
        assert ahead.take(bad, read) == "bad"
    assert tries == ["bad", "good", "bad"]
