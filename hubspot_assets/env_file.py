"""What can be wrong with a `.env` file as such, and with the names of settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
#: What Kubernetes sets of its own accord for a service, whatever that is called.
_OF_A_SERVICE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$")
#: Elsewhere than in a file of ours, names that begin so are no other program's.
_OURS = "EXPORT_"
#: From here on two names are one, mistyped: HUBSPOT_ACCOUNT_ID and HUBSPOT_CLIENT_ID are at 0.80.
_MISTYPED = 0.85
_ALIKE = 0.6
_NOTHING = "text that sets nothing"


class EnvError(Exception):
    """A line of a `.env` file, or a name, that is wrong: one line, which shows no value."""


def check_file(path: Path, known: Collection[str]) -> None:
    """Raises EnvError for the first line that is no NAME=value, or sets what is no setting.

    `known` are the names of all settings. Names of others, as AWS_PROFILE, are left alone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise EnvError(f"{path}: found bytes that are no UTF-8, expected text") from None
    except OSError as error:
        raise EnvError(f"{path}: cannot be read: {error.strerror}") from None
    for each in parse_stream(StringIO(text)):
        where = f"{path}, line {_line(each)}"
        if each.error:
            raise EnvError(f"{where}: found {_flaw(each, known)}, expected NAME=value")
        if each.key is None:
            continue
        name = each.key.upper()
        if each.value is None:
            found = f"{each.key} alone" if name in known else _NOTHING
            raise EnvError(f"{where}: found {found}, expected NAME=value")
        if name in known:
            continue
        ours = begins_as_ours(name, known)
        nearest = _nearest(name, known, _ALIKE if ours else _MISTYPED)
        if ours or nearest:
            raise EnvError(_no_setting(f"{where}: found {each.key}, which", nearest))


def value_in(path: Path, name: str) -> str | None:
    """What a `.env` file sets a name to; None where it can't be read, which `check_file` tells."""
    try:
        parsed = list(parse_stream(StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError):
        return None
    return next((each.value for each in reversed(parsed) if each.key == name), None)


def check_names(names: Iterable[str], known: Collection[str]) -> None:
    """Raises EnvError for the first name in the environment that was meant for a setting.

    Other programs have settings that begin with HUBSPOT_ or S3_, so that only what is nearly
    the name of a setting counts; of names that begin with EXPORT_, all do.
    """
    for each in sorted(names):
        name = each.upper()
        if name in known or not begins_as_ours(name, known) or _OF_A_SERVICE.search(name):
            continue
        nearest = _nearest(name, known, _ALIKE if name.startswith(_OURS) else _MISTYPED)
        if nearest or name.startswith(_OURS):
            raise EnvError(_no_setting(f"{each}: found in the environment, but", nearest))


def _flaw(binding: Binding, known: Collection[str]) -> str:
    """What is wrong with a line; it is not shown, but for the name of a setting."""
    begun = _NAME.match(binding.original.string)
    if not begun:
        return _NOTHING
    of = f" at {begun[1]}" if begun[1].upper() in known else ""
    return f"a quote that is not closed, or text behind it{of}"


def begins_as_ours(name: str, known: Collection[str]) -> bool:
    """Whether a name begins with the first word of one of ours.

    >>> begins_as_ours("EXPORT_TO", ["EXPORT_URL", "STATE_URL"])
    True
    """
    return name.upper().startswith(tuple(f"{each.split('_')[0]}_" for each in known))


def _no_setting(found: str, nearest: str | None) -> str:
    expected = f"{nearest} or another" if nearest else "one"
    return f"{found} is no setting; expected {expected} that .env.example names"


def _nearest(name: str, known: Collection[str], cutoff: float) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def _line(binding: Binding) -> int:
    """The number of the line on which a binding stands: blank lines before it belong to it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")
