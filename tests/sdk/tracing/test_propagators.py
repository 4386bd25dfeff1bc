"""Propagators: the headers of the contrib packages, both ways, through the API and through our own instrumentation."""

import asyncio
from importlib import metadata

import httpx
import pytest
from celery.app.task import Context as TaskRequest
from fastapi import FastAPI
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from otlp_sink import Sink

from shopscope import _celery
from shopscope._tracing._propagation import parent_of
from shopscope._tracing._propagators import B3Multi, B3Single, Jaeger, XRay, install

TRACE, SPAN = "a" * 32, "b" * 16
PAIRS = [(B3Single, B3SingleFormat), (B3Multi, B3MultiFormat), (Jaeger, JaegerPropagator), (XRay, AwsXRayPropagator)]
EACH = pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda kind: kind.__name__)
HEADERS = {
    "b3": f"{TRACE}-{SPAN}-1",
    "b3multi": {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
    "jaeger": {"uber-trace-id": f"{TRACE}:{SPAN}:0:1", "uberctx-tenant": "a%20b"},
    "xray": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1",
}
CARRIERS = {
    "b3": {"b3": HEADERS["b3"]},
    "b3multi": HEADERS["b3multi"],
    "jaeger": HEADERS["jaeger"],
    "xray": {"X-Amzn-Trace-Id": HEADERS["xray"]},
    "tracecontext": {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=x"},
}


@pytest.fixture(autouse=True)
def _default_at_the_end():
    yield
    install(("tracecontext", "baggage"))


@pytest.fixture
def upstream():
    with Sink.running() as server:
        yield server


def injected(propagator, context):
    carrier = {}
    propagator.inject(carrier, context)
    return carrier


def said(context):
    """What a context holds that came from headers."""
    identity = trace.get_current_span(context).get_span_context()
    ids = identity.trace_id, identity.span_id, int(identity.trace_flags), identity.is_remote
    # Contrib makes a parent with an id of zero, which the API then takes for none.
    return ids if identity.is_valid else None, dict(baggage.get_all(context))


def context_of(trace_id, span_id, flags, entries):
    identity = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    context = trace.set_span_in_context(NonRecordingSpan(identity), Context())
    for key, value in entries.items():
        context = baggage.set_baggage(key, value, context)
    return context


IDS = st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([0, 1])
ENTRIES = st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=20), max_size=4)


@EACH
@given(ids=st.tuples(*IDS), entries=ENTRIES)
def test_same_headers_as_contrib(ours, theirs, ids, entries):
    """Whatever the span and the baggage, the headers are the same."""
    context = context_of(*ids, entries)
    assert injected(theirs(), context) == injected(ours(), context)
    assert theirs().fields == ours().fields


@EACH
@given(ids=st.tuples(*IDS), entries=ENTRIES)
def test_reads_what_contrib_writes(ours, theirs, ids, entries):
    """Both read the same from contrib's headers."""
    carrier = injected(theirs(), context_of(*ids, entries))
    assert said(theirs().extract(carrier, Context())) == said(ours().extract(carrier, Context()))


