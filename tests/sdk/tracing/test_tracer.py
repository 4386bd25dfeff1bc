"""Parents, context and sampling of our tracer behind the OpenTelemetry API."""

import asyncio
import contextvars
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from shopscope._tracing import _tracer


@pytest.fixture
def tracer(scope):
    assert scope.service == "checkout"
    return trace.get_tracer("test")


def parent_in(trace_id, span_id, *, flags=1, state=None, is_remote=True):
    context = SpanContext(trace_id, span_id, is_remote, TraceFlags(flags), state)
    return trace.set_span_in_context(NonRecordingSpan(context))


def ids(sent):
    return int.from_bytes(sent.trace_id), int.from_bytes(sent.parent_span_id)


def test_nesting(tracer, sink):
    """The current span is the parent; siblings share it; the trace is one."""
    with tracer.start_as_current_span("root") as root:
        with tracer.start_as_current_span("first"):
            pass
        tracer.start_span("second").end()
        assert root is trace.get_current_span()
    assert trace.INVALID_SPAN is trace.get_current_span()
    spans = {span.name: span for span in sink.spans(3)}
    context = root.get_span_context()
    assert (context.trace_id, 0) == ids(spans["root"])
    assert (context.trace_id, context.span_id) == ids(spans["first"]) == ids(spans["second"])


def test_explicit_context_beats_the_current_one(tracer, sink):
    """A context that is given is the parent's, also an empty one: then the span is a root."""
    with tracer.start_as_current_span("current"):
        tracer.start_span("given", context=parent_in(5, 6)).end()
        root = tracer.start_span("root", context=context_api.Context())
        root.end()
    assert (5, 6) == ids(sink.span("given"))
    assert (root.get_span_context().trace_id, 0) == ids(sink.span("root"))


@pytest.mark.parametrize(("is_remote", "flags"), [(True, 0x301), (False, 0x101)])
def test_remote_parent_is_said_so(tracer, sink, is_remote, flags):
    """OTLP's flags tell a parent of another process from a local one."""
    tracer.start_span("work", context=parent_in(5, 6, is_remote=is_remote)).end()
    assert flags == sink.span().flags


@pytest.mark.parametrize(("trace_id", "span_id"), [(0, 6), (5, 0), (0, 0)])
def test_invalid_parent_is_none(tracer, sink, trace_id, span_id):
    """A parent without a trace or span id starts a new trace."""
    span = tracer.start_span("work", context=parent_in(trace_id, span_id))
    span.end()
    assert (span.get_span_context().trace_id, 0) == ids(sink.span())


def test_unknown_flags_are_not_passed_on(tracer, sink):
    """Of a parent's flags only "sampled" and "random" are ours to keep; children keep them too."""
    with tracer.start_as_current_span("work", context=parent_in(5, 6, flags=0xFF)) as span:
        child = tracer.start_span("child")
        child.end()
    assert (3, 3) == (span.get_span_context().trace_flags, child.get_span_context().trace_flags)
    assert [0x103, 0x303] == [sent.flags for sent in sink.spans(2)]


def test_parent_that_is_not_sampled_is_followed(tracer, sink):
    """Below such a parent nothing is recorded or sent, and the ids go on."""
    with tracer.start_as_current_span("not sampled", context=parent_in(5, 6, flags=0)) as span:
        child = tracer.start_span("child")
        child.end()
    tracer.start_span("sampled").end()
    context, below = span.get_span_context(), child.get_span_context()
    assert (False, 5, 0, 5, 0) == (
        span.is_recording(),
        context.trace_id,
        context.trace_flags,
        below.trace_id,
        below.trace_flags,
    )
    assert 3 == len({6, context.span_id, below.span_id})
    assert "sampled" == sink.span().name


def test_tracestate_is_kept(tracer, sink):
    """A parent's tracestate is on the span and on its children."""
    state = TraceState([("vendor", "x"), ("other", "y")])
    with tracer.start_as_current_span("work", context=parent_in(5, 6, state=state)):
        tracer.start_span("child").end()
    assert ["vendor=x,other=y"] * 2 == [sent.trace_state for sent in sink.spans(2)]


def test_journey_comes_from_baggage(tracer, sink):
    """The journey in baggage is on a root span and on all below it."""
    token = context_api.attach(set_baggage("shopscope.journey", "refund"))
    try:
        with tracer.start_as_current_span("work"):
            tracer.start_span("child").end()
    finally:
        context_api.detach(token)
    assert ["refund"] * 2 == [sent.tags["shopscope.journey"] for sent in sink.spans(2)]


def test_a_journey_set_by_hand_is_there_once(tracer, sink):
    """An attribute of the journey's name replaces the journey instead of doubling it."""
    context = set_baggage("shopscope.journey", "refund")
    tracer.start_span("work", context=context, attributes={"shopscope.journey": "mine"}).end()
    assert {"shopscope.journey": "mine"} == sink.span().tags


