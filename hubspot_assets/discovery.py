"""Discovering the portal again: by command, and as a Dagster job with a schedule."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from dagster_aws.s3 import S3Resource

from hubspot_assets.assets.resources import connect
from hubspot_assets.changes import changes
from hubspot_assets.hubspot.catalog import (
    Catalog,
    CatalogError,
    discover,
    load_catalog,
)
from hubspot_assets.hubspot.concurrent import interruptible
from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.hubspot.linked import with_links_seen
from hubspot_assets.portal import check_places, portal_of
from hubspot_assets.settings import Settings, SettingsError, load_settings
from hubspot_assets.storage import StoreError, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Where the catalog is kept in the state root.
_CATALOG = "catalog.json"


class Discovery(NamedTuple):
    """A portal as it is now, and what that changes in the export, a line each."""

    catalog: Catalog
    changes: list[str]


def refresh_catalog(settings: Settings, s3: "Callable[[], S3Client]") -> Discovery:
    """Discovers the portal and keeps its catalog: in the state root, and where definitions load it.

    Raises SettingsError, HubSpotError, CatalogError, and StoreError where the state root can't be
    written. Nothing is discovered where a place, or the catalog, is another portal's.
    """
    try:
        former = load_catalog(settings.catalog_path)
    except CatalogError:
        former = None  # what is there is of no use, and is replaced
    with connect(settings) as client:
        portal_id = portal_of(client)
        owners = check_places(settings, s3, portal_id)
        if former and former.portal_id not in (None, portal_id):
            raise SettingsError(
                f"CATALOG_FILE: found {settings.catalog_path}, which is portal "
                f"{former.portal_id}'s, expected that of portal {portal_id}; set another "
                "CATALOG_FILE, or remove that one"
            )
        for owner in owners:
            owner.claim(portal_id)
        catalog = interruptible(
            lambda: with_links_seen(client, discover(client, former), former), client.stop
        )
    told = list(changes(former, catalog)) if former else []
    state = open_store(settings.state, s3)
    found = state.versioned(_CATALOG)
    # Where another discovery was quicker, its catalog is as good.
    state.swap(_CATALOG, catalog.to_json(), found.version if found else None)
    return Discovery(catalog.save(settings.catalog_path), told)


@dg.op(name="discover_portal", description="Asks the portal for its types of objects and events.")
def _discover(context: dg.OpExecutionContext, s3: S3Resource) -> None:
    try:
        catalog, told = refresh_catalog(load_settings(), s3.get_client)
    except (HubSpotError, SettingsError, StoreError, CatalogError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    for line in (*told, *catalog.warnings):
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
    description="Renews the catalog of the portal: object types, events, pairs that can be linked. "
    "Assets follow it once the code location is reloaded.",
)
def discover_job() -> None:
    """The job."""
    _discover()


def discover_schedule(hour: int, minute: int, time_zone: str) -> dg.ScheduleDefinition:
    """Runs the job every day at `hour`:`minute`, in the evening before the export."""
    return dg.ScheduleDefinition(
        name="daily_discovery",
        job=discover_job,
        description="Looks for new, renamed and deleted types before the night's export.",
        cron_schedule=f"{minute} {hour} * * *",
        execution_timezone=time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
