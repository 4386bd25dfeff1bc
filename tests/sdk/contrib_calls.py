"""What the tests of OpenTelemetry's instrumentations share: all of them off before and after, and what calls leave."""

import contextlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from exports import serving
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability

from shopscope._clients import _contrib

CLIENT, PRODUCER, ERROR = 3, 4, 2
#: A trace that its caller has not sampled, in our journey.
UNSAMPLED = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "baggage": "shopscope.journey=pay",
}
SHOP = '[journeys.pay]\nservice = "checkout"\nroutes = ["GET /pay"]\nobjective = 0.99\nlatency = "300ms"\n'


def _switch_off():
    for entries in _contrib.installed(()).values():
        for entry in entries:
            # What has not been loaded is not on, and loading it would import the library.
            instrumentor = entry.load()() if entry.module in sys.modules else None
            if instrumentor is not None and instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.uninstrument()
    # The first instrumentation to start chooses the conventions for the whole process.
    _OpenTelemetrySemanticConventionStability._initialized = False


@contextlib.contextmanager
def all_off():
    """Any test's `init` may have switched instrumentations on: the libraries have been imported."""
    _switch_off()
    yield
    _switch_off()


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says, and keeps the headers that came."""

    def do_GET(self):
        """Answer with the status that the last part of the path is, or 200."""
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        status = self.path.partition("?")[0].rpartition("/")[2]
        self.send_response(int(status) if status in {"302", "404", "500", "503"} else 200)
        self.send_header("Location", "/there")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@contextlib.contextmanager
def shop(handler=Handler):
    """An HTTP server; ``seen`` has the headers of each request."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.lock = threading.Lock()
    with serving(server):
        yield server


def observations(sink, *extra):
    """Peer, kind and outcome (and more labels) of each dependency, and how often it was called."""
    return {
        tuple(point.tags.get(key, "") for key in ("peer", "kind", "outcome", *extra)): point.point.count
        for point in sink.points("shopscope.dependency.duration")
    }


def calls(sink, count):
    """The CLIENT and PRODUCER spans, as soon as there are ``count`` spans, in order of their start."""
    found = [span for span in sink.spans(count) if span.kind in {CLIENT, PRODUCER}]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


def sent(sink):
    """All that has been sent as spans, as one text."""
    return "".join(str(span.item) for span in sink.spans())
