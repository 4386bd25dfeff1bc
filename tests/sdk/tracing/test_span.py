"""Our span behind the OpenTelemetry API: what it carries to the endpoint."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from otlp_sink import plain_attributes

OK, ERROR, UNSET = 1, 2, 0


@pytest.fixture
def tracer(scope):
    assert scope.service == "checkout"
    return trace.get_tracer("my.library", "1.2", schema_url="https://schema", attributes={"kind": "test"})


def test_identity_name_kind_and_times(tracer, sink):
    """A span arrives under its ids with its name, kind and the times that it was given."""
    span = tracer.start_span("work", kind=SpanKind.PRODUCER, start_time=1_000_000_000)
    span.end(3_000_000_000)
    context = span.get_span_context()
    sent = sink.span()
    assert (context.trace_id, context.span_id, b"") == (
        int.from_bytes(sent.trace_id),
        int.from_bytes(sent.span_id),
        sent.parent_span_id,
    )
    assert ("work", 4, 1_000_000_000, 3_000_000_000) == (
        sent.name,
        sent.kind,
        sent.start_time_unix_nano,
        sent.end_time_unix_nano,
    )
    assert ("my.library", 0x103) == (sent.scope, sent.flags)


@pytest.mark.parametrize("kind", SpanKind)
def test_kinds(tracer, sink, kind):
    """The API counts kinds from zero, OTLP from one."""
    tracer.start_span("work", kind=kind).end()
    assert kind.value + 1 == sink.span().kind


def test_attributes(tracer, sink):
    """Attributes from the start and later ones; the last value of a key wins."""
    span = tracer.start_span("work", attributes={"a": 1, "b": "x"})
    span.set_attribute("a", 2)
    span.set_attributes({"c": [1.5, 2.5], "d": True})
    span.end()
    assert {"a": 2, "b": "x", "c": [1.5, 2.5], "d": True} == sink.span().tags


def test_nothing_changes_after_the_end(tracer, sink):
    """An ended span refuses attributes, events, links, names and status, and is sent once."""
    span = tracer.start_span("work")
    assert span.is_recording()
    span.end()
    span.set_attribute("late", 1)
    span.set_attributes({"late": 1})
    span.add_event("late")
    span.add_link(SpanContext(1, 1, is_remote=False))
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    span.record_exception(ValueError("late"))
    span.end()
    tracer.start_span("after").end()
    first, second = sink.spans(2)
    assert ("work", "after", {}, [], [], UNSET, False) == (
        first.name,
        second.name,
        first.tags,
        list(first.events),
        list(first.links),
        first.status.code,
        span.is_recording(),
    )


def test_update_name(tracer, sink):
    """The name can be replaced while the span lasts."""
    with tracer.start_as_current_span("old") as span:
        span.update_name("new")
    assert "new" == sink.span().name


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(StatusCode.ERROR, "bad")], (ERROR, "bad")),
        ([(StatusCode.OK, "ignored")], (OK, "")),
        ([(StatusCode.UNSET, "ignored")], (UNSET, "")),
        ([(StatusCode.OK, None), (StatusCode.ERROR, "late")], (OK, "")),
        ([(StatusCode.ERROR, "bad"), (StatusCode.OK, None)], (OK, "")),
        ([(StatusCode.ERROR, "bad"), (StatusCode.UNSET, None)], (ERROR, "bad")),
        ([(StatusCode.ERROR, "bad"), (StatusCode.ERROR, "worse")], (ERROR, "worse")),
        ([(StatusCode.ERROR, "bad"), (StatusCode.ERROR, None)], (ERROR, "")),
        ([(Status(StatusCode.ERROR, "whole"), None)], (ERROR, "whole")),
    ],
)
def test_status_rules(tracer, sink, steps, expected):
    """OK is final, UNSET is ignored, only an error has a description."""
    span = tracer.start_span("work")
    for status, description in steps:
        span.set_status(status, description)
    span.end()
    status = sink.span().status
    assert expected == (status.code, status.message)


def test_events(tracer, sink):
    """Events keep their order, time and attributes."""
    with tracer.start_as_current_span("work") as span:
        span.add_event("first", {"n": 1}, 5)
        span.add_event("second")
    first, second = sink.span().events
    assert ("first", {"n": 1}, 5, "second", {}) == (
        first.name,
        plain_attributes(first.attributes),
        first.time_unix_nano,
        second.name,
        plain_attributes(second.attributes),
    )
    assert second.time_unix_nano > 0


def test_links(tracer, sink):
    """Links from the start and later ones, remote or not, with tracestate."""
    remote = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")]))
    span = tracer.start_span("work", links=[Link(remote, {"why": "batch"})])
    span.add_link(SpanContext(9, 10, is_remote=False))
    span.end()
    first, second = sink.span().links
    assert (7, 8, "a=b", {"why": "batch"}, 0x301) == (
        int.from_bytes(first.trace_id),
        int.from_bytes(first.span_id),
        first.trace_state,
        plain_attributes(first.attributes),
        first.flags,
    )
    assert (9, 10, "", 0x100) == (
        int.from_bytes(second.trace_id),
        int.from_bytes(second.span_id),
        second.trace_state,
        second.flags,
    )


def test_limits(tracer, sink):
    """Beyond 128 attributes, events and links are dropped, and the span says how many."""
    span = tracer.start_span("work")
    for number in range(130):
        span.set_attribute(f"a{number}", number)
        span.add_event(f"e{number}")
        span.add_link(SpanContext(number + 1, 1, is_remote=False))
    span.set_attribute("a0", "changed")
    span.end()
    sent = sink.span()
    assert (128, 2, 128, 2, 128, 2) == (
        len(sent.attributes),
        sent.dropped_attributes_count,
        len(sent.events),
        sent.dropped_events_count,
        len(sent.links),
        sent.dropped_links_count,
    )
    assert "changed" == sent.tags["a0"]


class Unprintable(Exception):  # noqa: N818 (what it is)
    """An exception without a text."""

    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text", "way"),
    [
        (ValueError("bad"), "bad", "current"),
        (ValueError("bad"), "bad", "with"),
        (ValueError("bad"), "bad", "use_span"),
        (Unprintable(), "<unprintable Unprintable>", "current"),
        (Unprintable(), "<unprintable Unprintable>", "with"),
    ],
    ids=["current", "with", "use_span", "current without text", "with without text"],
)
def test_exception_passes_and_is_recorded(tracer, sink, error, text, way):
    """An exception leaves the block unchanged; event and status say what it was, even if it has no text."""
    manager = {
        "current": lambda: tracer.start_as_current_span("work"),
        "with": lambda: tracer.start_span("work"),
        "use_span": lambda: trace.use_span(tracer.start_span("work"), end_on_exit=True),
    }[way]
    with pytest.raises(type(error)) as caught, manager():
        raise error
    assert error is caught.value
    sent = sink.span()
    kind = type(error).__name__
    assert (ERROR, f"{kind}: {text}") == (sent.status.code, sent.status.message)
    (event,) = sent.events
    attributes = plain_attributes(event.attributes)
    assert ("exception", text, True, True) == (
        event.name,
        attributes["exception.message"],
        attributes["exception.type"].endswith(kind),
        attributes["exception.stacktrace"].startswith("Traceback"),
    )


@pytest.mark.parametrize("way", ["start_as_current_span", "start_span"])
def test_recording_of_exceptions_can_be_switched_off(tracer, sink, way):
    """``record_exception`` and ``set_status_on_exception`` are obeyed by both ways to start a span."""
    start = getattr(tracer, way)
    with pytest.raises(ValueError, match="bad"), start("no event", record_exception=False):
        raise ValueError("bad")
    with pytest.raises(ValueError, match="bad"), start("no status", set_status_on_exception=False):
        raise ValueError("bad")
    no_event, no_status = sink.spans(2)
    assert (0, ERROR, 1, UNSET) == (
        len(no_event.events),
        no_event.status.code,
        len(no_status.events),
        no_status.status.code,
    )


def test_exit_is_no_error(tracer, sink):
    """What is not an ``Exception`` (a generator's end, Ctrl-C) leaves the status alone."""
    with pytest.raises(KeyboardInterrupt), tracer.start_as_current_span("work"):
        raise KeyboardInterrupt
    sent = sink.span()
    assert (UNSET, 0) == (sent.status.code, len(sent.events))


def test_record_exception_adds_own_attributes(tracer, sink):
    """Attributes that are given come before those of the exception."""
    with tracer.start_as_current_span("work") as span:
        span.record_exception(ValueError("bad"), {"exception.message": "mine", "more": 1}, 7)
    (event,) = sink.span().events
    attributes = plain_attributes(event.attributes)
    assert ("mine", 1, 7) == (attributes["exception.message"], attributes["more"], event.time_unix_nano)


class Raising:
    """A value without a text."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def test_strange_values_cost_nothing(tracer, sink):
    """Values that raise or that OTLP does not know neither reach the caller nor lose the span."""
    with tracer.start_as_current_span("work", attributes={3: Raising(), "huge": 1 << 80}) as span:
        span.set_attribute("set", {1})
        span.add_event("event", {"bad": Raising(), "none": None})
    sent = sink.span()
    assert {"3": "<unprintable Raising>", "huge": str(1 << 80), "set": "{1}"} == sent.tags
    assert {"bad": "<unprintable Raising>", "none": None} == plain_attributes(sent.events[0].attributes)


def test_a_list_is_taken_as_it_is_now(tracer, sink):
    """An attribute does not follow later changes of the list it was made from."""
    values = ["a"]
    span = tracer.start_span("work")
    span.set_attribute("values", values)
    values.append("b")
    span.end()
    assert ["a"] == sink.span().tags["values"]
