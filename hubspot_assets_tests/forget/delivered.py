"""Two days of a portal in which contacts are erased, delivered, and what is read back of them."""

import contextlib
import csv
import gzip
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import time_machine
from polars.testing import assert_frame_equal

from hubspot_assets.deliver import deliver
from hubspot_assets.export import read_day, read_manifest, read_table
from hubspot_assets.export.parquet import as_parquet, parquet_schema
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import READ_AT, set_environment

DAYS = ("2026-11-21", "2026-11-22")
#: The address of an owner.
OWNER = "ada.byron@example.com"
NIGHT = timedelta(days=1)
TYPES = {
    "OBJECT_TYPES": "contacts,companies,deals,emails,engagements,form_submissions,marketing_emails,"
    "conversations",
    "EVENT_TYPES": "visited_page,opened_email_v2,mta_delivered_email_v2",
    "EXPORT_FORMATS": "csv,parquet",
}
csv.field_size_limit(1 << 30)


@dataclass
class People:
    """Contacts that are `asked` for, with all that is theirs."""

    asked: list[int] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    submissions: set[int] = field(default_factory=set)

    @property
    def words(self):
        """What nothing may tell any more."""
        return [*self.ids, *self.submissions, *self.addresses, *self.names]


@contextlib.contextmanager
def two_days(root):
    """Delivers two days; before the night of the second some contacts are erased."""
    config = PortalConfig(records=60, now=READ_AT - NIGHT, burst=100_000, contact_properties=150)
    with serve(config) as sandbox:
        with pytest.MonkeyPatch.context() as patch:
            folder = set_environment(patch, sandbox, root, **TYPES)
            with time_machine.travel(READ_AT - NIGHT, tick=True):
                deliver(Settings(), DAYS[0], [], Display())
            people = chosen(folder / DAYS[0])
            for each in people.asked:
                sandbox.portal.erase("0-1", each, READ_AT - NIGHT / 2)
            night(sandbox, READ_AT, DAYS[1])
        yield sandbox, folder, people


def night(sandbox, moment, day):
    """Delivers a day at a moment."""
    sandbox.portal.clock.set(moment)
    with time_machine.travel(moment, tick=True):
        deliver(Settings(), day, [], Display())


def chosen(day):
    """Three contacts of a day: with e-mail events, with merged records, with filled-in forms."""
    parts = tables(day)
    [contacts] = (rows for path, rows in parts.items() if path.startswith("OBJECTS_CONTACTS/"))
    [filled_in] = (rows for path, rows in parts.items() if path.startswith("OBJECTS_FORM_SUB"))
    addressed = {
        row["OBJECTID"]
        for path, rows in parts.items()
        for row in rows
        if path.startswith("EVENTS_MTA_DELIVERED_EMAIL")
    }

    def forms(row):
        address = row["PROPERTY_EMAIL"].lower()
        texts = {each["OBJECTID"]: each["PROPERTY_VALUES"].lower() for each in filled_in}
        return {int(each) for each, text in texts.items() if address and f'"{address}"' in text}

    found = [
        next(row for row in contacts if row["OBJECTID"] in addressed),
        next(row for row in contacts if ";" in row["PROPERTY_HS_MERGED_OBJECT_IDS"]),
        next(row for row in contacts if forms(row) and row["OBJECTID"] not in addressed),
    ]
    people = People()
    for row in found:
        told = row["PROPERTY_HS_MERGED_OBJECT_IDS"], row["PROPERTY_HS_CALCULATED_MERGED_VIDS"]
        merged = re.findall("(?<![:0-9])[0-9]+", ";".join(told))
        people.asked.append(int(row["OBJECTID"]))
        people.ids |= {people.asked[-1], *map(int, merged)}
        people.submissions |= forms(row)
        people.names.add(f"{row['PROPERTY_FIRSTNAME']} {row['PROPERTY_LASTNAME']}".lower())
        for name in ("PROPERTY_EMAIL", "PROPERTY_HS_ADDITIONAL_EMAILS"):
            several = row.get(name, "").split(";")
            people.addresses |= {each.strip().lower() for each in several if each}
    return people


def tables(day):
    """The rows of each part, by its path, as dictionaries."""
    return {str(path.relative_to(day)): rows_of(path) for path in sorted(day.rglob("*.csv.gz"))}


