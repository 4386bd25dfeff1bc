"""What the variables do in a service that runs: requests, calls, spans, records and messages."""

import logging

import httpx
import pytest
from fastapi import FastAPI, Response
from flask import Flask
from opentelemetry import trace
from otlp_sink import Sink
from prometheus_client import REGISTRY

import shopscope

CAPTURE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"


@pytest.fixture(autouse=True)
def _sdk_level():
    yield
    logging.getLogger("shopscope").setLevel(logging.NOTSET)


@pytest.fixture
def upstream():
    with Sink.running() as server:
        yield server


@pytest.fixture
def app(upstream):
    application = FastAPI()

    @application.get("/cart")
    async def cart(response: Response):
        response.headers["x-cart"] = "42"
        async with httpx.AsyncClient() as client:
            await client.post(f"{upstream.url}/v1/traces", headers={"x-caller": "cart", "cookie": "a=b"}, content=b"")

    @application.get("/client/{number}/info")
    async def info(number: int):
        return number

    return application


def test_captured_headers_of_requests(observe, sink, call, app):
    """Headers of a request and its response are lists on the SERVER span; secrets have no value."""
    observe(
        app=app,
        **{f"{CAPTURE}_SERVER_REQUEST": "x-.*,cookie", f"{CAPTURE}_SERVER_RESPONSE": "x-cart,content-type"},
    )
    call(app, "/cart", headers=[("x-shop", "a"), ("x-shop", "b"), ("cookie", "session=1")])
    tags = next(span.tags for span in sink.spans(2) if span.kind == 2)
    assert (["a", "b"], ["42"], ["application/json"]) == (
        tags["http.request.header.x-shop"],
        tags["http.response.header.x-cart"],
        tags["http.response.header.content-type"],
    )
    assert "session=1" not in repr(tags["http.request.header.cookie"])
    assert {"GET", "/cart", "200"} <= {str(value) for value in tags.values()}


def test_captured_headers_of_calls(observe, sink, call, app):
    """The same on a CLIENT span."""
    observe(app=app, **{f"{CAPTURE}_CLIENT_REQUEST": "x-caller,cookie", f"{CAPTURE}_CLIENT_RESPONSE": "server"})
    call(app, "/cart")
    tags = next(span.tags for span in sink.spans(2) if span.kind == 3)
    assert ["cart"] == tags["http.request.header.x-caller"]
    assert "http.response.header.server" in tags
    assert "a=b" not in repr(tags["http.request.header.cookie"])


def test_captured_headers_under_wsgi(observe, sink):
    """Flask and Django have their headers in another form."""
    flask = Flask("shop")
    flask.add_url_rule("/x", view_func=lambda: ("ok", {"x-cart": "42"}))
    observe(app=flask, **{f"{CAPTURE}_SERVER_REQUEST": "x-.*", f"{CAPTURE}_SERVER_RESPONSE": "x-cart"})
    flask.test_client().get("/x", headers={"X-Shop": "a"}).close()
    tags = sink.span().tags
    assert (["a"], ["42"]) == (tags["http.request.header.x-shop"], tags["http.response.header.x-cart"])


def test_no_header_is_captured_by_default(observe, sink, call, app):
    """Headers may hold anything: none is recorded that nobody asked for."""
    observe(app=app)
    call(app, "/cart", headers={"x-shop": "a"})
    assert [] == [key for span in sink.spans(2) for key in span.tags if ".header." in key]


