"""The commands as a person types them, and what they say when something is wrong."""

import contextlib
import hashlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import polars as pl
import pytest
from click.testing import CliRunner

from hubspot_assets.assets.resources import connect
from hubspot_assets.cli import main
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY

SCRIPT = Path(sys.executable).with_name("hubspot-assets")
A_ROLE = "arn:aws:iam::123456789012:role/exporter"
CONTACTS = "GET /crm/objects/{objectType}"


def run(*arguments):
    """A command in this process: its exit status and what it printed."""
    result = CliRunner().invoke(main, list(arguments))
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def fails(status, text, *arguments):
    """A command that must fail with one line that holds `text`."""
    found, output = run(*arguments)
    errors = [line for line in output.splitlines() if line.startswith("error:")]
    assert found == status, output
    assert len(errors) == 1, output
    assert text in errors[0]


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_state" not in path.parts
    }


def manifest(folder, table, day=DAY):
    return json.loads((folder / day / table / "_manifest.json").read_text())


def test_the_sandbox_serves_and_the_export_delivers(reach, tmp_path):
    with contextlib.ExitStack() as stack:
        options = ["--port", "0", "--records", "60", "--seed", "7", "--burst", "100000"]
        served = stack.enter_context(
            subprocess.Popen([SCRIPT, "sandbox", *options], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(served.terminate)
        told = dict(served.stdout.readline().strip().split("=", 1) for _ in range(2))
        planned = httpx.get(f"{told['HUBSPOT_BASE_URL']}/_sandbox/plan?day={DAY}").json()["live"]
        environment = {
            "PATH": "",
            **told,
            "EXPORT_URL": str(tmp_path / "out"),
            "OBJECT_TYPES": "contacts",
            "EVENT_TYPES": "visited_page",
        }
        done = subprocess.run(
            [SCRIPT, "export", "--day", DAY],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    row = re.search(r"^ *(\d+) rows .* OBJECTS_CONTACTS\b", done.stdout, re.MULTILINE)
    assert row
    assert f": {tmp_path / 'out' / DAY}/" in done.stdout.splitlines()[-1]
    assert f"\nOBJECTS_CONTACTS: {row[1]} rows\n" in done.stdout
    # The sandbox lives in real time: records of that day may have ended since.
    assert 0 < int(row[1]) <= planned["0-1"]


def test_a_selected_table_reads_what_it_needs_and_no_more(sandbox, reach):
    folder = reach(sandbox)
    status, output = run("export", "--day", DAY, "--select", "objects_deals")
    assert status == 0, output
    assert [path.name for path in (folder / DAY).iterdir()] == ["OBJECTS_DEALS"]
    asked = {request for request, _ in sandbox.requests}
    assert asked == {
        "GET /account-info/details",
        "GET /crm-object-schemas/schemas",
        "GET /crm-object-schemas/schemas/{objectType}",
        "GET /crm/object-library/enablement",
        "GET /events/event-occurrences/event-types",
        "GET /events/event-definitions",
        "GET /crm/properties/{objectType}",
        "GET /crm/pipelines/{objectType}",
        "GET /crm/limits/records",
        "GET /crm/objects/{objectType}",
        "POST /crm/objects/{objectType}/batch/read",
    }


@pytest.mark.parametrize(
    ("setting", "found", "text"),
    [
        ("HUBSPOT_ACCESS_TOKEN", "", "HUBSPOT_ACCESS_TOKEN: found nothing"),
        ("OBJECT_TYPES", "dragons,0-0", "OBJECT_TYPES: found dragons, 0-0, expected names"),
        ("EXPORT_URL", "gs://bucket", "EXPORT_URL: found 'gs://bucket', expected s3://"),
        ("EXPORT_TIMEZONE", "Mars", "EXPORT_TIMEZONE: found 'Mars', expected a time zone"),
        ("HUBSPOT_WORKERS", "many", "HUBSPOT_WORKERS: found 'many'"),
        ("HUBSPOT_API_VERSIONS", "owners", "HUBSPOT_API_VERSIONS: found 'owners'"),
        ("HUBSPOT_API_VERSIONS", "dragons=v3", "HUBSPOT_API_VERSIONS: there is no API 'dragons'"),
    ],
)
def test_a_wrong_setting_is_one_line(shared_sandbox, reach, setting, found, text):
    folder = reach(shared_sandbox, **{setting: found})
    fails(2, text, "export", "--day", DAY)
    assert not folder.exists() or not any(folder.glob("2*"))


@pytest.mark.parametrize(
    ("day", "text"),
    [
        ("someday", "day: found 'someday', expected a date"),
        ("2999-01-01", "has not ended in UTC"),
        ("2001-01-01", "(EXPORT_START) or later"),
    ],
)
def test_a_wrong_day_is_one_line(shared_sandbox, reach, day, text):
    reach(shared_sandbox)
    fails(2, text, "export", "--day", day)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", "Europe"])
def test_a_portal_in_an_unknown_time_zone_is_one_warning(sandbox, reach, monkeypatch, zone):
    monkeypatch.setattr(type(sandbox.portal.config), "utc_offset", lambda *_: timedelta())
    object.__setattr__(sandbox.portal.config, "time_zone", zone)
    reach(sandbox)
    status, output = run("discover")
    assert status == 0, output
    told = f"warning: the portal's time zone {zone!r} is not known here: install a newer tzdata"
    assert output.count(told) == 1
    assert connect(load_settings(), zone).time_zone is UTC


def test_a_day_of_a_portal_in_an_unknown_time_zone(sandbox, reach, monkeypatch):
    monkeypatch.setattr(type(sandbox.portal.config), "utc_offset", lambda *_: timedelta())
    object.__setattr__(sandbox.portal.config, "time_zone", "Mars/Olympus")
    reach(sandbox)
    sandbox.faults.add("rate_limited", policy="DAILY", path="owners")
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert status == 1
    assert output.count("warning: the portal's time zone 'Mars/Olympus' is not known here") == 1
    assert re.search(r"they resume at [-0-9]{10}T00:00\+00:00", output)


def test_an_unknown_table_is_one_line(shared_sandbox, reach):
    reach(shared_sandbox)
    fails(2, "tables, as OBJECTS", "export", "--select", "DRAGONS")
    fails(2, "select: found OBJECT_DEAL, expected any of", "export", "--select", "OBJECT_DEAL")
    fails(2, "OBJECTS_DEALS", "export", "--select", "OBJECT_DEAL")


def test_a_wrong_token_is_one_line(shared_sandbox, reach):
    reach(shared_sandbox, HUBSPOT_ACCESS_TOKEN=shared_sandbox.token[:-1] + "0")
    fails(1, "does not accept the access token", "export", "--day", DAY)


def test_an_unreachable_host_is_one_line(shared_sandbox, reach):
    reach(shared_sandbox, HUBSPOT_BASE_URL="http://127.0.0.1:9")
    fails(1, "cannot connect to 127.0.0.1:9", "export", "--day", DAY)


def test_a_folder_that_can_not_be_written_is_one_line(shared_sandbox, reach, tmp_path):
    (tmp_path / "file").touch()
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "file" / "export"))
    fails(1, "a file stands where a folder is needed", "export", "--day", DAY)


def test_a_missing_scope_costs_its_tables_alone(reach):
    from hubspot_assets.sandbox import PortalConfig, serve
    from hubspot_assets_tests.conftest import READ_AT

    lacking = frozenset({"crm.objects.deals.read", "crm.schemas.deals.read"})
    config = PortalConfig(records=60, now=READ_AT, burst=100_000, without_scopes=lacking)
    with serve(config) as sandbox:
        folder = reach(sandbox, OBJECT_TYPES="deals,companies,tickets")
        status, output = run("export", "--day", DAY)
    assert status == 0, output
    pipelines = manifest(folder, "PIPELINES")
    assert pipelines["rows"] > 0
    assert any("crm.schemas.deals.read" in each for each in pipelines["warnings"])
    deals = manifest(folder, "OBJECTS_DEALS")
    assert deals["rows"] == 0
    assert deals["availability"]["status"] == "missing_scope"
    assert "crm.objects.deals.read" in deals["availability"]["detail"]
    objects = manifest(folder, "OBJECTS")
    others = ("OBJECTS_COMPANIES", "OBJECTS_TICKETS")
    assert objects["rows"] == sum(manifest(folder, each)["rows"] for each in others) > 0
    assert objects["sources"]["deals"]["availability"]["status"] == "missing_scope"
    assert (folder / DAY / "_manifest.json").exists()


@pytest.mark.slow
def test_what_an_earlier_attempt_left_is_replaced(shared_sandbox, reach):
    folder = reach(shared_sandbox)
    stale = folder / DAY / "OBJECTS" / "deals" / "part-00007.csv.gz"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half a part")
    readings = folder / "_state" / "readings" / "objects" / "0-3"
    checkpoint = readings / "20261123T013000000000Z-a1b2c3" / "_checkpoint.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(
        '{"folder": "x", "plan": "another", "after": "7", "chunks_staged": 1, "counts": {}}'
    )
    status, output = run("export", "--day", DAY)
    assert status == 0, output
    assert not stale.exists()
    assert not checkpoint.exists()
    live = sum(
        1 for _ in shared_sandbox.portal.live_ids("0-3", shared_sandbox.portal.clock.datetime())
    )
    assert manifest(folder, "OBJECTS_DEALS")["rows"] == live


