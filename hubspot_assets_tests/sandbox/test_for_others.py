"""The sandbox as another project uses it: a command, a fixture, and none of what exports."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hubspot_assets.sandbox.__main__ import main
from hubspot_assets_tests.conftest import OURS

#: What an export needs and the sandbox does not.
FOREIGN = (
    "boto3",
    "dagster",
    "dagster_aws",
    "httpx",
    "isal",
    "msgspec",
    "polars",
    "pydantic",
    "pydantic_settings",
    "rich",
)
HIDDEN = f"import sys; sys.modules.update(dict.fromkeys({FOREIGN}))"


def python(*code: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join((HIDDEN, *code))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
    )


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    command = "--port 0 --records 30 --plan pro --now 2026-11-23 --odd-lists --no-conversion-ids"
    process = python(
        "import runpy",
        f"sys.argv[1:] = {command.split()}",
        "runpy.run_module('hubspot_assets.sandbox', run_name='__main__')",
    )
    assert process.stdout is not None
    yield dict(process.stdout.readline().rstrip().split("=", 1) for _ in range(2))
    process.terminate()
    process.wait(10)


def test_a_command_without_dagster(served: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {served['HUBSPOT_ACCESS_TOKEN']}"}
    with httpx.Client(base_url=served["HUBSPOT_BASE_URL"], headers=headers) as http:
        assert http.get("/_sandbox/clock").json() == {"now": "2026-11-23T00:00:00.000Z"}
        assert http.get("/crm/objects/2026-09/contacts").json()["results"]
        assert http.get("/events/event-occurrences/2026-09").status_code == 403
        lists = http.post("/crm/v3/lists/search", json={"count": 500}).json()["lists"]
        assert "ADHOC" in {each["processingType"] for each in lists}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "gold"], "plan is 'gold'"),
        (["--records", "many"], "--records"),
        (["--colour", "red"], "--colour"),
        (["--host", "256.0.0.1"], "256.0.0.1:8070"),
    ],
)
def test_options_that_are_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_fixture_without_dagster(tmp_path, monkeypatch) -> None:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "test_theirs.py").write_text(
        textwrap.dedent("""
        import json, sys, urllib.request
        import pytest

        @pytest.mark.hubspot_sandbox(records=7, portal_id=99)
        def test_theirs(hubspot_sandbox):
            assert sys.modules["dagster"] is None
            headers = {"Authorization": f"Bearer {hubspot_sandbox.token}"}
            url = f"{hubspot_sandbox.url}/account-info/2026-09/details"
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                assert json.load(answer)["portalId"] == 99
            assert hubspot_sandbox.portal.config.records == 7
            hubspot_sandbox.faults.add("status", status=502, share=0.1)

        def test_a_portal_of_the_usual_size(hubspot_sandbox):
            assert hubspot_sandbox.portal.config.records == 100
            assert not hubspot_sandbox.faults.pending()
        """)
    )
    process = python(
        "import pytest",
        "sys.exit(pytest.main(['-q', '--strict-markers', '-p', "
        "'hubspot_assets.sandbox.pytest_plugin', '-p', 'no:cacheprovider', '.']))",
        cwd=tmp_path,
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "2 passed" in output
