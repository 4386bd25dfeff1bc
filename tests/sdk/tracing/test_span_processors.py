"""Span processors and exporters of the stock SDK, added by the service, see ordinary readable spans."""

import io
import json
import threading

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from otlp_sink import plain_attributes

from shopscope import _pipeline

REMOTE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")]))


@pytest.fixture
def provider(scope):
    assert scope.service == "checkout"
    return trace.get_tracer_provider()


@pytest.fixture
def exporter(provider):
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def work():
    """A span that has everything."""
    tracer = trace.get_tracer("test", "1.2", schema_url="https://schema.example", attributes={"team": "a"})
    caller = trace.set_span_in_context(NonRecordingSpan(REMOTE))
    span = tracer.start_span("work", caller, SpanKind.CONSUMER, {"n": [1, 2]}, [Link(REMOTE, {"why": "x"})])
    with pytest.raises(ValueError, match="declined"), span:
        reserve(span)


def reserve(span):
    span.add_event("reserved", {"sku": "a"}, 5)
    raise ValueError("declined")


def test_a_readable_span_has_all_that_the_stock_one_has(exporter):
    """Identity, parent, kind, times, attributes, events, links, status, resource and instrumentation scope."""
    work()
    (span,) = exporter.get_finished_spans()
    assert ("work", SpanKind.CONSUMER, {"n": (1, 2)}, REMOTE) == (span.name, span.kind, span.attributes, span.parent)
    assert (7, span.get_span_context(), True) == (span.context.trace_id, span.context, span.end_time >= span.start_time)
    assert (StatusCode.ERROR, "ValueError: declined") == (span.status.status_code, span.status.description)
    reserved, exception = span.events
    assert ("reserved", {"sku": "a"}, 5, 0) == (
        reserved.name,
        reserved.attributes,
        reserved.timestamp,
        reserved.dropped_attributes,
    )
    assert "declined" == exception.attributes["exception.message"]
    assert [(REMOTE, {"why": "x"}, 0)] == [
        (link.context, link.attributes, link.dropped_attributes) for link in span.links
    ]
    assert ("checkout", "") == (span.resource.attributes["service.name"], span.resource.schema_url)
    made_by = span.instrumentation_scope
    assert ("test", "1.2", "https://schema.example", {"team": "a"}) == (
        made_by.name,
        made_by.version,
        made_by.schema_url,
        dict(made_by.attributes),
    )
    assert (0, 0, 0, False) == (
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
        span.is_recording(),
    )


