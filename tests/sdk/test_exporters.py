"""Exporters: OTLP over HTTP in protobuf and JSON, TLS and mTLS, the console, none, and Prometheus."""

import base64
import contextlib
import gzip
import json
import logging
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx
import otlp_sink
import pytest
import trustme
from google.protobuf.json_format import ParseDict
from opentelemetry import trace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_sink import Sink
from prometheus_client import REGISTRY

import shopscope
from shopscope import _otlp_json, _pipeline
from shopscope._transport import Outcome, Transport

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
# Fields in development, for profiles and entities: nothing of ours has them.
NOT_SENT = re.compile("strindex|entity_refs")
IDS = ("traceId", "spanId", "parentSpanId")


def emit(name="work"):
    trace.get_tracer("test").start_span(name).end()


def dropped(signal, reason):
    return REGISTRY.get_sample_value("shopscope_sdk_dropped_total", {"signal": signal, "reason": reason}) or 0


def delivered(signal):
    return REGISTRY.get_sample_value("shopscope_sdk_spans_total", {"signal": signal}) or 0


def with_base64_ids(value):
    """OTLP/JSON as protobuf's own JSON has it: OTLP writes ids in hexadecimal, protobuf in base64."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else with_base64_ids(item)
            for key, item in value.items()
        }
    return value


def parsed(signal, line):
    return ParseDict(with_base64_ids(json.loads(line)), REQUESTS[signal]())


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


@contextlib.contextmanager
def tls_sink(context):
    """The sink behind TLS."""
    server = otlp_sink._Server(("127.0.0.1", 0), otlp_sink._Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.sink = Sink(server.server_address[1])
    server.sink.url = f"https://localhost:{server.server_address[1]}"
    with serving(server):
        yield server.sink
        server.sink.released.set()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    """Paths of the authority's certificate, and of a client's certificate and key."""
    client = authority.issue_cert("checkout.example")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "client", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    client.private_key_pem.write_to_path(paths["key"])
    for pem in client.cert_chain_pems:
        pem.write_to_path(paths["client"], append=True)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_tls_with_a_certificate_of_ones_own(observe, server_context, files):
    """OTEL_EXPORTER_OTLP_CERTIFICATE names the authority that the server's certificate is checked with."""
    with tls_sink(server_context) as secure:
        observe(OTEL_EXPORTER_OTLP_ENDPOINT=secure.url, OTEL_EXPORTER_OTLP_CERTIFICATE=files["ca"])
        emit()
        assert "work" == secure.span().name
        shopscope.shutdown()


def test_tls_of_an_unknown_authority_is_refused(observe, server_context, wait_until, caplog):
    """Without the certificate the server is a stranger, and gets nothing."""
    with tls_sink(server_context) as secure:
        scope = observe(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{secure.url}/v1/traces")
        emit()
        wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
        scope.shutdown(0)
        assert [] == secure.spans()


def test_mutual_tls(observe, authority, server_context, files):
    """OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY show the server who we are; here for one signal alone."""
    server_context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_context)
    with tls_sink(server_context) as secure:
        observe(
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{secure.url}/v1/traces",
            OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=files["ca"],
            OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE=files["client"],
            OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=files["key"],
        )
        emit()
        assert "work" == secure.span().name
        shopscope.shutdown()


def test_mutual_tls_without_our_certificate(observe, authority, server_context, files, wait_until, caplog):
    """A server that wants to know us takes nothing from a stranger."""
    server_context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_context)
    with tls_sink(server_context) as secure:
        scope = observe(OTEL_EXPORTER_OTLP_ENDPOINT=secure.url, OTEL_EXPORTER_OTLP_CERTIFICATE=files["ca"])
        emit()
        wait_until(lambda: "cannot send traces" in caplog.text)
        scope.shutdown(0)
        assert [] == secure.spans()


class _JsonHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: ClassVar = []
    answer = b"{}"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Content-Type"], gzip.decompress(body)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def json_server():
    handler = type("Handler", (_JsonHandler,), {"received": [], "answer": b"{}"})
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        yield handler, f"http://127.0.0.1:{server.server_address[1]}"


