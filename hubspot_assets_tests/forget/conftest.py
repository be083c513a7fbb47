"""What the tests of forgetting share: two delivered days, once, and copies of them."""

import shutil

import pytest

from hubspot_assets_tests.conftest import READ_AT, set_environment
from hubspot_assets_tests.forget.delivered import OWNER, TYPES, two_days
from hubspot_assets_tests.test_commands import run


@pytest.fixture(scope="session")
def delivered(tmp_path_factory):
    """A portal, what was delivered of it, and who is to be forgotten; no test changes the files."""
    with two_days(tmp_path_factory.mktemp("delivered")) as found:
        yield found


@pytest.fixture(scope="session")
def people(delivered):
    return delivered[2]


@pytest.fixture(scope="session")
def asked(people):
    """The ids that are asked for, as they are typed."""
    return [str(each) for each in people.asked]


@pytest.fixture
def export(delivered, tmp_path, monkeypatch):
    """A copy of what was delivered, to be reached by commands."""
    sandbox, folder, _ = delivered
    shutil.copytree(folder, tmp_path / "export")
    sandbox.portal.clock.set(READ_AT)
    return set_environment(monkeypatch, sandbox, tmp_path, **TYPES)


@pytest.fixture(scope="session")
def undisturbed(delivered, asked, tmp_path_factory):
    """What a forgetting leaves that nobody breaks off, and what it says."""
    return left_by(delivered, tmp_path_factory.mktemp("undisturbed"), *asked)


@pytest.fixture(scope="session")
def redacted(delivered, asked, tmp_path_factory):
    """The same with what refers to them, and to an owner."""
    words = (*asked, "--email", OWNER, "--redact-references")
    return left_by(delivered, tmp_path_factory.mktemp("redacted"), *words)


def left_by(delivered, root, *words):
    sandbox, folder, _ = delivered
    shutil.copytree(folder, root / "export")
    sandbox.portal.clock.set(READ_AT)
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, sandbox, root, **TYPES)
        status, output = run("forget", "contacts", *words)
    assert status == 0, output
    return root / "export", output
