"""The file of several portals: what it says, and what is said of a wrong one."""

import json
import os

import pytest
from click.testing import CliRunner

from hubspot_assets.cli import main
from hubspot_assets.settings import Settings, SettingsError, load_settings

ACME = "[acme]\nEXPORT_URL = 's3://bucket/acme'\n"
GLOBEX = "[globex]\nEXPORT_URL = 's3://bucket/globex'\n"


@pytest.fixture
def portals(monkeypatch, tmp_path):
    """Writes a file, and sets an environment that leads to it and has these variables besides."""
    for name in os.environ:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTALS_FILE", "portals.toml")

    def write(text, **environment):
        (tmp_path / "portals.toml").write_text(text)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return write


def of(name):
    return load_settings(name)


def refused(name=None):
    with pytest.raises(SettingsError) as error:
        load_settings(name)
    return str(error.value)


def test_a_portals_settings_go_before_those_of_all(portals):
    portals(
        ACME + "EXPORT_TIMEZONE = 'Europe/Warsaw'\nHUBSPOT_WORKERS = 3\nEXPORT_START = 2026-01-31\n"
        "OBJECT_TYPES = ['contacts', 'deals']\n" + GLOBEX,
        EXPORT_TIMEZONE="Europe/Paris",
        HUBSPOT_WORKERS="5",
        EVENT_TYPES="visited_page",
    )
    acme, globex = of("acme"), of("globex")
    assert (acme.export_timezone, globex.export_timezone) == ("Europe/Warsaw", "Europe/Paris")
    assert (acme.hubspot_workers, globex.hubspot_workers) == (3, 5)
    assert acme.export_start.isoformat() == "2026-01-31"
    assert acme.object_types == ("contacts", "deals")
    assert acme.event_types == globex.event_types == ("visited_page",)
    assert acme.state == "s3://bucket/acme/_state"


def test_what_is_a_portals_own_is_never_that_of_all(portals):
    portals(
        ACME,
        HUBSPOT_ACCESS_TOKEN="pat-of-somebody",
        EXPORT_URL="s3://bucket/of-somebody",
        STATE_URL="s3://bucket/state",
        CATALOG_FILE="/a/catalog.json",
        GLUE_DATABASE="theirs",
    )
    acme = of("acme")
    assert acme.hubspot_access_token is None
    assert acme.export_url == "s3://bucket/acme"
    assert (acme.state_url, acme.catalog_file, acme.glue_database) == (None, None, None)


@pytest.mark.parametrize("in_file", [False, True], ids=["environment", ".env"])
def test_a_secret_is_found_by_its_name(portals, tmp_path, in_file):
    text = ACME + 'HUBSPOT_ACCESS_TOKEN = { env = "HUBSPOT_ACCESS_TOKEN_ACME" }\n'
    if in_file:
        portals(text)
        (tmp_path / ".env").write_text("HUBSPOT_ACCESS_TOKEN_ACME=pat-of-acme\n")
    else:
        portals(text, HUBSPOT_ACCESS_TOKEN_ACME="pat-of-acme")
    assert of("acme").hubspot_access_token.get_secret_value() == "pat-of-acme"
    assert "pat-of-acme" not in repr(of("acme"))


def test_which_portal_is_said_by_an_option_or_the_environment(portals):
    portals(ACME + GLOBEX, PORTAL_NAME="globex")
    assert load_settings().export_url == "s3://bucket/globex"
    told = CliRunner().invoke(main, ["--portal", "acme", "iam", "policy"])
    assert "arn:aws:s3:::bucket/acme/*" in json.dumps(json.loads(told.output))


def test_without_a_file_nothing_is_new(portals, monkeypatch):
    monkeypatch.delenv("PORTALS_FILE")
    assert load_settings() == Settings()
    assert refused("acme") == "PORTALS_FILE: found nothing, expected a file that has acme"
    told = CliRunner().invoke(main, ["portals"])
    assert told.exit_code == 2
    assert told.output == (
        "error: PORTALS_FILE: found nothing, expected a TOML file with a table per portal\n"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[acme\n", "portals.toml: expected TOML, but: "),
        (
            ACME + ACME,
            "portals.toml: expected TOML, but: Cannot declare ('acme',) twice (at line 3",
        ),
        (
            ACME + "[ACME]\n",
            "portals.toml: found acme and ACME, expected names that differ in more than case",
        ),
        ("", "portals.toml: found no portal, expected [name] with settings below it"),
        ("EXPORT_URL = 'x'\n", "portals.toml: found EXPORT_URL of no portal, expected [name] abo"),
        ("['a b']\n", "portals.toml: found the portal 'a b', expected a letter and up to 62 lett"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_one_line(portals, text, line):
    portals(text)
    assert refused("acme").startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "EXPORT_TIMEZON = 'UTC'",
            "EXPORT_TIMEZON is no setting; expected EXPORT_TIMEZONE or anot",
        ),
        ("export_url = 'x'", "export_url is no setting; expected EXPORT_URL or another that"),
        ("PORTAL_NAME = 'x'", "PORTAL_NAME is no setting; expected "),
        ("EXPORT_TIMEZONE = 'Mars'", "EXPORT_TIMEZONE: found 'Mars', expected a time zone, as Eur"),
        ("EXPORT_AT = '25:00'", "EXPORT_AT: found '25:00', expected a time of the day, 00:30 or"),
        ("HUBSPOT_WORKERS = 0", "HUBSPOT_WORKERS: found '0', expected requests in flight, 1 to 64"),
        ("OBJECT_TYPES = [1]", "OBJECT_TYPES: found something else, expected text, a number, a l"),
        ("SWEEP_DAYS = true", "SWEEP_DAYS: found something else, expected text, a number, a list"),
        ("STATE_URL = { name = 'X' }", "STATE_URL: found something else, expected text, a numbe"),
        ("STATE_URL = { env = 'X' }", "STATE_URL: found no X in the environment or .env"),
        ("HUBSPOT_ACCESS_TOKEN = 'a 5ec2e7'", "HUBSPOT_ACCESS_TOKEN: found blanks or characters"),
        ("HUBSPOT_CLIENT_ID = 'x'", "HUBSPOT_CLIENT_SECRET, HUBSPOT_REFRESH_TOKEN: found nothing"),
    ],
)
def test_what_is_wrong_with_one_portal_is_one_line_and_stops_no_other(portals, text, line):
    portals(f"{ACME}{text}\n{GLOBEX}")
    told = refused("acme")
    assert told.startswith(f"portals.toml, acme: {line}")
    assert "5ec2e7" not in told
    assert of("globex").export_url == "s3://bucket/globex"


