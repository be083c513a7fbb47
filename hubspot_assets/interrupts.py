"""The signals that end a command."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: What ends a command: Ctrl+C, and who stops a process or a container.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts() -> Iterator[Callable[[], signal.Signals]]:
    """Has SIGTERM raise KeyboardInterrupt, as SIGINT does; gives what tells which of them it was.

    That is known even where it was handled by Dagster, which takes both over while a run lasts and
    makes no difference between them. For the main thread.
    """
    received, noted = os.pipe()
    os.set_blocking(received, False)
    os.set_blocking(noted, False)
    former_fd = signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def first() -> signal.Signals:
        numbers = os.read(received, 64)
        return next(signal.Signals(each) for each in numbers if each in _SIGNALS)

    try:
        yield first
    finally:
        signal.signal(signal.SIGTERM, former)
        signal.set_wakeup_fd(former_fd)
        os.close(received)
        os.close(noted)


def give_logging_back() -> None:
    """Gives logging's lock back, if an interrupt came while this thread had it.

    Up to Python 3.12 `logging.Manager._clear_cache`, which each of Dagster's steps calls, takes it
    and does not see to it that it is given back: whoever logs would wait for it for ever.
    """
    lock = getattr(logging, "_lock")  # noqa: B009  (typeshed does not know it)
    with suppress(RuntimeError):  # it is not this thread's
        while True:
            lock.release()
