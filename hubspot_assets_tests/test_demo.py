"""Demo and dev in a checkout that exports a real portal: they leave it alone."""

import hashlib
import os
import re
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster._core.secrets.env_file import get_env_var_dict

from hubspot_assets import cli, dev
from hubspot_assets.settings import Settings, load_settings
from hubspot_assets_tests.test_commands import fails, run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(reach, sandbox, tmp_path, monkeypatch):
    """A folder with the settings of a real portal, in `.env` and around, and what they led to."""
    folder = tmp_path / "checkout"
    reach(sandbox, EXPORT_URL="./export", STATE_URL="./state", DAGSTER_HOME=str(folder / "home"))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    of_the_portal = {
        ".env": f"HUBSPOT_BASE_URL={sandbox.url}\nHUBSPOT_ACCESS_TOKEN={sandbox.token}\n"
        "EXPORT_URL=./export\nSTATE_URL=./state\nCATALOG_FILE=catalog.json\nEXPORT_KEEP_DAYS=3\n",
        "catalog.json": "{}",
        f"export/{yesterday}/OWNERS/part-00000.csv.gz": "a part",
        f"export/{yesterday}/OWNERS/_manifest.json": "of the table",
        f"export/{yesterday}/_manifest.json": "of the day",
        "state/catalog.json": "{}",
        f"state/staged/{yesterday}/owners/_complete.json": "{}",
        "home/dagster.yaml": "telemetry: {enabled: false}\n",
    }
    for name, text in of_the_portal.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in ("workspace.yaml", "dagster.yaml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(folder)
    return folder


def files(folder):
    """Digests of all files that are not below ./demo, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and folder / "demo" not in path.parents
    }


def test_a_demo_takes_no_setting_and_leaves_a_real_export_alone(checkout, sandbox, monkeypatch):
    before, environment = files(checkout), dict(os.environ)
    export = cli._export
    monkeypatch.setattr(cli, "_export", lambda day, _: export(day, ["OWNERS"]))
    status, output = run("demo", "--records", "10")
    assert status == 0, output
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    delivered = checkout / "demo" / "export" / str(yesterday)
    assert re.search(rf"^{yesterday} is delivered in \d+ s: {delivered}/$", output, re.MULTILINE)
    assert (delivered / "OWNERS" / "_manifest.json").exists()
    assert files(checkout) == before
    assert (dict(os.environ), Path.cwd()) == (environment, checkout)
    assert not sandbox.requests


def test_dev_takes_no_setting_and_leaves_a_real_export_alone(checkout, sandbox, monkeypatch):
    """Dagster reads a `.env` of its own accord, in the folder where it is started."""
    before, started = files(checkout), []

    @contextmanager
    def served(*_):
        yield {"HUBSPOT_BASE_URL": sandbox.url, "HUBSPOT_ACCESS_TOKEN": sandbox.token}

    def start(command, **given):
        assert not given.keys() & {"cwd", "env"}  # those of this process, then
        started.append((command[1:4], get_env_var_dict(str(Path.cwd())), load_settings()))
        assert os.environ["DAGSTER_HOME"] == str(checkout / "demo" / "dagster")

    monkeypatch.setattr(dev, "sandbox_process", served)
    monkeypatch.setattr(subprocess, "run", start)
    assert get_env_var_dict(str(Path.cwd()))
    dev.main()
    ((command, loaded_by_dagster, settings),) = started
    assert command == ["dev", "-w", str(checkout / "workspace.yaml")]
    assert loaded_by_dagster == {}
    own = {"hubspot_base_url": sandbox.url, "export_url": str(checkout / "demo" / "export")}
    defaults = {name: each.default for name, each in Settings.model_fields.items()}
    found = settings.model_dump(exclude={"hubspot_access_token", "hubspot_api_versions"})
    assert found == {name: (defaults | own)[name] for name in found}
    assert (checkout / "demo" / "export" / "_state" / "catalog.json").exists()
    assert (checkout / "demo" / "dagster" / "dagster.yaml").exists()
    assert files(checkout) == before


def test_a_demo_with_settings_of_its_own_is_refused(checkout):
    (checkout / "demo").mkdir()
    (checkout / "demo" / ".env").write_text("EXPORT_URL=../export\n")
    fails(1, "the sandbox is read without settings; remove it", "demo")
