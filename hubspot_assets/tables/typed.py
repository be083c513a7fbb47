"""Raw property values to typed columns, leniently: what does not parse is NULL, and counted.

A NUMBER is text, and no float is in between. Digits, with a minus before and a point and digits
behind them if need be, stay as they are, `-0` and `007` too. A plus, a bare point and an exponent
are written out (`+7`, `5.`, `.5`, `1e-7` as `7`, `5`, `0.5`, `0.0000001`). That is all in ASCII,
and of 38 digits at most when it is written out. Blanks around a value don't matter, except in
JSON, which stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import polars as pl

from hubspot_assets.json_text import is_json
from hubspot_assets.tables.counts import UNPARSED
from hubspot_assets.tables.names import property_columns
from hubspot_assets.tables.spec import DTYPES, Column, ColumnType

#: HubSpot's property types to column types; every other one is text.
_TYPES: dict[str, ColumnType] = {
    "number": "NUMBER",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "date": "DATE",
    "json": "JSON",
}
_PLAIN = r"^-?[0-9]+(\.[0-9]+)?$"
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_DIGITS = 38
#: Epoch milliseconds of the years 1 to 9999, which every reader of time stamps takes.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800_000, 253_402_300_799_999
#: What each type's column has for a property that no record has set; a NUMBER's is text.
_NONE = {kind: pl.lit(None, dtypes[-1]) for kind, dtypes in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class PropertyType:
    """A property's name, HubSpot type (`string`, `number`, `bool`, ...) and label."""

    name: str
    type: str
    label: str


def columns(properties: Sequence[PropertyType]) -> tuple[Column, ...]:
    """The PROPERTY_ columns of a type, by property name."""
    by_name = {each.name: each for each in properties}
    result: list[Column] = []
    for name, (typed, unparsed) in _names(properties).items():
        result.append(Column(typed, _column_type(by_name[name]), by_name[name].label))
        if unparsed:
            result.append(Column(unparsed, "VARCHAR", f"{by_name[name].label}, as HubSpot gave it"))
    return tuple(result)


def renamed(properties: Sequence[PropertyType]) -> Iterator[str]:
    """A sentence for each property whose columns another one kept from being called after it."""
    for name, (typed, unparsed) in _names(properties).items():
        usual = f"PROPERTY_{name.upper()}", f"PROPERTY_UNPARSED_{name.upper()}"
        if typed != usual[0] or unparsed not in ("", usual[1]):
            columns = " and ".join(filter(None, (typed, unparsed)))
            yield f"the property {name} is in {columns}: another one is called alike"


def typed_columns(
    values: pl.DataFrame, key: str, properties: Sequence[PropertyType], counts: Counter[str]
) -> pl.DataFrame:
    """A row per record: `key` and the PROPERTY_ columns.

    `values` has `key`, name and value, of each property of a record no more than one.
    """
    by_name = {each.name: each for each in properties}
    expressions: list[pl.Expr] = []
    checks: dict[str, tuple[ColumnType, pl.Series]] = {}
    there = set(values["name"].unique())
    present = [name for name in by_name if name in there]
    wide = _wide(values, key, present)
    raw = dict(zip(present, map(pl.col, wide.columns[1:]), strict=True))
    for name, (typed, unparsed) in _names(properties).items():
        kind = _column_type(by_name[name])
        if name not in raw:  # as most are: a portal has properties by the hundred
            expressions += [_NONE[kind].alias(each) for each in (typed, unparsed) if each]
            continue
        expressions.append(_parsed(raw[name], kind).alias(typed))
        if unparsed:
            expressions.append(raw[name].alias(unparsed))
        if kind != "VARCHAR":
            checks[typed] = kind, wide[raw[name].meta.output_name()]
    table = wide.select(key, *expressions)
    unparsed_cells = 0
    for typed, (kind, told) in checks.items():
        lost = table[typed].null_count() - told.null_count()
        if lost and kind == "NUMBER":
            table = table.with_columns(_with_odd_numbers(table[typed], told))
            lost = table[typed].null_count() - told.null_count()
        unparsed_cells += lost
    counts[UNPARSED] += unparsed_cells
    return table


def _with_odd_numbers(plain: pl.Series, raw: pl.Series) -> pl.Series:
    """The `plain` numbers and those that have to be written out, which are few."""
    odd = raw.filter(plain.is_null() & raw.is_not_null()).unique()
    known = {text: _written_out(text.strip()) for text in odd}
    return plain.fill_null(raw.replace_strict(known, default=None, return_dtype=pl.String))


def _written_out(text: str) -> str | None:
    """A number in plain digits; None for what is none or has too many digits.

    >>> _written_out("1.0E7"), _written_out("-.5"), _written_out("1e400"), _written_out("١٢٣")
    ('10000000', '-0.5', None, None)
    """
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _MOST_DIGITS:
        return None
    # Decimal would take the zeros in front away, which a plain number keeps.
    plain = text if re.fullmatch(_PLAIN, text) else f"{number:f}"
    return plain if sum(map(str.isdigit, plain)) <= _MOST_DIGITS else None


def _wide(values: pl.DataFrame, key: str, names: Sequence[str]) -> pl.DataFrame:
    """A row per `key`, and a column of raw text per property, called by its place among `names`.

    A property may be called as `key` is, or in a way that has a meaning to polars.
    """
    wide = values.rename({key: ""}).pivot(
        on="name", on_columns=list(names), index="", values="value", maintain_order=True
    )
    wide.columns = [key, *map(str, range(len(names)))]
    return wide


def _names(properties: Sequence[PropertyType]) -> dict[str, tuple[str, str]]:
    return property_columns(
        (each.name for each in properties),
        (each.name for each in properties if each.type == "number"),
    )


def _column_type(of: PropertyType) -> ColumnType:
    return _TYPES.get(of.type, "VARCHAR")


def _parsed(raw: pl.Expr, kind: ColumnType) -> pl.Expr:
    match kind:
        case "NUMBER":
            text = raw.str.strip_chars()
            # A sign and a point are no digits: what has them and is long is looked at again.
            short = text.str.len_bytes() <= _MOST_DIGITS
            return pl.when(short & text.str.contains(_PLAIN)).then(text)
        case "BOOLEAN":
            text = raw.str.strip_chars().str.to_lowercase()
            return (
                pl.when(text == "true")
                .then(statement=True)
                .when(text == "false")
                .then(statement=False)
            )
        case "TIMESTAMP" | "DATE":
            epoch = raw.cast(pl.Int64, strict=False)
            inside = pl.when(epoch.is_between(_FIRST_MOMENT, _LAST_MOMENT)).then(epoch)
            moment = inside.cast(pl.Datetime("ms"))
            return moment if kind == "TIMESTAMP" else moment.cast(pl.Date)
        case "JSON":
            return pl.when(raw.map_elements(is_json, return_dtype=pl.Boolean)).then(raw)
        case _:
            return raw