def test_json_over_http(observe, json_server):
    """OTEL_EXPORTER_OTLP_PROTOCOL=http/json sends OTLP/JSON of every signal."""
    handler, url = json_server
    scope = observe(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    emit()
    shopscope.get_logger().info("hello", n=1)
    scope.shutdown()
    bodies = {path.rpartition("/")[2]: body for path, _, body in handler.received}
    assert {"application/json"} == {kind for _, kind, _ in handler.received}
    messages = {signal: parsed(signal, body) for signal, body in bodies.items()}
    assert "work" == messages["traces"].resource_spans[0].scope_spans[0].spans[0].name
    assert "hello" == messages["logs"].resource_logs[0].scope_logs[0].log_records[0].body.string_value
    assert messages["metrics"].resource_metrics[0].scope_metrics[0].metrics


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}}', 1),
        (b'{"partialSuccess": {"rejectedSpans": 1}}', 1),
        (b'{"partialSuccess": {}}', 0),
        (b'{"partialSuccess": {"rejectedSpans": "x"}}', 0),
        (b"rubbish", 0),
        (b"[]", 0),
    ],
)
def test_partial_success_in_json(observe, json_server, answer, count):
    """What a JSON answer rejects is counted, as a number or as a text; what cannot be read rejects nothing."""
    handler, url = json_server
    handler.answer = answer
    scope = observe(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/v1/traces", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/json"
    )
    emit()
    assert scope.flush()
    assert (count, 1 - count) == (dropped("traces", "rejected"), delivered("traces"))


def full_requests():
    """A request of each signal with every field that OTLP has, as protobuf objects."""
    requests = {}
    for signal, request in REQUESTS.items():
        requests[signal] = fill(request(), 0)
    return requests


def fill(message, depth):
    """Set every field of a message, recursively, to something that is not its default."""
    known = [field for field in message.DESCRIPTOR.fields if not NOT_SENT.search(field.name)]
    for number, field in enumerate(known, 1):
        if field.message_type is not None:
            if depth > 9:
                continue
            target = getattr(message, field.name)
            fill(target.add() if field.is_repeated else target, depth + 1)
            if field.message_type.name == "AnyValue" and not field.is_repeated:
                choose(target, number)
        elif field.is_repeated:
            getattr(message, field.name).extend(value_of(field, number + step) for step in range(2))
        else:
            setattr(message, field.name, value_of(field, number))
    return message


def choose(value, number):
    kinds = {
        0: ("string_value", "ä"),
        1: ("int_value", -(2**63)),
        2: ("double_value", -0.5),
        3: ("bytes_value", b"\x00"),
    }
    name, content = kinds[number % 4]
    setattr(value, name, content)


def value_of(field, number):
    if field.name in {"trace_id", "span_id", "parent_span_id"}:
        return bytes([number]) * (16 if field.name == "trace_id" else 8)
    if field.cpp_type == field.CPPTYPE_STRING:
        return b"\xff\x00" if field.type == field.TYPE_BYTES else f"text {number}"
    if field.cpp_type == field.CPPTYPE_BOOL:
        return True
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return number + 0.5
    if field.cpp_type == field.CPPTYPE_ENUM:
        return 1
    is_signed = field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_INT64}
    return -number if is_signed else number


@pytest.mark.parametrize("signal", list(REQUESTS))
def test_json_says_what_protobuf_says(signal):
    """Every field of OTLP comes through: read back, the JSON is the message that it was made from."""
    message = full_requests()[signal]
    assert message == parsed(signal, _otlp_json.to_json(signal, message.SerializeToString()))


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_json_of_numbers_that_json_lacks(number):
    """Infinities and NaN are the texts that protobuf's JSON has for them."""
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.attributes.add(key="x").value.double_value = number
    (value,) = (
        parsed("traces", _otlp_json.to_json("traces", message.SerializeToString()))
        .resource_spans[0]
        .scope_spans[0]
        .spans[0]
        .attributes
    )
    assert str(number) == str(value.value.double_value)


def otlp_lines(text, field):
    return [line for line in text.splitlines() if line.startswith(f'{{"{field}"')]


def test_console(observe, sink, capsys):
    """OTEL_TRACES_EXPORTER=console prints OTLP JSON lines on standard output, and sends nothing."""
    scope = observe(OTEL_TRACES_EXPORTER="console", OTEL_LOGS_EXPORTER="otlp/stdout", OTEL_METRICS_EXPORTER="console")
    emit()
    shopscope.get_logger().info("hello")
    assert scope.flush()
    scope.shutdown()
    output = capsys.readouterr().out
    (line,) = otlp_lines(output, "resourceSpans")
    assert "work" == parsed("traces", line).resource_spans[0].scope_spans[0].spans[0].name
    assert "hello" in otlp_lines(output, "resourceLogs")[0]
    assert parsed("metrics", otlp_lines(output, "resourceMetrics")[-1]).resource_metrics[0].scope_metrics[0].metrics
    assert [] == sink.attempts


