"""The paper that says what many portals take."""

import importlib.util
import subprocess
import sys

import pytest

from hubspot_assets_tests.pages import ROOT, blocks

SCRIPT = ROOT / "docs" / "simulate.py"


def printed(*options):
    """What it prints."""
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def simulate():
    spec = importlib.util.spec_from_file_location("simulate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_the_script_prints():
    shown = [block.text for block in blocks(ROOT / "docs" / "machines.md") if "," in block.text]
    assert printed() in shown


def test_what_was_measured_is_what_is_told_of_such_a_portal(simulate):
    assert simulate.night_of(simulate.SECOND.records) == simulate.SECOND


def test_a_sweep_is_a_request_for_a_hundred_records(simulate):
    one, other = simulate.night_of(100_000), simulate.night_of(200_000)
    assert 1_000 < other.general - one.general < 1_100


def test_what_is_asked_about_is_an_option():
    assert "7 portals of 5,000 records" in printed("--portals", "7", "--records", "5000")
    twice, once = (
        float(printed("--dear-price", price, "--cheap-price", "0").split()[-4])
        for price in ("0.010", "0.005")
    )
    assert twice == pytest.approx(2 * once, abs=1)
