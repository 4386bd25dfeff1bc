"""Samplers and id generators: the specification's six, and the service's own."""

import httpcore
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

import shopscope
from shopscope._tracing._sampling import PARENT_BASED_ALWAYS_ON, SAMPLER_NAMES, sampler_of

SHOP = """
[journeys.checkout]
routes = ["POST /checkout"]
service = "checkout"
objective = 0.99
latency = "10s"
"""
RATIOS = ("traceidratio", "parentbased_traceidratio")


def stock_sampler(name, argument):
    known = sampling._KNOWN_SAMPLERS[name]
    return known(argument) if name in RATIOS else known


def parent_context(parent):
    return Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())


parents = st.one_of(
    st.none(),
    st.builds(
        SpanContext,
        st.integers(0, (1 << 128) - 1),
        st.integers(0, (1 << 64) - 1),
        st.booleans(),
        st.builds(TraceFlags, st.integers(0, 3)),
        st.sampled_from([TraceState(), TraceState([("a", "1")])]),
    ),
)


@given(st.sampled_from(SAMPLER_NAMES), st.floats(0, 1), st.integers(1, (1 << 128) - 1), parents)
def test_same_decision_as_the_stock_samplers(name, ratio, trace_id, parent):
    """Each of the six decides as the stock SDK's for the same parent and ids, and leaves the tracestate alone."""
    context = parent_context(parent)
    expected = stock_sampler(name, ratio).should_sample(context, trace_id, "work")
    found = sampler_of(name, str(ratio)).should_sample(context, trace_id, "work")
    assert (expected.decision.name, expected.trace_state) == (found.decision.name, found.trace_state)


def test_the_default_is_parentbased_always_on():
    """Nothing set, blanks and other cases mean what the specification says."""
    assert PARENT_BASED_ALWAYS_ON is sampler_of("") is sampler_of(" ParentBased_Always_On ")


def test_descriptions():
    """Samplers describe themselves in the specification's words."""
    assert "TraceIdRatioBased{0.25}" == sampler_of("traceidratio", "0.25").get_description()
    assert "ParentBased{root:TraceIdRatioBased{0.25}}" == (
        sampler_of("parentbased_traceidratio", "0.25").get_description()
    )


@pytest.mark.parametrize("argument", ["1.5", "-0.1", "nan", "half"])
def test_a_wrong_ratio_is_refused(argument):
    """A share outside 0 to 1 is one clear error."""
    with pytest.raises(shopscope.ConfigError, match="OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"):
        sampler_of("traceidratio", argument)


def test_an_unknown_sampler_is_refused():
    """The error names all six."""
    with pytest.raises(shopscope.ConfigError, match=r"always_on, always_off, .*parentbased_traceidratio: 'sometimes'"):
        sampler_of("sometimes")


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        ({"sampler": "always_on"}, ["should_sample"]),
        ({"id_generator": object()}, ["generate_trace_id", "generate_span_id"]),
    ],
)
def test_what_is_no_sampler_or_id_generator_is_refused(observe, arguments, methods):
    """The error names the argument and each method that is missing."""
    with pytest.raises(shopscope.ConfigError) as caught:
        observe(**arguments)
    (argument,) = arguments
    assert [f"{argument} must be an object with {method}" for method in methods] == [
        problem.partition(":")[0] for problem in caught.value.problems
    ]


class Chooser(sampling.Sampler):
    """A service's own sampler: decides by name, and says what it was asked."""

    def __init__(self, **decisions):
        self.decisions = decisions
        self.asked = []

    def should_sample(self, _, __, name, kind=None, attributes=None, links=None):
        """Sample unless told otherwise."""
        self.asked.append((name, kind, dict(attributes or {}), len(links or ())))
        decision = self.decisions.get(name, sampling.Decision.RECORD_AND_SAMPLE)
        return sampling.SamplingResult(decision, {"rule": name}, TraceState([("chooser", "1")]))

    def get_description(self):
        """Its name."""
        return "Chooser"