def test_a_day_whose_calls_are_used_up_is_asked_for_once_by_all_that_comes(sandbox, reach):
    reach(sandbox)
    assert run("discover")[0] == 0
    sandbox.app.requests.clear()
    sandbox.faults.add("rate_limited", times=1000, path="/crm/owners/", policy="DAILY")
    for _ in range(2):
        fails(
            1, "the account's calls of the day are used up; they resume at", "export", "--day", DAY
        )
    limited = [request for request, status in sandbox.app.requests if status == 429]
    assert sum(sandbox.app.requests[request, 429] for request in limited) == 1


def test_an_oauth_apps_token_is_fetched_once_for_all_commands(sandbox, reach):
    config = sandbox.portal.config
    folder = reach(
        sandbox,
        HUBSPOT_ACCESS_TOKEN="",
        HUBSPOT_CLIENT_ID=config.client_id,
        HUBSPOT_CLIENT_SECRET=config.client_secret,
        HUBSPOT_REFRESH_TOKEN=config.refresh_token,
    )
    assert run("discover")[0] == 0
    assert run("export", "--day", DAY, "--select", "OWNERS")[0] == 0
    assert manifest(folder, "OWNERS")["rows"] > 0
    fetched = [n for (request, _), n in sandbox.app.requests.items() if "/oauth/" in request]
    assert fetched == [1]