HOSTILE = [
    {},
    *(
        {"b3": text}
        for text in ("0", "1", "d", f"{TRACE}-{SPAN}", f"{TRACE}-{SPAN}-d", f"{TRACE}-{SPAN}-0-{SPAN}", "-")
    ),
    *({"b3": text} for text in (f"{TRACE[:16]}-{SPAN}-1", f"{TRACE[:8]}-{SPAN}-1", f"{TRACE}-{SPAN}-1-", "x" * 9999)),
    {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
    {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"},
    {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "true"},
    {"x-b3-traceid": "0" * 32, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
    {"x-b3-traceid": "+" + TRACE[:15], "x-b3-spanid": SPAN},
    *({"uber-trace-id": text} for text in ("", ":", ":::", f"{TRACE}:{SPAN}:0:x", "1:2:0:1", f"{TRACE}:{SPAN}:0:0")),
    {"uber-trace-id": "rubbish", "uberctx-a": "1"},
    {"uber-trace-id": f"{TRACE}:{SPAN}:0:3", "uberctx-a": "x" * 5000, "uberctx-b": "y" * 4000, "uberctx-c": "z" * 4000},
    {"uberctx-a": "1"},
    *(
        {"X-Amzn-Trace-Id": text}
        for text in ("", "Root", "Root=1-x;Parent=1", f"Root=2-{TRACE[:8]}-{TRACE[8:]}", ";=;")
    ),
    {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=0"},
    {"X-Amzn-Trace-Id": f"Parent={SPAN}; Root=1-{TRACE[:8]}-{TRACE[8:]} ;Sampled=1;Lineage=a:0"},
]


@EACH
@pytest.mark.parametrize("carrier", HOSTILE, ids=range(len(HOSTILE)))
def test_odd_headers_are_read_as_contrib_does(ours, theirs, carrier):
    """Partial, damaged and hostile headers: the same parent, or the same none."""
    assert said(theirs().extract(carrier, Context())) == said(ours().extract(carrier, Context()))


@EACH
def test_parent_of_a_stock_span(ours, theirs):
    """A span of the stock SDK, whose parent Jaeger's header names."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("a"), tracer.start_as_current_span("b") as span:
        context = trace.set_span_in_context(span, Context())
        assert injected(theirs(), context) == injected(ours(), context)


def test_entry_points():
    """The API loads what OTEL_PROPAGATORS names when it is imported, so that each has to be found without `init`."""
    found = {
        point.name: point.load()
        for point in metadata.entry_points(group="opentelemetry_propagator")
        if point.value.startswith("shopscope")
    }
    assert {"b3": B3Single, "b3multi": B3Multi, "jaeger": Jaeger, "xray": XRay} == found


@pytest.fixture
def app(upstream):
    application = FastAPI()

    @application.get("/x")
    async def forward():
        async with httpx.AsyncClient() as client:
            await client.post(f"{upstream.url}/v1/traces", content=b"")
        return dict(baggage.get_all())

    return application


@pytest.mark.parametrize("name", list(CARRIERS))
def test_in_and_out_of_a_service(observe, sink, call, app, upstream, name):
    """The caller's trace goes on in the SERVER span, and leaves by the same headers."""
    observe(app=app, OTEL_PROPAGATORS=name)
    call(app, "/x", headers=CARRIERS[name])
    spans = {span.kind: span for span in sink.spans(2)}
    assert (TRACE, SPAN) == (spans[2].trace_id.hex(), spans[2].parent_span_id.hex())
    sent = {key.lower(): value for key, value in upstream.headers[-1].items()}
    names = {key.lower() for key in CARRIERS[name]}
    assert names == {key for key in sent if key in {known.lower() for each in CARRIERS.values() for known in each}}
    client_id = spans[3].span_id.hex()
    assert any(client_id in sent[key] for key in names)


def test_baggage_of_jaeger(observe, call, app):
    """Jaeger's headers carry baggage of their own."""
    observe(app=app, OTEL_PROPAGATORS="jaeger")
    assert {"tenant": "a b"} == call(app, "/x", headers=CARRIERS["jaeger"]).json()


def test_composite(observe, sink, call, app, upstream):
    """A list reads and writes all; the W3C's headers are one of them, and each propagator is there once."""
    observe(app=app, OTEL_PROPAGATORS="b3,tracecontext,baggage,b3")
    call(app, "/x", headers={**CARRIERS["b3"], "baggage": "tenant=a", "tracestate": "vendor=x"})
    assert SPAN == next(span for span in sink.spans(2) if span.kind == 2).parent_span_id.hex()
    sent = {key.lower() for key in upstream.headers[-1]}
    assert {"b3", "traceparent", "baggage"} <= sent


@pytest.mark.parametrize("header", ["traceparent", "b3", "uber-trace-id"])
def test_none_reads_and_writes_nothing(observe, sink, call, app, upstream, header):
    """OTEL_PROPAGATORS=none: every service has a trace of its own."""
    observe(app=app, OTEL_PROPAGATORS="none")
    carriers = {key: value for carrier in CARRIERS.values() for key, value in carrier.items()}
    call(app, "/x", headers={header: carriers[header], "baggage": "tenant=a"})
    assert {False} == {TRACE == span.trace_id.hex() for span in sink.spans(2)}
    assert set() == {key.lower() for key in upstream.headers[-1]} & {"traceparent", "baggage", "b3", "uber-trace-id"}


def test_trace_context_without_baggage(observe, call, app, upstream):
    """Only what is named is read: baggage is not."""
    observe(app=app, OTEL_PROPAGATORS="tracecontext")
    assert {} == call(app, "/x", headers={**CARRIERS["tracecontext"], "baggage": "tenant=a"}).json()
    assert "baggage" not in {key.lower() for key in upstream.headers[-1]}


def test_several_headers_of_baggage_are_one_list(observe, call, app):
    """As on the short way: a list in two headers is the list."""
    observe(app=app, OTEL_PROPAGATORS="b3,baggage")
    headers = [("baggage", "a=1"), ("baggage", "b=2")]
    assert {"a": "1", "b": "2"} == call(app, "/x", headers=headers).json()


def test_wsgi_service(observe, sink):
    """WSGI applications follow the same choice."""
    app = Flask("shop")
    app.add_url_rule("/x", view_func=lambda: "ok")
    observe(app=app, OTEL_PROPAGATORS="b3multi")
    app.test_client().get("/x", headers=CARRIERS["b3multi"]).close()
    assert (TRACE, SPAN) == (sink.span().trace_id.hex(), sink.span().parent_span_id.hex())


@pytest.mark.parametrize("name", list(CARRIERS))
def test_celery_task(observe, name):
    """A message's headers, as Celery hands them to a task, name the publisher's span in any language."""
    observe(OTEL_PROPAGATORS=name)
    said = _celery._said(TaskRequest({"id": "1", "retries": 0, **CARRIERS[name]}))
    identity = parent_of(said[b"traceparent"], ()).get_span_context()
    assert (TRACE, SPAN) == (f"{identity.trace_id:032x}", f"{identity.span_id:016x}")


def headers_of_the_api():
    with trace.get_tracer("t").start_as_current_span("work"):
        carrier = {}
        propagate.inject(carrier)
    return set(carrier)


def test_global_propagator_of_the_api(observe):
    """Contrib instrumentations ask the API, and get the same propagators; a later default puts the API's own back."""
    scope = observe(OTEL_PROPAGATORS="b3,jaeger")
    assert {"b3", "uber-trace-id"} == headers_of_the_api()
    scope.shutdown()
    scope = observe(OTEL_PROPAGATORS="baggage,tracecontext")
    assert {"traceparent"} == headers_of_the_api()
    before = propagate.get_global_textmap()
    scope.shutdown()
    observe()
    assert before is propagate.get_global_textmap()


def test_propagator_of_the_service(observe):
    """One that the service has set itself stays the API's, where no variable asks for others."""
    before = propagate.get_global_textmap()
    try:
        propagate.set_global_textmap(B3Single())
        observe()
        assert {"b3"} == headers_of_the_api()
    finally:
        propagate.set_global_textmap(before)


def test_disabled_sdk_keeps_propagators(observe):
    """The specification: OTEL_SDK_DISABLED has no effect on propagators."""
    observe(OTEL_SDK_DISABLED="true", OTEL_PROPAGATORS="xray")
    context = propagate.extract(CARRIERS["xray"], Context())
    assert TRACE == f"{trace.get_current_span(context).get_span_context().trace_id:032x}"


def test_not_sampled_by_b3(observe, sink, app):
    """A caller that does not sample is followed in any language."""
    scope = observe(app=app, OTEL_PROPAGATORS="b3")

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            await client.get("/x", headers={"b3": f"{TRACE}-{SPAN}-0"})

    asyncio.run(ask())
    scope.shutdown()
    assert [] == sink.spans()
