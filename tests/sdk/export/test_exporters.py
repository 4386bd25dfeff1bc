"""Exporters: OTLP over HTTP with TLS and mTLS, the console, none, and Prometheus."""

import base64
import contextlib
import logging
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import otlp_sink
import pytest
import trustme
from exports import dropped, emit, serving
from opentelemetry import trace
from otlp_json import parsed
from otlp_sink import Answer, Sink, TlsServer

import shopscope
from shopscope import _pipeline
from shopscope._export._transport import Outcome, Transport


@contextlib.contextmanager
def tls_sink(context):
    """The sink behind TLS."""
    server = TlsServer(("127.0.0.1", 0), otlp_sink._Handler)
    server.context = context
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
        wait_until(lambda: f"cannot send traces to {secure.url}" in caplog.text)
        scope.shutdown(0)
        assert [] == secure.spans()


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
    before = set(threading.enumerate())  # an export that another test left hanging ends in its own time
    scope = observe(**dict.fromkeys(names, "none"))
    with trace.get_tracer("test").start_as_current_span("work") as span:
        assert span.is_recording()
    shopscope.get_logger().info("hello")
    assert scope.flush()
    running = {thread.name for thread in set(threading.enumerate()) - before}
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
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)) as other:
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
    wait_until(lambda: f"cannot send metrics to {sink.url}/v1/metrics: TimeoutError" in caplog.text)
    scope.shutdown(0)


def test_credentials_in_the_address(observe, sink, caplog, wait_until):
    """They are sent as every client does, and stand in no message; neither does a query."""
    sink.answers["/v1/traces?key=s3cret"] = Answer(status=503)
    address = sink.url.replace("//", "//shop:p%40ss@")
    scope = observe(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{address}/v1/traces?key=s3cret", OTEL_LOGS_EXPORTER="none")
    emit()
    wait_until(lambda: f"cannot send traces to {sink.url}" in caplog.text)
    scope.shutdown(0)
    assert f"Basic {base64.b64encode(b'shop:p@ss').decode()}" == sink.headers[0]["Authorization"]
    assert [False] * 3 == [secret in caplog.text for secret in ("p%40ss", "p@ss", "s3cret")]


def test_files_that_vanish(tmp_path):
    """A certificate that is gone by the time of a connection is an outage like any other."""
    from shopscope._export._endpoints import Tls  # noqa: PLC0415 (what this test is about)

    transport = Transport("https://localhost:9", {}, 1.0, tls=Tls(certificate=str(tmp_path / "gone.pem")))
    assert Outcome.RETRY is transport.post(b"").outcome


@pytest.mark.parametrize(
    ("host", "is_needed"), [("http://localhost", False), ("https://localhost", True), ("http://bücher.example", True)]
)
def test_idna_is_there_before_the_export_thread_wants_it(sink, host, is_needed):
    """A plain name is looked up without IDNA; where it is needed, a fork must not find it half imported."""
    port = sink.url.rpartition(":")[2]
    code = f"""
import sys
from shopscope._export._transport import Transport
transport = Transport({f"{host}:{port}/v1/traces"!r}, {{}}, 5.0)
print("encodings.idna" in sys.modules)
if {not is_needed!r}:
    print(transport.post(b"").outcome.value, "encodings.idna" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (["True"] if is_needed else ["False", "accepted False"]) == result.stdout.splitlines()
