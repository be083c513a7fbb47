"""The code location: assets, resources, jobs, schedules, sensor, from the portal's catalog."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import dagster as dg
from dagster._core.definitions.definitions_load_context import StateBackedDefinitionsLoader
from dagster_aws.s3 import S3Resource

from hubspot_assets.assets.alerts import alert_sensors
from hubspot_assets.assets.checks import fresh_by
from hubspot_assets.assets.failures import permanent_errors
from hubspot_assets.assets.glue import glue_asset
from hubspot_assets.assets.healing import healing_sensor
from hubspot_assets.assets.labels import Labels, run_tags
from hubspot_assets.assets.lateness import lateness_sensor
from hubspot_assets.assets.lineage import Lineage, event_assets
from hubspot_assets.assets.resources import (
    HubSpotResource,
    ReadingOptions,
    StagingResource,
    check_owner,
    connect,
    s3_resource,
)
from hubspot_assets.assets.schedule import export_schedule
from hubspot_assets.assets.sources import source_assets
from hubspot_assets.assets.tables import IO_MANAGER, table_assets
from hubspot_assets.catalog_place import catalog_place
from hubspot_assets.check.job import check_job, check_schedule
from hubspot_assets.day import newest_complete_day
from hubspot_assets.discovery import discover_job, discover_schedule
from hubspot_assets.executors import executor_of
from hubspot_assets.export.io_manager import CsvExportIOManager, Told, of_whole_days
from hubspot_assets.export.purge_job import purge_job, purge_schedule
from hubspot_assets.exported import Exported
from hubspot_assets.forget.job import forget_job, forget_schedule
from hubspot_assets.garbage import spare_the_collector
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.run_logs import purge_runs_job, purge_runs_schedule
from hubspot_assets.settings import Settings, load_settings
from hubspot_assets.sources.all import all_sources
from hubspot_assets.tables.all import all_tables

JOB = "export_day"
#: The first partition where nobody has noted when the portal was discovered.
UNDISCOVERED = date(2024, 1, 1)


def build_defs(
    catalog: Catalog,
    settings: Settings,
    *,
    resources: Mapping[str, object] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    told: Told = lambda _: None,
) -> dg.Definitions:
    """Everything Dagster runs, as a pure function of catalog and settings.

    `resources` replace those of the same name: hubspot, staging, csv_export, s3; `loggers`
    replace Dagster's own. `told` hears of each table that is written, in this process.
    """
    checking, discovering = check_job(settings), discover_job(settings)
    purging = purge_job(settings, _check_owner)
    forgetting = forget_job(settings, _check_owner, lambda: connect(settings))
    runs = [purge_runs_job(settings.keep_runs_days)] if settings.keep_runs_days else []
    exported = Exported.of(catalog, settings)
    sources = all_sources(exported)
    tables = all_tables(exported, whole_history=settings.export_history == "all")
    names = sorted(each.spec.name for each in tables)
    labels = Labels(catalog.portal_id, settings.export_owners, settings.portal_name)
    lineage = Lineage(sources, labels)
    fresh = fresh_by(settings)
    partitions = dg.DailyPartitionsDefinition(
        start_date=first_day(catalog, settings).isoformat(), timezone=settings.export_timezone
    )
    events = event_assets(sources, tables, labels) if settings.events_again_days else []
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        description="Reads the portal and delivers every table of one day. A range of days is a "
        "backfill: HubSpot is read once for all of them.",
        tags={
            "hubspot/portal": str(catalog.portal_id or "unknown"),
            **run_tags(settings.portal_name),
        },
    )
    return dg.Definitions(
        assets=[
            *source_assets(sources, lineage, partitions, settings.zone, labels),
            *dg.map_asset_specs(
                lambda spec: dg.apply_freshness_policy(spec, fresh),
                table_assets(tables, lineage, partitions, settings.zone, labels),
            ),
            *(
                [glue_asset(names, settings.glue_database, settings, partitions, labels)]
                if settings.glue_database
                else []
            ),
        ],
        jobs=[job, checking, discovering, purging, forgetting, *runs],
        schedules=[
            discover_schedule(discovering, settings),
            check_schedule(checking, settings),
            export_schedule(job, settings, partitions, events),
            purge_schedule(purging, settings),
            forget_schedule(forgetting, settings),
            *(purge_runs_schedule(each, settings.export_timezone) for each in runs),
        ],
        sensors=[
            *(
                [healing_sensor(job, settings, partitions, events)]
                if settings.export_heal_days
                else []
            ),
            *(
                [*alert_sensors(settings), lateness_sensor(job, settings, partitions)]
                if settings.alert_webhook_url
                else []
            ),
        ],
        executor=executor_of(settings),
        resources={
            **_resources(catalog, settings, of_whole_days(names, told)),
            **(resources or {}),
        },
        loggers=loggers,
    )


def first_day(catalog: Catalog, settings: Settings) -> date:
    """The first partition: EXPORT_START, else the day that was complete at the first discovery."""
    if settings.export_start:
        return settings.export_start
    if catalog.discovered_at:
        return newest_complete_day(settings.zone, datetime.fromisoformat(catalog.discovered_at))
    return UNDISCOVERED


def _check_owner(settings: Settings, s3: S3Resource) -> None:
    with permanent_errors():
        check_owner(settings, s3.get_client)


def _resources(
    catalog: Catalog, settings: Settings, exporter: type[CsvExportIOManager]
) -> Mapping[str, object]:
    s3, portal = s3_resource(settings), catalog.portal_id
    options = ReadingOptions.configure_at_launch()
    return {
        "reading": options,
        "hubspot": HubSpotResource(
            portal_name=settings.portal_name,
            portal_time_zone=catalog.time_zone,
            portal_id=portal,
        ),
        "staging": StagingResource(
            url=settings.state,
            s3=s3,
            portal_name=settings.portal_name,
            portal_id=portal,
            options=options,
        ),
        IO_MANAGER: exporter(
            url=settings.export_url,
            s3=s3,
            portal_id=portal,
            parquet="parquet" in settings.export_formats,
        ),
        "s3": s3,
    }


class PortalDefinitions(StateBackedDefinitionsLoader[str]):
    """The definitions by the catalog, which is read once, where the code location is loaded.

    `name` is that of a portal of PORTALS_FILE.

    Processes of its runs get that same catalog from Dagster: one that has been discovered since
    would not have the steps of a run that was made before.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name

    @property
    def defs_key(self) -> str:
        return "hubspot_assets/catalog"

    def fetch_state(self) -> str:
        settings = load_settings(self._name)
        s3 = s3_resource(settings, impatient=True)
        return catalog_place(settings, s3.get_client).load().to_json().decode()

    def defs_from_state(self, state: str) -> dg.Definitions:
        return build_defs(Catalog.from_json(state), load_settings(self._name))

    def load(self) -> dg.Definitions:
        """Asks HubSpot nothing, and S3 for the catalog alone.

        Raises SettingsError, CatalogError, and StoreError where the catalog's store can't be
        reached.
        """
        spare_the_collector()
        # Not build_defs: that warns of a preview, and adds what the state does by itself.
        return self.defs_from_state(self.get_or_fetch_state())


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of one portal: the only one, or that of PORTAL_NAME."""
    return PortalDefinitions().load()
