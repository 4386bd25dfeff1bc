"""OTLP over gRPC, with a real server: what arrives, how refusals are read, TLS, forks."""

import grpc
import pytest
import trustme
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from grpc_sink import GrpcSink
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import REGISTRY

import shopscope
from shopscope._export import _worker

CODE = grpc.StatusCode


def emit(name="work"):
    trace.get_tracer("test").start_span(name).end()


def counted(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def retry_info(seconds, nanoseconds=0):
    """Trailing metadata with a google.rpc.Status that asks to wait."""
    delay = Duration(seconds=seconds, nanos=nanoseconds).SerializeToString()
    info = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=field(1, delay)).SerializeToString()
    return (("grpc-status-details-bin", b"\x08\x0e" + field(2, b"busy") + field(3, info)),)


def field(number, body):
    return bytes([number << 3 | 2, len(body)]) + body


@pytest.fixture
def server():
    with GrpcSink.running() as running:
        yield running


@pytest.fixture
def observe_grpc(observe, server):
    def start(**settings):
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.target}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        return observe(**{**endpoint, **settings})

    yield start
    # While the server is there to take the last of it.
    shopscope.shutdown()


def test_all_signals(observe_grpc, server):
    """Spans, log records and metrics arrive at their services, compressed, with the headers that were set."""
    scope = observe_grpc(OTEL_EXPORTER_OTLP_HEADERS="Api-Key=a%20b")
    emit()
    shopscope.get_logger().info("hello")
    scope.shutdown()
    requests = {type(request).__name__: request for request in server.requests}
    assert "work" == requests["ExportTraceServiceRequest"].resource_spans[0].scope_spans[0].spans[0].name
    record = requests["ExportLogsServiceRequest"].resource_logs[0].scope_logs[0].log_records[0]
    assert "hello" == record.body.string_value
    assert requests["ExportMetricsServiceRequest"].resource_metrics[0].scope_metrics[0].metrics
    assert {"a b"} == {metadata["api-key"] for metadata in server.metadata}
    assert server.metadata[0]["user-agent"].startswith("shopscope-otlp/")


def test_one_signal_by_grpc(observe, sink, server):
    """A signal has a protocol and endpoint of its own; a target without a scheme is plain only if it is told to be."""
    observe(
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=server.target,
        OTEL_EXPORTER_OTLP_TRACES_INSECURE="true",
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION="none",
    )
    emit()
    shopscope.get_logger().info("hello")
    assert "work" == server.wait_for(1)[0].resource_spans[0].scope_spans[0].spans[0].name
    assert "hello" == sink.log("hello").body.string_value
    shopscope.shutdown()


@pytest.mark.parametrize(
    "code",
    [
        CODE.UNAVAILABLE,
        CODE.CANCELLED,
        CODE.DEADLINE_EXCEEDED,
        CODE.ABORTED,
        CODE.OUT_OF_RANGE,
        CODE.DATA_LOSS,
    ],
)
def test_codes_that_are_tried_again(observe_grpc, server, monkeypatch, code):
    """The specification's list of codes that pass."""
    monkeypatch.setattr(_worker, "_FIRST_BACKOFF_SECONDS", 0.01)
    server.refusals.append((code, "not now", ()))
    scope = observe_grpc(OTEL_LOGS_EXPORTER="none")
    emit()
    assert scope.flush()
    assert (2, 1) == (len(server.requests), counted("shopscope_sdk_spans_total", signal="traces"))


@pytest.mark.parametrize(
    "code",
    [CODE.INVALID_ARGUMENT, CODE.UNAUTHENTICATED, CODE.PERMISSION_DENIED, CODE.UNIMPLEMENTED, CODE.RESOURCE_EXHAUSTED],
)
def test_codes_that_are_for_good(observe_grpc, server, code, caplog):
    """Any other code drops the batch, counts it and says why; exhausted is one of them unless it says until when."""
    server.refusals.append((code, "never", ()))
    scope = observe_grpc(OTEL_LOGS_EXPORTER="none")
    emit()
    assert scope.flush()
    assert (1, 1) == (len(server.requests), counted("shopscope_sdk_dropped_total", signal="traces", reason="refused"))
    assert f"gRPC {code.name}: never" in caplog.text


