"""What manifests say of tables that were published."""

from dataclasses import replace
from typing import Any

import pytest

from hubspot_assets.availability import Availability
from hubspot_assets.export.manifest import DayTable, Part, TableManifest
from hubspot_assets.export.verdicts import Told, checks_of
from hubspot_assets.tables import counts, specs
from hubspot_assets.tables.content import TableSource
from hubspot_assets_tests.export.tables import AS_OF, DAY

CONTACTS = specs.objects_of_type("OBJECTS_CONTACTS", "Contacts")
VISITS = specs.events_of_type("EVENTS_VISITED_PAGE", "Visited page")
NO_SCOPE = Availability("missing_scope", "add crm.objects.contacts.read")


def manifest(spec=CONTACTS, rows=1000, **more: Any):
    parts = Part(f"{spec.name}/part-00000.csv.gz", rows, rows * 10, "-"), *more.pop("parts", ())
    return TableManifest(
        table=spec.name,
        day=DAY,
        as_of=AS_OF,
        observed_at=AS_OF,
        point_in_time=more.pop("point_in_time", True),
        columns=more.pop("columns", spec.columns),
        key=more.pop("key", spec.key),
        rows=more.pop("told", rows),
        bytes=rows * 10,
        parts=parts,
        availability=more.pop("availability", Availability()),
        **more,
    )


def line(rows, spec=CONTACTS, *, point_in_time=True):
    """The table in the manifest of the day before."""
    return DayTable(spec.name, rows, rows, 1, "-", point_in_time, Availability())


def judged(spec=CONTACTS, before=None, check="published", **more: Any):
    (found,) = [each for each in checks_of(spec) if each.name == check]
    return found.verdict(Told(spec, manifest(spec, **more), before))


def test_a_table_that_is_as_it_should_be_passes_every_check():
    for spec in (CONTACTS, VISITS, specs.LIST_MEMBERSHIPS, specs.OBJECT_PROPERTIES_HISTORY):
        for check in checks_of(spec):
            verdict = check.verdict(Told(spec, manifest(spec), line(1100, spec)))
            assert verdict.passed, verdict.words
            assert verdict.words


def test_every_table_has_a_check_and_few_have_two():
    names = {spec.name: [each.name for each in checks_of(spec)] for spec in (CONTACTS, VISITS)}
    assert names == {
        "OBJECTS_CONTACTS": ["published", "hubspots_count"],
        "EVENTS_VISITED_PAGE": ["published"],
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"told": 999}, "999 rows"),
        ({"key": ("OBJECTTYPEID",)}, "the key is OBJECTTYPEID"),
        ({"columns": CONTACTS.columns[1:]}, "the columns"),
        ({"parts": (Part("OBJECTS_CONTACTS/part-00000.csv.gz", 0, 0, "-"),)}, "one twice"),
        ({"parts": (Part("OBJECTS_CONTACTS/part-00001.csv.gz", 0, 5, "-"),)}, "10,000 bytes"),
    ],
)
def test_a_manifest_that_does_not_add_up_is_an_error(wrong, words):
    verdict = judged(**wrong)
    assert verdict.grave
    assert words in verdict.words


def test_columns_of_properties_are_beyond_those_declared():
    more = CONTACTS.with_columns((replace(CONTACTS.columns[0], name="PROPERTY_EMAIL"),))
    assert judged(columns=more.columns).passed


@pytest.mark.parametrize(
    ("rows", "before", "counted", "passed", "grave"),
    [
        (810, 1000, {}, True, False),
        (790, 1000, {}, False, False),
        (0, 1000, {}, False, True),
        (3, 9, {}, True, False),
        (600, 1000, {counts.RECORDS_ENDED: 400, counts.RECORDS_LIVE: 600}, True, False),
        (400, 1000, {counts.RECORDS_ENDED: 400, counts.RECORDS_LIVE: 600}, False, False),
        (0, 1000, {counts.RECORDS_ENDED: 1000, counts.RECORDS_LIVE: 0}, True, False),
    ],
)
def test_rows_fall_for_a_reason_that_history_tells(rows, before, counted, passed, grave):
    verdict = judged(rows=rows, before=line(before), counts=counted)
    assert (verdict.passed, verdict.grave) == (passed, grave), verdict.words


@pytest.mark.parametrize("then", [True, False])
def test_what_is_not_of_its_day_is_not_compared(then):
    assert judged(rows=1, before=line(1000, point_in_time=not then), point_in_time=then).passed


@pytest.mark.parametrize(
    ("rows", "before", "passed"), [(0, 100, False), (0, 99, True), (1, 5000, True)]
)
def test_a_day_without_events_is_odd_after_one_with_many(rows, before, passed):
    verdict = judged(VISITS, line(before, VISITS), rows=rows)
    assert (verdict.passed, verdict.grave) == (passed, False)


