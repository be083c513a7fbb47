"""Every `Source` as Dagster's asset: what is read from HubSpot and staged."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from zoneinfo import ZoneInfo

import dagster as dg

from hubspot_assets.assets.resources import HubSpotResource, StagingResource
from hubspot_assets.day import Day
from hubspot_assets.hubspot.client import Stats
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.readings.reading import Staged
from hubspot_assets.settings import SettingsError
from hubspot_assets.sources.source import Ask, Source
from hubspot_assets.storage import StoreError


@contextmanager
def permanent_errors() -> Iterator[None]:
    """Turns errors that a retry would only repeat into a failure that is not retried."""
    try:
        yield
    except (HubSpotError, SettingsError, StoreError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def keys_of(sources: Sequence[Source]) -> dict[str, dg.AssetKey]:
    """The asset that fills each reading, by the reading's name."""
    return {
        name: dg.AssetKey(["hubspot", *each.path])
        for each in sources
        for name in (each.name, *each.also)
    }


def source_assets(
    sources: Sequence[Source], partitions: dg.PartitionsDefinition[str], zone: ZoneInfo
) -> list[dg.AssetsDefinition]:
    """An asset per source. Those of one step are one step's, of which any subset can be run."""
    keys = keys_of(sources)
    by_step = groupby(
        sorted(sources, key=lambda each: each.step or each.name),
        lambda each: each.step or "__".join(keys[each.name].path),
    )
    return [_step(name, list(group), keys, partitions, zone) for name, group in by_step]


def _step(
    name: str,
    sources: Sequence[Source],
    keys: Mapping[str, dg.AssetKey],
    partitions: dg.PartitionsDefinition[str],
    zone: ZoneInfo,
) -> dg.AssetsDefinition:
    by_key = {keys[each.name]: each for each in sources}

    @dg.multi_asset(
        name=name,
        specs=[_spec(each, keys, partitions) for each in sources],
        can_subset=len(sources) > 1,
        # A crash in the middle is gone on from where the checkpoints are.
        retry_policy=dg.RetryPolicy(max_retries=1, delay=30),
    )
    def assets(
        context: dg.AssetExecutionContext, hubspot: HubSpotResource, staging: StagingResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        day = Day.named(context.partition_key, zone)
        wanted = [key for key in by_key if key in context.selected_asset_keys]
        with permanent_errors():
            client = hubspot.client

            def read(key: dg.AssetKey) -> tuple[dg.AssetKey, Staged, Stats]:
                own = client.counted_apart()
                ask = Ask(
                    own,
                    staging.day(day),
                    day,
                    hubspot.workers,
                    hubspot.report,
                    hubspot.incremental,
                )
                return key, by_key[key].read(ask), own.stats

            for key, staged, stats in in_order(read, wanted, hubspot.workers):
                yield _result(context, key, staged, stats)

    return assets


def _spec(
    source: Source, keys: Mapping[str, dg.AssetKey], partitions: dg.PartitionsDefinition[str]
) -> dg.AssetSpec:
    type_id = source.object_type_id
    return dg.AssetSpec(
        keys[source.name],
        description=source.description,
        deps=list(dict.fromkeys(keys[each] for each in source.needs)),
        partitions_def=partitions,
        group_name="hubspot",
        kinds={"hubspot", "parquet"},
        owners=["team:data"],
        metadata={"hubspot/object_type_id": type_id} if type_id else None,
    )


def _result(
    context: dg.AssetExecutionContext, key: dg.AssetKey, staged: Staged, stats: Stats
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    if staged.availability.detail and staged.availability.status != "no_public_api":
        context.log.warning(f"{staged.source}: {staged.availability.detail}")  # noqa: G004
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            **{name: int(number) for name, number in staged.counts.items()},
            "availability": staged.availability.status,
            "availability_detail": staged.availability.detail,
            "observed_at": dg.TimestampMetadataValue(staged.observed_at.timestamp()),
            "staged_in": staged.folder,
            "requests": stats.requests,
            "http_429": stats.http_429,
            "retries": stats.retries,
            "seconds_waiting": round(stats.seconds_waiting, 3),
        },
    )
