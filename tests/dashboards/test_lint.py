"""The linter: nothing to say of our own boards, and each rule catches the board that it is for."""

import copy
import json
from pathlib import Path

import pytest

from shopscope.config import load_shop
from shopscope_dashboards import (
    Board,
    LogQuery,
    Logs,
    PromQuery,
    Row,
    Stat,
    Table,
    Text,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    traces_link,
)
from shopscope_dashboards._fields import Column
from shopscope_dashboards._lint import UNSHOWN, Finding, lint
from shopscope_dashboards.boards import all_boards

ROOT = Path(__file__).parents[2]
ENV = 'deployment_environment_name=~"$environment"'
SLOW = traces_link("Slow traces", "{ duration > 1s }")
EVENTS = f"sum by (outcome) (rate(shopscope_slo_events_total{{{ENV}}}[$__rate_interval]))"
BUCKETS = f"rate(shopscope_journey_duration_seconds_bucket{{{ENV}}}[$__rate_interval])"
GC_SECONDS = f"sum(rate(shopscope_gc_pause_seconds_sum{{{ENV}}}[$__rate_interval]))"
P95 = f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))"


def panels():
    """A panel of each common kind, all in order."""
    yield Row("Events")
    yield TimeSeries("Events", "What happens.", [PromQuery(EVENTS, "{{outcome}}")], unit="reqps", links=(SLOW,))
    yield TimeSeries("Wait, p95", "How long.", [PromQuery(P95, "p95", exemplars=True)], unit="s", links=(SLOW,))
    yield Stat("Now", "How many.", [PromQuery(f"sum({EVENTS})")], unit="reqps", links=(SLOW,))
    yield Text("", "Hello.")


def sound():
    """A board without fault, as Grafana reads it; panel 1 is a time series of events, panel 2 one of a quantile."""
    return json.loads(Board("shopscope-x", "X", "What it answers.", tuple(panels())).to_json())


def found(*boards, **options):
    """Rules that boards break."""
    return {finding.rule for finding in lint(boards, is_whole=False, **options)}


def with_query(expr, legend="{{outcome}}", unit="reqps", title="Events", kind="timeseries", **target):
    """The sound board with another query, legend, unit and title in its first panel."""
    board = sound()
    panel = board["panels"][1]
    panel |= {"title": title, "type": kind}
    panel["targets"][0] |= {"expr": expr, "legendFormat": legend, **target}
    panel["fieldConfig"]["defaults"]["unit"] = unit
    return board


def broken(change):
    """The sound board after a change."""
    board = copy.deepcopy(sound())
    change(board)
    return board


def put(path, value):
    """A change that puts a value at a path such as ``panels.1.title``."""

    def change(board):
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        for key in parents:
            board = board[key]
        board[last] = value

    return change


def test_our_boards_are_without_fault():
    """Every rule, every board, every metric of the SDK on one of them."""
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(ROOT / "shopscope.toml"))]
    assert [] == [str(finding) for finding in lint(boards)]


def test_boards_of_any_shop_are_without_fault(tmp_path):
    """Of a file with one journey, an odd currency, and a name with every character that names may have."""
    text = """
        [shop]
        currency = "XTS"

        [journeys.a-b_c9]
        routes = ["GET /a/{b}", "HEAD /a/{b}"]
        service = "s"
        objective = 0.9
        latency = "1.5s"
        window = "7d"
    """
    path = tmp_path / "shopscope.toml"
    path.write_text(text, encoding="utf-8")
    boards = [json.loads(board.to_json()) for board in all_boards(load_shop(path))]
    assert [] == [str(finding) for finding in lint(boards)]


def test_a_sound_board_has_no_fault():
    """What the broken ones below are made of."""
    assert set() == found(sound())


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("uid", "uid", "Has Spaces"),
        ("title", "title", " "),
        ("description", "description", ""),
        ("schema", "schemaVersion", 12),
        ("ids", "panels.1.id", 2**31),
        ("ids", "panels.1.id", "1"),
        ("grid", "panels.1.gridPos", {"x": 20, "y": 1, "w": 8, "h": 8}),
        ("grid", "panels.2.gridPos", {"x": 4, "y": 1, "w": 8, "h": 8}),
        ("grid", "panels.1.gridPos", {"x": 0, "y": 1, "w": 0, "h": 8}),
        ("data-source", "panels.1.targets.0.datasource", {"type": "prometheus", "uid": "PBFA97CFB590B2093"}),
        ("data-source", "panels.1.datasource", {"type": "prometheus", "uid": "${nowhere}"}),
        ("data-source", "panels.1.targets.0.datasource", {"type": "prometheus", "uid": "${loki}"}),
        ("data-source", "panels.1.datasource", None),
        ("variables", "templating.list", []),
        ("title", "panels.1.title", ""),
        ("description", "panels.1.description", "  "),
        ("links", "panels.1.fieldConfig.defaults.links", [{"title": "", "url": "/explore"}]),
        ("thresholds", "panels.1.fieldConfig.defaults.thresholds.steps", [{"color": "green", "value": "null"}]),
        ("thresholds", "panels.1.fieldConfig.defaults.thresholds.steps", [{"color": "green", "value": 0}]),
        ("queries", "panels.1.targets", []),
        ("ref-ids", "panels.1.targets.0.refId", ""),
        ("parse", "panels.1.targets.0.expr", " "),
        ("parse", "panels.1.targets.0.expr", "sum(rate("),
        ("exemplars", "panels.2.targets.0.exemplar", False),
        ("unit", "panels.1.fieldConfig.defaults.unit", ""),
        ("unit", "panels.1.fieldConfig.defaults.unit", "requests"),
    ],
)
def test_a_rule_catches_a_wrong_value(rule, path, value):
    """One value of the sound board is another."""
    assert rule in found(broken(put(path, value)))


