"""Pages, posts and marketing e-mails: those that were modified since an earlier reading.

The filter by modified date is believed if it gives what is known to lie beyond its bound, and what
it gives and what is known are as many as HubSpot counts. Then none is gone, and none is missing.
What moves no modified date shows at the next reading of all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from hubspot_assets.hubspot import own_apis
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import Refused, Unexplained
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.moments import milliseconds
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.look import seen_since
from hubspot_assets.sources.own_changes import known_objects, stage_changes
from hubspot_assets.sources.own_types import record_of
from hubspot_assets.sources.source import Ask

log = logging.getLogger(__name__)

#: The APIs that have such a filter.
APIS = ("blog_posts", "landing_pages", "marketing_emails", "site_pages")
#: So many are listed in as many requests as it takes to look for changes.
FEW = 2 * own_apis.PAGE


def read_modified(
    ask: Ask, object_type: ObjectType, base: Staged, defined: Sequence[Read]
) -> Staged | None:
    """Stages what has been modified since `base`; None where all is to be read.

    Raises HubSpotError and StoreError.
    """
    if base.counts["records"] <= FEW:
        return None
    known = known_objects(base, "publish_date")
    try:
        changed = _changed(ask.client, object_type, base, known)
    except (Refused, Unexplained) as error:
        log.warning("%s are all read: %s", object_type.plural_name, error)
        return None
    if changed is None:
        log.info("%s are all read: some are gone, or not to be told apart", object_type.plural_name)
        return None
    return stage_changes(
        ask.staging,
        object_type,
        base,
        known["id"],
        lambda _: changed,
        lambda: pl.Series("id", dtype=pl.Int64),
        defined=defined,
    )


def _changed(
    client: HubSpot, object_type: ObjectType, base: Staged, known: pl.DataFrame
) -> list[Read] | None:
    """What has been modified; None where that can't be told."""
    latest = known["updatedAt"].max()
    if not isinstance(latest, datetime) or known["updatedAt"].null_count():
        return None
    seen = seen_since(base)
    since = min(seen, latest.replace(tzinfo=UTC) - timedelta(milliseconds=1))
    changed = list(own_apis.modified(client, object_type.api, since))
    ids = pl.Series(
        "id",
        [int(record_of(object_type, each.content)["id"]) for each in changed],
        dtype=pl.Int64,
    )
    newest = known.filter(pl.col("updatedAt") == latest)["id"]
    every = pl.concat([known["id"], ids]).n_unique()
    if not newest.is_in(ids.implode()).all() or every != own_apis.count(client, object_type.api):
        return None
    # Publishing need not move it.
    kept = known.filter(~pl.col("id").is_in(ids.implode()))["value"].drop_nulls()
    now = datetime.now(UTC)
    published = (milliseconds(each) or 0 for each in kept)
    if any(seen.timestamp() * 1000 <= each <= now.timestamp() * 1000 for each in published):
        return None
    return changed
