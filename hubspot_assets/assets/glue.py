"""The Glue catalog as an asset: after the tables of a day, it knows them."""

from collections.abc import Sequence

import dagster as dg

from hubspot_assets.assets.failures import permanent_errors
from hubspot_assets.assets.labels import Labels
from hubspot_assets.aws.glue import sync_newest_day
from hubspot_assets.settings import Settings
from hubspot_assets.storage import open_store
from hubspot_assets.storage.s3_resource import ExportS3Resource


def glue_asset(
    tables: Sequence[str],
    database: str,
    settings: Settings,
    partitions: dg.PartitionsDefinition[str],
    labels: Labels,
) -> dg.AssetsDefinition:
    """Keeps `database` after `tables`. Whichever day has been delivered, the newest one tells
    which columns there are."""

    @dg.asset(
        key=labels.key("glue", "catalog"),
        deps=[labels.key(name) for name in tables],
        description=f"The tables in the database {database} of the Glue catalog, for Athena.",
        group_name="catalog",
        kinds={"glue"},
        owners=labels.owners,
        tags=labels.tags(()),
        partitions_def=partitions,
    )
    def asset(
        context: dg.AssetExecutionContext, s3: ExportS3Resource
    ) -> dg.MaterializeResult[None]:
        with permanent_errors():
            synced = sync_newest_day(
                s3.get_glue_client,
                open_store(settings.export_url, s3.get_client),
                settings.export_url,
                database,
            )
        for line in synced.retyped:
            context.log.warning(line)
        return dg.MaterializeResult(
            metadata={
                "day": synced.day,
                "created": len(synced.created),
                "updated": len(synced.updated),
                "unchanged": len(synced.unchanged),
                "retyped": list(synced.retyped),
            }
        )

    return asset
