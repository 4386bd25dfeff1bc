"""Alerts and the sections of the runbooks hold together, and every section begins with queries that can be asked."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from shopscope._metrics._names import METRICS
from shopscope.config import load_shop
from shopscope_dashboards._recorded import RECORDED

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "stack/prometheus/rules").glob("*.yml"))
PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))
HOME = "https://github.com/shopscope/shopscope/blob/main/"
QUERIES = 3
# Runbooks of alerts have a section an alert, those of journeys a section a question.
OF_ALERTS = ("stack", "slo")


def rules(kind):
    """Every rule of the stack that has this key."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def anchor(heading):
    """What a heading is called in an address, as GitHub has it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections(page):
    """The sections of a page by their anchors."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {anchor(heading): text for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def steps(section):
    """The numbered steps of a section; a step ends with its last indented line."""
    return re.findall(r"^\d\. (.+(?:\n {2,}.+)*)", section, re.MULTILINE)


def queries(text):
    """What stands between backticks and is no single word: queries, and perhaps shell commands."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


def place(address):
    """Page and anchor of a link to a runbook."""
    page, _, section = address.removeprefix(HOME).partition("#")
    return ROOT / page, section


def parsed(query):
    """The query as Prometheus reads it; fails with what is wrong."""
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        pytest.fail(f"{query}: {error}")


def metrics(query):
    """Names of the series that a query asks for."""
    found = set()
    for name in re.findall(r"\b[a-zA-Z_:][\w:]*", re.sub(r'"[^"]*"', "", query)):
        if re.match(r"(shopscope|http|db|otelcol|prometheus|alertmanager|tempo|loki)_\w|slo:|shopscope:", name):
            found.add(name)
    return found


@pytest.mark.parametrize("alert", rules("alert"), ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_section(alert):
    """The link opens a page that there is, at a section that there is, which names the alert."""
    page, section = place(alert["annotations"]["runbook_url"])
    assert page in PAGES
    if section:
        assert section in sections(page)
        assert alert["alert"] in sections(page)[section]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in OF_ALERTS], ids=lambda page: page.stem)
def test_a_section_belongs_to_an_alert(page):
    """A section that no alert leads to is about an alert that was renamed, or is gone."""
    named = {name for text in sections(page).values() for name in re.findall(r"\bShopscope[A-Z]\w+", text)}
    assert set() == named - {rule["alert"] for rule in rules("alert")}
    linked = {section for where, section in (place(rule["annotations"]["runbook_url"]) for rule in rules("alert"))}
    assert set() == set(sections(page)) - linked


@pytest.mark.parametrize(
    ("page", "section"),
    [(page, section) for page in PAGES for section in sections(page)],
    ids=lambda part: getattr(part, "stem", part),
)
def test_a_section_begins_with_three_queries_and_what_they_mean(page, section):
    """Each of the first steps starts with a query that parses, and goes on with more than that."""
    first = steps(sections(page)[section])[:QUERIES]
    assert QUERIES == len(first)
    for step in first:
        code = re.match(r"`([^`]+)`", step)
        assert code, step
        assert parsed(" ".join(code[1].split()))
        # Series of several names are the same without them, and Prometheus refuses to answer.
        assert not re.search(r"(rate|increase)\(\{__name__=~", code[1])
        assert len(step) - len(code[0]) > len(": 0 is bad"), step


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_asks_for_metrics_that_there_are(page):
    """Those of the SDK are in its table, recorded ones in that of the rules."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
    known = {row.family + suffix for row in METRICS for suffix in suffixes.get(row.kind, ("",))}
    known |= {row.family for row in METRICS} | RECORDED
    asked = {name for query in queries(page.read_text(encoding="utf-8")) for name in metrics(query)}
    ours = {name for name in asked if ":" in name or name.startswith(("shopscope_", "http_server_", "db_client_"))}
    assert set() == ours - known


@pytest.mark.parametrize(
    "journey",
    [journey for journey in load_shop(ROOT / "shopscope.toml").journeys.values() if journey.runbook],
    ids=lambda one: one.name,
)
def test_a_journeys_runbook_is_there(journey):
    """What shopscope.toml names can be opened."""
    assert (ROOT / journey.runbook).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_runbooks_lead_somewhere(page):
    """Every link to a page of this repository, or to a section of one, has its target."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        where, _, section = target.partition("#")
        if "://" in where:
            continue
        other = (page.parent / where).resolve() if where else page
        assert other.is_file(), target
        if section and other in PAGES:
            assert section in sections(other), target
