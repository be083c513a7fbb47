"""Where records, and so people, stand in the frames of each source; and frames without some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import polars as pl

#: What tells that two texts are one address.
_ADDRESS = r"[^\s\"'<>,;:()\[\]\\]+@[^\s\"'<>,;:()\[\]\\]+"
#: The property of a form submission that holds what was filled in, and of an event to whom.
_SUBMISSIONS, _FILLED_IN = "0-15", "values"
_CONTACTS, _RECIPIENT = "0-1", "hs_recipient"

Frames = Mapping[str, pl.DataFrame]


class Who(Protocol):
    """Some records and addresses. Answers are Boolean, a value for each that is asked for."""

    def records(self, object_type: str, ids: pl.Series) -> pl.Series:
        """Which of the `ids` of a type, by its id or a name of it, are theirs."""

    def addresses(self, texts: pl.Series, moments: pl.Series) -> pl.Series:
        """Which of the addresses, lower case, are theirs, of what happened at those moments."""


def without(source: str, frames: Frames, who: Who) -> tuple[dict[str, pl.DataFrame], int]:
    """The frames of a chunk of `source` without the rows of those, and how many rows that took.

    Of records their values are not counted. Frames in which nobody stands are given as they are.
    """
    family, _, rest = source.partition("/")
    take_out = _FAMILIES.get(family)
    if take_out is None:
        return dict(frames), 0
    left = {**frames, **take_out(rest, frames, who)}
    counted = _COUNTED.get(family, tuple(frames))
    return left, sum(frames[name].height - left[name].height for name in counted if name in frames)


def addresses_in(texts: pl.DataFrame, column: str) -> pl.DataFrame:
    """A row per e-mail address in a column of texts, in lower case in the column `address`."""
    found = pl.col(column).str.to_lowercase().str.extract_all(_ADDRESS).alias("address")
    return texts.with_columns(found).explode("address").drop_nulls("address")


def _of_records(object_type: str, frames: Frames, who: Who) -> Frames:
    records = frames["records"]
    theirs = who.records(object_type, records["id"])
    theirs |= who.records(object_type, records["mergedInto"]).fill_null(value=False)
    ids = records["id"].filter(theirs)
    if object_type == _SUBMISSIONS:
        ids = pl.concat([ids, _submissions(records, frames["values"], who)])
    if ids.is_empty():
        return {}
    return {name: each.filter(~pl.col("id").is_in(ids.implode())) for name, each in frames.items()}


def _submissions(records: pl.DataFrame, values: pl.DataFrame, who: Who) -> pl.Series:
    """The ids of submissions in which an address of theirs was filled in."""
    filled_in = values.filter(pl.col("name") == _FILLED_IN).select("id", "value")
    told = addresses_in(filled_in, "value").join(records.select("id", "createdAt"), on="id")
    return told["id"].filter(who.addresses(told["address"], told["createdAt"])).unique()


def _of_links(pair: str, frames: Frames, who: Who) -> Frames:
    first, _, second = pair.partition("_")
    ends = {"forward": (first, second), "backward": (second, first)}
    left = {}
    for name, (mine, other) in ends.items():
        links = frames[name]
        left[name] = links.filter(
            ~(who.records(mine, links["fromId"]) | who.records(other, links["toId"]))
        )
    refused = frames["refused"]
    ids = refused["id"].cast(pl.Int64, strict=False)
    theirs = who.records(first, ids) | who.records(second, ids)
    return left | {"refused": refused.filter(~theirs.fill_null(value=False))}


def _of_members(_: str, frames: Frames, who: Who) -> Frames:
    members = frames["members"]
    return {"members": members.filter(~_typed(members, "objectTypeId", "recordId", who))}


def _of_events(_: str, frames: Frames, who: Who) -> Frames:
    events = frames["events"]
    return _without_events(frames, events.filter(_typed(events, "objectType", "objectId", who)))


def _of_email_events(_: str, frames: Frames, who: Who) -> Frames:
    events = frames["events"]
    recipients = frames["values"].filter(pl.col("name") == _RECIPIENT)
    moments = events.select("event", "occurredAt")
    told = addresses_in(recipients, "value").join(moments, on="event", how="left")
    theirs = told.filter(who.addresses(told["address"], told["occurredAt"]))
    return _without_events(frames, theirs)


def _without_events(frames: Frames, theirs: pl.DataFrame) -> Frames:
    if theirs.is_empty():
        return {}
    names = ("events", "values")
    return {name: frames[name].join(theirs, on="event", how="anti") for name in names}


def _of_addressees(_: str, frames: Frames, who: Who) -> Frames:
    contacts = frames["contacts"]
    # One that tells of no moment may be that of a later contact who has the address now.
    untold = pl.repeat(None, n=contacts.height, dtype=pl.Datetime("ms"), eager=True)
    by_address = who.addresses(contacts["recipient"], untold)
    theirs = by_address | who.records(_CONTACTS, contacts["contactId"])
    return {"contacts": contacts.filter(~theirs)}


def _typed(frame: pl.DataFrame, type_column: str, id_column: str, who: Who) -> pl.Series:
    """Which rows are of records of theirs, by a column of types and one of ids."""
    theirs = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    for object_type in frame[type_column].drop_nulls().unique():
        of_type = (frame[type_column] == object_type).fill_null(value=False)
        theirs |= of_type & who.records(object_type, frame[id_column]).fill_null(value=False)
    return theirs


_FAMILIES: Mapping[str, Callable[[str, Frames, Who], Frames]] = {
    "objects": _of_records,
    "associations": _of_links,
    "list_memberships": _of_members,
    "events": _of_events,
    "email_events": _of_email_events,
    "email_contacts": _of_addressees,
}
#: The frames of a family whose rows are what it is about; of others all are.
_COUNTED = {"objects": ("records",), "events": ("events",), "email_events": ("events",)}
