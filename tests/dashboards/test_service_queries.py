"""What the boards about services ask, answered by Prometheus over series whose answers are known."""

import json
import subprocess

import pytest
import yaml

from shopscope.config import load_shop
from shopscope_dashboards.boards import caches, dependencies, protection, saturation, stack
from shopscope_dashboards.boards._service import breaker_state
from shopscope_dashboards.boards._stack_parts import LOSSES
from shopscope_ops.engines.native import find_binary

SHOP = """
[journeys.checkout]
routes = ["POST /checkout"]
service = "storefront"
objective = 0.99
latency = "800ms"
"""
BOARDS = {
    module.__name__.rpartition(".")[2]: module for module in (caches, dependencies, protection, saturation, stack)
}
EVENT = 'shopscope_guard_events_total{service_name="payment", peer="bank", operation="pay", kind="breaker", event="%s"}'
CALLS = (
    'shopscope_dependency_duration_seconds_%s{service_name="%s", peer="%s", kind="http", journey="checkout", '
    'outcome="%s"}'
)
NOTHING = "0x20"
STEADY = "0+60x20"  # one a second


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop of one journey."""
    path = tmp_path_factory.mktemp("shop") / "shopscope.toml"
    path.write_text(SHOP, encoding="utf-8")
    return load_shop(path)


@pytest.fixture
def ask(shop, tmp_path):
    """Asks Prometheus what a query, or a panel's query, answers after ten minutes over the given series."""
    promtool = find_binary("promtool")
    if promtool is None:
        pytest.skip("promtool is neither on PATH nor in the cache: run make stack-binaries")

    def answers(query, series, expected):
        board, _, panel = query.partition("/")
        if board in BOARDS:
            title, _, letter = panel.partition("#")
            found = next(item for item in BOARDS[board].board(shop).panels if item.title == title)
            queries = getattr(found, "all_queries", found.queries)
            query = queries["ABCDE".index(letter or "A")].text
        for name in ("environment", "service", "journey", "peer", "cache", "kind"):
            query = query.replace(f'"${name}"', '".*"')
        query = query.replace("$__rate_interval", "2m").replace("$__range", "10m")
        samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": query, "eval_time": "10m", "exp_samples": samples}],
        }
        path = tmp_path / "query.test.yml"
        path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}), encoding="utf-8")
        done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stdout + done.stderr

    return answers


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        ({}, 0),
        ({"closed": "0x9 1x9"}, 0),
        ({"half_opened": "0x9 1x9"}, 1),
        ({"opened": "0x9 1x9"}, 2),
        ({"rejected": "0x9 1x9", "half_opened": "0x9 1x9"}, 2),
        ({"rejected": "0x5 7x15"}, 0),
    ],
    ids=["quiet", "closed", "tries", "opened", "refuses and tries", "refused long ago"],
)
def test_the_state_of_a_breaker_is_what_callers_met(ask, happened, state):
    """Open if it opened or refused lately, else half open if it tried, else closed."""
    series = {EVENT % event: happened.get(event, NOTHING) for event in ("opened", "half_opened", "closed", "rejected")}
    ask(breaker_state(), series, {'{service_name="payment", peer="bank", operation="pay"}': state})


def test_a_guard_covers_the_calls_of_its_own_service_alone(ask):
    """A breaker in payment does not protect checkout, and a limiter protects nobody who calls."""
    info = 'shopscope_guard_info{service_name="%s", peer="%s", operation="", kind="%s"}'
    series = {
        CALLS % ("count", "payment", "bank", "ok"): STEADY,
        CALLS % ("count", "checkout", "bank", "ok"): STEADY,
        CALLS % ("count", "storefront", "checkout", "ok"): STEADY,
        info % ("payment", "bank", "breaker"): "1x20",
        info % ("storefront", "checkout", "limiter"): "1x20",
    }
    row = '{journey="checkout", kind="http", service_name="%s", peer="%s"}'
    bare = {row % ("checkout", "bank"): 1, row % ("storefront", "checkout"): 1}
    ask("protection/Calls of journeys without a guard#B", series, bare)
    ask("protection/Unguarded calls", series, {"{}": 2})


