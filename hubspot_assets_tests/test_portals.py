"""Two portals never meet in one place: not in an export, a state root or a catalog."""

import hashlib
import json
import logging
import shutil

import dagster as dg
import pytest

from hubspot_assets.catalog_place import CatalogPlace
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, READ_AT, place, set_environment
from hubspot_assets_tests.test_commands import fails, run

OURS, THEIRS = 1234567, 7654321
OWNERS = ("export", "--day", DAY, "--select", "OWNERS")
PURGE = ("purge", "--keep-days", "1")
FORGET = ("forget", "contacts", "1")
COMMANDS = [OWNERS, ("discover",), ("check",), PURGE, FORGET]
ASKED = ("GET /account-info/details", 200)


@pytest.fixture(scope="module")
def their_sandbox():
    """The portal of somebody else."""
    config = PortalConfig(records=20, now=READ_AT, burst=100_000, portal_id=THEIRS)
    with serve(config) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def their_export(their_sandbox, tmp_path_factory):
    """A table of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = set_environment(patch, their_sandbox, tmp_path_factory.mktemp("theirs"))
        assert run(*OWNERS)[0] == 0
        return folder


@pytest.fixture
def theirs(their_export, reach, shared_sandbox):
    """Their export of two days, to which the environment leads with our token."""
    folder = reach(shared_sandbox)
    shutil.copytree(their_export, folder)
    shutil.copytree(folder / DAY, folder / "2026-11-21")
    return folder


def contents(root):
    """Digests of all files but those of the budgets, which are shared by what runs here."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and root / "work" not in path.parents
    }


def told(folder, *path):
    return json.loads((folder.joinpath(*path)).read_text())


def refused(setting, place):
    return (
        f"error: {setting}: found {place}, which is portal {THEIRS}'s, expected a place of portal "
        f"{OURS}; set another {setting}, or the token of {THEIRS}"
    )


def test_all_that_is_written_names_the_portal(theirs):
    assert told(theirs, "_portal.json") == {"portal_id": THEIRS, "format": 1}
    assert told(theirs, "_state", "_portal.json") == {"portal_id": THEIRS, "format": 1}
    assert told(theirs, "_state", "catalog.json")["portal_id"] == THEIRS
    assert told(theirs, DAY, "OWNERS", "_manifest.json")["portal_id"] == THEIRS


def test_a_run_asks_for_the_portal_once(sandbox, reach):
    reach(sandbox)
    assert run("export", "--day", DAY, "--select", "OWNERS,TEAMS,OBJECTS_DEALS")[0] == 0
    # Before the discovery, in it, and when the first of the steps reads.
    assert sandbox.requests[ASKED] == 3


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_the_folder_of_another_portal(theirs, command):
    before = contents(theirs.parent)
    fails(2, refused("EXPORT_URL", theirs), *command)
    assert contents(theirs.parent) == before


def test_nothing_is_read_for_the_folder_of_another_portal(theirs, sandbox, reach):
    reach(sandbox)
    assert run(*OWNERS)[0] == 2
    assert dict(sandbox.requests) == {ASKED: 1}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_the_state_of_another_portal(
    theirs, shared_sandbox, reach, tmp_path, command
):
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "ours"), STATE_URL=str(theirs / "_state"))
    before = contents(tmp_path)
    fails(2, refused("STATE_URL", theirs / "_state"), *command)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", [OWNERS, ("discover",)], ids=" ".join)
def test_the_catalog_of_another_portal_is_not_replaced(
    theirs, shared_sandbox, reach, tmp_path, command
):
    catalog = theirs / "_state" / "catalog.json"
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "ours"), CATALOG_FILE=str(catalog))
    before = contents(tmp_path)
    fails(2, f"CATALOG_FILE: found {catalog}, which is portal {THEIRS}'s, expected that", *command)
    assert contents(tmp_path) == before


def test_a_purge_without_a_token_sees_that_export_and_state_are_one_portals(
    theirs, shared_sandbox, reach, tmp_path
):
    ours = tmp_path / "ours"
    reach(shared_sandbox, EXPORT_URL=str(ours))
    assert run("discover")[0] == 0
    reach(shared_sandbox, HUBSPOT_ACCESS_TOKEN="", STATE_URL=str(ours / "_state"))
    before = contents(tmp_path)
    fails(2, f"STATE_URL: found {ours / '_state'}, which is portal {OURS}'s", *PURGE)
    assert contents(tmp_path) == before
    reach(shared_sandbox, HUBSPOT_ACCESS_TOKEN="")
    assert run("purge", "--keep-days", "5")[0] == 0


