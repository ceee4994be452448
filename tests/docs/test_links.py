"""Links of the README and of every page under docs/ lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def _text(page: Path) -> str:
    """A page without its code: brackets there are no links."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: Path, link: str) -> bool:
    if link.startswith(("https://", "http://", "mailto:")):
        return False
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or (bool(anchor) and anchor not in _anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = [first or second for first, second in _LINK.findall(_text(page))]
    assert not [link for link in links if _broken(page, link)]


def test_a_broken_link_is_seen() -> None:
    page = ROOT / "README.md"
    assert _broken(page, "docs/no-such-page.md")
    assert _broken(page, "#no-such-heading")
    assert not _broken(page, "docs")


def test_every_page_is_linked_from_another() -> None:
    """A page that nothing links to is never found."""
    linked = {
        (page.parent / (first or second).partition("#")[0]).resolve()
        for page in PAGES
        for first, second in _LINK.findall(_text(page))
    }
    assert not [str(page) for page in PAGES if page.parent != ROOT and page.resolve() not in linked]
