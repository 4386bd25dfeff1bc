"""Whether telemetry arrives, what of it is lost and where, and whether alerts leave."""

from typing import Final

from shopscope.config import Shop
from shopscope_dashboards import (
    ENVIRONMENT,
    Board,
    Column,
    Panel,
    PromQuery,
    Row,
    Stat,
    StateTimeline,
    Table,
    Threshold,
    TimeSeries,
    ValueMapping,
    metric,
    runbook_link,
)
from shopscope_dashboards.boards._service import RANGE, cells, of
from shopscope_dashboards.boards._stack_ends import alertmanager, cardinality, prometheus, stores
from shopscope_dashboards.boards._stack_parts import LOSSES
from shopscope_dashboards.boards._stack_way import collector, services

_UP: Final = (ValueMapping(0.0, "down", "red"), ValueMapping(1.0, "up", "green"))
_JOBS: Final = 'job=~"collector|prometheus|alertmanager|tempo|loki|grafana"'
_DOWN: Final = runbook_link("docs/runbooks/stack.md#component-down")
_LOST: Final = runbook_link("docs/runbooks/stack.md#service-drops-telemetry")
_SILENT: Final = runbook_link("docs/runbooks/stack.md#service-silent")
_BEAT: Final = runbook_link("docs/runbooks/stack.md#heartbeat")
_NONE: Final = (Threshold(None, "green"), Threshold(0.5, "red"))


def board(shop: Shop) -> Board:
    """The board; it is the same for every shop."""
    del shop
    return Board(
        "shopscope-stack",
        "Stack health",
        "Whether telemetry arrives, what of it is lost on the way and why, whether metrics have too many series, and "
        "whether alerts leave. Collector and stores are those of all environments.",
        (
            *_first(),
            Row("SDK in the services"),
            *services(),
            Row("Collector"),
            *collector(),
            Row("Series"),
            *cardinality(),
            Row("Prometheus"),
            *prometheus(),
            Row("Alertmanager"),
            *alertmanager(),
            Row("Tempo and Loki"),
            *stores(),
        ),
        variables=(ENVIRONMENT,),
    )


def _first() -> tuple[Panel, ...]:
    heard = of(metric("shopscope_sdk_queue_max_records"))
    return (
        StateTimeline(
            "Components",
            "Whether Prometheus could read each component's metrics. What is not there is not part of this stack.",
            [PromQuery(f"max by (job) (up{{{_JOBS}}})", "{{job}}")],
            mappings=_UP,
            legend=False,
            width=6,
            height=7,
            links=[_DOWN],
        ),
        Stat(
            "Lost on the way",
            "Spans, points and lines that were lost in the time range, by where: the SDK dropped them, the collector "
            "could not deliver or keep them, a store discarded or rejected them. Anything above 0 has its reason "
            "below.",
            [PromQuery(expr, name, instant=True) for name, expr in LOSSES.items()],
            unit="short",
            decimals=0,
            graph=False,
            text="value_and_name",
            colour="background",
            orientation="horizontal",
            thresholds=_NONE,
            width=5,
            height=7,
            links=[_LOST],
        ),
        Stat(
            "Oldest news",
            "Seconds since the service that has been silent for longest last sent metrics; it sends every few seconds. "
            "Services that were heard within the hour.",
            [PromQuery(f"max(time() - max by (service_name) (max_over_time(timestamp({heard})[1h:15s])))")],
            unit="s",
            decimals=0,
            thresholds=[Threshold(None, "green"), Threshold(60.0, "orange"), Threshold(300.0, "red")],
            width=4,
            height=7,
            links=[_SILENT],
        ),
        Table(
            "Alerts that fire or are about to",
            "*ShopscopeHeartbeat* fires always: without it, alerts do not work.",
            [cells("max by (alertname, severity, component, journey, alertstate) (ALERTS)")],
            unit="short",
            columns=[
                Column("alertname", "Alert"),
                Column("journey", "Journey", width=90),
                Column("severity", "Severity", width=80),
                Column("alertstate", "State", width=70),
            ],
            width=9,
            height=7,
            links=[_BEAT],
        ),
        TimeSeries(
            "What comes in",
            "Spans, points and lines per second that the collector took.",
            [
                PromQuery(f"sum(rate(otelcol_receiver_accepted_{name}_total[{RANGE}]))", signal)
                for signal, name in (("traces", "spans"), ("metrics", "metric_points"), ("logs", "log_records"))
            ],
            unit="cps",
            minimum=0,
            width=12,
            height=7,
            links=[_SILENT],
        ),
        TimeSeries(
            "How full the collector's queues are",
            "What waits for each backend. Nothing is lost below 100 %.",
            [
                PromQuery(
                    "max by (exporter, data_type) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                    "{{exporter}} {{data_type}}",
                )
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.1,
            thresholds=[Threshold(None, "green"), Threshold(0.7, "red")],
            width=12,
            height=7,
            links=[runbook_link("docs/runbooks/stack.md#collector-queue-filling")],
        ),
    )
