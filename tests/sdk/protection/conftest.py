"""A real bank that answers as its path says, and what a service's protections have told about their calls to it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest


class Bank:
    """Where it is, and who has called."""

    def __init__(self, port):
        self.port = port
        self.paths = []

    def ask(self, status=200):
        """Call the bank; anything but 200 raises."""
        httpx.get(f"http://127.0.0.1:{self.port}/{status}").raise_for_status()

    async def ask_async(self, status=200):
        """The same, awaited."""
        async with httpx.AsyncClient() as client:
            (await client.get(f"http://127.0.0.1:{self.port}/{status}")).raise_for_status()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.bank.paths.append(self.path)
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def bank():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.bank = Bank(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.bank
        server.shutdown()
        thread.join()


@pytest.fixture
def payment(observe, bank):
    """The service that calls the bank, observed."""
    return observe("payment", SHOPSCOPE_PEERS=f"127.0.0.1:{bank.port}=bank")


@pytest.fixture
def told(payment, sink):
    """A function that ends the service and returns what it told: protections of its calls, guards, their events."""

    def end():
        payment.shutdown()
        spans = sorted(sink.spans(), key=lambda span: span.start_time_unix_nano)
        protections = [span.tags.get("shopscope.protection") for span in spans if span.tags.get("peer.service")]
        names = ("peer", "operation", "kind")
        guards = {tuple(point.tags[name] for name in names) for point in sink.points("shopscope.guard.info")}
        counted = {
            (*(point.tags[name] for name in names), point.tags["event"]): point.point.as_double
            for point in sink.points("shopscope.guard.events")
        }
        assert [] == sink.points("shopscope.sdk.errors")
        # Every event of a guard is there from the start, at zero.
        assert guards == {key[:3] for key in counted}
        return protections, guards, {key[3]: value for key, value in counted.items() if value}

    return end
