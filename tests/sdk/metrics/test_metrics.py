"""Metrics as they arrive by OTLP: names, attributes, units, times, exemplars, caps, and the team's own."""

import time

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY

import shopscope
from shopscope._metrics import _series

CUMULATIVE = 2
SHOP = """
[journeys.checkout]
routes = ["GET /x"]
service = "checkout"
latency = "123ms"
objective = 0.99
"""


@pytest.fixture
def app():
    application = FastAPI()

    @application.get("/x")
    async def x():
        return "ok"

    return application


def client_span(name="call", **attributes):
    trace.get_tracer("test").start_span(name, kind=SpanKind.CLIENT, attributes=attributes).end()


def metric(sink, name):
    (found,) = [one.item for one in sink.pushes(1)[-1] if one.item.name == name]
    return found


def test_every_metric_has_its_name_unit_and_kind(observe, sink, call, app):
    """The table of the design: OTLP name, unit, kind, and cumulative where that applies."""
    scope = observe(app=app, shop=SHOP)
    call(app, "/x")
    client_span(**{"server.address": "bank"})
    shopscope.order_placed(5)
    assert scope.flush()
    scope.shutdown()
    found = {one.item.name: (one.item.WhichOneof("data"), one.item.unit) for one in sink.pushes(1)[-1]}
    expected = {
        "http.server.request.duration": ("histogram", "s"),
        "http.server.active_requests": ("gauge", "{request}"),
        "shopscope.journey.duration": ("histogram", "s"),
        "shopscope.slo.events": ("sum", "{event}"),
        "shopscope.dependency.duration": ("histogram", "s"),
        "shopscope.orders": ("sum", "{order}"),
        "shopscope.order.value": ("sum", "{currency}"),
        "shopscope.sdk.spans": ("sum", "{record}"),
        "shopscope.sdk.export": ("histogram", "s"),
    }
    assert expected == {name: found[name] for name in expected}
    for name, (kind, _) in expected.items():
        if kind != "gauge":
            assert CUMULATIVE == getattr(metric(sink, name), kind).aggregation_temporality
        if kind == "sum":
            assert metric(sink, name).sum.is_monotonic


def test_points_carry_resource_and_times(observe, sink, call, app):
    """Start is when the series began, time is when it was collected; the resource is the service's."""
    before = time.time_ns()
    scope = observe(app=app, version="1.2", environment="test", OTEL_RESOURCE_ATTRIBUTES="team=a%20b")
    call(app, "/x")
    scope.shutdown()
    (point,) = sink.points("http.server.request.duration")
    assert before <= point.point.start_time_unix_nano + 1000 <= point.point.time_unix_nano + 1000
    assert point.point.time_unix_nano <= time.time_ns()
    resource = sink.pushes(1)[-1][0].resource
    assert ("checkout", "1.2", "test", "a b", "shopscope", "python") == tuple(
        resource[key]
        for key in (
            *("service.name", "service.version", "deployment.environment.name", "team"),
            *("telemetry.sdk.name", "telemetry.sdk.language"),
        )
    )
    assert {"service.instance.id", "host.name", "process.pid"} <= set(resource)


def test_cumulative_with_one_start(observe, sink, call, app):
    """Each push has all that came before; the start of a series stays."""
    scope = observe(app=app, OTEL_METRIC_EXPORT_INTERVAL="20")
    call(app, "/x")
    # Two more, because one may have been on its way when the request came.
    pushes = sink.pushes(len(sink.pushes()) + 2)
    first = sink.points("http.server.request.duration", len(pushes) - 1)[0].point
    call(app, "/x")
    scope.shutdown()
    last = sink.points("http.server.request.duration")[0].point
    assert (1, 2) == (first.count, last.count)
    assert first.start_time_unix_nano == last.start_time_unix_nano
    assert last.count == sum(last.bucket_counts)
    assert len(last.explicit_bounds) + 1 == len(last.bucket_counts)


def test_exemplars_lead_to_exported_spans_and_go_once(observe, sink, call, app):
    """Each exemplar names a span that was sent, and is in one push alone."""
    scope = observe(app=app, shop=SHOP, OTEL_METRIC_EXPORT_INTERVAL="10")
    for _ in range(20):
        call(app, "/x")
    client_span(**{"server.address": "bank"})
    sink.pushes(len(sink.pushes()) + 2)
    scope.shutdown()
    spans = {(span.trace_id, span.span_id) for span in sink.spans(21)}
    for name in ("http.server.request.duration", "shopscope.journey.duration", "shopscope.dependency.duration"):
        exemplars = [
            (exemplar.trace_id, exemplar.span_id)
            for push in range(len(sink.pushes()))
            for point in sink.points(name, push)
            for exemplar in point.point.exemplars
        ]
        assert exemplars
        assert len(set(exemplars)) == len(exemplars)
        assert set(exemplars) <= spans


def test_thresholds_are_bounds(observe, sink, call, app):
    """A journey's threshold is a bucket bound of its own, of requests and of dependencies."""
    scope = observe(app=app, shop=SHOP)
    call(app, "/x")
    client_span(**{"server.address": "bank"})
    scope.shutdown()
    for name in ("http.server.request.duration", "shopscope.journey.duration", "shopscope.dependency.duration"):
        assert 0.123 in sink.points(name)[0].point.explicit_bounds


