"""The current span across tasks, threads, generators and hand-made contexts, as the API says."""

import asyncio
import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import get_baggage, set_baggage


@pytest.fixture
def tracer(scope):
    assert scope.service == "checkout"
    return trace.get_tracer("test")


def parents(spans):
    """Name of each span's parent."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_span_id, "") for span in spans}


def test_attach_and_detach_by_hand(tracer, sink):
    """Contexts attached by hand nest, and detaching brings back what was there before."""
    outer, inner = tracer.start_span("outer"), tracer.start_span("inner")
    first = context_api.attach(trace.set_span_in_context(outer))
    second = context_api.attach(trace.set_span_in_context(inner))
    tracer.start_span("in inner").end()
    context_api.detach(second)
    tracer.start_span("in outer").end()
    context_api.detach(first)
    tracer.start_span("outside").end()
    outer.end()
    inner.end()
    assert {"in inner": "inner", "in outer": "outer", "outside": "", "outer": "", "inner": ""} == parents(sink.spans(5))


def test_threads_have_no_span_unless_a_context_is_carried(tracer, sink):
    """A new thread starts without a current span; one that runs in a copied context has its creator's."""
    with tracer.start_as_current_span("root"), ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: tracer.start_span("bare").end()).result()
        carried = contextvars.copy_context()
        pool.submit(carried.run, lambda: tracer.start_span("carried").end()).result()
    assert {"bare": "", "carried": "root", "root": ""} == parents(sink.spans(3))


def test_a_span_may_end_in_another_thread(tracer, sink):
    """A span started in one thread takes attributes in a second and ends in a third, once."""
    span = tracer.start_span("work")
    for job in (lambda: span.set_attribute("where", "second"), span.end, span.end):
        thread = threading.Thread(target=job)
        thread.start()
        thread.join()
    assert {"where": "second"} == sink.span().tags