def rows_of(path):
    """The rows of a part, or of a Parquet file, as dictionaries of texts."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path).select(pl.all().cast(pl.String).fill_null("")).to_dicts()
    return list(csv.DictReader(gzip.open(path, "rt", newline="")))


def is_theirs(row, people):
    """Whether a row of a table is of the people, by what the export's contract says of columns."""
    records = [
        (row.get("OBJECTTYPEID"), row.get("OBJECTID")),
        (row.get("OBJECTTYPEID"), row.get("MERGEDINTO")),
        (row.get("FROMOBJECTTYPEID"), row.get("FROMOBJECTID")),
        (row.get("TOOBJECTTYPEID"), row.get("TOOBJECTID")),
        ("0-1", row.get("CONTACT_OBJECTID")),
        ("0-15", row.get("FORM_SUBMISSION_OBJECTID")),
    ]
    theirs = {("0-1", str(each)) for each in people.ids}
    theirs |= {("0-15", str(each)) for each in people.submissions}
    recipient = row.get("PROPERTY_HS_RECIPIENT", "") if "EVENTTYPEID" in row else ""
    return bool(theirs & set(records)) or recipient.strip().lower() in people.addresses


def lines(path):
    """The rows of a part as they stand, bytes each; a line break within quotes ends none."""
    found = []
    for line in gzip.decompress(path.read_bytes()).splitlines(keepends=True):
        if found and found[-1].count(b'"') % 2:
            found[-1] += line
        else:
            found.append(line)
    return found


def texts(root):
    """Everything below a folder as text, by path: unpacked, and Parquet as CSV."""
    found = {}
    for path in sorted(each for each in root.rglob("*") if each.is_file()):
        if path.suffix == ".parquet":
            text = pl.read_parquet(path).with_columns(pl.all().cast(pl.String)).write_csv()
        else:
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        found[str(path.relative_to(root))] = text
    return found


def mentions(root, words):
    """The lines below a folder that hold one of the words, with their paths."""
    lower = [str(word).lower() for word in words]
    sought = re.compile("|".join(rf"(?<![\w.]){re.escape(word)}(?!\w)" for word in lower))
    found = []
    for path, text in texts(root).items():
        told = text.lower()
        if there := [word for word in lower if word in told]:
            lines_with = (each for each in told.splitlines() if any(word in each for word in there))
            found += [(path, line) for line in lines_with if sought.search(line)]
    return found


def content(folder):
    """What there is: manifests and notes as they read but for who wrote them, others' digests."""
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = str(path.relative_to(folder))
        if name.startswith("_state/forgotten/"):
            continue
        if path.suffix == ".json":
            said = json.loads(path.read_bytes())
            for each in said.get("forgotten", []):
                each.pop("run")
                each.pop("at")
            found[name] = said
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def holds(folder: Path, day: str) -> bool:
    """Whether a day is published, and all that its manifests say is so; of a table that is, too.

    A day that is told to be complete is.
    """
    published = {}
    for path in (folder / day).glob("*/_manifest.json"):
        said = json.loads(path.read_bytes())
        published[said["table"]] = said
        for part in said["parts"]:
            file = folder / day / part["path"]
            data = file.read_bytes()
            assert len(data) == part["bytes"], part
            assert hashlib.sha256(data).hexdigest() == part["sha256"], part
            assert len(lines(file)) - 1 == part["rows"], part
        for each in said["files"]:
            data = (folder / each["path"]).read_bytes()
            assert len(data) == each["bytes"], each
            assert hashlib.sha256(data).hexdigest() == each["sha256"], each
            assert pl.read_parquet(data).height == each["rows"], each
        assert said["rows"] == sum(part["rows"] for part in said["parts"])
        assert said["rows"] == sum(each["rows"] for each in said["files"])
        assert said["bytes"] == sum(part["bytes"] for part in said["parts"])
    manifest = folder / day / "_manifest.json"
    if day in json.loads((folder / "_days.json").read_bytes())["days"]:
        assert manifest.exists()
    if not manifest.exists():
        return False
    said = json.loads(manifest.read_bytes())
    for each in said["tables"]:
        of = published[each["table"]]
        assert (each["rows"], each["bytes"]) == (of["rows"], of["bytes"])
    assert said["rows"] == sum(each["rows"] for each in said["tables"])
    return True


def two_forms_agree(folder: Path, day: str) -> None:
    """Holds the Parquet files of a day against its CSV, cell by cell."""
    store = open_store(folder)
    for each in read_day(store, day).tables:
        manifest = read_manifest(store, day, each.table)
        schema = parquet_schema(manifest.columns, manifest.key)
        frame = read_table(store, day, each.table).collect()
        by_csv = frame.select(
            as_parquet(name, frame.schema[name], wanted) for name, wanted in schema.items()
        )
        assert_frame_equal(by_csv, pl.read_parquet([folder / file.path for file in manifest.files]))
