"""People who are forgotten: what goes, what stays, and that it stays so."""

import json
import os
import random
import re
import signal
import subprocess
import sys

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hubspot_assets.storage import open_store
from hubspot_assets.storage.folder import FolderStore
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.forget.delivered import (
    DAYS,
    NIGHT,
    OWNER,
    content,
    holds,
    is_theirs,
    lines,
    mentions,
    night,
    rows_of,
    tables,
    texts,
    two_forms_agree,
)
from hubspot_assets_tests.test_commands import fails, run

FORGET = ("forget", "contacts")
REDACTING = ("--email", OWNER, "--redact-references")
#: How often the command is killed; more with FORGET_KILLS.
KILLS = int(os.environ.get("FORGET_KILLS", "3"))


def test_the_people_are_in_much_that_was_delivered(delivered, people):
    found = {path.split("/")[1] for path, _ in mentions(delivered[1], people.words)}
    assert {"OBJECTS_CONTACTS", "OBJECT_PROPERTIES_HISTORY", "ASSOCIATIONS", "readings"} <= found
    assert {"LIST_MEMBERSHIPS", "OBJECTS_FORM_SUBMISSIONS"} <= found
    assert any(table.startswith("EVENTS_") for table in found)
    assert people.submissions


def test_nothing_is_left_but_what_is_reported(undisturbed, delivered, people):
    folder, output = undisturbed
    left = mentions(folder, people.words)
    reported = set(re.findall(r"refers to them still: (\S+) (\S+): ", output))
    referring = set()
    for path, line in left:
        if "/readings/" in path:
            record, name, *_ = line.split(",")
            source = re.search("readings/(objects/[^/]+)/", path)[1]
            assert (source, name) in reported, (path, line)
            referring.add(record)
    for path, line in left:
        assert any(f",{record}," in f",{line}" for record in referring), (path, line)
    assert reported
    assert len(left) < len(mentions(delivered[1], people.words)) / 10


def test_all_other_rows_are_what_they_were_to_the_byte(undisturbed, delivered, people):
    gone = 0
    for day in DAYS:
        for path, rows in tables(delivered[1] / day).items():
            was = lines(delivered[1] / day / path)
            kept = [
                line for line, row in zip(was[1:], rows, strict=True) if not is_theirs(row, people)
            ]
            assert lines(undisturbed[0] / day / path) == [was[0], *kept], path
            gone += len(rows) - len(kept)
    assert f"took out {gone:,} rows" in undisturbed[1]


def test_of_readings_their_rows_go_and_no_others(undisturbed, delivered, people):
    readings = "_state/readings"
    events: dict[str, set[int]] = {}
    gone = 0
    for before in sorted(
        (delivered[1] / readings).rglob("*.parquet")
    ):  # events before their values
        path = before.relative_to(delivered[1])
        was, now = pl.read_parquet(before), pl.read_parquet(undisturbed[0] / path)
        assert was.schema == now.schema
        left = iter(now.rows())
        following = next(left, None)
        chunk, frame, _ = path.name.split(".")
        of_chunk = events.setdefault(f"{path.parent}/{chunk}", set())
        for row in was.rows():
            if row == following:
                following = next(left, None)
                continue
            gone += 1
            told = {*row}
            if frame == "events":
                of_chunk.add(row[was.columns.index("event")])
            is_theirs = told & {*people.ids, *people.submissions} or told & people.addresses
            assert is_theirs or told & of_chunk, (path, row)
        assert following is None
    assert gone


@pytest.mark.slow
def test_of_parquet_files_the_same_rows_go(undisturbed, delivered, people):
    gone, duck = 0, duckdb.connect()
    for before in sorted(delivered[1].glob("parquet/*/*/*.parquet")):
        path = before.relative_to(delivered[1])
        was, now = pl.read_parquet(before), pl.read_parquet(undisturbed[0] / path)
        kept = [not is_theirs(row, people) for row in rows_of(before)]
        assert_frame_equal(now, was.filter(pl.Series(kept, dtype=pl.Boolean)))
        file = undisturbed[0] / path
        by_duckdb = duck.sql(f"FROM read_parquet('{file}', hive_partitioning = false)")
        assert by_duckdb.columns == now.columns
        assert by_duckdb.fetchall() == now.rows()
        gone += was.height - now.height
    assert f"took out {gone:,} rows" in undisturbed[1]


