"""The engines by name, and what one of them is told of a day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hubspot_assets.ddl.athena import ATHENA
from hubspot_assets.ddl.bigquery import BIGQUERY
from hubspot_assets.ddl.databricks import DATABRICKS
from hubspot_assets.ddl.delivered import (
    DeliveredTable,
    days,
    delivered_tables,
    newest_day,
)
from hubspot_assets.ddl.duckdb import DUCKDB
from hubspot_assets.ddl.glue import GLUE
from hubspot_assets.ddl.postgres import POSTGRES
from hubspot_assets.ddl.redshift import REDSHIFT
from hubspot_assets.ddl.snowflake import SNOWFLAKE
from hubspot_assets.ddl.sql import Engine, Format, Place
from hubspot_assets.settings import SettingsError
from hubspot_assets.storage.store import Store

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENGINES = {
    each.name: each
    for each in (
        ATHENA,
        GLUE,
        SNOWFLAKE,
        REDSHIFT,
        BIGQUERY,
        DATABRICKS,
        DUCKDB,
        POSTGRES,
    )
}


def ddl(
    engine: Engine,
    store: Store,
    url: str,
    schema: str,
    *,
    day: str | None = None,
    select: Sequence[str] = (),
    form: Format | None = None,
) -> str:
    """What an engine is told to read the export at `url`, as it finds it, or a day of it.

    The tables are of `day`, the newest complete one for None; their files those of `form`, by
    default the best of what the day has. Raises SettingsError for what is not there, or what the
    engine does not read, and StoreError.
    """
    if not _SCHEMA.fullmatch(schema):
        raise SettingsError(f"schema: found {schema!r}, expected letters, digits and _")
    url = checked_url(engine, url)
    tables = delivered_tables(store, day or newest_day(store), select)
    place = Place(url, schema, days(store)[0])
    return engine.written(engine.statements(tables, place, format_for(engine, tables, form)))


def checked_url(engine: Engine, url: str) -> str:
    """`url` as the engine's statements have it. Raises SettingsError where it can't read that."""
    if engine.schemes and not url.startswith(engine.schemes):
        expected = " or ".join(f"{each}bucket/prefix" for each in engine.schemes)
        raise SettingsError(
            f"url: found {url!r}, expected {expected}, as {engine.name} reads nothing else; --url "
            "says where it finds the export, if not at EXPORT_URL"
        )
    return url.rstrip("/") if "://" in url else str(Path(url).absolute())


def format_for(
    engine: Engine, tables: Sequence[DeliveredTable], wanted: Format | None = None
) -> Format:
    """The format `wanted`, or the best one that all tables have, of those that the engine reads
    rightly. Raises SettingsError where there is none."""
    if wanted and wanted not in engine.formats:
        raise SettingsError(
            f"format: found {wanted}, expected {' or '.join(engine.formats)}, as {engine.name} "
            "does not read other files rightly"
        )
    without = [each.name for each in tables if not each.parquet]
    for each in (wanted,) if wanted else engine.formats:
        if each == "csv" or not without:
            return each
    more = f" and {len(without) - 1} more" if len(without) > 1 else ""
    raise SettingsError(
        f"EXPORT_FORMATS: found no Parquet of {without[0]}{more} on {tables[0].day}, expected it, "
        f"as {engine.name} does not read CSV rightly; export the day with csv,parquet"
    )
