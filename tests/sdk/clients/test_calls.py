"""Calls run without a span object by default: what is sent is the same as with one."""

import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import sqlalchemy
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import SpanProcessor
from otlp_sink import Sink
from sqlalchemy import text
from sqlalchemy.pool import StaticPool


@pytest.fixture
def engine():
    made = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    yield made
    made.dispose()


@pytest.fixture(params=["default", "with a span processor"])
def tracing(request):
    """Both ways: a service's own processors see real spans."""

    def choose():
        if request.param != "default":
            trace.get_tracer_provider().add_span_processor(SpanProcessor())

    return choose


class Handler(BaseHTTPRequestHandler):
    """Notes the headers that it is sent, each with all of its values."""

    def do_GET(self):
        """Answer."""
        names = ("traceparent", "baggage", "x-other")
        self.server.seen.append({name: self.headers.get_all(name) for name in names})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def http_server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.url = [], f"http://127.0.0.1:{running.server_port}/"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def test_whole_span(observe, sink, engine, tracing):
    """Kind, ids, times, attributes, journey and status."""
    scope = observe()
    tracing()
    token = attach(baggage.set_baggage("shopscope.journey", "checkout"))
    with trace.get_tracer("test").start_as_current_span("root"), engine.connect() as connection:
        connection.execute(text("SELECT 1 AS one"))
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.execute(text("SELECT 2 FROM nowhere"))
    detach(token)
    scope.shutdown()
    spans = {span.name: span for span in sink.spans(3)}
    root, good, failed = spans["root"], spans["SELECT"], spans["SELECT nowhere"]
    own = {"db.operation.name": "SELECT", "db.query.summary": "SELECT", "shopscope.journey": "checkout"}
    common = {"db.system.name": "sqlite", "peer.service": "sqlite"}
    assert own | common == good.tags
    assert (0, 2) == (good.status.code, failed.status.code)
    assert sqlite3.OperationalError.__qualname__ == failed.tags["error.type"]
    for span in (good, failed):
        assert (3, root.span_id, root.trace_id, root.item.flags) == (
            span.kind,
            span.parent_span_id,
            span.trace_id,
            span.item.flags,
        )
        assert root.item.start_time_unix_nano <= span.item.start_time_unix_nano <= span.item.end_time_unix_nano
        assert span.item.end_time_unix_nano <= root.item.end_time_unix_nano
    points = {point.tags["outcome"]: point for point in sink.points("shopscope.dependency.duration")}
    assert {"ok": "checkout", "error": "checkout"} == {name: point.tags["journey"] for name, point in points.items()}
    assert good.span_id == points["ok"].point.exemplars[0].span_id


def test_headers_take_the_place_of_others(observe, sink, tracing, http_server):
    """Journey and trace go to the next service once, whatever the caller had put there."""
    observe()
    tracing()
    token = attach(baggage.set_baggage("shopscope.journey", "checkout"))
    with trace.get_tracer("test").start_as_current_span("root"), httpx.Client() as client:
        for _ in range(2):
            client.get(http_server.url, headers={"Traceparent": "wrong", "Baggage": "own=1", "X-Other": "kept"})
    detach(token)
    calls = sink.spans(2, "GET")
    assert [
        {
            "traceparent": [f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03"],
            "baggage": ["shopscope.journey=checkout"],
            "x-other": ["kept"],
        }
        for span in calls
    ] == http_server.seen


def test_baggage_of_the_service_travels(observe, tracing, http_server):
    """Several entries, and a journey that must be quoted."""
    observe()
    tracing()
    with trace.get_tracer("test").start_as_current_span("root"), httpx.Client() as client:
        for entries in ({"a": "1", "b": "zwei drei"}, {"shopscope.journey": "gift card"}):
            context = None
            for key, value in entries.items():
                context = baggage.set_baggage(key, value, context)
            token = attach(context)
            client.get(http_server.url)
            detach(token)
    assert [["a=1,b=zwei+drei"], ["shopscope.journey=gift+card"]] == [seen["baggage"] for seen in http_server.seen]


def test_statements_past_the_cap(observe, sink: Sink, engine):
    """Statements may be the user's data: those past the cap are observed and not remembered."""
    scope = observe()
    with trace.get_tracer("test").start_as_current_span("root"), engine.connect() as connection:
        for number in range(2100):
            connection.exec_driver_sql(f"SELECT {number}")
    scope.shutdown()
    (point,) = sink.points("shopscope.dependency.duration")
    assert 2100 == point.point.count


def test_series_of_a_child_process(program, sink: Sink):
    """What the parent knew of its calls does not keep a forked child's from being counted, from zero."""
    running = program(
        """
        import os
        import sqlalchemy
        import shopscope
        from opentelemetry import trace
        from sqlalchemy.pool import StaticPool

        scope = shopscope.init("forked")
        engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)

        def work(times):
            with trace.get_tracer("test").start_as_current_span("root"), engine.connect() as connection:
                for _ in range(times):
                    connection.execute(sqlalchemy.text("SELECT 1"))

        work(3)
        child = os.fork()
        work(2)
        if child:
            os.waitpid(child, 0)
        shopscope.init().shutdown()
        os._exit(0)
        """,
    )
    assert (0, "", "") == running.finish()
    counts = {}
    for number, push in enumerate(sink.pushes()):
        for point in sink.points("shopscope.dependency.duration", number):
            counts[push[0].resource["service.instance.id"]] = point.point.count
    assert [2, 5] == sorted(counts.values())
