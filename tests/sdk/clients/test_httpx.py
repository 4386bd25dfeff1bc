"""httpx, sync and async, against a real server."""

import asyncio
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

ERROR = 2


class Handler(BaseHTTPRequestHandler):
    """Answers by path: a status, a redirect, or nothing for a while."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        self.server.seen.append(dict(self.headers))
        path = self.path.partition("?")[0]
        if path == "/hang":
            self.server.released.wait(20)
            self.close_connection = True
            return
        self.send_response(302 if path == "/redirect" else int(path[1:]) if path[1:].isdigit() else 200)
        if path == "/redirect":
            self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HACK = do_GET  # noqa: N815 (the name that http.server calls)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.seen, running.released = [], threading.Event()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.released.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture(params=["sync", "async"])
def fetch(request):
    """A function that sends one request with either client."""

    def send(url, method="GET", **options):
        if request.param == "sync":
            with httpx.Client() as client:
                return client.request(method, url, **options)

        async def run():
            async with httpx.AsyncClient() as client:
                return await client.request(method, url, **options)

        return asyncio.run(run())

    return send


def test_span_and_headers(observe, sink, server, fetch):
    """One CLIENT span by the conventions; its id is in the headers; neither query nor password is recorded."""
    port = server.server_port
    observe(SHOPSCOPE_PEERS=f"127.0.0.1:{port}=bank")
    with trace.get_tracer("test").start_as_current_span("root"):
        assert 200 == fetch(f"http://user:password@127.0.0.1:{port}/a%2Fb?card=4111#x").status_code
    spans = {span.name: span for span in sink.spans(2)}
    span = spans["GET"]
    assert (3, spans["root"].span_id, 0) == (span.kind, span.parent_span_id, span.status.code)
    assert {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": f"http://127.0.0.1:{port}/a%2Fb",
        "peer.service": "bank",
    } == span.tags
    assert f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03" == server.seen[0]["traceparent"]


@pytest.mark.parametrize(
    ("status", "code", "outcome"), [(200, 0, "ok"), (304, 0, "ok"), (404, ERROR, "rejected"), (503, ERROR, "error")]
)
def test_status(observe, sink, server, fetch, status, code, outcome):
    """By the conventions 4xx and 5xx are errors of a CLIENT span; the dependency tells refusals from faults."""
    scope = observe()
    assert status == fetch(f"http://127.0.0.1:{server.server_port}/{status}").status_code
    scope.shutdown()
    span = sink.span()
    assert (code, status) == (span.status.code, span.tags["http.response.status_code"])
    assert (str(status) if code else None) == span.tags.get("error.type")
    (point,) = sink.points("shopscope.dependency.duration")
    assert ("127.0.0.1", "http", outcome) == (point.tags["peer"], point.tags["kind"], point.tags["outcome"])


def test_redirects_are_spans_of_their_own(observe, sink, server, fetch):
    """Each request over the network is a span."""
    observe()
    fetch(f"http://127.0.0.1:{server.server_port}/redirect", follow_redirects=True)
    assert [302, 200] == [span.tags["http.response.status_code"] for span in sink.spans(2)]
    assert 2 == len({headers["traceparent"] for headers in server.seen})


def test_refused_connection(observe, sink, fetch):
    """The library's own exception comes through; the span names its type and not its text."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        scope = observe()
        with pytest.raises(httpx.ConnectError):
            fetch(f"http://127.0.0.1:{port}/")
    scope.shutdown()
    span = sink.span()
    assert (ERROR, "", "ConnectError", 0) == (
        span.status.code,
        span.status.message,
        span.tags["error.type"],
        len(span.events),
    )
    assert "error" == sink.points("shopscope.dependency.duration")[0].tags["outcome"]


def test_timeout(observe, sink, server, fetch):
    """So does a timeout."""
    observe()
    with pytest.raises(httpx.ReadTimeout):
        fetch(f"http://127.0.0.1:{server.server_port}/hang", timeout=0.05)
    assert (ERROR, "ReadTimeout") == (sink.span().status.code, sink.span().tags["error.type"])


def test_cancelled_call(observe, sink, server, wait_until):
    """A call that the service gives up ends its span."""
    observe()

    async def run():
        async with httpx.AsyncClient() as client:
            call = asyncio.create_task(client.get(f"http://127.0.0.1:{server.server_port}/hang"))
            await asyncio.to_thread(wait_until, lambda: server.seen)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call

    asyncio.run(run())
    assert "CancelledError" == sink.span().tags["error.type"]


def test_unknown_method(observe, sink, server, fetch):
    """An invented method is _OTHER, as for servers."""
    observe()
    fetch(f"http://127.0.0.1:{server.server_port}/200", "HACK")
    assert ("HTTP", "_OTHER") == (sink.span().name, sink.span().tags["http.request.method"])


def test_ipv6_address(observe, sink, fetch):
    """An IPv6 host is written with brackets in the address, without in ``server.address``."""
    observe()
    with pytest.raises(httpx.ConnectError):
        fetch("http://[::1]:1/x")
    tags = sink.span().tags
    assert ("http://[::1]:1/x", "::1", 1) == (tags["url.full"], tags["server.address"], tags["server.port"])


def test_not_sampled_is_counted(observe, sink, server, fetch):
    """Below a caller that does not sample there is no span, but who was called is counted."""
    scope = observe()
    with trace.use_span(NonRecordingSpan(SpanContext(5, 6, is_remote=True))):
        fetch(f"http://127.0.0.1:{server.server_port}/503")
    scope.shutdown()
    assert server.seen[0]["traceparent"].startswith(f"00-{5:032x}-")
    assert server.seen[0]["traceparent"].endswith("-00")
    (point,) = sink.points("shopscope.dependency.duration")
    assert ([], 1, "error") == (sink.spans(), point.point.count, point.tags["outcome"])


def test_nothing_before_and_after(observe, sink, server, fetch):
    """Without running telemetry httpx is as it was: no headers, no spans."""
    url = f"http://127.0.0.1:{server.server_port}/200"
    observe().shutdown()
    fetch(url)
    assert ([False], []) == (["traceparent" in headers for headers in server.seen], sink.spans())


def test_a_transport_around_the_networks_is_covered(observe, sink, server):
    """Retries of a transport of the service's own are spans each; a mock without a network is none."""
    observe()

    class Twice(httpx.HTTPTransport):
        def handle_request(self, request):
            super().handle_request(request).close()
            return super().handle_request(request)

    with httpx.Client(transport=Twice()) as client:
        client.get(f"http://127.0.0.1:{server.server_port}/200")
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get("http://nowhere/")
    assert 2 == len(sink.spans(2))
