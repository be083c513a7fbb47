"""Several portals in one deployment: a TOML file with a table of settings for each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

#: The attribute of `hubspot_assets.locations` that is a portal's code location begins so.
LOCATION = "portal_"
#: Of these each portal has its own, or none: what is set for all would be another portal's.
CREDENTIALS = (
    "HUBSPOT_ACCESS_TOKEN",
    "HUBSPOT_CLIENT_ID",
    "HUBSPOT_CLIENT_SECRET",
    "HUBSPOT_REFRESH_TOKEN",
)
PLACES = ("EXPORT_URL", "STATE_URL")
OWN = (*CREDENTIALS, *PLACES, "CATALOG_FILE", "GLUE_DATABASE")
#: Which portal, and of which file: no setting of a portal.
CHOICE = ("PORTALS_FILE", "PORTAL_NAME")
#: What no two portals may have in common.
_APART = ("HUBSPOT_ACCESS_TOKEN", "HUBSPOT_REFRESH_TOKEN", "CATALOG_FILE", "GLUE_DATABASE")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_VALUE = 'text, a number, a list of texts, or { env = "NAME" }'


class PortalsError(Exception):
    """What is wrong with the file, or with the settings of one portal in it: one line."""


@dataclass(frozen=True, slots=True)
class PortalsFile:
    """The portals of a file by name, in its order, each with its settings as they stand there."""

    path: Path
    portals: Mapping[str, Mapping[str, object]]

    @classmethod
    def read(cls, path: Path) -> PortalsFile:
        """Raises PortalsError for what is wrong with all of it; a portal is looked at later, so
        that what is wrong with one does not stop the others."""
        try:
            portals = tomllib.loads(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise PortalsError(f"{path}: found bytes that are no UTF-8, expected text") from None
        except OSError as error:
            raise PortalsError(f"{path}: cannot be read: {error.strerror}") from None
        except tomllib.TOMLDecodeError as error:
            raise PortalsError(f"{path}: expected TOML, but: {error}") from None
        _check_names(path, portals)
        return cls(path, portals)

    @property
    def variables(self) -> set[str]:
        """The names of the environment that its settings are to be found by."""
        values = (value for table in self.portals.values() for value in table.values())
        return {name for value in values if (name := _variable(value)) is not None}

    def settings_of(
        self, name: str, known: Sequence[str], environment: Mapping[str, str]
    ) -> dict[str, str]:
        """The settings of a portal by name, as a text each.

        `known` are the names of all settings. A credential that `environment` lacks is left out,
        as the portal's export fails by it and can tell of it. Raises PortalsError.
        """
        if name not in self.portals:
            names = ", ".join(self.portals)
            raise PortalsError(
                f"PORTAL_NAME: found {name!r}, expected one that {self.path} has: {names}"
            )
        found = {}
        for setting, value in self.portals[name].items():
            where = f"{self.path}, {name}: {setting}"
            if setting not in known or setting in CHOICE:
                near = get_close_matches(setting.upper(), set(known) - {*CHOICE}, n=1)
                expected = f"{near[0]} or another" if near else "one"
                raise PortalsError(
                    f"{where} is no setting; expected {expected} that .env.example names"
                )
            text = _text(value, environment)
            if text is not None:
                found[setting] = text
            elif (variable := _variable(value)) is None:
                raise PortalsError(f"{where}: found something else, expected {_VALUE}")
            elif setting not in CREDENTIALS:
                raise PortalsError(f"{where}: found no {variable} in the environment or .env")
        if "EXPORT_URL" not in found:
            raise PortalsError(
                f"{self.path}, {name}: EXPORT_URL: found nothing, expected a place of its own"
            )
        self._check_apart(name, found, environment)
        return found

    def _check_apart(
        self, name: str, settings: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        for other in (each for each in self.portals if each != name):
            theirs = {
                setting: text
                for setting, value in self.portals[other].items()
                if (text := _text(value, environment)) is not None
            }
            for setting in _shared(settings, theirs):
                raise PortalsError(
                    f"{self.path}, {name}: {setting}: found that of {other}, or a place in it; "
                    "expected one of its own"
                )

    def spread(self, name: str, minutes: int) -> int:
        """How many of so many minutes a portal begins after the first one.

        By its position: halves, then quarters, and so on, so that portals that come behind it in
        the file move none.
        """
        position = list(self.portals).index(name)
        return int(f"{position:b}"[::-1], 2) * minutes >> position.bit_length()


def workspace(portals: PortalsFile) -> str:
    """Dagster's workspace.yaml, with a code location per portal."""
    return "load_from:\n" + "".join(
        "  - python_module:\n"
        "      module_name: hubspot_assets.locations\n"
        f"      attribute: {LOCATION}{name}\n"
        f"      location_name: {name}\n"
        for name in portals.portals
    )


def _check_names(path: Path, portals: Mapping[str, object]) -> None:
    if not portals:
        raise PortalsError(f"{path}: found no portal, expected [name] with settings below it")
    seen: dict[str, str] = {}
    for name, table in portals.items():
        if not isinstance(table, dict):
            raise PortalsError(f"{path}: found {name} of no portal, expected [name] above it")
        if not _NAME.fullmatch(name):
            raise PortalsError(
                f"{path}: found the portal {name!r}, expected a letter and up to 62 letters, "
                "digits, - and _"
            )
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise PortalsError(
                f"{path}: found {other} and {name}, expected names that differ in more than case"
            )


def _text(value: object, environment: Mapping[str, str]) -> str | None:
    """A value as the environment would have it; None for what it can't, or does not."""
    if (variable := _variable(value)) is not None:
        return environment.get(variable) or None
    if isinstance(value, str | int | date) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return None


def _variable(value: object) -> str | None:
    """The name of the environment that a value is to be found by."""
    if isinstance(value, dict) and value.keys() == {"env"} and isinstance(value["env"], str):
        return value["env"]
    return None


def _shared(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    """Settings of ours that are theirs, too, or lead into a place of theirs or around it."""
    yield from (each for each in _APART if each in ours and ours[each] == theirs.get(each))
    for setting in PLACES:
        for place in PLACES:
            if setting in ours and place in theirs and _meet(ours[setting], theirs[place]):
                yield setting


def _meet(one: str, other: str) -> bool:
    ours, theirs = _parts(one), _parts(other)
    shorter = min(len(ours), len(theirs))
    return ours[:shorter] == theirs[:shorter]


def _parts(place: str) -> list[str]:
    place = place.strip()
    if not place.startswith("s3://"):
        place = str(Path(place).absolute())
    return [part for part in place.split("/") if part]
