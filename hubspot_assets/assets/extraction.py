"""Extraction assets: what is read from HubSpot and staged, one asset per source."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from hubspot_assets.assets.resources import HubSpotResource, StagingResource
from hubspot_assets.assets.types import ExportedType
from hubspot_assets.hubspot import metadata
from hubspot_assets.hubspot.catalog import ObjectType
from hubspot_assets.hubspot.client import HubSpot, Stats
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import Forbidden, HubSpotError
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.readings.staging import Staged, Staging
from hubspot_assets.settings import SettingsError
from hubspot_assets.sources.items import extract_items
from hubspot_assets.sources.object_types import extract_object_types
from hubspot_assets.sources.records import extract_records
from hubspot_assets.sources.source import properties_source
from hubspot_assets.storage import StoreError

OWNERS = dg.AssetKey(["hubspot", "owners"])
TEAMS = dg.AssetKey(["hubspot", "teams"])
PIPELINES = dg.AssetKey(["hubspot", "pipelines"])
OBJECT_TYPES = dg.AssetKey(["hubspot", "object_types"])

Extract = Callable[[HubSpot, Staging, HubSpotResource], Staged]


@contextmanager
def permanent_errors() -> Iterator[None]:
    """Turns errors that a retry would only repeat into a failure that is not retried."""
    try:
        yield
    except (HubSpotError, SettingsError, StoreError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def extraction_assets(
    types: Sequence[ExportedType],
    partitions: dg.PartitionsDefinition[str],
    portal: str,
    linked_types: Mapping[str, Sequence[ObjectType]],
    discovered: Sequence[ObjectType],
) -> list[dg.AssetsDefinition]:
    """The assets that read everything the tables of `types`, of those `discovered`, need.

    Records are asked whether they have links to their type's `linked_types`, by type id.
    """
    assets = [
        each
        for of in types
        if not of.has_own_api
        for each in (
            _properties(of, partitions),
            _records(of, partitions, portal, linked_types.get(of.object_type.id, ())),
        )
    ]
    pairs = [(each.object_type, each.table) for each in types]
    return [
        *assets,
        extraction(
            OWNERS, "Owners, archived ones included.", partitions,
            lambda client, staging, _: extract_items(
                staging, "owners", lambda: metadata.owners(client)
            ),
        ),
        extraction(TEAMS, "Teams, with their parents.", partitions, _teams),
        extraction(
            PIPELINES, "Pipelines and stages of every type that has some.", partitions,
            lambda client, staging, _: extract_items(
                staging, "pipelines", lambda: _pipelines(client, types)
            ),
        ),
        extraction(
            OBJECT_TYPES, "Object types, each tried once to see if it can be read.", partitions,
            lambda client, staging, _: extract_object_types(
                client, staging, pairs, discovered
            ),
        ),
    ]  # fmt: skip


def _records(
    of: ExportedType,
    partitions: dg.PartitionsDefinition[str],
    portal: str,
    linked_types: Sequence[ObjectType],
) -> dg.AssetsDefinition:
    def extract(client: HubSpot, staging: Staging, hubspot: HubSpotResource) -> Staged:
        return read_records(of, client, staging, hubspot, portal=portal, linked_types=linked_types)

    description = f"All live records of the type {of.label}, with the histories of all properties."
    return extraction(
        of.records_key, description, partitions, extract,
        deps=[of.properties_key], object_type_id=of.object_type.id,
    )  # fmt: skip


def _properties(of: ExportedType, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    def extract(client: HubSpot, staging: Staging, _: HubSpotResource) -> Staged:
        return read_properties(of, client, staging)

    return extraction(
        of.properties_key, f"Property definitions of the type {of.label}.", partitions, extract,
        object_type_id=of.object_type.id,
    )  # fmt: skip


def read_records(
    of: ExportedType,
    client: HubSpot,
    staging: Staging,
    hubspot: HubSpotResource,
    *,
    portal: str,
    linked_types: Sequence[ObjectType] = (),
) -> Staged:
    """Stages a type's records from the CRM objects API; its properties must be staged."""
    return extract_records(
        client,
        staging,
        of.object_type,
        portal=portal,
        workers=hubspot.workers,
        linked_types=linked_types,
        report=lambda _, records: hubspot.report(of.folder, records),
    )


