"""Dagster's instance, as our commands have it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import dagster as dg

from hubspot_assets.settings import SettingsError

_LOCK = ".hubspot-assets.lock"


def instance() -> dg.DagsterInstance:
    """The deployment's instance where DAGSTER_HOME names one, else one for this process alone.

    One command at a time opens it: several that make its databases at once would break them for
    good. Raises SettingsError.
    """
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return dg.DagsterInstance.ephemeral()
    if not Path(home).is_absolute() or not Path(home).is_dir():
        raise SettingsError(f"DAGSTER_HOME: found {home!r}, expected the absolute path of a folder")
    try:
        with (Path(home) / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return dg.DagsterInstance.get()
    except PermissionError as error:
        expected = "expected a folder that may be written"
        raise SettingsError(f"DAGSTER_HOME: found {home!r}, {expected}") from error
