"""Random programs of the tracing API under our tracer and under the stock SDK give the same OTLP.

Ids and times aside. What differs is deliberate, and is taken out by ``alike`` and ``Colour`` below:

- Flags: OTLP has place for those of W3C trace context; the stock encoder leaves them out, ours sends them.
- Links: OTLP has a field for a link's tracestate; the stock encoder leaves it out, ours sends it.
- Exceptions: ``exception.escaped`` is deprecated by the semantic conventions; ours does not send it.
- Limits: beyond a count the specification wants the new attribute discarded; the stock SDK discards the oldest. Ours
  keeps the first ones of attributes, events and links alike.
- Lengths: the specification shortens every text and bytes; the stock SDK leaves bytes, and texts of unknown types.
- Samplers: the specification adds a sampler's attributes to the span's; the stock SDK takes them instead of the span's
  (`test_sampling`). The six samplers of the specification show no difference.
- Values: integers beyond 64 bits and lone surrogates lose the attribute, or all of the batch, in the stock SDK; ours
  sends their text (`test_span`). Ours also hides secrets, so that none are made here.
"""

import enum
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as stock
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from otlp_sink import plain, plain_attributes

from shopscope._redaction._privacy import is_card_number
from shopscope._tracing._limits import SpanLimits
from shopscope._tracing._measured import MeasuredSpan
from shopscope._tracing._provider import TracerProvider
from shopscope._tracing._sampling import sampler_of
from shopscope._tracing._tracer import frame_spans

STACKTRACE = "exception.stacktrace"
#: Of times that programs set, in nanoseconds; what the clock says is later.
LATEST = 1 << 60


class Colour(enum.StrEnum):
    """A text that is more than a text."""

    RED = "red"


class Named:
    """A value of no known type that has a text."""

    def __str__(self) -> str:
        return "named"


class Nameless:
    """A value of no known type that has none."""


texts = st.text("abcäß€😀 _-.", max_size=8)
keys = st.sampled_from(["a", "b", "c", "http.route", "ä", ""])
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(1 << 63), 10**11),
    st.floats(allow_nan=False).filter(lambda number: not is_card_number(number)),
    st.binary(max_size=4),
    st.none(),
    st.sampled_from([Colour.RED, Named(), Nameless()]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(texts, max_size=3), st.dictionaries(keys, inner, max_size=2)
    ),
    max_leaves=4,
)
attributes = st.one_of(st.none(), st.dictionaries(keys, values, max_size=4))
states = st.sampled_from([None, TraceState([("vendor", "x")]), TraceState([("a", "1"), ("b", "2")])])


@st.composite
def contexts(draw, *, can_be_invalid=False):
    is_valid = not can_be_invalid or draw(st.booleans())
    return SpanContext(
        draw(st.integers(1, (1 << 128) - 1)) if is_valid else 0,
        draw(st.integers(1, (1 << 64) - 1)) if is_valid else 0,
        draw(st.booleans()),
        TraceFlags(draw(st.sampled_from([0, 1, 2, 3, 0xFF]))),
        draw(states),
    )


links = st.tuples(contexts(can_be_invalid=True), attributes)
codes = st.sampled_from(list(StatusCode))
descriptions = st.one_of(st.none(), texts)


def status_of(code, description):
    return Status(code, description if code is StatusCode.ERROR else None)


actions = st.one_of(
    st.tuples(st.just("set_attribute"), keys, values),
    st.tuples(st.just("set_attributes"), st.dictionaries(keys, values, max_size=4)),
    st.tuples(st.just("add_event"), texts, attributes, st.integers(0, LATEST)),
    st.tuples(st.just("add_link"), contexts(can_be_invalid=True), attributes),
    st.tuples(st.just("set_status"), codes, descriptions),
    st.tuples(st.just("set_status"), st.builds(status_of, codes, descriptions)),
    st.tuples(st.just("update_name"), texts),
    st.tuples(st.just("record_exception"), st.builds(ValueError, texts), attributes, st.integers(0, LATEST)),
    st.tuples(st.just("end")),
)


