from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hubspot_assets.hubspot.concurrent import begun, in_order


def test_results_come_in_the_order_of_items_however_long_each_takes() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(5)
        if number == 1:
            second_is_done.set()
        return number * 10

    assert list(in_order(work, range(20), workers=4)) == [n * 10 for n in range(20)]


def test_items_are_taken_lazily_and_many_are_in_flight() -> None:
    taken = []
    all_in_flight = threading.Barrier(4, timeout=5)

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number < 4:
            all_in_flight.wait()
        return number

    results = in_order(work, items(), workers=4)
    assert next(results) == 0
    assert len(taken) == 4
    results.close()
    assert len(taken) == 4


def test_one_that_takes_long_keeps_as_many_waiting_as_may_be_held() -> None:
    fifth_is_done = threading.Event()
    taken = []

    def work(number: int) -> int:
        if number == 0:
            assert fifth_is_done.wait(5)
        if number == 4:
            fifth_is_done.set()
        return number

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(work, items(), workers=2, held=5)
    assert next(results) == 0
    assert len(taken) == 5
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    assert len(taken) == 8
    results.close()


def test_the_first_error_is_raised_in_its_turn_and_ends_the_rest() -> None:
    started = []

    def work(number: int) -> int:
        started.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    results = in_order(work, range(1000), workers=2)
    assert [next(results), next(results), next(results)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert len(started) <= 8
    assert not [t for t in threading.enumerate() if t.name.startswith("hubspot_")]


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(in_order(str, items(), workers=2))


def test_no_items() -> None:
    assert list(in_order(str, [], workers=2)) == []


def test_iterators_are_begun_at_once_and_fail_in_their_turn() -> None:
    all_begun = threading.Barrier(4, timeout=5)
    further = []

    def numbers(first: int) -> Iterator[int]:
        if first < 40:
            all_begun.wait()
        if first == 20:
            raise ValueError("twenty")
        for number in range(first, first + 3):
            yield number
            further.append(number)

    found = begun((numbers(10 * each) for each in range(6)), workers=4)
    assert list(next(found)) == [0, 1, 2]
    assert further == [0, 1, 2]
    assert list(next(found)) == [10, 11, 12]
    with pytest.raises(ValueError, match="twenty"):
        list(next(found))
    assert [next(each) for each in found] == [30, 40, 50]