def read_properties(of: ExportedType, client: HubSpot, staging: Staging) -> Staged:
    """Stages a type's property definitions from the properties API."""
    return extract_items(
        staging,
        properties_source(of.object_type),
        lambda: metadata.properties(client, of.object_type.id),
        object_type=of.object_type,
    )


def _teams(client: HubSpot, staging: Staging, _: HubSpotResource) -> Staged:
    extract_items(staging, "team_tree", lambda: metadata.team_tree(client))
    return extract_items(staging, "user_teams", lambda: metadata.user_teams(client))


def _pipelines(client: HubSpot, types: Sequence[ExportedType]) -> Iterator[Read]:
    """Each pipeline with its objectTypeId, or why a type's are `refused`.

    Raises Forbidden if no type's may be read.
    """
    refused: Forbidden | None = None
    read = 0
    for of in types:
        if not of.object_type.pipelines:
            continue
        try:
            for content, when in metadata.pipelines(client, of.object_type.id):
                yield Read({"objectTypeId": of.object_type.id, "pipeline": content}, when)
                read += 1
        except Forbidden as error:
            refused = error
            told = {"objectTypeId": of.object_type.id, "refused": str(error)}
            yield Read(told, datetime.now(UTC))
    if refused and not read:
        raise refused


def extraction(
    key: dg.AssetKey,
    description: str,
    partitions: dg.PartitionsDefinition[str],
    extract: Extract,
    *,
    deps: Sequence[dg.AssetKey] = (),
    object_type_id: str | None = None,
) -> dg.AssetsDefinition:
    """The asset of one source, in a step of its own."""

    @dg.asset(
        key=key,
        description=description,
        deps=deps,
        partitions_def=partitions,
        group_name="hubspot",
        kinds={"hubspot", "parquet"},
        owners=["team:data"],
        metadata={"hubspot/object_type_id": object_type_id} if object_type_id else None,
        # A crash in the middle is gone on from where the checkpoint is.
        retry_policy=dg.RetryPolicy(max_retries=1, delay=30),
    )
    def asset(
        context: dg.AssetExecutionContext, hubspot: HubSpotResource, staging: StagingResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with permanent_errors(), hubspot.client() as client:
            staged = extract(client, staging.day(context.partition_key), hubspot)
            return _result(context, key, staged, client.stats)

    return asset


def extractions(
    name: str,
    sources: Sequence[tuple[dg.AssetSpec, Extract]],
    partitions: dg.PartitionsDefinition[str],
) -> dg.AssetsDefinition:
    """Many small extractions as the assets of one step, of which any subset can be run.

    A step of its own for each would take longer than most readings do. They are read several at
    a time. An asset needs no more than a key, a description and deps.
    """
    by_key = {spec.key: extract for spec, extract in sources}

    @dg.multi_asset(
        name=name,
        specs=[
            spec.replace_attributes(
                partitions_def=partitions,
                group_name="hubspot",
                kinds={"hubspot", "parquet"},
                owners=["team:data"],
            )
            for spec, _ in sources
        ],
        can_subset=True,
        # A crash in the middle is gone on from where the checkpoints are.
        retry_policy=dg.RetryPolicy(max_retries=1, delay=30),
    )
    def assets(
        context: dg.AssetExecutionContext, hubspot: HubSpotResource, staging: StagingResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        day = staging.day(context.partition_key)
        keys = [key for key in by_key if key in context.selected_asset_keys]
        with permanent_errors(), hubspot.client() as client:

            def read(key: dg.AssetKey) -> tuple[dg.AssetKey, Staged, Stats]:
                own = client.counted_apart()
                return key, by_key[key](own, day, hubspot), own.stats

            for key, staged, stats in in_order(read, keys, hubspot.workers):
                yield _result(context, key, staged, stats)

    return assets


def _result(
    context: dg.AssetExecutionContext, key: dg.AssetKey, staged: Staged, stats: Stats
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    if staged.availability.status not in {"available", "no_public_api"}:
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
