"""What each engine is told, by a parser of its dialect: nothing of it was run by that engine.

DuckDB and PostgreSQL run theirs, in the acceptance tests.
"""

import json
import re

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from hubspot_assets.ddl.engines import ENGINES, format_for
from hubspot_assets.ddl.sql import script
from hubspot_assets_tests.ddl.tables import CONTACTS, OBJECTS, PLACES, TABLES, wide

#: The options that the documents of each engine know and that ours need; a parser takes any word.
OPTIONS = {
    ("athena", "parquet"): {
        *("projection.enabled", "projection.day.type", "projection.day.format"),
        *("projection.day.range", "storage.location.template"),
    },
    ("snowflake", "csv"): {
        *("TYPE", "STORAGE_PROVIDER", "ENABLED", "STORAGE_AWS_ROLE_ARN"),
        *("STORAGE_ALLOWED_LOCATIONS", "URL", "STORAGE_INTEGRATION"),
        *("COMPRESSION", "FIELD_OPTIONALLY_ENCLOSED_BY", "PARSE_HEADER", "EMPTY_FIELD_AS_NULL"),
        *("NULL_IF", "ESCAPE", "ESCAPE_UNENCLOSED_FIELD", "MULTI_LINE", "TRIM_SPACE"),
        *("TIMESTAMP_FORMAT", "DATE_FORMAT", "ENCODING"),
        *("PATTERN", "FILE_FORMAT", "FORMAT_NAME", "MATCH_BY_COLUMN_NAME", "ON_ERROR"),
    },
    ("snowflake", "parquet"): {
        *("TYPE", "STORAGE_PROVIDER", "ENABLED", "STORAGE_AWS_ROLE_ARN"),
        *("STORAGE_ALLOWED_LOCATIONS", "URL", "STORAGE_INTEGRATION"),
        *("USE_LOGICAL_TYPE", "USE_VECTORIZED_SCANNER", "NULL_IF"),
        *("PATTERN", "FILE_FORMAT", "FORMAT_NAME", "MATCH_BY_COLUMN_NAME", "ON_ERROR"),
    },
    ("bigquery", "csv"): {
        *("description", "format", "uris", "skip_leading_rows", "allow_quoted_newlines"),
        *("max_bad_records", "source_column_match"),
    },
    ("bigquery", "parquet"): {"format", "uris", "decimal_target_types"},
    ("databricks", "csv"): {
        *("FILEFORMAT", "header", "multiLine", "quote", "escape", "lineSep", "emptyValue"),
        *("nullValue", "maxCharsPerColumn", "maxColumns", "recursiveFileLookup"),
        *("pathGlobFilter", "force"),
    },
    ("databricks", "parquet"): {"FILEFORMAT", "datetimeRebaseMode", "force"},
    ("duckdb", "csv"): {
        *("columns", "auto_detect", "header", "delim", "quote", "escape", "new_line"),
        *("allow_quoted_nulls", "parallel", "compression", "max_line_size", "buffer_size"),
        *("all_varchar", "union_by_name", "filename"),
    },
    ("duckdb", "parquet"): {"hive_partitioning", "hive_types", "union_by_name"},
    ("redshift", "csv"): set(),
    ("redshift", "parquet"): set(),
    ("postgres", "csv"): set(),
}
_TEXT = r"'(?:[^'\\]|''|\\.)*'"
_OPTION = re.compile(rf"(?:'([\w.]+)'|\b(\w+)) = (?={_TEXT}|[\[({{\w])")


def told(engine, form, of=TABLES):
    """The statements that an engine is told."""
    known = ENGINES[engine]
    place = PLACES[known.schemes[0] if known.schemes else ""]
    return list(known.statements(of, place, form))


def parsed(engine, statements):
    """The statements but for those of a shell, as one parser reads them."""
    sql = script(each for each in statements if not each.startswith("\\"))
    return [
        each
        for each in sqlglot.parse(sql, dialect=engine, error_level=ErrorLevel.RAISE)
        if each is not None and not isinstance(each, exp.Semicolon)
    ]


@pytest.mark.parametrize(("engine", "form"), OPTIONS)
def test_a_parser_of_the_dialect_knows_every_statement(engine, form):
    statements = told(engine, form)
    known = parsed(engine, statements)
    assert len(known) == sum(not each.startswith(("--", "\\")) for each in statements)
    assert not [each for each in known if each.find(exp.Command)]


@pytest.mark.parametrize(("engine", "form"), OPTIONS)
def test_options_are_those_that_the_engine_documents(engine, form):
    found = {
        quoted or plain
        for each in told(engine, form)
        if not each.startswith(("--", "\\"))
        for quoted, plain in _OPTION.findall(each)
    }
    assert found == OPTIONS[engine, form]


