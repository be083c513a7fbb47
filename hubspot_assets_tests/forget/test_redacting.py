"""What refers to the forgotten from elsewhere, where that is to go, too."""

import json
import re

import pytest

from hubspot_assets_tests.forget.delivered import (
    DAYS,
    OWNER,
    content,
    holds,
    is_theirs,
    lines,
    mentions,
    rows_of,
    tables,
    two_forms_agree,
)
from hubspot_assets_tests.test_commands import run

REDACT = "--redact-references"
#: Properties that hold an id of a contact.
OF_IDS = "associated_contact_id"


def told(cell, column, row, people):
    """What a cell is to say: what refers to the people is out of it."""
    ids = {str(each) for each in people.ids}
    if OF_IDS in (column.removeprefix("PROPERTY_").lower(), row.get("NAME")) and cell in ids:
        return ""
    if column == "PROPERTIES" and "OBJECTTYPEID" in row and cell.startswith("{"):
        values = json.loads(cell)
        if values.get(OF_IDS) in ids:
            del values[OF_IDS]
            return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return re.sub(re.escape(OWNER), "[forgotten]", cell, flags=re.IGNORECASE)


@pytest.mark.slow
def test_nothing_refers_to_them_any_more(redacted, people):
    folder, output = redacted
    assert not mentions(folder, [*people.words, OWNER])
    assert "refers to them still" not in output


@pytest.mark.slow
def test_all_else_is_what_it_was_to_the_byte(redacted, delivered, people):
    changed = 0
    for day in DAYS:
        for path, before in tables(delivered[1] / day).items():
            kept = [not is_theirs(row, people) for row in before]
            rows = [row for row, stays in zip(before, kept, strict=True) if stays]
            was = [
                line for line, stays in zip(lines(delivered[1] / day / path)[1:], kept, strict=True)
                if stays
            ]  # fmt: skip
            now, left = lines(redacted[0] / day / path)[1:], rows_of(redacted[0] / day / path)
            for line, row, new_line, new in zip(was, rows, now, left, strict=True):
                assert new == {name: told(of, name, row, people) for name, of in row.items()}
                assert (new_line == line) == (new == row)
                changed += sum(new[name] != row[name] for name in row)
    assert changed
    assert f"redacted {changed:,} cells of others in tables" in redacted[1]


@pytest.mark.slow
def test_manifests_hold_and_both_forms_agree(redacted):
    for day in DAYS:
        assert holds(redacted[0], day)
        said = json.loads((redacted[0] / day / "OWNERS/_manifest.json").read_bytes())
        assert [each["rows"] for each in said["forgotten"]] == [0]
        two_forms_agree(redacted[0], day)
    (audit,) = (redacted[0] / "_state/forgotten/audit").iterdir()
    assert json.loads(audit.read_bytes())["redacted"]["OWNERS"] == len(DAYS)


@pytest.mark.slow
def test_a_dry_run_says_how_many_cells(export, redacted, asked):
    before = content(export)
    words = ("forget", "contacts", *asked, "--email", OWNER, REDACT)
    status, output = run(*words, "--dry-run")
    assert status == 0
    assert content(export) == before
    assert (
        output.replace("would take out", "took out").replace("would redact", "redacted")
        == (redacted[1])
    )


@pytest.mark.slow
def test_without_the_option_they_are_counted_and_stay(export, delivered, asked):
    status, output = run("forget", "contacts", *asked, "--email", OWNER)
    assert status == 0
    assert re.search(r"refers to them still: owners: [0-9]", output)
    assert f"refers to them still: objects/0-11 {OF_IDS}: " in output
    assert mentions(export / DAYS[0] / "OWNERS", [OWNER])


@pytest.mark.slow
def test_who_was_merged_away_is_in_no_list_of_ids_of_the_survivor(export, people):
    def lists(folder):
        rows = [row for each in tables(folder / DAYS[1]).values() for row in each]
        names = ("HS_MERGED_OBJECT_IDS", "HS_CALCULATED_MERGED_VIDS")
        return {
            row[f"PROPERTY_{name}"] for row in rows for name in names if row.get(f"PROPERTY_{name}")
        }

    before = lists(export)
    gone, *others = sorted(re.findall("15[0-9]{10}", min(before, key=len)), reverse=True)
    assert others
    status, output = run("forget", "contacts", gone, "--exclude", REDACT)
    assert status == 0, output
    assert not mentions(export, [gone])
    expected = {re.sub(rf"{gone}(:[0-9]+)?", "", each).strip(";") for each in before}
    assert lists(export) == expected
    assert mentions(export / DAYS[1], others)


@pytest.mark.slow
def test_a_day_that_is_delivered_again_is_the_same(export, asked):
    """A value that was nothing else is unset by then, and so in no row of its own."""
    assert run("forget", "contacts", *asked, "--email", OWNER, REDACT)[0] == 0
    before = tables(export / DAYS[1])
    assert run("export", "--day", DAYS[1])[0] == 0
    after = tables(export / DAYS[1])
    assert before.keys() == after.keys()
    for path, rows in before.items():
        is_unset = path.startswith("OBJECT_PROPERTIES/")
        assert after[path] == [row for row in rows if not is_unset or row["VALUE"]], path
    assert not mentions(export, [OWNER])