def test_console_beside_otlp(observe, sink, capsys):
    """A list is both; a request that has to be sent twice is printed once."""
    sink.answer("traces", status=503, headers={"Retry-After": "0"})
    scope = observe(OTEL_TRACES_EXPORTER="console,otlp")
    emit()
    sink.wait_for_attempts("/v1/traces", 1)
    sink.answer("traces")
    assert scope.flush()
    assert ["work"] == [span.name for span in sink.spans(1)]
    assert 1 == len(otlp_lines(capsys.readouterr().out, "resourceSpans"))


def test_closed_standard_output_is_counted(observe, monkeypatch):
    """Where nothing can be printed the loss is counted, and the service goes on."""
    scope = observe(OTEL_TRACES_EXPORTER="console")
    monkeypatch.setattr("sys.stdout", None)
    emit()
    assert scope.flush()
    assert 1 == dropped("traces", "refused")


def test_none(observe, sink):
    """OTEL_*_EXPORTER=none: spans are made and ids travel, nothing is kept, no thread runs, nothing counts as lost."""
    names = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
    scope = observe(**dict.fromkeys(names, "none"))
    with trace.get_tracer("test").start_as_current_span("work") as span:
        assert span.is_recording()
    shopscope.get_logger().info("hello")
    assert scope.flush()
    running = {thread.name for thread in threading.enumerate()}
    scope.shutdown()
    assert set() == running & {"shopscope-traces", "shopscope-metrics", "shopscope-logs"}
    assert ([], 0) == (sink.attempts, dropped("traces", "shutdown"))


def test_prometheus(observe, sink):
    """OTEL_METRICS_EXPORTER=prometheus serves the metrics, with exemplars for who asks, and pushes none."""
    scope = observe(
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT="0",
    )
    page = _pipeline.active().scrape_page
    address = f"http://127.0.0.1:{page.port}/metrics"
    text = httpx.get(address, headers={"Accept": "application/openmetrics-text"}).text
    scope.shutdown()
    assert "shopscope_sdk_export_seconds" in text
    assert text.endswith("# EOF\n")
    assert [] == sink.pushes()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_prometheus_on_a_taken_port(observe, caplog):
    """A port that is taken costs the page, not the service, and is said."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), _JsonHandler)) as other:
        port = str(other.server_address[1])
        observe(
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT=port,
        )
        assert 0 == _pipeline.active().scrape_page.port
        assert f"cannot serve metrics on 127.0.0.1:{port}" in caplog.text


def test_export_timeout_of_spans(observe, sink, wait_until):
    """OTEL_BSP_EXPORT_TIMEOUT bounds the attempts for one batch; what it costs is counted."""
    sink.answer("traces", status=503)
    observe(OTEL_BSP_EXPORT_TIMEOUT="10")
    emit()
    wait_until(lambda: dropped("traces", "timeout") == 1)


def test_export_timeout_of_logs(observe, sink, wait_until):
    """OTEL_BLRP_EXPORT_TIMEOUT is the same for log records."""
    sink.answer("logs", status=503)
    observe(OTEL_BLRP_EXPORT_TIMEOUT="10", OTEL_LOG_LEVEL="none")
    shopscope.get_logger().info("hello")
    wait_until(lambda: dropped("logs", "timeout") >= 1)
    logging.getLogger("shopscope").setLevel(logging.NOTSET)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"])
def test_timeout_of_a_request(observe, sink, wait_until, caplog, variable):
    """A request that takes longer is given up."""
    sink.answer("metrics", misbehaviour="hang")
    scope = observe(OTEL_METRIC_EXPORT_INTERVAL="20", **{variable: "50"})
    wait_until(lambda: "cannot send metrics" in caplog.text)
    assert "TimeoutError" in caplog.text
    scope.shutdown(0)


def test_files_that_vanish(tmp_path):
    """A certificate that is gone by the time of a connection is an outage like any other."""
    from shopscope._endpoints import Tls  # noqa: PLC0415 (what this test is about)

    transport = Transport("https://localhost:9", {}, 1.0, tls=Tls(certificate=str(tmp_path / "gone.pem")))
    assert Outcome.RETRY is transport.post(b"").outcome
