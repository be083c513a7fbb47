"""Which marketing e-mail an email campaign belongs to: what tells e-mail events what was sent."""

from __future__ import annotations

import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import NotStagedError, Staging

EMAIL_CONTENTS = "email_contents"
CONTENTS_SCHEMA = {"campaignId": pl.String(), "contentId": pl.String()}

_CONTENT_ID = "hs_origin_asset_id"
#: Properties of marketing e-mails that hold ids of email campaigns; the first one to know an id
#: is believed, since the variants of a test may share a group.
_CAMPAIGN_IDS = ("primary_email_campaign_id", "all_email_campaign_ids", "email_campaign_group_id")


def stage_contents(staging: Staging, events: Staged) -> Staged:
    """Stages the content ids of marketing e-mails, by their email campaigns.

    One frame `contents`: campaignId, contentId String, each campaign once. It is staged empty, with
    the reason as its availability, where marketing e-mails are not staged. A campaign of several
    e-mails is left out. They are of the time of the `events`.
    """
    reading = staging.begin(EMAIL_CONTENTS, "", resume=False, window=events.window)
    try:
        emails = staging.complete("objects/0-29")
    except NotStagedError as error:
        return reading.finish(Availability("not_enabled", str(error)), events.observed_at)
    found = [_campaigns(chunk.read("values", ["id", "name", "value"])) for chunk in emails.chunks()]
    if found:
        reading.add({"contents": _one_each(pl.concat(found))}, after=None)
    return reading.finish(emails.availability, emails.observed_at)


def _campaigns(values: pl.DataFrame) -> pl.DataFrame:
    """campaignId, contentId and the rank of the property that told it."""
    present = values.filter(pl.col("name").is_in([_CONTENT_ID, *_CAMPAIGN_IDS])).unique(
        ["id", "name"], keep="last", maintain_order=True
    )
    contents = present.filter(pl.col("name") == _CONTENT_ID).select("id", contentId="value")
    ranks = {name: rank for rank, name in enumerate(_CAMPAIGN_IDS)}
    return (
        present.filter(pl.col("name") != _CONTENT_ID)
        # One id as text, or a JSON array of them.
        .with_columns(campaignId=pl.col("value").str.extract_all("[0-9]+"))
        .explode("campaignId")
        .drop_nulls("campaignId")
        .join(contents, on="id")
        .select(
            "campaignId",
            "contentId",
            rank=pl.col("name").replace_strict(ranks, return_dtype=pl.UInt8),
        )
    )


def _one_each(found: pl.DataFrame) -> pl.DataFrame:
    """The content of each campaign, by the property of the lowest rank, if that is clear."""
    return (
        found.filter(pl.col("rank") == pl.col("rank").min().over("campaignId"))
        .unique(["campaignId", "contentId"])
        .filter(pl.len().over("campaignId") == 1)
        .select(CONTENTS_SCHEMA.keys())
        .sort("campaignId")
    )