def test_what_the_stock_encoder_makes_of_it_is_what_we_send(exporter, sink):
    """The stock OTLP exporter's encoding of a readable span says the same as ours."""
    work()
    request = encode_spans(exporter.get_finished_spans())
    (theirs,) = request.resource_spans[0].scope_spans[0].spans
    ours = sink.span()
    for name in ("trace_id", "span_id", "parent_span_id", "name", "kind", "start_time_unix_nano", "end_time_unix_nano"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert (theirs.status, theirs.trace_state) == (ours.status, ours.trace_state)
    assert plain_attributes(theirs.attributes) == ours.tags
    assert [(event.name, plain_attributes(event.attributes)) for event in theirs.events] == [
        (event.name, plain_attributes(event.attributes)) for event in ours.events
    ]
    resource = plain_attributes(request.resource_spans[0].resource.attributes)
    assert ours.resource == resource


def test_console_exporter(provider):
    """The stock console exporter prints our spans as JSON in its own form."""
    out = io.StringIO()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    work()
    printed = json.loads(out.getvalue())
    assert ("work", "SpanKind.CONSUMER", "0x0000000000000008", {"n": [1, 2]}) == (
        printed["name"],
        printed["kind"],
        printed["parent_id"],
        printed["attributes"],
    )
    assert ("0x00000000000000000000000000000007", "ERROR", "checkout", "reserved", "0x0000000000000008") == (
        printed["context"]["trace_id"],
        printed["status"]["status_code"],
        printed["resource"]["attributes"]["service.name"],
        printed["events"][0]["name"],
        printed["links"][0]["context"]["span_id"],
    )
    assert "1970-01-01T00:00:00.000000Z" == printed["events"][0]["timestamp"]


def test_otlp_exporter(provider, sink):
    """The stock OTLP exporter sends our spans as they are, beside our own way."""
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{sink.url}/v1/traces")))
    work()
    first, second = sink.spans(2)
    assert (first.span_id, first.tags, first.resource, first.scope) == (
        second.span_id,
        second.tags,
        second.resource,
        second.scope,
    )


class HttpExporter(SpanExporter):
    """A service's own exporter, over a client that we instrument."""

    def __init__(self, url):
        self.url = url
        self.names = []

    def export(self, spans):
        """Post the names."""
        self.names += [span.name for span in spans]
        httpx.post(self.url)
        return SpanExportResult.SUCCESS


def test_an_exporter_does_not_export_itself(provider, sink):
    """Calls that an exporter makes are no spans, or it would never come to an end."""
    exporter = HttpExporter(f"{sink.url}/v1/logs")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.get_tracer("test").start_span("work").end()
    assert provider.force_flush()
    assert (["work"], ["work"]) == (exporter.names, [span.name for span in sink.spans(1)])


def test_a_root_has_no_parent(exporter):
    """A span that begins its trace has the parent None, also in JSON; a child knows its parent."""
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("root"):
        tracer.start_span("child").end()
    child, root = exporter.get_finished_spans()
    assert (None, None) == (root.parent, json.loads(root.to_json())["parent_id"])
    assert (root.context.span_id, False) == (child.parent.span_id, child.parent.is_remote)


def test_server_spans_have_their_constant_attributes(observe, call, sink):
    """Attributes that all requests of a route share, and are kept encoded, are on the readable span too."""
    app = FastAPI()

    @app.get("/items/{item}")
    def item(item: str):
        return item

    observe(app=app)
    exporter = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    call(app, "/items/4")
    (span,) = exporter.get_finished_spans()
    assert sink.span("GET /items/{item}").tags == dict(span.attributes)
    assert ("GET", "/items/{item}", 200, 8080) == tuple(
        span.attributes[key]
        for key in ("http.request.method", "http.route", "http.response.status_code", "server.port")
    )


class Recorder(SpanProcessor):
    """Writes down what it is told."""

    def __init__(self):
        self.calls = []

    def on_start(self, span, parent_context=None):
        """Set an attribute, as processors that copy baggage do."""
        span.set_attribute("added", "at start")
        parent = trace.get_current_span(parent_context).get_span_context().span_id
        self.calls.append(("start", span.name, span.kind, dict(span.attributes), parent))

    def on_end(self, span):
        """Look at the span."""
        self.calls.append(("end", span.name, dict(span.attributes)))

    def shutdown(self):
        """Note it."""
        self.calls.append(("shutdown",))

    def force_flush(self, timeout_millis=30000):
        """Note it."""
        self.calls.append(("flush", 0 < timeout_millis <= 2000))
        return True


def test_processors_may_change_spans_that_start(provider, sink):
    """``on_start`` sees the live span with its attributes and its parent; what it sets is sent."""
    recorder = Recorder()
    provider.add_span_processor(recorder)
    trace.get_tracer("test").start_span(
        "work", trace.set_span_in_context(NonRecordingSpan(REMOTE)), attributes={"a": 1}
    ).end()
    assert [
        ("start", "work", SpanKind.INTERNAL, {"a": 1, "added": "at start"}, 8),
        ("end", "work", {"a": 1, "added": "at start"}),
    ] == recorder.calls
    assert {"a": 1, "added": "at start"} == sink.span().tags


def test_flush_and_shutdown_reach_processors(scope, provider):
    """``force_flush`` gives each what time there is; the end of the scope shuts them down, once."""
    recorder = Recorder()
    provider.add_span_processor(recorder)
    assert provider.force_flush(2000)
    scope.shutdown()
    scope.shutdown()
    assert [("flush", True), ("shutdown",)] == recorder.calls


def test_batch_processor_loses_nothing_at_the_end(scope, provider):
    """Spans that wait in the stock batch processor are exported when the scope ends."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.get_tracer("test").start_span("work").end()
    assert (True, ["work"]) == (provider.force_flush(), [span.name for span in exporter.get_finished_spans()])
    trace.get_tracer("test").start_span("last").end()
    scope.shutdown()
    assert ["work", "last"] == [span.name for span in exporter.get_finished_spans()]


class Failing:
    """Fails whatever it is asked."""

    def on_start(self, *_, **__):
        """Fail."""
        raise RuntimeError("telemetry")

    on_end = shutdown = force_flush = on_start


def test_faults_of_processors_stay_away_from_service_and_export(scope, provider, sink):
    """A processor that raises costs neither the service, nor other processors, nor the export."""
    recorder = Recorder()
    provider.add_span_processor(Failing())
    provider.add_span_processor(recorder)
    trace.get_tracer("test").start_span("work").end()
    assert ("work", False) == (sink.span().name, provider.force_flush(2000))
    scope.shutdown()
    assert ["start", "end", "flush", "shutdown"] == [call[0] for call in recorder.calls]


class Hanging(Recorder):
    """Does not come to an end until the test does."""

    def __init__(self):
        super().__init__()
        self.is_over = threading.Event()

    def shutdown(self):
        """Hang."""
        self.is_over.wait(20)


def test_a_hanging_processor_takes_nothing_from_the_rest(scope, provider, sink, caplog):
    """At the end our own spans are sent while a processor hangs; after the deadline it is left to itself."""
    hanging = Hanging()
    provider.add_span_processor(hanging)
    trace.get_tracer("test").start_span("work").end()
    scope.shutdown(0.5)
    said = [record for record in caplog.records if "left to itself" in record.getMessage()]
    hanging.is_over.set()
    assert (["work"], 1) == ([span.name for span in sink.spans(1)], len(said))


def test_processors_end_with_the_interpreter(program):
    """Spans in the stock batch processor are exported when a program ends without a word."""
    running = program(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        import shopscope

        shopscope.init("script")
        exporter = ConsoleSpanExporter(formatter=lambda span: f"{span.name} exported\\n")
        trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))
        trace.get_tracer("test").start_span("last").end()
        """
    )
    assert (0, "last exported\n", "") == running.finish()


