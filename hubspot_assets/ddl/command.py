"""The commands that tell engines how to read the export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubspot_assets.exits import told

if TYPE_CHECKING:
    from hubspot_assets.ddl.sql import Format

DBT = "dbt"
SELECT = click.option(
    "--select", multiple=True,
    help="A table, as OBJECTS_CONTACTS; may be repeated. Default: all of the day.",
)  # fmt: skip
DAY = click.option("--day", help="A complete day, as 2026-11-20; default: the newest.")


@click.command()
@click.argument("engine")
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
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="models/hubspot",
    show_default=True, help="The folder into which dbt's files go.",
)  # fmt: skip
@told
def ddl(
    engine: str,
    select: tuple[str, ...],
    day: str | None,
    schema: str,
    url: str | None,
    form: Format | None,
    out: Path,
) -> None:
    """Print the SQL by which an engine reads the export, or write sources and models for dbt.

    ENGINE is athena, glue, snowflake, redshift, bigquery, databricks, duckdb, postgres or dbt.
    """
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.ddl import dbt, engines
    from hubspot_assets.ddl.delivered import delivered_tables, newest_day
    from hubspot_assets.settings import SettingsError, load_settings
    from hubspot_assets.storage import open_store

    if engine not in {*engines.ENGINES, DBT}:
        known = ", ".join(engines.ENGINES)
        raise SettingsError(f"engine: found {engine!r}, expected {known} or {DBT}")
    settings = load_settings()
    store = open_store(settings.export_url, s3_resource(settings).get_client)
    if engine == DBT:
        tables = delivered_tables(store, day or newest_day(store), _names(select))
        out.mkdir(parents=True, exist_ok=True)
        for name, text in dbt.files(tables, schema).items():
            (out / name).write_text(text, encoding="utf-8")
            click.echo(out / name)
        return
    click.echo(
        engines.ddl(
            engines.ENGINES[engine],
            store,
            url or settings.export_url,
            schema,
            day=day,
            select=_names(select),
            form=form,
        )
    )


@click.group()
def glue() -> None:
    """Keep the tables in the Glue catalog, where Athena finds them."""


@glue.command()
@click.option("--database", help="Made if there is none; default: GLUE_DATABASE.")
@SELECT
@told
def sync(database: str | None, select: tuple[str, ...]) -> None:
    """Create and update the tables of the newest complete day, and nobody else's."""
    from hubspot_assets.assets.resources import s3_resource
    from hubspot_assets.aws.connect import glue_database
    from hubspot_assets.aws.glue import sync_newest_day
    from hubspot_assets.settings import load_settings
    from hubspot_assets.storage import open_store

    settings = load_settings()
    s3 = s3_resource(settings)
    synced = sync_newest_day(
        s3.get_glue_client,
        open_store(settings.export_url, s3.get_client),
        settings.export_url,
        glue_database(database or settings.glue_database),
        _names(select),
    )
    for line in synced.retyped:
        click.echo(f"warning: {line}", err=True)
    click.echo(
        f"{synced.day}: {len(synced.created)} tables created, {len(synced.updated)} updated, "
        f"{len(synced.unchanged)} as they were"
    )


def _names(select: tuple[str, ...]) -> list[str]:
    return [name.strip() for each in select for name in each.split(",") if name.strip()]
