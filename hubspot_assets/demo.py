"""A sandbox portal in a process of its own, with the settings to read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hubspot_assets.day import newest_complete_day
from hubspot_assets.settings import Settings, load_settings

#: The demo is a portal with the add-on for more requests, so that it is over soon.
DEMO_BURST = 1000


class SandboxError(Exception):
    """A sandbox that did not start."""


@contextmanager
def sandbox_process(*options: str) -> Iterator[Mapping[str, str]]:
    """A sandbox with these command line options; gives the environment that reaches it."""
    command = [sys.executable, "-m", "hubspot_assets.cli", "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout  # noqa: S101
            lines = [process.stdout.readline().strip() for _ in range(2)]
            if not all(lines):
                raise SandboxError(f"the sandbox ended with status {process.wait()}")
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()


@contextmanager
def sandbox_settings(*, records: int, seed: int) -> Iterator[Settings]:
    """The settings that deliver yesterday of a sandbox portal into ./export.

    The portal's clock stands at six in the morning of today, so that the same day gives the
    same portal however often it is read.
    """
    newest = newest_complete_day(ZoneInfo("UTC"))
    now = datetime.combine(newest + timedelta(days=1), time(6), UTC)
    options = {
        "--records": records,
        "--seed": seed,
        "--now": now.replace(tzinfo=None).isoformat(),
        "--burst": DEMO_BURST,
    }
    arguments = [str(each) for pair in options.items() for each in pair]
    with sandbox_process(*arguments) as environment:
        os.environ.update(environment, EXPORT_URL="./export", EXPORT_TIMEZONE="UTC")
        yield load_settings()
