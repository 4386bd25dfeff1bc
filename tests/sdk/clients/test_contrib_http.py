"""OpenTelemetry's instrumentations of HTTP clients with the real libraries against a real server."""

import asyncio
import urllib.error
import urllib.request

import aiohttp
import pytest
import requests
import urllib3
from contrib_calls import SHOP, UNSAMPLED, all_off, calls, observations, sent, shop
from opentelemetry import baggage, context, propagate, trace

VALUE = "jane-4711"


@pytest.fixture(autouse=True)
def _off():
    with all_off():
        yield


@pytest.fixture
def server():
    with shop() as running:
        yield running


def by_requests(address):
    requests.get(address, timeout=5)


def by_session(address):
    with requests.Session() as session:
        session.get(address, timeout=5)


def by_urllib3(address):
    with urllib3.PoolManager() as pool:
        pool.request("GET", address, retries=False)


def by_urllib(address):
    try:
        urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 (the test's own server)
    except urllib.error.HTTPError as error:
        error.close()


def by_aiohttp(address):
    async def get():
        async with aiohttp.ClientSession() as session, session.get(address):
            pass

    asyncio.run(get())


LIBRARIES = [by_requests, by_session, by_urllib3, by_urllib, by_aiohttp]


@pytest.mark.parametrize("get", LIBRARIES)
def test_calls(observe, sink, server, get):
    """One CLIENT span a call by stable conventions, in the journey, carried on to the server, and one observation."""
    address = server.url.removeprefix("http://")
    scope = observe(SHOPSCOPE_PEERS=f"{address}=payment", shop=SHOP)
    token = context.attach(baggage.set_baggage("shopscope.journey", "pay"))
    with trace.get_tracer("test").start_as_current_span("parent"):
        for path in ("/pay", "/404", "/500"):
            get(f"{server.url}{path}?card={VALUE}")
    context.detach(token)
    scope.shutdown()
    parent = sink.span("parent")
    found = calls(sink, 4)
    assert [(parent.span_id, "pay", "payment", "GET", "127.0.0.1", server.server_port)] * 3 == [
        (
            span.parent_span_id,
            *(
                span.tags[key]
                for key in (
                    "shopscope.journey",
                    "peer.service",
                    "http.request.method",
                    "server.address",
                    "server.port",
                )
            ),
        )
        for span in found
    ]
    assert [200, 404, 500] == [span.tags["http.response.status_code"] for span in found]
    assert [f"{server.url}{path}" for path in ("/pay", "/404", "/500")] == [span.tags["url.full"] for span in found]
    assert [f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03" for span in found] == [
        seen["traceparent"] for seen in server.seen
    ]
    assert ["shopscope.journey=pay"] * 3 == [seen["baggage"] for seen in server.seen]
    assert {
        ("payment", "http", "ok", "pay"): 1,
        ("payment", "http", "rejected", "pay"): 1,
        ("payment", "http", "error", "pay"): 1,
    } == observations(sink, "journey")
    assert VALUE not in sent(sink)


@pytest.mark.parametrize("get", LIBRARIES)
def test_nobody_there(observe, sink, get):
    """A refused connection is an error, and the query of its address is in no text of the exception."""
    scope = observe(SHOPSCOPE_PEERS="127.0.0.1:9=payment")
    with pytest.raises((OSError, requests.RequestException, urllib3.exceptions.HTTPError, aiohttp.ClientError)):
        get(f"http://127.0.0.1:9/pay?card={VALUE}")
    scope.shutdown()
    (span,) = calls(sink, 1)
    assert (2, True) == (span.status.code, "error.type" in span.tags)
    assert {("payment", "http", "error"): 1} == observations(sink)
    assert VALUE not in sent(sink)


@pytest.mark.parametrize("get", LIBRARIES)
def test_not_sampled(observe, sink, server, get):
    """Calls of a trace that is not sampled are counted like all others; no span leaves, and the callee is told."""
    address = server.url.removeprefix("http://")
    scope = observe(SHOPSCOPE_PEERS=f"{address}=payment", shop=SHOP)
    token = context.attach(propagate.extract(UNSAMPLED))
    get(f"{server.url}/pay")
    get(f"{server.url}/500")
    context.detach(token)
    scope.shutdown()
    assert [] == sink.spans()
    assert [("0af7651916cd43dd8448eb211c80319c", "00")] * 2 == [
        tuple(seen["traceparent"].split("-")[1::2]) for seen in server.seen
    ]
    assert {("payment", "http", "ok", "pay"): 1, ("payment", "http", "error", "pay"): 1} == observations(
        sink, "journey"
    )


def test_retries(observe, sink, server):
    """What urllib3 repeats by itself is one call; its outcome is that of the last request."""
    scope = observe()
    with pytest.raises(urllib3.exceptions.MaxRetryError), urllib3.PoolManager() as pool:
        pool.request("GET", f"{server.url}/503", retries=urllib3.Retry(total=2, status_forcelist=[503]))
    scope.shutdown()
    assert 3 == len(server.seen)
    assert {("127.0.0.1", "http", "error"): 1} == observations(sink)


def test_redirects(observe, sink, server):
    """What requests follows by itself is one call, with the answer of the last."""
    scope = observe()
    requests.get(f"{server.url}/302", timeout=5)
    scope.shutdown()
    assert 2 == len(server.seen)
    assert [200] == [span.tags["http.response.status_code"] for span in calls(sink, 1)]
    assert {("127.0.0.1", "http", "ok"): 1} == observations(sink)
