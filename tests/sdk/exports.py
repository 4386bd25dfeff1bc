"""What the tests of exporters share: something to send, a server to send it to, and what has become of it."""

import contextlib
import threading

from opentelemetry import trace
from prometheus_client import REGISTRY


def emit(name="work"):
    trace.get_tracer("test").start_span(name).end()


def dropped(signal, reason):
    return REGISTRY.get_sample_value("shopscope_sdk_dropped_total", {"signal": signal, "reason": reason}) or 0


def delivered(signal):
    return REGISTRY.get_sample_value("shopscope_sdk_spans_total", {"signal": signal}) or 0


@contextlib.contextmanager
def serving(server):
    """Run an HTTP server while the context lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