def test_decorator(tracer, sink):
    """``start_as_current_span`` decorates functions: one span for each call, recursive or not."""

    @tracer.start_as_current_span("call")
    def count_down(number):
        return number if not number else count_down(number - 1)

    assert (0, 0) == (count_down(1), count_down(0))
    inner, outer, single = sink.spans(3)
    assert (ids(inner)[1], 0, 0) == (int.from_bytes(outer.span_id), ids(outer)[1], ids(single)[1])
    assert "count_down" == count_down.__name__


def test_decorator_of_coroutines(tracer, sink):
    """A decorated coroutine's span lasts until it is done, and calls at the same time do not mix."""

    @tracer.start_as_current_span("call")
    async def work(name):
        before = trace.get_current_span()
        await asyncio.sleep(0)
        before.set_attribute("name", name)
        return before is trace.get_current_span()

    async def both():
        return await asyncio.gather(work("a"), work("b"))

    assert [True, True] == asyncio.run(both())
    spans = sink.spans(2)
    assert ({"a", "b"}, [0, 0]) == ({span.tags["name"] for span in spans}, [ids(span)[1] for span in spans])


def test_tasks_inherit_the_span_of_their_creator(tracer, sink):
    """The current span crosses ``create_task`` and ``to_thread``, and what a task sets stays in it."""

    async def child(name):
        with tracer.start_as_current_span(name):
            await asyncio.sleep(0)

    async def main():
        with tracer.start_as_current_span("root") as root:
            await asyncio.gather(asyncio.create_task(child("a")), asyncio.create_task(child("b")))
            await asyncio.to_thread(lambda: tracer.start_span("thread").end())
            return root is trace.get_current_span()

    assert asyncio.run(main())
    spans = {span.name: span for span in sink.spans(4)}
    root = int.from_bytes(spans["root"].span_id)
    assert [root] * 3 == [ids(spans[name])[1] for name in ("a", "b", "thread")]


def test_threads_start_empty_and_take_a_context_by_hand(tracer, sink):
    """A thread has no current span of its own, unless it runs in a copied context."""
    with tracer.start_as_current_span("root"):
        copied = contextvars.copy_context()
        alone = threading.Thread(target=lambda: tracer.start_span("alone").end())
        alone.start()
        alone.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copied.run, lambda: tracer.start_span("copied").end()).result()
    root = int.from_bytes(sink.span("root").span_id)
    assert (0, root) == (ids(sink.span("alone"))[1], ids(sink.span("copied"))[1])


def test_ids_are_not_what_random_seed_makes_them(tracer):
    """A service that seeds ``random`` still gets ids of its own."""
    random.seed(1)
    first = tracer.start_span("a")
    random.seed(1)
    second = tracer.start_span("b")
    assert first.get_span_context().trace_id != second.get_span_context().trace_id
    first.end()
    second.end()


@pytest.mark.usefixtures("scope")
def test_one_tracer_for_each_scope():
    """The same name, version, schema and attributes give the same tracer."""
    provider = trace.get_tracer_provider()
    tracers = [
        provider.get_tracer("a"),
        provider.get_tracer("a"),
        provider.get_tracer("a", "1"),
        provider.get_tracer(""),
    ]
    assert isinstance(tracers[0], _tracer.Tracer)
    assert 3 == len(set(tracers))


def test_tracer_from_before_init(program, sink):
    """A module that asks for its tracer at import, before ``init``, gets ours all the same."""
    running = program(
        """
        from opentelemetry import trace
        tracer = trace.get_tracer("early")
        @tracer.start_as_current_span("decorated")
        def work(): pass
        tracer.start_span("lost").end()
        import shopscope
        shopscope.init("early")
        with tracer.start_as_current_span("seen"):
            work()
        """
    )
    code, _, errors = running.finish()
    assert (0, "") == (code, errors)
    assert {"seen", "decorated"} == {span.name for span in sink.spans(2)}


def test_foreign_provider_is_left_alone(program, sink):
    """A service with the stock SDK keeps it; shopscope says that it sends its own spans alone."""
    running = program(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        trace.set_tracer_provider(TracerProvider())
        import shopscope
        shopscope.init("mixed")
        print(type(trace.get_tracer("x").start_span("theirs")).__module__)
        @shopscope.journey("refund")
        def refund(): pass
        refund()
        """
    )
    code, output, errors = running.finish()
    assert (0, "") == (code, errors)
    assert "opentelemetry.sdk.trace" in output.splitlines()
    assert "OpenTelemetry has a tracer provider already" in output
    assert "refund" == sink.span().name
