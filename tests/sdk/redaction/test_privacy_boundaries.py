"""Where others take over what we hold: propagators of the API, span processors of the service, numbers of all types."""

import json
from decimal import Decimal

import pytest
import requests
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.metrics import get_meter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, Counter

import shopscope
from shopscope._redaction import _privacy
from shopscope._redaction._privacy import is_card_number, scrub

NUMBER = 4111111111111111
SECRETS = {"user": "bob@example.com", "session_token": "x", "bob@example.com": "b", "card": NUMBER}


@pytest.fixture(autouse=True)
def _own_patterns_alone():
    _privacy.configure()
    yield
    _privacy.configure()


class Unreadable:
    """Has no text."""

    def __str__(self):
        raise RuntimeError("no text")


def context_with(entries):
    context = Context()
    for key, value in entries.items():
        context = baggage.set_baggage(key, value, context)
    return context


@pytest.mark.parametrize(
    ("propagators", "expected"),
    [("", {"baggage": "tenant=a"}), ("jaeger", {"uberctx-tenant": "a"}), ("tracecontext", {})],
)
def test_baggage_that_others_inject(observe, propagators, expected):
    """Whoever injects through the API passes no secret on, whichever propagators there are."""
    observe(OTEL_PROPAGATORS=propagators)
    context = context_with({"tenant": "a", "odd": Unreadable(), **SECRETS})
    with trace.get_tracer("test").start_as_current_span("work") as span:
        carrier = {}
        propagate.inject(carrier, trace.set_span_in_context(span, context))
    assert expected == {key: value for key, value in carrier.items() if key not in {"traceparent", "uber-trace-id"}}


def test_baggage_that_contrib_passes_on(observe, sink):
    """The instrumentation of requests, as installed, sends what is no secret."""
    observe()
    token = attach(context_with({"tenant": "a", **SECRETS}))
    try:
        sent = requests.get(f"{sink.url}/any", timeout=10).request.headers
    finally:
        detach(token)
    assert (True, "tenant=a") == ("traceparent" in sent, sent["baggage"])


class AtStart(SimpleSpanProcessor):
    """Exports each span when it starts too, as processors for spans that never end do."""

    def on_start(self, span, parent_context=None):  # noqa: ARG002 (as the API calls it)
        """Note what there is."""
        self.seen = span
        self.started = (span.name, dict(span.attributes), [dict(link.attributes) for link in span.links])


def test_spans_that_processors_see(observe, sink):
    """A processor of the service sees no secret that a span starts with, and none when it has ended."""
    observe()
    exporter = InMemorySpanExporter()
    processor = AtStart(exporter)
    trace.get_tracer_provider().add_span_processor(processor)
    link = trace.Link(trace.SpanContext(1, 2, is_remote=False), {"token": "hunter2"})
    attributes = {"note": "bob@example.com", "password": "hunter2", "kept": (1, "a")}
    span = trace.get_tracer("test").start_span(f"pay {NUMBER}", attributes=attributes, links=[link])
    hidden = {"note": "[email]", "password": "[redacted]", "kept": (1, "a")}
    assert ("pay [card]", hidden, [{"token": "[redacted]"}]) == processor.started
    assert span is processor.seen
    # Between start and end it is the service's own span, with what the service has put on it.
    span.set_attribute("late", "eve@example.com")
    assert "eve@example.com" == processor.seen.attributes["late"]
    span.add_event(f"event {NUMBER}", {"cvv": 123})
    span.end()
    (exported,) = exporter.get_finished_spans()
    assert ("pay [card]", {**hidden, "late": "[email]"}) == (exported.name, dict(exported.attributes))
    assert [("event [card]", {"cvv": "[redacted]"})] == [(one.name, dict(one.attributes)) for one in exported.events]
    assert {**hidden, "kept": [1, "a"], "late": "[email]"} == sink.span().tags


STOCK = """
    import shopscope
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    shopscope.init("checkout")
    exporter = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    trace.get_tracer("test").start_span("work", attributes={"note": "bob@example.com"}).end()
    print(exporter.get_finished_spans()[0].attributes["note"])
    shopscope.shutdown()
"""


def test_processors_of_the_stock_sdk(program, sink):
    """They see what the service has set, as the stock SDK gives it to them; what we export is without secrets."""
    assert (0, "bob@example.com\n", "") == program(STOCK, SHOPSCOPE_TRACER="opentelemetry").finish()
    assert "[email]" == sink.span("work").tags["note"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (NUMBER, True),
        (float(NUMBER), True),
        (NUMBER + 1, False),
        (NUMBER + 0.5, False),
        (float("nan"), False),
        (float("inf"), False),
        (-float(NUMBER), False),
        (True, False),
    ],
)
def test_numbers_that_are_cards(number, expected):
    """A whole number that could be a card is one, also with a point."""
    assert expected == is_card_number(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.000000000000020E+15", "4.000000000000020E+15"),
        (str(Decimal(4000000000000770).normalize()), "[card]"),
        ("about 4.11111111111111100e+15 of", "about [card] of"),
        ("4.1E+15", "4.1E+15"),
        ("1.5e+300", "1.5e+300"),
    ],
)
def test_numbers_with_an_exponent(text, expected):
    """As decimals and formatted floats become texts."""
    assert expected == scrub(text)


NUMBERS = {"float": float(NUMBER), "decimal": Decimal(NUMBER), "exponent": Decimal("4.242424242424242E+15")}
KEPT = {"price": 62.4, "large": 4111111111111112.0, "nanoseconds": 1764000000123456789}


def test_numbers_in_attributes(observe, sink):
    """Also in lists and on events."""
    observe()
    with trace.get_tracer("test").start_as_current_span("work") as span:
        span.set_attributes({**NUMBERS, **KEPT, "list": [float(NUMBER), 0.5]})
        span.add_event("paid", {"number": float(NUMBER)})
    tags = sink.span().tags
    assert {**dict.fromkeys(NUMBERS, "[card]"), **KEPT, "list": ["[card]", 0.5]} == tags
    assert "4111111111111111" not in str(sink.span().item)


def test_numbers_in_logs(observe, sink, capsys):
    """As values, nested, and as keys; on the line and in OTLP."""
    observe()
    nested = {float(NUMBER): "key", "value": float(NUMBER), "decimal": Decimal(NUMBER)}
    shopscope.get_logger().info("paid", **NUMBERS, **KEPT, nested=nested)
    line = json.loads(capsys.readouterr().out)
    hidden = dict.fromkeys(NUMBERS, "[card]")
    assert {**hidden, **KEPT}.items() <= line.items()
    assert {"[card]": "key", "value": "[card]", "decimal": "[card]"} == line["nested"]
    assert {**hidden, **KEPT}.items() <= sink.log("paid").tags.items()


def test_numbers_in_labels(observe, sink):
    """Of prometheus_client, whose labels are texts, and of meters, whose are not; pushed and scraped."""
    counter = Counter("privacy_numbers", "Numbers.", ["number"])
    try:
        scope = observe()
        counter.labels(float(NUMBER)).inc()
        get_meter("test").create_counter("privacy.paid").add(1, {"number": float(NUMBER)})
        page, _ = scope._pipeline.metering.exposition.render("")
        scope.shutdown()
        seen = [str(sink.points(name)[0].tags) for name in ("privacy_numbers_total", "privacy.paid")]
        assert [False] * 3 == ["4111111111111111" in text for text in (page.decode(), *seen)]
        assert [True] * 3 == ["[card]" in text for text in (page.decode(), *seen)]
    finally:
        REGISTRY.unregister(counter)