def unmark(folder, *, catalog):
    """Takes from an export what names its portal, but perhaps for the catalog, as if an earlier
    version had written it."""
    for path in folder.rglob("*.json"):
        if path.name == "_portal.json":
            path.unlink()
        elif path.name == "_manifest.json":
            said = json.loads(path.read_text())
            del said["portal_id"]
            path.write_text(json.dumps(said))
        elif path.name == "catalog.json" and not catalog:
            path.unlink()


def test_an_export_of_an_earlier_version_is_known_by_its_catalog(theirs):
    unmark(theirs, catalog=True)
    before = contents(theirs)
    fails(2, refused("EXPORT_URL", theirs), *OWNERS)
    assert contents(theirs) == before


def test_an_export_without_its_marks_is_known_by_a_manifest(theirs):
    for path in (theirs / "_portal.json", theirs / "_state" / "_portal.json"):
        path.unlink()
    (theirs / "_state" / "catalog.json").unlink()
    before = contents(theirs)
    fails(2, refused("EXPORT_URL", theirs), *OWNERS)
    assert contents(theirs) == before


@pytest.mark.slow
def test_an_export_that_tells_of_no_portal_is_taken_and_that_is_said_once(
    reach, shared_sandbox, caplog
):
    caplog.set_level(logging.WARNING, "hubspot_assets")
    folder = reach(shared_sandbox)
    assert run(*OWNERS)[0] == 0
    assert not caplog.messages
    unmark(folder, catalog=False)
    for _ in range(2):
        status, output = run(*OWNERS)
        assert status == 0, output
    assert caplog.messages == [
        f"{place} tells of no portal, as earlier versions left it: from now on it is that of "
        f"portal {OURS}"
        for place in (folder, folder / "_state")
    ]
    assert told(folder, "_portal.json") == {"portal_id": OURS, "format": 1}
    assert told(folder, DAY, "OWNERS", "_manifest.json")["portal_id"] == OURS


def test_a_mark_that_names_nothing_is_one_line(reach, shared_sandbox):
    folder = reach(shared_sandbox)
    folder.mkdir()
    (folder / "_portal.json").write_text("{}")
    fails(1, f"{folder}/_portal.json names no portal; remove it", *OWNERS)


def ran(defs, job, **options):
    """Why a job of the code location failed: what each failed step says."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=False, **options
        )
    assert not result.success
    failures = result.filter_events(lambda event: event.is_step_failure)
    return {each.step_failure_data.user_failure_data.description for each in failures}


@pytest.mark.samples(2)
@pytest.mark.parametrize("job", [JOB, "discover", "check", "purge_export", "forget"])
def test_every_job_refuses_the_folder_of_another_portal(theirs, monkeypatch, job):
    monkeypatch.setenv("EXPORT_KEEP_DAYS", "1")
    defs = build_defs(standard_catalog(), load_settings())
    before = contents(theirs.parent)
    options = {"partition_key": DAY} if job == JOB else {}
    assert ran(defs, job, **options) == {refused("EXPORT_URL", theirs).removeprefix("error: ")}
    assert contents(theirs.parent) == before


def test_assets_of_one_portal_are_not_read_with_the_token_of_another(theirs):
    defs = build_defs(CatalogPlace(open_store(theirs / "_state")).load(), load_settings())
    before = contents(theirs.parent)
    (why,) = ran(defs, JOB, partition_key=DAY)
    assert why.startswith(
        f"HUBSPOT_ACCESS_TOKEN: found the token of portal {OURS}, expected one of portal {THEIRS}"
    )
    assert contents(theirs.parent) == before


def test_tables_of_one_portal_are_not_written_into_the_folder_of_another(
    theirs, reach, shared_sandbox, tmp_path
):
    """Made of what is staged, without a word with HubSpot."""
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "ours"))
    assert run(*OWNERS)[0] == 0
    catalog = place().load()
    table = [dg.AssetKey("OWNERS")]
    reach(shared_sandbox, STATE_URL=str(tmp_path / "ours" / "_state"))
    before = contents(tmp_path)
    defs = build_defs(catalog, load_settings())
    why = ran(defs, JOB, partition_key=DAY, asset_selection=table)
    assert why == {refused("EXPORT_URL", theirs).removeprefix("error: ")}
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "new"), STATE_URL=str(theirs / "_state"))
    defs = build_defs(catalog, load_settings())
    why = ran(defs, JOB, partition_key=DAY, asset_selection=table)
    assert why == {refused("STATE_URL", theirs / "_state").removeprefix("error: ")}
    assert contents(tmp_path) == before