@dataclass(frozen=True)
class Step:
    """A span of a program: how it begins, what happens in it, how it ends."""

    tracer: int
    name: str
    way: str
    options: dict[str, Any]
    caller: SpanContext | None
    actions: list[tuple[Any, ...]]
    raises: bool
    below: list["Step"] = field(default_factory=list)


options = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(list(SpanKind)),
        "attributes": attributes,
        "links": st.lists(links, max_size=3),
        "start_time": st.integers(1, LATEST),
        "record_exception": st.booleans(),
        "set_status_on_exception": st.booleans(),
    },
)


def steps(below):
    return st.builds(
        Step,
        st.integers(0, 1),
        texts,
        st.sampled_from(["current", "with", "use_span", "plain"]),
        options,
        st.one_of(st.none(), contexts()),
        st.lists(actions, max_size=5),
        st.booleans(),
        below,
    )


programs = st.lists(
    st.recursive(steps(st.just([])), lambda inner: steps(st.lists(inner, max_size=2)), max_leaves=4),
    min_size=1,
    max_size=2,
)
counts = st.one_of(st.just(128), st.integers(0, 3))
limits = st.one_of(
    st.just(SpanLimits()), st.builds(SpanLimits, counts, counts, counts, counts, counts, st.sampled_from([None, 0, 3]))
)
samplers = st.one_of(
    st.just(("parentbased_always_on", "")),
    st.tuples(st.sampled_from(["always_on", "always_off", "parentbased_always_off"]), st.just("")),
    st.tuples(st.sampled_from(["traceidratio", "parentbased_traceidratio"]), st.sampled_from(["0", "0.5", "1"])),
)


def run(step, tracers, seen):
    """Run a program; what it can see of its spans goes to ``seen``."""
    tracer = tracers[step.tracer]
    options = dict(step.options)
    # Anew each time, because the stock SDK changes links that it is given.
    options["links"] = [Link(*link) for link in options.get("links", ())]
    if step.caller is not None:
        options["context"] = trace.set_span_in_context(NonRecordingSpan(step.caller))
    if step.way == "current":
        manager = tracer.start_as_current_span(step.name, **options)
    elif step.way == "use_span":
        manager = trace.use_span(tracer.start_span(step.name, **options), end_on_exit=True)
    else:
        manager = tracer.start_span(step.name, **options)
    if step.way == "plain":
        do(step, manager, tracers, seen)
        manager.end()
        return
    try:
        with manager as span:
            do(step, span, tracers, seen)
            fail(step)
    except ValueError:
        seen.append("raised")


def fail(step):
    if step.raises:
        raise ValueError(step.name)


def do(step, span, tracers, seen):
    context = span.get_span_context()
    seen.append((is_recording(span), context.is_valid, context.trace_flags, context.trace_state.to_header()))
    for name, *arguments in step.actions:
        getattr(span, name)(*arguments)
    for inner in step.below:
        run(inner, tracers, seen)
    seen.append(is_recording(span))


def is_recording(span):
    """Calls that are not sampled record for the dependency histogram alone, and do so on purpose."""
    return span.is_recording() and not isinstance(span, MeasuredSpan)


class Ids:
    """Numbers in a row, spread over all bits, so that both tracers make the same ids."""

    def __init__(self):
        self.count = 0

    def _next(self):
        self.count += 1
        return self.count * 0x9E3779B97F4A7C15 & (1 << 64) - 1

    def generate_trace_id(self):
        """One of 128 bits."""
        return self._next() << 64 | self._next()

    def generate_span_id(self):
        """One of 64 bits."""
        return self._next()

    def is_trace_id_random(self):
        """As the default of both says."""
        return True


SCOPES = (("first",), ("second", "1.0", "https://schema.example", {"team": "payments"}))


def ours(program, limits, sampler, ids):
    batch, seen = {}, []
    provider = TracerProvider(lambda span: batch.setdefault(span.scope, []).append(span.encode()), None, None)
    provider.begin({}, sampler_of(*sampler), ids, limits)
    tracers = [provider.get_tracer(*scope) for scope in SCOPES]
    for step in program:
        run(step, tracers, seen)
    return ExportTraceServiceRequest.FromString(frame_spans(b"", batch)), seen


