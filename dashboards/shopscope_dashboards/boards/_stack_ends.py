"""Rows of the board about the stack itself, where telemetry ends: series, Prometheus, Alertmanager, Tempo, Loki."""

from shopscope_dashboards import (
    Column,
    Override,
    Panel,
    PromQuery,
    Table,
    Threshold,
    TimeSeries,
    metric,
)
from shopscope_dashboards.boards._service import RANGE, cells, or_none, per_second
from shopscope_dashboards.boards._stack_parts import (
    DISCARDED,
    FULL,
    NEVER,
    REASONS,
    RECEIVED,
    SENT,
    runbook,
)


def cardinality() -> tuple[Panel, ...]:
    """How many series there are, whose they are, and where a label has values without bound."""
    sent = per_second(SENT, "service_name")
    families = '{__name__=~"(shopscope|http_server|db_client)_.+_(count|total)"}'
    return (
        TimeSeries(
            "Series in memory",
            "Of all metrics, and how many are new per second: a label whose values come from data makes new ones all "
            "the time.",
            [
                PromQuery('sum(prometheus_tsdb_head_series{job="prometheus"})', "series"),
                PromQuery(
                    f'sum(rate(prometheus_tsdb_head_series_created_total{{job="prometheus"}}[{RANGE}]))',
                    "new per second",
                ),
            ],
            unit="short",
            minimum=0,
            overrides=[Override("new per second", unit="cps", right=True)],
            links=runbook("series-overflow"),
        ),
        Table(
            "Metrics with the most series",
            "A metric of a service past 1,000 shares one overflow series from there on.",
            [cells(f"topk(10, count by (service_name, __name__) ({families}))")],
            unit="short",
            columns=[
                Column("service_name", "Service", width=100),
                Column("__name__", "Metric"),
                Column("A", "Series", width=70),
            ],
            sort="Series",
            links=runbook("series-overflow"),
        ),
        TimeSeries(
            "Measurements in overflow series",
            "Per second: a label of that metric has values without bound.",
            [
                PromQuery(
                    or_none(per_second(metric("shopscope_sdk_overflow_total"), "service_name, metric"), sent, "metric"),
                    "{{service_name}} {{metric}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("series-overflow"),
        ),
    )


def prometheus() -> tuple[Panel, ...]:
    """Ingest, rules and scrapes."""
    of_prometheus = '{job="prometheus"}'
    return (
        TimeSeries(
            "Samples taken",
            "Samples per second that were stored.",
            [PromQuery(f"sum(rate(prometheus_tsdb_head_samples_appended_total{of_prometheus}[{RANGE}]))", "samples")],
            unit="cps",
            minimum=0,
            links=runbook("prometheus-rejects-samples"),
        ),
        TimeSeries(
            "Samples rejected",
            "Too late, or twice with different values: they are lost.",
            [
                PromQuery(
                    f"sum(rate(prometheus_tsdb_{reason}_samples_total{of_prometheus}[{RANGE}]))",
                    reason.replace("_", " "),
                )
                for reason in REASONS
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("prometheus-rejects-samples"),
        ),
        TimeSeries(
            "Rules that fail",
            "Evaluations per second that failed, by group: what these record is missing, their alerts may not fire.",
            [
                PromQuery(
                    "sum by (group) (label_replace(rate(prometheus_rule_evaluation_failures_total["
                    + RANGE
                    + ']), "group", "$1", "rule_group", ".*;(.+)"))',
                    "{{group}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("rules-fail"),
        ),
        TimeSeries(
            "How long rules take",
            "Of a group's interval. At 100 %, evaluations are left out.",
            [
                PromQuery(
                    "max by (group) (label_replace(prometheus_rule_group_last_duration_seconds"
                    ' / prometheus_rule_group_interval_seconds, "group", "$1", "rule_group", ".*;(.+)"))',
                    "{{group}}",
                )
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.05,
            thresholds=FULL,
            links=runbook("rules-fail"),
        ),
        TimeSeries(
            "Scrapes",
            "How long Prometheus takes to read each component's metrics; a scrape of more than 10 s fails.",
            [PromQuery("max by (job) (scrape_duration_seconds)", "{{job}}")],
            unit="s",
            minimum=0,
            thresholds=[Threshold(None, "green"), Threshold(5.0, "orange"), Threshold(10.0, "red")],
            threshold_style="off",
            links=runbook("component-down"),
        ),
        TimeSeries(
            "Disk, of what may be used",
            "Blocks and the log of what is not in a block yet, of the retention size. Near 100 %, history gets "
            "shorter.",
            [
                PromQuery(
                    f"max((prometheus_tsdb_storage_blocks_bytes{of_prometheus} "
                    f"+ prometheus_tsdb_wal_storage_size_bytes{of_prometheus}) "
                    f"/ (prometheus_tsdb_retention_limit_bytes{of_prometheus} > 0))",
                    "used",
                )
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.1,
            thresholds=[Threshold(None, "green"), Threshold(0.9, "orange")],
            links=runbook("history-short"),
        ),
        Table(
            "What each scrape brings",
            "Samples by component, and whether it answered.",
            [
                cells("max by (job, instance) (up)"),
                cells("max by (job, instance) (scrape_samples_scraped)"),
                cells("max by (job, instance) (scrape_duration_seconds)"),
            ],
            unit="short",
            columns=[
                Column("job", "Component"),
                Column("instance", "Address"),
                Column("A", "Up", width=60),
                Column("B", "Samples", unit="short", width=100),
                Column("C", "Took", unit="s", width=100),
            ],
            sort="Samples",
            width=12,
            links=runbook("component-down"),
        ),
        TimeSeries(
            "Queries, p99",
            "How long Prometheus takes to answer, boards and rules together.",
            [
                PromQuery(
                    "histogram_quantile(0.99, sum by (le) "
                    "(rate(prometheus_engine_query_duration_histogram_seconds_bucket"
                    f'{{slice="inner_eval"}}[{RANGE}])))',
                    "p99",
                )
            ],
            unit="s",
            minimum=0,
            width=12,
            links=runbook("rules-fail"),
        ),
    )


def alertmanager() -> tuple[Panel, ...]:
    """Whether alerts leave."""
    return (
        TimeSeries(
            "Messages sent",
            "Notifications by the way out; the heartbeat alone makes some.",
            [
                PromQuery(
                    f"sum by (integration) (increase(alertmanager_notifications_total[{RANGE}])) > 0 "
                    f"or {_all(f'sum(increase(alertmanager_notifications_total[{RANGE}]))', 'integration')}",
                    "{{integration}}",
                )
            ],
            unit="short",
            minimum=0,
            draw="bars",
            links=runbook("alerts-undelivered"),
        ),
        TimeSeries(
            "Messages that failed",
            "By the way out, and from Prometheus to Alertmanager. Whatever else is wrong now, nobody is told.",
            [
                PromQuery(
                    f"sum by (integration) (rate(alertmanager_notifications_failed_total[{RANGE}])) > 0 "
                    f"or {_all(f'sum(rate(alertmanager_notifications_failed_total[{RANGE}]))', 'integration')}",
                    "out: {{integration}}",
                ),
                PromQuery(
                    f"sum(rate(prometheus_notifications_errors_total[{RANGE}])) "
                    f"+ sum(rate(prometheus_notifications_dropped_total[{RANGE}]))",
                    "to Alertmanager",
                ),
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("alerts-undelivered"),
        ),
        TimeSeries(
            "Alerts that Alertmanager knows",
            "By state: *suppressed* ones are silenced, or held back by another.",
            [PromQuery("sum by (state) (alertmanager_alerts)", "{{state}}")],
            unit="short",
            minimum=0,
            draw="steps",
            links=runbook("heartbeat"),
        ),
    )


def stores() -> tuple[Panel, ...]:
    """What Tempo and Loki take and discard."""
    received = f'sum by (job) (rate({{__name__=~"{RECEIVED}"}}[{RANGE}]))'
    return (
        TimeSeries(
            "Spans and lines taken",
            "By Tempo and Loki, per second.",
            [PromQuery(received, "{{job}}")],
            unit="cps",
            minimum=0,
            links=runbook("backend-stalled"),
        ),
        TimeSeries(
            "Discarded, by reason",
            "Tempo and Loki name the limit that was reached.",
            [
                PromQuery(
                    or_none(f'sum by (job, reason) (rate({{__name__=~"{DISCARDED}"}}[{RANGE}]))', received, "reason"),
                    "{{job}} {{reason}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("store-drops-telemetry"),
        ),
        TimeSeries(
            "Live traces and streams",
            "What Tempo and Loki hold in memory. Streams climb with labels whose values come from data.",
            [
                PromQuery("sum(tempo_live_store_live_traces)", "traces"),
                PromQuery("sum(loki_ingester_memory_streams)", "streams"),
            ],
            unit="short",
            minimum=0,
            links=runbook("store-drops-telemetry"),
        ),
    )


def _all(expr: str, label: str) -> str:
    """A sum over all values of a label, which then says so."""
    return f'label_replace({expr}, "{label}", "all", "", "")'
