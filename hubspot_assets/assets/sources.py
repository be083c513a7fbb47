"""Every `Source` in Dagster's words: what is read from HubSpot and staged."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG

from hubspot_assets.assets.ahead import ReadAhead, by_need
from hubspot_assets.assets.failures import NOT_READ, PERMANENT, blamed
from hubspot_assets.assets.labels import Labels
from hubspot_assets.assets.lineage import Lineage, path_of
from hubspot_assets.assets.resources import HubSpotResource, StagingResource
from hubspot_assets.catalog_place import CatalogPlace
from hubspot_assets.day import Day
from hubspot_assets.hubspot.catalog import CatalogError
from hubspot_assets.hubspot.client import Stats
from hubspot_assets.hubspot.concurrent import in_order, interruptible
from hubspot_assets.hubspot.stopping import Stopped
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import NotStagedError
from hubspot_assets.sources.source import Ask, Source
from hubspot_assets.storage import StoreError

#: Seconds after which a source is tried once more whose reading ended as nobody foresaw.
_REST = 30.0
#: So many sources are named in a line.
_NAMED = 5
#: Seconds that a step waits for its source without a word in the run's log.
_SILENT = 30.0

#: dagster-celery has one of its own.
_PRIORITY_TAGS = (PRIORITY_TAG, "dagster-celery/priority")

Partitions = dg.PartitionsDefinition[str]


class _Outcome(NamedTuple):
    """What became of reading a source: what is `staged`, or `why` nothing is."""

    source: Source
    staged: Staged | None
    stats: Stats
    seconds: float
    why: str = ""


def source_assets(
    sources: Sequence[Source],
    lineage: Lineage,
    partitions: Partitions,
    zone: ZoneInfo,
    labels: Labels,
) -> list[dg.AssetsDefinition]:
    """An asset, and a step, for all sources of one path."""
    by_path = groupby(sorted(sources, key=lambda each: each.path), lambda each: each.path)
    every = by_need(sources)
    order = {each.name: -number for number, each in enumerate(every, 1)}
    return [_asset(tuple(of), every, order, lineage, partitions, zone, labels) for _, of in by_path]


def _asset(
    sources: Sequence[Source],
    every: Sequence[Source],
    order: Mapping[str, int],
    lineage: Lineage,
    partitions: Partitions,
    zone: ZoneInfo,
    labels: Labels,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=_step_name(sources[0]),
        specs=[_spec(sources, lineage, partitions, labels)],
        pool=labels.pool,
        # After tables, so that those are made meanwhile; and as they are read ahead.
        op_tags=dict.fromkeys(_PRIORITY_TAGS, str(max(order[each.name] for each in sources))),
    )
    def asset(
        context: dg.AssetExecutionContext, hubspot: HubSpotResource, staging: StagingResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        day = Day.named(context.partition_key, zone)

        def read(source: Source) -> _Outcome:
            try:
                return _read(source, day, hubspot, staging)
            except (*PERMANENT, NotStagedError, Stopped):
                raise
            except Exception:  # noqa: BLE001 - it is gone on from where the checkpoints are
                # By ourselves: Dagster's RetryPolicy tries a step again that was interrupted.
                hubspot.client.rest(_REST)
                return _read(source, day, hubspot, staging)

        with blamed(context, lineage.keys):
            client = hubspot.client  # nothing is contained of what is wrong with all
            staging.day(day)  # others are waited for here, where that can be interrupted
            ahead = hubspot.ahead(lambda: ReadAhead(_of_run(context, every), hubspot.workers))
            take = partial(ahead.take, read=read) if ahead else read

            def read_all() -> list[_Outcome]:
                if len(sources) == 1:
                    return [take(sources[0])]
                return list(in_order(_contained(take), sources, hubspot.workers))

            outcomes = interruptible(read_all, client.stop, _telling(context, hubspot))
            _see(context, outcomes, staging.catalog)
        return dg.MaterializeResult(metadata=_metadata(outcomes))

    return asset


def _telling(context: dg.AssetExecutionContext, hubspot: HubSpotResource) -> Callable[[], None]:
    """What says at times, while a step waits, how far the reading is of all that is read at once:
    else a run's log would be silent for hours."""
    due = time.monotonic() + _SILENT

    def tell() -> None:
        nonlocal due
        if (now := time.monotonic()) < due:
            return
        due = now + _SILENT
        latest = list(hubspot.so_far.items())[-_NAMED:]
        told = "; so far " + ", ".join(f"{name} {n:,}" for name, n in latest) if latest else ""
        context.log.info("still reading from HubSpot%s", told)

    return tell


def _step_name(source: Source) -> str:
    return "__".join(path_of(source))


def _of_run(context: dg.AssetExecutionContext, every: Sequence[Source]) -> list[Source]:
    """The sources that the run reads, of `every` one that there is, in their order."""
    names = set(context.job_def.graph.node_dict)
    if context.run.step_keys_to_execute is not None:
        names.intersection_update(context.run.step_keys_to_execute)
    return [each for each in every if _step_name(each) in names]


