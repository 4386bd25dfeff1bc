"""OpenTelemetry's own instrumentations, for real: on without a word, lazily, and in the dependency histogram."""

import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
import sqlalchemy
from opentelemetry import trace
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.instrumentation.dbapi import trace_integration, unwrap_connect
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from shopscope._clients import _contrib
from shopscope._metrics._dependencies import dependency_of

CLIENT, ERROR = 3, 2


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def shop():
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _uninstrument():
    if RequestsInstrumentor().is_instrumented_by_opentelemetry:
        RequestsInstrumentor().uninstrument()


@pytest.fixture(autouse=True)
def uninstrumented():
    # Any test's `init` may have switched it on: the library has been imported.
    _uninstrument()
    # The first instrumentation to start chooses the conventions for the whole process.
    _OpenTelemetrySemanticConventionStability._initialized = False
    yield
    _uninstrument()


def points(sink):
    return {
        tuple(point.tags[key] for key in ("peer", "kind", "outcome")): point.point
        for point in sink.points("shopscope.dependency.duration")
    }


def test_requests(observe, sink, shop):
    """A call by requests has a span with stable conventions, a carried context, and a place in the histogram."""
    address = f"127.0.0.1:{shop.server_port}"
    scope = observe(SHOPSCOPE_PEERS=f"{address}=payment")
    with trace.get_tracer("test").start_as_current_span("parent"):
        requests.get(f"http://{address}/pay?card=4111", timeout=5)
        requests.get(f"http://{address}/fail", timeout=5)
    scope.shutdown()
    parent, *calls = sorted(sink.spans(3), key=lambda span: span.kind)
    assert [CLIENT, CLIENT] == [span.kind for span in calls]
    assert {parent.span_id} == {span.parent_span_id for span in calls}
    assert {("GET", "127.0.0.1", shop.server_port)} == {
        (span.tags["http.request.method"], span.tags["server.address"], span.tags["server.port"]) for span in calls
    }
    assert {f"http://{address}/pay", f"http://{address}/fail"} == {span.tags["url.full"] for span in calls}
    assert {span.span_id.hex() for span in calls} == {seen["traceparent"].split("-")[2] for seen in shop.seen}
    found = points(sink)
    assert {("payment", "http", "ok"): 1, ("payment", "http", "error"): 1} == {
        key: point.count for key, point in found.items()
    }
    assert parent.trace_id == found["payment", "http", "ok"].exemplars[0].trace_id


def test_requests_and_urllib_names_without_conventions():
    """Where only an address is known, its host is who was called, without port, path or credentials."""
    for attribute in ("http.url", "url.full"):
        called = dependency_of({attribute: "http://user:secret@Bank.Example:8443/pay?card=1"}, {})
        assert ("bank.example", "http") == (called.peer, called.kind)
    assert "unknown" == dependency_of({"http.url": "http://[broken"}, {}).peer


def test_queries_never_leave(observe, sink):
    """Whatever another's instrumentation records of an address, its query is not sent."""
    scope = observe()
    attributes = {
        "http.url": "http://bank/pay?card=4111",
        "url.full": "http://bank/pay?card=4111",
        "http.target": "/pay?card=4111",
        "url.query": "card=4111",
    }
    trace.get_tracer("other").start_span("GET", kind=trace.SpanKind.CLIENT, attributes=attributes).end()
    scope.shutdown()
    address = "http://bank/pay"
    expected = {"http.url": address, "url.full": address, "http.target": "/pay"}
    assert expected == sink.span().tags


@pytest.mark.parametrize("disabled", ["requests", "*", "other, requests"])
def test_disabled(observe, sink, shop, disabled):
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS is respected."""
    scope = observe(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    requests.get(f"http://127.0.0.1:{shop.server_port}/", timeout=5)
    scope.shutdown()
    assert [] == sink.spans()


def test_what_the_service_has_switched_on_itself(observe, sink, shop):
    """An instrumentation that is on already stays as it is: one span a call."""
    RequestsInstrumentor().instrument()
    scope = observe()
    requests.get(f"http://127.0.0.1:{shop.server_port}/", timeout=5)
    scope.shutdown()
    assert 1 == len(sink.spans(1))


def test_nothing_of_ours_and_no_servers():
    """Libraries that have integrations of our own, and servers, are never switched on."""
    found = {entry.name for entries in _contrib.installed(()).values() for entry in entries}
    assert "requests" in found
    assert set() == found & {"fastapi", "asgi", "httpx", "redis", "sqlalchemy", "celery", "flask", "django"}


def test_our_own_exports_are_not_traced(observe, sink, wait_until):
    """The threads that export are silent for every instrumentation, or each export would be one more span."""
    seen = []

    class Watching:
        """Stands in front of the endpoint and looks at the context of the thread that calls."""

        def __init__(self, transport):
            self.transport = transport

        def __getattr__(self, name):
            return getattr(self.transport, name)

        def post(self, body):
            """Pass a body on."""
            seen.append(is_instrumentation_enabled())
            return self.transport.post(body)

    scope = observe()
    scope._pipeline.spans._transport = Watching(scope._pipeline.spans._transport)
    trace.get_tracer("test").start_span("one").end()
    wait_until(lambda: seen, "an export")
    assert ([False], 1) == (seen, len(sink.spans(1)))


def test_lazily(program, sink):
    """Neither the library nor its instrumentation is imported before the service imports the library."""
    running = program(
        """
        import sys
        import shopscope
        shopscope.init("x")
        heavy = ("requests", "opentelemetry.instrumentation.requests", "opentelemetry.instrumentation.instrumentor")
        print([name for name in heavy if name in sys.modules])
        import requests
        print([name for name in heavy if name in sys.modules])
        try:
            requests.get("http://127.0.0.1:9/x?token=secret", timeout=5)
        except requests.ConnectionError:
            print("refused")
        """
    )
    code, output, errors = running.finish()
    lines = [line for line in output.splitlines() if not line.startswith("{")]
    assert (0, "", "[]", "refused") == (code, errors, lines[0], lines[-1])
    assert 3 == lines[1].count(",") + 1
    span = sink.span("GET")
    assert (ERROR, "ConnectionError") == (span.status.code, span.tags["error.type"])


def test_damaged_package(tmp_path, monkeypatch):
    """A package without readable entry points does not keep the others from being found."""
    (tmp_path / "opentelemetry_instrumentation_broken-1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing"), *sys.path])
    assert "requests" in _contrib.installed(())


def test_driver_below_sqlalchemy(observe, sink):
    """A driver that OpenTelemetry wraps has one span a statement by itself, and none of its own below an engine."""
    trace_integration(sqlite3, "connect", "sqlite")
    try:
        scope = observe()
        engine = sqlalchemy.create_engine("sqlite://")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 FROM sqlite_master"))
        engine.dispose()
        connection = sqlite3.connect(":memory:")
        connection.cursor().execute("SELECT 2")
        connection.close()
    finally:
        unwrap_connect(sqlite3, "connect")
    scope.shutdown()
    assert ["SELECT sqlite_master", "SELECT"] == [span.name for span in sink.spans(2)]