@pytest.mark.slow
def test_a_fault_that_stays_stops_its_tables_alone_and_can_be_made_good(sandbox, reach):
    folder = reach(sandbox)
    assert run("export", "--day", "2026-11-21", "--select", "OBJECTS_COMPANIES,OWNERS")[0] == 0
    before = digests(folder)
    sandbox.faults.add("bad_gateway", times=1000, path="/crm/objects/.*/0-3")
    status, output = run("export", "--day", DAY)
    assert status == 1
    assert re.search(
        r"^error: .*hubspot/deals.*: GET .*gave up after \d attempts", output, re.MULTILINE
    ), output
    assert manifest(folder, "OBJECTS_COMPANIES")["rows"] > 0
    assert not (folder / DAY / "OBJECTS_DEALS").exists()
    assert not (folder / DAY / "OBJECTS" / "_manifest.json").exists()
    assert not (folder / DAY / "_manifest.json").exists()
    sandbox.faults.clear()
    assert run("export", "--day", DAY)[0] == 0
    assert (folder / DAY / "_manifest.json").exists()
    assert before.items() <= digests(folder).items()


@pytest.mark.slow
def test_a_full_disk_leaves_what_is_complete_as_it_was(shared_sandbox, reach, monkeypatch):
    folder = reach(shared_sandbox)
    assert run("export", "--day", "2026-11-21", "--select", "OBJECTS_DEALS,OWNERS")[0] == 0
    assert run("export", "--day", DAY, "--select", "OWNERS")[0] == 0
    before = digests(folder)
    whole = Path.write_bytes

    def full(self, data):
        if "OBJECTS_DEALS" in self.parts:
            whole(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, output = run("export", "--day", DAY, "--select", "OBJECTS_DEALS")
    assert status == 1
    assert re.search(r"^error: OBJECTS_DEALS: .*space", output, re.MULTILINE), output
    assert digests(folder) == before


def test_discover_keeps_the_catalog(shared_sandbox, reach):
    folder = reach(shared_sandbox)
    status, output = run("discover")
    assert status == 0
    custom = [
        each for each in shared_sandbox.portal.object_types() if each.object_type_id[0] == "2"
    ]
    assert f"{len(custom)} of them custom" in output
    kept = json.loads((folder / "_state" / "catalog.json").read_text())
    assert {each["id"] for each in kept["object_types"]} > {each.object_type_id for each in custom}


def test_no_secret_is_shown(shared_sandbox, reach, monkeypatch):
    from hubspot_assets.settings import load_settings

    reach(shared_sandbox, HUBSPOT_CLIENT_ID="id", HUBSPOT_CLIENT_SECRET="s3cr3t-value")
    monkeypatch.setenv("HUBSPOT_REFRESH_TOKEN", "r3fr3sh-value")
    settings = load_settings()
    shown = repr(settings) + str(settings)
    for secret in (shared_sandbox.token, "s3cr3t-value", "r3fr3sh-value"):
        assert secret not in shown


@pytest.mark.parametrize("start", ["2999-01-01", str(datetime.now(UTC).date())])
def test_an_export_that_has_not_begun_is_one_line(shared_sandbox, reach, start):
    reach(shared_sandbox, EXPORT_START=start)
    fails(2, f"EXPORT_START: found {start}, expected a day that has ended in UTC: ", "export")


@pytest.mark.parametrize("home", ["nowhere", "/nowhere", "/dev/null"])
def test_a_home_of_dagster_that_is_none_is_one_line(shared_sandbox, reach, home):
    reach(shared_sandbox, DAGSTER_HOME=home)
    text = f"DAGSTER_HOME: found {home!r}, expected the absolute path of a folder"
    fails(2, text, "export", "--select", "OWNERS")


def test_a_home_of_dagster_that_cannot_be_written_is_one_line(shared_sandbox, reach):
    reach(shared_sandbox, DAGSTER_HOME="/sys")
    text = "DAGSTER_HOME: found '/sys', expected a folder that may be written"
    fails(2, text, "export", "--select", "OWNERS")


@pytest.mark.slow
def test_a_home_of_dagster_that_is_only_read_will_do(shared_sandbox, reach, tmp_path):
    """Where Dagster's data is elsewhere, as it is in a container."""
    home = tmp_path / "home"
    (home / ".hubspot-assets.lock").mkdir(parents=True)  # so that none can be had, even by root
    (home / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: '{tmp_path}/data'}}}}")
    reach(shared_sandbox, DAGSTER_HOME=str(home))
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert status == 0, output
    assert (tmp_path / "data" / "history" / "runs.db").is_file()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"AWS_PROFILE": "of-nobody"}, "The config profile (of-nobody) could not be found"),
        ({"AWS_PROFILE": "of-nobody", "EXPORT_ROLE_ARN": A_ROLE}, "profile (of-nobody) could not"),
        ({"AWS_ENDPOINT_URL": "no address"}, "Invalid endpoint: no address"),
        ({"AWS_DEFAULT_REGION": "a region"}, "region_name 'a region' doesn't match a supported"),
        ({"AWS_ACCESS_KEY_ID": "a-key"}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({"AWS_REQUEST_CHECKSUM_CALCULATION": "never"}, "Unsupported configuration value for"),
    ],
)
def test_wrong_settings_of_boto3_are_one_line_with_advice(shared_sandbox, reach, wrong, text):
    keys = {"AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": "a-secret"}
    some = {} if "AWS_ACCESS_KEY_ID" in wrong else keys
    reach(shared_sandbox, EXPORT_URL="s3://a-bucket/x", **some, **wrong)
    fails(1, text, "purge", "--keep-days", "1")
    fails(1, "boto3's own settings are wrong: ", "purge", "--keep-days", "1")
    status, output = run("check")
    assert status == 1
    assert re.search(f"  failed   .*: boto3's own settings are wrong: .*{re.escape(text)}", output)