@pytest.mark.slow
def test_csv_and_parquet_are_equal_cell_by_cell(undisturbed):
    for day in DAYS:
        two_forms_agree(undisturbed[0], day)


def test_statistics_of_parquet_files_tell_of_nobody(undisturbed, delivered, people):
    def told(folder):
        ids = [each.to_bytes(8, "little") for each in people.ids]
        files = [path.read_bytes() for path in folder.glob("parquet/**/*.parquet")]
        return [each for each in ids if any(each in data for data in files)]

    assert told(delivered[1])
    assert not told(undisturbed[0])


@pytest.mark.slow
def test_files_that_held_nothing_are_the_same(export, people, asked):
    files = [*export.rglob("part-*.csv.gz"), *export.glob("parquet/**/*.parquet")]
    held = {path: any(is_theirs(row, people) for row in rows_of(path)) for path in files}
    before = {path: path.stat().st_mtime_ns for path in files}
    assert run(*FORGET, *asked)[0] == 0
    rewritten = {path: path.stat().st_mtime_ns != before[path] for path in files}
    assert rewritten == held


@pytest.mark.slow
def test_a_day_is_told_to_be_complete_but_while_it_is_rewritten(export, people, asked):
    def told():
        return json.loads((export / "_days.json").read_bytes())["days"]

    at_puts = []
    put = FolderStore.put

    def noting(self, path, *args, **kwargs):
        at_puts.append((path, told()))
        put(self, path, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderStore, "put", noting)
        assert run(*FORGET, *asked)[0] == 0
    for day, other in (DAYS, DAYS[::-1]):
        of_day = re.compile(rf"{day}/.*\.csv\.gz|parquet/.*/day={day}/.*")
        assert {tuple(days) for path, days in at_puts if of_day.fullmatch(path)} == {(other,)}
    assert told() == list(DAYS)


def test_manifests_hold_and_say_how_many_when_and_by_which_run(undisturbed, people):
    folder, _ = undisturbed
    audit = json.loads(next((folder / "_state/forgotten/audit").iterdir()).read_bytes())
    rows = 0
    for day in DAYS:
        assert holds(folder, day)
        for path in (folder / day).glob("*/_manifest.json"):
            said = json.loads(path.read_bytes())
            for each in said.get("forgotten", []):
                assert (each["run"], each["at"]) == (audit["run"], audit["at"])
                rows += each["rows"]
    assert rows == sum(audit["tables"].values()) > 0
    assert audit["days"] == 2
    assert not list((folder / "_state").glob("forgetting/**/*"))


@pytest.mark.slow
def test_a_dry_run_says_the_same_and_touches_nothing(export, undisturbed, people, asked):
    before = content(export)
    status, output = run(*FORGET, *asked, "--dry-run")
    assert status == 0
    assert content(export) == before
    assert not (export / "_state/forgotten").exists()
    assert output.replace("would take out", "took out") == undisturbed[1]
    assert " writes" in output


def test_a_contact_is_found_by_an_address(export, undisturbed, people, tmp_path):
    emails = [word for each in people.addresses for word in ("--email", each.upper())]
    assert run("forget", *emails)[0] == 0
    assert content(export) == content(undisturbed[0])


@pytest.mark.slow
def test_all_that_are_erased_in_hubspot_are_forgotten_at_once(export, people):
    status, output = run("forget", "--erased")
    assert status == 0, output
    left = mentions(export, people.ids)
    assert not [path for path, _ in left if "CONTACTS" in path]


KILLED = """
import os, signal, sys
from hubspot_assets.storage.folder import FolderStore

left = int(sys.argv.pop(1))

def counted(method):
    def call(*args, **kwargs):
        global left
        if args[1:] and "_leases" in str(args[1]):
            return method(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)
    return call

for name in ("put", "delete", "swap"):
    setattr(FolderStore, name, counted(getattr(FolderStore, name)))
from hubspot_assets.cli import main
main()
"""


