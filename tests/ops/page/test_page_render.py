"""HTML of the views: escaped, complete, and in colours that can be read."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from shopscope_ops.page import _render
from shopscope_ops.page._chain import ChainQuery
from shopscope_ops.page._feed import Reading
from shopscope_ops.page._journeys import JourneysQuery
from shopscope_ops.page._trace import TraceQuery
from shopscope_ops.page._traces import TracesQuery

SECOND = 1_000_000_000
NOW = time.time_ns()
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`${7*7}{{7*7}}"
CSS = (Path(_render.__file__).parent / "static" / "page.css").read_text(encoding="utf-8")
VOID = {"br", "img", "input", "link", "meta", "path", "circle", "rect"}


class _Outline(HTMLParser):
    """Which elements there are, and whether each is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def _outline(html):
    outline = _Outline()
    outline.feed(html)
    outline.close()
    assert outline.open == []
    return outline


@pytest.fixture
def hostile(store, writer):
    """A trace in which every text that a sender chooses is hostile."""
    shopper = writer()
    trace_id = shopper.request("checkout", NOW - 60 * SECOND, bank_milliseconds=2000, failed=True)
    for span in shopper.rows["spans"]:
        for name in ("service", "name", "peer", "status_message", "protection", "instance"):
            span[name] = span[name] and HOSTILE
        span["journey"] = HOSTILE
        span["attributes"] = '{"%s": "%s"}' % (("<script>",) * 2)
    for log in shopper.rows["logs"]:
        log |= {"body": HOSTILE, "service": HOSTILE, "severity": HOSTILE}
    store.submit(shopper.tables()).result(timeout=10)
    return trace_id


@pytest.mark.parametrize("template", ["journeys", "chain", "traces", "trace"])
def test_text_of_a_sender_is_inert(store, shop, hostile, template):
    """No element and no handler comes from telemetry, and the text is there as text."""
    queries = {
        "journeys": JourneysQuery(),
        "chain": ChainQuery(HOSTILE),
        "traces": TracesQuery(only="all"),
        "trace": TraceQuery(hostile),
    }
    reading = Reading(queries[template].load(store, shop, NOW), NOW, HOSTILE)
    more = {"selected": HOSTILE, "cause": HOSTILE} if template == "journeys" else {}
    html = _render.render(template, reading=reading, **more)
    outline = _outline(html)
    assert (
        {"script", "img"} & set(outline.tags),
        outline.handlers,
        "&lt;script&gt;alert(1)" in html,
        "${7*7}{{7*7}}" in html,
    ) == (set(), [], True, True)


@pytest.mark.parametrize("template", ["loading", "missing"])
def test_a_page_without_data_is_well_formed(template):
    """While reading, and where there is nothing."""
    assert _outline(_render.render(template)).tags != []


@pytest.mark.parametrize(("query", "template"), [(JourneysQuery(), "journeys"), (TracesQuery(), "traces")])
def test_an_empty_store_asks_for_the_one_line(store, shop, query, template):
    """A newcomer learns what to do, and nothing pretends to be zero."""
    reading = Reading(query.load(store, shop, NOW), NOW)
    html = (
        _render.render(template, reading=reading, selected="", cause="")
        if template == "journeys"
        else _render.render(template, reading=reading)
    )
    assert ("No telemetry yet" in html, "shopscope.init(" in html, "<table" in html) == (True, True, False)


def test_a_fault_is_said_above_the_last_view(store, shop):
    """What is shown, since when, and why there is nothing newer."""
    reading = Reading(TracesQuery().load(store, shop, NOW), NOW, "the disk is full")
    html = _render.render("traces", reading=reading)
    assert ("the disk is full" in html, "What you see is from" in html, 'role="alert"' in html) == (True, True, True)


def test_addresses_leave_out_what_is_empty():
    """A link is as short as it can be, and every value is quoted."""
    assert _render.address("/traces", journey="a b&c", only="", order="") == "/traces?journey=a+b%26c"


def _tokens(scheme):
    block = re.search(
        r':root\[data-scheme="dark"\] \{(.*?)\}' if scheme == "dark" else r":root \{(.*?)\}", CSS, re.DOTALL
    )
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[1]))


def _luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", ["ink", "quiet", "ok", "slow", "failing"])
@pytest.mark.parametrize("ground", ["paper", "card", "hover", "failing-pale", "fill-pale"])
def test_text_has_the_contrast_of_aa(scheme, colour, ground):
    """Every colour that writes, on every colour that it may be written on: 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    tokens = _tokens(scheme)
    assert _contrast(tokens[colour], tokens[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("slot", range(8))
def test_bars_stand_out_from_the_paper(scheme, slot):
    """What is drawn to be understood has 3 to 1 (WCAG 2.2, 1.4.11)."""
    tokens = _tokens(scheme)
    assert _contrast(tokens[f"slot-{slot}"], tokens["paper"]) >= 3.0


def test_the_stylesheet_loads_nothing():
    """No outside address, no import, no picture."""
    assert re.findall(r"url\(|@import|https?:", CSS) == []


def test_motion_can_be_refused():
    """Who asked the system for less motion gets none."""
    assert "prefers-reduced-motion: reduce" in CSS
