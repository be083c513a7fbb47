"""What Spark reads of the Parquet files, cell by cell.

Spark needs Java and takes 400 MB, so it lives elsewhere: SPARK_PYTHON names a Python that has
pyspark.
"""

import os
import subprocess

import orjson
import polars as pl
import pytest

from hubspot_assets_tests.acceptance.reader import manifest
from hubspot_assets_tests.conftest import DAY

PYTHON = os.environ.get("SPARK_PYTHON")
TABLES = (
    "OBJECTS",
    "OBJECTS_CONTACTS",
    "OBJECTS_DEALS",
    "OBJECTS_BLOG_POSTS",
    "OBJECT_PROPERTIES_HISTORY",
    "ASSOCIATIONS",
    "EVENTS_VISITED_PAGE",
    "LISTS",
    "OWNERS",
    "PROPERTY_DEFINITIONS",
    "RECORD_CHANGES",
)
SCRIPT = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StringType

root, out, day, *tables = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", False).getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
for table in tables:
    frame = spark.read.parquet(f"{root}/parquet/{table}").where(f.col("day") == day).drop("day")
    cells = [
        (f.date_format(f"`{name}`", "yyyy-MM-dd HH:mm:ss.SSS") if kind.startswith("timestamp")
         else f.col(f"`{name}`").cast(StringType())).alias(name)
        for name, kind in frame.dtypes
    ]
    frame.select(*cells).coalesce(1).write.option("ignoreNullFields", False).json(f"{out}/{table}")
"""


@pytest.mark.skipif(not PYTHON, reason="SPARK_PYTHON names no Python that has pyspark")
@pytest.mark.slow
def test_spark_reads_every_cell_as_it_is(exported, day, tmp_path):
    command = [PYTHON, "-c", SCRIPT, str(exported), str(tmp_path), DAY, *TABLES]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": "", "TZ": "UTC"})
    for table in TABLES:
        told = manifest(day / table)
        key = told["key"]
        files = [exported / each["path"] for each in told["files"]]
        frame = pl.concat(map(pl.read_parquet, files))
        ours = frame.select(
            pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S%.3f")
            if isinstance(kind, pl.Datetime)
            else pl.col(name).cast(pl.String)
            for name, kind in frame.schema.items()
        )
        lines = [
            orjson.loads(line)
            for part in (tmp_path / table).glob("*.json")
            for line in part.read_bytes().split(b"\n")
            if line
        ]
        theirs = pl.DataFrame(lines, schema=ours.schema)
        assert theirs.height == told["rows"] > 0
        assert theirs.sort(key).equals(ours.sort(key)), table