def test_a_scope_that_is_missing_is_a_warning_with_what_to_add():
    whole = judged(rows=0, availability=NO_SCOPE)
    part = judged(specs.OBJECTS, sources={"contacts": TableSource(NO_SCOPE, True, AS_OF)})  # noqa: FBT003
    for verdict in (whole, part):
        assert (verdict.passed, verdict.grave) == (False, False)
        assert verdict.words == "add crm.objects.contacts.read"


@pytest.mark.parametrize("status", ["not_enabled", "no_public_api", "needs_enterprise"])
def test_what_a_portal_does_not_have_passes_in_words(status):
    verdict = judged(rows=0, availability=Availability(status, "the portal has no such type"))
    assert verdict.passed
    assert "the portal has no such type" in verdict.words


def test_what_was_read_too_early_is_a_warning():
    assert not judged(settled=False).passed


@pytest.mark.parametrize(
    "name",
    [
        counts.RECORDS_UNREAD,
        counts.RECORDS_REFUSED,
        counts.LINKS_UNREAD,
        counts.ENTRIES_UNREAD,
        counts.EVENTS_UNDATED,
    ],
)
def test_what_could_not_be_read_is_a_warning(name):
    verdict = judged(counts={name: 1})
    assert (verdict.passed, verdict.grave) == (False, False)
    assert verdict.words.startswith("1 ")


@pytest.mark.parametrize(
    ("spec", "check", "name", "of", "share"),
    [
        (CONTACTS, "published", counts.UNPARSED, counts.VALUES_SET, 0.02),
        (VISITS, "published", counts.UNPARSED, None, 0.02),
        (CONTACTS, "published", counts.CELLS_UNKNOWN, counts.VALUES_SET, 0.02),
        (specs.ASSOCIATIONS, "published", counts.LINKS_LEFT_OUT, None, 0.05),
        (specs.LIST_MEMBERSHIPS, "published", counts.MEMBERS_LEFT_OUT, None, 0.05),
        (CONTACTS, "hubspots_count", counts.RECORDS_MISSED, counts.RECORDS_READ, 0.01),
        (specs.OBJECT_PROPERTIES_HISTORY, "newest_values", counts.UNLIKE_HISTORY, None, 0.01),
    ],
)
def test_few_of_many_are_no_reason_to_worry(spec, check, name, of, share):
    rows = 100 if of else 100_000
    most = int(share * 100_000)
    if of is None:
        rows -= most  # those that are counted are none of the rows
    of_many = {of: 100_000, counts.RECORDS_BY_HUBSPOT: 100_000} if of else {}
    assert judged(spec, check=check, rows=rows, counts={**of_many, name: most}).passed
    verdict = judged(spec, check=check, rows=rows, counts={**of_many, name: most + 200})
    assert (verdict.passed, verdict.grave) == (False, False)
    assert f"{most + 200:,} " in verdict.words


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (specs.ASSOCIATIONS, counts.LINKS_LEFT_OUT),
        (specs.LIST_MEMBERSHIPS, counts.MEMBERS_LEFT_OUT),
    ],
)
def test_what_is_not_of_its_day_ends_at_younger_records(spec, name):
    assert not judged(spec, counts={name: 900}).passed
    assert judged(spec, counts={name: 900}, point_in_time=False).passed


@pytest.mark.parametrize(("read", "counted", "passed"), [
    (10_000, 10_100, True),
    (10_000, 10_150, False),
    (10_150, 10_000, False),
    (10, 19, True),
    (0, 1, False),
])  # fmt: skip
def test_records_are_as_many_as_hubspot_counts(read, counted, passed):
    found = {counts.RECORDS_READ: read, counts.RECORDS_BY_HUBSPOT: counted}
    verdict = judged(check="hubspots_count", counts=found)
    assert (verdict.passed, verdict.grave) == (passed, False)
    assert f"{read:,} " in verdict.words
    assert verdict.numbers == {name: number for name, number in found.items() if number}


@pytest.mark.parametrize(
    ("others", "untold", "passed"), [(2, 0, True), (3, 0, False), (0, 1, False)]
)
def test_lists_have_as_many_members_as_they_say(others, untold, passed):
    found = {
        counts.LISTS_READ: 10,
        counts.LISTS_OF_ANOTHER_SIZE: others,
        counts.LISTS_UNTOLD: untold,
    }
    assert judged(specs.LIST_MEMBERSHIPS, check="sizes", counts=found).passed == passed


def test_all_flaws_are_told_of_in_one_line():
    verdict = judged(told=999, settled=False, counts={counts.RECORDS_UNREAD: 2})
    assert verdict.grave
    assert verdict.words.count("; ") == 2
    assert "\n" not in verdict.words