def test_secrets_are_hidden_from_processors_too(exporter):
    """What must never leave in a signal does not leave by the service's own exporters either."""
    with trace.get_tracer("test").start_as_current_span("mail bob@example.com") as span:
        span.set_attributes({"password": "hunter2", "note": "card 4111 1111 1111 1111", "n": 1})
        span.add_event("failed", {"why": "bob@example.com"})
        span.set_status(StatusCode.ERROR, "bob@example.com refused")
    (span,) = exporter.get_finished_spans()
    everything = span.to_json()
    assert [] == [secret for secret in ("hunter2", "4111", "bob@example.com") if secret in everything]
    assert 1 == span.attributes["n"]


def test_nothing_is_paid_without_processors(provider):
    """With none added, and none left after the last scope ended, spans take the short way."""
    tracer = trace.get_tracer("test")
    assert (None, _pipeline.finish) == (tracer.custom, tracer.finish)
    provider.add_span_processor(Recorder())
    assert tracer.custom is not None
    _pipeline.active().shutdown(1.0)
    assert (None, _pipeline.finish) == (tracer.custom, tracer.finish)


def test_a_span_in_flight_is_shown_at_its_end(provider):
    """A processor that comes while a span is open sees it end."""
    span = trace.get_tracer("test").start_span("work")
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span.end()
    assert ["work"] == [ended.name for ended in exporter.get_finished_spans()]


def test_the_provider_names_the_process(scope, provider):
    """``provider.resource`` is the resource of every signal, before the end of the scope and after."""
    assert scope.service == provider.resource.attributes["service.name"]


def test_provider_shutdown_ends_tracing(provider, sink):
    """After ``provider.shutdown()`` what ended before is sent, and no more spans are recorded."""
    recorder = Recorder()
    provider.add_span_processor(recorder)
    tracer = trace.get_tracer("test")
    tracer.start_span("before").end()
    provider.shutdown()
    after = tracer.start_span("after")
    assert (False, "before", ("shutdown",)) == (after.is_recording(), sink.span().name, recorder.calls[-1])


def test_live_spans_are_readable(provider, sink):
    """Instrumentation that looks at the current span, as some of contrib does, finds what the stock span has."""
    assert provider.resource is not None
    span = trace.get_tracer("test").start_span("work", kind=SpanKind.SERVER)
    assert (SpanKind.SERVER, "work", None, StatusCode.UNSET, {}, "test", "checkout") == (
        span.kind,
        span.name,
        span.end_time,
        span.status.status_code,
        span.attributes,
        span.instrumentation_scope.name,
        span.resource.attributes["service.name"],
    )
    span.end()
    assert span.end_time == sink.span().end_time_unix_nano
