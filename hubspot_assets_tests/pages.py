"""The pages of the documentation, and what they show: blocks of code, commands, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
#: In the order of the site: what a page shows goes on from those before it.
IN_ORDER = re.findall(r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / name for name in IN_ORDER)]
#: Our command, as pages write it.
OURS = ("hubspot-assets", ".venv/bin/hubspot-assets")
#: What is shown, not run.
SHOWN = ("text", "json", "ini", "yaml")
_NOT_RUN = re.compile(r"<!-- not run: (\S.*\S) -->")


@dataclass(frozen=True)
class Block:
    """A block of code of a page, and whether it says that it can't be run, and why."""

    page: str
    line: int
    language: str
    text: str
    is_run: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def _tokens(page: Path):
    return MarkdownIt().parse(page.read_text("utf-8"))


def blocks(page: Path) -> Iterator[Block]:
    """All of a page, those without a language included."""
    above = ""
    for token in _tokens(page):
        if token.type in ("fence", "code_block"):
            is_run = not _NOT_RUN.fullmatch(above.strip())
            yield Block(page.name, token.map[0] + 1, token.info.strip(), token.content, is_run)
        above = token.content if token.type == "html_block" else ""


def blocks_to_run(language: str, page: Path) -> list[Block]:
    """Those of a language that nothing says can't be run."""
    return [block for block in blocks(page) if block.language == language and block.is_run]


def pages_with(language: str) -> list[Path]:
    """The pages on which something of a language is to be run."""
    return [page for page in PAGES if blocks_to_run(language, page)]


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a block, as words, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def code_in_text(page: Path) -> Iterator[str]:
    """What stands in backticks between other words."""
    for token in _tokens(page):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def headings(page: Path) -> Iterator[str]:
    """The headings of a page, as they are written."""
    for token, following in pairwise(_tokens(page)):
        if token.type == "heading_open":
            yield following.content


def links(page: Path) -> Iterator[str]:
    """Where a page leads, within the repository."""
    for token in _tokens(page):
        for child in token.children or ():
            if child.type == "link_open" and "://" not in (to := str(child.attrs["href"])):
                yield to
