"""dbt: the tables as sources, and models that give what Fivetran's package dbt_hubspot reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from hubspot_assets.ddl.dbt_models import MODELS, SOURCE, Model, column_name
from hubspot_assets.ddl.delivered import DeliveredTable

#: What dbt_hubspot can read and we don't have, and the variable that leaves it out there.
NOT_COVERED = {
    "contact_form_submission": "HubSpot tells of a submission's contact by e-mail address alone: "
    "hubspot_contact_form_enabled: false",
    "email_event, email_event_*, email_campaign": "the tables of events hold one day each: "
    "hubspot_email_event_enabled: false",
    "role": "no public API tells of roles: hubspot_role_enabled: false",
}


def files(tables: Sequence[DeliveredTable], schema: str) -> dict[str, str]:
    """The files of a folder of models, by name: `sources.yml`, a model each, and `README.md`.

    `schema` is where the tables are. Models whose tables were not delivered are left out; their
    SQL is DuckDB's.
    """
    by_name = {each.name: each for each in tables}
    models = [each for each in MODELS if set(each.sources) <= by_name.keys()]
    written = {f"fivetran__{each.name}.sql": _written(each, by_name) for each in models}
    return {"sources.yml": _sources(tables, schema), **written, "README.md": _readme(models)}


def _written(model: Model, tables: Mapping[str, DeliveredTable]) -> str:
    return f"{{{{ config(alias='{model.name}') }}}}\n\n{model.sql(tables)}\n"


def _readme(models: Sequence[Model]) -> str:
    covered = [f"| `{each.name}` | {', '.join(each.sources)} |" for each in models]
    there = {each.name for each in models}
    left = [
        f"| `{each.name}` | {', '.join(each.sources)}: not all of them were delivered |"
        for each in MODELS
        if each.name not in there
    ]
    without = [f"| `{name}` | {why} |" for name, why in NOT_COVERED.items()]
    return "\n".join(
        [
            "# HubSpot for dbt",
            "",
            "`sources.yml` has the tables with their keys as tests. The models give the source",
            "tables of Fivetran's `dbt_hubspot`, in DuckDB's SQL: set `hubspot_schema` to theirs.",
            "",
            "| it reads | made of |",
            "|---|---|",
            *covered,
            "",
            "| it reads | not here, since |",
            "|---|---|",
            *left,
            *without,
            "",
        ]
    )


def _sources(tables: Sequence[DeliveredTable], schema: str) -> str:
    return "\n".join([
        "version: 2",
        "sources:",
        f"  - name: {SOURCE}",
        f"    schema: {json.dumps(schema)}",
        "    config:",
        "      loaded_at_field: INGESTEDAT",
        "      freshness:",
        "        warn_after: {count: 26, period: hour}",
        "        error_after: {count: 50, period: hour}",
        "    tables:",
        *(line for each in tables for line in _source(each)),
        "",
    ])  # fmt: skip


def _source(table: DeliveredTable) -> Iterator[str]:
    yield f"      - name: {table.name}"
    if not table.rows:
        yield "        config: {freshness: null}"
    if len(table.key) > 1:
        key = " || '|' || ".join(f"CAST({column_name(each)} AS VARCHAR)" for each in table.key)
        yield "        data_tests:"
        yield f"          - unique: {{arguments: {{column_name: {json.dumps(key)}}}}}"
    yield "        columns:"
    for column in table.columns:
        yield f"          - name: {json.dumps(column.name)}"
        if column.description:
            described = json.dumps(column.description.replace("{", "(").replace("}", ")"))
            yield f"            description: {described}"
        if column.name in table.key:
            tests = "[not_null, unique]" if len(table.key) == 1 else "[not_null]"
            yield f"            data_tests: {tests}"
