"""How a command ends: the line that it says, and its exit status."""

from __future__ import annotations

import atexit
import errno
import gc
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from hubspot_assets.interrupts import interrupts

P = ParamSpec("P")

#: Exit statuses: a day that was not delivered whole, and a command that can't be carried out.
NOT_DELIVERED, WRONG = 1, 2
#: What a shell adds to the number of the signal that ended a command.
BY_SIGNAL = 128


@atexit.register
def _leave_garbage() -> None:
    """Else the interpreter, at its end, looks through all of Dagster's objects for garbage once
    more: on a busy machine seconds, for which who has stopped a command would wait.

    Registered first, it comes last. DuckDB, which no command uses, would tell of leaks.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Turns the errors a person can mend, and signals, into their one line and an exit status."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with interrupts() as first:
            try:
                mendable(*args, **kwargs)
            except KeyboardInterrupt:
                by = first()
                click.echo(f"stopped by {by.name}: the same command goes on from here", err=True)
                sys.exit(BY_SIGNAL + by)

    def mendable(*args: P.args, **kwargs: P.kwargs) -> None:
        from hubspot_assets.deliver import DeliveryError
        from hubspot_assets.demo import SandboxError
        from hubspot_assets.hubspot.catalog import CatalogError
        from hubspot_assets.hubspot.errors import HubSpotError
        from hubspot_assets.settings import SettingsError
        from hubspot_assets.storage import OtherPortalError, StoreError

        try:
            command(*args, **kwargs)
        except (SettingsError, OtherPortalError) as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(WRONG)
        except (DeliveryError, StoreError, HubSpotError, CatalogError, SandboxError) as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(NOT_DELIVERED)
        except OSError as error:  # outside of the stores: the folder for temporary files
            if error.errno == errno.EPIPE:
                raise  # click knows what to do
            where = error.filename or "the folder for temporary files (TMPDIR)"
            click.echo(f"error: {where}: {error.strerror or error}", err=True)
            sys.exit(NOT_DELIVERED)

    return run
