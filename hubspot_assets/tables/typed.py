"""Raw property values to typed columns, leniently: what does not parse is NULL, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from hubspot_assets.tables.counts import UNPARSED
from hubspot_assets.tables.names import property_columns
from hubspot_assets.tables.spec import Column, ColumnType

#: HubSpot's property types to column types; every other one is text.
_TYPES: dict[str, ColumnType] = {
    "number": "NUMBER",
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "date": "DATE",
    "json": "JSON",
}
_DECIMAL = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
#: Epoch milliseconds of the years 1 to 9999, which every reader of time stamps takes.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800_000, 253_402_300_799_999


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
    checks: list[pl.Expr] = []
    wide = _wide(values, key, list(by_name))
    raw = dict(zip(by_name, map(pl.col, wide.columns[1:]), strict=True))
    for name, (typed, unparsed) in _names(properties).items():
        kind = _column_type(by_name[name])
        expressions.append(_parsed(raw[name], kind).alias(typed))
        if unparsed:
            expressions.append(raw[name].alias(unparsed))
        if kind != "VARCHAR":
            checks.append(raw[name].is_not_null().sum().alias(typed))
    table = wide.select(key, *expressions)
    if checks:
        given = wide.select(checks)
        parsed = table.select(pl.col(given.columns).is_not_null().sum())
        counts[UNPARSED] += sum(given.row(0)) - sum(parsed.row(0))
    return table


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
            return pl.when(text.str.contains(_DECIMAL)).then(text)
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
            return raw.map_elements(_compact_json, return_dtype=pl.String)
        case _:
            return raw


def _compact_json(text: str) -> str | None:
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:
        return None
