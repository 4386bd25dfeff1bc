"""``SHOPSCOPE_TRACER=opentelemetry``: the stock SDK and its instrumentation behind the same one line.

In processes of their own, because the API accepts one tracer provider for the life of a process.
"""

import json

import pytest

SHOP = '[journeys.checkout]\nroutes = ["POST /checkout"]\nservice = "storefront"\nobjective = 0.99\nlatency = "10s"\n'
APP = """
import asyncio

import httpx
from fastapi import FastAPI
from opentelemetry import trace

import shopscope

app = FastAPI()
scope = shopscope.init("storefront", app=app)
tracer = trace.get_tracer("shop", "1.0")
log = shopscope.get_logger()

@app.post("/checkout")
async def checkout():
    with tracer.start_as_current_span("reserve", attributes={"sku": "a"}) as span:
        span.add_event("reserved", {"n": 1})
        log.info("in the request")
    return {}

@app.get("/items/{item}")
async def item(item: str):
    raise ValueError("no such item")

@app.get("/healthz")
async def health():
    with tracer.start_as_current_span("not seen"):
        return {}

@shopscope.journey("refund")
def refund():
    return trace.get_current_span().get_span_context().is_valid

async def visit():
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        caller = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "v=1"}
        await client.post("/checkout", headers=caller)
        await client.get("/items/4")
        await client.get("/healthz")

asyncio.run(visit())
assert refund()
print("PROVIDER", type(trace.get_tracer_provider()).__module__)
scope.shutdown()
"""


@pytest.fixture
def ran(program, tmp_path):
    def run(source=APP, **variables):
        (tmp_path / "shopscope.toml").write_text(SHOP, encoding="utf-8")
        code, output, errors = program(source, SHOPSCOPE_TRACER="opentelemetry", **variables).finish()
        assert (0, "") == (code, errors)
        return output

    return run


def by_name(spans):
    return {span.name: span for span in spans}


def test_the_stock_sdk_traces(ran, sink):
    """Spans are the stock SDK's; service, names, journey, parents and scope are as with our own tracer."""
    assert "PROVIDER opentelemetry.sdk.trace" in ran().splitlines()
    spans = by_name(sink.spans(4))
    assert {"POST /checkout", "reserve", "GET /items/{item}", "refund"} == set(spans)
    server, reserve = spans["POST /checkout"], spans["reserve"]
    assert ("storefront", "storefront") == (server.resource["service.name"], reserve.resource["service.name"])
    assert (2, "opentelemetry.instrumentation.fastapi", b"\xbb" * 8, "v=1") == (
        server.kind,
        server.scope,
        server.parent_span_id,
        server.trace_state,
    )
    assert ("checkout", "checkout", "refund") == tuple(
        span.tags["shopscope.journey"] for span in (server, reserve, spans["refund"])
    )
    assert ("POST", "/checkout", 200) == tuple(
        server.tags[key] for key in ("http.request.method", "http.route", "http.response.status_code")
    )
    assert (server.span_id, "shop", "a", ["reserved"]) == (
        reserve.parent_span_id,
        reserve.scope,
        reserve.tags["sku"],
        [event.name for event in reserve.events],
    )
    assert (2, True) == (spans["GET /items/{item}"].status.code, "exception" in str(spans["GET /items/{item}"].events))


def test_metrics_and_logs_are_as_before(ran, sink):
    """SLO events, request histogram with exemplar, access line and the ids of the stock span on every line."""
    lines = [json.loads(line) for line in ran().splitlines() if line.startswith("{")]
    server = by_name(sink.spans(4))["POST /checkout"]
    (event,) = [
        point.point.as_int or point.point.as_double
        for point in sink.points("shopscope.slo.events")
        if point.tags == {"journey": "checkout", "outcome": "good"}
    ]
    assert 1 == event
    (duration,) = [
        point.point for point in sink.points("http.server.request.duration") if point.tags["http.route"] == "/checkout"
    ]
    assert [server.trace_id] == [exemplar.trace_id for exemplar in duration.exemplars]
    (access,) = [line for line in lines if line["event"] == "request" and line.get("http.route") == "/checkout"]
    (inside,) = [line for line in lines if line["event"] == "in the request"]
    assert (server.trace_id.hex(), server.span_id.hex(), "checkout") == (
        access["trace_id"],
        access["span_id"],
        access["journey"],
    )
    assert (server.trace_id.hex(), "checkout") == (inside["trace_id"], inside["journey"])


def test_calls_carry_the_stock_span(ran, sink):
    """Our instrumentation of clients makes stock spans, which carry trace and journey on and name their peer."""
    ran(
        """
        import threading
        from http.server import BaseHTTPRequestHandler, HTTPServer

        import httpx
        from opentelemetry import trace

        import shopscope

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(dict(self.headers))
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        seen = []
        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        import os
        os.environ["SHOPSCOPE_PEERS"] = f"127.0.0.1:{server.server_port}=bank"
        scope = shopscope.init("storefront")

        @shopscope.journey("refund")
        def refund():
            httpx.get(f"http://127.0.0.1:{server.server_port}/pay")

        refund()
        with trace.get_tracer("shop").start_as_current_span("by hand", kind=trace.SpanKind.CLIENT) as span:
            span.set_attribute("server.address", "mail.example")
        server.shutdown()
        server.server_close()
        with trace.get_tracer("shop").start_as_current_span("seen") as span:
            span.set_attribute("traceparent", seen[0]["traceparent"])
        scope.shutdown()
        """
    )
    spans = by_name(sink.spans(4))
    call = spans["GET"]
    assert (3, "bank", "refund", 2, 503, spans["refund"].span_id) == (
        call.kind,
        call.tags["peer.service"],
        call.tags["shopscope.journey"],
        call.status.code,
        call.tags["http.response.status_code"],
        call.parent_span_id,
    )
    assert f"00-{call.trace_id.hex()}-{call.span_id.hex()}-03" == spans["seen"].tags["traceparent"]
    assert "mail.example" == spans["by hand"].tags["peer.service"]
    peers = {(point.tags["peer"], point.tags["outcome"]) for point in sink.points("shopscope.dependency.duration")}
    assert {("bank", "error"), ("mail.example", "ok")} == peers


@pytest.mark.parametrize(("sampler", "argument", "count"), [("always_off", "", 0), ("traceidratio", "1", 1)])
def test_the_sampler_is_the_stock_one_of_that_name(ran, sink, sampler, argument, count):
    """``OTEL_TRACES_SAMPLER`` and the limits mean the same; what is sampled keeps the attributes it began with."""
    ran(
        """
        from opentelemetry import trace

        import shopscope

        scope = shopscope.init("storefront")
        with trace.get_tracer("shop").start_as_current_span("work", attributes={"text": "long", "b": 1}):
            pass
        scope.shutdown()
        """,
        OTEL_TRACES_SAMPLER=sampler,
        OTEL_TRACES_SAMPLER_ARG=argument,
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="2",
    )
    assert [{"text": "lo", "b": 1}] * count == [span.tags for span in sink.spans(count)]


def test_missing_packages_are_one_clear_error(ran):
    """Without the stock SDK ``init`` says what to install, and nothing is left running."""
    ran(
        """
        import sys

        sys.modules["opentelemetry.sdk.trace"] = None
        import shopscope

        try:
            shopscope.init("storefront")
        except shopscope.ConfigError as error:
            (problem,) = error.problems
            assert "pip install opentelemetry-sdk opentelemetry-instrumentation-fastapi" in problem, problem
            assert problem.startswith("SHOPSCOPE_TRACER must be"), problem
        else:
            raise AssertionError
        """
    )
