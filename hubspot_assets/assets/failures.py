"""Failures in Dagster's words: which a retry would only repeat, and what is to blame for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from hubspot_assets.hubspot.errors import DailyLimitReached, HubSpotError, Refused
from hubspot_assets.readings.staging import NotStagedError
from hubspot_assets.settings import SettingsError
from hubspot_assets.storage import StoreError

if TYPE_CHECKING:
    from dagster._core.execution.plan.objects import UserFailureData

PERMANENT = (HubSpotError, SettingsError, StoreError)
#: The metadata in which an asset of several sources tells why some of them were not read.
NOT_READ = "not_read"
#: The metadata in which a failure tells whether its cause passes by itself, and when.
PASSES, RESUMES_AT = "passes_by_itself", "resumes_at"


def told_by(event: dg.DagsterEvent) -> UserFailureData | None:
    """What a failed step says for people: words, and metadata; nothing where nobody foresaw it."""
    return event.step_failure_data.user_failure_data


@contextmanager
def permanent_errors() -> Iterator[None]:
    """Turns errors that a retry would only repeat into a failure that is not retried."""
    try:
        yield
    except PERMANENT as error:
        raise dg.Failure(str(error), metadata=_told(error), allow_retries=False) from error


def _told(error: Exception) -> dict[str, dg.MetadataValue[Any] | bool]:
    """When to try again: HubSpot and stores are well again some time, but neither what HubSpot
    refuses nor a setting changes without a person."""
    if isinstance(error, DailyLimitReached):
        resumes_at = dg.TimestampMetadataValue(error.resumes_at.timestamp())
        return {PASSES: True, RESUMES_AT: resumes_at}
    if isinstance(error, StoreError):
        return {PASSES: error.passing}
    return {PASSES: not isinstance(error, SettingsError | Refused)}


@contextmanager
def blamed(context: dg.AssetExecutionContext, assets: Mapping[str, dg.AssetKey]) -> Iterator[None]:
    """The same, where what is needed may not have been read: says which of `assets` it is, why
    that was not read, if it is known, and what to do."""
    try:
        with permanent_errors():
            yield
    except NotStagedError as error:
        key = assets[error.source]
        asset = key.to_user_string()
        again = f"materialize {asset} for {error.day}"
        if why := _why(context.instance, key, error):
            told = f"{why}; {again} once that is made good"
        else:
            told = f"{asset} is not staged for {error.day}: materialize it for that day first"
        raise dg.Failure(told, allow_retries=False) from error


def _why(instance: dg.DagsterInstance, key: dg.AssetKey, missing: NotStagedError) -> str | None:
    """What an asset of several sources last told, on that day, of the one that is missing."""
    records = dg.AssetRecordsFilter(key, asset_partitions=[missing.day])
    for record in instance.fetch_materializations(records, limit=1).records:
        told = record.asset_materialization and record.asset_materialization.metadata.get(NOT_READ)
        if isinstance(told, dg.JsonMetadataValue) and isinstance(told.data, dict):
            return told.data.get(missing.source)
    return None
