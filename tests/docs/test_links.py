"""What the docs point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Its headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link to a file, and to a heading in it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), link
        assert not anchor or anchor in _anchors(there), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_the_project_exist(page: Path) -> None:
    """Each file and folder that is named as code, patterns included."""
    named = re.findall(r"`((?:bench|docs|src|tests)/[\w./*-]+)`", _prose(page))
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []
