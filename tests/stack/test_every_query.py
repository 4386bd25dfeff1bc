"""After load and a drill, every query that shopscope ships answers: of boards, rules and alerts."""

import contextlib
import http.client
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import promql_parser
import pytest
import yaml

from shopscope.config import load_shop
from shopscope_dashboards.boards import all_boards
from shopscope_ops.demo._ports import OBSERVED, DemoPorts
from shopscope_ops.engines.native import NativeStack
from shopscope_ops.load.run import LoadSettings

sys.path.insert(0, str(Path(__file__).parent))
from asking import Prometheus, wait_until
from demo_shop import loading, shop_running, switch_faults
from every_query import Judge, Question, board_questions, inputs, rule_questions, selectors_of, table, unique

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "stack/prometheus/rules").glob("*.yml"))

# What takes minutes in production takes seconds here, and asks for the same series.
QUICK = "5s"
SETTINGS = {
    "SHOP_PAGE_FRESH_SECONDS": "0.3",
    "SHOP_DATABASE_POOL_WAIT_SECONDS": "0.3",
    "SHOP_BANK_BREAKER_OPEN_SECONDS": "3",
    "SHOP_SEARCH_RATE_LIMIT": "20/minute",
}
VISITS_PER_SECOND = 8.0
RIVALS = 6
ROUTES = (
    ("GET", "/"),
    ("GET", "/search?q=tent"),
    ("GET", "/products/{sku}"),
    ("POST", "/carts/somebody/items"),
    ("GET", "/carts/somebody"),
    ("POST", "/checkout"),
)
HEALTHY_SECONDS = 12.0
# Longer than the database lets anybody wait for a lock: the first who wait fail, the next overtake each other.
HELD_SECONDS = 9.0
# What is wrong, for how long. All journeys have failures and are slow; the bank's breaker opens and closes again; stock
# is locked, so that buyers overtake each other and wait for connections; pages are old because their owner fails.
DRILL = (
    (
        12.0,
        {
            "storefront": {"error_rate": 0.2, "latency_seconds": 0.35},
            "search": {"error_rate": 0.5},
            "inventory": {"error_rate": 0.4, "held_lock_seconds": HELD_SECONDS, "pool_size": 4},
            "bank": {"error_rate": 1.0},
        },
    ),
    (
        10.0,
        {"storefront": {}, "search": {"latency_seconds": 0.4}, "inventory": {}, "bank": {"latency_seconds": 1.0}},
    ),
    (8.0, {"search": {}, "bank": {}}),
)

# Selectors that match no series when all is well, and why.
ABSENT = {
    r"^shopscope_sdk_(dropped|errors|overflow)_total": "nothing was lost in the SDK: born with the first loss",
    r"^otelcol_exporter_(send|enqueue)_failed_": "nothing was lost in the collector: born with the first loss",
    r"(tempo|loki)_discarded_": "nothing was refused by the stores: born with the first refusal",
}
# Traces and lines can be found a moment after they were written; some queries look at whole minutes.
PATIENCE_SECONDS = 75.0


