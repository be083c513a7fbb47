"""Frames as CSV text, in the one dialect of the export.

UTF-8, comma, `"` doubled inside quotes, quotes only where needed, LF at the end of a row.
NULL is an empty field, an empty string is `""`. Timestamps are UTC with milliseconds.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import lru_cache

import polars as pl

from hubspot_assets.export.errors import TableError
from hubspot_assets.tables.spec import DTYPES, TableSpec

_TIMESTAMP_FORMAT = "%Y-%m-%d %H:%M:%S%.3f"
_DATE_FORMAT = "%Y-%m-%d"
_FEW_ROWS = 500
#: A name that is never in quotes.
_PLAIN = re.compile("[A-Z0-9_]+")


def check_columns(spec: TableSpec, schema: Mapping[str, pl.DataType]) -> None:
    """Raises `TableError` unless a frame of this schema can be written as `spec` says."""
    wanted = [column.name for column in spec.columns]
    if (found := list(schema)) != wanted:
        missing = [name for name in wanted if name not in schema]
        unknown = [name for name in found if name not in set(wanted)]
        what = f"lack {_few(missing)}" if missing else f"also have {_few(unknown)}"
        if not missing and not unknown:
            what = "are in another order"
        raise TableError(f"{spec.name}: the columns of a frame {what}")
    for column in spec.columns:
        if schema[column.name] not in DTYPES[column.type]:
            expected = " or ".join(str(dtype) for dtype in DTYPES[column.type])
            raise TableError(
                f"{spec.name}.{column.name} is {column.type} and must be {expected}"
                f" in the frame, but is {schema[column.name]}"
            )


def csv_header(spec: TableSpec) -> bytes:
    """The header row."""
    return _header(tuple(column.name for column in spec.columns))


@lru_cache
def _header(names: tuple[str, ...]) -> bytes:
    if all(map(_PLAIN.fullmatch, names)):  # which polars takes a millisecond or two for
        return f"{','.join(names)}\n".encode()
    return _write(pl.DataFrame(schema=names), header=True)


def with_ingestedat_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame, its INGESTEDAT written out.

    Formatting a timestamp costs as much as all the rest of a narrow row. As rows that were
    read together have the same INGESTEDAT, each run of one moment is formatted once, unless there
    are so few rows that looking for them costs more.
    """
    if "INGESTEDAT" not in frame.columns:
        return frame
    column = frame["INGESTEDAT"]
    if frame.height < _FEW_ROWS:
        return frame.with_columns(column.dt.strftime(_TIMESTAMP_FORMAT))
    runs = column.rle().struct.field("value").dt.strftime(_TIMESTAMP_FORMAT)
    return frame.with_columns(runs.gather(column.rle_id()).alias(column.name))


def csv_rows(frame: pl.DataFrame) -> bytes:
    """The rows of a frame, without a header."""
    return _write(frame, header=False)


def _write(frame: pl.DataFrame, *, header: bool) -> bytes:
    text = io.BytesIO()
    frame.write_csv(
        text,
        include_header=header,
        datetime_format=_TIMESTAMP_FORMAT,
        date_format=_DATE_FORMAT,
        quote_style="necessary",
    )
    return text.getvalue()


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
