"""Journeys and their SLO events: by route, by decorator, and orders."""

import asyncio
import time
from decimal import Decimal

import pytest
from fastapi import FastAPI
from opentelemetry import baggage, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

import shopscope

SHOP = """
[journeys.product]
routes = ["GET /products/{sku}", "GET /p/{path:path}"]
service = "checkout"
latency = "40ms"
objective = 0.99

[journeys.refund]
service = "checkout"
latency = "10s"
objective = 0.99

[journeys.elsewhere]
routes = ["GET /elsewhere"]
service = "other"
latency = "1s"
objective = 0.99
"""


def events(sink):
    points = sink.points("shopscope.slo.events")
    return {(point.tags["journey"], point.tags["outcome"]): int(point.point.as_double) for point in points}


@pytest.fixture
def app():
    application = FastAPI()

    @application.get("/products/{sku}")
    async def product(sku: str):
        if sku == "slow":
            await asyncio.sleep(0.05)
        if sku == "broken":
            raise ValueError(sku)
        return baggage.get_all().get("shopscope.journey")

    @application.get("/p/{path:path}")
    async def deep(path: str):
        assert path == "a/b/c"
        return baggage.get_all().get("shopscope.journey")

    @application.get("/elsewhere")
    async def other():
        return baggage.get_all().get("shopscope.journey")

    return application


def test_events_are_zero_at_start(observe, sink):
    """Every outcome of every journey of this service is there before the first request, and no other's."""
    observe(shop=SHOP).shutdown()
    zeros = {(journey, outcome): 0 for journey in ("product", "refund") for outcome in ("good", "slow", "error")}
    assert zeros == events(sink)
    durations = {point.tags["journey"]: point.point.count for point in sink.points("shopscope.journey.duration")}
    assert {"product": 0, "refund": 0} == durations


def test_good_slow_and_error(observe, sink, call, app):
    """An event is good, or slower than the journey's threshold, or an error; each request is one."""
    scope = observe(app=app, shop=SHOP)
    for sku in ("a", "b", "slow", "broken"):
        call(app, f"/products/{sku}")
    scope.shutdown()
    counted = events(sink)
    assert 4 == sum(counted.values())
    assert 1 == counted["product", "error"]
    assert counted["product", "slow"] >= 1
    (duration,) = [point for point in sink.points("shopscope.journey.duration") if point.tags["journey"] == "product"]
    assert 4 == duration.point.count


def test_slow_is_what_the_histogram_says(observe, sink, call, app):
    """The threshold is a bound of the histogram, so that both count the same requests as slow."""
    scope = observe(app=app, shop=SHOP)
    for sku in ("slow", "a", "slow"):
        call(app, f"/products/{sku}")
    scope.shutdown()
    for name in ("shopscope.journey.duration", "http.server.request.duration"):
        point = next(point.point for point in sink.points(name) if point.tags.get("journey", "product") == "product")
        bound = list(point.explicit_bounds).index(0.04)
        assert events(sink)["product", "slow"] == sum(point.bucket_counts[bound + 1 :])


@pytest.mark.parametrize(
    ("path", "journey"),
    [
        ("/products/a", "product"),
        ("/products/a%2Fb", None),
        ("/products/", None),
        ("/products/a/b", None),
        ("/p/a/b/c", "product"),
        ("/elsewhere", None),
    ],
)
def test_route_templates(observe, call, app, path, journey):
    """A parameter matches one segment, a path parameter several; another service's routes are none of ours."""
    observe(app=app, shop=SHOP)
    response = call(app, path)
    assert journey == (response.json() if response.status_code == 200 else None)


def test_decorated_function(observe, sink):
    """Each call is a span with the journey, one SLO event, and what it calls carries the journey."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    def refund(order, *, reason):
        """Give money back."""
        trace.get_tracer("test").start_span("below").end()
        return order, reason, baggage.get_baggage("shopscope.journey")

    assert (1, "late", "refund") == refund(1, reason="late")
    assert ("refund", "Give money back.") == (refund.__name__, refund.__doc__)
    scope.shutdown()
    spans = {span.name: span for span in sink.spans(2)}
    assert spans["refund"].span_id == spans["below"].parent_span_id
    assert ["refund"] * 2 == [span.tags["shopscope.journey"] for span in spans.values()]
    assert (1, 0) == (events(sink)["refund", "good"], events(sink)["refund", "error"])


def test_decorated_coroutine_that_fails(observe, sink):
    """The exception comes through, the event is an error."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    async def refund():
        await asyncio.sleep(0)
        raise LookupError("no order")

    with pytest.raises(LookupError, match="no order"):
        asyncio.run(refund())
    scope.shutdown()
    span = sink.span()
    assert ("refund", 2, 1) == (span.name, span.status.code, events(sink)["refund", "error"])
    assert baggage.get_baggage("shopscope.journey") is None


def test_decorated_without_a_file(observe, sink, capsys):
    """A journey that the file does not name is traced, has no events, and this is said once."""
    scope = observe()

    @shopscope.journey("refund")
    def refund():
        return 1

    assert [1, 1] == [refund(), refund()]
    scope.shutdown()
    assert (2, []) == (len(sink.spans(2)), sink.points("shopscope.slo.events"))
    assert 1 == capsys.readouterr().out.count("is not in shopscope.toml")


def test_decorated_without_init():
    """Without telemetry a journey is the function itself."""

    @shopscope.journey("refund")
    def refund():
        return 1

    assert 1 == refund()


def test_journey_counts_whatever_is_sampled(observe, sink):
    """Below a caller that does not sample there is no span, but the event and its duration are counted."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    def refund():
        time.sleep(0.001)

    with trace.use_span(NonRecordingSpan(SpanContext(5, 6, is_remote=True))):
        refund()
    scope.shutdown()
    assert ([], 1) == (sink.spans(), events(sink)["refund", "good"])
    (point,) = [point.point for point in sink.points("shopscope.journey.duration") if point.tags["journey"] == "refund"]
    assert (1, True, 0) == (point.count, point.sum >= 0.001, len(point.exemplars))


def test_orders(observe, sink):
    """Orders and their value, by currency."""
    scope = observe()
    shopscope.order_placed(10.5)
    shopscope.order_placed(Decimal("2.25"), currency="EUR")
    shopscope.order_placed(3, currency="usd")
    scope.shutdown()
    values = {point.tags["currency"]: point.point.as_double for point in sink.points("shopscope.order.value")}
    counts = {point.tags["currency"]: point.point.as_double for point in sink.points("shopscope.orders")}
    assert ({"EUR": 12.75, "USD": 3}, {"EUR": 2, "USD": 1}) == (values, counts)


@pytest.mark.parametrize("total", ["many", None, float("nan"), float("inf"), -1])
def test_wrong_order_is_no_fault_of_the_service(observe, sink, total):
    """A total that is none counts nothing, raises nothing, and is counted as a fault."""
    scope = observe()
    shopscope.order_placed(total)
    scope.shutdown()
    assert ([], []) == (sink.points("shopscope.orders"), sink.points("shopscope.order.value"))
    assert ["order_placed"] == [point.tags["where"] for point in sink.points("shopscope.sdk.errors")]


def test_currencies_are_bounded(observe, sink):
    """What is no currency code shares one series."""
    scope = observe()
    for currency in ("Euro", "12", "", "EÜR"):
        shopscope.order_placed(1, currency=currency)
    scope.shutdown()
    assert ["_overflow"] == [point.tags["currency"] for point in sink.points("shopscope.orders")]


def test_order_without_init():
    """Without telemetry an order is not counted and nothing happens."""
    assert shopscope.order_placed(1) is None