def test_own_sampler_adds_attributes_and_tracestate(observe, sink):
    """A sampler is asked with all that is known; its attributes are added, its tracestate is the span's."""
    chooser = Chooser()
    observe(sampler=chooser)
    link = Link(SpanContext(1, 2, is_remote=True))
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("work", kind=SpanKind.CONSUMER, attributes={"a": 1}, links=[link]):
        tracer.start_span("below").end()
    assert [("work", SpanKind.CONSUMER, {"a": 1}, 1), ("below", SpanKind.INTERNAL, {}, 0)] == chooser.asked
    spans = {span.name: span for span in sink.spans(2)}
    assert ({"a": 1, "rule": "work"}, "chooser=1") == (spans["work"].tags, spans["work"].trace_state)
    assert ({"rule": "below"}, spans["work"].span_id) == (spans["below"].tags, spans["below"].parent_span_id)


def test_dropped_spans_still_propagate(observe, sink):
    """A span that is not sampled has ids of its trace and the sampler's tracestate, for the services below."""
    observe(sampler=Chooser(gone=sampling.Decision.DROP))
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("gone") as span:
        context = span.get_span_context()
        tracer.start_span("below").end()
    assert (False, 2, "chooser=1") == (span.is_recording(), context.trace_flags, context.trace_state.to_header())
    assert context.trace_id == int.from_bytes(sink.span().trace_id)


def test_record_only(observe, sink):
    """A span that is only recorded takes attributes and tells callees it is not sampled; it is shown, not exported."""

    class Seen:
        def on_start(self, span, parent_context=None):
            """Nothing to do."""

        def on_end(self, span):
            """Remember."""
            ended.append((span.name, dict(span.attributes), span.context.trace_flags.sampled))

        def shutdown(self):
            """Nothing to do."""

    ended = []
    scope = observe(sampler=Chooser(quiet=sampling.Decision.RECORD_ONLY))
    trace.get_tracer_provider().add_span_processor(Seen())
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("quiet") as span:
        span.set_attribute("a", 1)
        tracer.start_span("loud").end()
    assert scope.flush()
    assert ["loud"] == [sent.name for sent in sink.spans(1)]
    assert [("loud", {"rule": "loud"}, True), ("quiet", {"rule": "quiet", "a": 1}, False)] == ended


def test_request_metrics_do_not_depend_on_sampling(observe, sink, call):
    """With nothing sampled each request still is one SLO event and one observation, without exemplar, and a line."""
    app = FastAPI()

    @app.post("/checkout")
    def checkout():
        return {}

    scope = observe(app=app, shop=SHOP, OTEL_TRACES_SAMPLER="always_off")
    assert 200 == call(app, "/checkout", "POST").status_code
    scope.shutdown()
    assert [] == sink.spans()
    good = {point.tags["outcome"]: point.point.as_double for point in sink.points("shopscope.slo.events")}
    (duration,) = sink.points("http.server.request.duration")
    assert (1, 1, 0) == (good["good"], duration.point.count, len(duration.point.exemplars))
    assert 1 == len(sink.logs(1, "request"))


def test_samplers_know_the_request(observe, sink, call):
    """A sampler can tell requests apart when it is asked, by path and method; the span has each attribute once."""
    app = FastAPI()

    @app.get("/items/{item}")
    def item(item: str):
        return item

    chooser = Chooser()
    observe(app=app, sampler=chooser)
    call(app, "/items/7")
    tags = sink.span("GET /items/{item}").tags
    ((_, kind, known, _),) = chooser.asked
    assert (SpanKind.SERVER, {"url.path": "/items/7", "url.scheme": "http", "http.request.method": "GET"}) == (
        kind,
        known,
    )
    assert ("/items/7", "/items/{item}", 200) == tuple(
        tags[key] for key in ("url.path", "http.route", "http.response.status_code")
    )


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_sampled_share(observe, sink, name):
    """Roots and children of remote parents are sent or not, as the variable says."""
    observe(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG="0")
    tracer = trace.get_tracer("test")
    for label, flags in (("yes", 1), ("no", 0)):
        caller = parent_context(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flags)))
        tracer.start_span(label, caller).end()
    tracer.start_span("root").end()
    sent = {
        "always_on": {"yes", "no", "root"},
        "parentbased_always_on": {"yes", "root"},
        "parentbased_always_off": {"yes"},
        "parentbased_traceidratio": {"yes"},
    }.get(name, set())
    assert sent == {span.name for span in sink.spans(len(sent))}


