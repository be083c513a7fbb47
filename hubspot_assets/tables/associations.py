"""The tables of links, from staged links and association types.

Pure functions. A frame of links has fromId, toId, typeId Int64, category, label String, readAt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets.tables import specs
from hubspot_assets.tables.counts import LINKS_LEFT_OUT
from hubspot_assets.tables.definitions import frame_of
from hubspot_assets.tables.delivered import of_delivered
from hubspot_assets.tables.names import type_name

#: The number that stands for a category in COMBINEDASSOCIATIONTYPEID.
CATEGORIES = {"HUBSPOT_DEFINED": "0", "USER_DEFINED": "1", "INTEGRATOR_DEFINED": "2", "WORK": "3"}
PRIMARY = "PRIMARY"


class AssociationType(NamedTuple):
    """An association type of an ordered pair; `role` is HubSpot's own word for what it means."""

    category: str
    type_id: int
    label: str | None
    role: str

    @property
    def combined(self) -> str:
        """`<category number>-<type id>`; a category that has no number stands in full."""
        return f"{CATEGORIES.get(self.category, self.category)}-{self.type_id}"


def main_type(types: Iterable[AssociationType]) -> AssociationType | None:
    """The primary one of a pair's association types, else the plain one.

    >>> main_type([AssociationType("HUBSPOT_DEFINED", 279, None, "")]).combined
    '0-279'
    """
    plain = sorted((each for each in types if each.label is None), key=lambda each: each.type_id)
    primary = [
        each
        for each in types
        if each.category == "HUBSPOT_DEFINED"
        and PRIMARY in ((each.label or "").upper(), each.role.upper().split(" ")[0])
    ]
    return next(iter([*primary, *plain]), None)


def delivered(
    links: pl.DataFrame,
    ends: tuple[pl.Series | None, pl.Series | None],
    counts: Counter[str],
) -> pl.DataFrame:
    """The links between records that the day delivers; `counts` says how many are not.

    `ends` are the ids of the records of either type that are delivered, None where it is not.
    """
    found = of_delivered(of_delivered(links, "fromId", ends[0]), "toId", ends[1])
    counts[LINKS_LEFT_OUT] += links.height - found.height
    return found


def associations(links: pl.DataFrame, from_type: str, to_type: str) -> pl.DataFrame:
    """Rows of ASSOCIATIONS."""
    return links.select(
        COMBINEDASSOCIATIONTYPEID=_combined(),
        ASSOCIATIONCATEGORY="category",
        ASSOCIATIONTYPEID="typeId",
        FROMOBJECTTYPEID=pl.lit(from_type),
        FROMOBJECTID="fromId",
        TOOBJECTTYPEID=pl.lit(to_type),
        TOOBJECTID="toId",
        INGESTEDAT="readAt",
    )


def associations_of_pair(
    links: pl.DataFrame, columns: tuple[str, str], main: AssociationType | None
) -> pl.DataFrame:
    """Rows of ASSOCIATIONS_<X>_TO_<Y>; `columns` are the names of the two ids."""
    is_main = _combined() == (main.combined if main else "")
    return links.select(
        pl.col("fromId").alias(columns[0]),
        pl.col("toId").alias(columns[1]),
        COMBINEDASSOCIATIONTYPEID=_combined(),
        ASSOCIATIONCATEGORY="category",
        ASSOCIATIONTYPEID="typeId",
        LABEL="label",
        ISMAINASSOCIATIONDEFINITION=is_main,
        INGESTEDAT="readAt",
    )


def id_columns(from_name: str, to_name: str) -> tuple[str, str]:
    """The id columns of a pair of types, by the names of the types.

    >>> id_columns("line_item", "deal"), id_columns("company", "company")[0]
    (('LINE_ITEM_OBJECTID', 'DEAL_OBJECTID'), 'FROM_COMPANY_OBJECTID')
    """
    first, second = f"{type_name(from_name)}_OBJECTID", f"{type_name(to_name)}_OBJECTID"
    return (f"FROM_{first}", f"TO_{second}") if first == second else (first, second)


class PairTypes(NamedTuple):
    """The association types of an ordered pair of object types, and when they were read."""

    from_type: str
    to_type: str
    names: tuple[str, str]
    types: Sequence[AssociationType]
    read_at: Any


def association_definitions(pairs: Iterable[PairTypes]) -> pl.DataFrame:
    """Rows of ASSOCIATION_DEFINITIONS."""
    rows: dict[str, tuple[Any, ...]] = {}
    for pair in pairs:
        main = main_type(pair.types)
        for each in pair.types:
            row = (
                each.combined,
                each.category,
                each.type_id,
                pair.from_type,
                pair.to_type,
                _name(pair.names, each),
                each.label,
                each == main,
                pair.read_at,
            )
            rows.setdefault(each.combined, row)
    return frame_of(specs.ASSOCIATION_DEFINITIONS, rows.values())


def _name(names: tuple[str, str], of: AssociationType) -> str | None:
    """As CONTACT_TO_COMPANY; HubSpot does not tell the inner name of a portal's own label."""
    between = f"{type_name(names[0])}_TO_{type_name(names[1])}"
    if of.category != "HUBSPOT_DEFINED":
        return between if of.label is None else None
    role = of.role or of.label
    return f"{between}_{type_name(role)}" if role else between


def _combined() -> pl.Expr:
    number = pl.col("category").replace(CATEGORIES)
    return pl.concat_str(number, pl.lit("-"), pl.col("typeId"))
