"""Every query of boards and rules is one: by parsers of PromQL, TraceQL and LogQL, by Tempo and Loki where they are."""

import json
import urllib.parse
from pathlib import Path

import httpx
import promql_parser
import pytest
import yaml

from shopscope.config import load_shop
from shopscope_dashboards._lint._grafana import replaced, targets_of, variable_values
from shopscope_dashboards._lint._languages import logql_fields, traceql_fields
from shopscope_dashboards._lint._promql import parse
from shopscope_dashboards.boards import all_boards
from shopscope_ops.engines._probes import free_port
from shopscope_ops.engines.native import NativeStack, find_binary, read_components
from shopscope_ops.reference._attribute_table import ATTRIBUTES

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "stack/prometheus/rules").glob("*.yml"))
BOARDS = [json.loads(board.to_json()) for board in all_boards(load_shop(ROOT / "shopscope.toml"))]
READERS = {"tempo": traceql_fields, "loki": logql_fields}
# Fields of a line that are no attributes: what OTLP has fields for, and labels of streams.
OF_LINES = {"service_name", "service_namespace", "deployment_environment_name", "severity_number", "severity_text"}

GOOD = {
    "tempo": [
        "{}",
        "{ duration > 800ms }",
        '{ span.shopscope.journey = "checkout" && kind = server && (status = error || duration > 1.5s) }',
        '{ resource.service.name =~ "a|b" } >> { span.peer.service = nil } | select(span.db.system.name, name)',
        "{ status = error } | count() > 2",
        "{ kind = client } | rate() by (resource.service.name)",
        '{ !(name = "x") && span.http.response.status_code >= 500 }',
    ],
    "loki": [
        '{service_name="a"}',
        '{service_name=~".+", deployment_environment_name=~".*"} | shopscope_journey="x" | severity_number >= 13',
        '{service_name="a"} |= "slow" != "fast" |~ "a.c" | json | duration_ms > 800',
        'sum by (service_name) (count_over_time({service_name=~".+"} | severity_text="ERROR" [1m]))',
        'topk(5, sum(rate({service_name="a"}[5m])) by (service_name))',
    ],
}
BAD = {
    "tempo": [
        "",
        "duration > 1s",
        "{ duration > 1s",
        "{ duration > }",
        '{ shopscope.journey = "checkout" }',
        "{ kind = error }",
        '{ span.a = "x" and span.b = "y" }',
        '{ span.a = "x }',
        "{ duration > 1s } | first(3)",
        "{ duration > 1s } | count()",
        "{ span.a =~ 5 }",
    ],
    "loki": [
        "",
        "service_name",
        "{}",
        '{service_name=~".*"}',
        '{service_name="a"} | json |',
        '{service_name="a"} |= slow',
        '{service_name="a"} | severity_number >= error',
        'rate({service_name="a"})',
        'sum by service_name (rate({service_name="a"}[1m]))',
        'median(rate({service_name="a"}[1m]))',
    ],
}


def asked(board, *sources):
    """The board's queries of these data sources."""
    return [target for target in targets_of(board) if target.source in sources and target.kind != "serviceMap"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_promql_of_a_board(board):
    """Of panels, variables, annotations and links."""
    targets = asked(board, "prometheus")
    assert targets
    for target in targets:
        parse(target.text, variable_values(board))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_promql_of_rules(path):
    """As the parser sees it that boards are judged by; promtool has its own test."""
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            promql_parser.parse(rule["expr"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_traceql_and_logql_of_a_board(board):
    """By our grammar, with attributes that the SDK sets."""
    names = {attribute.key for attribute in ATTRIBUTES}
    lines = OF_LINES | {name.replace(".", "_") for name in names}
    for target in asked(board, "tempo"):
        used = {field.partition(".")[2] for field in traceql_fields(target.text)}
        assert set() == used - names, target.text
    for target in asked(board, "loki"):
        assert set() == set(logql_fields(target.text)) - lines, target.text


@pytest.mark.parametrize(("source", "text"), [(source, text) for source, texts in GOOD.items() for text in texts])
def test_the_grammar_takes_what_is_right(source, text):
    """Every form that boards use."""
    READERS[source](text)


@pytest.mark.parametrize(("source", "text"), [(source, text) for source, texts in BAD.items() for text in texts])
def test_the_grammar_refuses_what_is_wrong(source, text):
    """With a sentence, and nothing else."""
    with pytest.raises(ValueError, match=r"\w"):
        READERS[source](text)


def test_the_fields_of_a_query_are_found():
    """With the scope in TraceQL, without anything in LogQL."""
    traceql = '{ span.a.b = "x" && resource.c != nil } | select(span.d)'
    assert ["span.a.b", "resource.c", "span.d"] == traceql_fields(traceql)
    assert ["a", "b", "c"] == logql_fields('sum by (a) (rate({b="x"} | c="y" [1m]))')


@pytest.fixture(scope="module", params=["tempo", "loki"])
def store(request, tmp_path_factory):
    """The stack's Tempo or Loki alone: its name, and whether it takes a query."""
    name = request.param
    if find_binary(name) is None:
        pytest.skip(f"there is no {name} on PATH")
    ports = {f"{part.name}.{port}": free_port() for part in read_components().values() for port in part.all_ports}
    without = read_components().keys() - {name}
    with NativeStack(tmp_path_factory.mktemp(name), ports, without) as stack:
        address = stack.address(f"{name}.http")
        yield name, lambda text: takes(name, address, text)


def takes(name, address, text):
    """Whether a store takes a query; it holds nothing."""
    path = {"tempo": "/api/search?q=", "loki": "/loki/api/v1/query_range?query="}[name]
    is_metric = name == "tempo" and "rate()" in text
    path = "/api/metrics/query_range?q=" if is_metric else path
    status = httpx.get(f"{address}{path}{urllib.parse.quote(text)}", timeout=20, trust_env=False).status_code
    assert status in {200, 400}
    return status == 200


def test_the_store_takes_every_query_of_the_boards(store):
    """And every form that our grammar takes."""
    name, takes_it = store
    ours = {replaced(target.text, variable_values(board)) for board in BOARDS for target in asked(board, name)}
    assert ours
    assert [] == [text for text in (*ours, *GOOD[name]) if not takes_it(text)]


def test_the_store_refuses_what_our_grammar_refuses(store):
    """So that the grammar forbids nothing that could be meant."""
    name, takes_it = store
    narrower = {"", "{ kind = error }", "{ duration > 1s } | count()"}
    assert [] == [text for text in BAD[name] if text not in narrower and takes_it(text)]
