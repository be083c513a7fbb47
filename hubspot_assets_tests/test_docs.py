"""The documentation is whole, and speaks of what there is."""

import ast
import logging
import re
from datetime import date
from itertools import dropwhile

import click
import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

import hubspot_assets
from hubspot_assets.cli import main
from hubspot_assets.definitions import build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import Settings
from hubspot_assets_tests import tables_page
from hubspot_assets_tests.pages import (
    OURS,
    PAGES,
    ROOT,
    SHOWN,
    blocks,
    code_in_text,
    commands,
    headings,
    links,
)

DOCS = ROOT / "docs"
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_the_site_is_built_without_a_warning(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path / "site"))
    try:
        build(config)
    except Abort:
        pytest.fail(caplog.text)
    assert (tmp_path / "site" / "index.html").is_file()


def test_the_page_of_the_tables_is_that_of_the_specs():
    assert tables_page.PAGE.read_text("utf-8") == tables_page.page(), "run: make docs"


def test_every_page_is_in_the_order():
    assert {page for page in PAGES if page.parent == DOCS} == set(DOCS.glob("*.md"))


@pages
def test_blocks_are_of_a_language_that_is_run_or_shown(page):
    for block in blocks(page):
        assert block.language in ("sh", "sql", "python", *SHOWN), str(block)
        if block.language in SHOWN:
            assert not list(_of_ours(block.text)), f"{block}: a command is in a block of sh"


@pages
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in {_anchor(each) for each in headings(target)}, link


@pages
def test_commands_are_ones_that_there_are(page):
    for text in (*code_in_text(page), *(block.text for block in blocks(page))):
        for words in _of_ours(text):
            _check(main, words)


@pages
def test_targets_of_make_are_ones_that_there_are(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:`|^ *|&& )make ([\w-]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= set(targets)


@pages
def test_settings_are_ones_that_there_are(page):
    known = {name.upper() for name in Settings.model_fields}
    for code in code_in_text(page):
        named = re.match(r"((?:ALERT|EXCLUDE|EXPORT|HUBSPOT|S3|STATE)_[A-Z0-9_]+)(?:=|$)", code)
        assert not named or named[1] in known, code


def test_the_page_of_the_settings_has_each_of_them():
    table = (DOCS / "settings.md").read_text("utf-8").split("\n## ")[0]
    first = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = [name.lower() for cell in first for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(Settings.model_fields)


def test_messages_are_those_of_the_code():
    told = _texts()
    messages = [each.strip("`") for each in headings(DOCS / "troubleshooting.md") if each[0] == "`"]
    assert len(messages) > 30
    for message in messages:
        assert any(message in text for text in told), message


def test_jobs_schedules_and_sensors_are_those_of_the_code_location():
    webhook = "https://hooks.example/x"
    settings = Settings(alert_webhook_url=webhook, export_start=date(2026, 1, 1), keep_runs_days=30)
    defs = build_defs(standard_catalog(), settings)
    what = [*defs.jobs, *defs.schedules, *defs.sensors]
    page = (DOCS / "dagster.md").read_text("utf-8")
    table = page.partition("**Jobs, schedules and sensors**")[2].partition("\nTimes are")[0]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*?\|", table, re.MULTILINE))))
    assert named == {each.name for each in what}


def _of_ours(text):
    """The commands of ours in a text, as words behind the program; it may have settings before."""
    if any(each in text for each in OURS):
        for line in commands(text):
            words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), line))
            if words and words[0] in OURS:
                yield words[1:]


def _check(command, words):
    """Fails where there is no such command, or no such option of it."""
    while isinstance(command, click.Group) and words:
        name, *words = words
        if option := next((each for each in command.params if name in each.opts), None):
            words = words[option.nargs :]
            continue
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for word in words:
        assert not word.startswith("--") or word in known, f"{command.name} has no {word}"


def _anchor(heading):
    """What a heading is called in an address, by MkDocs as by GitHub."""
    plain = re.sub(r"&\w+;|[`*]", "", heading).lower()
    return re.sub(r"[^\w -]", "", plain).strip().replace(" ", "-")


def _texts():
    """All texts of the code, with … for what is filled in."""

    def told(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(told(each) for each in node.values)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return re.sub(r"%s|\{\w*\}", "…", node.value)
        return "…"

    package = ROOT / hubspot_assets.__name__
    return [
        told(node)
        for file in package.rglob("*.py")
        if "sandbox" not in file.parts
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.JoinedStr | ast.Constant)
    ]
