"""The one table of the SDK's metrics: Prometheus name, OTLP name, unit, labels and the attributes they are in OTLP.

OTLP names translate to the Prometheus ones by the OpenTelemetry rules (dots to underscores, unit and ``_total``
appended), so that dashboards hold whichever way the data came.
"""

from typing import NamedTuple


class MetricName(NamedTuple):
    """How one metric is called.

    Attributes:
        family: name in ``prometheus_client``, without ``_total``.
        otlp: name in OTLP.
        unit: UCUM unit in OTLP.
        description: one sentence.
        labels: Prometheus label → OTLP attribute.
        kind: ``counter``, ``histogram``, ``gauge`` or ``updowncounter`` (a gauge whose series can be summed).
        unbounded: labels whose values come from data; past the cap on series they read ``_overflow``.
    """

    family: str
    otlp: str
    unit: str
    description: str
    labels: dict[str, str]
    kind: str = "counter"
    unbounded: tuple[str, ...] = ()


def _same(*labels: str) -> dict[str, str]:
    return {label: label for label in labels}


REQUEST_DURATION = MetricName(
    "http_server_request_duration_seconds",
    "http.server.request.duration",
    "s",
    "Duration of HTTP server requests.",
    {
        "http_request_method": "http.request.method",
        "http_route": "http.route",
        "http_response_status_code": "http.response.status_code",
    },
    "histogram",
    unbounded=("http_route",),
)
ACTIVE_REQUESTS = MetricName(
    "http_server_active_requests",
    "http.server.active_requests",
    "{request}",
    "HTTP requests being served.",
    {},
    "gauge",
)
JOURNEY_DURATION = MetricName(
    "shopscope_journey_duration_seconds",
    "shopscope.journey.duration",
    "s",
    "Duration of a journey's requests, as the customer sees them.",
    _same("journey"),
    "histogram",
)
JOURNEY_STARTED = MetricName(
    "shopscope_journey_started",
    "shopscope.journey.started",
    "{event}",
    "Events of a journey that have begun, whether or not they have ended.",
    _same("journey"),
)
SLO_EVENTS = MetricName(
    "shopscope_slo_events",
    "shopscope.slo.events",
    "{event}",
    "Events of a journey's objective: good, slow or error.",
    _same("journey", "outcome"),
)
DEPENDENCY_DURATION = MetricName(
    "shopscope_dependency_duration_seconds",
    "shopscope.dependency.duration",
    "s",
    "Duration of calls to a dependency, as the caller sees them.",
    _same("journey", "peer", "kind", "access", "outcome"),
    "histogram",
    unbounded=("journey", "peer"),
)
ORDERS = MetricName(
    "shopscope_orders",
    "shopscope.orders",
    "{order}",
    "Orders placed.",
    _same("currency"),
    unbounded=("currency",),
)
ORDER_VALUE = MetricName(
    "shopscope_order_value",
    "shopscope.order.value",
    "{currency}",
    "Value of orders placed.",
    _same("currency"),
    unbounded=("currency",),
)

EVENT_LOOP_LAG = MetricName(
    "shopscope_event_loop_lag_seconds",
    "shopscope.event_loop.lag",
    "s",
    "How much later than due a timer of the event loop ran.",
    {},
    "histogram",
)
GC_PAUSE = MetricName(
    "shopscope_gc_pause_seconds", "shopscope.gc.pause", "s", "Pauses for garbage collection.", {}, "histogram"
)
# https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools
POOL_CONNECTIONS = MetricName(
    "db_client_connection_count",
    "db.client.connection.count",
    "{connection}",
    "Connections of a database pool, by state: idle or used.",
    _same("pool", "state"),
    "updowncounter",
    unbounded=("pool",),
)
POOL_MAX = MetricName(
    "db_client_connection_max",
    "db.client.connection.max",
    "{connection}",
    "Most connections that a database pool may open.",
    _same("pool"),
    "updowncounter",
    unbounded=("pool",),
)
POOL_PENDING = MetricName(
    "db_client_connection_pending_requests",
    "db.client.connection.pending_requests",
    "{request}",
    "Callers waiting for a connection of a database pool.",
    _same("pool"),
    "updowncounter",
    unbounded=("pool",),
)
POOL_TIMEOUTS = MetricName(
    "db_client_connection_timeouts",
    "db.client.connection.timeouts",
    "{timeout}",
    "Waits for a connection of a database pool that were given up.",
    _same("pool"),
    unbounded=("pool",),
)
POOL_WAIT = MetricName(
    "db_client_connection_wait_time_seconds",
    "db.client.connection.wait_time",
    "s",
    "Time until a database pool handed out a connection.",
    _same("pool"),
    "histogram",
    unbounded=("pool",),
)
THREADS_WAITING = MetricName(
    "shopscope_thread_pool_waiting",
    "shopscope.thread_pool.waiting",
    "{task}",
    "Tasks waiting for a thread, of anyio (sync endpoints) or of executors (run_in_executor).",
    _same("pool"),
    "gauge",
)
THREADS_USED = MetricName(
    "shopscope_thread_pool_used", "shopscope.thread_pool.used", "{thread}", "Threads at work.", _same("pool"), "gauge"
)
THREADS_MAX = MetricName(
    "shopscope_thread_pool_max", "shopscope.thread_pool.max", "{thread}", "Most threads.", _same("pool"), "gauge"
)
CPU_THROTTLED = MetricName(
    "shopscope_cpu_throttled_seconds",
    "shopscope.cpu.throttled",
    "s",
    "Time for which the container's CPU limit has stopped its processes.",
    {},
)
CPU_THROTTLED_PERIODS = MetricName(
    "shopscope_cpu_throttled_periods",
    "shopscope.cpu.throttled_periods",
    "{period}",
    "Scheduling periods in which the container's CPU limit has stopped a process.",
    {},
)
CPU_PERIODS = MetricName(
    "shopscope_cpu_periods",
    "shopscope.cpu.periods",
    "{period}",
    "Scheduling periods in which the container's CPU limit applied.",
    {},
)

