"""Brings tables into a database of the Glue catalog, and leaves other people's alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hubspot_assets.aws.iam import GLUE
from hubspot_assets.ddl.delivered import days, delivered_tables, newest_day
from hubspot_assets.ddl.engines import checked_url, format_for
from hubspot_assets.ddl.glue import GLUE as ENGINE
from hubspot_assets.ddl.glue import PORTAL_ID, table_input
from hubspot_assets.ddl.sql import Place
from hubspot_assets.settings import SettingsError
from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.refusals import BOTO_ERRORS, code_of, words_of
from hubspot_assets.storage.store import Store

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import ColumnTypeDef, TableInputTypeDef, TableTypeDef

_DENIED = "AccessDeniedException"


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of the tables of `day`: their names, and a sentence per column that has another
    type in the catalog than in the day's files, where it stays as it is."""

    day: str
    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    retyped: tuple[str, ...]


def sync_newest_day(
    client: Callable[[], GlueClient],
    store: Store,
    url: str,
    database: str,
    select: Sequence[str] = (),
) -> Synced:
    """Sees that `database` has the tables of the newest complete day of the export at `url`.

    Raises SettingsError for a day without Parquet and as `sync` does, and StoreError.
    """
    url, day = checked_url(ENGINE, url), newest_day(store)
    place = Place(url, database, days(store)[0])
    tables = delivered_tables(store, day, select)
    format_for(ENGINE, tables)
    return sync(client(), database, day, [table_input(each, place) for each in tables])


def sync(
    client: GlueClient, database: str, day: str, tables: Sequence[TableInputTypeDef]
) -> Synced:
    """Creates the database, if there is none, and creates and updates these `tables` in it.

    A table that is there keeps its columns in their order, and their types; new ones come behind
    them. Raises SettingsError before anything is changed, where one of the tables is there and not
    the portal's, and StoreError for what Glue refuses.
    """
    with _told(database):
        there = _existing(client, database)
        if others := sorted(
            each["Name"]
            for each in tables
            if each["Name"] in there
            and there[each["Name"]].get("Parameters", {}).get(PORTAL_ID) != _portal(each)
        ):
            raise SettingsError(
                f"GLUE_DATABASE: found {', '.join(others)} in {database}, which this portal's "
                "export has not made; expected a database of its own"
            )
        created, updated, unchanged, retyped = [], [], [], []
        for each in tables:
            name = each["Name"]
            if (known := there.get(name)) is None:
                client.create_table(DatabaseName=database, TableInput=each)
                created.append(name)
                continue
            merged, changes = _merged(known, each)
            retyped += [f"{name}.{change}" for change in changes]
            if _is_as(known, merged):
                unchanged.append(name)
            else:
                # Else Glue would keep every version of every night.
                client.update_table(DatabaseName=database, TableInput=merged, SkipArchive=True)
                updated.append(name)
    return Synced(day, tuple(created), tuple(updated), tuple(unchanged), tuple(retyped))


def _existing(client: GlueClient, database: str) -> dict[str, TableTypeDef]:
    """The tables of the database, which is made if there is none."""
    try:
        client.get_database(Name=database)
    except client.exceptions.EntityNotFoundException:
        client.create_database(DatabaseInput={"Name": database})
        return {}
    pages = client.get_paginator("get_tables").paginate(DatabaseName=database)
    return {each["Name"]: each for page in pages for each in page["TableList"]}


def _merged(known: TableTypeDef, wanted: TableInputTypeDef) -> tuple[TableInputTypeDef, list[str]]:
    """The table as it is to be, and what of it has another type than it should."""
    stored, new = known["StorageDescriptor"], wanted["StorageDescriptor"]
    by_name = {each["Name"]: each for each in new["Columns"]}
    columns: list[ColumnTypeDef] = []
    retyped = []
    for column in stored["Columns"]:
        now = by_name.pop(column["Name"], column)
        if now["Type"] != column["Type"]:
            retyped.append(f"{column['Name']} is {column['Type']} there, and now {now['Type']}")
        columns.append({**now, "Type": column["Type"]})
    merged: TableInputTypeDef = {
        **wanted,
        "Parameters": {**known.get("Parameters", {}), **wanted["Parameters"]},
        "StorageDescriptor": {**new, "Columns": [*columns, *by_name.values()]},
    }
    if "Description" in known:
        merged["Description"] = known["Description"]
    return merged, retyped


def _is_as(known: TableTypeDef, wanted: TableInputTypeDef) -> bool:
    stored, new = known["StorageDescriptor"], wanted["StorageDescriptor"]
    return (
        known.get("Parameters") == wanted["Parameters"]
        and stored.get("Columns") == new["Columns"]
        and stored.get("Location") == new["Location"]
    )


def _portal(table: Mapping[str, object]) -> str:
    parameters = table["Parameters"]
    assert isinstance(parameters, Mapping)  # noqa: S101
    return str(parameters[PORTAL_ID])


@contextmanager
def _told(database: str) -> Iterator[None]:
    """Turns what Glue refuses, or boto3 can't ask, into a `StoreError` of one line."""
    try:
        yield
    except ClientError as error:
        denied = code_of(error) == _DENIED
        advice = f"the statement {GLUE} is missing from the policy (iam policy --glue): "
        raise StoreError(
            f"Glue refused {error.operation_name} in {database}: "
            f"{advice if denied else ''}{code_of(error)}: {words_of(error)}"
        ) from error
    except BOTO_ERRORS as error:
        raise StoreError(f"Glue could not be asked about {database}: {error}") from error
