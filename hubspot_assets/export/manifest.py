"""Manifests: what tells a reader that a table, or a whole day, is there and complete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from hubspot_assets.availability import Availability
from hubspot_assets.storage.formats import NAME, all_known, check_format, known_fields
from hubspot_assets.storage.store import Entry
from hubspot_assets.tables.content import TableSource
from hubspot_assets.tables.spec import Column

_NAME = "_manifest.json"
FORMAT = 1
#: Where Parquet files are, of all tables and days.
PARQUET = "parquet"

Format = Literal["csv", "parquet"]
Json = bytes  # by a name of its own, as the manifests have fields called `bytes`


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `path` is relative to the day's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class File:
    """One file of the same rows in another format. `path` is relative to the export's root."""

    path: str
    format: Format
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Rows that were taken out since the table was written, as whose they were was forgotten."""

    rows: int
    at: str
    run: str


@dataclass(frozen=True, slots=True)
class TableManifest:
    """A complete table of one day.

    `format` is that of the manifest, the table and its files. `portal_id` is whose it is; None
    where an earlier version wrote it. `sources` says for each sub-folder what is known of it
    alone; `counts` are numbers of cells or rows that a reader may want to know of, by name.
    `parts` are CSV, and `bytes` theirs; `files` hold the same rows in
    other formats, whose bytes are those of the library and version that they were `written_with`.
    It is not `settled` where the reading began so soon after the day that HubSpot may not have
    stored all of it. Rows of it may have been `forgotten` since.
    """

    format: int = field(default=FORMAT, kw_only=True)
    portal_id: int | None = field(default=None, kw_only=True)
    table: str
    day: str
    as_of: datetime
    observed_at: datetime | None
    point_in_time: bool
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int
    bytes: int
    parts: tuple[Part, ...]
    files: tuple[File, ...] = field(default=(), kw_only=True)
    written_with: str = field(default="", kw_only=True)
    availability: Availability
    sources: Mapping[str, TableSource] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    settled: bool = True
    run_id: str = ""
    code_version: str = ""
    forgotten: tuple[Forgotten, ...] = ()

    def to_json(self) -> Json:
        """Indented JSON, always in the same order."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: Json) -> TableManifest:
        """Raises `ValueError` where `text` is no such manifest, and `NewerFormatError`."""
        with _read_as("a table's manifest"):
            said = orjson.loads(text)
            check_format(said, FORMAT, f"the manifest of {said.get('table')}, {said.get('day')},")
            return cls(
                **{NAME: 1}
                | known_fields(cls, said)
                | {
                    "as_of": _moment(said["as_of"]),
                    "observed_at": _moment_or_none(said["observed_at"]),
                    "columns": all_known(Column, said["columns"]),
                    "key": tuple(said["key"]),
                    "parts": all_known(Part, said["parts"]),
                    "files": all_known(File, said.get("files", ())),
                    "availability": _availability(said),
                    "sources": {
                        name: _source(each, said) for name, each in said["sources"].items()
                    },
                    "warnings": tuple(said["warnings"]),
                    "forgotten": _forgotten(said),
                }
            )


@dataclass(frozen=True, slots=True)
class DayTable:
    """A table in the manifest of its day. `manifest` is relative to the day's folder."""

    table: str
    rows: int
    bytes: int
    parts: int
    manifest: str
    formats: tuple[Format, ...] = field(default=("csv",), kw_only=True)
    point_in_time: bool
    availability: Availability


@dataclass(frozen=True, slots=True)
class DayManifest:
    """A complete day: every table, by name. Rows of it may have been `forgotten` since."""

    format: int = field(default=FORMAT, kw_only=True)
    portal_id: int | None = field(default=None, kw_only=True)
    day: str
    as_of: datetime
    tables: tuple[DayTable, ...]
    rows: int
    bytes: int
    run_id: str = ""
    code_version: str = ""
    forgotten: tuple[Forgotten, ...] = ()

    def to_json(self) -> Json:
        """Indented JSON, always in the same order."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: Json) -> DayManifest:
        """Raises `ValueError` where `text` is no such manifest, and `NewerFormatError`."""
        with _read_as("a day's manifest"):
            said = orjson.loads(text)
            check_format(said, FORMAT, f"the manifest of {said.get('day')}")
            tables = tuple(
                DayTable(
                    **known_fields(DayTable, table)
                    | {
                        "formats": tuple(table.get("formats", ("csv",))),
                        "availability": _availability(table),
                    }
                )
                for table in said["tables"]
            )
            more = {
                "as_of": _moment(said["as_of"]),
                "tables": tables,
                "forgotten": _forgotten(said),
            }
            return cls(**{NAME: 1} | known_fields(cls, said) | more)


def missing_parts(day: str, parts: Iterable[Part], there: Iterable[Entry]) -> list[str]:
    """The paths of those `parts` that are not `there`, or are of another size."""
    return missing({f"{day}/{part.path}": part.bytes for part in parts}, there)


def missing(sizes: Mapping[str, int], there: Iterable[Entry]) -> list[str]:
    """Of these paths with their sizes those that are not `there`, or are of another size."""
    found = {entry.path: entry.bytes for entry in there}
    return [path for path, size in sizes.items() if found.get(path) != size]


def manifest_path(day: str, table: str | None = None) -> str:
    """Where a table's manifest is in the store; without a table, the day's."""
    return f"{day}/{table}/{_NAME}" if table else f"{day}/{_NAME}"


def parquet_folder(day: str, table: str) -> str:
    """Where a table's Parquet files of a day are in the store, and nothing else."""
    return f"{PARQUET}/{table}/day={day}"


def _forgotten(said: Mapping[str, Any]) -> tuple[Forgotten, ...]:
    return tuple(Forgotten(**each) for each in said.get("forgotten", ()))


def _source(told: Mapping[str, Any], of: Mapping[str, Any]) -> TableSource:
    """A source in the manifest `of` its table; of an earlier version's only its availability is
    known apart from the table's."""
    whole = told if "availability" in told else {**of, "availability": told}
    return TableSource(
        _availability(whole),
        whole["point_in_time"],
        _moment_or_none(whole["observed_at"]),
    )


def _availability(of: Mapping[str, Any]) -> Availability:
    return Availability(**known_fields(Availability, of["availability"]))


def _to_json(manifest: TableManifest | DayManifest) -> bytes:
    # orjson takes nested dataclasses as they are, ten times faster than asdict.
    content: dict[str, Any] = {each.name: getattr(manifest, each.name) for each in fields(manifest)}
    if not manifest.forgotten:
        del content["forgotten"]
    for moment in ("as_of", "observed_at"):
        if content.get(moment) is not None:
            content[moment] = _moment_text(content[moment])
    if sources := content.get("sources"):
        content["sources"] = {
            name: {
                "availability": each.availability,
                "point_in_time": each.point_in_time,
                "observed_at": each.observed_at and _moment_text(each.observed_at),
            }
            for name, each in sources.items()
        }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _moment_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    utc = moment.astimezone(UTC)
    return f"{utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


@contextmanager
def _read_as(what: str) -> Iterator[None]:
    """Whatever is wrong with a manifest's text becomes one `ValueError`."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not {what}: {error!r}") from error
