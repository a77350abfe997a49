"""Pages: links lead somewhere, the README is short, the reference of the command line is that of the commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import command_line_reference

from .conftest import REPOSITORY

PAGES = [
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout.splitlines()
] or sorted(REPOSITORY.glob("*.md")) + sorted((REPOSITORY / "docs").rglob("*.md"))
README_LINES = 150
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Targets of a page, links and pictures, that are not there; addresses of other sites are not tried."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text("utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_what_is_there(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One, two\n\n[a](page.md#one-two) [b](page.md#three) [c](none.md) ![d](none.png)\n", "utf-8")
    assert broken_links(page) == ["page.md#three", "none.md", "none.png"]


def test_each_page_of_the_documentation_is_reached_from_its_index() -> None:
    index = REPOSITORY / "docs" / "README.md"
    named = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index.read_text("utf-8"))}
    pages = {page for page in PAGES if index.parent in page.parents and page != index}
    assert {page for page in pages if page not in named and page.parent not in named} == set()


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) < README_LINES


def test_the_reference_of_the_command_line_is_up_to_date() -> None:
    assert command_line_reference.PAGE.read_text("utf-8") == command_line_reference.reference(), "run make docs"