def test_waiting_without_a_guard_is_a_share_of_all_waiting(ask):
    """Three seconds in an unguarded call, one in a guarded one; a journey that is guarded throughout has 0."""
    guarded = CALLS.replace('journey="checkout"', 'journey="search"')
    series = {
        CALLS % ("sum", "checkout", "stock", "ok"): "0+180x20",
        CALLS % ("sum", "payment", "bank", "ok"): STEADY,
        guarded % ("sum", "payment", "bank", "ok"): STEADY,
        'shopscope_guard_info{service_name="payment", peer="bank", operation="", kind="retry"}': "1x20",
    }
    ask("protection/Waiting without a guard", series, {'{journey="checkout"}': 0.75, '{journey="search"}': 0})


def test_shares_of_nothing_are_nothing(ask):
    """No gap at night: where nobody calls, no share fails."""
    ask("dependencies/Failing calls", {CALLS % ("count", "checkout", "bank", "ok"): "5x20"}, {"{}": 0})


def test_failing_calls_are_a_share_of_all(ask):
    """One in four; what the caller did wrong does not count as failure."""
    series = {
        CALLS % ("count", "checkout", "bank", "ok"): "0+120x20",
        CALLS % ("count", "checkout", "bank", "rejected"): STEADY,
        CALLS % ("count", "checkout", "bank", "error"): STEADY,
    }
    ask("dependencies/Every call#D", series, {'{service_name="checkout", peer="bank", kind="http"}': 0.25})


def test_the_graph_begins_with_customers(ask):
    """An edge for each call, one for what customers ask, a node for each end, with what it receives."""
    series = {
        CALLS % ("count", "storefront", "checkout", "ok"): STEADY,
        CALLS % ("count", "checkout", "bank", "ok"): STEADY,
        'shopscope_journey_duration_seconds_count{service_name="storefront", journey="checkout"}': "0+120x20",
    }
    edge = '{id="%s → %s", source="%s", target="%s"}'
    pairs = {("storefront", "checkout"): 1, ("checkout", "bank"): 1, ("customers", "storefront"): 2}
    ask("dependencies/Who calls whom#A", series, {edge % (pair + pair): value for pair, value in pairs.items()})
    nodes = {"customers": 2, "storefront": 2, "checkout": 1, "bank": 1}
    ask(
        "dependencies/Who calls whom#C",
        series,
        {f'{{id="{name}", title="{name}"}}': value for name, value in nodes.items()},
    )


def test_the_time_of_a_journey_is_by_its_events_and_not_by_calls(ask):
    """Two calls of half a second for each checkout are one second of it."""
    series = {
        CALLS % ("sum", "checkout", "bank", "ok"): STEADY,
        CALLS % ("count", "checkout", "bank", "ok"): "0+120x20",
        'shopscope_journey_duration_seconds_count{service_name="storefront", journey="checkout"}': STEADY,
    }
    labels = '{journey="checkout", service_name="checkout", peer="bank"}'
    ask("dependencies/Time of a journey in each call", series, {labels: 1})


def test_a_pool_is_as_full_as_in_its_fullest_process(ask):
    """Half in use on average, and all of it in one process: its callers wait."""
    labels = '{service_name="payment", service_instance_id="%s", pool="db"%s}'
    series = {}
    for instance, used in (("one", 8), ("two", 0)):
        series["db_client_connection_max" + labels % (instance, "")] = "8x20"
        series["db_client_connection_count" + labels % (instance, ', state="used"')] = f"{used}x20"
        series["db_client_connection_count" + labels % (instance, ', state="idle"')] = f"{8 - used}x20"
    ask("saturation/Pools in use", series, {'{service_name="payment", pool="db"}': 1})


def test_journeys_that_share_a_database_are_counted(ask):
    """Two journeys use one service's database; a third that stopped does not count."""
    series = {
        CALLS.replace("http", "db").replace('"checkout"', f'"{journey}"')
        % ("count", "stock", "postgresql", "ok"): values
        for journey, values in (("checkout", STEADY), ("product", STEADY), ("browse", "7x20"))
    }
    ask("saturation/What journeys share#A", series, {'{service_name="stock", peer="postgresql", kind="db"}': 2})


def test_a_service_without_a_cpu_limit_is_not_stopped(ask):
    """There are no periods then, and a share of none would be no number."""
    periods = {"shopscope_cpu_periods_total": NOTHING, "shopscope_cpu_throttled_periods_total": NOTHING}
    series = {f'{name}{{service_name="payment"}}': values for name, values in periods.items()}
    ask("saturation/Stopped by the CPU limit", series, {'{service_name="payment"}': 0})