@pytest.mark.parametrize("name", ["OTEL_PYTHON_EXCLUDED_URLS", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS"])
def test_excluded_addresses(observe, sink, call, app, name):
    """A request whose address matches has no span, no line and no duration."""
    scope = observe(app=app, **{name: "client/.*/info,never"})
    call(app, "/client/7/info?x=1")
    call(app, "/cart")
    scope.shutdown()
    assert {"/cart"} == {span.tags.get("http.route") for span in sink.spans(2)} - {None}
    assert {"/cart"} == {point.tags["http.route"] for point in sink.points("http.server.request.duration")}


def test_excluded_addresses_under_wsgi(observe, sink):
    """The same for Flask and Django."""
    flask = Flask("shop")
    for path in ("/x", "/y"):
        flask.add_url_rule(path, path, view_func=lambda: "ok")
    scope = observe(app=flask, OTEL_PYTHON_FLASK_EXCLUDED_URLS="shop.example/x$")
    for path in ("/x", "/y"):
        flask.test_client().get(path, base_url="http://shop.example").close()
    scope.shutdown()
    assert ["/y"] == [span.tags["url.path"] for span in sink.spans(1)]


def test_known_methods(observe, sink, call):
    """A method that the list lacks is `_OTHER`, one that it has is itself."""
    observe(OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS="GET,PROPFIND", app=(app := FastAPI()))
    for method in ("PROPFIND", "DELETE"):
        call(app, "/x", method)
    assert {"PROPFIND", "_OTHER"} == {span.tags["http.request.method"] for span in sink.spans(2)}


@pytest.mark.parametrize("names", ["httpx", "redis,httpx", "*"])
def test_disabled_instrumentations(program, names):
    """A client library that is named is left alone."""
    running = program(
        """
        import httpcore
        import httpx
        import shopscope

        scope = shopscope.init("caller")
        print(hasattr(httpcore.ConnectionPool.handle_request, "__wrapped__"))
        scope.shutdown()
        """,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=names,
    )
    assert (0, "False\n", "") == running.finish()


def test_disabled_sdk(observe, sink, call, app):
    """OTEL_SDK_DISABLED=true: the service runs, nothing is recorded and nothing is sent."""
    scope = observe(app=app, OTEL_SDK_DISABLED="true")
    assert 200 == call(app, "/cart").status_code
    scope.shutdown()
    assert [] == sink.attempts


def test_log_level_of_the_sdk(observe, sink, caplog):
    """OTEL_LOG_LEVEL is the level of the SDK's own messages: here the outage is not worth one."""
    sink.answer("traces", status=503)
    scope = observe(OTEL_LOG_LEVEL="error")
    trace.get_tracer("t").start_span("work").end()
    sink.wait_for_attempts("/v1/traces", 1)
    scope.shutdown(0)
    assert f"cannot send traces to {sink.url}" not in caplog.text


def test_variable_without_effect_is_said(observe, caplog):
    """Who sets what we do not follow learns it, with the reason."""
    observe(OTEL_EXPERIMENTAL_CONFIG_FILE="otel.yaml")
    assert "shopscope does not follow OTEL_EXPERIMENTAL_CONFIG_FILE: there is one file" in caplog.text


def test_span_limits(observe, sink):
    """Counts and lengths bound a span, and what was dropped is counted on it."""
    observe(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="2", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="3", OTEL_SPAN_EVENT_COUNT_LIMIT="1")
    with trace.get_tracer("t").start_as_current_span("work") as span:
        span.set_attributes({"a": "long text", "b": 1, "c": 2})
        for name in ("first", "second"):
            span.add_event(name)
    received = sink.span()
    assert ({"a": "lon", "b": 1}, 1) == (received.tags, received.dropped_attributes_count)
    assert (1, 1) == (len(received.events), received.dropped_events_count)


def test_log_record_limits(observe, sink):
    """Counts and lengths bound a log record too."""
    observe(OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT="1", OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT="3")
    shopscope.get_logger().info("hello", a="long text", b=2)
    assert {"a": "lon"} == sink.log("hello").tags


def test_sampler(observe, sink, call, app):
    """OTEL_TRACES_SAMPLER=always_off: no spans; requests are counted all the same."""
    scope = observe(app=app, OTEL_TRACES_SAMPLER="always_off")
    call(app, "/cart")
    scope.shutdown()
    assert [] == sink.spans()
    (point,) = sink.points("http.server.request.duration")
    assert (1, 0) == (point.point.count, len(point.point.exemplars))


def test_ratio_of_a_sampler(observe, sink):
    """OTEL_TRACES_SAMPLER_ARG is the share of traces."""
    scope = observe(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    for _ in range(400):
        trace.get_tracer("t").start_span("work").end()
    scope.shutdown()
    # Beyond seven standard deviations: one run in a trillion.
    assert 130 < len(sink.spans()) < 270


@pytest.mark.parametrize(("name", "count"), [("trace_based", 1), ("always_off", 0)])
def test_exemplars(observe, sink, call, app, name, count):
    """OTEL_METRICS_EXEMPLAR_FILTER: histograms with or without examples."""
    scope = observe(app=app, OTEL_METRICS_EXEMPLAR_FILTER=name)
    call(app, "/cart")
    scope.shutdown()
    (point,) = sink.points("http.server.request.duration")
    assert count == len(point.point.exemplars)


def test_queue_of_spans(observe, sink):
    """OTEL_BSP_: what the queue does not hold is counted, batches are as long as they may be."""
    sink.answer("traces", misbehaviour="hang")
    scope = observe(OTEL_BSP_MAX_QUEUE_SIZE="6", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="3", OTEL_BSP_SCHEDULE_DELAY="60000")
    for _ in range(3):
        trace.get_tracer("t").start_span("work").end()
    sink.wait_for_attempts("/v1/traces", 1)
    for _ in range(10):
        trace.get_tracer("t").start_span("work").end()
    lost = REGISTRY.get_sample_value("shopscope_sdk_dropped_total", {"signal": "traces", "reason": "queue_full"})
    sink.answer("traces")
    sink.released.set()
    scope.shutdown()
    assert 4 == lost
    assert 3 == max(sink.sizes)


def test_queue_of_log_records(observe, sink):
    """OTEL_BLRP_: the same for log records."""
    scope = observe(OTEL_BLRP_MAX_QUEUE_SIZE="4", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="2", OTEL_BLRP_SCHEDULE_DELAY="60000")
    for number in range(2):
        shopscope.get_logger().info("hello", n=number)
    assert 2 == len(sink.logs(2, "hello"))
    scope.shutdown()
    assert {"/v1/logs"} <= {path for path, _ in sink.attempts}


def test_interval_of_metrics(observe, sink):
    """OTEL_METRIC_EXPORT_INTERVAL: pushes come by themselves."""
    observe(OTEL_METRIC_EXPORT_INTERVAL="20")
    assert 2 <= len(sink.pushes(2))


def test_service_and_resource(observe, sink):
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are on every signal."""
    observe(None, OTEL_SERVICE_NAME="checkout", OTEL_RESOURCE_ATTRIBUTES="team=pay%20ments,service.name=other")
    trace.get_tracer("t").start_span("work").end()
    shopscope.get_logger().info("hello")
    for received in (sink.span(), sink.log("hello")):
        assert ("checkout", "pay ments") == (received.resource["service.name"], received.resource["team"])
