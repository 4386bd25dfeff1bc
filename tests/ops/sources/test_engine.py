"""Telemetry from the embedded engine: over HTTP from a real one, and from its store."""

import http.server
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shopscope_ops.sources import NoEngineError, SourceError, from_engine, from_store
from shopscope_ops.store import Store
from shopscope_ops.store.otlp import decode_metrics, decode_traces

# The store forgets what is old, so the window is a recent one.
BEGIN = time.time_ns() - 600 * 10**9
SECOND = 10**9
PROTOBUF = {"content-type": "application/x-protobuf"}


def spans_body() -> bytes:
    """Spans at -1, 0 and 5 seconds of the window."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "storefront"
    scoped = group.scope_spans.add()
    for number, offset in enumerate((-1, 0, 5), start=1):
        span = scoped.spans.add(trace_id=bytes(15) + bytes([number]), span_id=bytes(7) + bytes([number]), name="GET /")
        span.start_time_unix_nano = BEGIN + offset * SECOND
        span.end_time_unix_nano = span.start_time_unix_nano + SECOND
        span.events.add(name="noise", time_unix_nano=span.start_time_unix_nano)
    return request.SerializeToString()


def metrics_body() -> bytes:
    """Points of a counter at -300, -60 and 3 seconds of the window."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "storefront"
    metric = group.scope_metrics.add().metrics.add(name="shopscope.slo.events")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = 2
    for offset in (-300, -60, 3):
        metric.sum.data_points.add(time_unix_nano=BEGIN + offset * SECOND, as_int=7)
    return request.SerializeToString()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real engine on a free port that has the telemetry above."""
    data = tmp_path_factory.mktemp("engine")
    command = [sys.executable, "-m", "shopscope_ops.engines.embedded", "--port", "0", "--page-port", "0"]
    with subprocess.Popen([*command, "--data", str(data)], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert ready is not None
            for signal, body in (("traces", spans_body()), ("metrics", metrics_body())):
                answer = httpx.post(f"{ready[0]}/v1/{signal}", content=body, headers=PROTOBUF)
                assert answer.status_code == 200
            yield ready[0]
        finally:
            process.terminate()
            process.wait(timeout=20)


def seconds(table, column):
    return sorted((value - BEGIN) // SECOND for value in table[column].to_pylist())


def test_engine_gives_the_window_and_the_points_before_it(engine):
    """Spans of the window, begin included; metric points also of two minutes before, for subtraction."""
    found = from_engine(f"{engine}/", BEGIN, BEGIN + 5 * SECOND)
    assert (seconds(found.spans, "start_unix_nano"), seconds(found.metric_points, "time_unix_nano")) == ([0], [-60, 3])
    assert (found.origin, found.since_unix_nano) == (f"engine {engine}", BEGIN)


def test_columns_that_no_answer_reads_are_emptied(engine):
    """Events, links and resources are most of a span's bytes, and nobody asks for them."""
    row = from_engine(engine, BEGIN, BEGIN + SECOND).spans.to_pylist()[0]
    assert (row["name"], row["events"], row["resource"]) == ("GET /", "", "")


def test_store_gives_the_same(tmp_path: Path):
    """Within the engine's process the store is read without HTTP; the window is the same."""
    with Store(tmp_path) as store:
        store.submit(decode_traces(spans_body()).tables).result(timeout=20)
        store.submit(decode_metrics(metrics_body()).tables).result(timeout=20)
        found = from_store(store, BEGIN, BEGIN + 5 * SECOND)
    assert (seconds(found.spans, "start_unix_nano"), seconds(found.metric_points, "time_unix_nano")) == ([0], [-60, 3])


def test_silence_says_what_to_start():
    """Nobody listens: the error names the address and the command."""
    with pytest.raises(NoEngineError, match=r"no engine answers at http://127\.0\.0\.1:9 .*`shopscope up`"):
        from_engine("http://127.0.0.1:9", 0, 1)


def test_address_must_be_one():
    """A typing error in the address is told from an engine that is down."""
    with pytest.raises(SourceError, match="endpoint must be an address with http or https: 'localhost:4318'"):
        from_engine("localhost:4318", 0, 1)


class Other(http.server.BaseHTTPRequestHandler):
    """Some other program: answers as ``answers`` says."""

    answers: dict[str, tuple[int, bytes]] = {}  # noqa: RUF012 - set by the fixture for each test

    def do_GET(self) -> None:
        """Answer by path."""
        status, body = self.answers.get(self.path.partition("?")[0], (404, b"not here"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def other() -> Iterator[str]:
    """Address of a server that is no engine, or a broken one."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("health", [(404, b""), (200, b"hello"), (200, b'{"status":"up"}')])
def test_other_program_on_the_port_is_no_engine(other, monkeypatch, health):
    """A collector listens on the same port: it is not mistaken for an engine."""
    monkeypatch.setattr(Other, "answers", {"/healthz": health})
    with pytest.raises(NoEngineError, match="is no shopscope engine"):
        from_engine(other, 0, 1)


@pytest.mark.parametrize(
    ("answer", "words"), [((500, b"disk full"), "status 200: 500 'disk full'"), ((200, b"no arrow"), "Arrow stream")]
)
def test_broken_engine_is_an_error(other, monkeypatch, answer, words):
    """What the engine says is passed on."""
    monkeypatch.setattr(Other, "answers", {"/healthz": (200, b'{"engine":"embedded"}'), "/api/tables/spans": answer})
    with pytest.raises(SourceError, match=words):
        from_engine(other, 0, 1)
