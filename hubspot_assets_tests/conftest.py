"""A sandbox portal, and an environment that reaches it and nothing else."""

import os
import tempfile
from datetime import UTC, datetime

import pytest

from hubspot_assets.sandbox import PortalConfig, serve

DAY = "2026-11-22"
READ_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
OURS = (
    "HUBSPOT_",
    "EXPORT_",
    "AWS_",
    "S3_",
    "DAGSTER_HOME",
    "OBJECT_TYPES",
    "EXCLUDE_",
    "STATE_",
    "CATALOG_",
)


@pytest.fixture(scope="session")
def shared_sandbox():
    """A portal that no test changes."""
    with serve(PortalConfig(records=120, now=READ_AT, burst=100_000)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox():
    """A portal of the test's own, for faults and counts of requests."""
    with serve(PortalConfig(records=120, now=READ_AT, burst=100_000)) as own:
        yield own


@pytest.fixture
def reach(monkeypatch, tmp_path):
    """Sets an environment that reaches a sandbox, and exports to a folder, which it gives."""

    def set_up(sandbox, **more):
        for name in os.environ:
            if name.startswith(OURS):
                monkeypatch.delenv(name)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        monkeypatch.chdir(work)
        monkeypatch.setattr(tempfile, "tempdir", str(work))
        settings = {
            "HUBSPOT_BASE_URL": sandbox.url,
            "HUBSPOT_ACCESS_TOKEN": sandbox.token,
            "EXPORT_URL": str(tmp_path / "export"),
            "OBJECT_TYPES": "deals,companies",
        }
        for name, value in (settings | more).items():
            monkeypatch.setenv(name, value)
        return tmp_path / "export"

    return set_up


@pytest.fixture
def impatient(monkeypatch):
    """Retries follow each other at once."""
    monkeypatch.setattr("hubspot_assets.hubspot.client.BACKOFF", 0.0)