INITECH = "[initech]\nEXPORT_URL = 's3://other/initech'\n"
A_TOKEN = "HUBSPOT_ACCESS_TOKEN = { env = 'A_TOKEN' }\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "setting"),
    [
        ("EXPORT_URL = 's3://bucket/x'\n", "EXPORT_URL = 's3://bucket/x/'\n", "EXPORT_URL"),
        ("EXPORT_URL = 's3://bucket/x/y'\n", "EXPORT_URL = 's3://bucket/x'\n", "EXPORT_URL"),
        ("EXPORT_URL = 's3://bucket'\n", "EXPORT_URL = 's3://bucket/x'\n", "EXPORT_URL"),
        ("EXPORT_URL = 'out'\n", "EXPORT_URL = './out'\n", "EXPORT_URL"),
        (
            "EXPORT_URL = 's3://b/x'\nSTATE_URL = 's3://b/z'\n",
            "EXPORT_URL = 's3://b/y'\nSTATE_URL = 's3://b/z'\n",
            "STATE_URL",
        ),
        (
            "EXPORT_URL = 's3://b/x'\nSTATE_URL = 's3://b/y/z'\n",
            "EXPORT_URL = 's3://b/y'\n",
            "STATE_URL",
        ),
        (f"EXPORT_URL = 'x'\n{A_TOKEN}", f"EXPORT_URL = 'y'\n{A_TOKEN}", "HUBSPOT_ACCESS_TOKEN"),
        (
            "EXPORT_URL = 'x'\nCATALOG_FILE = 'c.json'\n",
            "EXPORT_URL = 'y'\nCATALOG_FILE = 'c.json'\n",
            "CATALOG_FILE",
        ),
        (
            "EXPORT_URL = 's3://b/x'\nGLUE_DATABASE = 'hubspot'\n",
            "EXPORT_URL = 's3://b/y'\nGLUE_DATABASE = 'hubspot'\n",
            "GLUE_DATABASE",
        ),
    ],
)
def test_what_two_portals_have_in_common_is_told_of_both(portals, ours, theirs, setting):
    portals(
        f"[acme]\n{ours}[globex]\n{theirs}{INITECH}",
        A_TOKEN="pat-5ec2e7",
    )
    assert refused("acme") == (
        f"portals.toml, acme: {setting}: found that of globex, or a place in it; expected one of "
        "its own"
    )
    assert refused("globex").startswith("portals.toml, globex: ")
    assert of("initech").export_url == "s3://other/initech"


def test_places_that_only_begin_alike_are_apart(portals):
    portals(ACME + ACME.replace("acme", "acme-2"))
    assert of("acme").export_url == "s3://bucket/acme"
    assert of("acme-2").export_url == "s3://bucket/acme-2"


def test_a_portal_that_is_not_there_is_told_with_those_that_are(portals):
    portals(ACME + GLOBEX)
    assert refused("initech") == (
        "PORTAL_NAME: found 'initech', expected one that portals.toml has: acme, globex"
    )
    assert refused() == (
        "PORTAL_NAME: found nothing, nor --portal; expected one that portals.toml has: acme, globex"
    )


def test_all_begin_on_one_day(portals):
    portals(ACME + GLOBEX, EXPORT_AT="23:00")
    assert (of("acme").export_at, of("globex").export_at) == ("23:00", "23:59")


def test_a_portal_has_a_place_of_its_own(portals):
    portals("[acme]\n" + GLOBEX, EXPORT_URL="s3://bucket/all")
    assert refused("acme") == (
        "portals.toml, acme: EXPORT_URL: found nothing, expected a place of its own"
    )


@pytest.mark.parametrize("path", ["nowhere.toml", ".", "x" * 300])
def test_a_file_that_is_not_there_is_one_line(portals, monkeypatch, path):
    monkeypatch.setenv("PORTALS_FILE", path)
    assert (
        refused() == f"PORTALS_FILE: found {path!r}, expected a TOML file with a table per portal"
    )
