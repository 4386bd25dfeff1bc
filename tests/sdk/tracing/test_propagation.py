"""W3C trace context and baggage, in through the middleware and out through a client."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import baggage, trace
from otlp_sink import Sink

TRACE, SPAN = "a" * 32, "b" * 16
SHOP = """
[journeys.checkout]
routes = ["POST /checkout"]
service = "storefront"
latency = "1s"
objective = 0.99

[journeys.search]
routes = ["GET /search"]
service = "storefront"
latency = "1s"
objective = 0.99
"""


@pytest.fixture
def upstream():
    """A real HTTP server that keeps the headers it is sent: the sink takes any POST to its paths."""
    with Sink.running() as server:
        yield server


@pytest.fixture
def app(upstream):
    application = FastAPI()

    @application.post("/checkout")
    @application.get("/search")
    @application.get("/other")
    async def forward():
        async with httpx.AsyncClient() as client:
            await client.post(f"{upstream.url}/v1/traces", content=b"")
        return dict(baggage.get_all())

    return application


def forwarded(upstream):
    return {name.lower(): value for name, value in upstream.headers[-1].items()}


def test_trace_context_in_and_out(observe, sink, call, app, upstream):
    """The caller's trace goes on: SERVER span below the caller, CLIENT span below it, its id in what leaves."""
    observe(app=app)
    call(app, "/other", headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=x, other=y"})
    spans = {span.kind: span for span in sink.spans(2)}
    server, client = spans[2], spans[3]
    assert (TRACE, SPAN, 0x301) == (server.trace_id.hex(), server.parent_span_id.hex(), server.flags)
    assert (TRACE, server.span_id, 0x101) == (client.trace_id.hex(), client.parent_span_id, client.flags)
    sent = forwarded(upstream)
    assert f"00-{TRACE}-{client.span_id.hex()}-01" == sent["traceparent"]
    assert ["vendor=x,other=y"] * 3 == [sent["tracestate"], server.trace_state, client.trace_state]


def test_not_sampled_goes_on(observe, sink, call, app, upstream):
    """A caller that does not sample is followed, here and further on; requests and calls are counted all the same."""
    scope = observe(app=app)
    call(app, "/other", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    version, trace_id, span_id, flags = forwarded(upstream)["traceparent"].split("-")
    assert ("00", TRACE, "00") == (version, trace_id, flags)
    assert span_id != SPAN
    scope.shutdown()
    assert [] == sink.spans()
    for name in ("http.server.request.duration", "shopscope.dependency.duration"):
        (point,) = sink.points(name)
        assert (1, 0) == (point.point.count, len(point.point.exemplars))
    assert TRACE == sink.log("request").trace_id.hex()


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "rubbish",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
    ],
)
def test_invalid_traceparent_starts_a_trace(observe, sink, call, traceparent):
    """A header that the specification calls invalid is as none."""
    app = FastAPI()
    observe(app=app)
    call(app, "/x", headers={"traceparent": traceparent})
    span = sink.span()
    assert (b"", False) == (span.parent_span_id, span.trace_id.hex() == TRACE)


def test_future_version_is_followed(observe, sink, call):
    """A later version with more fields is read as far as we know it."""
    app = FastAPI()
    observe(app=app)
    call(app, "/x", headers={"traceparent": f"01-{TRACE}-{SPAN}-01-more"})
    assert SPAN == sink.span().parent_span_id.hex()


def test_baggage_in_and_out(observe, call, app, upstream):
    """Every entry is there for the service, and goes on with what is encoded in it."""
    observe(app=app)
    seen = call(app, "/other", headers={"baggage": "tenant=a%20b,n=1;meta"}).json()
    assert {"tenant": "a b", "n": "1;meta"} == seen
    assert {"tenant=a+b", "n=1%3Bmeta"} == set(forwarded(upstream)["baggage"].split(","))


def test_several_baggage_headers_are_one(observe, call, app):
    """A list in two headers is the list."""
    observe(app=app)
    assert {"a": "1", "b": "2"} == call(app, "/other", headers=[("baggage", "a=1"), ("baggage", "b=2")]).json()


def test_no_context_leaks_into_the_next_request(observe, sink, app):
    """What one request brings is gone with it, also from the task that serves the next."""
    observe(app=app)

    async def both():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            await client.get("/other", headers={"baggage": "tenant=a", "traceparent": f"00-{TRACE}-{SPAN}-01"})
            after = trace.get_current_span(), dict(baggage.get_all())
            return after, (await client.get("/other")).json()

    assert ((trace.INVALID_SPAN, {}), {}) == asyncio.run(both())
    assert 2 == len({span.trace_id for span in sink.spans(4)})


def test_journey_of_the_route_goes_everywhere(observe, sink, call, app, upstream, capsys):
    """A route's journey is on its SERVER span, on spans and lines below, and leaves in baggage."""
    observe("storefront", app=app, shop=SHOP)
    assert {"shopscope.journey": "checkout"} == call(app, "/checkout", "POST").json()
    assert "shopscope.journey=checkout" == forwarded(upstream)["baggage"]
    assert ["checkout"] * 2 == [span.tags["shopscope.journey"] for span in sink.spans(2)]
    assert "checkout" == sink.log("request").tags["shopscope.journey"]
    assert '"journey":"checkout"' in capsys.readouterr().out


def test_journey_stays_through_services(observe, sink, call, app):
    """A service behind the first keeps the journey that baggage brings, and counts no event of its own."""
    scope = observe("payment", app=app, shop=SHOP)
    call(app, "/checkout", "POST", headers={"baggage": "shopscope.journey=search"})
    scope.shutdown()
    assert ["search"] * 2 == [span.tags["shopscope.journey"] for span in sink.spans(2)]
    assert [] == sink.points("shopscope.slo.events")
    (point,) = sink.points("shopscope.dependency.duration")
    assert "search" == point.tags["journey"]


@pytest.mark.parametrize("carried", ["search", "invented", "x" * 9000])
def test_baggage_cannot_hide_an_event(observe, sink, call, app, carried):
    """Anyone can send baggage; the first service's route counts for its own journey whatever it says."""
    scope = observe("storefront", app=app, shop=SHOP)
    call(app, "/checkout", "POST", headers={"baggage": f"shopscope.journey={carried}"})
    scope.shutdown()
    counted = {
        tuple(sorted(point.tags.items())) for point in sink.points("shopscope.slo.events") if point.point.as_double
    }
    assert {(("journey", "checkout"), ("outcome", "good"))} == counted


@pytest.mark.parametrize("shop", [SHOP, ""], ids=["with a file", "without a file"])
@pytest.mark.parametrize("carried", ["Not%20A%20Name", "x" * 100, "%0A", ""])
def test_invented_journeys_are_no_labels(observe, sink, call, app, shop, carried):
    """What is no journey's name is on no span and no metric."""
    scope = observe("payment", app=app, shop=shop)
    call(app, "/other", headers={"baggage": f"shopscope.journey={carried}"})
    scope.shutdown()
    assert [False, False] == ["shopscope.journey" in span.tags for span in sink.spans(2)]
    (point,) = sink.points("shopscope.dependency.duration")
    assert "" == point.tags["journey"]


def test_unknown_journey_is_kept_only_without_a_file(observe, sink, call, app):
    """A service without shopscope.toml takes any well-formed name from the services before it."""
    observe("payment", app=app)
    call(app, "/other", headers={"baggage": "shopscope.journey=refund"})
    assert ["refund"] * 2 == [span.tags["shopscope.journey"] for span in sink.spans(2)]
