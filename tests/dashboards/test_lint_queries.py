"""The linter: each rule for queries catches the one that it is for."""

import json
import sys
from pathlib import Path

import pytest

from shopscope_dashboards import Board, LogQuery, Logs, PromQuery, Table, TraceQuery, Traces, traces_link
from shopscope_dashboards._fields import Column

sys.path.insert(0, str(Path(__file__).parent))
from lint_boards import BUCKETS, ENV, EVENTS, GC_SECONDS, P95, SLOW, broken, found, put, with_query


@pytest.mark.parametrize(
    ("rule", "expr"),
    [
        ("known-metric", f"sum by (outcome) (rate(shopscope_slo_event_total{{{ENV}}}[$__rate_interval]))"),
        ("known-label", f"sum by (outcome) (rate(shopscope_slo_events_total{{{ENV}, jorney='x'}}[$__rate_interval]))"),
        ("known-label", f"sum by (outcome, peer) (rate(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]))"),
        ("environment", "sum by (outcome) (rate(shopscope_slo_events_total[$__rate_interval]))"),
        ("environment", "sum by (outcome) (shopscope:slo_events:rate5m)"),
        ("rate", f"sum by (outcome) (shopscope_slo_events_total{{{ENV}}})"),
        ("rate", f"sum by (outcome) (delta(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]))"),
        ("rate", f"sum by (outcome) (max_over_time(shopscope_slo_events_total{{{ENV}}}[5m]))"),
        ("rate-window", f"sum by (outcome) (rate(shopscope_slo_events_total{{{ENV}}}[5m]))"),
        ("rate-window", f"sum by (outcome) (rate(shopscope_slo_events_total{{{ENV}}}[$__interval]))"),
        (
            "average-of-ratios",
            f"avg by (outcome) (rate(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]) / {EVENTS})",
        ),
        ("average-of-ratios", f"avg by (journey) (slo:sli_error:ratio_rate5m{{{ENV}}})"),
        ("average-of-ratios", f"avg_over_time(slo:sli_error:ratio_rate5m{{{ENV}}}[1h])"),
    ],
)
def test_a_rule_catches_a_wrong_query(rule, expr):
    """One query of the sound board is another."""
    assert rule in found(with_query(expr))


def test_gauges_have_no_rate():
    """A queue that empties would have a negative one."""
    queue = f"shopscope_sdk_queue_records{{{ENV}}}"
    assert "rate" in found(with_query(f"sum(rate({queue}[$__rate_interval]))", "all"))
    assert set() == found(with_query(f"sum({queue})", "all", "short"))


def test_counters_may_be_looked_at_for_being_there():
    """Whether a series exists is no matter of its value."""
    assert set() == found(with_query(f"count(shopscope_slo_events_total{{{ENV}}})", "series", "short"))


@pytest.mark.parametrize("windows", ["$__rate_interval", "$__range"])
def test_totals_may_be_of_the_whole_range(windows):
    """``increase`` over the range that the board shows is its total."""
    assert set() == found(with_query(f"sum(increase(shopscope_orders_total{{{ENV}}}[{windows}]))", "orders", "short"))


@pytest.mark.parametrize(
    ("title", "legend", "quantile"),
    [
        ("Wait, p95", "p95", 0.5),
        ("Wait, p95", "all", 0.99),
        ("Wait", "p99", 0.95),
        ("Wait", "all", 0.95),
        ("Wait, median", "all", 0.95),
        ("Wait, p99.9", "all", 0.99),
        ("p50 and p95", "p50", 0.5),
    ],
)
def test_a_title_that_says_p95_asks_for_095(title, legend, quantile):
    """A famous demo plots the median under the title quantile95."""
    expr = f"histogram_quantile({quantile}, sum by (le) ({BUCKETS}))"
    assert {"quantile"} == found(with_query(expr, legend, "s", title, exemplar=True))


@pytest.mark.parametrize(
    ("title", "legend", "quantile"),
    [("Wait, p95", "all", 0.95), ("Wait", "p99", 0.99), ("Wait, p99.9", "all", 0.999), ("Median wait", "all", 0.5)],
)
def test_a_quantile_may_be_named_in_title_or_legend(title, legend, quantile):
    """As p and per cent, or as the median."""
    expr = f"histogram_quantile({quantile}, sum by (le) ({BUCKETS}))"
    assert set() == found(with_query(expr, legend, "s", title, exemplar=True))


def test_a_quantile_of_buckets_needs_their_label():
    """Without ``le`` there is no answer at all."""
    assert "buckets" in found(with_query(f"histogram_quantile(0.95, sum({BUCKETS}))", "p95", "s", exemplar=True))


