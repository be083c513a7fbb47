"""Redshift: tables that take a day of the export by COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import Engine, Format, Place, comment, quoted, shortened, text, too_wide
from hubspot_assets.tables.parquet_types import ParquetType

_TYPES: dict[ParquetType, str] = {
    "INT64": "BIGINT",
    "DECIMAL(38,10)": "DECIMAL(38, 10)",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "BOOLEAN": "BOOLEAN",
    "STRING": "VARCHAR(65535)",
}
_MOST_COLUMNS, _LONGEST_NAME = 1_600, 127
#: Where HubSpot's own texts pass the 65,535 bytes of a VARCHAR: web pages, and records as JSON.
_LONG = {
    "VALUE",
    "PROPERTIES",
    "PROPERTY_POST_BODY",
    "PROPERTY_LAYOUT_SECTIONS",
    "PROPERTY_CONTENT",
}
_ROLE = "'arn:aws:iam::<account>:role/<reader>'"
_HINTS: dict[Format, str] = {
    "csv": "From CSV the empty string may become NULL, digits behind the tenth after the point are "
    "cut, and a text of more than 65,535 bytes stops its COPY: deliver Parquet "
    "(EXPORT_FORMATS=csv,parquet) for values that are exact.",
    "parquet": "Columns are taken in the order of the files, which is that of the lists here: they "
    "hold for this day. Texts that pass 65,535 bytes are SUPER, for which the database needs "
    "enable_large_strings_opt_in.",
}


def _statements(tables: Sequence[DeliveredTable], place: Place, form: Format) -> Iterator[str]:
    yield comment(
        "Redshift. The tables are those of one day; run it again to replace them by another, or "
        f"give each day a schema. Fill in the role, which may read the bucket. {_HINTS[form]}"
    )
    yield f"CREATE SCHEMA IF NOT EXISTS {quoted(place.schema)}"
    for table in tables:
        if len(table.columns) > _MOST_COLUMNS:
            yield too_wide(table, "Redshift", _MOST_COLUMNS)
            continue
        name = f"{quoted(place.schema)}.{_name(table.name)}"
        columns = ",\n".join(f"  {_name(each.name)} {_type(each, form)}" for each in table.columns)
        yield "BEGIN"
        yield f"DROP TABLE IF EXISTS {name}"
        yield f"CREATE TABLE {name} (\n{columns}\n)"
        yield from _copies(table, name, place, form)
        yield "COMMIT"


def _copies(table: DeliveredTable, name: str, place: Place, form: Format) -> Iterator[str]:
    if form == "parquet":
        columns = ", ".join(_name(each.name) for each in table.columns)
        source = text(place.url_of(table.parquet_folder) + "/")
        yield f"COPY {name} ({columns}) FROM {source} IAM_ROLE {_ROLE} FORMAT AS PARQUET"
        return
    # What a key only begins with is taken, too: a folder would be loaded with its manifest.
    for begin in dict.fromkeys(f"{path.rpartition('/')[0]}/part-" for path in table.csv):
        yield (
            f"COPY {name} FROM {text(place.url_of(begin))} IAM_ROLE {_ROLE} FORMAT AS CSV GZIP "
            "IGNOREHEADER 1 NULL AS '' TIMEFORMAT 'auto' DATEFORMAT 'YYYY-MM-DD'"
        )


def _type(column: TypedColumn, form: Format) -> str:
    # From CSV a SUPER is JSON: a text that looks like a number would become one.
    return "SUPER" if form == "parquet" and column.name in _LONG else _TYPES[column.type]


def _name(name: str) -> str:
    return quoted(shortened(name.lower(), _LONGEST_NAME))


REDSHIFT = Engine("redshift", ("parquet", "csv"), ("s3://",), _statements)