def theirs(program, limits, sampler, ids):
    name, argument = sampler
    known = sampling._KNOWN_SAMPLERS[name]
    provider = stock.TracerProvider(
        sampler=known(float(argument)) if argument else known,
        id_generator=ids,
        shutdown_on_exit=False,
        span_limits=stock.SpanLimits(
            max_span_attributes=limits.attributes,
            max_events=limits.events,
            max_links=limits.links,
            max_event_attributes=limits.attributes_per_event,
            max_link_attributes=limits.attributes_per_link,
            max_attribute_length=limits.value_length,
            max_span_attribute_length=limits.value_length,
        ),
    )
    exporter, seen = InMemorySpanExporter(), []
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracers = [provider.get_tracer(*scope) for scope in SCOPES]
    for step in program:
        run(step, tracers, seen)
    return encode_spans(exporter.get_finished_spans()), seen


def alike(request, limits):
    """What is compared: everything but ids, times and the deliberate differences."""
    return [
        (
            (scope.scope.name, scope.scope.version, plain_attributes(scope.scope.attributes), scope.schema_url),
            [span_alike(span, limits) for span in scope.spans],
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
    ]


def span_alike(span, limits):
    return {
        "trace": span.trace_id.hex(),
        "ids": (span.span_id.hex(), span.parent_span_id.hex()),
        "name": span.name,
        "kind": span.kind,
        "state": span.trace_state,
        "remote": span.flags & 0x300,
        "status": (span.status.code, span.status.message),
        "attributes": attributes_alike(span, limits, limits.attributes),
        "events": span.dropped_events_count or [event_alike(event, limits) for event in span.events],
        "links": span.dropped_links_count
        or [
            (
                link.trace_id,
                link.span_id,
                link.flags & 0x300,
                attributes_alike(link, limits, limits.attributes_per_link),
            )
            for link in span.links
        ],
        "counts": (len(span.events), len(span.links)),
    }


def attributes_alike(holder, limits, count):
    if holder.dropped_attributes_count and count < 128:
        return len(holder.attributes)
    found = {pair.key: shortened(plain(pair.value), limits) for pair in holder.attributes}
    found.pop("exception.escaped", None)
    if STACKTRACE in found:
        found[STACKTRACE] = found[STACKTRACE].splitlines()[-1:]
    return found, holder.dropped_attributes_count


def shortened(value, limits):
    if isinstance(value, bytes) or value == str(Named()):
        return value[: limits.value_length]
    if isinstance(value, list):
        return [shortened(item, limits) for item in value]
    if isinstance(value, dict):
        return {key: shortened(item, limits) for key, item in value.items()}
    return value


def event_alike(event, limits):
    time = event.time_unix_nano if event.time_unix_nano <= LATEST else "now"
    if event.name == "exception" and limits.attributes_per_event < 128:
        # The stock SDK has one attribute more to leave out.
        return event.name, time
    return event.name, time, attributes_alike(event, limits, limits.attributes_per_event)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """The stock SDK warns at every dropped or shortened attribute."""
    caplog.set_level("CRITICAL")


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, limits, samplers)
def test_same_otlp_as_the_stock_sdk(program, limits, sampler):
    """Whatever a program does, both tracers show it the same spans and send the same."""
    expected, seen_there = theirs(program, limits, sampler, Ids())
    sent, seen_here = ours(program, limits, sampler, Ids())
    assert seen_there == seen_here
    assert alike(expected, limits) == alike(sent, limits)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, st.sampled_from(["parentbased_always_on", "parentbased_always_off"]))
def test_the_short_way_gives_the_same(program, sampler):
    """Without any of the service's own the tracer takes short ways; they lead to the same OTLP, random ids aside."""
    sent, seen = ours(program, SpanLimits(), (sampler, ""), None)
    long_way, seen_there = ours(program, SpanLimits(), (sampler, ""), Ids())
    assert seen_there == seen
    assert without_ids(long_way) == without_ids(sent)


def without_ids(request):
    described = alike(request, SpanLimits())
    for _, spans in described:
        for span in spans:
            del span["trace"], span["ids"]
    return described
