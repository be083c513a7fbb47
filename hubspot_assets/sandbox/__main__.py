"""`python -m hubspot_assets.sandbox`: serves a portal, each setting of which is an option."""

import argparse
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_type_hints

from hubspot_assets.sandbox.config import PortalConfig
from hubspot_assets.sandbox.server import Sandbox, run


def main(arguments: list[str] | None = None) -> None:
    """Serves until interrupted, and prints where and with which token."""
    parser = argparse.ArgumentParser(
        prog="python -m hubspot_assets.sandbox",
        description="Serves a made-up HubSpot portal on this machine.",
        epilog="What they mean stands with PortalConfig in hubspot_assets/sandbox/config.py.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8070, help="0: any free one")
    types = get_type_hints(PortalConfig)
    for each in fields(PortalConfig):
        option = f"--{each.name.replace('_', '-')}"
        if types[each.name] is bool:
            flag = argparse.BooleanOptionalAction
            parser.add_argument(option, action=flag, default=each.default)
        else:
            parser.add_argument(option, type=_reader(types[each.name]), default=each.default)
    asked = vars(parser.parse_args(arguments))
    host, port = asked.pop("host"), asked.pop("port")
    try:
        config = PortalConfig(**asked)
    except ValueError as error:
        parser.error(str(error))
    try:
        run(config, host, port, started=_tell)
    except OSError as error:
        parser.error(f"{host}:{port}: {error.strerror}")


def _tell(sandbox: Sandbox) -> None:
    print(f"HUBSPOT_BASE_URL={sandbox.url}")  # noqa: T201 - for whoever started it
    print(f"HUBSPOT_ACCESS_TOKEN={sandbox.token}", flush=True)  # noqa: T201


def _reader(kind: Any) -> Any:  # noqa: ANN401 - a type, or a union of one with None
    """What turns an option's text into a value of a setting's type."""
    kinds = getattr(kind, "__args__", (kind,))
    if kind == frozenset[str] or frozenset[str] in kinds:
        return lambda text: frozenset(filter(None, text.split(",")))
    if datetime in kinds:
        return _moment
    return next(each for each in (int, float, str) if each in kinds)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