def _read(source: Source, day: Day, hubspot: HubSpotResource, staging: StagingResource) -> _Outcome:
    started = time.monotonic()
    client = hubspot.client.counted_apart()
    ask = Ask(
        client,
        staging.day(day),
        day,
        hubspot.workers,
        hubspot.report,
        hubspot.incremental,
        hubspot.sweep_days,
        hubspot.own_counts,
        hubspot.keep_erased_days,
    )
    staged = source.read(ask)
    return _Outcome(source, staged, client.stats, time.monotonic() - started)


def _contained(read: Callable[[Source], _Outcome]) -> Callable[[Source], _Outcome]:
    """The same, in which a source that can't be read costs itself alone."""

    def run(source: Source) -> _Outcome:
        try:
            return read(source)
        except Stopped:
            raise
        except (*PERMANENT, NotStagedError) as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - its words may hold a customer's values
            why = f"unexpected {type(error).__name__}"
        return _Outcome(source, None, Stats(0, {}, 0, 0.0), 0.0, why)

    return run


def _see(
    context: dg.AssetExecutionContext, outcomes: Sequence[_Outcome], catalog: CatalogPlace
) -> None:
    """Warns, once, of what is not as it should be; notes which pairs turn out to be linked.

    Fails where no source was read, or no table of the run will tell of one that was not.
    """
    warnings = list(_not_read(outcomes))
    if warnings and not (any(each.staged for each in outcomes) and _is_needed(context)):
        raise dg.Failure("; ".join(warnings), allow_retries=False)
    for each in outcomes:
        told = each.staged and each.staged.availability
        if told and told.detail and told.status != "no_public_api":
            warnings.append(f"{each.source.name}: {told.detail}")
    warnings += _newly_linked(outcomes, catalog)
    if warnings:
        context.log.warning("\n".join(warnings))


def _not_read(outcomes: Sequence[_Outcome]) -> Iterator[str]:
    """Which sources were not read, once for each cause."""
    by_cause: dict[str, list[str]] = {}
    for each in outcomes:
        if each.why:
            by_cause.setdefault(each.why, []).append(_named(each.source))
    for why, names in by_cause.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"{', '.join(names[:_NAMED])}{more} can't be read: {why}"


def _named(source: Source) -> str:
    return f"{source.member} ({source.name})"


def _newly_linked(outcomes: Sequence[_Outcome], catalog: CatalogPlace) -> Iterator[str]:
    """Notes in the catalog which pairs turn out to be linked, and tells of those that are new."""
    linked = [
        each.source.pair
        for each in outcomes
        if each.source.pair and each.staged and each.staged.counts.get("links")
    ]
    try:
        new = catalog.note_linked(linked)
    except (CatalogError, StoreError) as error:
        yield f"which pairs of types are linked can't be noted: {error}"
    else:
        if new:
            pairs = ", ".join(" and ".join(pair) for pair in new)
            yield (
                f"records of {pairs} are linked: they have tables of their own once the code "
                "location is reloaded"
            )


def _is_needed(context: dg.AssetExecutionContext) -> bool:
    """Whether the run makes something of the asset."""
    graph = context.job_def.asset_layer.asset_graph
    return bool(graph.get(context.asset_key).child_keys & graph.executable_asset_keys)


def _spec(
    sources: Sequence[Source],
    lineage: Lineage,
    partitions: Partitions,
    labels: Labels,
) -> dg.AssetSpec:
    first = sources[0]
    types = [each.object_type_id for each in sources if len(sources) == 1 and each.object_type_id]
    return dg.AssetSpec(
        labels.key(*path_of(first)),
        description=first.description,
        deps=lineage.nearest(name for each in sources for name in each.needs),
        partitions_def=partitions,
        group_name=f"hubspot_{first.group}",
        kinds={"hubspot", "parquet"},
        owners=labels.owners,
        tags=labels.tags(types, api=first.api),
    )


def _metadata(outcomes: Sequence[_Outcome]) -> dict[str, Any]:
    """Numbers that plot well over days, and what explains them."""
    staged = [each.staged for each in outcomes if each.staged]
    counts = sum((Counter(each.counts) for each in staged), Counter[str]())
    metadata: dict[str, Any] = {name: int(number) for name, number in counts.items()}
    metadata |= {
        "api": outcomes[0].source.api,
        "requests": sum(each.stats.requests for each in outcomes),
        "http_429": sum(each.stats.http_429 for each in outcomes),
        "retries": sum(each.stats.retries for each in outcomes),
        "seconds": round(sum(each.seconds for each in outcomes), 3),
        "seconds_waiting": round(sum(each.stats.seconds_waiting for each in outcomes), 3),
        "observed_at": dg.TimestampMetadataValue(
            max(each.observed_at for each in staged).timestamp()
        ),
    }
    if len(outcomes) == 1:
        availability, swept_at = staged[0].availability, staged[0].swept_at
        metadata |= {"availability": availability.status, "staged_in": staged[0].folder}
        if swept_at < staged[0].began:
            metadata["swept_at"] = dg.TimestampMetadataValue(swept_at.timestamp())
        return metadata | ({"why": availability.detail} if availability.detail else {})
    not_read = {
        each.source.name: f"{_named(each.source)} can't be read: {each.why}"
        for each in outcomes
        if each.why
    }
    if not_read:
        metadata[NOT_READ] = dg.JsonMetadataValue(not_read)
    return metadata | {"sources": len(outcomes), "sources_not_read": len(not_read)}
