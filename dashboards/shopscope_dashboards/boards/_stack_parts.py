"""How the board about the stack itself asks for what is lost.

Counters of losses often come into being with the first loss: each is drawn over what went well, as 0 until then.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shopscope_dashboards import (
    Link,
    PromQuery,
    Threshold,
    metric,
    runbook_link,
)
from shopscope_dashboards.boards._service import RANGE, of

SIGNALS: Final = (("traces", "spans"), ("metrics", "metric_points"), ("logs", "log_records"))
SENT: Final = metric("shopscope_sdk_spans_total")
DROPPED: Final = metric("shopscope_sdk_dropped_total")
NEVER: Final = (Threshold(None, "green"), Threshold(0.001, "red"))
FULL: Final = (Threshold(None, "green"), Threshold(0.7, "red"))
REASONS: Final = ("too_old", "out_of_order", "out_of_bound")
# Of Tempo and Loki; their jobs tell them apart where their names do not.
RECEIVED: Final = "tempo_distributor_spans_received_total|loki_distributor_lines_received_total"
DISCARDED: Final = "tempo_discarded_spans_total|loki_discarded_samples_total"


def all_signals(expr: str) -> str:
    """``expr`` with ``{}`` for spans, metric points and log records, as one vector.

    One pattern over the three names would not do: without their names their series are the same.
    """
    each = (f'label_replace({expr.format(name)}, "signal", "{signal}", "", "")' for signal, name in SIGNALS)
    return f"({' or '.join(each)})"


def _sum(*exprs: str) -> str:
    """The sum of all of these; what is not there is 0."""
    return " + ".join(f"(sum({expr}) or vector(0))" for expr in exprs)


#: Where records are lost → how many were, in the time range.
LOSSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SDK": f"sum(increase({of(DROPPED)}[$__range]))",
        "collector": _sum(
            all_signals("increase(otelcol_exporter_send_failed_{}_total[$__range])"),
            all_signals("increase(otelcol_exporter_enqueue_failed_{}_total[$__range])"),
            all_signals("increase(otelcol_receiver_failed_{}_total[$__range])"),
        ),
        "stores": _sum(
            *(f'increase(prometheus_tsdb_{reason}_samples_total{{job="prometheus"}}[$__range])' for reason in REASONS),
            "increase(tempo_discarded_spans_total[$__range])",
            "increase(loki_discarded_samples_total[$__range])",
        ),
    }
)


def runbook(section: str) -> tuple[Link, ...]:
    return (runbook_link(f"docs/runbooks/stack.md#{section}"),)


def of_signals(prefix: str, by: str, legend: str) -> list[PromQuery]:
    """A query for each signal: the collector has a counter for each."""
    return [
        PromQuery(f"sum by ({by}) (rate(otelcol_{prefix}_{name}_total[{RANGE}]))", f"{legend} {signal}")
        for signal, name in SIGNALS
    ]
