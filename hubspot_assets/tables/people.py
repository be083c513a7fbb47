"""Where records, and so people, stand in the tables: by the columns that tell of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The column of the type of the records that rows are of.
OBJECT_TYPE = "OBJECTTYPEID"
#: Columns of record ids, each with the column of the type that they are of.
_TYPED = {
    "OBJECTID": OBJECT_TYPE,
    "MERGEDINTO": OBJECT_TYPE,
    "FROMOBJECTID": "FROMOBJECTTYPEID",
    "TOOBJECTID": "TOOBJECTTYPEID",
}
#: Columns of links of one pair of types end so; before it stands the name of the type.
_OF_PAIR = "_OBJECTID"
_SIDES = ("FROM_", "TO_")
#: Columns of the e-mail address of the contact that an event happened to; what makes it an event.
_ADDRESSES = ("PROPERTY_HS_RECIPIENT",)
_EVENT = "EVENTTYPEID"
#: Columns of the values of a property, which is called so, and of those of several.
_OF_PROPERTY = re.compile("PROPERTY_(?:UNPARSED_)?(.+)")
_NAME, _VALUE, _OBJECT = "NAME", "VALUE", "PROPERTIES"


@dataclass(frozen=True, slots=True)
class RecordColumn:
    """Column number `id` has record ids; `type` is the number of the column of their types, or
    they are all of one of the `object_type_ids`."""

    id: int
    type: int | None
    object_type_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of texts: values of the `property`, or of those that the column `named_by` tells; or
    each an object, as JSON, of the values of several."""

    column: str
    property: str = ""
    named_by: str = ""
    is_object: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The columns of a table that tell of records, and those of addresses, by number.

    Where they are `leading`, rows are in order of type and id, which stand first, and nothing else
    tells whose they are. The `texts` of others may refer to them.
    """

    records: tuple[RecordColumn, ...]
    addresses: tuple[int, ...]
    leading: bool
    texts: tuple[TextColumn, ...]


def standing(
    columns: Sequence[str],
    key: Sequence[str],
    type_names: Mapping[str, Sequence[str]],
    pair: Sequence[str] = (),
) -> Standing:
    """Where records stand in a table of these columns and this key.

    `type_names` has the ids of the types by the name that columns have for them, as CONTACT; where
    the `pair` of types that a table of links is of is known, those count.

    >>> standing(["CONTACT_OBJECTID", "DEAL_OBJECTID"], [], {"DEAL": ["0-3"]}).records[1]
    RecordColumn(id=1, type=None, object_type_ids=('0-3',))
    """
    numbers = {name: number for number, name in enumerate(columns)}
    records = [
        RecordColumn(numbers[name], numbers[of])
        for name, of in _TYPED.items()
        if name in numbers and of in numbers
    ]
    # A property may be called alike: its column begins with PROPERTY_.
    sides = [name for name in columns[:2] if name.endswith(_OF_PAIR)]
    for number, name in enumerate(sides):
        bare = name.removesuffix(_OF_PAIR)
        for side in _SIDES:
            bare = bare if bare in type_names else bare.removeprefix(side)
        ids = tuple(pair[number : number + 1]) or tuple(type_names.get(bare, ()))
        records.append(RecordColumn(numbers[name], None, ids))
    addresses = [numbers[name] for name in _ADDRESSES if _EVENT in numbers and name in numbers]
    in_order = tuple(key[:2]) in {("OBJECTTYPEID", "OBJECTID"), ("OBJECTID",)}
    leading = in_order and records == [RecordColumn(1, 0)] and not addresses
    texts = tuple(_text(name, columns) for name in columns if name not in key)
    return Standing(tuple(records), tuple(addresses), leading, texts)


def _text(name: str, columns: Sequence[str]) -> TextColumn:
    if name == _VALUE and _NAME in columns:
        return TextColumn(name, named_by=_NAME)
    of = _OF_PROPERTY.fullmatch(name)
    return TextColumn(name, of[1].lower() if of else "", is_object=name == _OBJECT)
