"""Limits of spans, and what becomes of values, keys and names that the API does not allow."""

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext, Status, StatusCode, TraceState
from otlp_sink import plain_attributes

from shopscope._export._decode import read_attributes
from shopscope._export._wire import LENGTH_DELIMITED, attributes, tag
from shopscope._tracing._limits import SpanLimits, clean, clean_all

CONTEXT = SpanContext(7, 8, is_remote=True)


@pytest.fixture
def tracer(scope):
    assert scope.service == "checkout"
    return trace.get_tracer("test")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, SpanLimits()),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": 5}, SpanLimits(attributes=5, attributes_per_event=5, attributes_per_link=5)),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": 5, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": 6}, SpanLimits(6, 128, 128, 5, 5)),
        ({"OTEL_SPAN_EVENT_COUNT_LIMIT": 1, "OTEL_SPAN_LINK_COUNT_LIMIT": 0}, SpanLimits(128, 1, 0)),
        (
            {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": 3, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": 4},
            SpanLimits(128, 128, 128, 3, 4),
        ),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": 9}, SpanLimits(value_length=9)),
        (
            {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": 9, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": 8},
            SpanLimits(value_length=8),
        ),
    ],
)
def test_limits_of_the_environment(environ, expected):
    """The span's own variable comes before the common one, that before the specification's default."""
    assert expected == SpanLimits.from_environ(environ.get)


def test_counts(observe, sink):
    """What exceeds a count is dropped and counted: the first attributes, events and links stay."""
    observe(
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="2",
        OTEL_SPAN_EVENT_COUNT_LIMIT="1",
        OTEL_SPAN_LINK_COUNT_LIMIT="1",
        OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT="1",
        OTEL_LINK_ATTRIBUTE_COUNT_LIMIT="0",
    )
    links = [Link(CONTEXT, {"x": 1}), Link(CONTEXT)]
    with trace.get_tracer("test").start_as_current_span(
        "work", attributes={"a": 1, "b": 2, "c": 3}, links=links
    ) as span:
        span.set_attributes({"a": "changed", "d": 4})
        span.add_event("first", {"x": 1, "y": 2})
        span.add_event("second")
    sent = sink.span()
    assert ({"a": "changed", "b": 2}, 2) == (sent.tags, sent.dropped_attributes_count)
    (event,) = sent.events
    assert ("first", {"x": 1}, 1, 1) == (
        event.name,
        plain_attributes(event.attributes),
        event.dropped_attributes_count,
        sent.dropped_events_count,
    )
    (link,) = sent.links
    assert (0, 1, 1) == (len(link.attributes), link.dropped_attributes_count, sent.dropped_links_count)


def test_lengths(observe, sink):
    """Texts and bytes are cut, wherever they are; numbers are not."""
    observe(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="3")
    long = {"text": "abcdef", "list": ["abcdef", 123456], "bytes": b"abcdef", "map": {"k": "abcdef"}, "n": 123456}
    with trace.get_tracer("test").start_as_current_span("a long name", attributes=long) as span:
        span.add_event("a long event", {"text": "äöüabc"})
        span.set_attribute("late", "abcdef")
    sent = sink.span("a long name")
    assert {
        "text": "abc",
        "list": ["abc", 123456],
        "bytes": b"abc",
        "map": {"k": "abc"},
        "n": 123456,
        "late": "abc",
    } == sent.tags
    assert ("a long event", {"text": "äöü"}) == (sent.events[0].name, plain_attributes(sent.events[0].attributes))


def test_limits_hold_for_our_own_attributes(observe, sink, call):
    """What our instrumentation keeps encoded is bounded too, on SERVER spans as on all others."""
    app = FastAPI()

    @app.get("/items/{item}")
    def item(item: str):
        return item

    observe(app=app, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="4", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="3")
    call(app, "/items/12345")
    sent = sink.span("GET /items/{item}")
    assert (3, True) == (len(sent.attributes), sent.dropped_attributes_count > 3)
    assert [] == [value for value in sent.tags.values() if isinstance(value, str) and len(value) > 4]


def test_a_limit_is_said_once(tracer, caplog):
    """However many attributes are dropped, one line says so."""
    for _ in range(2):
        with tracer.start_as_current_span("work") as span:
            for number in range(140):
                span.set_attribute(f"a{number}", number)
    assert 1 == sum("too many attributes" in record.getMessage() for record in caplog.records)


class Plain:
    """A value without a text."""


def test_values_of_no_known_type(tracer, sink, caplog):
    """Their text is taken, or nothing if they have none; each type is named once."""
    with tracer.start_as_current_span("work") as span:
        for number in range(2):
            span.set_attribute(f"plain {number}", Plain())
            span.set_attribute(f"set {number}", {1})
        span.set_attribute("none", None)
        span.set_attribute("mixed", [1, "a", None, [True]])
    assert {
        "plain 0": None,
        "plain 1": None,
        "set 0": "{1}",
        "set 1": "{1}",
        "none": None,
        "mixed": [1, "a", None, [True]],
    } == sink.span().tags
    said = [record.args[0] for record in caplog.records if "an attribute must be" in record.msg]
    assert ["Plain", "set"] == said