def test_an_error_that_nobody_foresaw_names_the_asset_and_where(
    shared_sandbox, reach, monkeypatch, tmp_path
):
    """It never shows the values that polars tells of."""
    reach(shared_sandbox)

    def unforeseen(*_, **__):
        pl.DataFrame({"email": ["ann@example.com"]}).cast(pl.Int64)

    monkeypatch.setattr("hubspot_assets.export.io_manager.write_table", unforeseen)
    text = (
        r"error: OWNERS: unexpected InvalidOperationError at hubspot_assets/export/io_manager.py:"
        r"\d+; that is a bug: report it with the run's log"
    )
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert status == 1
    assert re.search(rf"^{text} \(set DAGSTER_HOME to keep one\)$", output, re.MULTILINE), output
    assert "ann@example.com" not in output
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert re.search(rf"^{text}$", output, re.MULTILINE), output


def test_what_a_machine_lacks_is_told_in_its_words(shared_sandbox, reach, monkeypatch):
    reach(shared_sandbox)

    def full(*_, **__):
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("hubspot_assets.export.io_manager.write_table", full)
    text = "OWNERS: this machine failed: OSError: [Errno 28] No space left on device: '/tmp/x'"
    fails(1, text, "export", "--day", DAY, "--select", "OWNERS")


