"""What the documentation shows, run over the day and over an export of its own."""

import duckdb
import pytest
import time_machine

from hubspot_assets_tests.conftest import FEW_EVENTS, READ_AT, set_environment
from hubspot_assets_tests.pages import OURS, PAGES, blocks_to_run, commands, pages_with
from hubspot_assets_tests.test_commands import run

#: Its queries have a test of their own, which knows the answers.
COOKBOOK = "cookbook.md"


@pytest.mark.slow
def test_commands_do_what_they_say(shared_sandbox, tmp_path):
    blocks = [block for page in PAGES for block in blocks_to_run("sh", page)]
    done = set()
    with pytest.MonkeyPatch.context() as patch, time_machine.travel(READ_AT, tick=True):
        few = {"OBJECT_TYPES": "deals", "EVENT_TYPES": FEW_EVENTS}
        set_environment(patch, shared_sandbox, tmp_path, **few)
        for block in blocks:
            for program, *words in commands(block.text):
                assert program in OURS, f"{block}: {program} is not ours: say why it is not run"
                if (asked := tuple(words)) not in done:
                    done.add(asked)
                    _works(block, words)


def _works(block, words):
    """A command ends well, and says something."""
    words = words[: words.index(">")] if ">" in words else words
    status, output = run(*words)
    assert status == 0, f"{block}: {words}\n{output}"
    assert output.strip(), f"{block}: {words}"


@pytest.mark.parametrize(
    "page",
    [page for page in pages_with("sql") if page.name != COOKBOOK],
    ids=lambda page: page.stem,
)
def test_queries_find_something(page, exported, warehouse, monkeypatch):
    monkeypatch.chdir(exported.parent)
    asked = warehouse.cursor()
    asked.begin()  # what a page creates goes with it
    for block in blocks_to_run("sql", page):
        for statement in duckdb.extract_statements(block.text):
            found = asked.execute(statement).fetchall()
            assert found or "CREATE" in statement.type.name, str(block)
    asked.rollback()


@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_python_prints_something(page, exported, monkeypatch, capsys):
    monkeypatch.chdir(exported.parent)
    for block in blocks_to_run("python", page):
        exec(compile(block.text, str(block), "exec"), {})
        assert capsys.readouterr().out.strip(), str(block)