GUARD_INFO = MetricName(
    "shopscope_guard_info",
    "shopscope.guard.info",
    "",
    "1 for each protection that calls were made under.",
    _same("peer", "operation", "kind"),
    "gauge",
    ("peer", "operation"),
)
GUARD_EVENTS = MetricName(
    "shopscope_guard_events",
    "shopscope.guard.events",
    "{event}",
    "What a protection did: opened, half_opened, closed, rejected, retried, exhausted, limited, expired.",
    _same("peer", "operation", "kind", "event"),
    unbounded=("peer", "operation"),
)
CACHE_REQUESTS = MetricName(
    "shopscope_cache_requests",
    "shopscope.cache.requests",
    "{request}",
    "Reads of a cache.",
    _same("cache", "result"),
    unbounded=("cache",),
)
CACHE_AGE = MetricName(
    "shopscope_cache_entry_age_seconds",
    "shopscope.cache.entry.age",
    "s",
    "Age of the entries that reads of a cache found.",
    _same("cache", "result"),
    "histogram",
    unbounded=("cache",),
)
WRITE_CONFLICTS = MetricName(
    "shopscope_write_conflicts",
    "shopscope.write.conflicts",
    "{conflict}",
    "Writes refused because another had changed the same data.",
    _same("entity"),
    unbounded=("entity",),
)
STALE_READS = MetricName(
    "shopscope_stale_reads",
    "shopscope.stale.reads",
    "{read}",
    "Reads that turned out to be out of date.",
    _same("entity"),
    unbounded=("entity",),
)
SDK_SENT = MetricName(
    "shopscope_sdk_spans", "shopscope.sdk.spans", "{record}", "Records delivered to the OTLP endpoint.", _same("signal")
)
SDK_DROPPED = MetricName(
    "shopscope_sdk_dropped", "shopscope.sdk.dropped", "{record}", "Records lost, by reason.", _same("signal", "reason")
)
SDK_ERRORS = MetricName(
    "shopscope_sdk_errors",
    "shopscope.sdk.errors",
    "{error}",
    "Faults inside the SDK that were kept from the service.",
    _same("where"),
)
SDK_EXPORT = MetricName(
    "shopscope_sdk_export_seconds",
    "shopscope.sdk.export",
    "s",
    "Time of one export request.",
    _same("signal"),
    "histogram",
)
SDK_OVERFLOW = MetricName(
    "shopscope_sdk_overflow",
    "shopscope.sdk.overflow",
    "{series}",
    "Times that a series past a metric's cap was asked for; its measurements are in the overflow series.",
    _same("metric"),
)
SDK_QUEUED = MetricName(
    "shopscope_sdk_queued",
    "shopscope.sdk.queued",
    "{record}",
    "Spans ended and lines logged that entered the queue.",
    _same("signal"),
)
SDK_QUEUE_RECORDS = MetricName(
    "shopscope_sdk_queue_records",
    "shopscope.sdk.queue.records",
    "{record}",
    "Records waiting for their export request.",
    _same("signal"),
    "gauge",
)
SDK_QUEUE_BYTES = MetricName(
    "shopscope_sdk_queue_bytes",
    "shopscope.sdk.queue",
    "By",
    "Bytes waiting for their export request.",
    _same("signal"),
    "gauge",
)
SDK_QUEUE_MAX = MetricName(
    "shopscope_sdk_queue_max_records",
    "shopscope.sdk.queue.max_records",
    "{record}",
    "Records that the queue holds at most; further ones are dropped.",
    _same("signal"),
    "gauge",
)
SDK_SENT_BYTES = MetricName(
    "shopscope_sdk_sent_bytes",
    "shopscope.sdk.sent",
    "By",
    "Bytes handed to the OTLP endpoint, before compression, retries included.",
    _same("signal"),
)

#: Every metric of the SDK, in the order of its reference.
METRICS = (
    REQUEST_DURATION,
    ACTIVE_REQUESTS,
    JOURNEY_DURATION,
    JOURNEY_STARTED,
    SLO_EVENTS,
    DEPENDENCY_DURATION,
    ORDERS,
    ORDER_VALUE,
    EVENT_LOOP_LAG,
    GC_PAUSE,
    POOL_CONNECTIONS,
    POOL_MAX,
    POOL_PENDING,
    POOL_TIMEOUTS,
    POOL_WAIT,
    THREADS_WAITING,
    THREADS_USED,
    THREADS_MAX,
    CPU_THROTTLED,
    CPU_THROTTLED_PERIODS,
    CPU_PERIODS,
    GUARD_INFO,
    GUARD_EVENTS,
    CACHE_REQUESTS,
    CACHE_AGE,
    WRITE_CONFLICTS,
    STALE_READS,
    SDK_SENT,
    SDK_DROPPED,
    SDK_ERRORS,
    SDK_EXPORT,
    SDK_OVERFLOW,
    SDK_QUEUED,
    SDK_QUEUE_RECORDS,
    SDK_QUEUE_BYTES,
    SDK_QUEUE_MAX,
    SDK_SENT_BYTES,
)
BY_FAMILY = {metric.family: metric for metric in METRICS}
BY_OTLP = {metric.otlp: metric for metric in METRICS}