def killed(number, *arguments):
    """Runs a command that is killed at its write of that number; whether it was."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(number), *arguments], capture_output=True, check=False
    )
    assert process.returncode in {0, -signal.SIGKILL}, process.stderr.decode()
    return process.returncode != 0


def writes(output):
    return sum(int(n) for n in re.findall(r"(\d+) (?:writes|deletes)", output))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_moment_and_run_again_it_is_the_same(
    seed, export, undisturbed, redacted, asked
):
    kinds = [(undisturbed, [*FORGET, *asked]), (redacted, [*FORGET, *asked, *REDACTING])]
    (folder, output), words = kinds[seed % 2]
    before, after = content(export), content(folder)
    chance = random.Random(seed)
    most = writes(output)
    times = 0
    while killed(chance.randrange(1, most + 1), *words):
        times += 1
        for day in DAYS:
            if holds(export, day):
                now = {path: of for path, of in content(export).items() if path.startswith(day)}
                assert now in (of_day(before, day), of_day(after, day))
        if times == 4:
            assert run(*words)[0] == 0
            break
    assert content(export) == after
    assert not list((export / "_state").glob("forgetting/**/*.json"))


def of_day(found, day):
    return {path: of for path, of in found.items() if path.startswith(day)}


@pytest.mark.slow
def test_who_was_begun_with_is_forgotten_by_whoever_comes_next(export, undisturbed, people, asked):
    assert killed(writes(undisturbed[1]) // 2, *FORGET, *asked)
    status, output = run("forget", "contacts", "1")
    assert status == 0
    assert "1 of the records are in no reading" in output
    assert content(export) == content(undisturbed[0])


@pytest.mark.slow
def test_what_was_begun_with_is_redacted_by_whoever_comes_next(export, redacted, asked):
    assert killed(writes(redacted[1]) // 2, *FORGET, *asked, *REDACTING)
    assert run("forget", "contacts", "1")[0] == 0
    assert content(export) == content(redacted[0])


@pytest.mark.slow
def test_the_forgotten_stay_so_while_hubspot_serves_them(export, delivered, people):
    sandbox = delivered[0]
    other = next(
        row for row in tables(export / DAYS[1])["OBJECTS_CONTACTS/part-00000.csv.gz"]
        if row["PROPERTY_EMAIL"]
    )  # fmt: skip
    theirs = other["OBJECTID"], other["PROPERTY_EMAIL"]
    fails(2, "1 of 1 records are still in HubSpot", "forget", "contacts", theirs[0])
    assert mentions(export / DAYS[1], theirs)
    assert run("forget", "contacts", theirs[0], "--exclude")[0] == 0
    assert run("export", "--day", DAYS[0])[0] == 0
    assert run("export", "--day", DAYS[1], "--read-again")[0] == 0
    night(sandbox, READ_AT + NIGHT, "2026-11-23")
    left = {path.split("/")[1] for path, _ in mentions(export, theirs)}
    assert not {each for each in left if "CONTACTS" in each or each == "OBJECTS"}, left
    said = json.loads((export / "2026-11-23/OBJECTS_CONTACTS/_manifest.json").read_bytes())
    assert said["counts"]["rows_forgotten"] > 0
    kept = json.loads((export / "_state/forgotten/list.json").read_bytes())
    assert None in kept["records"].values()


def test_the_list_and_the_audit_name_nobody(undisturbed, people):
    state = undisturbed[0] / "_state"
    assert not mentions(state / "forgotten", people.words)
    assert sorted(path.name for path in (state / "forgotten").iterdir()) == ["audit", "list.json"]


def test_an_id_that_is_nowhere(export):
    before = content(export)
    status, output = run("forget", "contacts", "9007199254740993", "5")
    assert status == 0
    assert "2 of the records are in no reading" in output
    assert "took out 0 rows" in output
    assert content(export) == before


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("type: found 'unicorns', expected one that the portal has, as ", ["unicorns", "5"]),
        ("expected one that the portal has, as company, companies, ", ["companys", "5"]),
        ("type: found 'engagements', which are made of other types", ["engagements", "5"]),
        ("ids: found what is no id", ["contacts", "Ada Lovelace"]),
        ("ids: found nothing", []),
        ("ids: found nothing", ["contacts"]),
        ("email: found no address", ["--email", "ada"]),
        ("email: expected with contacts alone", ["deals", "--email", "a@x.com"]),
        ("from-file: nowhere.txt can't be read", ["contacts", "--from-file", "nowhere.txt"]),
    ],
)
def test_what_can_t_be_asked_for(text, arguments, export):
    fails(2, text, "forget", *arguments)


def test_a_folder_of_another_portal(export, people, asked):
    (export / "_portal.json").write_text('{"portal_id": 5}')
    fails(2, "which is portal 5's", *FORGET, *asked)


@pytest.mark.slow
def test_a_token_is_needed_unless_hubspot_is_not_asked(export, asked, monkeypatch):
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN")
    fails(2, "HUBSPOT_ACCESS_TOKEN: found nothing", *FORGET, *asked)
    assert run(*FORGET, *asked, "--exclude")[0] == 0


@pytest.mark.slow
def test_a_day_without_manifests_is_cleaned_and_stays_unpublished(
    export, undisturbed, people, asked
):
    for path in (export / DAYS[0]).rglob("_manifest.json"):
        path.unlink()
    assert run(*FORGET, *asked)[0] == 0
    assert not list((export / DAYS[0]).rglob("_manifest.json"))
    now, expected = (
        {path: text for path, text in texts(root).items() if not path.endswith(".json")}
        for root in (export, undisturbed[0])
    )
    assert now == expected
    assert holds(export, DAYS[1])


@pytest.mark.slow
def test_a_manifest_that_can_t_be_read_leaves_the_day_and_is_said(export, people, asked):
    manifest = export / DAYS[0] / "OBJECTS_CONTACTS/_manifest.json"
    good = manifest.read_bytes()
    manifest.write_text("{}")
    status, output = run(*FORGET, *asked)
    assert status == 1
    assert f"{DAYS[0]}: left as it is" in output
    manifest.write_bytes(good)
    assert run("forget", "contacts", "1")[0] == 0  # which goes on with what is left
    assert not [path for path, _ in mentions(export, people.ids) if "CONTACTS" in path]


@pytest.mark.slow
def test_ids_by_the_thousand_and_addresses_come_from_a_file(export, undisturbed, people, tmp_path):
    file = tmp_path / "people.txt"
    first, *others = people.asked
    file.write_text("\n".join(map(str, [*range(1, 3000), *others, "", *people.addresses, first])))
    status, output = run(*FORGET, "--from-file", str(file), "--exclude")
    assert status == 0, output
    assert content(export) == content(undisturbed[0])


@pytest.mark.slow
def test_a_store_that_refuses_to_delete_keeps_its_days_whole(export, people, monkeypatch, asked):
    def refuse(self, paths, *, versions=False):
        from hubspot_assets.storage import StoreError

        if list(paths):
            raise StoreError("access denied: the statement ReadWriteObjects is missing")

    before = {day: of_day(content(export), day) for day in DAYS}
    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "delete", refuse)
        fails(1, "access denied", *FORGET, *asked)
    assert {day: of_day(content(export), day) for day in DAYS} == before
    assert run(*FORGET, *asked)[0] == 0
    assert all(holds(export, day) for day in DAYS)


def test_a_list_that_can_t_be_read_is_said_by_whoever_reads_hubspot(export, people):
    listed = export / "_state/forgotten/list.json"
    listed.parent.mkdir()
    listed.write_text("{")
    fails(1, "can't be read, and it says who must not come back", "forget", "contacts", "5")


def test_an_export_and_a_forgetting_wait_for_one_another(export, people, asked):
    from hubspot_assets.storage import leases

    with (
        leases.held(open_store(export / "_state"), "readings", "another"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(leases, "PATIENCE", 0.1)
        fails(1, "is being written by", *FORGET, *asked)
