"""The same program under our tracer and under the stock SDK gives the same spans."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from otlp_sink import plain_attributes


def order(tracer):
    """A program that uses most of the API."""
    state = TraceState([("vendor", "x")])
    remote = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    caller = trace.set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span(
        "POST /checkout", caller, SpanKind.SERVER, {"http.request.method": "POST"}
    ) as root:
        root.set_attributes({"items": [1, 2], "total": 12.5, "gift": False})
        with tracer.start_as_current_span("reserve", links=[Link(remote, {"n": 1})]) as span:
            span.add_event("reserved", {"sku": "a"})
            span.update_name("reserve stock")
        for name in ("charge", "refund"):
            with pytest.raises(ValueError, match="declined"), tracer.start_as_current_span(name, kind=SpanKind.CLIENT):
                raise ValueError("declined")
        with trace.use_span(tracer.start_span("notify", kind=SpanKind.PRODUCER), end_on_exit=True) as span:
            span.set_status(StatusCode.OK)
            span.set_status(StatusCode.ERROR, "too late")
            span.end()
            span.set_attribute("late", 1)
    with tracer.start_as_current_span("alone", context=trace.set_span_in_context(trace.INVALID_SPAN)) as span:
        span.set_status(StatusCode.ERROR, "bad")
        span.record_exception(KeyError("k"), {"more": "x"})
    bare = trace.set_span_in_context(NonRecordingSpan(SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(0))))
    with tracer.start_as_current_span("dropped?", context=bare):
        pass
    recorder(tracer)


def recorder(tracer):
    @tracer.start_as_current_span("decorated")
    def work():
        trace.get_current_span().set_attribute("where", "inside")

    work()


def stock_spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    order(provider.get_tracer("program"))
    provider.shutdown()
    return exporter.get_finished_spans()


def described_stock(spans):
    names = {span.context.span_id: span.name for span in spans}
    return [
        {
            "name": span.name,
            "kind": span.kind.value + 1,
            "parent": names.get(span.parent.span_id, f"{span.parent.span_id:x}") if span.parent else "",
            "attributes": {key: list(v) if isinstance(v, tuple) else v for key, v in span.attributes.items()},
            "events": [(event.name, event_attributes(dict(event.attributes))) for event in span.events],
            "links": [(link.context.span_id, dict(link.attributes)) for link in span.links],
            "status": (span.status.status_code.value, span.status.description or ""),
            "state": span.context.trace_state.to_header(),
        }
        for span in spans
    ]


def described_ours(spans):
    names = {span.span_id: span.name for span in spans}
    return [
        {
            "name": span.name,
            "kind": span.kind,
            "parent": names.get(span.parent_span_id, span.parent_span_id.hex().lstrip("0")),
            "attributes": span.tags,
            "events": [(event.name, event_attributes(plain_attributes(event.attributes))) for event in span.events],
            "links": [(int.from_bytes(link.span_id), plain_attributes(link.attributes)) for link in span.links],
            "status": (span.status.code, span.status.message),
            "state": span.trace_state,
        }
        for span in spans
    ]


def event_attributes(attributes):
    """Without what cannot be the same: the stack's lines, and a flag that the specification has deprecated."""
    attributes.pop("exception.escaped", None)
    if "exception.stacktrace" in attributes:
        attributes["exception.stacktrace"] = attributes["exception.stacktrace"].splitlines()[-1]
    return attributes


def test_same_spans_as_the_stock_sdk(scope, sink):
    """Names, kinds, parents, attributes, events, links, status, tracestate and order are those of the stock SDK."""
    expected = described_stock(stock_spans())
    order(trace.get_tracer("program"))
    assert scope.flush()
    assert expected == described_ours(sink.spans(len(expected)))
