"""What a person sees: lines that no terminal breaks within a word, and progress while it runs."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from hubspot_assets.availability import Availability
from hubspot_assets.check import Finding, lines_of
from hubspot_assets.deliver import deliver
from hubspot_assets.export import Part, TableManifest
from hubspot_assets.progress import WIDTH, Display, duration, summary
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY


def manifest(table, rows, size, *, counts=None, point_in_time=True):
    return TableManifest(
        table=table,
        day=DAY,
        as_of=datetime(2026, 11, 23, tzinfo=UTC),
        observed_at=None,
        point_in_time=point_in_time,
        columns=(),
        key=(),
        rows=rows,
        bytes=size,
        parts=(Part(f"{table}/part-00000.csv.gz", rows, size, ""),),
        availability=Availability("available", ""),
        counts=counts or {},
    )


TABLES = [
    manifest("ASSOCIATIONS_COMPANIES_TO_DEALS", 0, 120),
    manifest("ASSOCIATIONS_DEALS_TO_COMPANIES", 0, 120),
    manifest("ASSOCIATIONS_MARKETING_EMAILS_TO_MARKETING_CAMPAIGNS", 12, 1_234),
    manifest(
        "OBJECTS_CONTACTS",
        1_234_567,
        15_000_000,
        counts={"values_not_parsed": 3, "values_set": 9_876, "cells_not_known_as_of_day": 12_345},
        point_in_time=False,
    ),
]


@pytest.mark.parametrize("width", [80, 120, WIDTH])
def test_a_summary_fits_the_terminal_and_loses_no_word(width):
    lines = list(summary(TABLES, width))
    assert max(map(len, lines)) < width
    words = " ".join(" ".join(lines).split())
    assert "1,234,567 rows 15.0 MB OBJECTS_CONTACTS not of that day, 3 values" in words
    assert "12,345 cells not known as of day" in words
    assert "9,876" not in words  # is what checks compare, and nothing to heed
    assert "0 rows 240 B 2 ASSOCIATIONS_<X>_TO_<Y> pairs without links" in words
    assert words.endswith("1,234,579 rows 15.0 MB all 4 tables")


def test_where_no_person_reads_a_table_is_one_line():
    assert len(list(summary(TABLES, WIDTH))) == 4


@pytest.mark.parametrize("width", [80, 120])
def test_a_finding_is_broken_between_words(width):
    detail = (
        "missing scope: the token lacks crm.objects.deals.read; add it to the service key, " * 2
    )
    lines = lines_of(Finding("HubSpot", "deals (OBJECTS_DEALS)", "failed", detail), width)
    assert len(lines) > 1
    assert max(map(len, lines)) < width
    assert " ".join(" ".join(lines).split()) == f"failed deals (OBJECTS_DEALS): {detail.strip()}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (3900, "1 h 05 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


class Watched(Display):
    """Notes what it is told of the records of sources."""

    def __init__(self, console):
        super().__init__(console)
        self.heard = {}

    def records(self, source, records):
        super().records(source, records)
        self.heard[source] = records


def test_a_terminal_shows_what_is_done_from_the_first_moment_and_no_bar_stays(
    reach, shared_sandbox
):
    reach(shared_sandbox, OBJECT_TYPES="companies", EVENT_TYPES="e_visited_page")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with Watched(console).live() as display:
        (companies, _), *_ = deliver(load_settings(), DAY, ["OBJECTS_COMPANIES"], display).tables
    assert display.heard["companies"] >= companies.rows > 0
    shown = screen.getvalue()
    assert shown.index("starting") < shown.index("discovering the portal") < shown.index(DAY)
    assert shown.endswith("\x1b[1A\x1b[2K")  # the line of the bar is cleared
