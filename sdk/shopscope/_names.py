"""The one table of the SDK's metrics: Prometheus name, OTLP name, unit, labels and the attributes they are in OTLP.

OTLP names translate to the Prometheus ones by the OpenTelemetry rules (dots to underscores, unit and ``_total``
appended), so that dashboards hold whichever way the data came.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricName:
    """How one metric is called.

    Attributes:
        family: name in ``prometheus_client``, without ``_total``.
        otlp: name in OTLP.
        unit: UCUM unit in OTLP.
        description: one sentence.
        labels: Prometheus label → OTLP attribute.
    """

    family: str
    otlp: str
    unit: str
    description: str
    labels: dict[str, str]


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
)
ACTIVE_REQUESTS = MetricName(
    "http_server_active_requests", "http.server.active_requests", "{request}", "HTTP requests being served.", {}
)
JOURNEY_DURATION = MetricName(
    "shopscope_journey_duration_seconds",
    "shopscope.journey.duration",
    "s",
    "Duration of a journey's requests, as the customer sees them.",
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
)
ORDERS = MetricName("shopscope_orders", "shopscope.orders", "{order}", "Orders placed.", _same("currency"))
ORDER_VALUE = MetricName(
    "shopscope_order_value", "shopscope.order.value", "{currency}", "Value of orders placed.", _same("currency")
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
    "shopscope_sdk_export_seconds", "shopscope.sdk.export", "s", "Time of one export request.", _same("signal")
)

METRICS = (
    REQUEST_DURATION,
    ACTIVE_REQUESTS,
    JOURNEY_DURATION,
    SLO_EVENTS,
    DEPENDENCY_DURATION,
    ORDERS,
    ORDER_VALUE,
    SDK_SENT,
    SDK_DROPPED,
    SDK_ERRORS,
    SDK_EXPORT,
)
BY_FAMILY = {metric.family: metric for metric in METRICS}
