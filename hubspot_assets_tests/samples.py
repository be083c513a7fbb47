"""Cases of which some stand for all of their kind; `make test-slow` has the rest."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def samples(cases: Iterable[Any], often: Collection[Any]) -> list[Any]:
    """The cases, all but those that are tried `often` marked as slow."""
    return [each if each in often else pytest.param(each, marks=pytest.mark.slow) for each in cases]
