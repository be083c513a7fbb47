"""The formats of what is kept, by number, so that versions beside each other do no harm.

A number changes where earlier versions would read wrongly what is kept, or spoil it. A field more
is no other format: versions that don't know it leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from hubspot_assets.storage.errors import NewerFormatError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

#: The name under which a file tells its format.
NAME = "format"


def check_format(told: Mapping[str, Any], known: int, where: str) -> None:
    """Raises NewerFormatError where a file is of a later format than is `known`.

    One that tells none is of the first: that of versions that told none.
    """
    number = told.get(NAME, 1)
    if isinstance(number, int) and number > known:
        raise NewerFormatError(
            f"{where} is of format {number}, of a newer version of hubspot-assets; this one knows "
            f"those up to {known}: upgrade it"
        )


def known_fields(of: type[DataclassInstance], told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told, without the fields that a newer version has added."""
    names = {each.name for each in fields(of)}
    return {name: value for name, value in told.items() if name in names}


def all_known(kind: type[T], told: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    """All that is told, each of this kind; without such fields."""
    return tuple(kind(**known_fields(kind, each)) for each in told)
