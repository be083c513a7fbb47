"""A sandbox portal in a process of its own, with the settings to read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hubspot_assets.day import newest_complete_day
from hubspot_assets.env_file import begins_as_ours
from hubspot_assets.settings import Settings, load_settings

#: Below it is all that demo and dev write; a checkout's `.env` is not in it.
FOLDER = Path("demo")

#: The demo is a portal with the add-on for more requests, so that it is over soon.
DEMO_BURST = 1000


class SandboxError(Exception):
    """A sandbox that did not start."""


@contextmanager
def sandbox_process(*options: str) -> Iterator[Mapping[str, str]]:
    """A sandbox with these command line options; gives the environment that reaches it."""
    command = [sys.executable, "-m", "hubspot_assets.sandbox", "--port", "0", *options]
    with subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl+C is for who reads it
    ) as process:
        try:
            assert process.stdout  # noqa: S101
            lines = [process.stdout.readline().strip() for _ in range(2)]
            if not all(lines):
                raise SandboxError(f"the sandbox ended with status {process.wait()}")
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.kill()  # it keeps nothing, and would answer what is under way first


@contextmanager
def own_folder() -> Iterator[Path]:
    """Works in FOLDER, which it gives as an absolute path, and without a setting of this machine.

    Settings and Dagster look for `.env` in the working folder, so do the processes that are
    started in it. The environment has nothing that begins as a setting of ours or of Dagster's.
    Raises SandboxError where FOLDER has a `.env` of its own.
    """
    folder = FOLDER.absolute()
    if (folder / ".env").exists():
        raise SandboxError(f"{folder / '.env'}: the sandbox is read without settings; remove it")
    folder.mkdir(exist_ok=True)
    known = [name.upper() for name in Settings.model_fields]
    before = dict(os.environ)
    for name in before:
        if name.startswith("DAGSTER_") or begins_as_ours(name, known):
            del os.environ[name]
    try:
        with chdir(folder):
            yield folder
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def sandbox_settings(*, records: int, seed: int) -> Iterator[Settings]:
    """The settings that deliver yesterday of a sandbox portal into ./demo/export.

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
    with sandbox_process(*arguments) as environment, own_folder() as folder:
        os.environ.update(environment, EXPORT_URL=str(folder / "export"))
        yield load_settings()