@pytest.mark.parametrize("code", [CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE])
def test_retry_info_is_followed(observe_grpc, server, monkeypatch, code):
    """The delay that the server asks for comes before our own, which here would be an hour."""
    monkeypatch.setattr(_worker, "_FIRST_BACKOFF_SECONDS", 3600.0)
    server.refusals.append((code, "soon", retry_info(0, 10_000_000)))
    scope = observe_grpc(OTEL_LOGS_EXPORTER="none")
    emit()
    assert scope.flush(15)
    assert 2 == len(server.requests)


@pytest.mark.parametrize("details", [b"\xff", b"\x1a\x02\x0a\x00", b"\x1a\x7f", b""])
def test_details_that_make_no_sense(observe_grpc, server, details):
    """Rubbish among the details asks for nothing."""
    server.refusals.append((CODE.RESOURCE_EXHAUSTED, "?", (("grpc-status-details-bin", details),)))
    scope = observe_grpc(OTEL_LOGS_EXPORTER="none")
    emit()
    assert scope.flush()
    assert 1 == counted("shopscope_sdk_dropped_total", signal="traces", reason="refused")


def test_partial_success(observe_grpc, server):
    """What the server rejects of a batch is counted as lost."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    server.answer = answer.SerializeToString()
    scope = observe_grpc(OTEL_LOGS_EXPORTER="none")
    emit()
    emit()
    assert scope.flush()
    assert 1 == counted("shopscope_sdk_dropped_total", signal="traces", reason="rejected")
    assert 1 == counted("shopscope_sdk_spans_total", signal="traces")


def test_server_that_is_not_there_yet(observe, wait_until, caplog, monkeypatch):
    """Nobody listens: the outage is said once, and ends by the deadline of the shutdown."""
    monkeypatch.setattr(_worker, "_FIRST_BACKOFF_SECONDS", 0.01)
    with GrpcSink.running() as gone:
        target = gone.target
    scope = observe(
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{target}",
        OTEL_LOGS_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
    )
    emit()
    said = f"cannot send traces to http://{target}"
    wait_until(lambda: said in caplog.text)
    scope.shutdown(0.1)
    assert 1 == caplog.text.count(said)
    assert 1 == counted("shopscope_sdk_dropped_total", signal="traces", reason="shutdown")


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.mark.parametrize("scheme", ["https://", ""], ids=["by scheme", "by default"])
def test_mutual_tls(observe, authority, tmp_path, scheme):
    """Certificates of authority and client; a target without a scheme is secure unless told otherwise."""
    ca, certificate, key = (tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key"))
    authority.cert_pem.write_to_path(ca)
    client, own = authority.issue_cert("checkout.example"), authority.issue_cert("localhost")
    client.private_key_pem.write_to_path(key)
    client.cert_chain_pems[0].write_to_path(certificate)
    credentials = grpc.ssl_server_credentials(
        [(own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    with GrpcSink.running(credentials) as secure:
        scope = observe(
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"{scheme}localhost:{secure.port}",
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(ca),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(certificate),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(key),
        )
        emit()
        assert "work" == secure.wait_for(1)[0].resource_spans[0].scope_spans[0].spans[0].name
        scope.shutdown()


def test_fork(program, server):
    """A child has a channel of its own: what it and its parent emit both arrive."""
    running = program(
        """
        import os
        import shopscope
        from opentelemetry import trace

        scope = shopscope.init("forking")
        tracer = trace.get_tracer("t")
        tracer.start_span("before").end()
        assert scope.flush(40), "before"
        child = os.fork()
        tracer.start_span("parent" if child else "child").end()
        assert scope.flush(40), "parent" if child else "child"
        if child:
            assert os.waitpid(child, 0)[1] == 0
        scope.shutdown()
        os._exit(0)
        """,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{server.target}",
        OTEL_LOGS_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
    )
    code, _, errors = running.finish()
    spans = [request.resource_spans[0].scope_spans[0].spans[0].name for request in server.requests]
    assert (0, ["before", "child", "parent"]) == (code, sorted(spans)), errors
