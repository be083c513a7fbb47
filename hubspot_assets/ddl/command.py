"""The command that prints what engines are told to read the export."""

from __future__ import annotations

import click

from hubspot_assets.ddl.engines import ENGINES
from hubspot_assets.ddl.sql import Format
from hubspot_assets.exits import told

SELECT = click.option(
    "--select", multiple=True,
    help="A table, as OBJECTS_CONTACTS; may be repeated. Default: all of the day.",
)  # fmt: skip
DAY = click.option("--day", help="A complete day, as 2026-11-20; default: the newest.")


@click.command()
@click.argument("engine", type=click.Choice([*ENGINES]))
@SELECT
@DAY
@click.option("--schema", default="hubspot", show_default=True, help="Schema, database or dataset.")
@click.option(
    "--url", help="Where the engine finds the export, as gs://bucket/prefix; default: EXPORT_URL."
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]),
    help="Which files; default: those that the engine reads best.",
)  # fmt: skip
@told
def ddl(
    engine: str,
    select: tuple[str, ...],
    day: str | None,
    schema: str,
    url: str | None,
    form: Format | None,
) -> None:
    """Print the SQL by which an engine reads the export. Changes nothing."""
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.ddl import engines
    from hubspot_assets.settings import load_settings
    from hubspot_assets.storage import open_store

    settings = load_settings()
    store = open_store(settings.export_url, s3_resource(settings).get_client)
    names = [name.strip() for each in select for name in each.split(",") if name.strip()]
    click.echo(
        engines.ddl(
            ENGINES[engine],
            store,
            url or settings.export_url,
            schema,
            day=day,
            select=names,
            form=form,
        )
    )
