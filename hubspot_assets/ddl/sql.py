"""What the dialects have in common: where things are, and how names and texts are written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.tables.parquet_types import ParquetType

Format = Literal["csv", "parquet"]

_WIDTH = 96
_HASH = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine finds the export, without a slash at the end, and where its tables go."""

    url: str
    schema: str
    first_day: str

    def url_of(self, path: str) -> str:
        """Where a path of the export is."""
        return f"{self.url}/{path}"


def script(statements: Iterable[str]) -> str:
    """The statements as a file."""
    return "\n\n".join(each if each.startswith(("--", "\\")) else f"{each};" for each in statements)


@dataclass(frozen=True, slots=True)
class Engine:
    """A dialect: the formats that it reads, the better one first, and what it is told.

    `schemes` are what its URLs may begin with; with none it reads folders, too. `statements` have
    no semicolon at their ends, and comments and a shell's commands are statements of their own;
    `written` makes a file of them.
    """

    name: str
    formats: tuple[Format, ...]
    schemes: tuple[str, ...]
    statements: Callable[[Sequence[DeliveredTable], Place, Format], Iterator[str]]
    written: Callable[[Iterable[str]], str] = script


def comment(text: str) -> str:
    """A comment of as many lines as it needs."""
    return "\n".join(f"-- {line}" for line in wrap(text, _WIDTH))


def text(value: str) -> str:
    """A string literal of the standard's."""
    return "'" + value.replace("'", "''") + "'"


def escaped_text(value: str) -> str:
    r"""A string literal of the dialects in which a backslash escapes: Hive, BigQuery, Spark."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def too_wide(table: DeliveredTable, engine: str, most: int) -> str:
    """What is told instead of a table that has more columns than an engine takes."""
    return comment(
        f"Without {table.name}: it has {len(table.columns):,} columns, a table of {engine} "
        f"{most:,} at most. Its values are in OBJECT_PROPERTIES."
    )


def quoted(name: str) -> str:
    """An identifier as the standard quotes it."""
    return '"' + name.replace('"', '""') + '"'


def backquoted(name: str) -> str:
    """An identifier as Hive, BigQuery and Spark quote it."""
    return "`" + name.replace("`", "``") + "`"


def shortened(name: str, longest: int) -> str:
    """`name`, or what is left of it where an engine takes no more than `longest` bytes.

    Names that are cut end with a digest of the whole, so that they stay apart.

    >>> shortened("PROPERTY_" + "A" * 60, 63)
    'PROPERTY_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_d2784d60'
    """
    data = name.encode()
    if len(data) <= longest:
        return name
    digest = hashlib.sha256(data).hexdigest()[:_HASH]
    return f"{data[: longest - _HASH - 1].decode(errors='ignore')}_{digest}"


def options(of: Mapping[str, str], *, separator: str = " ") -> str:
    """`NAME = value` of each, the values being SQL already."""
    return separator.join(f"{name} = {value}" for name, value in of.items())


def column_lines(
    columns: Sequence[TypedColumn],
    types: Mapping[ParquetType, str],
    name: Callable[[TypedColumn], str],
    more: Callable[[TypedColumn], str] = lambda _: "",
) -> str:
    """The columns of a CREATE TABLE, a line each, with what follows the type of each."""
    return ",\n".join(f"  {name(each)} {types[each.type]}{more(each)}" for each in columns)
