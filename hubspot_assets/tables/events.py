"""The tables of events, from the staged frames of one event type.

Pure functions on a batch of events: `events` (event, id, objectType, objectId, occurredAt, readAt)
and `values` (event, name, value; moments as epoch milliseconds). `event` is the number that an
event has in the batch, which holds all its values, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from hubspot_assets.tables.counts import (
    CONTENTS_UNKNOWN,
    OBJECT_TYPES_UNKNOWN,
    RECIPIENTS_UNKNOWN,
)
from hubspot_assets.tables.typed import PropertyType, typed_columns

EMAIL_CAMPAIGN, EMAIL_CONTENT = "hs_email_campaign_id", "hs_email_meta_content_id"


def all_properties(
    known: Sequence[PropertyType], seen: Collection[str]
) -> tuple[PropertyType, ...]:
    """The `known` properties, and as text those that are `seen` in values without being known."""
    unknown = sorted(set(seen) - {each.name for each in known})
    return (*known, *(PropertyType(name, "string", name) for name in unknown))


def events_of_type(
    events: pl.DataFrame,
    values: pl.DataFrame,
    properties: Sequence[PropertyType],
    *,
    event_type_id: str | None,
    object_types: Mapping[str, str],
    counts: Counter[str],
) -> pl.DataFrame:
    """Rows of EVENTS_<name>, in no order: a typed column per property, as `typed.columns` has them.

    `object_types` gives the object type id to each name in upper case that the events API may
    call it by; what is not there is NULL, and counted.
    """
    typed = typed_columns(values, "event", properties, counts)
    named = pl.col("objectType").str.to_uppercase()
    rows = events.select(
        "event",
        EVENTTYPEID=pl.lit(event_type_id, dtype=pl.String),
        ID="id",
        OBJECTTYPEID=named.replace_strict(object_types, default=None, return_dtype=pl.String),
        OBJECTID="objectId",
        OCCURREDAT="occurredAt",
        INGESTEDAT="readAt",
    )
    nameless = rows["OBJECTTYPEID"].null_count() - events["objectType"].null_count()
    counts[OBJECT_TYPES_UNKNOWN] += nameless
    return rows.join(typed, on="event", how="left", maintain_order="left").drop("event")


def with_contacts(
    events: pl.DataFrame, recipients: pl.DataFrame, contacts: pl.DataFrame, counts: Counter[str]
) -> pl.DataFrame:
    """E-mail events with the contact whose address they were sent to as their object.

    `recipients` has event and recipient, `contacts` recipient and contactId; addresses are in
    lower case. Events whose recipient is no known contact have no object, and are counted.
    """
    found = recipients.join(contacts, on="recipient").select("event", "contactId")
    joined = events.join(found, on="event", how="left", maintain_order="left")
    counts[RECIPIENTS_UNKNOWN] += joined["contactId"].null_count()
    known = pl.col("contactId").is_not_null()
    return joined.with_columns(
        objectType=pl.when(known).then(pl.lit("CONTACT")), objectId="contactId"
    ).drop("contactId")


def with_contents(
    values: pl.DataFrame, contents: pl.DataFrame, events: int, counts: Counter[str]
) -> pl.DataFrame:
    """Values of so many e-mail `events`, with the content id of the marketing e-mail of each.

    `contents` has campaignId and contentId, one for each campaign. What HubSpot told stays; events
    that have none then are counted.
    """
    told = values.filter(pl.col("name") == EMAIL_CONTENT)
    found = (
        values.filter(pl.col("name") == EMAIL_CAMPAIGN)
        .join(told, on="event", how="anti")
        .join(contents, left_on="value", right_on="campaignId")
        .select("event", name=pl.lit(EMAIL_CONTENT), value="contentId")
    )
    counts[CONTENTS_UNKNOWN] += events - told.height - found.height
    return pl.concat([values, found])