def test_the_stacks_own_processes_are_no_services(ask):
    """Prometheus tells of its memory under the same name as a service does."""
    name = "process_resident_memory_bytes"
    series = {f'{name}{{service_name="payment"}}': "9x20", f'{name}{{job="prometheus"}}': "7x20"}
    ask("saturation/Memory of the largest process", series, {'{service_name="payment"}': 9})


def test_the_hit_rate_counts_neither_misses_nor_what_is_out_of_date(ask):
    """Two hits of four reads."""
    reads = 'shopscope_cache_requests_total{service_name="storefront", cache="product", result="%s"}'
    series = {reads % "hit": "0+120x20", reads % "miss": STEADY, reads % "stale": STEADY}
    ask("caches/Hit rate", series, {'{cache="product"}': 0.5})
    ask("caches/Served though out of date", series, {'{cache="product"}': 0.25})


def test_writes_without_conflicts_say_so(ask):
    """A conflict brings its counter into being; until then there is a line at 0, and not nothing."""
    writes = CALLS.replace('kind="http"', 'kind="db", access="write"') % ("count", "stock", "postgresql", "ok")
    none = {'{service_name="stock", entity="none"}': 0}
    ask("caches/Write conflicts", {writes: STEADY}, none)
    conflicts = {'shopscope_write_conflicts_total{service_name="stock", entity="stock"}': STEADY}
    ask("caches/Write conflicts", {writes: STEADY} | conflicts, none | {'{service_name="stock", entity="stock"}': 1})


@pytest.mark.parametrize("part", ["send_failed", "enqueue_failed"])
def test_losses_of_all_signals_are_added_up(ask, part):
    """Their series differ in nothing but the name, which a sum of one pattern could not take."""
    series = {
        f'otelcol_exporter_{part}_{name}_total{{exporter="x"}}': "0+60x10"
        for name in ("spans", "metric_points", "log_records")
    }
    ask(LOSSES["collector"], series, {"{}": 1800})


def test_nothing_lost_is_zero_everywhere(ask):
    """No counter of a loss is there, and none is needed."""
    for where in ("collector", "stores"):
        ask(LOSSES[where], {'up{job="tempo"}': "1x20"}, {"{}": 0})


def test_what_stores_lose_has_its_reason(ask):
    """Prometheus, Tempo and Loki together; Tempo's own log of samples is not Prometheus's."""
    series = {
        'prometheus_tsdb_too_old_samples_total{job="prometheus"}': "0+60x10",
        'prometheus_tsdb_out_of_order_samples_total{job="tempo"}': "0+60x10",
        'tempo_discarded_spans_total{job="tempo", reason="rate_limited"}': "0+60x10",
        'loki_discarded_samples_total{job="loki", reason="line_too_long"}': "0+60x10",
    }
    ask(LOSSES["stores"], series, {"{}": 1800})


def test_the_oldest_news_is_that_of_the_silent_service(ask):
    """One service stopped five minutes ago; the other still sends."""
    series = {
        'shopscope_sdk_queue_max_records{service_name="silent", signal="traces"}': "9x5 _x20",
        'shopscope_sdk_queue_max_records{service_name="loud", signal="traces"}': "9x20",
    }
    ask("stack/Oldest news", series, {"{}": 300})


def test_every_dropped_record_keeps_its_reason(ask):
    """What is lost is named; services that lose nothing are a line at 0."""
    series = {
        'shopscope_sdk_dropped_total{service_name="payment", signal="traces", reason="queue_full"}': STEADY,
        'shopscope_sdk_dropped_total{service_name="payment", signal="traces", reason="timeout"}': NOTHING,
        'shopscope_sdk_spans_total{service_name="payment", signal="traces"}': STEADY,
    }
    line = '{service_name="payment", signal="traces", reason="%s"}'
    ask("stack/Dropped, by reason", series, {line % "queue_full": 1, line % "none": 0})


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_leads_somewhere_and_says_what_it_means(shop, name):
    """At the least to traces, a runbook, or another board."""
    board = BOARDS[name].board(shop)
    assert board.uid == f"shopscope-{name}"
    assert [] == [item.title for item in board.panels if hasattr(item, "queries") and not item.links]
    assert json.loads(board.to_json()) == json.loads(BOARDS[name].board(shop).to_json())