@pytest.mark.parametrize("attributes", [[("a", 1)], 5, "text"])
def test_attributes_that_are_no_mapping(tracer, sink, attributes):
    """They are left out; the span is sent."""
    with tracer.start_as_current_span("work", attributes=attributes) as span:
        span.set_attributes(attributes)
        span.add_event("event", attributes)
        span.add_link(CONTEXT, attributes)
    sent = sink.span()
    assert ({}, 0, 0) == (sent.tags, len(sent.events[0].attributes), len(sent.links[0].attributes))


def test_keys(tracer, sink):
    """An empty key is dropped and counted; one that is no text becomes its text."""
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("", 1)
        span.set_attribute(None, 1)
        span.set_attribute(5, 1)
        span.add_event("event", {"": 1, "a": 1})
    sent = sink.span()
    assert ({"5": 1}, 2, 1) == (sent.tags, sent.dropped_attributes_count, sent.events[0].dropped_attributes_count)


def test_names_that_are_no_text(tracer, sink):
    """Names of spans and events become text instead of losing the span."""
    with tracer.start_as_current_span(5) as span:
        span.add_event(6)
    assert ["6"] == [event.name for event in sink.span("5").events]
    with tracer.start_as_current_span("before") as span:
        span.update_name(None)
    assert "None" == sink.spans(2)[1].name


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ((StatusCode.ERROR, 5), (2, "")),
        ((2,), (0, "")),
        ((None,), (0, "")),
        ((Status(StatusCode.ERROR, "bad"), "ignored"), (2, "bad")),
    ],
)
def test_strange_statuses(tracer, sink, status, expected):
    """A description that is no text is left out, a status that is none is ignored."""
    with tracer.start_as_current_span("work") as span:
        span.set_status(*status)
    sent = sink.span()
    assert expected == (sent.status.code, sent.status.message)


def test_links_to_nowhere(tracer, sink):
    """A link without ids is kept only if it has attributes or a tracestate."""
    stated = SpanContext(0, 0, is_remote=False, trace_state=TraceState([("a", "b")]))
    with tracer.start_as_current_span("work", links=[None, Link(INVALID_SPAN_CONTEXT)]) as span:
        span.add_link(INVALID_SPAN_CONTEXT)
        span.add_link(None)
        span.add_link(INVALID_SPAN_CONTEXT, {"a": 1})
        span.add_link(stated)
    sent = sink.span()
    assert [({"a": 1}, ""), ({}, "a=b")] == [
        (plain_attributes(link.attributes), link.trace_state) for link in sent.links
    ]
    assert [bytes(16)] * 2 == [link.trace_id for link in sent.links]


def test_after_the_end_nothing_changes(tracer, sink, caplog):
    """Each operation on an ended span is ignored and says so once."""
    span = tracer.start_span("work")
    span.end()
    for _ in range(2):
        span.set_attribute("a", 1)
        span.update_name("other")
        span.set_status(StatusCode.ERROR)
        span.add_event("event")
        span.add_link(CONTEXT)
        span.end()
    sent = sink.span()
    assert ("work", {}, 0, 0, 0) == (sent.name, sent.tags, sent.status.code, len(sent.events), len(sent.links))
    said = [record.args[0] for record in caplog.records if "comes after its end" in record.msg]
    assert ["set_attribute", "update_name", "set_status", "add_event", "add_link"] == said


def test_times_of_zero_are_times(tracer, sink):
    """A start or an event at the beginning of time is not mistaken for none."""
    span = tracer.start_span("work", start_time=0)
    span.add_event("event", timestamp=0)
    span.end(1)
    sent = sink.span()
    assert (0, 1, 0) == (sent.start_time_unix_nano, sent.end_time_unix_nano, sent.events[0].time_unix_nano)


def test_nesting_has_an_end():
    """Values nested too deep, or in a circle, become text instead of recursion without end."""
    circle: list = []
    circle.append(circle)
    found, depth = clean(circle, None), 0
    while isinstance(found, tuple):
        (found,), depth = found, depth + 1
    assert ("[[...]]", 16) == (found, depth)


def test_a_mapping_is_copied():
    """What is kept does not follow later changes."""
    given = {"a": 1}
    kept, dropped = clean_all(given, 128, None)
    given["b"] = 2
    assert ({"a": 1}, 0) == (kept, dropped)


def test_decoded_attributes_are_those_encoded():
    """Reading back what was encoded gives the same values, of every type and size."""
    given = {
        "text": "ä" * 200,
        "yes": True,
        "no": False,
        "small": 5,
        "negative": -5,
        "lowest": -(1 << 63),
        "float": 1.5,
        "none": None,
        "bytes": b"\x00\xff",
        "empty": "",
        "list": ("a", 1, ("b",)),
        "map": {"k": {"deep": 2}},
    }
    assert given == read_attributes(attributes(tag(9, LENGTH_DELIMITED), given))
