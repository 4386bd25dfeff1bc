"""OpenTelemetry's own instrumentations, for real: on without a word, lazily, and in the dependency histogram."""

import json
import sys
from pathlib import Path

import pytest
import requests
from contrib_calls import ERROR, all_off, observations, sent, shop
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import SpanProcessor

from shopscope._clients import _contrib
from shopscope._metrics._dependencies import dependency_of


@pytest.fixture
def server():
    with shop() as running:
        yield running


@pytest.fixture(autouse=True)
def _off():
    with all_off():
        yield


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
    expected = {
        "http.url": address,
        "url.full": address,
        "http.target": "/pay",
        "server.address": "bank",
        "peer.service": "bank",
    }
    assert expected == sink.span().tags


def test_statements_and_their_parameters_never_leave(observe, sink):
    """Whatever another's instrumentation records of a statement becomes operation and table; one it names stays."""
    scope = observe()
    tracer = trace.get_tracer("other")
    text = "UPDATE people SET name = 'jane'"
    for attributes in (
        {"db.system": "mysql", "db.statement": text, "db.statement.parameters": "jane", "net.peer.name": "db1"},
        {"db.system.name": "memcached", "db.query.text": "get jane", "db.query.parameter.0": "jane"},
        {"db.system.name": "mongodb", "db.operation.name": "find", "db.query.text": "find jane"},
        {"db.system.name": "opensearch", "db.statement": '{"jane": 1}'},
    ):
        tracer.start_span("call", kind=trace.SpanKind.CLIENT, attributes=attributes).end()
    scope.shutdown()
    assert [("UPDATE", "UPDATE people"), ("GET", "GET"), ("find", None), (None, None)] == [
        (span.tags.get("db.operation.name"), span.tags.get("db.query.summary")) for span in sink.spans()
    ]
    assert {
        ("db1", "db", "ok", "write"): 1,
        ("memcached", "cache", "ok", "read"): 1,
        ("mongodb", "db", "ok", "read"): 1,
        ("opensearch", "db", "ok", "write"): 1,
    } == observations(sink, "access")
    assert "jane" not in sent(sink)


def test_exceptions_of_calls(observe, sink):
    """Texts of exceptions are sent without queries, and those of databases, which quote rows, not at all."""
    observe()
    tracer = trace.get_tracer("opentelemetry.instrumentation.other")
    for attributes in ({"server.address": "bank"}, {"db.system": "mysql"}):
        with (
            pytest.raises(OSError, match="pay"),
            tracer.start_as_current_span("call", kind=trace.SpanKind.CLIENT, attributes=attributes),
        ):
            raise OSError("GET http://bank/pay?by=jane-4711: is nobody there?")
    web, database = sink.spans(2)
    assert ("OSError: GET http://bank/pay is nobody there?", "OSError") == (web.status.message, web.tags["error.type"])
    assert ("", "OSError") == (database.status.message, database.tags["error.type"])
    assert ["exception.type"] == [pair.key for pair in database.events[0].attributes]
    assert "jane-4711" not in sent(sink)


def test_not_sampled_by_hand(observe, sink):
    """A call in a trace that is not sampled has a clock and attributes, once, and nothing else has."""
    scope = observe(OTEL_TRACES_SAMPLER="always_off")
    tracer = trace.get_tracer("other")
    with tracer.start_as_current_span("work") as work:
        call = tracer.start_span("GET", kind=trace.SpanKind.CLIENT, start_time=1_000_000_000)
        call.set_attribute("server.address", "bank")
        call.add_event("sent")
        call.add_link(work.get_span_context())
        call.record_exception(OSError())
        call.set_status(trace.StatusCode.ERROR)
        publishing = tracer.start_span("send", kind=trace.SpanKind.PRODUCER, attributes={"messaging.system": "kafka"})
        with trace.use_span(call):
            below = tracer.start_span("below")
        assert [False, False, True, True] == [span.is_recording() for span in (work, below, call, publishing)]
        call.end(3_000_000_000)
        call.end(9_000_000_000)
        publishing.end()
    assert [0, 0] == [span.get_span_context().trace_flags.sampled for span in (call, publishing)]
    scope.shutdown()
    assert [] == sink.spans()
    assert {("bank", "http", "error"): 1, ("kafka", "queue", "ok"): 1} == observations(sink)
    assert 2.0 in {point.point.sum for point in sink.points("shopscope.dependency.duration")}


def test_not_sampled_and_processors(observe, sink):
    """A processor of the service's sees nothing of a call that its sampler has dropped; the histogram does."""
    ended = []

    class Recorder(SpanProcessor):
        """Keeps the names of spans that end."""

        def on_end(self, span):
            """Keep."""
            ended.append(span.name)

    scope = observe(OTEL_TRACES_SAMPLER="always_off")
    trace.get_tracer_provider().add_span_processor(Recorder())
    trace.get_tracer("other").start_span("GET", kind=trace.SpanKind.CLIENT, attributes={"server.address": "b"}).end()
    scope.shutdown()
    assert ([], {("b", "http", "ok"): 1}) == (ended, observations(sink))


@pytest.mark.parametrize("disabled", ["requests,urllib3", "*", "other, requests, urllib3"])
def test_disabled(observe, sink, server, disabled):
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS is respected."""
    scope = observe(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    requests.get(f"{server.url}/", timeout=5)
    scope.shutdown()
    assert [] == sink.spans()


def test_what_the_service_has_switched_on_itself(observe, sink, server):
    """An instrumentation that is on already stays as it is: one span a call."""
    RequestsInstrumentor().instrument()
    scope = observe()
    requests.get(f"{server.url}/", timeout=5)
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
        """,
        # The standard library's is imported already.
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="urllib",
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


def test_example_of_the_how_to(program, sink):
    """The example of docs/how-to/clients.md runs, and sends what is written there."""
    text = (Path(__file__).parents[3] / "docs/how-to/clients.md").read_text(encoding="utf-8")
    source, expected = (text.split(f"```{language}\n")[1].split("```")[0] for language in ("python", "json"))
    with shop() as server:
        port = server.server_port
        running = program(source.replace("8604", str(port)), SHOPSCOPE_PEERS=f"localhost:{port}=payment")
        code, _, errors = running.finish()
    assert (0, "") == (code, errors)
    attributes = json.loads(expected.replace("8604", str(port)))
    assert attributes == {key: sink.span("GET").tags.get(key) for key in attributes}
    (point,) = sink.points("shopscope.dependency.duration")
    assert {"journey": "refund", "peer": "payment", "kind": "http", "outcome": "ok"} == {
        key: value for key, value in point.tags.items() if value
    }


def test_stock_tracer(program, sink):
    """With the stock SDK behind the API, too, no statement and no query leaves, and peers have names."""
    running = program(
        """
        import shopscope
        from opentelemetry import trace
        shopscope.init("x")
        tracer = trace.get_tracer("other")
        for attributes in (
            {"db.system": "mysql", "db.statement": "SELECT 'jane' FROM people", "net.peer.name": "db1"},
            {"url.full": "http://bank/pay?by=jane"},
        ):
            tracer.start_span("SELECT", kind=trace.SpanKind.CLIENT, attributes=attributes).end()
        """,
        SHOPSCOPE_TRACER="opentelemetry",
    )
    assert (0, "") == running.finish()[::2]
    assert ["db1", "bank"] == [span.tags["peer.service"] for span in sink.spans(2)]
    assert {("db1", "db", "ok", "read"): 1, ("bank", "http", "ok", ""): 1} == observations(sink, "access")
    assert "jane" not in sent(sink)
