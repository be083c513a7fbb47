"""What `hubspot-assets ddl` prints, run by the engines that are here, over the whole day."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubspot_assets.ddl.delivered import delivered_tables
from hubspot_assets.ddl.engines import ENGINES, ddl
from hubspot_assets.storage import open_store
from hubspot_assets_tests.acceptance.reader import open_day
from hubspot_assets_tests.conftest import DAY

POSTGRES = shutil.which("postgres")
#: The server does not run as root.
SERVER: Any = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
#: One of each kind: wide ones, combined ones, long texts, line breaks, empty strings, JSON.
TABLES = (
    "ASSOCIATIONS_CONTACTS_TO_COMPANIES",
    "EVENTS_VISITED_PAGE",
    "LIST_MEMBERSHIPS",
    "OBJECTS",
    "OBJECTS_BLOG_POSTS",
    "OBJECTS_CONTACTS",
    "OBJECTS_DEALS",
    "OBJECT_PROPERTIES_HISTORY",
    "PIPELINE_STAGES",
    "PROPERTY_DEFINITIONS",
)


def assert_same(connection, told, *others):
    """Sees that tables have the rows of the first one, JSON being compared as text."""
    described = connection.execute(f"DESCRIBE FROM {told}").fetchall()
    columns = ", ".join(
        f'"{name}"::VARCHAR' if of == "JSON" else f'"{name}"' for name, of, *_ in described
    )
    take = "CREATE OR REPLACE TEMP TABLE {side} AS SELECT {columns} FROM {table}"
    connection.execute(take.format(side="told_side", columns=columns, table=told))
    more = "SELECT count(*) FROM (FROM one_side EXCEPT ALL FROM told_side)"
    counts = "(SELECT count(*) FROM one_side), (SELECT count(*) FROM told_side)"
    for one in others:
        connection.execute(take.format(side="one_side", columns=columns, table=one))
        ((here, there, missing),) = connection.execute(f"SELECT {counts}, ({more})").fetchall()
        assert (here, missing) == (there, 0), (one, told)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_duckdb_sees_every_cell_of_the_day(exported, form):
    connection = open_day(exported / DAY, schema="told")
    store = open_store(exported)
    script = ddl(ENGINES["duckdb"], store, str(exported), "hubspot", form=form)
    connection.execute(script)
    made = connection.execute("SELECT count(*) FROM duckdb_views() WHERE schema_name = 'hubspot'")
    assert made.fetchall() == [(len(delivered_tables(store, DAY)),)]
    for name in TABLES:
        days = connection.execute(f"SELECT DISTINCT day::VARCHAR FROM hubspot_days.{name}")
        assert days.fetchall() == [(DAY,)]
        assert_same(connection, f"told.{name}", f"hubspot.{name}", f"hubspot_days.{name}")


@contextmanager
def server():
    """A PostgreSQL server of its own; gives the options by which psql reaches it."""
    binaries = Path(POSTGRES).resolve().parent
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        if SERVER:
            shutil.chown(folder, **SERVER)
        data = f"{folder}/data"
        init = [str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8"]
        subprocess.run([*init, "--locale", "C"], check=True, capture_output=True, cwd="/", **SERVER)
        options = ["-D", data, "-w", "-o", f"-k {folder} -h '' -F"]
        control = [str(binaries / "pg_ctl"), *options]
        subprocess.run([*control, "start", "-l", f"{folder}/log"], check=True, cwd="/", **SERVER)
        try:
            yield ["-X", "-q", "-h", folder, "-U", "postgres"]
        finally:
            subprocess.run([*control, "stop", "-m", "immediate"], check=True, cwd="/", **SERVER)


@pytest.mark.slow
@pytest.mark.skipif(not POSTGRES, reason="there is no postgres on this machine")
def test_postgres_holds_every_cell_of_the_day(exported, tmp_path):
    store = open_store(exported)
    script = ddl(ENGINES["postgres"], store, str(exported), "hubspot", select=TABLES)
    connection = open_day(exported / DAY, only=TABLES)
    with server() as options:
        subprocess.run(["psql", *options], input=script, text=True, check=True, cwd=tmp_path)
        for name in TABLES:
            out = tmp_path / f"{name}.csv"
            options_of = "(FORMAT csv, NULL '', FORCE_QUOTE *)"
            copy = f"\\copy hubspot.{name.lower()} TO '{out}' WITH {options_of}"
            subprocess.run(["psql", *options, "-c", copy], check=True)
            columns = connection.execute(f'DESCRIBE "{name}"').fetchall()
            types = ", ".join(f"'{each[0]}': '{each[1]}'" for each in columns)
            connection.execute(
                f"CREATE VIEW loaded_{name} AS FROM read_csv('{out}', columns={{{types}}}, "
                "header=false, auto_detect=false, allow_quoted_nulls=false, parallel=false, "
                "new_line='\\n', delim=',', quote='\"', escape='\"', max_line_size=64000000)"
            )
            assert_same(connection, name, f"loaded_{name}")
