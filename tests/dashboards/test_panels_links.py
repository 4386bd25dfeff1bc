"""Links: they lead to the right place at the right time, and Grafana finds its variables in them."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from shopscope_dashboards import (
    Board,
    Link,
    PromQuery,
    Stat,
    Table,
    board_link,
    logs_link,
    metrics_link,
    runbook_link,
    traces_link,
)


def written(kind, *links):
    board = Board("uid", "Title", "d", [kind("t", "d", [PromQuery("up")], links=links)])
    return json.loads(board.to_json())["panels"][0]


def pane(link):
    """What Explore is told: the one pane of its address."""
    parts = urlsplit(link.url)
    assert ("/explore", "1") == (parts.path, parse_qs(parts.query)["schemaVersion"][0])
    return json.loads(parse_qs(parts.query)["panes"][0])["shopscope"]


def test_traces_are_searched_in_the_time_range_of_the_board():
    """The query arrives unchanged, and the data source is the one that the board was told to use."""
    traceql = '{ span.shopscope.journey = "checkout" && duration > 800ms } | select(resource.service.name)'
    found = pane(traces_link("Slow", traceql))
    query = found["queries"][0]
    assert ("${tempo}", "${__from}", "${__to}") == (
        found["datasource"],
        *(found["range"][end] for end in ("from", "to")),
    )
    assert (traceql, "traceql", "${tempo}") == (query["query"], query["queryType"], query["datasource"]["uid"])


@pytest.mark.parametrize(
    ("link", "source", "text"),
    [
        (logs_link("Logs", '{service_name="a"} |= "100 % & more"'), "${loki}", '{service_name="a"} |= "100 % & more"'),
        (metrics_link("Up", 'up{job=~"$environment|${x}"}'), "${prometheus}", 'up{job=~"$environment|${x}"}'),
    ],
)
def test_logs_and_metrics_too(link, source, text):
    """Percent signs, ampersands, quotes and variables arrive."""
    assert (source, text) == (pane(link)["datasource"], pane(link)["queries"][0]["expr"])


def test_variables_stay_readable_in_addresses():
    """Grafana replaces what it finds before the address is decoded."""
    for reference in ("${__from}", "${__to}", "${tempo}", "${environment:regex}"):
        assert reference in traces_link("t", '{ resource.a =~ "${environment:regex}" }').url


def test_another_board_has_the_same_time_range_and_environment():
    """Going on to the next question does not start over."""
    assert (
        "/d/shopscope-slo?${__url_time_range}&${environment:queryparam}" == board_link("Budgets", "shopscope-slo").url
    )


def test_another_board_opens_at_the_moment_of_the_click():
    """Ten minutes around the point, and the peer of its series."""
    link = board_link("Dependencies", "shopscope-dependencies", minutes=10, peer="${__field.labels.peer}")
    expected = (
        "/d/shopscope-dependencies?time=${__value.time}&time.window=600000&${environment:queryparam}"
        "&var-peer=${__field.labels.peer}"
    )
    assert expected == link.url


@pytest.mark.parametrize(
    ("runbook", "expected"),
    [
        ("docs/runbooks/checkout.md", "https://github.com/shopscope/shopscope/blob/main/docs/runbooks/checkout.md"),
        ("https://wiki.example/checkout", "https://wiki.example/checkout"),
    ],
)
def test_a_runbook_is_a_path_or_an_address(runbook, expected):
    """It opens beside the board, which is needed while one reads."""
    link = runbook_link(runbook)
    assert (expected, True) == (link.url, link.new_tab)


def test_links_of_a_value_are_not_in_the_head():
    """What was clicked is not known there: the address would have a variable's name in it."""
    around, always = board_link("Around", "a", minutes=5), Link("Always", "/d/b")
    panel = written(Stat, around, always)
    assert ["Always"] == [each["title"] for each in panel["links"]]
    assert ["Around", "Always"] == [each["title"] for each in panel["fieldConfig"]["defaults"]["links"]]


def test_cells_of_a_table_have_links_of_their_columns_alone():
    """Otherwise every number of the table would be underlined."""
    panel = written(Table, Link("Always", "/d/b"))
    assert (["Always"], []) == tuple(
        [each["title"] for each in links] for links in (panel["links"], panel["fieldConfig"]["defaults"]["links"])
    )
