"""What `hubspot-assets ddl dbt` writes, built by dbt over the day.

dbt-core wants other versions of what this project needs (pathspec), so it lives in an environment
of its own, which `make test-slow` sets up.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from hubspot_assets.ddl import dbt
from hubspot_assets.ddl.dbt_models import MODELS
from hubspot_assets.ddl.delivered import delivered_tables
from hubspot_assets.ddl.engines import ENGINES, ddl
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY

DBT = Path(sys.prefix) / "dbt" / "bin" / "dbt"
TABLES = sorted({source for model in MODELS for source in model.sources})
#: What dbt_hubspot reads of some of its sources beyond properties.
READ = {
    "contact": {"id", "property_email", "property_hs_merged_object_ids", "property_createdate"},
    "company": {"id", "is_deleted", "property_name", "property_annualrevenue"},
    "deal": {"deal_id", "deal_pipeline_id", "deal_pipeline_stage_id", "owner_id", "portal_id"},
    "ticket": {"id", "property_first_agent_reply_date", "property_hs_pipeline_stage"},
    "deal_stage": {"deal_id", "value", "date_entered", "_fivetran_active", "_fivetran_end"},
    "ticket_property_history": {"ticket_id", "timestamp_instant", "_fivetran_start"},
    "deal_pipeline_stage": {"stage_id", "closed_won", "is_closed", "probability"},
    "ticket_pipeline_stage": {"stage_id", "is_closed", "ticket_state"},
    "engagement_note": {"engagement_id", "type", "property_hs_timestamp"},
    "contact_list_member": {"contact_id", "contact_list_id", "added_at"},
}
#: Models that have a row for each of a table.
SAME_ROWS = {
    "contact": "OBJECTS_CONTACTS",
    "company": "OBJECTS_COMPANIES",
    "deal": "OBJECTS_DEALS",
    "ticket": "OBJECTS_TICKETS",
    "owner": "OWNERS",
    "form": "OBJECTS_FORMS",
}


@pytest.fixture(scope="module")
def tables(exported):
    """The tables of the day that models are made of."""
    return delivered_tables(open_store(exported), DAY, TABLES)


def test_every_model_is_written_and_told_of(tables):
    files = dbt.files(tables, "hubspot")
    assert set(files) == {
        "README.md",
        "sources.yml",
        *(f"fivetran__{each.name}.sql" for each in MODELS),
    }
    for each in MODELS:
        assert f"| `{each.name}` | {', '.join(each.sources)} |" in files["README.md"]
    without = [each for each in tables if each.name != "OBJECTS_DEALS"]
    fewer = dbt.files(without, "hubspot")
    assert set(files) - set(fewer) == {"fivetran__deal.sql", "fivetran__merged_deal.sql"}
    assert "| `deal` | OBJECTS_DEALS: not all of them were delivered |" in fewer["README.md"]


@pytest.mark.slow
def test_dbt_builds_the_models_and_tests_the_keys(exported, tables, tmp_path):
    models = tmp_path / "models" / "hubspot"
    models.mkdir(parents=True)
    for name, text in dbt.files(tables, "hubspot").items():
        (models / name).write_text(text, "utf-8")
    (tmp_path / "dbt_project.yml").write_text("{name: demo, profile: demo, version: 1.0.0}")
    (tmp_path / "profiles.yml").write_text(
        "{demo: {target: day, outputs: {day: "
        "{type: duckdb, path: day.duckdb, schema: fivetran, threads: 1}}}}"
    )
    database = tmp_path / "day.duckdb"
    store = open_store(exported)
    with duckdb.connect(database) as connection:
        connection.execute(ddl(ENGINES["duckdb"], store, str(exported), "hubspot", select=TABLES))
    done = subprocess.run(
        [DBT, "--no-use-colors", "build"],
        cwd=tmp_path,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"PASS=(\d+)", done.stdout)[1])
    keys = sum(len(each.key) + 1 for each in tables)
    assert passed == len(MODELS) + keys
    with duckdb.connect(database) as connection:
        for name, columns in READ.items():
            described = connection.execute(f"DESCRIBE fivetran.{name}").fetchall()
            assert columns <= {each[0] for each in described}, name
        for name, table in SAME_ROWS.items():
            one, other = connection.execute(
                f"SELECT (SELECT count(*) FROM fivetran.{name}), "
                f"(SELECT count(*) FROM hubspot.{table})"
            ).fetchall()[0]
            assert one == other > 0
        won = connection.execute(
            "SELECT count(*) FROM fivetran.deal d JOIN fivetran.deal_pipeline_stage s "
            "ON s.stage_id = d.deal_pipeline_stage_id AND s.pipeline_id = d.deal_pipeline_id "
            "JOIN fivetran.deal_stage h ON h.deal_id = d.deal_id AND h.value = s.stage_id "
            "WHERE s.closed_won AND h._fivetran_active"
        ).fetchall()[0][0]
        told = connection.execute(
            "SELECT count(*) FROM hubspot.OBJECTS_DEALS WHERE PROPERTY_HS_IS_CLOSED_WON"
        ).fetchall()[0][0]
        assert won == told > 0
