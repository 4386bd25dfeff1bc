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


def spans_of(sink, count):
    return {span.name: span for span in sink.spans(count)}


def current():
    return trace.get_current_span().get_span_context().span_id, baggage.get_baggage("shopscope.journey")


def test_decorated_generator(observe, sink):
    """The journey lasts until the generator is exhausted, and is current in its code alone, not in its consumer's."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    def refund(orders):
        for order in orders:
            trace.get_tracer("test").start_span("below").end()
            yield order, current()[1]
        return "done"

    generator = refund([1, 2])
    assert [] == sink.spans()
    found = []
    for _ in "ab":
        found.append(next(generator))
        assert (0, None) == current()
        trace.get_tracer("test").start_span("consumer").end()
        assert [] == sink.spans(name="refund")
    with pytest.raises(StopIteration, match="done"):
        next(generator)
    scope.shutdown()
    assert [(1, "refund"), (2, "refund")] == found
    journey = sink.span("refund")
    assert {journey.span_id} == {span.parent_span_id for span in sink.spans(2, "below")}
    assert {b""} == {span.parent_span_id for span in sink.spans(2, "consumer")}
    assert (1, 0) == (events(sink)["refund", "good"], events(sink)["refund", "error"])


def test_decorated_generator_is_spoken_to(observe, sink):
    """What its consumer sends and throws reaches the body; what the body raises is the journey's error."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    def refund():
        said = yield
        try:
            yield said
        except LookupError:
            raise ValueError("bad") from None

    generator = refund()
    next(generator)
    assert "hello" == generator.send("hello")
    with pytest.raises(ValueError, match="bad"):
        generator.throw(LookupError())
    scope.shutdown()
    assert (2, 1) == (sink.span("refund").status.code, events(sink)["refund", "error"])


def test_decorated_generator_that_is_closed(observe, sink):
    """A consumer that has enough ends the journey, which is no error; its clean-up is part of it."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    def refund():
        try:
            yield 1
        finally:
            trace.get_tracer("test").start_span("cleaning").end()

    for _ in refund():
        break
    scope.shutdown()
    spans = spans_of(sink, 2)
    assert spans["refund"].span_id == spans["cleaning"].parent_span_id
    assert (0, 1, 0) == (
        spans["refund"].status.code,
        events(sink)["refund", "good"],
        events(sink)["refund", "error"],
    )


def test_decorated_async_generator(observe, sink):
    """The same for asynchronous ones, consumed by another task at each step."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    async def refund(count):
        for number in range(count):
            await asyncio.sleep(0)
            trace.get_tracer("test").start_span("below").end()
            yield number, current()[1]

    async def consume():
        generator, found = refund(2), []
        for _ in range(2):
            found.append(await asyncio.create_task(anext(generator)))
            assert (0, None) == current()
        with pytest.raises(StopAsyncIteration):
            await asyncio.create_task(anext(generator))
        return found

    assert [(0, "refund"), (1, "refund")] == asyncio.run(consume())
    scope.shutdown()
    assert {sink.span("refund").span_id} == {span.parent_span_id for span in sink.spans(2, "below")}
    assert (1, 0) == (events(sink)["refund", "good"], events(sink)["refund", "error"])


@pytest.mark.parametrize(("ending", "outcome"), [("close", "good"), ("raise", "error"), ("throw", "error")])
def test_decorated_async_generator_that_ends_early(observe, sink, ending, outcome):
    """Closing is no error; an exception of the body or of the consumer is one."""
    scope = observe(shop=SHOP)

    @shopscope.journey("refund")
    async def refund():
        yield 1
        raise LookupError("no order")

    async def consume():
        generator = refund()
        await anext(generator)
        if ending == "close":
            await generator.aclose()
        else:
            with pytest.raises(LookupError):
                await (anext(generator) if ending == "raise" else generator.athrow(LookupError()))

    asyncio.run(consume())
    scope.shutdown()
    assert [1] == [count for (journey, its), count in events(sink).items() if (journey, its) == ("refund", outcome)]
    assert 1 == sum(count for (journey, _), count in events(sink).items() if journey == "refund")


def test_decorated_generator_without_init():
    """Without telemetry it is the generator itself."""

    @shopscope.journey("refund")
    def refund():
        yield from (1, 2)

    assert [1, 2] == list(refund())


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