@pytest.mark.parametrize(
    ("expr", "legend"),
    [
        (EVENTS, "{{journey}}"),
        (EVENTS, "events"),
        (EVENTS, ""),
        (f"sum by (outcome, journey) (rate(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]))", "{{outcome}}"),
        (f"{EVENTS} or vector(0)", "{{outcome}}"),
    ],
    ids=["no such label", "no label", "nothing", "one of two labels", "a series without labels"],
)
def test_a_legend_tells_lines_apart(expr, legend):
    """By labels that the answer has, by all that differ."""
    assert {"legend"} == found(with_query(expr, legend))


@pytest.mark.parametrize(
    ("expr", "legend"),
    [
        (
            f'sum by (outcome, journey) (rate(shopscope_slo_events_total{{{ENV}, journey="a"}}[$__rate_interval]))',
            "{{outcome}}",
        ),
        (f'label_replace({EVENTS}, "what", "$1", "outcome", "(.*)")', "{{what}} {{outcome}}"),
        (f"topk(3, {EVENTS})", "{{outcome}}"),
        (f"{EVENTS} / on (outcome) group_left () {EVENTS} * {EVENTS}", "{{outcome}}"),
        ("sum(increase(otelcol_receiver_accepted_spans_total[$__rate_interval])) by (receiver) / 15", "{{receiver}}"),
    ],
    ids=["fixed by the selector", "made", "kept", "matched", "foreign"],
)
def test_a_legend_may_name_what_the_answer_has(expr, legend):
    """Labels that are kept, made or unknown; one value for all lines need not be named."""
    assert "legend" not in found(with_query(expr, legend))


@pytest.mark.parametrize(
    ("expr", "unit", "wrong"),
    [
        (P95, "s", "ms"),
        (f"1000 * {P95}", "ms", "s"),
        (f"sum({EVENTS})", "reqps", "short"),
        (f"60 * sum({EVENTS})", "rpm", "reqps"),
        (f"sum({EVENTS}) / sum({EVENTS})", "percentunit", "percent"),
        (f"100 * sum({EVENTS}) / sum({EVENTS})", "percent", "percentunit"),
        (f"1 - sum({EVENTS}) / sum({EVENTS})", "percentunit", "s"),
        (f"sum(shopscope_sdk_queue_bytes{{{ENV}}})", "bytes", "short"),
        (f"sum(rate(shopscope_sdk_sent_bytes_total{{{ENV}}}[$__rate_interval]))", "Bps", "bytes"),
        (f"sum(increase(shopscope_orders_total{{{ENV}}}[$__range]))", "short", "ops"),
        (f"sum(increase(shopscope_order_value_total{{{ENV}}}[$__range]))", "currencyEUR", "short"),
        (GC_SECONDS, "percentunit", "s"),
        (
            f"{GC_SECONDS} / sum(rate(shopscope_gc_pause_seconds_count{{{ENV}}}[$__rate_interval]))",
            "s",
            "percentunit",
        ),
        (f"max(slo:period_error_budget_remaining:ratio{{{ENV}}})", "percentunit", "s"),
        (f"min(shopscope:error_budget_exhaustion:seconds{{{ENV}}})", "s", "short"),
        (f"sum(db_client_connection_count{{{ENV}}})", "short", "s"),
        ("sum(process_resident_memory_bytes)", "bytes", "s"),
        ("count(up)", "short", "percentunit"),
    ],
)
def test_a_unit_says_what_is_measured(expr, unit, wrong):
    """Found out from names and arithmetic."""
    title = "Wait, p95"
    assert set() == found(with_query(expr, "all", unit, title, exemplar=True)) - {"quantile"}
    assert {"unit"} == found(with_query(expr, "all", wrong, title, exemplar=True)) - {"quantile"}


def test_a_unit_of_a_column_is_the_columns_own():
    """A table has a unit for each query."""
    query = PromQuery(EVENTS, instant=True, format="table")

    def board(unit):
        columns = [Column("outcome"), Column("A", "Events", unit=unit)]
        table = Table("T", "What.", [query], columns=columns, links=(SLOW,))
        return json.loads(Board("b", "B", "What.", [table]).to_json())

    assert set() == found(board("reqps"))
    assert {"unit"} == found(board("s"))


def test_searches_for_traces_are_read_too():
    """Of panels, and of links that open Explore."""
    link = traces_link("Slow traces", "{ duration > 1s ")
    assert {"parse"} == found(broken(put("panels.1.fieldConfig.defaults.links", [link.as_data_link()])))
    board = Board("b", "B", "What.", [Traces("Slow", "Which.", [TraceQuery("{ journey = 1 }")], links=(SLOW,))])
    assert {"parse"} == found(json.loads(board.to_json()))


def test_lines_of_logs_are_read_too():
    """Loki refuses a stream without any label."""
    board = Board("b", "B", "What.", [Logs("Lines", "Which.", [LogQuery("{}")], links=(SLOW,))])
    assert {"parse"} == found(json.loads(board.to_json()))
