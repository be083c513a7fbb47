"""Discovering the portal again: by command, and as a Dagster job with a schedule."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from dagster_aws.s3 import S3Resource

from hubspot_assets.assets.resources import connect
from hubspot_assets.assets.schedule import daily
from hubspot_assets.catalog_place import CatalogPlace, catalog_place
from hubspot_assets.changes import changes
from hubspot_assets.exported import unknown_names
from hubspot_assets.hubspot.catalog import Catalog, CatalogError, discover
from hubspot_assets.hubspot.concurrent import interruptible
from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.hubspot.linked import with_links_seen
from hubspot_assets.portal import check_places, portal_of
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets.storage import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


#: Minutes before the export: long enough for somebody to see what has changed.
_BEFORE = 210


class Discovery(NamedTuple):
    """A portal as it is now, and, a line each, what that changes in the export; and what HubSpot
    does not tell of the portal, or settings name that it does not have."""

    catalog: Catalog
    changes: list[str]
    warnings: list[str]


def refresh_catalog(settings: Settings, s3: "Callable[[], S3Client]") -> Discovery:
    """Discovers the portal and keeps its catalog where definitions load it.

    Raises SettingsError, HubSpotError, and StoreError where the catalog can't be read or written.
    Nothing is discovered where a place, or the catalog, is another portal's.
    """
    place = catalog_place(settings, s3)
    with connect(settings) as client:
        portal_id = portal_of(client)
        owners = check_places(settings, s3, portal_id)
        former = _former(place, settings, portal_id)
        for owner in owners:
            owner.claim(portal_id)
        catalog = interruptible(
            lambda: with_links_seen(client, discover(client, former), former), client.stop
        )
    told = list(changes(former, catalog)) if former else []
    kept = place.save(catalog)
    return Discovery(kept, told, [*kept.warnings, *unknown_names(kept, settings)])


def _former(place: CatalogPlace, settings: Settings, portal_id: int) -> Catalog | None:
    """What was known of the portal, if it is of use. Raises SettingsError and StoreError."""
    try:
        former = place.load()
    except CatalogError:
        return None  # it is replaced
    if former.portal_id in (None, portal_id):
        return former
    if settings.catalog_file:
        raise SettingsError(
            f"CATALOG_FILE: found {place.url}, which is portal {former.portal_id}'s, expected that "
            f"of portal {portal_id}; set another CATALOG_FILE, or remove that one"
        )
    return None  # an earlier version's, of what was exported from here before


def discover_job(settings: Settings) -> dg.JobDefinition:
    """Renews the catalog that definitions are made of."""

    @dg.op(description="Asks the portal for its types of objects and events.")
    def discover_portal(context: dg.OpExecutionContext, s3: S3Resource) -> None:
        try:
            catalog, told, warnings = refresh_catalog(settings, s3.get_client)
        except (HubSpotError, SettingsError, StoreError, CatalogError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for line in (*told, *warnings):
            context.log.warning(line)
        if told:
            context.log.warning("reload the code location, so that its assets change accordingly")
        context.add_output_metadata(
            {
                "object_types": len(catalog.object_types),
                "event_types": len(catalog.event_types),
                "pairs": len(catalog.associations),
                "changes": len(told),
            }
        )

    @dg.job(
        name="discover",
        description="Renews the catalog of the portal: object types, events, pairs that can be "
        "linked. Assets follow it once the code location is reloaded.",
    )
    def discover_all() -> None:
        discover_portal()

    return discover_all


def discover_schedule(job: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    """Runs the job every day, in the evening before the export."""
    return dg.ScheduleDefinition(
        name="daily_discovery",
        job=job,
        description="Looks for new, renamed and deleted types before the night's export.",
        cron_schedule=daily(settings, minutes_before=_BEFORE),
        execution_timezone=settings.export_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
