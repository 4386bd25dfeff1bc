"""A real engine process, and requests for it."""

import contextlib
import re
import signal
import subprocess
import sys

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NOW = 1_790_000_000_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}
READY = re.compile(r"engine ready: OTLP (http://127\.0\.0\.1:(\d+)), page (.+), data in (.*)")


def command(data, *options):
    base = [sys.executable, "-m", "shopscope_ops.engines.embedded", "--data", str(data), "--max-age", "36500d"]
    return [*base, *(options or ("--port", "0", "--page-port", "0"))]


class Engine:
    """A started engine: its process, and a client of its port."""

    def __init__(self, process, address):
        self.process = process
        self.address = address
        self.client = httpx.Client(base_url=address, timeout=30)

    def post(self, body, path="/v1/traces", **headers):
        """POST a body; keyword arguments are headers with underscores."""
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.post(path, content=body, headers=PROTOBUF | names)

    def rows(self, table="spans"):
        """Rows of a table, as the engine counts them."""
        return self.client.get("/api/status").json()["tables"][table]

    def stop(self, number=signal.SIGTERM):
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def running(data, *options):
    """An engine on a free port; stopped at the end if it still runs."""
    with subprocess.Popen(
        command(data, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            ready = READY.match(line)
            assert ready is not None, line
            engine = Engine(process, ready[1])
            with engine.client:
                yield engine
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(30)


def spans(count=1, service="checkout", name="POST /checkout", start=NOW):
    """An export request of so many spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = service
    scoped = group.scope_spans.add()
    for number in range(count):
        scoped.spans.add(
            trace_id=(number + 1).to_bytes(16),
            span_id=(number + 1).to_bytes(8),
            name=name,
            start_time_unix_nano=start + number,
            end_time_unix_nano=start + number + 1,
        )
    return request


class Kit:
    """The helpers above, as one fixture: tests are collected by path and cannot import each other."""

    NOW = NOW
    PROTOBUF = PROTOBUF
    command = staticmethod(command)
    running = staticmethod(running)
    spans = staticmethod(spans)

    @staticmethod
    def body(count=1, **options):
        """An export request of so many spans, as protobuf."""
        return spans(count, **options).SerializeToString()


@pytest.fixture(scope="session")
def kit():
    return Kit


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One engine for the tests of a file that leave it as they find it."""
    with running(tmp_path_factory.mktemp("engine")) as started:
        yield started