def test_thresholds_must_ascend():
    """Grafana takes them as they come, and colours wrongly."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 2}, {"color": "orange", "value": 1}]
    assert {"thresholds"} == found(broken(put("panels.1.fieldConfig.defaults.thresholds.steps", steps)))


def test_thresholds_of_a_column_are_looked_at_too():
    """They stand among the overrides."""
    query = PromQuery(EVENTS, instant=True, format="table")
    column = Column("A", "Events", unit="reqps", thresholds=[Threshold(None, "green"), Threshold(1, "red")])
    table = Table("T", "What.", [query], columns=[Column("outcome"), column], links=(SLOW,))
    board = json.loads(Board("b", "B", "What.", [table]).to_json())
    assert set() == found(board)
    override = board["panels"][0]["fieldConfig"]["overrides"][1]
    next(each for each in override["properties"] if each["id"] == "thresholds")["value"]["steps"][0]["value"] = "null"
    assert {"thresholds"} == found(board)


def test_a_panel_must_lead_on():
    """Without any link."""

    def change(board):
        board["panels"][1]["links"] = []
        board["panels"][1]["fieldConfig"]["defaults"]["links"] = []

    assert {"links"} == found(broken(change))


@pytest.mark.parametrize(
    "url",
    [
        "/d/nowhere?${__url_time_range}&${environment:queryparam}",
        "/d/shopscope-x?${environment:queryparam}",
        "/d/shopscope-x?${__url_time_range}",
    ],
    ids=["no such board", "the time range is lost", "the environment is lost"],
)
def test_a_link_to_a_board_finds_it_and_keeps_time_and_environment(url):
    """Who follows a link in an incident must not choose both anew."""
    link = [{"title": "There", "url": url}]
    assert {"links"} == found(broken(put("panels.1.fieldConfig.defaults.links", link)))
    whole = [{"title": "There", "url": "/d/shopscope-x?${__url_time_range}&${environment:queryparam}"}]
    assert set() == found(broken(put("panels.1.fieldConfig.defaults.links", whole)))


def test_ids_must_not_count_panels():
    """The auto_panel_ids of grafanalib would: a panel inserted at the top would move every link to a panel."""

    def change(board):
        for number, panel in enumerate(board["panels"], 1):
            panel["id"] = number

    assert {"ids"} == found(broken(change))


def test_ids_must_differ():
    """Two panels of one id are one panel to Grafana."""

    def change(board):
        board["panels"][1]["id"] = board["panels"][2]["id"]

    assert {"ids"} == found(broken(change))


def test_a_board_must_have_its_uid_alone():
    """The second would replace the first."""
    assert {"uid"} == found(sound(), sound())


def test_panels_of_a_collapsed_row_are_looked_at_too():
    """Nobody sees their faults until the row is opened."""
    board = json.loads(Board("b", "B", "What.", [Row("Closed", collapsed=True), *list(panels())[1:]]).to_json())
    assert set() == found(board)
    inner = board["panels"][0]["panels"][0]
    inner["description"] = ""
    inner["targets"][0]["expr"] = "sum by (outcome) (shopscope_slo_events_total)"
    assert {"description", "rate", "environment", "unit"} == found(board)


def test_a_variable_must_change_something():
    """One that no query has makes people wait for a board that never changes."""
    board = sound()
    board["templating"]["list"].append({"name": "idle", "type": "custom", "query": "a,b"})
    assert {"variables"} == found(board)


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


def test_metrics_that_nobody_sees_are_found():
    """All but the two on the board, and none that is excused."""
    excused = {"shopscope_orders": "a reason"}
    orphans = [finding.place for finding in lint([sound()], excused)]
    assert "shopscope_guard_info" in orphans
    assert not {"shopscope_slo_events", "shopscope_journey_duration_seconds", "shopscope_orders"} & set(orphans)


def test_an_excuse_for_a_metric_that_is_on_a_board_is_found():
    """The list of exceptions does not outlive its reasons."""
    stale = [finding for finding in lint([sound()], {"shopscope_slo_events": "a reason"}) if "list" in finding.message]
    assert ["shopscope_slo_events"] == [finding.place for finding in stale]


def test_every_excuse_has_a_reason():
    """Of the list that we use."""
    assert [] == [name for name, reason in UNSHOWN.items() if not reason]


def test_a_finding_says_where_and_what():
    """In one line."""
    assert "b · P: it is wrong (rule)" == str(Finding("b", "P", "rule", "it is wrong"))
    assert "boards: it is wrong (rule)" == str(Finding("", "", "rule", "it is wrong"))