@pytest.mark.parametrize("name", RATIOS)
def test_roots_are_sampled_by_their_id(observe, name):
    """By the short way and by the long one, a trace that begins here is sampled as its id says."""
    observe(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG="0.5")
    tracer = trace.get_tracer("test")
    roots = [tracer.start_span("root") for _ in range(200)]
    expected = [root.get_span_context().trace_id & (1 << 64) - 1 < 1 << 63 for root in roots]
    assert expected == [root.is_recording() for root in roots]
    assert {True, False} == set(expected)


class Broken:
    """A sampler and id generator that fails."""

    def should_sample(self, *_):
        """Fail."""
        raise RuntimeError("no decision")

    def generate_trace_id(self):
        """Fail."""
        raise RuntimeError("no id")

    def generate_span_id(self):
        """Make an id that is too long."""
        return 1 << 64


def test_faults_of_own_parts_stay_away_from_the_service(observe, sink, caplog):
    """A sampler or id generator that raises, or makes impossible ids, is replaced for that span, and this is said."""
    observe(sampler=Broken(), id_generator=Broken())
    trace.get_tracer("test").start_span("work").end()
    sent = sink.span("work")
    assert (16, 8, 0x103) == (len(sent.trace_id), len(sent.span_id), sent.flags)
    assert {"should_sample of the sampler", "generate_trace_id of the id generator"} <= {
        record.args[0] for record in caplog.records if record.args and "fault in" in record.msg
    }


class Counting:
    """Ids in a row."""

    def __init__(self):
        self.last = 0

    def generate_trace_id(self):
        """The next number."""
        self.last += 1
        return self.last

    generate_span_id = generate_trace_id


@pytest.mark.parametrize(("ids", "flags"), [(Counting(), 0x101), (RandomIdGenerator(), 0x103)])
def test_own_ids(observe, sink, ids, flags):
    """The service's ids are used; only one that says its ids are random makes traces that say so."""
    observe(id_generator=ids)
    span = trace.get_tracer("test").start_span("work")
    context = span.get_span_context()
    span.end()
    sent = sink.span()
    assert (context.trace_id, context.span_id, flags) == (
        int.from_bytes(sent.trace_id),
        int.from_bytes(sent.span_id),
        sent.flags,
    )
    assert not isinstance(ids, Counting) or (1, 2) == (context.trace_id, context.span_id)


def test_unsampled_calls_tell_the_callee(observe, sink):
    """A call below a span that is not sampled carries the trace on with the flag off; the dependency is counted."""
    headers = []

    def answer(_pool, request):
        """Over no network, below our instrumentation."""
        headers.append(dict(request.headers)[b"traceparent"].decode())
        return httpcore.Response(200)

    scope = observe(OTEL_TRACES_SAMPLER="always_off")
    from shopscope._clients import _httpx  # noqa: PLC0415 (after init, which instruments httpx)

    with trace.get_tracer("test").start_as_current_span("root") as span:
        _httpx._wrap_sync(answer)(None, httpcore.Request("GET", "http://bank.example/pay"))
    scope.shutdown()
    assert ([], True) == (sink.spans(), headers[0].startswith(f"00-{span.get_span_context().trace_id:032x}-"))
    assert headers[0].endswith("-02")
    assert ["bank.example"] == [point.tags["peer"] for point in sink.points("shopscope.dependency.duration")]