def test_active_requests(observe, call):
    """The gauge counts requests that are being served, and is zero when they are done."""
    app = FastAPI()
    seen = []

    @app.get("/x")
    async def x():
        seen.append(REGISTRY.get_sample_value("http_server_active_requests"))
        return "ok"

    observe(app=app)
    call(app, "/x")
    assert ([1.0], 0.0) == (seen, REGISTRY.get_sample_value("http_server_active_requests"))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"server.address": "bank.example", "server.port": 443}, ("bank.example", "http", "")),
        ({"net.peer.name": "old.example"}, ("old.example", "http", "")),
        ({"server.address": "127.0.0.1", "server.port": 8606}, ("bank", "http", "")),
        ({"server.address": "127.0.0.1", "server.port": 1}, ("127.0.0.1", "http", "")),
        ({"server.address": "x", "peer.service": "named"}, ("named", "http", "")),
        ({"db.system": "postgresql", "db.operation": "SELECT", "server.address": "::1"}, ("postgresql", "db", "read")),
        ({"db.system.name": "mysql", "db.operation.name": "INSERT", "server.address": "db1"}, ("db1", "db", "write")),
        ({"db.system.name": "redis", "db.operation.name": "GET"}, ("redis", "cache", "read")),
        ({"db.system.name": "redis", "db.operation.name": "SET"}, ("redis", "cache", "write")),
        ({"rpc.system": "grpc", "server.address": "stock"}, ("stock", "rpc", "")),
        ({"messaging.system": "rabbitmq"}, ("rabbitmq", "queue", "write")),
        ({}, ("unknown", "http", "")),
    ],
)
def test_dependency_of_any_instrumentation(observe, sink, attributes, expected):
    """A CLIENT span of any package says whom it called, how, and whether to read or to write."""
    scope = observe(SHOPSCOPE_PEERS="127.0.0.1:8606=bank")
    client_span(**attributes)
    scope.shutdown()
    (point,) = sink.points("shopscope.dependency.duration")
    tags = point.tags
    assert (*expected, "ok", "") == (tags["peer"], tags["kind"], tags["access"], tags["outcome"], tags["journey"])


def test_only_calls_are_dependencies(observe, sink):
    """Spans inside the service are none; a failed call is an error."""
    scope = observe()
    tracer = trace.get_tracer("test")
    for kind in (SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CONSUMER):
        tracer.start_span("inside", kind=kind).end()
    span = tracer.start_span("call", kind=SpanKind.PRODUCER, attributes={"messaging.system": "kafka"})
    span.set_status(trace.StatusCode.ERROR)
    span.end()
    scope.shutdown()
    (point,) = sink.points("shopscope.dependency.duration")
    assert ("kafka", "error") == (point.tags["peer"], point.tags["outcome"])


def test_dependencies_are_capped(observe, sink, monkeypatch):
    """Past the cap further peers share one series, and nothing is lost of the sum."""
    monkeypatch.setattr(_series, "MAX_SERIES", 3)
    scope = observe()
    for number in range(10):
        client_span(**{"server.address": f"host-{number % 5}"})
    scope.shutdown()
    counts = {point.tags["peer"]: point.point.count for point in sink.points("shopscope.dependency.duration")}
    assert {"host-0": 2, "host-1": 2, "host-2": 2, "_overflow": 4} == counts


def test_requests_are_capped(observe, sink, call, monkeypatch):
    """So are routes, whatever a framework makes of a path."""
    monkeypatch.setattr(_series, "MAX_SERIES", 2)
    app = FastAPI()
    for number in range(4):
        app.add_api_route(f"/r{number}", lambda: "ok")
    scope = observe(app=app)
    for number in range(4):
        call(app, f"/r{number}")
    scope.shutdown()
    counts = {point.tags["http.route"]: point.point.count for point in sink.points("http.server.request.duration")}
    assert {"/r0": 1, "/r1": 1, "_overflow": 2} == counts
    overflows = {point.tags["metric"]: point.point.as_double for point in sink.points("shopscope.sdk.overflow")}
    assert {"http_server_request_duration_seconds": 2} == overflows


def test_currencies_are_capped(observe, sink, monkeypatch):
    """So are currencies, which are anything with three letters; what is no code is in the overflow from the start."""
    monkeypatch.setattr(_series, "MAX_SERIES", 2)
    scope = observe()
    for currency in ("EUR", "USD", "AAA", "AAB", "EUR", "not a code"):
        shopscope.order_placed(1, currency=currency)
    scope.shutdown()
    counts = {point.tags["currency"]: point.point.as_double for point in sink.points("shopscope.orders")}
    assert {"EUR": 2, "USD": 1, "_overflow": 3} == counts


def test_journeys_started(observe, sink, call, app):
    """Zero at start; then each request of the journey is counted as it begins, before anyone knows how it ends."""
    seen = []

    @app.get("/started")
    async def started():
        seen.append(REGISTRY.get_sample_value("shopscope_journey_started_total", {"journey": "checkout"}))

    scope = observe(app=app, shop=SHOP.replace('"GET /x"', '"GET /x", "GET /started"'))
    seen.append(REGISTRY.get_sample_value("shopscope_journey_started_total", {"journey": "checkout"}))
    call(app, "/started")
    call(app, "/x")
    call(app, "/nowhere")
    scope.shutdown()
    (point,) = sink.points("shopscope.journey.started")
    assert ([0, 1], {"journey": "checkout"}, 2) == (seen, point.tags, point.point.as_double)


def test_decorated_journeys_start_too(observe, sink):
    """A function that is a journey counts as it begins; one that the file does not name does not."""
    scope = observe(shop=SHOP)
    shopscope.journey("checkout")(lambda: None)()
    shopscope.journey("unknown")(lambda: None)()
    scope.shutdown()
    (point,) = sink.points("shopscope.journey.started")
    assert ({"journey": "checkout"}, 1) == (point.tags, point.point.as_double)
