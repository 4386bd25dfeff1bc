"""Rows of the board about the stack itself, on the way of telemetry: the SDK in the services, the collector."""

from shopscope_dashboards import (
    Override,
    Panel,
    PromQuery,
    TimeSeries,
    metric,
)
from shopscope_dashboards.boards._service import RANGE, of, or_none, per_second, quantile
from shopscope_dashboards.boards._stack_parts import (
    DROPPED,
    FULL,
    NEVER,
    SENT,
    all_signals,
    of_signals,
    runbook,
)


def services() -> tuple[Panel, ...]:
    """What the SDK in each service sends, keeps and loses."""
    sent = per_second(SENT, "service_name")
    waiting = of(metric("shopscope_sdk_queue_bytes"))
    queue, most = of(metric("shopscope_sdk_queue_records")), of(metric("shopscope_sdk_queue_max_records"))
    return (
        TimeSeries(
            "Sent by service",
            "Spans, points and lines per second that the endpoint took.",
            [PromQuery(per_second(SENT, "service_name, signal"), "{{service_name}} {{signal}}")],
            unit="cps",
            minimum=0,
            links=runbook("service-silent"),
        ),
        TimeSeries(
            "Entered and left the queue",
            "Spans and lines that ended, and those delivered. Apart for long: the queue fills.",
            [
                PromQuery(per_second(metric("shopscope_sdk_queued_total"), "signal"), "{{signal}} queued"),
                PromQuery(per_second(SENT, "signal", 'signal!="metrics"'), "{{signal}} delivered"),
            ],
            unit="cps",
            minimum=0,
            links=runbook("service-drops-telemetry"),
        ),
        TimeSeries(
            "Dropped, by reason",
            "Records lost before they left a service. Counts made of them are too low.",
            [
                PromQuery(
                    or_none(
                        f"{per_second(DROPPED, 'service_name, signal, reason')} > 0",
                        per_second(SENT, "service_name, signal"),
                        "reason",
                    ),
                    "{{service_name}} {{signal}} {{reason}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("service-drops-telemetry"),
        ),
        TimeSeries(
            "How full the queues are",
            "Records that wait, of those that the queue holds at most; bytes on the right.",
            [
                PromQuery(f"max by (service_name, signal) ({queue} / {most})", "{{service_name}} {{signal}}"),
                PromQuery(f"sum by (service_name) ({waiting})", "{{service_name}} bytes"),
            ],
            unit="percentunit",
            minimum=0,
            soft_maximum=0.1,
            thresholds=FULL,
            overrides=[Override("/bytes$/", unit="bytes", right=True, dashed=True)],
            links=runbook("service-drops-telemetry"),
        ),
        TimeSeries(
            "Export, p95",
            "How long a request to the endpoint takes. Slow for all services: the collector; for one: its way there.",
            [
                PromQuery(
                    quantile(0.95, "shopscope_sdk_export_seconds", "service_name, signal"),
                    "{{service_name}} {{signal}}",
                )
            ],
            unit="s",
            minimum=0,
            links=runbook("service-drops-telemetry"),
        ),
        TimeSeries(
            "Bytes sent",
            "Before compression, retries included.",
            [
                PromQuery(
                    per_second(metric("shopscope_sdk_sent_bytes_total"), "service_name, signal"),
                    "{{service_name}} {{signal}}",
                )
            ],
            unit="Bps",
            minimum=0,
            links=runbook("service-silent"),
        ),
        TimeSeries(
            "Faults inside the SDK",
            "Exceptions that the SDK kept from the service; each is in the service's log once.",
            [
                PromQuery(
                    or_none(per_second(metric("shopscope_sdk_errors_total"), "service_name, where"), sent, "where"),
                    "{{service_name}} {{where}}",
                )
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            width=24,
            height=6,
            links=runbook("service-faults"),
        ),
    )


def collector() -> tuple[Panel, ...]:
    """What the collector takes, passes on, refuses and loses."""
    sent = f"sum by (exporter) {all_signals(f'rate(otelcol_exporter_sent_{{}}_total[{RANGE}])')}"
    refused = f"sum by (exporter) {all_signals(f'rate(otelcol_exporter_send_failed_{{}}_total[{RANGE}])')}"
    full = f"sum by (exporter) {all_signals(f'rate(otelcol_exporter_enqueue_failed_{{}}_total[{RANGE}])')}"
    return (
        TimeSeries(
            "Sent by exporter",
            "Spans, points and lines per second that each backend took.",
            of_signals("exporter_sent", "exporter", "{{exporter}}"),
            unit="cps",
            minimum=0,
            links=runbook("backend-stalled"),
        ),
        TimeSeries(
            "Refused and failed",
            "Sent back for want of memory or room: services try again. Failed in a processor: lost.",
            [
                *of_signals("receiver_refused", "receiver", "{{receiver}} refused"),
                *of_signals("receiver_failed", "receiver", "{{receiver}} failed"),
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("collector-refuses"),
        ),
        TimeSeries(
            "Lost by exporter",
            "Refused by the backend for good, or not got into the queue.",
            [
                PromQuery(or_none(refused, sent), "{{exporter}} refused"),
                PromQuery(or_none(full, sent), "{{exporter}} queue full"),
            ],
            unit="cps",
            minimum=0,
            soft_maximum=1,
            thresholds=NEVER,
            links=runbook("collector-drops-telemetry"),
        ),
        TimeSeries(
            "What waits",
            "Records in the queue for each backend.",
            [PromQuery("sum by (exporter, data_type) (otelcol_exporter_queue_size)", "{{exporter}} {{data_type}}")],
            unit="short",
            minimum=0,
            links=runbook("backend-stalled"),
        ),
        TimeSeries(
            "Lost in processors",
            "Items per second that went in and did not come out.",
            [
                PromQuery(
                    f"sum by (processor) (rate(otelcol_processor_incoming_items_total[{RANGE}])) - "
                    f"sum by (processor) (rate(otelcol_processor_outgoing_items_total[{RANGE}]))",
                    "{{processor}}",
                )
            ],
            unit="cps",
            links=runbook("collector-fails"),
        ),
        TimeSeries(
            "Memory and CPU of the collector",
            "Resident memory; the memory limiter refuses before the container's limit is reached. CPU on the right, "
            "of one core.",
            [
                PromQuery(
                    "max by (service_instance_id) (otelcol_process_memory_rss_bytes)", "{{service_instance_id}} memory"
                ),
                PromQuery(
                    f"sum by (service_instance_id) (rate(otelcol_process_cpu_seconds_total[{RANGE}]))",
                    "{{service_instance_id}} CPU",
                ),
            ],
            unit="bytes",
            minimum=0,
            overrides=[Override("/CPU$/", unit="percentunit", right=True)],
            links=runbook("collector-refuses"),
        ),
    )
