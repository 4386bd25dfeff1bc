"""What the SDK says of itself: queues, bytes, losses, and that every row of the table is measured."""

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY

from shopscope._metrics import _selfmetrics
from shopscope._metrics._names import METRICS
from shopscope._metrics._prometheus_names import prometheus_name

SHOP = """
[journeys.checkout]
routes = ["GET /x"]
service = "checkout"
latency = "123ms"
objective = 0.99
"""


def client_span(name="call", **attributes):
    trace.get_tracer("test").start_span(name, kind=SpanKind.CLIENT, attributes=attributes).end()


def test_zero_from_the_start(observe, sink):
    """Series whose labels are known are there before anything happens: `increase` does not see a first value."""
    observe(shop=SHOP).shutdown()
    assert {("checkout", outcome) for outcome in ("good", "slow", "error")} == {
        (point.tags["journey"], point.tags["outcome"]) for point in sink.points("shopscope.slo.events")
    }
    assert [0] == [point.point.count for point in sink.points("shopscope.journey.duration")]
    dropped = {(p.tags["signal"], p.tags["reason"]): p.point.as_double for p in sink.points("shopscope.sdk.dropped")}
    assert (3 * len(_selfmetrics.REASONS), {0.0}) == (len(dropped), set(dropped.values()))
    for name in ("shopscope.sdk.spans", "shopscope.sdk.sent", "shopscope.sdk.export"):
        assert {"traces", "metrics", "logs"} == {point.tags["signal"] for point in sink.points(name)}


def test_self_telemetry_of_the_queues(observe, sink):
    """What is queued, sent and lost adds up; the queue's length, bytes and bound are told."""
    sink.answer("traces", misbehaviour="hang")
    scope = observe(OTEL_BSP_MAX_QUEUE_SIZE="7", OTEL_BSP_SCHEDULE_DELAY="60000")
    for _ in range(7):
        client_span(**{"server.address": "bank"})
    sink.wait_for_attempts("/v1/traces", 1)  # these are on their way now
    for _ in range(10):
        client_span(**{"server.address": "bank"})
    found = {
        name: REGISTRY.get_sample_value(f"shopscope_sdk_{name}", {"signal": "traces"})
        for name in ("queued_total", "queue_records", "queue_bytes", "queue_max_records")
    }
    lost = REGISTRY.get_sample_value("shopscope_sdk_dropped_total", {"signal": "traces", "reason": "queue_full"})
    assert (14, 7, 7, 3) == (found["queued_total"], found["queue_records"], found["queue_max_records"], lost)
    assert found["queue_bytes"] > 7 * 40
    sink.answer("traces")
    sink.released.set()
    scope.shutdown()
    assert 14 == len(sink.spans())


def test_sent_bytes(observe, sink):
    """Bytes handed to the endpoint are counted by signal."""
    scope = observe()
    client_span(**{"server.address": "bank"})
    assert scope.flush()
    scope.shutdown()
    sent = {point.tags["signal"]: point.point.as_double for point in sink.points("shopscope.sdk.sent")}
    assert sent["traces"] > sink.span().item.ByteSize() > 0


def test_rows_are_what_is_measured(observe):
    """Each row of the table is the kind of metric that is there, and its Prometheus name is the OTLP name's."""
    observe()
    there = {metric.name: metric.type for metric in REGISTRY.collect()}
    for row in METRICS:
        assert row.family == prometheus_name(row.otlp, row.unit, row.kind)
        assert {"updowncounter": "gauge"}.get(row.kind, row.kind) == there.get(row.family, row.kind), row.family
    assert {row.family for row in METRICS if not row.family.startswith("shopscope_cpu")} <= set(there)