def test_many_threads_end_a_span_once(tracer, sink, scope):
    """However many threads end a span at a time, and set attributes meanwhile, it is sent once, whole."""
    spans = [tracer.start_span(f"work {number}") for number in range(50)]
    gate = threading.Barrier(4)

    def finish(worker):
        gate.wait()
        for span in spans:
            for number in range(5):
                span.set_attribute(f"{worker} {number}", number)
            span.end()

    threads = [threading.Thread(target=finish, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scope.flush()
    assert sorted(span.name for span in spans) == sorted(sent.name for sent in sink.spans(50))


def test_tasks_do_not_share_their_current_span(tracer, sink):
    """Each task nests its own spans below the span that was current when it was made."""

    async def work(name):
        with tracer.start_as_current_span(name):
            await asyncio.sleep(0)
            tracer.start_span(f"in {name}").end()

    async def main():
        with tracer.start_as_current_span("root"):
            await asyncio.gather(work("a"), work("b"))

    asyncio.run(main())
    assert {"root": "", "a": "root", "b": "root", "in a": "a", "in b": "b"} == parents(sink.spans(5))


def test_to_thread_keeps_the_span(tracer, sink):
    """``asyncio.to_thread`` carries the current span, and what the thread makes current stays there."""

    def work():
        with tracer.start_as_current_span("in thread"):
            pass

    async def main():
        with tracer.start_as_current_span("root") as root:
            await asyncio.to_thread(work)
            return root is trace.get_current_span()

    assert asyncio.run(main())
    assert {"root": "", "in thread": "root"} == parents(sink.spans(2))


def test_cancelled_tasks_end_their_span(tracer, sink):
    """Cancelling a task ends its span, without an error: nothing has failed."""

    async def work(is_running):
        with tracer.start_as_current_span("work"):
            is_running.set()
            await asyncio.Event().wait()

    async def main():
        is_running = asyncio.Event()
        task = asyncio.create_task(work(is_running))
        await is_running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (0, 0) == (sink.span("work").status.code, len(sink.span("work").events))


def test_a_block_in_a_generator(tracer, sink):
    """A span that a generator keeps open while it is suspended ends when the generator is closed, in order."""

    def numbers():
        with tracer.start_as_current_span("numbers"):
            yield 1
            tracer.start_span("inside").end()
            yield 2

    generator = numbers()
    assert [1, 2] == [next(generator), next(generator)]
    generator.close()
    assert trace.INVALID_SPAN is trace.get_current_span()
    assert {"inside": "numbers", "numbers": ""} == parents(sink.spans(2))
    assert 0 == sink.span("numbers").status.code


def test_decorated_generators_are_spans_as_long_as_they_run(tracer, sink):
    """A decorated generator's span is current while its body runs, not for its consumer, and ends with it."""

    @tracer.start_as_current_span("numbers")
    def numbers(count):
        for number in range(count):
            tracer.start_span(f"number {number}").end()
            got.append((yield number))
        return "done"

    got = []
    generator = numbers(2)
    assert 0 == next(generator)
    assert trace.INVALID_SPAN is trace.get_current_span()
    tracer.start_span("outside").end()
    assert 1 == generator.send("sent")
    with pytest.raises(StopIteration, match="done"):
        next(generator)
    assert ["sent", None] == got
    expected = {"number 0": "numbers", "number 1": "numbers", "outside": "", "numbers": ""}
    assert expected == parents(sink.spans(4))


def test_decorated_generators_that_fail_or_are_left(tracer, sink):
    """An error inside is recorded and passes; a consumer's ``throw`` reaches the body; ``close`` is no error."""

    @tracer.start_as_current_span("careful")
    def careful():
        try:
            yield 1
        except KeyError:
            yield 2
        raise ValueError("bad")

    generator = careful()
    assert (1, 2) == (next(generator), generator.throw(KeyError("k")))
    with pytest.raises(ValueError, match="bad"):
        next(generator)
    left = careful()
    next(left)
    left.close()
    failed, closed = sink.spans(2)
    assert ((2, "ValueError: bad"), (0, "")) == tuple((s.status.code, s.status.message) for s in (failed, closed))


def test_decorated_async_generators(tracer, sink):
    """The same for asynchronous generators, whose consumer may be another task each time."""

    @tracer.start_as_current_span("stream")
    async def stream():
        for number in range(2):
            await asyncio.sleep(0)
            tracer.start_span(f"number {number}").end()
            yield number

    async def main():
        found = []
        async for number in stream():
            tracer.start_span("outside").end()
            found.append(number)
        left = stream()
        await asyncio.create_task(anext(left))
        await left.aclose()
        return found

    assert [0, 1] == asyncio.run(main())
    spans = sink.spans(7)
    names = {span.span_id: span.name for span in spans}
    found = [(span.name, names.get(span.parent_span_id, "")) for span in spans]
    assert [("number 0", "stream"), ("outside", ""), ("number 1", "stream"), ("outside", ""), ("stream", "")] == found[
        :5
    ]
    assert [("number 0", "stream"), ("stream", "")] == found[5:]


def test_detaching_elsewhere_does_not_raise(tracer, caplog):
    """A block whose end comes in another context is reported by the API and costs the service nothing."""
    manager = tracer.start_as_current_span("work")
    span = contextvars.copy_context().run(manager.__enter__)
    with caplog.at_level(logging.CRITICAL):
        manager.__exit__(None, None, None)
    assert not span.is_recording()


def test_baggage_does_not_lose_the_span(tracer, sink):
    """Baggage set below a span keeps that span current, and is seen by what runs below it."""
    with tracer.start_as_current_span("root"):
        token = context_api.attach(set_baggage("shop", "berlin"))
        tracer.start_span("child").end()
        inside = get_baggage("shop")
        context_api.detach(token)
    assert ("berlin", None) == (inside, get_baggage("shop"))
    assert {"root": "", "child": "root"} == parents(sink.spans(2))


def test_end_on_exit_false(tracer, sink, scope):
    """A block may leave its span open for someone else to end."""
    with tracer.start_as_current_span("work", end_on_exit=False) as span:
        pass
    assert (True, trace.INVALID_SPAN) == (span.is_recording(), trace.get_current_span())
    span.end()
    assert scope.flush()
    assert ["work"] == [sent.name for sent in sink.spans(1)]
