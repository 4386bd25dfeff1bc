"""A board with every kind of panel, each with all that it can be told."""

from shopscope_dashboards import (
    ENVIRONMENT,
    Annotation,
    BarGauge,
    Board,
    Column,
    Gauge,
    Heatmap,
    Link,
    LogQuery,
    Logs,
    NodeGraph,
    Override,
    PromQuery,
    Row,
    Stat,
    StateTimeline,
    Table,
    Text,
    Threshold,
    TimeSeries,
    TraceQuery,
    Traces,
    ValueMapping,
    Variable,
    board_link,
    bucket,
    logs_link,
    metric,
    metrics_link,
    runbook_link,
    traces_link,
)

BUCKETS = f'rate({bucket("shopscope_journey_duration_seconds")}{{journey="checkout"}}[$__rate_interval])'
EVENTS = f"sum by (outcome) (rate({metric('shopscope_slo_events_total')}[$__rate_interval]))"
THRESHOLDS = (Threshold(None, "green"), Threshold(0.5, "orange"), Threshold(0.8, "red"))
LINKS = (
    traces_link("Slow traces", '{ span.shopscope.journey = "checkout" && duration > 800ms }'),
    board_link("This moment", "shopscope-dependencies", minutes=10, peer="${__field.labels.peer}"),
)
CALLS = "sum by (id, source, target) (calls)"


def table_query(expr):
    return PromQuery(expr, instant=True, format="table")


def panels():
    """Every kind of panel, with every option that writes something."""
    yield Row("Numbers")
    yield TimeSeries(
        "Wait, p95",
        "How long customers wait.",
        [
            PromQuery(f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))", "p95"),
            PromQuery("b", "{{peer}}", interval="1m"),
        ],
        unit="s",
        thresholds=THRESHOLDS,
        minimum=0,
        maximum=1.5,
        decimals=2,
        links=LINKS,
        colours={"p95": "orange", "/^a.*/": "blue"},
        overrides=(
            Override(
                "b", colour="red", unit="reqps", decimals=1, right=True, dashed=True, bars=True, fill=20, links=LINKS
            ),
            Override("/c.*/", properties={"custom.lineWidth": 2, "custom.hideFrom": {"legend": True}}),
        ),
        stack="percent",
        legend="right",
        legend_values=("lastNotNull", "max"),
        axis="seconds",
        soft_maximum=1.0,
        log=True,
        interval="30s",
        time_from="6h",
        repeat="peer",
    )
    mappings = (
        ValueMapping(0, "down", "red"),
        ValueMapping("up", "up"),
        ValueMapping((1, None), "many", "green"),
        ValueMapping(None, "none"),
    )
    yield Stat(
        "Good", "Share of good events.", [PromQuery(EVENTS)], thresholds=THRESHOLDS, mappings=mappings, no_value="-"
    )
    yield Gauge("Pool", "Connections in use.", [PromQuery("p")], unit="percentunit", minimum=0, maximum=1)
    yield BarGauge("Shares", "Who shares what.", [PromQuery("s", instant=True)], unit="bytes", width=4, height=4)
    yield StateTimeline("Breakers", "Open or closed.", [PromQuery("g", "{{peer}}")], mappings=mappings)
    yield Row("Others", collapsed=True)
    yield Table(
        "Peers",
        "Per dependency.",
        [table_query("a"), table_query("b")],
        columns=(
            Column("peer", "dependency", width=100, links=LINKS, align="left"),
            Column("A", "calls", unit="reqps", decimals=1, cell="gauge", minimum=0, maximum=9, thresholds=THRESHOLDS),
            Column("B", "failed", unit="percentunit", cell="background", mappings=mappings),
            Column("kind", cell="text"),
        ),
        sort="calls",
    )
    yield Heatmap("Spread", "Classic.", [PromQuery(f"sum by (le) ({BUCKETS})", "{{le}}", format="heatmap")], unit="s")
    yield Heatmap(
        "Spread, native", "Native.", [PromQuery("sum(rate(x[1m]))")], unit="s", log=2, minimum=0.001, decimals=1
    )
    yield NodeGraph("Tempo's map", "Who calls whom.", [TraceQuery("", kind="serviceMap")], unit="reqps")
    yield NodeGraph(
        "Map",
        "Who calls whom.",
        [table_query(CALLS), table_query(CALLS)],
        nodes=[table_query(f"{name} by (id, title) (calls)") for name in ("sum", "avg", "max")],
        unit="reqps",
        second_unit="s",
    )
    yield Traces("Slow traces", "The slowest.", [TraceQuery('{ span.shopscope.journey = "checkout" }', limit=5)])
    yield Traces("One trace", "By its id.", [TraceQuery("$trace")], single=True)
    yield Logs("Errors", "What was said.", [LogQuery('{service_name=~".+"} | severity_text = "ERROR"')], links=LINKS)
    yield TimeSeries("Both", "Prometheus and Loki.", [PromQuery("u"), LogQuery("sum(count_over_time({a=~'.+'}[1m]))")])
    yield Text("", "# Read me", width=24, height=2)


def sample():
    """The board."""
    return Board(
        "shopscope-sample",
        "Sample",
        "Every kind of panel.",
        tuple(panels()),
        variables=(
            ENVIRONMENT,
            Variable("peer", "Dependency", "label_values(up, peer)", all_value="", regex="/(.*)/"),
            Variable("trace", "Trace", values=("0af7651916cd43dd8448eb211c80319c", "none"), multi=False, all=False),
            Variable("kind", "Kind", values=("db", "http"), multi=False),
        ),
        links=(
            runbook_link("docs/runbooks/checkout.md"),
            logs_link("Logs", '{a="b"}'),
            metrics_link("Up", "up"),
            Link("a", "/"),
        ),
        annotations=(Annotation("Restarts", "changes(x[1m]) > 0", "{{job}}", "orange", enabled=False),),
    )
