"""Tables whose names and descriptions are as odd as a portal's can be."""

from hubspot_assets.ddl.delivered import DeliveredTable, TypedColumn
from hubspot_assets.ddl.sql import Place

DAY = "2026-11-22"
PLACES = {
    scheme: Place(f"{scheme}bucket/a prefix", "hubspot", "2026-11-01")
    for scheme in ("s3://", "gs://")
} | {"": Place("/a folder/it's", "hubspot", "2026-11-01")}


def table(name, *columns, key=("OBJECTID",), folders=("",)):
    """A table of columns given as (name, type, description), delivered in both formats."""
    return DeliveredTable(
        name,
        DAY,
        123,
        tuple(TypedColumn(*each) for each in columns),
        key,
        3,
        tuple(f"{DAY}/{name}/{folder}part-00000.csv.gz" for folder in folders),
        tuple(
            f"parquet/{name}/day={DAY}/{folder.strip('/') or 'part'}-00000.parquet"
            for folder in folders
        ),
    )


CONTACTS = table(
    "OBJECTS_CONTACTS",
    ("OBJECTTYPEID", "STRING", "Type of the record: 0-n HubSpot's, 2-n custom"),
    ("OBJECTID", "INT64", "HubSpot's record id"),
    ("UPDATEDAT", "TIMESTAMP", ""),
    ("PROPERTY_AMOUNT", "DECIMAL(38,10)", 'In "euros" \\ or\nnot; who knows'),
    ("PROPERTY_BIRTHDAY", "DATE", "-- a day"),
    ("PROPERTY_IT'S", "STRING", "ü" * 200),
    ('PROPERTY_"ODD"', "BOOLEAN", "`ticks`"),
    ("PROPERTY_" + "LONG_" * 20, "STRING", "Long"),
)  # fmt: skip
OBJECTS = table(
    "OBJECTS",
    ("OBJECTTYPEID", "STRING", ""),
    ("OBJECTID", "INT64", ""),
    key=("OBJECTTYPEID", "OBJECTID"),
    folders=("contacts/", "deals/"),
)
TABLES = (CONTACTS, OBJECTS)


def wide(columns, description=""):
    """A table of so many columns."""
    many = [(f"PROPERTY_{number}", "STRING", description) for number in range(columns - 1)]
    return table("OBJECTS_WIDE", ("OBJECTID", "INT64", ""), *many)