@pytest.mark.parametrize(
    ("engine", "form", "lower"),
    [
        ("athena", "parquet", True),
        ("snowflake", "csv", False),
        ("bigquery", "csv", False),
        ("databricks", "parquet", False),
    ],
)
def test_columns_keep_their_names_and_descriptions(engine, form, lower):
    named = {}
    for statement in parsed(engine, told(engine, form)):
        for column in statement.find_all(exp.ColumnDef):
            comment = column.find(exp.CommentColumnConstraint, exp.Properties)
            named[column.name] = comment
    wanted = [each for each in CONTACTS.columns if each.name not in OBJECTS.columns]
    assert {each.name.lower() if lower else each.name for each in wanted} <= set(named)
    amount = named["property_amount" if lower else "PROPERTY_AMOUNT"]
    (described,) = amount.find_all(exp.Literal)
    whole = CONTACTS.columns[3].description
    assert described.this == (whole.replace("\n", " ") if lower else whole)


def test_athena_finds_days_without_a_catalog_of_partitions():
    create = parsed("athena", told("athena", "parquet"))[1]
    assert create.find(exp.Table).name == "objects_contacts"
    properties = {
        each.this.name: each.args["value"].name for each in create.find_all(exp.Property)
        if each.args.get("value") and isinstance(each.this, exp.Literal)
    }  # fmt: skip
    assert properties["projection.day.range"] == "2026-11-01,NOW+1DAY"
    where = "s3://bucket/a prefix/parquet/OBJECTS_CONTACTS/"
    assert properties["storage.location.template"] == f"{where}day=${{day}}/"
    assert create.find(exp.LocationProperty).this.name == where
    (day,) = create.find(exp.PartitionedByProperty).find_all(exp.ColumnDef)
    assert (day.name, day.kind.sql()) == ("day", "DATE")


def test_athena_leaves_comments_out_where_a_statement_would_be_too_long():
    for columns, described in (500, True), (3_000, False):
        *_, create = told("athena", "parquet", [wide(columns, description="x" * 100)])
        assert ("COMMENT" in create) == described
        assert len(create.encode()) < 262_144


def test_glue_takes_what_the_catalog_can_hold():
    (text,) = told("glue", "parquet")
    document = json.loads(text)
    assert document["DatabaseName"] == "hubspot"
    contacts, objects = document["TableInputs"]
    columns = contacts["StorageDescriptor"]["Columns"]
    assert [each["Name"] for each in columns] == [each.name.lower() for each in CONTACTS.columns]
    assert all(len(each["Comment"].encode()) <= 255 for each in columns)
    assert "\n" not in columns[3]["Comment"]
    assert objects["PartitionKeys"] == [{"Name": "day", "Type": "date"}]
    assert objects["Parameters"]["hubspot_assets.portal_id"] == "123"


def test_redshift_never_takes_a_manifest_for_data():
    loads = [each for each in told("redshift", "csv") if each.startswith("COPY")]
    begins = [re.search(r"FROM '(s3://[^']+)'", each)[1] for each in loads]
    for table in TABLES:
        manifest = f"s3://bucket/a prefix/{table.csv[0].split('/')[0]}/{table.name}/_manifest.json"
        assert not [each for each in begins if manifest.startswith(each)]
        for path in table.csv:
            url = f"s3://bucket/a prefix/{path}"
            assert len([each for each in begins if url.startswith(each)]) == 1


def test_redshift_names_the_columns_in_the_order_of_the_files():
    create, load = [
        each
        for each in parsed("redshift", told("redshift", "parquet", [CONTACTS]))
        if isinstance(each, exp.Create | exp.Copy) and each.find(exp.Schema)
    ]
    declared = [each.name for each in create.find_all(exp.ColumnDef)]
    assert [each.name for each in load.this.expressions] == declared
    assert declared[:3] == ["objecttypeid", "objectid", "updatedat"]


@pytest.mark.parametrize(("engine", "form"), [("redshift", "csv"), ("postgres", "csv")])
def test_tables_of_too_many_columns_are_left_out_in_words(engine, form):
    assert not [each for each in told(engine, form, [wide(1_600)]) if "Without" in each]
    statements = told(engine, form, [wide(1_601), OBJECTS])
    without = [each for each in statements if each.startswith("--") and "Without" in each]
    assert "OBJECTS_WIDE" in without[0]
    assert len([each for each in statements if each.startswith("CREATE TABLE")]) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_parquet_is_taken_where_csv_is_not_read_rightly(engine):
    taken = format_for(ENGINES[engine], TABLES)
    assert taken == ("csv" if engine in ("snowflake", "postgres") else "parquet")
