"""Every link of the documentation leads somewhere, and every page is linked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
RUNBOOKS = set((ROOT / "docs/runbooks").glob("*.md"))
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ELSEWHERE = ("https://", "http://", "mailto:")


def text_of(page):
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def links_of(page):
    """Links to files of this repository: as written, the file, and the place in it."""
    for link in _LINK.findall(text_of(page)):
        if not link.startswith(_ELSEWHERE):
            path, _, anchor = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


def anchors_of(page):
    """Where links can lead, made of headings as GitHub makes them: letters, digits, hyphens for spaces."""
    headings = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(text_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """The file is there, and so is the heading."""
    lost = [
        link
        for link, target, anchor in links_of(page)
        if not target.exists() or (anchor and anchor not in anchors_of(target))
    ]
    assert [] == lost


def test_readme_leads_everywhere():
    """Each page of the documentation is one click away; runbooks are for those whom an alert sends there."""
    linked = {target for _, target, _ in links_of(ROOT / "README.md")}
    assert [] == [page for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in linked | RUNBOOKS]


def test_anchors():
    """As GitHub makes them."""
    assert "the-sdk-itself" in anchors_of(ROOT / "docs/reference/metrics.md")