def quick_prometheus(folder):
    """The stack's Prometheus with its rules, all of which looks every few seconds."""
    rules = folder / "quick-rules"
    rules.mkdir()
    for path in RULES:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in document["groups"]:
            group["interval"] = QUICK
        (rules / path.name).write_text(yaml.safe_dump(document), encoding="utf-8")
    document = yaml.safe_load((ROOT / "stack/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    document["global"] |= {"scrape_interval": QUICK, "scrape_timeout": QUICK, "evaluation_interval": QUICK}
    document["rule_files"] = [f"{rules}/*.yml"]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def search_too_often(port):
    """One shopper searches more often than the limit allows."""
    for _ in range(30):
        ask(port, "GET", "/search?q=tent", **{"X-Shopper-Id": "greedy"})


def ask(port, method, path, body=None, **headers):
    """What the shop answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().read()


def want_the_same(port, sku, seconds):
    """A buyer who wants a product that others want too, again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ask(port, "POST", "/reservations", json.dumps({"lines": [{"sku": sku, "quantity": 1}]}))


@pytest.fixture(scope="module")
def judgement(binaries, stack_ports, shop_base, tmp_path_factory):
    """Who asks, and every query's answer, while the load still runs."""
    del binaries  # they are there
    folder = tmp_path_factory.mktemp("queries")
    config = {"prometheus": quick_prometheus(folder)}
    with NativeStack(folder / "stack", stack_ports(), config=config) as stack:
        ports = DemoPorts(base=shop_base, otlp=urlsplit(stack.address("collector.otlp-http")).port)
        with shop_running(folder / "shop", ports, **SETTINGS):
            since = time.time()
            with loading(LoadSettings(ports.url("storefront"), VISITS_PER_SECOND, None, think_seconds=0.2)):
                play(ports)
                judge = Judge(stack.address, stack.left_out, since, ABSENT)
                yield judge, judged(judge)


def ask_again(port, method, path, seconds):
    """Somebody who does not think between two requests."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ask(port, method, path, "{}" if method == "POST" else None)


def play(ports):
    """A healthy while, then the drill, in which every route is asked so often that it fails."""
    time.sleep(HEALTHY_SECONDS)
    search_too_often(ports.of("storefront"))
    featured = json.loads(ask(ports.of("storefront"), "GET", "/"))["products"][0]["sku"]
    with ThreadPoolExecutor(max_workers=RIVALS + len(ROUTES)) as others:
        for number, (seconds, faults) in enumerate(DRILL):
            for service, sick in faults.items():
                assert 200 == switch_faults(ports, service, **sick)
            if number == 0:
                for _ in range(RIVALS):
                    others.submit(want_the_same, ports.of("inventory"), featured, seconds)
                for method, path in ROUTES:
                    others.submit(ask_again, ports.of("storefront"), method, path.format(sku=featured), seconds)
            time.sleep(seconds)


def judged(judge):
    """All answers."""
    prometheus = Prometheus(judge.address("prometheus.http"))
    sent = "shopscope_sdk_spans_total"
    wait_until(lambda: set(OBSERVED) <= prometheus.by("service_name", sent).keys(), "the metrics of all services")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = [judge.judge(question) for question in questions()]
        if time.monotonic() > deadline or all(answer.state != "nothing" for answer in found):
            return found
        time.sleep(2.0)


def questions():
    """Everything that is asked of the stack."""
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(ROOT / "shopscope.toml"))]
    return unique([*board_questions(boards), *rule_questions(RULES)])


@pytest.mark.timeout(420)
def test_every_query_has_data(judgement, capsys):
    """Boards, variables, annotations, links to Explore, recording rules, alerts: none asks for what is not there."""
    _, answers = judgement
    with capsys.disabled():
        print("", *table(answers), sep="\n")  # noqa: T201 (the figure that this test is for)
    nothing = [f"{answer.question}\n    {answer.reason}" for answer in answers if answer.state == "nothing"]
    assert [] == nothing, "\n".join(nothing)


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    "text",
    [
        "shopscope_slo_event_total",
        'sum(rate(shopscope_slo_events_total{outcome="errors"}[1m])) or vector(0)',
        "0 * sum(rate(shopscope_slo_events_total[1m])) / 0",
        "shopscope_slo_events_total and on (service_name) shopscope_journey_started_total * on (outcome) up",
        "sum(",
    ],
    ids=["no such metric", "hidden by or", "no number", "no match", "no query"],
)
def test_a_query_without_data_is_told(judgement, text):
    """What a board would show as an empty panel, or as a zero that means nothing."""
    judge, _ = judgement
    assert "nothing" == judge.judge(Question("board", "panel", "prometheus", text)).state


@pytest.mark.parametrize(
    ("alert", "asked"),
    [
        ("sum by (a) (rate(x[5m])) > 3", "sum by (a)(rate(x{}[5m]))"),
        ("3 < x", "x{}"),
        ('absent(up{job="a"} == 1)', 'up{job="a"}'),
        ("x unless x offset 10m", "x{}"),
        ("x > bool 1", "x{} > bool 1"),
        ("a > 1 and on (b) c < 2", "a{} and on (b) c{}"),
    ],
)
def test_an_alert_is_asked_for_what_it_compares(alert, asked):
    """It need not fire, and has data all the same."""
    assert promql_parser.parse(asked).prettify() == promql_parser.parse(inputs(alert)).prettify()


@pytest.mark.parametrize("pattern", ABSENT)
def test_an_excuse_is_asked_for(pattern):
    """Some query names what the list of exceptions is about: what nobody asks for needs no excuse."""
    selectors = {text for one in questions() if one.source == "prometheus" for text in selectors_of(one.text)}
    assert any(re.search(pattern, selector) for selector in selectors)