def test_what_is_not_staged_is_named_by_its_asset(shared_sandbox, reach):
    reach(shared_sandbox, OBJECT_TYPES="payments,deals")
    defs = build_defs(standard_catalog(), load_settings())
    for table, asset in (
        ("OBJECTS_PAYMENTS", "hubspot/payments"),
        ("TEAMS", "hubspot/teams"),
        ("EVENTS_VISITED_PAGE", "hubspot/events/visited_page"),
    ):
        result = defs.resolve_job_def(JOB).execute_in_process(
            partition_key=DAY, asset_selection=[dg.AssetKey(table)], raise_on_error=False
        )
        (failure,) = result.filter_events(lambda event: event.is_step_failure)
        assert failure.step_failure_data.user_failure_data.description == (
            f"{asset} is not staged for {DAY}: materialize it for that day first"
        )


@pytest.mark.slow
def test_days_in_a_row_are_delivered_from_one_reading(sandbox, reach):
    folder = reach(sandbox, OBJECT_TYPES="deals", EVENT_TYPES="e_visited_page")
    status, output = run("export", "--from", "2026-11-20", "--to", DAY)
    assert status == 0, output
    days = ["2026-11-20", "2026-11-21", DAY]
    lines = re.findall(r"^(\S+) is delivered: .* ([\d,]+) requests: ", output, re.MULTILINE)
    assert [day for day, _ in lines] == days
    first, *others = [int(number.replace(",", "")) for _, number in lines]
    assert first > 20
    assert others == [2, 2]  # whose the portal is, and its events, asked for by their days
    assert f"3 days, {first + 4:,} requests, " in output
    for day in days:
        end = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(days=1)
        deals = set(sandbox.portal.live_ids("0-3", end))
        assert manifest(folder, "OBJECTS_DEALS", day)["rows"] == len(deals)
        assert (folder / day / "_manifest.json").exists()
    assert manifest(folder, "OWNERS", days[0])["point_in_time"] is False
    sandbox.requests.clear()
    once_more = ("--from", "2026-11-19", "--to", "2026-11-19", "--select", "OBJECTS_DEALS")
    assert run("export", *once_more)[0] == 0
    assert not [each for each in sandbox.requests if "batch/read" in each or "/objects/" in each]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--from", "2026-11-21", "--to", "2026-11-20"),
            "to: found 2026-11-20, expected 2026-11-21",
        ),
        (("--to", "2026-11-20"), "from: expected with --to alone"),
        (("--from", "2026-11-20", "--day", DAY), "from: expected with --to alone"),
        (("--from", "2026-11-20", "--read-again"), "from: expected with --to alone"),
        (("--from", "soon"), "day: found 'soon', expected a date"),
    ],
)
def test_a_range_that_is_none_is_refused(sandbox, reach, arguments, told):
    reach(sandbox)
    fails(2, told, "export", *arguments)
